//! What a notice is about, and what kind of notice it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::code::{Code, Coded, Fault};

/// A word that names neither a subject type nor a notice kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubject {
    /// Not a subject type.
    #[error(
        "a subject is one of person, organisation, body, document, vehicle, vessel, firearm, asset, identifier, \
         modus-operandi"
    )]
    Subject,
    /// Not a notice kind.
    #[error(
        "a kind is one of red, blue, green, yellow, black, orange, purple, silver, un, document, vehicle, vessel, \
         firearm"
    )]
    Kind,
}

impl Coded for InvalidSubject {
    fn code(&self) -> Code {
        match self {
            Self::Subject => Code::new("SUBJECT_TYPE_UNKNOWN"),
            Self::Kind => Code::new("NOTICE_KIND_UNKNOWN"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// What a notice or record is about (slot 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SubjectType {
    /// A person.
    Person,
    /// A company, group or other entity.
    Organisation,
    /// An unidentified body.
    Body,
    /// A travel or identity document.
    Document,
    /// A road vehicle.
    Vehicle,
    /// A ship or boat.
    Vessel,
    /// A firearm.
    Firearm,
    /// An asset: property, account balance, work of art.
    Asset,
    /// An account, wallet, telephone number, domain or the like.
    Identifier,
    /// A way in which crimes are committed.
    ModusOperandi,
}

impl SubjectType {
    /// All of them, in the order of the slot table.
    pub const ALL: [Self; 10] = [
        Self::Person,
        Self::Organisation,
        Self::Body,
        Self::Document,
        Self::Vehicle,
        Self::Vessel,
        Self::Firearm,
        Self::Asset,
        Self::Identifier,
        Self::ModusOperandi,
    ];

    /// The word for it in values, on the wire and in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Organisation => "organisation",
            Self::Body => "body",
            Self::Document => "document",
            Self::Vehicle => "vehicle",
            Self::Vessel => "vessel",
            Self::Firearm => "firearm",
            Self::Asset => "asset",
            Self::Identifier => "identifier",
            Self::ModusOperandi => "modus-operandi",
        }
    }

    /// Whether its notices are personal data whose four-eyes approval is never optional.
    ///
    /// True for persons and bodies, and for documents, which carry their holder's name.
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::Person | Self::Body | Self::Document)
    }
}

/// The kind of a notice (slot 1): INTERPOL's colours, `un`, and one kind for each sort of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NoticeKind {
    /// Wanted for prosecution or to serve a sentence.
    Red,
    /// Locate, identify or learn more.
    Blue,
    /// Warning about criminal activities.
    Green,
    /// Missing person.
    Yellow,
    /// Unidentified body.
    Black,
    /// Imminent threat.
    Orange,
    /// Modus operandi.
    Purple,
    /// Criminal assets.
    Silver,
    /// Listed by the UN Security Council: information, not a warrant.
    Un,
    /// Stolen, lost, revoked, blank or withheld travel document.
    Document,
    /// Wanted vehicle.
    Vehicle,
    /// Wanted vessel.
    Vessel,
    /// Wanted firearm.
    Firearm,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Red,
        Self::Blue,
        Self::Green,
        Self::Yellow,
        Self::Black,
        Self::Orange,
        Self::Purple,
        Self::Silver,
        Self::Un,
        Self::Document,
        Self::Vehicle,
        Self::Vessel,
        Self::Firearm,
    ];

    /// The word for it in values, on the wire and in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Blue => "blue",
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Black => "black",
            Self::Orange => "orange",
            Self::Purple => "purple",
            Self::Silver => "silver",
            Self::Un => "un",
            Self::Document => "document",
            Self::Vehicle => "vehicle",
            Self::Vessel => "vessel",
            Self::Firearm => "firearm",
        }
    }

    /// Whether acting on it takes somebody's liberty or papers (DESIGN §5): a stale copy then says "confirm
    /// with the owner first".
    pub const fn is_coercive(self) -> bool {
        matches!(self, Self::Red | Self::Document)
    }
}

macro_rules! word {
    ($name:ident, $error:ident :: $variant:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(word: &str) -> Result<Self, $error> {
                Self::ALL.into_iter().find(|each| each.as_str() == word).ok_or($error::$variant)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(word: String) -> Result<Self, $error> {
                word.parse()
            }
        }

        impl From<$name> for String {
            fn from(each: $name) -> Self {
                each.as_str().to_owned()
            }
        }
    };
}

word!(SubjectType, InvalidSubject::Subject);
word!(NoticeKind, InvalidSubject::Kind);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_and_kind_is_read_back_from_its_word() {
        for subject in SubjectType::ALL {
            assert_eq!(subject.as_str().parse(), Ok(subject));
        }
        for kind in NoticeKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("Red".parse::<NoticeKind>(), Err(InvalidSubject::Kind));
        assert_eq!("".parse::<SubjectType>(), Err(InvalidSubject::Subject));
    }

    #[test]
    fn only_wanted_persons_and_documents_are_coercive() {
        let coercive: Vec<_> = NoticeKind::ALL.into_iter().filter(|kind| kind.is_coercive()).collect();
        assert_eq!(coercive, [NoticeKind::Red, NoticeKind::Document]);
    }
}
