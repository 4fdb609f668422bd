//! The reference by which people cite a notice: `ID-2026-7K3QX9-5` (DESIGN §5).
//!
//! Member, year, six random characters of Crockford's base32 alphabet, and an ISO 7064 MOD 37,36 check
//! character over letters and digits. The check catches every single wrong character; of swaps of neighbours
//! it misses only those that the scheme cannot see (under one in six hundred, tested below). Random, so that a
//! reference tells nobody how many notices there are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::code::{Code, Coded, Fault};
use crate::entropy::{Entropy, random};
use crate::id::MemberId;

/// Crockford's base32 alphabet: no I, L, O, U.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// The characters that the check is computed over and drawn from.
const ALPHANUMERIC: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A notice's reference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    member: MemberId,
    year: u16,
    random: [u8; 6],
}

impl Reference {
    /// A fresh reference of `member` in `year` (brought into 1000 to 9999). It is the caller's to see that it has not been used.
    pub fn generate(member: MemberId, year: u16, entropy: &dyn Entropy) -> Self {
        // 32 divides 256: the low five bits are unbiased.
        let random = random::<6>(entropy).map(|byte| CROCKFORD.get(usize::from(byte & 31)).copied().unwrap_or(b'0'));
        Self { member, year: year.clamp(1000, 9999), random }
    }

    /// Whose notice it is.
    pub const fn member(self) -> MemberId {
        self.member
    }

    /// The year in which the notice was first issued.
    pub const fn year(self) -> u16 {
        self.year
    }

    fn body(self) -> String {
        self.random.iter().copied().map(char::from).collect()
    }

    fn check_character(self) -> char {
        check_character(format!("{}{:04}{}", self.member, self.year, self.body()).bytes())
    }
}

/// ISO/IEC 7064 MOD 37,36 over capital letters and digits.
fn check_character(text: impl Iterator<Item = u8>) -> char {
    let product = text.fold(36, |product, byte| {
        let value = ALPHANUMERIC.iter().position(|each| *each == byte).unwrap_or(0);
        match (product + value) % 36 {
            0 => 36 * 2 % 37,
            sum => sum * 2 % 37,
        }
    });
    // The check makes the last sum 1 modulo 36.
    let check = (37 - product) % 36;
    ALPHANUMERIC.get(check).copied().map_or('0', char::from)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:04}-{}-{}", self.member, self.year, self.body(), self.check_character())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    /// Reads a reference in capital or small letters; in the random part O is read as 0, I and L as 1.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let text = text.to_ascii_uppercase();
        let mut parts = text.split('-');
        let (Some(member), Some(year), Some(body), Some(check), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidReference::Form);
        };
        let member: MemberId = member.parse().map_err(|_| InvalidReference::Form)?;
        if year.len() != 4 || !year.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidReference::Form);
        }
        let year: u16 = year.parse().map_err(|_| InvalidReference::Form)?;
        let body: [u8; 6] = body.as_bytes().try_into().map_err(|_| InvalidReference::Form)?;
        let random = body.map(|byte| match byte {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            byte => byte,
        });
        if year < 1000 || !random.iter().all(|byte| CROCKFORD.contains(byte)) {
            return Err(InvalidReference::Form);
        }
        let reference = Self { member, year, random };
        match check.as_bytes() {
            [byte] if ALPHANUMERIC.contains(byte) => {
                if char::from(*byte) == reference.check_character() {
                    Ok(reference)
                } else {
                    Err(InvalidReference::Check)
                }
            }
            _ => Err(InvalidReference::Form),
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, InvalidReference> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

/// Why a text is not a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Not of the form.
    #[error("a reference looks like ID-2026-7K3QX9-5: member, year, six characters, check")]
    Form,
    /// Of the form, but mistyped.
    #[error("the reference's check character does not fit: one of its characters is wrong")]
    Check,
}

impl Coded for InvalidReference {
    fn code(&self) -> Code {
        match self {
            Self::Form => Code::new("REFERENCE_INVALID"),
            Self::Check => Code::new("REFERENCE_CHECK_FAILED"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn samples() -> Vec<Reference> {
        let entropy = SeededEntropy::new("references");
        let members = ["ID", "MY", "TH", "VN", "XI"];
        members.iter().cycle().take(60).map(|m| Reference::generate(m.parse().unwrap(), 2026, &entropy)).collect()
    }

    #[test]
    fn a_reference_is_read_back_from_its_text() {
        for reference in samples() {
            assert_eq!(reference.to_string().parse(), Ok(reference));
            assert_eq!(reference.to_string().to_ascii_lowercase().parse(), Ok(reference));
        }
    }

    #[test]
    fn the_check_is_that_of_the_standard() {
        // ISO/IEC 7064 MOD 37,36, as used by the Global Release Identifier: A1-2425G-ABC1234002-M.
        assert_eq!(check_character(b"A12425GABC1234002".iter().copied()), 'M');
    }

    #[test]
    fn confusable_letters_are_read_in_the_random_part_only() {
        let reference = Reference { member: "ID".parse().unwrap(), year: 2026, random: *b"10A0B1" };
        let check = reference.check_character();
        assert_eq!(format!("id-2026-iOaob{}-{check}", 'l').parse(), Ok(reference));
        assert_eq!(format!("1D-2026-10A0B1-{check}").parse::<Reference>(), Err(InvalidReference::Form));
        assert_eq!(format!("ID-2O26-10A0B1-{check}").parse::<Reference>(), Err(InvalidReference::Form));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "ID",
            "ID-2026-7K3QX9",
            "ID-2026-7K3QX9-5-5",
            "ID-26-7K3QX9-5",
            "ID-2026-7K3QU9-5",
            "IDN-2026-7K3QX9-5",
        ] {
            assert_eq!(text.parse::<Reference>(), Err(InvalidReference::Form), "{text}");
        }
        assert_eq!("ID-2026-7K3QX9-5 ".parse::<Reference>(), Err(InvalidReference::Form));
        assert_eq!("ＩＤ-2026-7K3QX9-5".parse::<Reference>(), Err(InvalidReference::Form));
    }

    #[test]
    fn every_single_wrong_character_is_caught() {
        for reference in samples() {
            let text = reference.to_string().into_bytes();
            for at in (0..text.len()).filter(|at| text[*at] != b'-') {
                for replacement in ALPHANUMERIC.iter().filter(|each| **each != text[at]) {
                    let mut wrong = text.clone();
                    wrong[at] = *replacement;
                    let read = String::from_utf8(wrong).unwrap().parse::<Reference>();
                    assert!(read.is_err() || read == Ok(reference), "{reference} at {at}");
                }
            }
        }
    }

    #[test]
    fn nearly_every_swap_of_neighbours_is_caught() {
        let (mut swaps, mut missed) = (0, 0);
        let entropy = SeededEntropy::new("swaps");
        for _ in 0..2000 {
            let reference = Reference::generate("ID".parse().unwrap(), 2026, &entropy);
            let text = reference.to_string().into_bytes();
            for at in 0..text.len() - 1 {
                let (a, b) = (text[at], text[at + 1]);
                if a == b || a == b'-' || b == b'-' {
                    continue;
                }
                let mut wrong = text.clone();
                wrong.swap(at, at + 1);
                swaps += 1;
                if String::from_utf8(wrong).unwrap().parse::<Reference>().is_ok() {
                    missed += 1;
                }
            }
        }
        assert!(missed * 600 < swaps, "{missed} of {swaps}");
    }
}
