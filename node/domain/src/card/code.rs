//! The digits over a whole card that two administrators read to each other.

use std::fmt;
use std::str::FromStr;

use crate::code::{Code, Coded, Fault};
use crate::encode::hkdf;

const GROUPS: usize = 12;
const DIGITS: usize = 60;
const INFO: &[u8] = b"eads/v1/card-code";

/// Twelve groups of five digits: HKDF(card, "eads/v1/card-code", 60 bytes), each five bytes modulo 100 000.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerificationCode([u32; GROUPS]);

impl VerificationCode {
    pub(super) fn of_card(card: &[u8]) -> Self {
        let bytes: [u8; GROUPS * 5] = hkdf(card, INFO);
        let mut groups = [0; GROUPS];
        for (group, chunk) in groups.iter_mut().zip(bytes.chunks_exact(5)) {
            let number = chunk.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            *group = u32::try_from(number % 100_000).unwrap_or_default();
        }
        Self(groups)
    }
}

impl fmt::Display for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, group) in self.0.iter().enumerate() {
            write!(f, "{}{group:05}", if position == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 60 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a verification code is twelve groups of five digits")]
pub struct InvalidCode;

impl Coded for InvalidCode {
    fn code(&self) -> Code {
        Code::new("VERIFICATION_CODE_INVALID")
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

impl FromStr for VerificationCode {
    type Err = InvalidCode;

    /// Spaces, line breaks, dashes and dots between digits are ignored.
    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        if text.len() > DIGITS * 8 {
            return Err(InvalidCode);
        }
        let is_gap = |c: &char| c.is_whitespace() || matches!(c, '-' | '.' | '\u{2010}'..='\u{2015}');
        let digits: Vec<u32> =
            text.chars().filter(|c| !is_gap(c)).map(|c| c.to_digit(10)).collect::<Option<_>>().ok_or(InvalidCode)?;
        if digits.len() != DIGITS {
            return Err(InvalidCode);
        }
        let mut groups = [0; GROUPS];
        for (group, five) in groups.iter_mut().zip(digits.chunks_exact(5)) {
            *group = five.iter().fold(0, |number, digit| number * 10 + digit);
        }
        Ok(Self(groups))
    }
}
