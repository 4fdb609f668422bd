//! One search by name: which entries to compare, and the comparison.
//!
//! An entry can only match if words of at least half of the asked weight meet one of its own. So the rarest
//! words are walked through until the words that are left weigh less than half; every entry that can match has
//! been seen by then. Those that share most words are compared first, until the allowed work is done.

use std::collections::HashMap;

use eads_domain::query::NameKey;
use eads_domain::subject::SubjectType;

use super::words::{Slot, WordId, Words};
use super::{Form, Limits, Matches, SearchError, Shelf, Shelved};
use crate::normalise::{Reading, readings};
use crate::score::{self, Alignment, MIN_SCORE, Match, Reason, corroborate};

/// The most words of an asked name.
pub(super) const MAX_ASKED_WORDS: usize = 16;
/// How many look-ups in a list of entries are allowed for each entry that may be compared.
const PROBES_PER_COMPARISON: usize = 32;
/// The shortest part, in bytes, into which an asked word is split to meet two words of an entry.
const MIN_SPLIT: usize = 2;

pub(super) fn find(
    shelf: &Shelf,
    asked: &NameKey,
    limits: Limits,
    accepts: &dyn Fn(SubjectType, u32) -> bool,
) -> Result<Matches, SearchError> {
    let readings = readings(asked.name());
    if readings.is_empty() {
        return Err(SearchError::NoWords);
    }
    if readings.iter().any(|reading| reading.cut || reading.words.len() > MAX_ASKED_WORDS) {
        return Err(SearchError::TooManyWords);
    }
    let asked_readings: Vec<Asked> = readings.into_iter().map(|reading| Asked::new(&shelf.words, reading)).collect();
    let (slots, mut truncated) = candidates(shelf, &asked_readings, limits.work, accepts);

    let mut found: Vec<Found> =
        slots.into_iter().filter_map(|slot| compare(shelf, asked, &asked_readings, slot)).collect();
    found.sort_by(|a, b| b.score.cmp(&a.score).then(a.shelved.id.cmp(&b.shelved.id)));
    truncated |= found.len() > limits.matches;
    found.truncate(limits.matches);
    // Explained last: most of what is compared is never shown.
    Ok(Matches { matches: found.iter().map(|found| found.explain(asked)).collect(), truncated })
}

/// One reading of the asked name, looked up in the dictionary.
struct Asked {
    romanised: bool,
    words: Vec<AskedWord>,
    weight: u32,
}

struct AskedWord {
    text: String,
    weight: u32,
    /// The word itself, if any entry uses it.
    whole: Option<WordId>,
    /// Two words that it is made of.
    halves: Vec<(WordId, WordId)>,
    /// The word that it makes with the one after it.
    joined: Option<WordId>,
}

impl Asked {
    fn new(words: &Words, reading: Reading) -> Self {
        let joined: Vec<Option<WordId>> = reading
            .words
            .iter()
            .zip(reading.words.iter().skip(1))
            .map(|(a, b)| words.number(&format!("{a}{b}")))
            .collect();
        let asked: Vec<AskedWord> = reading
            .words
            .into_iter()
            .zip(joined.into_iter().chain(std::iter::repeat(None)))
            .map(|(text, joined)| AskedWord {
                weight: score::weight(&text),
                whole: words.number(&text),
                halves: halves(words, &text),
                joined,
                text,
            })
            .collect();
        let weight = asked.iter().map(|word| word.weight).sum();
        Self { romanised: reading.romanised, words: asked, weight }
    }

    /// For each word, the dictionary words through which an entry may meet it.
    fn groups(&self) -> Vec<Group> {
        let before = std::iter::once(None).chain(self.words.iter().map(|word| word.joined));
        self.words
            .iter()
            .zip(before)
            .map(|(word, joined_before)| {
                let halves = word.halves.iter().map(|(a, _)| *a);
                let mut numbers: Vec<WordId> =
                    word.whole.into_iter().chain(word.joined).chain(joined_before).chain(halves).collect();
                numbers.sort_unstable();
                numbers.dedup();
                Group { numbers, weight: word.weight }
            })
            .collect()
    }
}

struct Group {
    numbers: Vec<WordId>,
    weight: u32,
}

impl Group {
    fn entries(&self, words: &Words) -> usize {
        self.numbers.iter().map(|number| words.slots(*number).len()).sum()
    }

    fn holds(&self, words: &Words, slot: Slot) -> bool {
        self.numbers.iter().any(|number| words.slots(*number).binary_search(&slot).is_ok())
    }
}

fn halves(words: &Words, text: &str) -> Vec<(WordId, WordId)> {
    text.char_indices()
        .map(|(at, _)| at)
        .filter(|at| *at >= MIN_SPLIT && text.len() - at >= MIN_SPLIT)
        .filter_map(|at| text.split_at_checked(at))
        .filter_map(|(a, b)| words.number(a).zip(words.number(b)))
        .collect()
}

/// The entries worth comparing, most promising first, and whether some had to be left out.
fn candidates(
    shelf: &Shelf,
    readings: &[Asked],
    work: usize,
    accepts: &dyn Fn(SubjectType, u32) -> bool,
) -> (Vec<Slot>, bool) {
    let words = &shelf.words;
    let mut probes = work.saturating_mul(PROBES_PER_COMPARISON);
    let mut truncated = false;
    // The share of the asked weight that an entry may meet, in thousandths.
    let mut promising: HashMap<Slot, u32> = HashMap::new();
    'readings: for asked in readings {
        let mut groups = asked.groups();
        groups.sort_by_key(|group| group.entries(words));
        let mut left = asked.weight;
        for group in &groups {
            if left * 2 < asked.weight {
                break;
            }
            left -= group.weight;
            for slot in group.numbers.iter().flat_map(|number| words.slots(*number)) {
                if probes < groups.len() {
                    truncated = true;
                    break 'readings;
                }
                probes -= groups.len();
                let met: u32 = groups.iter().filter(|other| other.holds(words, *slot)).map(|other| other.weight).sum();
                let accepted = |shelved: &Shelved| accepts(shelved.subject, shelved.tag);
                if met * 2 >= asked.weight && shelf.shelved(*slot).is_some_and(accepted) {
                    let share = met * 1000 / asked.weight.max(1);
                    let best = promising.entry(*slot).or_default();
                    *best = share.max(*best);
                }
            }
        }
    }
    let mut ordered: Vec<(u32, Slot)> = promising.into_iter().map(|(slot, share)| (share, slot)).collect();
    ordered.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    truncated |= ordered.len() > work;
    ordered.truncate(work);
    (ordered.into_iter().map(|(_, slot)| slot).collect(), truncated)
}

/// An entry that matches well enough, with its best agreement.
struct Found<'a> {
    shelved: &'a Shelved,
    reading: &'a Asked,
    alignment: Alignment,
    score: u16,
}

impl Found<'_> {
    fn explain(&self, asked: &NameKey) -> Match {
        let words: Vec<&str> = self.reading.words.iter().map(|word| word.text.as_str()).collect();
        let mut reasons: Vec<Reason> = self.alignment.reasons(&words);
        reasons.extend(corroborate(asked, &self.shelved.facts).map(|found| found.reason(asked)));
        Match { id: self.shelved.id, tag: self.shelved.tag, score: self.score, reasons }
    }
}

/// The best agreement between any reading and any form, with the facts; absent below [`MIN_SCORE`].
fn compare<'a>(shelf: &'a Shelf, asked: &NameKey, readings: &'a [Asked], slot: Slot) -> Option<Found<'a>> {
    let shelved = shelf.shelved(slot)?;
    let pairs = readings.iter().flat_map(|reading| shelved.forms.iter().map(move |form| (reading, form)));
    let aligned = pairs.map(|(reading, form)| (reading, align(&shelf.words, reading, form)));
    let half_met = aligned.filter(|(_, alignment)| alignment.asked.0 * 2 >= alignment.asked.1);
    // Of equals the first: the main name, in its own script.
    let (reading, alignment) = half_met.reduce(|a, b| if b.1.points() > a.1.points() { b } else { a })?;
    let corroboration: i32 = corroborate(asked, &shelved.facts).map(|found| found.weight).sum();
    let score = u16::try_from((alignment.points() + corroboration).clamp(0, 1000)).unwrap_or(0);
    (score >= MIN_SCORE).then_some(Found { shelved, reading, alignment, score })
}

/// Pairs words greedily: the same word first, then words joined or split.
fn align(words: &Words, asked: &Asked, form: &Form) -> Alignment {
    let mut taken = Taken(0);
    let mut places = [None; MAX_ASKED_WORDS];
    let mut spaced = false;

    for (word, place) in asked.words.iter().zip(places.iter_mut()) {
        *place = word.whole.and_then(|number| taken.take(form, &[number]));
    }
    for (at, word) in asked.words.iter().enumerate() {
        if places.get(at).is_none_or(Option::is_some) {
            continue;
        }
        let next_is_free = places.get(at + 1).is_some_and(Option::is_none);
        let halves = word.halves.iter().find_map(|(a, b)| taken.take(form, &[*a, *b]));
        let (place, count) = match halves {
            Some(place) => (Some(place), 1),
            None => (word.joined.filter(|_| next_is_free).and_then(|number| taken.take(form, &[number])), 2),
        };
        if place.is_some() {
            places.iter_mut().skip(at).take(count).for_each(|slot| *slot = place);
            spaced = true;
        }
    }

    let mut alignment = Alignment {
        asked: (0, asked.weight),
        in_order: places.iter().flatten().is_sorted(),
        spaced,
        romanised: asked.romanised || form.romanised,
        alias: form.alias,
        ..Alignment::default()
    };
    for (at, (word, place)) in asked.words.iter().zip(places).enumerate() {
        if place.is_some() {
            alignment.met |= 1 << at;
            alignment.asked.0 += word.weight;
        }
    }
    for (at, word) in form.words.iter().enumerate() {
        let weight = words.weight(*word);
        alignment.held.1 += weight;
        if taken.holds(at) {
            alignment.held.0 += weight;
        } else {
            alignment.extra += 1;
        }
    }
    alignment
}

/// Which words of a form are taken, the first in the lowest bit.
struct Taken(u64);

const _: () = assert!(crate::normalise::MAX_WORDS <= 64 && MAX_ASKED_WORDS <= 32);

impl Taken {
    const fn holds(&self, at: usize) -> bool {
        self.0 >> at & 1 == 1
    }

    /// Takes the first place where these words stand in a row, none of them taken.
    fn take(&mut self, form: &Form, wanted: &[WordId]) -> Option<usize> {
        let row = (1_u64 << wanted.len()) - 1;
        let mut rows = form.words.windows(wanted.len()).enumerate();
        let place = rows.position(|(at, words)| words == wanted && self.0 & (row << at) == 0)?;
        self.0 |= row << place;
        Some(place)
    }
}
