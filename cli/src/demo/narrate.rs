//! What the demonstration says: numbered steps, what happened in each, and how long it took.
//!
//! Only what a step has found out is said, after it was found out. For people it is printed as it happens; for
//! programs all steps are one document at the end (`json`), with a line for each before it (`jsonl`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::error::CliError;
use crate::output::{Format, Output, Tone, milliseconds};

/// One step in JSON.
#[derive(Debug, Serialize)]
pub(super) struct StepView {
    number: usize,
    title: &'static str,
    /// What happened, in words.
    facts: Vec<String>,
    /// What was measured, by name, in milliseconds.
    measured_ms: BTreeMap<String, u64>,
    took_ms: u64,
    /// Everything that was expected held.
    held: bool,
}

/// The JSON of the whole demonstration.
#[derive(Debug, Serialize)]
struct DemoView<'a> {
    held: bool,
    members: &'a [String],
    directory: &'a str,
    took_ms: u64,
    steps: &'a [StepView],
    profiles: &'a [String],
}

/// Says what happens.
pub(super) struct Narrator<'a> {
    out: &'a Output,
    started: Instant,
    steps: Vec<StepView>,
    step_started: Instant,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(out: &'a Output) -> Self {
        let now = Instant::now();
        Self { out, started: now, steps: Vec::new(), step_started: now }
    }

    /// What stands above all steps.
    pub(super) fn preface(&self, lines: &[String]) -> Result<(), CliError> {
        lines.iter().try_for_each(|line| self.say(line, Tone::Quiet))
    }

    /// Begins the next step.
    pub(super) fn begin(&mut self, title: &'static str) -> Result<(), CliError> {
        let number = self.steps.len() + 1;
        self.step_started = Instant::now();
        self.steps.push(StepView {
            number,
            title,
            facts: Vec::new(),
            measured_ms: BTreeMap::new(),
            took_ms: 0,
            held: false,
        });
        self.say("", Tone::Plain)?;
        self.page(|page| page.heading(&format!("{number}  {title}")))
    }

    /// Something that happened.
    pub(super) fn fact(&mut self, text: impl Into<String>) -> Result<(), CliError> {
        let text = text.into();
        self.say(&format!("   {text}"), Tone::Plain)?;
        if let Some(step) = self.steps.last_mut() {
            step.facts.push(text);
        }
        Ok(())
    }

    /// Something that happened and how long it took.
    pub(super) fn measured(&mut self, name: &str, text: &str, took: Duration) -> Result<(), CliError> {
        if let Some(step) = self.steps.last_mut() {
            step.measured_ms.insert(name.to_owned(), whole_milliseconds(took));
        }
        self.fact(format!("{text}: {}", in_words(took)))
    }

    /// Ends the step: everything in it held.
    pub(super) fn end(&mut self) -> Result<(), CliError> {
        let took = self.step_started.elapsed();
        let Some(step) = self.steps.last_mut() else { return Ok(()) };
        step.took_ms = whole_milliseconds(took);
        step.held = true;
        if self.out.format() == Format::Jsonl {
            return self.out.line(step);
        }
        self.say(&format!("   ok, {}", in_words(took)), Tone::Good)
    }

    /// Which step is under way, for an error.
    pub(super) fn place(&self) -> String {
        self.steps
            .last()
            .map_or_else(|| "before the first step".to_owned(), |step| format!("step {} ({})", step.number, step.title))
    }

    /// The whole, at the end, whether it held or not.
    pub(super) fn finish(
        &self,
        held: bool,
        members: &[String],
        directory: &str,
        profiles: &[String],
    ) -> Result<(), CliError> {
        let took = self.started.elapsed();
        let view =
            DemoView { held, members, directory, took_ms: whole_milliseconds(took), steps: &self.steps, profiles };
        self.out.emit(&view, |page| {
            if held {
                page.line("");
                let text = format!("All {} steps held, in {}.", self.steps.len(), in_words(took));
                page.toned(&text, Tone::Good);
            }
        })
    }

    fn say(&self, text: &str, tone: Tone) -> Result<(), CliError> {
        self.page(|page| page.toned(text, tone))
    }

    fn page(&self, fill: impl FnOnce(&mut crate::output::Page)) -> Result<(), CliError> {
        if self.out.format() == Format::Table { self.out.emit(&(), fill) } else { Ok(()) }
    }
}

/// `340 ms`, `1.2 s`.
pub(super) fn in_words(took: Duration) -> String {
    milliseconds(u32::try_from(took.as_millis()).unwrap_or(u32::MAX))
}

fn whole_milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
