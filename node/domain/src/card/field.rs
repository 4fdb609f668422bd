//! The fields of a card that have a form of their own.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use unicode_normalization::is_nfc;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::BasicConstraints;

use super::CardError;

/// The largest trust anchor, bytes.
pub(super) const MAX_ANCHOR_BYTES: usize = 8 * 1024;
const MAX_DISPLAY_NAME_CHARS: usize = 100;
const MAX_CONTACT_CHARS: usize = 200;

/// What a member is in the federation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Standing {
    /// A full member.
    Member = 1,
    /// A partner, an organisation behind a gateway for example.
    Partner = 2,
    /// An observer: no personal data without an agreement that says so.
    Observer = 3,
}

impl Standing {
    /// The byte on a card.
    pub const fn as_byte(self) -> u8 {
        self as u8
    }

    /// From the byte on a card.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Member),
            2 => Some(Self::Partner),
            3 => Some(Self::Observer),
            _ => None,
        }
    }

    /// The word in configuration and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Partner => "partner",
            Self::Observer => "observer",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Standing {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        match text {
            "member" => Ok(Self::Member),
            "partner" => Ok(Self::Partner),
            "observer" => Ok(Self::Observer),
            _ => Err(CardError::Standing),
        }
    }
}

/// What people call a member: 1 to 100 characters, NFC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

/// How duty officers are reached, a line of free text such as a telephone number: 1 to 200 characters, NFC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DutyContact(String);

macro_rules! line {
    ($name:ident, $max:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = CardError;

            fn from_str(text: &str) -> Result<Self, CardError> {
                if is_plain_line(text, $max) { Ok(Self(text.to_owned())) } else { Err(CardError::Text) }
            }
        }
    };
}

line!(DisplayName, MAX_DISPLAY_NAME_CHARS);
line!(DutyContact, MAX_CONTACT_CHARS);

/// Direction overrides could make a card show another text than it carries.
fn is_plain_line(text: &str, max_chars: usize) -> bool {
    let hidden = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.len() <= max_chars * 4
        && (1..=max_chars).contains(&text.chars().count())
        && text.trim() == text
        && is_nfc(text)
        && !text.chars().any(hidden)
}

/// Where a listener is reached: `host:port`, an IPv6 address in brackets, lower case, the port without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// DNS name or address, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port, never 0.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Endpoint {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let (host, port) = text.rsplit_once(':').ok_or(CardError::Endpoint)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(CardError::Endpoint)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().map_err(|_| CardError::Endpoint)?.to_string(),
            None if is_host(host) => host.to_owned(),
            None => return Err(CardError::Endpoint),
        };
        let endpoint = Self { host, port };
        // One spelling only, so that a card has one encoding.
        if endpoint.to_string() == text { Ok(endpoint) } else { Err(CardError::Endpoint) }
    }
}

fn is_host(host: &str) -> bool {
    let looks_numeric = host.split('.').next_back().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if looks_numeric {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    (1..=253).contains(&host.len())
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

/// A CA certificate that a member stands for.
#[derive(Clone, PartialEq, Eq)]
pub struct Anchor(Vec<u8>);

impl Anchor {
    /// A certificate in DER, at most 8 KiB, whose basic constraints say that it is a CA (RFC 5280, 4.2.1.9).
    ///
    /// # Errors
    /// [`CardError::Anchor`].
    pub fn from_der(der: Vec<u8>) -> Result<Self, CardError> {
        if der.len() > MAX_ANCHOR_BYTES {
            return Err(CardError::Anchor);
        }
        let certificate = Certificate::from_der(&der).map_err(|_| CardError::Anchor)?;
        let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>();
        match constraints {
            Ok(Some((_critical, constraints))) if constraints.ca => Ok(Self(der)),
            _ => Err(CardError::Anchor),
        }
    }

    /// The certificate in DER.
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchor({} bytes)", self.0.len())
    }
}

/// Protocol versions that a member speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolRange {
    min: u16,
    max: u16,
}

impl ProtocolRange {
    /// `min` to `max`.
    ///
    /// # Errors
    /// [`CardError::Protocol`] if `min` is 0 or above `max`.
    pub const fn new(min: u16, max: u16) -> Result<Self, CardError> {
        if min == 0 || min > max { Err(CardError::Protocol) } else { Ok(Self { min, max }) }
    }

    /// The oldest.
    pub const fn min(self) -> u16 {
        self.min
    }

    /// The newest.
    pub const fn max(self) -> u16 {
        self.max
    }

    /// The newest version that both speak.
    pub fn newest_common(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}
