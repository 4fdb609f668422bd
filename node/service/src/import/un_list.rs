//! The consolidated list of the United Nations Security Council, read as a stream.
//!
//! Promises: every `INDIVIDUAL` and `ENTITY` of the file comes out once, as an entry or as a rejection with its
//! line and reason; a file that is not the list, is cut off, or is dangerous (`xml`) is an error, and what came
//! out before the error must then not be used, for it is not the whole list. It does not fetch the file and
//! does not know what was imported before: an unchanged entry has an unchanged [`content_digest`].

mod content;
mod countries;
mod entry;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::BufRead;

use eads_domain::code::{Code, Coded, Fault};

pub use super::xml::XmlError;
pub use content::{content_digest, to_content};
pub use entry::{
    AliasQuality, UnAlias, UnBirthDate, UnCountry, UnDocument, UnDocumentType, UnEntry, UnKind, UnPlace, Warning,
};

use super::xml::{Step, XmlReader};
use crate::import::Rejection;

/// The most entries a file may hold; the list has about a thousand.
pub const MAX_ENTRIES: usize = 100_000;

/// A file that cannot be used as a whole.
#[derive(Debug, thiserror::Error)]
pub enum UnListError {
    /// Refused as XML.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The root element is another.
    #[error("line {line}: this is not the consolidated list: its root element is not CONSOLIDATED_LIST")]
    Root {
        /// Line.
        line: u64,
    },
    /// The root has neither `INDIVIDUALS` nor `ENTITIES`.
    #[error("line {line}: the list has neither INDIVIDUALS nor ENTITIES")]
    Empty {
        /// Line.
        line: u64,
    },
    /// More than [`MAX_ENTRIES`].
    #[error("line {line}: more than {MAX_ENTRIES} entries")]
    TooMany {
        /// Line.
        line: u64,
    },
}

impl Coded for UnListError {
    fn code(&self) -> Code {
        match self {
            Self::Xml(error) => error.code(),
            Self::Root { .. } => Code::new("UN_LIST_ROOT"),
            Self::Empty { .. } => Code::new("UN_LIST_EMPTY"),
            Self::TooMany { .. } => Code::new("UN_LIST_TOO_MANY"),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Xml(error) => error.fault(),
            _ => Fault::Caller,
        }
    }
}

/// What one element of the list became.
pub type UnOutcome = Result<Box<UnEntry>, Rejection>;

/// Reads the list entry by entry; ends after the first error.
pub struct UnListReader<R> {
    xml: XmlReader<R>,
    place: Place,
    sections: usize,
    seen: HashSet<u64>,
    references: HashSet<String>,
    count: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Root,
    Section(UnKind),
    Finished,
}

impl<R: BufRead> UnListReader<R> {
    /// Reads from `source`.
    pub fn new(source: R) -> Self {
        Self {
            xml: XmlReader::new(source),
            place: Place::Start,
            sections: 0,
            seen: HashSet::new(),
            references: HashSet::new(),
            count: 0,
        }
    }

    fn advance(&mut self) -> Result<Option<UnOutcome>, UnListError> {
        loop {
            let step = self.xml.step()?;
            let line = self.xml.line();
            match (self.place, step) {
                (Place::Start, Step::Open { name, .. }) if name == "CONSOLIDATED_LIST" => self.place = Place::Root,
                (Place::Start, _) => return Err(UnListError::Root { line }),
                (Place::Root, Step::Open { name, line }) => match name.as_str() {
                    "INDIVIDUALS" => self.enter(UnKind::Person),
                    "ENTITIES" => self.enter(UnKind::Entity),
                    _ => return self.unknown(name, line).map(Some),
                },
                (Place::Section(kind), Step::Open { name, line }) => {
                    let expected = if kind == UnKind::Person { "INDIVIDUAL" } else { "ENTITY" };
                    if name != expected {
                        return self.unknown(name, line).map(Some);
                    }
                    return self.entry(kind, name, line).map(Some);
                }
                (Place::Section(_), Step::Close) => self.place = Place::Root,
                (Place::Root, Step::Close) => self.place = Place::Finished,
                (Place::Finished, Step::End) if self.sections == 0 => return Err(UnListError::Empty { line }),
                (Place::Finished, Step::End) => return Ok(None),
                // White space between elements, and text where the list has none.
                _ => {}
            }
        }
    }

    fn enter(&mut self, kind: UnKind) {
        self.sections += 1;
        self.place = Place::Section(kind);
    }

    fn entry(&mut self, kind: UnKind, name: String, line: u64) -> Result<UnOutcome, UnListError> {
        self.count += 1;
        if self.count > MAX_ENTRIES {
            return Err(UnListError::TooMany { line });
        }
        let element = self.xml.element(name, line)?;
        Ok(UnEntry::from_element(kind, &element).and_then(|entry| {
            let fresh = self.seen.insert(entry.data_id);
            if self.references.insert(entry.reference.clone()) && fresh {
                return Ok(Box::new(entry));
            }
            Err(Rejection {
                line,
                key: Some(entry.reference),
                code: Code::new("UN_DUPLICATE"),
                reason: "an entry with this DATAID or REFERENCE_NUMBER came before; the first is used".to_owned(),
            })
        }))
    }

    /// Reads over an element that has no place here, and says so.
    fn unknown(&mut self, name: String, line: u64) -> Result<UnOutcome, UnListError> {
        self.xml.element(name, line)?;
        Ok(Err(Rejection {
            line,
            key: None,
            code: Code::new("UN_ELEMENT_UNKNOWN"),
            reason: "an element that is neither INDIVIDUAL nor ENTITY in its section".to_owned(),
        }))
    }
}

impl<R: BufRead> Iterator for UnListReader<R> {
    type Item = Result<UnOutcome, UnListError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place == Place::Finished {
            return None;
        }
        let result = self.advance();
        if !matches!(result, Ok(Some(_))) {
            self.place = Place::Finished;
        }
        result.transpose()
    }
}

/// The whole list.
#[derive(Debug, Default)]
pub struct UnList {
    /// What can be used.
    pub entries: Vec<UnEntry>,
    /// What cannot, and why.
    pub rejections: Vec<Rejection>,
}

/// Reads a whole list.
///
/// # Errors
/// [`UnListError`] if the file as a whole cannot be trusted to be the list.
pub fn read_un_list(source: impl BufRead) -> Result<UnList, UnListError> {
    let mut list = UnList::default();
    for outcome in UnListReader::new(source) {
        match outcome? {
            Ok(entry) => list.entries.push(*entry),
            Err(rejection) => list.rejections.push(rejection),
        }
    }
    Ok(list)
}
