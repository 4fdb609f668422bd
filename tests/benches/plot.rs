//! Plots as SVG: the distribution of samples, or an amount over time.

use std::fmt::Write as _;
use std::path::Path;

use crate::table::Figure;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 48.0;
const COLOURS: [&str; 3] = ["#0b5394", "#999999", "#b45f06"];

/// What is drawn: lines through points, each with its name.
pub(crate) struct Plot {
    title: String,
    across: String,
    up: String,
    lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Plot {
    /// The share of samples (ascending, milliseconds) that are at most so long.
    pub(crate) fn distribution(title: &str, samples: &[(&str, &[f64])]) -> Self {
        let line = |(name, samples): &(&str, &[f64])| {
            let count = samples.len().max(1) as f64;
            // The last hundredth is told by the table; drawn, it would flatten all the others.
            let kept = samples.len() - samples.len() / 100;
            let points = samples.iter().take(kept).enumerate().map(|(at, value)| (*value, (at + 1) as f64 / count));
            ((*name).to_owned(), points.collect())
        };
        Self {
            title: title.to_owned(),
            across: "milliseconds".to_owned(),
            up: "share".to_owned(),
            lines: samples.iter().map(line).collect(),
        }
    }

    /// Amounts over seconds.
    pub(crate) fn series(title: &str, up: &str, lines: Vec<(&str, Vec<(f64, f64)>)>) -> Self {
        Self {
            title: title.to_owned(),
            across: "seconds".to_owned(),
            up: up.to_owned(),
            lines: lines.into_iter().map(|(name, points)| (name.to_owned(), points)).collect(),
        }
    }

    fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let right = nice(points().map(|(x, _)| *x).fold(f64::MIN_POSITIVE, f64::max));
        let top = nice(points().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max));
        let x = |value: f64| LEFT + value / right * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
            escaped(&self.title)
        );
        for step in 0..=4 {
            let (across, up) = (right * f64::from(step) / 4.0, top * f64::from(step) / 4.0);
            let (at_x, at_y) = (x(across), y(up));
            let _ = write!(
                out,
                "<line x1=\"{LEFT}\" y1=\"{at_y:.1}\" x2=\"{:.1}\" y2=\"{at_y:.1}\" stroke=\"#e0e0e0\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
                 <text x=\"{at_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at_y + 4.0,
                number(up),
                HEIGHT - BOTTOM + 16.0,
                number(across),
            );
        }
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"14\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {:.1})\">{}</text>\n",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 8.0,
            escaped(&self.across),
            (TOP + HEIGHT - BOTTOM) / 2.0,
            (TOP + HEIGHT - BOTTOM) / 2.0,
            escaped(&self.up),
        );
        for (at, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS.get(at % COLOURS.len()).copied().unwrap_or("black");
            let path: Vec<String> = thinned(points).map(|(px, py)| format!("{:.1},{:.1}", x(px), y(py))).collect();
            let _ = write!(
                out,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\" text-anchor=\"end\">{}</text>\n",
                path.join(" "),
                WIDTH - RIGHT - 8.0,
                HEIGHT - BOTTOM - 10.0 - 16.0 * at as f64,
                escaped(name),
            );
        }
        out.push_str("</svg>\n");
        out
    }
}

/// At most 400 points of a line, the last among them.
fn thinned(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let step = points.len().div_ceil(400).max(1);
    let last = points.len().saturating_sub(1);
    points.iter().enumerate().filter(move |(at, _)| at % step == 0 || *at == last).map(|(_, point)| *point)
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}

fn number(value: f64) -> String {
    if value >= 10_000.0 {
        format!("{:.0} k", value / 1000.0)
    } else if value >= 10.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Writes the plot of each figure that has one. Returns how many.
pub(crate) fn write_all(figures: &[Figure], dir: &Path) -> std::io::Result<usize> {
    std::fs::create_dir_all(dir)?;
    let mut count = 0;
    for (name, plot) in figures.iter().filter_map(|figure| figure.plot.as_ref()) {
        std::fs::write(dir.join(format!("{name}.svg")), plot.svg())?;
        count += 1;
    }
    Ok(count)
}
