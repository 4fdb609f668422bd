//! A share as a line that people write down and type again.

use eads_domain::encode::{pae, sha256};
use zeroize::Zeroizing;

use super::{SET_BYTES, hex, unhex};

const LABEL: &[u8] = b"eads/v1/key-share";
const CHECK_BYTES: usize = 4;

/// One share.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) set: [u8; SET_BYTES],
    pub(super) threshold: u8,
    /// Never 0.
    pub(super) number: u8,
    pub(super) y: [u8; 32],
}

impl Share {
    pub(super) fn line(&self) -> Zeroizing<String> {
        let body = [self.set.as_slice(), &[self.threshold, self.number], &self.y].concat();
        let digits = Zeroizing::new(hex(&[body.as_slice(), &check(&body)].concat()));
        let groups: Vec<&str> =
            digits.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
        Zeroizing::new(format!("eads-share {}-{}: {}", self.threshold, self.number, groups.join("-")))
    }

    /// None for a line with a mistake in it.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let digits = line.rsplit(':').next().unwrap_or(line);
        let digits: Zeroizing<String> =
            Zeroizing::new(digits.chars().filter(|sign| !sign.is_whitespace() && *sign != '-').collect());
        let bytes = Zeroizing::new(unhex(&digits.to_ascii_lowercase())?);
        let (body, sum) = bytes.split_last_chunk::<CHECK_BYTES>()?;
        if check(body) != *sum {
            return None;
        }
        let (set, rest) = body.split_first_chunk()?;
        let ([threshold, number], y) = rest.split_first_chunk()?;
        let share = Self { set: *set, threshold: *threshold, number: *number, y: y.try_into().ok()? };
        (share.number != 0).then_some(share)
    }
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = sha256(&pae(&[LABEL, body]));
    digest.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_and_any_wrong_digit_is_noticed() {
        let share = Share { set: [7; 16], threshold: 3, number: 2, y: [9; 32] };
        let line = share.line();
        assert!(Share::parse(&line).is_some_and(|read| read == share));
        assert!(Share::parse(&line.to_uppercase().replace('-', " ")).is_some_and(|read| read == share));
        let begin = line.find(':').unwrap() + 2;
        for at in begin..line.len() {
            let mut wrong = line.to_string().into_bytes();
            if wrong[at] != b'-' {
                wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
                assert!(Share::parse(std::str::from_utf8(&wrong).unwrap()).is_none(), "digit {at}");
            }
        }
        assert!(Share::parse("").is_none());
    }
}
