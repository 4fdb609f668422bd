//! How well a name asked and a name indexed agree, as points that can be added up and read aloud.
//!
//! The reasons of a match add up to its score. A name alone gives at most [`NAME_POINTS`] of 1000: the rest is
//! for what corroborates it. Texts name the asker's own words and the rule, never what the entry holds.

use eads_domain::query::{NameKey, Nationality, Sex};
use eads_domain::value::PartialDate;

use crate::entry::EntryId;

/// Matches below this are not reported: fewer than half of the parts agree, and nothing else makes up for it.
pub const MIN_SCORE: u16 = 500;

/// For a name that agrees in every part.
pub(crate) const NAME_POINTS: i32 = 900;
/// Of those, lost in proportion to the parts asked that the entry lacks; the rest for parts it has in addition.
const MISSING_POINTS: i32 = 675;
const EXTRA_POINTS: i32 = NAME_POINTS - MISSING_POINTS;

/// A word of two or more letters counts four times as much as an initial or a particle.
const WHOLE_WORD: u32 = 4;
const SLIGHT_WORD: u32 = 1;
/// Parts of names of the region that say little: "son of", "daughter of", honorifics.
const PARTICLES: &[&str] = &[
    "al", "el", "bin", "ibn", "binti", "binte", "bte", "van", "von", "de", "da", "dela", "del", "la", "los", "thi",
    "u", "daw", "ko", "ma", "mr", "mrs", "ms", "dr", "haji", "hj", "st", "y", "e", "anak",
];

/// What a folded word weighs.
pub(crate) fn weight(word: &str) -> u32 {
    let slight = PARTICLES.contains(&word) || word.len() == 1;
    if slight { SLIGHT_WORD } else { WHOLE_WORD }
}

/// A found entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Which entry.
    pub id: EntryId,
    /// The tag that it was indexed with.
    pub tag: u32,
    /// 0 to 1000, the sum of the reasons' weights.
    pub score: u16,
    /// Why, most important first.
    pub reasons: Vec<Reason>,
}

/// One line of the explanation of a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Which rule.
    pub code: ReasonCode,
    /// In words that quote the asker and never the entry.
    pub text: String,
    /// Points, negative for what speaks against the match.
    pub weight: i32,
}

/// The rules of matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonCode {
    /// Every part of the name is the same, in the same order.
    Exact,
    /// Parts of the name are the same.
    Parts,
    /// The parts are in another order.
    Order,
    /// Parts asked that the entry lacks.
    Missing,
    /// The entry's name has more parts.
    Extra,
    /// The parts are joined or split differently.
    Spacing,
    /// Matched through a romanisation.
    Translit,
    /// Matched an alias, not the main name.
    Alias,
    /// The birth date agrees as far as it is known.
    BirthDate,
    /// The year, or year and month, of birth agrees; the rest is not known.
    BirthYear,
    /// The birth date differs.
    BirthDateConflict,
    /// A nationality agrees.
    Nationality,
    /// No nationality agrees.
    NationalityConflict,
    /// The sex agrees.
    Sex,
    /// The sex differs.
    SexConflict,
    /// An identifier agrees.
    Identifier,
}

impl ReasonCode {
    /// The stable code as it appears in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "EXACT",
            Self::Parts => "PARTS",
            Self::Order => "ORDER",
            Self::Missing => "MISSING",
            Self::Extra => "EXTRA",
            Self::Spacing => "SPACING",
            Self::Translit => "TRANSLIT",
            Self::Alias => "ALIAS",
            Self::BirthDate => "BIRTH-DATE",
            Self::BirthYear => "BIRTH-YEAR",
            Self::BirthDateConflict => "BIRTH-DATE-CONFLICT",
            Self::Nationality => "NATIONALITY",
            Self::NationalityConflict => "NATIONALITY-CONFLICT",
            Self::Sex => "SEX",
            Self::SexConflict => "SEX-CONFLICT",
            Self::Identifier => "IDENTIFIER",
        }
    }
}

/// How the words of one reading of the asked name met the words of one form of an entry's name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Alignment {
    /// Which of the asked words met one, the first in the lowest bit.
    pub(crate) met: u32,
    /// Weight of the asked words that met one, and of all.
    pub(crate) asked: (u32, u32),
    /// Weight of the entry's words that were met, and of all.
    pub(crate) held: (u32, u32),
    /// How many of the entry's words were not met.
    pub(crate) extra: usize,
    pub(crate) in_order: bool,
    pub(crate) spaced: bool,
    pub(crate) romanised: bool,
    pub(crate) alias: bool,
}

impl Alignment {
    fn missing_points(&self) -> i32 {
        share(MISSING_POINTS, self.asked)
    }

    fn extra_points(&self) -> i32 {
        share(EXTRA_POINTS, self.held)
    }

    fn flags(&self) -> impl Iterator<Item = (ReasonCode, i32, &'static str)> {
        [
            (!self.in_order, ReasonCode::Order, -20, "the parts stand in another order"),
            (self.spaced, ReasonCode::Spacing, -15, "parts are joined or split differently"),
            (self.romanised, ReasonCode::Translit, -60, "matched through a generic romanisation"),
            (self.alias, ReasonCode::Alias, -10, "matched another name or spelling of the entry, not its first"),
        ]
        .into_iter()
        .filter_map(|(applies, code, points, text)| applies.then_some((code, points, text)))
    }

    /// The points that [`Alignment::reasons`] add up to.
    pub(crate) fn points(&self) -> i32 {
        let flags: i32 = self.flags().map(|(_, points, _)| points).sum();
        NAME_POINTS - self.missing_points() - self.extra_points() + flags
    }

    /// The lines that explain the points; `asked` are the words that were aligned.
    pub(crate) fn reasons(&self, asked: &[&str]) -> Vec<Reason> {
        let those = |wanted: bool| {
            let words = asked.iter().enumerate().filter(|(at, _)| (self.met >> at & 1 == 1) == wanted);
            words.map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
        };
        let (met, unmet) = (those(true), those(false));
        let whole = unmet.is_empty() && self.extra == 0;
        let first = if whole && self.in_order && !self.spaced && !self.romanised {
            Reason { code: ReasonCode::Exact, text: format!("every part agrees: {met}"), weight: NAME_POINTS }
        } else {
            Reason { code: ReasonCode::Parts, text: format!("parts that agree: {met}"), weight: NAME_POINTS }
        };
        let mut reasons = vec![first];
        if !unmet.is_empty() {
            let text = format!("asked and not found: {unmet}");
            reasons.push(Reason { code: ReasonCode::Missing, text, weight: -self.missing_points() });
        }
        if self.extra > 0 {
            let text = format!("the name has {} more parts than asked", self.extra);
            reasons.push(Reason { code: ReasonCode::Extra, text, weight: -self.extra_points() });
        }
        let flags = self.flags().map(|(code, weight, text)| Reason { code, text: text.to_owned(), weight });
        reasons.extend(flags);
        reasons
    }
}

fn share(points: i32, (part, whole): (u32, u32)) -> i32 {
    let lost = i64::from(whole.saturating_sub(part)) * i64::from(points) / i64::from(whole.max(1));
    i32::try_from(lost).unwrap_or(points)
}

/// What else is known of an entry.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) birth_dates: Box<[PartialDate]>,
    pub(crate) nationalities: Box<[Nationality]>,
    pub(crate) sex: Option<Sex>,
}

/// What birth date, nationality and sex add to the name's points: at most one rule each, none for what either
/// side does not know.
pub(crate) fn corroborate<'a>(asked: &'a NameKey, held: &'a Facts) -> impl Iterator<Item = Corroboration> + 'a {
    let birth_date = asked.birth_date.and_then(|asked| {
        let compared = held.birth_dates.iter().map(|held| compare_dates(asked, *held));
        compared.max_by_key(|found| found.weight)
    });
    let nationality = asked.nationality.filter(|_| !held.nationalities.is_empty()).map(|asked| {
        if held.nationalities.contains(&asked) {
            Corroboration { code: ReasonCode::Nationality, words: "agrees", weight: 20 }
        } else {
            Corroboration { code: ReasonCode::NationalityConflict, words: "another one is stated", weight: -30 }
        }
    });
    let telling = |sex: Option<Sex>| sex.filter(|sex| matches!(sex, Sex::Female | Sex::Male));
    let sex = telling(asked.sex).zip(telling(held.sex)).map(|(asked, held)| {
        if asked == held {
            Corroboration { code: ReasonCode::Sex, words: "agrees", weight: 10 }
        } else {
            Corroboration { code: ReasonCode::SexConflict, words: "another one is stated", weight: -120 }
        }
    });
    [birth_date, nationality, sex].into_iter().flatten()
}

/// One fact that speaks for or against a match.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Corroboration {
    code: ReasonCode,
    words: &'static str,
    pub(crate) weight: i32,
}

impl Corroboration {
    /// As a line, with what was asked.
    pub(crate) fn reason(self, asked: &NameKey) -> Reason {
        let text = match self.code {
            ReasonCode::Nationality | ReasonCode::NationalityConflict => {
                asked.nationality.map(|asked| format!("nationality {asked}: {}", self.words))
            }
            ReasonCode::Sex | ReasonCode::SexConflict => asked.sex.map(|asked| format!("sex {asked}: {}", self.words)),
            _ => asked.birth_date.map(|asked| format!("birth date {asked}: {}", self.words)),
        };
        Reason { code: self.code, text: text.unwrap_or_default(), weight: self.weight }
    }
}

fn compare_dates(asked: PartialDate, held: PartialDate) -> Corroboration {
    let years = asked.year().abs_diff(held.year());
    let months = asked.month().zip(held.month());
    let days = asked.day().zip(held.day());
    let conflict = ReasonCode::BirthDateConflict;
    let (code, words, weight) = match (years, months, days) {
        (0, Some((a, b)), Some((c, d))) if a == b && c == d => (ReasonCode::BirthDate, "agrees", 70),
        (0, Some((a, b)), Some((c, d))) if a == d && b == c => (conflict, "day and month are exchanged", -10),
        (0, Some((a, b)), None) if a == b => (ReasonCode::BirthYear, "year and month agree, the day is not known", 40),
        (0, None, _) => (ReasonCode::BirthYear, "the year agrees, the rest is not known", 25),
        (0, ..) => (conflict, "the same year, another day", -40),
        (1, ..) => (conflict, "a year apart", -60),
        _ => (conflict, "another year", -200),
    };
    Corroboration { code, words, weight }
}
