//! What a check found: counts, and flaws by a stable code with a meaning and a remedy.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Places that are remembered of one flaw, to find them again in a second walk.
const REMEMBERED: usize = 1000;
/// Places that are shown of one flaw.
const SHOWN: usize = 5;

const RESTORE: &str = "restore the node from its backup; the peers give back what was added since";
const REPLACE: &str = "remove the peer and accept it again, or restore the backup: what a peer sent is fetched again";
const KEEP: &str = "stop the node, keep a copy of the directory, and restore the backup";
const REPORT: &str = "no notice is lost by it; keep a copy of the directory and report it to the makers";

/// Code, meaning, remedy.
const TABLE: &[(&str, &str, &str)] = &[
    ("ANCHOR_DIFFERS", "the audit log is not the one whose head was put into the register", KEEP),
    ("AUDIT_CUT", "the audit log ends before an entry whose head was put into the register", KEEP),
    ("AUDIT_DAMAGED", "the audit log's chain is broken at this entry", KEEP),
    ("BLOB_DIFFERS", "a sealed file is not the one that its row names", RESTORE),
    (
        "BLOB_LOST",
        "a photograph of a peer is not here, and nothing fetches it",
        "start the node again: it is fetched anew",
    ),
    ("BLOB_MISSING", "a row names a sealed file that is not there", RESTORE),
    ("CHECKPOINT_INVALID", "the signed checkpoint does not verify", RESTORE),
    ("CHECKPOINT_MISSING", "a register has entries and no signed checkpoint", RESTORE),
    ("CONTENT_LEFT", "a content that counts as destroyed can still be read", "run the node: if it stays, report it"),
    ("CONTENT_MISSING", "the content of an entry is gone without a withdrawal or an end of validity", RESTORE),
    ("CONTENT_ORPHAN", "a sealed content belongs to nothing, so nothing will ever destroy it", REPORT),
    ("CURSOR_DIFFERS", "the cursor of a peer's register is not where its leaves end", REPLACE),
    ("DELIVERY_GAP", "a delivery log has a gap, so that its peer would not get past it", RESTORE),
    ("DELIVERY_ORPHAN", "a delivery names an entry that the register does not have", RESTORE),
    ("DELIVERY_URGENT", "the chain of urgent entries of a delivery log is broken: one may come late", RESTORE),
    ("ENTRY_DIFFERS", "an entry, its version and its statement do not say the same", RESTORE),
    ("ENTRY_MISSING", "an entry of the own register is missing", RESTORE),
    ("ENTRY_UNSIGNED", "the register has entries behind its signed checkpoint", RESTORE),
    ("EXPIRY_MISSING", "nothing will end this notice when its validity is over", RESTORE),
    ("EXPIRY_ORPHAN", "an end of validity belongs to no notice", REPORT),
    ("HEAD_DIFFERS", "the head of a notice is not what its versions say", RESTORE),
    ("HOLDING_DIFFERS", "what a peer was sent is not what the register has at this index", RESTORE),
    ("HOLDING_MISSING", "a delivery without a row for its receipt: its purge could not be followed", RESTORE),
    ("KEYS_DAMAGED", "a file of the key tree is not what was written", KEEP),
    ("KEY_ALIVE", "a content counts as destroyed and its key does not", "run the node: if it stays, report it"),
    ("KEY_UNKNOWN", "a value names a key that was never handed out: keys and data are not of one age", KEEP),
    ("LEAF_MISSING", "leaves of a peer's register are missing", REPLACE),
    ("PART_ORPHAN", "a part of a sealed value that is there no more", REPORT),
    ("PEER_UNREADABLE", "a peer's card or agreement cannot be read", RESTORE),
    ("PURGE_MISSING", "an ended notice still has its content, and nothing will destroy it", RESTORE),
    ("RECEIPT_INVALID", "a receipt is not signed by the peer that it is filed under", RESTORE),
    ("RECORD_MISPLACED", "a record stands under another record's key", "import the register of records again"),
    ("REFERENCE_MISSING", "a notice cannot be found by its reference", RESTORE),
    ("ROOT_DIFFERS", "the leaves do not have the root that was signed", RESTORE),
    ("ROW_UNREADABLE", "a row cannot be read", RESTORE),
    ("STATEMENT_INVALID", "a statement does not verify: signature, leaf or commitments", RESTORE),
    ("VALUE_DAMAGED", "a sealed value does not open, or stands where it was not put", RESTORE),
    ("VALUE_LOST", "the key of a value that is in use was destroyed", RESTORE),
    ("VERSION_MISSING", "an entry or notice names a version that is not there", RESTORE),
    ("VERSION_ORPHAN", "a version names an entry that the register does not have", RESTORE),
    ("WALK_STOPPED", "the walk could not go on: the rest of this section is unread", "mend what it names, check again"),
];

/// One flaw, at one or more places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable.
    pub code: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// At how many places.
    pub count: u64,
    /// The first of them.
    pub places: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    count: u64,
    remembered: BTreeSet<String>,
}

/// One part of the node: what was walked, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What was walked: a word and how many.
    pub counts: BTreeMap<&'static str, u64>,
    pub(super) findings: BTreeMap<&'static str, Places>,
}

impl Section {
    /// Nothing walked yet.
    pub const fn new(name: &'static str) -> Self {
        Self { name, counts: BTreeMap::new(), findings: BTreeMap::new() }
    }

    /// Counts `more` of something.
    pub fn count(&mut self, what: &'static str, more: u64) {
        *self.counts.entry(what).or_insert(0) += more;
    }

    /// Notes a flaw at a place; `place` holds no personal data.
    pub fn find(&mut self, code: &'static str, place: impl Into<String>) {
        let places = self.findings.entry(code).or_default();
        places.count += 1;
        if places.remembered.len() < REMEMBERED {
            places.remembered.insert(place.into());
        }
    }

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// What is wrong, by code.
    pub fn findings(&self) -> Vec<Finding> {
        let finding = |(code, places): (&&'static str, &Places)| {
            let known = TABLE.iter().find(|(known, ..)| known == code);
            let (_, meaning, remedy) = known.copied().unwrap_or((code, "a part of the node is not sound", KEEP));
            let shown = places.remembered.iter().take(SHOWN).cloned().collect();
            Finding { code, meaning, remedy, count: places.count, places: shown }
        };
        self.findings.iter().map(finding).collect()
    }

    /// This section with only those flaws that `again`, a later walk, found at the same places.
    pub(super) fn confirmed_by(self, again: Self) -> Self {
        let mut confirmed = Self { findings: BTreeMap::new(), ..again };
        for (code, first) in self.findings {
            let Some(second) = again.findings.get(code) else { continue };
            let both: BTreeSet<String> = first.remembered.intersection(&second.remembered).cloned().collect();
            if !both.is_empty() {
                let all = first.count.min(second.count);
                let count = if both.len() < REMEMBERED { both.len() as u64 } else { all };
                confirmed.findings.insert(code, Places { count, remembered: both });
            }
        }
        confirmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_order_and_once() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn what_a_second_walk_does_not_find_at_the_same_place_does_not_count() {
        let mut first = Section::new("test");
        first.find("ENTRY_MISSING", "1");
        first.find("ENTRY_MISSING", "2");
        first.find("ROOT_DIFFERS", "1");
        let mut second = Section::new("test");
        second.count("entries", 3);
        second.find("ENTRY_MISSING", "2");
        second.find("ENTRY_MISSING", "3");
        second.find("LEAF_MISSING", "1");
        let confirmed = first.confirmed_by(second);
        let found = confirmed.findings();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].code, found[0].count, found[0].places.as_slice()),
            ("ENTRY_MISSING", 1, &["2".to_owned()][..])
        );
        assert_eq!(confirmed.counts["entries"], 3);
    }
}
