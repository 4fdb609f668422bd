//! From a file that somebody hands in to a picture and nothing else. Pure, slow, bounded.

use std::io::Cursor;

use eads_domain::value::{BlobRef, Media};
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use image::error::{ImageError, LimitErrorKind};
use image::imageops::FilterType as Scaling;
use image::{DynamicImage, ImageDecoder, Limits};

use crate::error::ServiceError;

/// The longest side of a picture, in pixels.
const MAX_SIDE: u32 = 10_000;
/// The most bytes that a decoded picture may have: 25 million pixels of three bytes. A decoder may take twice as many
/// beside them.
const MAX_ALLOC: u64 = 72 * 1024 * 1024;
/// Of what is kept, and of what stays of it when it is too long.
const QUALITIES: [u8; 4] = [90, 80, 65, 50];
const THUMBNAIL_SIDE: u32 = 256;
const THUMBNAIL_QUALITY: u8 = 80;

/// A picture written anew, at most [`BlobRef::MAX_LEN`] bytes.
pub(super) struct Cleaned {
    pub(super) bytes: Vec<u8>,
    pub(super) media: Media,
}

/// Decodes a file and writes its picture anew: upright, without anything that stood beside it.
///
/// # Errors
/// `PHOTO_TOO_LARGE`, `PHOTO_FORMAT`, `PHOTO_DAMAGED`, `PHOTO_DIMENSIONS`.
pub(super) fn clean(file: &[u8]) -> Result<Cleaned, ServiceError> {
    if file.len() > BlobRef::MAX_LEN as usize {
        return Err(too_large());
    }
    let media = media_of(file)?;
    let picture = decode(file, media)?;
    if media == Media::Png {
        let bytes = png(&picture)?;
        if fits(&bytes) {
            return Ok(Cleaned { bytes, media });
        }
    }
    // Without transparency: a picture that is too long as PNG is a photograph.
    let mut picture = flattened(picture);
    loop {
        for quality in QUALITIES {
            let bytes = jpeg(&picture, quality)?;
            if fits(&bytes) {
                return Ok(Cleaned { bytes, media: Media::Jpeg });
            }
        }
        let (width, height) = (picture.width() / 2, picture.height() / 2);
        if width == 0 || height == 0 {
            return Err(too_large());
        }
        picture = picture.resize(width, height, Scaling::Triangle);
    }
}

/// A JPEG of at most 256 by 256 pixels.
///
/// # Errors
/// `PHOTO_DAMAGED`, `PHOTO_DIMENSIONS`: also for what a peer sent.
pub(super) fn thumbnail(bytes: &[u8], media: Media) -> Result<Vec<u8>, ServiceError> {
    let picture = decode(bytes, media)?;
    let small = if picture.width() > THUMBNAIL_SIDE || picture.height() > THUMBNAIL_SIDE {
        picture.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    } else {
        picture
    };
    jpeg(&flattened(small), THUMBNAIL_QUALITY)
}

/// What a file is, by its first bytes: names and types that come with it prove nothing.
fn media_of(file: &[u8]) -> Result<Media, ServiceError> {
    match file {
        [0xFF, 0xD8, 0xFF, ..] => Ok(Media::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(Media::Png),
        _ => Err(ServiceError::invalid("PHOTO_FORMAT", "the file is neither a JPEG nor a PNG")
            .with_hint("save the picture as JPEG or PNG")),
    }
}

fn decode(file: &[u8], media: Media) -> Result<DynamicImage, ServiceError> {
    match media {
        Media::Jpeg if !is_whole_jpeg(file) => Err(damaged()),
        Media::Jpeg => decoded(JpegDecoder::new(Cursor::new(file))),
        Media::Png => decoded(PngDecoder::with_limits(Cursor::new(file), limits())),
    }
}

fn decoded<D: ImageDecoder>(decoder: Result<D, ImageError>) -> Result<DynamicImage, ServiceError> {
    let mut decoder = decoder.map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let mut limits = limits();
    // Before anything is allocated for it.
    limits.check_dimensions(width, height).map_err(refused)?;
    limits.reserve(decoder.total_bytes()).map_err(refused)?;
    decoder.set_limits(limits).map_err(refused)?;
    let orientation = decoder.orientation().map_err(refused)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOC);
    limits
}

/// Whether the file has its end: a decoder paints what is missing grey and says nothing.
fn is_whole_jpeg(file: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // A marker, perhaps behind fill bytes; in a scan, the next one that ends it.
        let Some(found) = file.get(at..).and_then(next_marker) else { return false };
        let (marker, behind) = (found.0, at + found.1);
        match marker {
            0xD9 => return true,
            0x01 | 0xD0..=0xD8 => at = behind,
            _ => {
                let Some([high, low]) = file.get(behind..).and_then(<[u8]>::first_chunk::<2>) else { return false };
                at = behind + usize::from(u16::from_be_bytes([*high, *low]));
            }
        }
    }
}

/// The next marker, and where what follows it begins.
fn next_marker(bytes: &[u8]) -> Option<(u8, usize)> {
    let found = bytes.windows(2).position(|pair| matches!(pair, [0xFF, marker] if !matches!(marker, 0 | 0xFF)))?;
    Some((*bytes.get(found + 1)?, found + 2))
}

fn flattened(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return match picture {
            DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) => picture,
            DynamicImage::ImageLuma16(_) => picture.into_luma8().into(),
            other => other.into_rgb8().into(),
        };
    }
    let mut rgba = picture.into_rgba8();
    for pixel in rgba.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0;
        let over_white = |colour: u8| {
            let mixed = u16::from(colour) * u16::from(alpha) + 255 * (255 - u16::from(alpha));
            u8::try_from(mixed / 255).unwrap_or(u8::MAX)
        };
        pixel.0 = [over_white(red), over_white(green), over_white(blue), 255];
    }
    DynamicImage::from(rgba).into_rgb8().into()
}

fn jpeg(picture: &DynamicImage, quality: u8) -> Result<Vec<u8>, ServiceError> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).map_err(unwritten)?;
    Ok(bytes)
}

fn png(picture: &DynamicImage) -> Result<Vec<u8>, ServiceError> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    picture.write_with_encoder(encoder).map_err(unwritten)?;
    Ok(bytes)
}

fn fits(bytes: &[u8]) -> bool {
    bytes.len() <= BlobRef::MAX_LEN as usize
}

fn too_large() -> ServiceError {
    ServiceError::invalid("PHOTO_TOO_LARGE", "a photograph is at most 2 MiB")
        .with_hint("save it with a lower quality or fewer pixels")
}

fn damaged() -> ServiceError {
    ServiceError::invalid("PHOTO_DAMAGED", "the picture is not whole or cannot be decoded")
        .with_hint("open it in a viewer and save it anew as JPEG or PNG")
}

/// What the decoder says may quote the file, so only its kind is told.
fn refused(error: ImageError) -> ServiceError {
    match error {
        ImageError::Limits(limit) => {
            let what = match limit.kind() {
                LimitErrorKind::InsufficientMemory => "it would fill too much memory",
                _ => "a side is too long",
            };
            ServiceError::invalid(
                "PHOTO_DIMENSIONS",
                format!("the picture is too large ({what}): at most {MAX_SIDE} pixels a side and 25 megapixels"),
            )
        }
        _ => damaged(),
    }
}

fn unwritten(error: ImageError) -> ServiceError {
    ServiceError::internal("PHOTO_UNWRITABLE", "the picture could not be written anew").caused_by(error)
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, Rgb, Rgba};

    use super::*;

    fn code(file: &[u8]) -> &'static str {
        use eads_domain::code::Coded as _;
        match clean(file) {
            Ok(_) => "OK",
            Err(error) => error.code().as_str(),
        }
    }

    fn photograph(width: u32, height: u32) -> DynamicImage {
        ImageBuffer::from_fn(width, height, |x, y| {
            let noise = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503);
            Rgb([(x % 251) as u8, (y % 241) as u8, noise.to_be_bytes()[1]])
        })
        .into()
    }

    /// With an EXIF segment of orientation 6 (to be turned right) and a comment behind it.
    fn with_exif(file: &[u8]) -> Vec<u8> {
        let exif = [
            b"Exif\0\0MM\0\x2a\0\0\0\x08".as_slice(),
            &[0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0],
            b"GPS 3.1390 N 101.6869 E",
        ]
        .concat();
        let segment = |marker: u8, body: &[u8]| {
            let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
            [&[0xFF, marker], length.as_slice(), body].concat()
        };
        [&file[..2], &segment(0xE1, &exif), &segment(0xFE, b"taken by informant seven"), &file[2..]].concat()
    }

    #[test]
    fn nothing_but_the_picture_is_kept_and_it_stands_upright() {
        let plain = jpeg(&photograph(64, 32), 90).unwrap();
        let tagged = with_exif(&plain);
        let cleaned = clean(&tagged).unwrap();
        assert_eq!(cleaned.media, Media::Jpeg);
        for secret in [b"Exif".as_slice(), b"101.6869", b"informant"] {
            assert!(tagged.windows(secret.len()).any(|window| window == secret));
            assert!(!cleaned.bytes.windows(secret.len()).any(|window| window == secret));
        }
        let upright = decode(&cleaned.bytes, Media::Jpeg).unwrap();
        assert_eq!((upright.width(), upright.height()), (32, 64));
    }

    #[test]
    fn what_is_no_whole_picture_is_refused() {
        let good = jpeg(&photograph(300, 200), 90).unwrap();
        assert_eq!(code(&good), "OK");
        assert_eq!(code(&good[..good.len() / 2]), "PHOTO_DAMAGED");
        assert_eq!(code(&good[..good.len() - 2]), "PHOTO_DAMAGED");
        assert_eq!(code(&with_exif(&good)[..600]), "PHOTO_DAMAGED");
        let small = png(&photograph(300, 200)).unwrap();
        assert_eq!(code(&small), "OK");
        assert_eq!(code(&small[..small.len() / 2]), "PHOTO_DAMAGED");
        assert_eq!(code(b"a text that calls itself photo.jpg"), "PHOTO_FORMAT");
        assert_eq!(code(b""), "PHOTO_FORMAT");
        assert_eq!(code(&[0xFF, 0xD8, 0xFF]), "PHOTO_DAMAGED");
        assert_eq!(code(&[good.as_slice(), &vec![0; 3 << 20]].concat()), "PHOTO_TOO_LARGE");
    }

    #[test]
    fn a_small_file_that_unfolds_to_a_huge_picture_is_refused_before_it_does() {
        let blank = |width, height| {
            let picture: ImageBuffer<Luma<u8>, _> = ImageBuffer::new(width, height);
            png(&picture.into()).unwrap()
        };
        assert_eq!(code(&blank(10_001, 4)), "PHOTO_DIMENSIONS");
        // The header of a bomb says 60,000 by 60,000 pixels.
        let mut bomb = blank(8, 8);
        bomb[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
        let sum = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(code(&bomb), "PHOTO_DIMENSIONS");
        let large: ImageBuffer<Rgba<u8>, _> = ImageBuffer::new(6000, 6000);
        assert_eq!(code(&png(&large.into()).unwrap()), "PHOTO_DIMENSIONS");
    }

    /// ISO 3309, as PNG has it.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
        })
    }

    #[test]
    fn what_gets_longer_than_allowed_is_made_shorter() {
        // Noise does not compress: as PNG it stays as long as its pixels are many.
        let mut state = 7u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let picture: ImageBuffer<Rgb<u8>, _> = ImageBuffer::from_fn(1100, 900, |_, _| Rgb([noise(), noise(), noise()]));
        let file = jpeg(&DynamicImage::from(picture), 85).unwrap();
        assert!(file.len() <= BlobRef::MAX_LEN as usize, "the test's own file is short enough: {}", file.len());
        let cleaned = clean(&file).unwrap();
        assert!(cleaned.bytes.len() <= BlobRef::MAX_LEN as usize);
    }

    #[test]
    fn a_thumbnail_is_small_and_lies_on_white() {
        let clear: ImageBuffer<Rgba<u8>, _> = ImageBuffer::from_pixel(900, 300, Rgba([0, 0, 0, 0]));
        let small = thumbnail(&png(&clear.into()).unwrap(), Media::Png).unwrap();
        let small = decode(&small, Media::Jpeg).unwrap().into_rgb8();
        assert_eq!(small.dimensions(), (256, 85));
        assert!(small.get_pixel(100, 40).0.iter().all(|colour| *colour > 250));
    }
}
