//! A picture on a terminal: as kitty's graphics, as sixels, or as half blocks in 24-bit colour.
//!
//! Which of them a terminal can is told by what it says of itself in the environment; asking it would swallow what
//! the officer types meanwhile. Half blocks are what every terminal of today can.

use std::fmt::Write as _;
use std::io::Cursor;

use base64::Engine as _;
use eads_domain::value::Media;
use image::imageops::FilterType;
use image::{ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use crate::error::CliError;
use crate::exit::Exit;

/// How a terminal shows pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Display {
    /// What the terminal says that it can.
    Auto,
    /// kitty's graphics protocol.
    Kitty,
    /// Sixels (DEC).
    Sixel,
    /// Two pixels a character, in 24-bit colour.
    Blocks,
}

/// The largest picture of each kind, in pixels.
const KITTY: (u32, u32) = (800, 800);
const SIXEL: (u32, u32) = (480, 480);
const BLOCKS: (u32, u32) = (76, 80);
/// Bytes of base64 in one of kitty's commands.
const KITTY_CHUNK: usize = 4096;
/// Levels of each colour in a sixel picture: 216 colours in all.
const LEVELS: u8 = 6;

/// The bytes that make a terminal show a photograph.
pub(super) fn render(bytes: &[u8], media: Media, display: Display) -> Result<String, CliError> {
    let picture = decode(bytes, media).ok_or_else(|| {
        CliError::new("PHOTO_DAMAGED", Exit::NodeFault, "the photograph cannot be decoded")
            .with_hint("save it with `--save FILE` and look at it with another program")
    })?;
    let display = match display {
        Display::Auto => told(&|name| std::env::var(name).unwrap_or_default()),
        other => other,
    };
    Ok(match display {
        Display::Kitty => kitty(&fitted(picture, KITTY)),
        Display::Sixel => sixel(&fitted(picture, SIXEL)),
        Display::Auto | Display::Blocks => blocks(&fitted(picture, BLOCKS)),
    })
}

/// What the environment says that the terminal can.
fn told(variable: &dyn Fn(&str) -> String) -> Display {
    let (term, program) = (variable("TERM"), variable("TERM_PROGRAM"));
    let is_kitty = term.contains("kitty") || term.contains("ghostty") || !variable("KITTY_WINDOW_ID").is_empty();
    if is_kitty || matches!(program.as_str(), "ghostty" | "WezTerm") {
        Display::Kitty
    } else if term.contains("sixel") || term.starts_with("foot") || term.starts_with("mlterm") {
        Display::Sixel
    } else {
        Display::Blocks
    }
}

/// Within the bounds that the node keeps too: this program trusts no file more than it must.
fn decode(bytes: &[u8], media: Media) -> Option<RgbImage> {
    let format = match media {
        Media::Jpeg => ImageFormat::Jpeg,
        Media::Png => ImageFormat::Png,
    };
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(10_000), Some(10_000));
    limits.max_alloc = Some(256 * 1024 * 1024);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    Some(reader.decode().ok()?.into_rgb8())
}

fn fitted(picture: RgbImage, (width, height): (u32, u32)) -> RgbImage {
    if picture.width() <= width && picture.height() <= height {
        return picture;
    }
    image::DynamicImage::from(picture).resize(width, height, FilterType::Triangle).into_rgb8()
}

/// Raw pixels (f=24) in commands of 4096 bytes of base64.
fn kitty(picture: &RgbImage) -> String {
    let data = base64::engine::general_purpose::STANDARD.encode(picture.as_raw());
    let mut out = String::with_capacity(data.len() + 1024);
    let mut rest = data.as_str();
    let mut head = format!("a=T,f=24,s={},v={},", picture.width(), picture.height());
    loop {
        let (chunk, behind) = rest.split_at(KITTY_CHUNK.min(rest.len()));
        let _ = write!(out, "\u{1b}_G{head}m={};{chunk}\u{1b}\\", u8::from(!behind.is_empty()));
        head.clear();
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    out.push('\n');
    out
}

/// Six rows at a time, each colour of them once.
fn sixel(picture: &RgbImage) -> String {
    let level = |value: u8| (u16::from(value) * u16::from(LEVELS - 1) + 127) / 255;
    let colour = |Rgb([red, green, blue]): &Rgb<u8>| {
        (level(*red) * u16::from(LEVELS) + level(*green)) * u16::from(LEVELS) + level(*blue)
    };
    let percent = |level: u16| level * 100 / u16::from(LEVELS - 1);
    let (width, height, levels) = (picture.width(), picture.height(), u16::from(LEVELS));
    let mut out = format!("\u{1b}Pq\"1;1;{width};{height}");
    for number in 0..levels * levels * levels {
        let (red, green, blue) = (number / levels / levels, number / levels % levels, number % levels);
        let _ = write!(out, "#{number};2;{};{};{}", percent(red), percent(green), percent(blue));
    }
    for top in (0..height).step_by(6) {
        let mut bands: std::collections::BTreeMap<u16, Vec<u8>> = std::collections::BTreeMap::new();
        for y in top..height.min(top + 6) {
            for x in 0..width {
                let band = bands.entry(colour(picture.get_pixel(x, y))).or_insert_with(|| vec![0; width as usize]);
                if let Some(bits) = band.get_mut(x as usize) {
                    *bits |= 1 << (y - top);
                }
            }
        }
        for (number, band) in bands {
            let _ = write!(out, "#{number}");
            for run in band.chunk_by(|one, next| one == next) {
                let sixel = char::from(run.first().copied().unwrap_or_default() + 63);
                match run.len() {
                    length @ 0..=3 => out.extend(std::iter::repeat_n(sixel, length)),
                    length => drop(write!(out, "!{length}{sixel}")),
                }
            }
            out.push('$');
        }
        out.push('-');
    }
    out.push_str("\u{1b}\\\n");
    out
}

/// The upper half of a block in the colour of one pixel, on the colour of the one below.
fn blocks(picture: &RgbImage) -> String {
    let mut out = String::new();
    for y in (0..picture.height()).step_by(2) {
        for x in 0..picture.width() {
            let Rgb([red, green, blue]) = picture.get_pixel(x, y);
            let _ = write!(out, "\u{1b}[38;2;{red};{green};{blue}m");
            match picture.get_pixel_checked(x, y + 1) {
                Some(Rgb([red, green, blue])) => drop(write!(out, "\u{1b}[48;2;{red};{green};{blue}m")),
                None => out.push_str("\u{1b}[49m"),
            }
            out.push('\u{2580}');
        }
        out.push_str("\u{1b}[0m\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_rows() -> RgbImage {
        RgbImage::from_fn(3, 3, |x, y| if y == 1 { Rgb([0, 0, 255]) } else { Rgb([255, x as u8, 0]) })
    }

    #[test]
    fn half_blocks_carry_two_pixels_each_and_end_every_line_plain() {
        let shown = blocks(&two_rows());
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("\u{1b}[38;2;255;0;0m\u{1b}[48;2;0;0;255m\u{2580}"));
        assert!(lines[1].contains("\u{1b}[49m"), "the last row has none below it");
        assert!(lines.iter().all(|line| line.ends_with("\u{1b}[0m") && line.matches('\u{2580}').count() == 3));
    }

    #[test]
    fn kitty_is_given_every_pixel_in_commands_that_follow_each_other() {
        let picture = RgbImage::from_fn(60, 50, |x, y| Rgb([x as u8, y as u8, 7]));
        let shown = kitty(&picture);
        let commands: Vec<&str> = shown.trim_end().split("\u{1b}\\").filter(|command| !command.is_empty()).collect();
        let (mut data, last) = (String::new(), commands.len() - 1);
        for (place, command) in commands.iter().enumerate() {
            let (keys, chunk) = command.strip_prefix("\u{1b}_G").unwrap().split_once(';').unwrap();
            assert_eq!(keys.ends_with("m=0"), place == last);
            assert!(chunk.len() <= KITTY_CHUNK);
            data.push_str(chunk);
        }
        assert!(commands.len() > 1 && commands[0].contains("a=T,f=24,s=60,v=50,"));
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(data).unwrap(), *picture.as_raw());
    }

    #[test]
    fn sixels_draw_each_colour_of_each_band() {
        let shown = sixel(&RgbImage::from_pixel(8, 7, Rgb([255, 255, 255])));
        assert!(shown.starts_with("\u{1b}Pq\"1;1;8;7#0;2;0;0;0#1;2;0;0;20"));
        // White is the last of 216; six rows in the first band, one in the second.
        assert!(shown.ends_with("#215!8~$-#215!8@$-\u{1b}\\\n"), "{shown:?}");
    }

    #[test]
    fn a_terminal_is_believed_what_it_says_of_itself() {
        let with = |name: &'static str, value: &'static str| {
            told(&move |asked| if asked == name { value.to_owned() } else { String::new() })
        };
        assert_eq!(with("TERM", "xterm-kitty"), Display::Kitty);
        assert_eq!(with("KITTY_WINDOW_ID", "1"), Display::Kitty);
        assert_eq!(with("TERM_PROGRAM", "WezTerm"), Display::Kitty);
        assert_eq!(with("TERM", "foot"), Display::Sixel);
        assert_eq!(with("TERM", "xterm-256color"), Display::Blocks);
    }
}
