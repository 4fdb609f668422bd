//! Figures, the statistics behind them, and the table that is printed.

use std::fmt::Write as _;

use crate::plot::Plot;

/// One row of the table.
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// What the node does.
    pub(crate) ours: String,
    /// What the machine does with the same bytes.
    pub(crate) raw: String,
    /// Ours to raw.
    pub(crate) ratio: Option<f64>,
    /// What was to be reached.
    pub(crate) target: String,
    /// Whether it was.
    pub(crate) met: Option<bool>,
    /// How it was measured, and what else was seen.
    pub(crate) notes: Vec<String>,
    /// File name and drawing.
    pub(crate) plot: Option<(String, Plot)>,
}

/// Samples in ascending order.
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn new(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// The sample below which this share of all lies.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last place")]
        let place = (last as f64 * share).round() as usize;
        self.0.get(place).copied().unwrap_or_default()
    }

    pub(crate) fn p50(&self) -> f64 {
        self.at(0.5)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.at(0.99)
    }

    pub(crate) fn as_slice(&self) -> &[f64] {
        &self.0
    }
}

/// Milliseconds with what can be told of them.
pub(crate) fn ms(value: f64) -> String {
    if value < 10.0 { format!("{value:.2} ms") } else { format!("{value:.0} ms") }
}

/// A rate, in thousands where there are many.
pub(crate) fn rate(value: f64, of: &str) -> String {
    if value < 10_000.0 { format!("{value:.0} {of}/s") } else { format!("{:.1} k {of}/s", value / 1000.0) }
}

/// Mebibytes.
pub(crate) fn mib(bytes: u64) -> String {
    let value = bytes as f64 / (1024.0 * 1024.0);
    if value < 10.0 { format!("{value:.2} MiB") } else { format!("{value:.0} MiB") }
}

/// The table in Markdown, with the notes below.
pub(crate) fn render(figures: &[Figure]) -> String {
    let heads = ["figure", "ours", "raw limit", "ratio", "target", "met"].map(str::to_owned);
    let mut rows = vec![heads];
    for figure in figures {
        rows.push([
            figure.name.clone(),
            figure.ours.clone(),
            figure.raw.clone(),
            figure.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
            figure.target.clone(),
            match figure.met {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "–",
            }
            .to_owned(),
        ]);
    }
    let widths: Vec<usize> = (0..6)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(out, "| {cell}{} ", " ".repeat(width - cell.chars().count()));
        }
        out.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(out, "|{}", "-".repeat(width + 2));
            }
            out.push_str("|\n");
        }
    }
    for figure in figures {
        for note in &figure.notes {
            let _ = write!(out, "\n{}: {note}", figure.name);
        }
    }
    out.push('\n');
    out
}
