//! Which encoding a text is in, where that is certain.
//!
//! UTF-8 is a code that other texts hardly meet by chance. The others are told by what the words would be: runs of
//! Thai letters in an order that Thai allows, or Vietnamese syllables ([`plausible`](super::plausible)). An encoding
//! is certain if nearly all words that are not ASCII make sense in it, there are enough of them, and they make none
//! in any other.

use super::plausible::{Words, thai, vietnamese};
use super::{Encoding, Undecided};

/// Words that are not ASCII, below which nothing is certain.
const ENOUGH_WORDS: usize = 8;
/// Of a hundred words so many make sense in the right encoding …
const RIGHT: usize = 95;
/// … and in a wrong one at most so many.
const WRONG: usize = 60;
/// Valid sequences of UTF-8 for each invalid byte from which on the text is UTF-8 with damaged lines.
const UTF8_FOR_EACH_BAD: usize = 10;

/// The encoding of a text without a mark, of which some bytes are not ASCII. Cut off at its end unless it `ended`.
pub(super) fn detect(sample: &[u8], ended: bool) -> Result<Encoding, Undecided> {
    let utf8 = Utf8::of(sample, ended);
    if utf8.bad == 0 && utf8.is_plausible || utf8.bad > 0 && utf8.good >= utf8.bad * UTF8_FOR_EACH_BAD {
        return Ok(Encoding::Utf8);
    }
    // The last word may be cut.
    let whole = match sample.iter().rposition(|byte| *byte == b'\n') {
        Some(end) if !ended => sample.get(..end).unwrap_or(sample),
        _ => sample,
    };
    let words = |encoding: Encoding, count: fn(&str) -> Words| {
        (encoding, encoding.decode_all(whole).map(|text| count(&text)).unwrap_or_default())
    };
    let scores = [
        words(Encoding::Windows874, thai),
        words(Encoding::Windows1258, vietnamese),
        words(Encoding::Tcvn3, vietnamese),
    ];
    let right = |words: &Words| words.all >= ENOUGH_WORDS && words.good * 100 >= words.all * RIGHT;
    let possible = |words: &Words| words.all > 0 && words.good * 100 > words.all * WRONG;
    let certain = scores.iter().find(|(encoding, words)| {
        right(words) && !scores.iter().any(|(other, words)| other != encoding && possible(words))
    });
    if let Some((encoding, _)) = certain {
        return Ok(*encoding);
    }
    let mut candidates: Vec<Encoding> =
        [Encoding::Windows874, Encoding::Windows1258, Encoding::Tcvn3, Encoding::Windows1252]
            .into_iter()
            .filter(|encoding| encoding.decode_all(whole).is_some())
            .collect();
    if utf8.bad == 0 || candidates.is_empty() {
        candidates.insert(0, Encoding::Utf8);
    }
    Err(Undecided(candidates))
}

/// What the beginning of a file without a mark says by its zeros: UTF-16, something single-byte (`None`), or
/// neither.
pub(super) fn without_mark(head: &[u8]) -> Result<Option<Encoding>, Undecided> {
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    // A few zeros are damage in some line. Text in UTF-16 has one for each comma, bracket and line end.
    if (first + second) * 100 < head.len().max(1) * 3 {
        return Ok(None);
    }
    let whole = head.get(..head.len() & !1).unwrap_or(head);
    let reads = |encoding: Encoding| {
        // A pair of surrogates may be cut at the end.
        let shorter = whole.get(..whole.len().saturating_sub(2)).unwrap_or_default();
        encoding.decode_all(whole).or_else(|| encoding.decode_all(shorter)).is_some()
    };
    match (first, second) {
        (0, _) if reads(Encoding::Utf16Le) => Ok(Some(Encoding::Utf16Le)),
        (_, 0) if reads(Encoding::Utf16Be) => Ok(Some(Encoding::Utf16Be)),
        _ => Err(Undecided(vec![Encoding::Utf16Le, Encoding::Utf16Be])),
    }
}

/// How a text looks as UTF-8.
struct Utf8 {
    good: usize,
    bad: usize,
    /// There are many characters, or they are of scripts that a register of this region is written in.
    is_plausible: bool,
}

impl Utf8 {
    fn of(sample: &[u8], ended: bool) -> Self {
        let mut seen = Self { good: 0, bad: 0, is_plausible: false };
        let mut is_familiar = true;
        for chunk in sample.utf8_chunks() {
            for character in chunk.valid().chars().filter(|character| !character.is_ascii()) {
                seen.good += 1;
                is_familiar &= is_of_the_region(character);
            }
            seen.bad += usize::from(!chunk.invalid().is_empty());
        }
        // The last sequence may be cut.
        if !ended && seen.bad > 0 && std::str::from_utf8(sample).is_err_and(|error| error.error_len().is_none()) {
            seen.bad -= 1;
        }
        seen.is_plausible = seen.good >= 8 || is_familiar;
        seen
    }
}

/// Latin with the letters of Vietnamese, the scripts of the region, Arabic, Devanagari to Sinhala, East Asian, and
/// the signs that stand among them.
fn is_of_the_region(character: char) -> bool {
    matches!(
        u32::from(character),
        0xa0..=0x17f
            | 0x1a0..=0x1a1
            | 0x1af..=0x1b0
            | 0x300..=0x323
            | 0x600..=0x6ff
            | 0x900..=0xdff
            | 0xe00..=0xeff
            | 0x1000..=0x109f
            | 0x1780..=0x17ff
            | 0x1ea0..=0x1ef9
            | 0x2000..=0x206f
            | 0x20ab
            | 0x3000..=0x30ff
            | 0x4e00..=0x9fff
            | 0xac00..=0xd7af
            | 0xfeff
            | 0xff00..=0xff65
    )
}
