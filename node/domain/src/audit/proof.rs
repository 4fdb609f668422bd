//! What shows that a file is a range of a member's audit log: the chain through all of its entries, whose end the
//! member's register anchors, in a checkpoint that the member has signed.

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::{Countersignature, Entry, FileFormat, LABEL, Row};
use crate::card::SignedCard;
use crate::chain::{genesis, link};
use crate::encode::sha256_pae;
use crate::id::{Hash, MemberId, RegisterId};
use crate::operator::OperatorName;
use crate::register::{SignedCheckpoint, verify_inclusion};
use crate::statement::{Action, Payload, anchor_digest, leaf};

const FORMAT: &str = "eads/v1/audit-export";
/// The longest proof file, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The proof beside a file, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditProof {
    format: String,
    /// Whose log.
    pub member: MemberId,
    /// The register that anchors it.
    pub register: RegisterId,
    /// `jsonl` or `csv`.
    file_format: String,
    /// The first entry of the file.
    pub first: u64,
    /// The last one: that which the register anchors.
    pub last: u64,
    /// The last entry of the range that was asked for; those behind it lead to the anchor.
    pub asked_last: u64,
    /// The chain before the first entry.
    pub before: Hash,
    /// The chain after the last one.
    pub after: Hash,
    /// The anchor in the register.
    pub anchor: AnchorProof,
    /// The auditors' signatures over entries of the file.
    pub countersignatures: Vec<Countersignature>,
    /// The key that signed the checkpoint, in hexadecimal digits: the card's.
    signing_key: String,
    /// The member's signed card, armoured.
    card: String,
    steps: Vec<String>,
}

/// An anchor with what leads to a signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorProof {
    /// Where it stands in the register.
    pub index: u64,
    /// The statement's payload, in hexadecimal digits.
    pub payload: String,
    /// The RFC 9162 inclusion proof, from the leaf upwards.
    pub inclusion: Vec<Hash>,
    /// The signed checkpoint that it leads to.
    pub checkpoint: String,
}

const STEPS: &[&str] = &[
    "chain(0) = SHA-256(PAE(\"eads/v1/journal-genesis\", \"eads/v1/audit\")); chain(n) = SHA-256(PAE(\"eads/v1/journal\", \
     chain(n-1), u64 n, entry)), entry being the bytes that stand in the file. Begin with before; each line's chain \
     must come out, its sequence be one more than that of the line above, and the last be after.",
    "The anchor's payload has action 8 in byte 1 and in bytes 154 to 186 SHA-256(PAE(\"eads/v1/anchor\", u64 last || \
     after)).",
    "D = SHA-256(PAE(\"eads/v1/statement\", payload)), leaf = SHA-256(0x00 || D); inclusion leads from it to the \
     checkpoint's root (RFC 9162 2.1.3.2).",
    "Verify the checkpoint as a C2SP signed note with the member's signing key, signing_key, \
     which you know by another channel: card is the member's self-signed card.",
];

/// Why a file is not what its proof says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FileFinding {
    /// The first bad entry; 0 if it is the proof itself that is bad.
    pub sequence: u64,
    /// What is wrong with it.
    pub text: String,
}

impl FileFinding {
    fn at(sequence: u64, text: impl Into<String>) -> Self {
        Self { sequence, text: text.into() }
    }
}

/// What a sound file shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries in it.
    pub entries: u64,
    /// Intents in it that no entry of it ends.
    pub unfinished: u64,
    /// The register's size in the checkpoint that covers it.
    pub register_size: u64,
    /// The auditors who signed for entries of it, and up to which entry.
    pub countersigned: Vec<(OperatorName, u64)>,
}

impl AuditProof {
    /// A proof of `file_format` for the entries from `first` to `last`, whose chain goes from `before` to `after`.
    pub fn new(
        card: &SignedCard,
        file_format: FileFormat,
        (first, last, asked_last): (u64, u64, u64),
        (before, after): (Hash, Hash),
        anchor: AnchorProof,
        countersignatures: Vec<Countersignature>,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            member: card.card().member,
            register: card.card().register,
            file_format: file_format.as_str().to_owned(),
            first,
            last,
            asked_last,
            before,
            after,
            anchor,
            countersignatures,
            signing_key: hex::encode(card.card().signing_key.as_bytes()),
            card: card.to_armor(),
            steps: STEPS.iter().map(|step| (*step).to_owned()).collect(),
        }
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// Never in practice: every field is text or a number.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the file's bytes; nothing is verified.
    ///
    /// # Errors
    /// [`FileFinding`] for another format.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileFinding> {
        let proof = (bytes.len() <= MAX_BYTES).then(|| serde_json::from_slice::<Self>(bytes).ok()).flatten();
        let proof = proof.ok_or_else(|| FileFinding::at(0, "the proof cannot be read"))?;
        if proof.format != FORMAT {
            return Err(FileFinding::at(0, format!("the proof is of another format: {}", proof.format)));
        }
        Ok(proof)
    }

    /// The card in the proof, which vouches for nothing by itself.
    ///
    /// # Errors
    /// [`FileFinding`] if it is none.
    pub fn card(&self) -> Result<SignedCard, FileFinding> {
        SignedCard::from_armor(&self.card).map_err(|error| FileFinding::at(0, format!("the proof's card: {error}")))
    }

    /// How the file beside it is written.
    ///
    /// # Errors
    /// [`FileFinding`] for another format.
    pub fn file_format(&self) -> Result<FileFormat, FileFinding> {
        self.file_format.parse().map_err(|()| FileFinding::at(0, "the proof is about a file of another format"))
    }

    /// Whether the register of the card's member anchors the last entry, under the card's key. The register's size.
    fn check_anchor(&self, card: &SignedCard) -> Result<u64, FileFinding> {
        let bad = |text: &str| FileFinding::at(0, text);
        let card = card.card();
        if (self.member, self.register) != (card.member, card.register) {
            return Err(bad("the proof is about another member's log than the card"));
        }
        if self.signing_key != hex::encode(card.signing_key.as_bytes()) {
            return Err(bad("the proof names another signing key than the card"));
        }
        let payload = hex::decode(&self.anchor.payload).ok();
        let payload = payload.as_deref().and_then(|bytes| Some((bytes, Payload::parse(bytes).ok()?)));
        let (bytes, payload) = payload.ok_or_else(|| bad("the anchor cannot be read"))?;
        let head = [self.last.to_be_bytes().as_slice(), self.after.as_bytes()].concat();
        let named = (payload.action, payload.origin, payload.register, payload.detail);
        if named != (Action::Anchor, self.member, self.register, anchor_digest(&head)) {
            return Err(bad("the anchor is not one of the last entry"));
        }
        let note = self.anchor.checkpoint.as_bytes();
        let key: &VerifyingKey = &card.signing_key;
        let checkpoint = SignedCheckpoint::verify(note, self.member, self.register, key)
            .map_err(|error| FileFinding::at(0, format!("the checkpoint: {error}")))?;
        let checkpoint = checkpoint.checkpoint();
        let entry = leaf(&sha256_pae(&[b"eads/v1/statement", bytes]));
        let path = &self.anchor.inclusion;
        verify_inclusion(entry, self.anchor.index, checkpoint.size, path, checkpoint.root)
            .map_err(|error| FileFinding::at(0, format!("the anchor: {error}")))?;
        Ok(checkpoint.size)
    }
}

/// Checks a file line by line against its proof.
#[derive(Debug)]
pub struct FileChecker<'a> {
    proof: &'a AuditProof,
    card: &'a SignedCard,
    /// After the last line.
    sequence: u64,
    chain: Hash,
    register_size: u64,
    open: std::collections::BTreeSet<u64>,
    countersigned: Vec<(OperatorName, u64)>,
}

impl<'a> FileChecker<'a> {
    /// Checks the proof itself against the card that the caller trusts.
    ///
    /// # Errors
    /// [`FileFinding`] with sequence 0.
    pub fn begin(proof: &'a AuditProof, card: &'a SignedCard) -> Result<Self, FileFinding> {
        let register_size = proof.check_anchor(card)?;
        let sequence = proof.first.checked_sub(1).ok_or_else(|| FileFinding::at(0, "entries count from 1"))?;
        if sequence == 0 && proof.before != genesis(LABEL) {
            return Err(FileFinding::at(0, "the chain does not begin where every log begins"));
        }
        let (open, countersigned) = (std::collections::BTreeSet::new(), Vec::new());
        Ok(Self { proof, card, sequence, chain: proof.before, register_size, open, countersigned })
    }

    /// The next line of a JSON Lines file, without its end.
    ///
    /// # Errors
    /// [`FileFinding`] with the first bad entry.
    pub fn json_line(&mut self, line: &str) -> Result<(), FileFinding> {
        let row = Row::from_json_line(line);
        self.row(row)
    }

    /// The fields of the next CSV record behind the names.
    ///
    /// # Errors
    /// [`FileFinding`] with the first bad entry.
    pub fn csv_record(&mut self, fields: &[&str]) -> Result<(), FileFinding> {
        self.row(Row::from_csv(fields))
    }

    fn row(&mut self, row: Option<Row>) -> Result<(), FileFinding> {
        let due = self.sequence + 1;
        let Some(row) = row else {
            return Err(FileFinding::at(due, "the line is not an entry, or says something else than its entry"));
        };
        if row.sequence != due {
            let text = format!("entry {due} is missing here: the line is of entry {}", row.sequence);
            return Err(FileFinding::at(due, text));
        }
        if due > self.proof.last {
            return Err(FileFinding::at(due, "the file goes on behind the last entry that the proof covers"));
        }
        if link(&self.chain, due, row.payload.as_bytes()) != row.chain {
            return Err(FileFinding::at(due, "the chain is broken: the entry or its chain was changed"));
        }
        let entry = Entry::parse(row.payload.as_bytes());
        let entry = entry.map_err(|_| FileFinding::at(due, "the entry cannot be read"))?;
        match entry.intent {
            Some(intent) => self.open.remove(&intent),
            None => entry.kind == super::EntryKind::Intent && self.open.insert(due),
        };
        (self.sequence, self.chain) = (due, row.chain);
        self.check_countersignatures()
    }

    /// Those over the entry that was read last.
    fn check_countersignatures(&mut self) -> Result<(), FileFinding> {
        let (member, register) = (self.proof.member, self.proof.register);
        let here = |each: &&Countersignature| each.sequence == self.sequence;
        for each in self.proof.countersignatures.iter().filter(here) {
            if each.chain != self.chain {
                return Err(FileFinding::at(self.sequence, "an auditor signed for another entry here"));
            }
            let auditor = each.verify(member, register, self.card.card().operator_anchor.as_der());
            let auditor = auditor.map_err(|error| FileFinding::at(0, format!("a countersignature: {error}")))?;
            self.countersigned.push((auditor, each.sequence));
        }
        Ok(())
    }

    /// At the file's end: whether all of it was there.
    ///
    /// # Errors
    /// [`FileFinding`] with the first missing entry.
    pub fn finish(self) -> Result<Verified, FileFinding> {
        if self.sequence < self.proof.last {
            let text = format!("the file ends before entry {}", self.proof.last);
            return Err(FileFinding::at(self.sequence + 1, text));
        }
        if self.chain != self.proof.after {
            return Err(FileFinding::at(self.proof.last, "the chain does not lead to what the register anchors"));
        }
        Ok(Verified {
            entries: self.sequence + 1 - self.proof.first,
            unfinished: self.open.len() as u64,
            register_size: self.register_size,
            countersigned: self.countersigned,
        })
    }
}
