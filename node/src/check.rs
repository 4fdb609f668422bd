//! `eads-node store check`: everything below a data directory is read and verified, and what is wrong is named
//! with its remedy.
//!
//! A directory that nobody uses is opened as a starting node opens it (which cuts a torn tail and builds a damaged
//! view anew, and says so), but is never served. What cannot be opened at all is a finding like any other: the
//! sections behind it are then listed as not walked. Nothing printed is about a person.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eads_domain::card::KeyLine;
use eads_domain::clock::Clock;
use eads_domain::code::Coded;
use eads_domain::entropy::Entropy;
use eads_service::check::{Checker, Section};
use eads_store::BlobStore;
use eads_store::vault::Vault;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::control::{Outcome, Progress, Refusal, Request, Target, alone};
use crate::identity::Passphrase;
use crate::lifecycle;

/// What is not walked when the directory does not open.
const WALKED: &str =
    "keys, sealed values, own register, own notices, deliveries, held notices, photographs, jobs, audit";

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The directory.
    pub dir: PathBuf,
    /// Nothing is wrong anywhere, and everything was walked.
    pub sound: bool,
    /// Part by part.
    pub sections: Vec<SectionReport>,
}

/// One part of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionReport {
    /// Its name.
    pub name: String,
    /// Nothing is wrong with it.
    pub sound: bool,
    /// What was walked: a word and how many.
    pub counts: BTreeMap<String, u64>,
    /// What is wrong.
    pub findings: Vec<FindingReport>,
    /// What was mended at opening, or not walked: no flaw by itself.
    pub notes: Vec<String>,
}

/// One flaw, at one or more places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingReport {
    /// Stable.
    pub code: String,
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub remedy: String,
    /// At how many places.
    pub count: u64,
    /// The first of them: files, indexes, members, random identifiers.
    pub places: Vec<String>,
}

impl SectionReport {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), sound: true, counts: BTreeMap::new(), findings: Vec::new(), notes: Vec::new() }
    }

    fn find(&mut self, error: &(impl Coded + ?Sized)) {
        self.sound = false;
        self.findings.push(FindingReport {
            code: error.code().as_str().to_owned(),
            meaning: error.to_string(),
            remedy: "keep a copy of the directory; if the text names no other way, restore the backup".to_owned(),
            count: 1,
            places: Vec::new(),
        });
    }
}

impl From<&Section> for SectionReport {
    fn from(section: &Section) -> Self {
        let findings = section.findings().into_iter().map(|finding| FindingReport {
            code: finding.code.to_owned(),
            meaning: finding.meaning.to_owned(),
            remedy: finding.remedy.to_owned(),
            count: finding.count,
            places: finding.places,
        });
        Self {
            name: section.name.to_owned(),
            sound: section.is_sound(),
            counts: section.counts.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect(),
            findings: findings.collect(),
            notes: Vec::new(),
        }
    }
}

impl CheckReport {
    fn of(dir: &Path, sections: Vec<SectionReport>) -> Self {
        Self { dir: dir.to_owned(), sound: sections.iter().all(|section| section.sound), sections }
    }

    /// The codes of everything that is wrong.
    pub fn codes(&self) -> Vec<&str> {
        let findings = self.sections.iter().flat_map(|section| &section.findings);
        findings.map(|finding| finding.code.as_str()).collect()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in &self.sections {
            let state = if section.sound { "sound" } else { "NOT SOUND" };
            let counts: Vec<String> = section.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
            writeln!(f, "{:18} {state:10} {}", section.name, counts.join(", "))?;
            for note in &section.notes {
                writeln!(f, "    note: {note}")?;
            }
            for finding in &section.findings {
                writeln!(f, "    {} ({}): {}", finding.code, finding.count, finding.meaning)?;
                for place in &finding.places {
                    writeln!(f, "        at {place}")?;
                }
                writeln!(f, "        what to do: {}", finding.remedy)?;
            }
        }
        let flaws = self.codes().len();
        match flaws {
            0 => write!(f, "{} is sound.", self.dir.display()),
            1 => write!(f, "{} is NOT sound: 1 kind of flaw.", self.dir.display()),
            _ => write!(f, "{} is NOT sound: {flaws} kinds of flaws.", self.dir.display()),
        }
    }
}

/// Checks the directory of `config` while no node runs on it, also if it cannot be opened.
///
/// # Errors
/// When nothing can be said: `STORE_LOCKED` while a node runs on it, `PASSPHRASE_WRONG`, and the configuration's own.
pub async fn offline(
    config: &Config,
    passphrase: Passphrase,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    told: impl FnMut(&str),
) -> Result<Outcome, Refusal> {
    const NO_FLAWS: [&str; 5] =
        ["STORE_LOCKED", "KEYS_LOCKED", "PASSPHRASE_WRONG", "CONFIG_OTHER_MEMBER", "START_INTERRUPTED"];
    match lifecycle::open_directory(config, passphrase, clock, entropy).await {
        Ok(target) => alone(Request::Check {}, &target, told).await,
        Err(error) if NO_FLAWS.contains(&error.code().as_str()) => Err(error.into()),
        Err(error) => {
            let mut opening = SectionReport::new("opening");
            opening.find(&error);
            opening.notes.push(format!("not walked because of this: {WALKED}"));
            Ok(CheckReport::of(&config.dir, vec![opening]).into())
        }
    }
}

/// Walks what is open, the journal and its view first.
pub(crate) async fn check(target: &Target, progress: &Progress) -> Result<Outcome, Refusal> {
    let checker = match &target.node {
        Some(node) => node.checker(),
        None => checker(target).await?,
    };
    progress.tell("reading the journal and its view");
    let mut journal = SectionReport::new("journal and view");
    let opened = target.store.report();
    if let Some(rebuilt) = &opened.rebuilt {
        journal.notes.push(format!("the view was built anew from the journal, nothing is lost: {}", rebuilt.reason));
    }
    if let Some(torn) = &opened.recovered.torn {
        let bytes = torn.bytes;
        journal.notes.push(format!("{bytes} bytes behind the last whole record were cut: never acknowledged"));
    }
    match target.store.check().await {
        Ok(report) => {
            journal.counts.insert("records".to_owned(), report.journal.records);
            journal.counts.insert("rows".to_owned(), report.rows);
            if let Some(rows) = report.snapshot {
                journal.counts.insert("rows of the snapshot before them".to_owned(), rows);
            }
        }
        Err(error) => journal.find(&error),
    }
    let told = |section: &Section| progress.tell(format!("read: {}", section.name));
    let walked = checker.check(told, || progress.is_stopped()).await?;
    let sections = std::iter::once(journal).chain(walked.iter().map(Into::into)).collect();
    Ok(CheckReport::of(&target.dir, sections).into())
}

async fn checker(target: &Target) -> Result<Checker, Refusal> {
    let card = crate::identity::read_card(&target.dir)?;
    let vault = Vault::new(target.store.clone(), target.keys.clone());
    // Where earlier cards cannot be read, the walk over the sealed values says so.
    let signing = eads_service::succession::own_keys(&vault, &card).await;
    let signing = signing.unwrap_or_else(|_| KeyLine::begin(card.card()));
    let card = card.card();
    Ok(Checker {
        member: card.member,
        register: card.register,
        signing,
        store: target.store.clone(),
        keys: target.keys.clone(),
        blobs: Arc::new(BlobStore::open(&target.dir, target.keys.clone())?),
        audit: target.audit.clone(),
        running: false,
    })
}

impl From<CheckReport> for Outcome {
    fn from(report: CheckReport) -> Self {
        Self {
            lines: report.to_string().lines().map(str::to_owned).collect(),
            sound: report.sound,
            report: serde_json::to_value(&report).unwrap_or_default(),
        }
    }
}
