//! Things that identify by themselves, in the one spelling under which they are indexed and looked up.
//!
//! Normalisation is lossy on purpose: spaces, dashes and case differ between a document and a report about it.
//! Where a type has check digits that every genuine one satisfies, a wrong one is refused as a typing error.

mod rule;

use std::fmt;
use std::str::FromStr;

use super::QueryError;

/// The longest identifier as written, in bytes.
const MAX_WRITTEN_BYTES: usize = 512;
/// Two suffice for every spelling known.
const MAX_ROUNDS: usize = 4;

/// What kind of identifier it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentifierType {
    /// Number of a passport, identity card, driving licence or other document.
    Document,
    /// Registration plate.
    Plate,
    /// Vehicle identification number (ISO 3779) or chassis number.
    Vin,
    /// IMO ship identification number.
    Imo,
    /// Maritime mobile service identity (ITU-R M.585).
    Mmsi,
    /// Address of a crypto-asset wallet.
    Wallet,
    /// Bank account, IBAN (ISO 13616) where the country uses it.
    Account,
    /// Telephone number (ITU-T E.164 where written with the country code).
    Phone,
    /// E-mail address.
    Email,
    /// Internet domain name.
    Domain,
    /// Serial number of a firearm, an engine or another object.
    Serial,
    /// Radio call sign of a vessel or aircraft (ITU Radio Regulations).
    CallSign,
    /// Registration number of an organisation.
    Registration,
    /// Name of an account at an online service.
    Username,
    /// Address of a web page.
    Url,
    /// IPv4 or IPv6 address.
    IpAddress,
    /// International mobile equipment identity (3GPP TS 23.003).
    Imei,
    /// Permanent reference number of the UN Security Council consolidated list, such as `QDi.001`.
    UnReference,
    /// Something else that identifies.
    Other,
}

impl IdentifierType {
    /// Every type.
    pub const ALL: [Self; 19] = [
        Self::Document,
        Self::Plate,
        Self::Vin,
        Self::Imo,
        Self::Mmsi,
        Self::Wallet,
        Self::Account,
        Self::Phone,
        Self::Email,
        Self::Domain,
        Self::Serial,
        Self::CallSign,
        Self::Registration,
        Self::Username,
        Self::Url,
        Self::IpAddress,
        Self::Imei,
        Self::UnReference,
        Self::Other,
    ];

    /// The code on the wire, in commands and in the slot table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Plate => "plate",
            Self::Vin => "vin",
            Self::Imo => "imo",
            Self::Mmsi => "mmsi",
            Self::Wallet => "wallet",
            Self::Account => "account",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Domain => "domain",
            Self::Serial => "serial",
            Self::CallSign => "call-sign",
            Self::Registration => "registration",
            Self::Username => "username",
            Self::Url => "url",
            Self::IpAddress => "ip-address",
            Self::Imei => "imei",
            Self::UnReference => "un-reference",
            Self::Other => "other",
        }
    }

    /// All codes, for messages.
    pub(super) fn codes() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for IdentifierType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IdentifierType {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(QueryError::IdentifierType)
    }
}

/// An identifier in its canonical spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentifierKey {
    kind: IdentifierType,
    value: String,
}

/// Something that an officer should know about an identifier that is accepted all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advisory {
    /// The check digit of a 17-character VIN is wrong. Only North America and China require it.
    VinCheckDigit,
}

impl IdentifierKey {
    /// Normalises `written` by the rules of `kind`.
    ///
    /// # Errors
    /// [`QueryError::IdentifierEmpty`], [`QueryError::TooLong`], [`QueryError::Control`],
    /// [`QueryError::IdentifierShape`], [`QueryError::IdentifierCheck`].
    pub fn new(kind: IdentifierType, written: &str) -> Result<Self, QueryError> {
        if written.len() > MAX_WRITTEN_BYTES {
            return Err(QueryError::TooLong { field: "identifier", max: MAX_WRITTEN_BYTES, unit: "bytes" });
        }
        // Case mapping can undo a normal form, so the rules are applied until nothing changes any more: then
        // what is stored and what is asked meet whichever of the spellings either side began with.
        let mut value = rule::normalise(kind, written)?;
        for _ in 0..MAX_ROUNDS {
            let next = rule::normalise(kind, &value)?;
            if next == value {
                return Ok(Self { kind, value });
            }
            value = next;
        }
        Err(QueryError::IdentifierShape { kind, expected: "letters and digits" })
    }

    /// Its type.
    pub const fn kind(&self) -> IdentifierType {
        self.kind
    }

    /// The canonical spelling.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What an officer should know about it.
    pub fn advisory(&self) -> Option<Advisory> {
        (self.kind == IdentifierType::Vin && self.value.len() == 17 && !rule::vin_check_digit_holds(&self.value))
            .then_some(Advisory::VinCheckDigit)
    }
}

#[cfg(test)]
mod tests;
