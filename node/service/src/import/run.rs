//! What the formats share: keys that were seen, values to records, and what an earlier run reported already.

use std::collections::HashSet;

use eads_domain::code::{Code, Coded};
use eads_domain::record::{Record, RecordKey};
use eads_domain::slot::SlotNumber;
use eads_domain::value::{PartialDate, Value};

use super::cell::Problem;
use super::split::Piece;
use super::{ImportOptions, Mapping, Parsed, Rejection};

const DAY_SECONDS: i64 = 86_400;

pub(super) struct Run {
    pub(super) mapping: Mapping,
    pub(super) today: Option<PartialDate>,
    resume_after: u64,
    /// The first half of their ids: more than enough to tell them apart, and half the memory.
    seen: HashSet<[u8; 16]>,
}

impl Run {
    pub(super) fn new(options: ImportOptions) -> Self {
        // Where the day begins first it is a day later than in UTC at most.
        let tomorrow = options.now.plus_seconds(DAY_SECONDS).to_string();
        let today = tomorrow.get(..10).and_then(|day| day.parse().ok());
        Self { mapping: options.mapping, today, resume_after: options.resume_after, seen: HashSet::new() }
    }

    /// A record from its key and its values, each of which may have a problem; every problem is told.
    pub(super) fn record(
        &mut self,
        line: u64,
        key: Option<&str>,
        values: impl IntoIterator<Item = (SlotNumber, Result<Value, Problem>)>,
    ) -> Result<Record, Rejection> {
        let key: RecordKey = key.unwrap_or_default().parse().map_err(|error| reject(line, None, &[coded(&error)]))?;
        let mut fields = self.mapping.constants.clone();
        let mut problems = Vec::new();
        for (slot, value) in values {
            match value {
                Ok(value) => fields.push((slot, value)),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(reject(line, Some(&key), &problems));
        }
        let id = Record::id_of(self.mapping.source(), &key);
        let id = id.as_bytes().first_chunk::<16>().copied().unwrap_or_default();
        if self.seen.contains(&id) {
            let problem = Problem::new("RECORD_DUPLICATE", "a record with this key came before; the first is used");
            return Err(reject(line, Some(&key), &[problem]));
        }
        let record = Record::build(self.mapping.source().clone(), key.clone(), self.mapping.subject(), fields)
            .map_err(|error| reject(line, Some(&key), &[coded(&error)]))?;
        self.seen.insert(id);
        Ok(record)
    }

    /// What became of a piece; none if an earlier run reported it.
    pub(super) fn report(&self, piece: &Piece, outcome: Result<Record, Rejection>) -> Option<Parsed> {
        let fresh = piece.byte_end > self.resume_after;
        fresh.then_some(Parsed { byte_end: piece.byte_end, line: piece.line, outcome })
    }
}

pub(super) fn reject(line: u64, key: Option<&RecordKey>, problems: &[Problem]) -> Rejection {
    let reasons: Vec<&str> = problems.iter().map(|problem| problem.reason.as_str()).collect();
    Rejection {
        line,
        key: key.map(ToString::to_string),
        code: problems.first().map_or(Code::new("RECORD_REJECTED"), |problem| problem.code),
        reason: reasons.join("; "),
    }
}

fn coded(error: &impl Coded) -> Problem {
    Problem { code: error.code(), reason: error.to_string() }
}

/// The problem of a piece that is no record.
pub(super) fn too_long() -> Problem {
    Problem::new("RECORD_TOO_LONG", "the record is longer than 256 KiB")
}
