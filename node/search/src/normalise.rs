//! From a name as written to the words under which it is indexed and asked.
//!
//! A word is a run of letters, digits and the marks that belong to them, folded: compatibility forms and case
//! are levelled, marks that only refine a letter (accents, Hebrew points, Arabic vowel signs) are dropped, and
//! marks that spell (Thai, Khmer, Burmese, Indic vowels and tones) are kept. Each Chinese character is a word,
//! since names are written without spaces.

use any_ascii::any_ascii_char;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The most words of one name that are used.
pub const MAX_WORDS: usize = 40;
/// The most characters of one word that are used.
pub const MAX_WORD_CHARS: usize = 64;
/// The most characters of a name that are looked at.
const MAX_NAME_CHARS: usize = 2048;

/// One way of reading a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Its words in order, folded, none empty, at most [`MAX_WORDS`].
    pub(crate) words: Vec<String>,
    /// Romanised, rather than in the script in which the name is written.
    pub(crate) romanised: bool,
    /// Words were left out because there are too many.
    pub(crate) cut: bool,
}

/// The name as written and, if any of it is not Latin, its generic romanisation. Empty if it has no letters.
pub(crate) fn readings(name: &str) -> Vec<Reading> {
    let (words, cut) = split(name);
    if words.is_empty() {
        return Vec::new();
    }
    let mut readings = Vec::with_capacity(2);
    if !words.iter().all(|word| word.is_ascii()) {
        let romanised: Vec<String> = words.iter().map(|word| romanise(word)).filter(|word| !word.is_empty()).collect();
        if !romanised.is_empty() {
            readings.push(Reading { words: romanised, romanised: true, cut });
        }
    }
    readings.insert(0, Reading { words, romanised: false, cut });
    readings
}

/// Whether two names are the same to a search: the same words in any order, as written or romanised.
pub fn same_name(one: &str, other: &str) -> bool {
    let sorted = |name: &str| -> Vec<Vec<String>> {
        let readings = readings(name).into_iter().filter(|reading| !reading.cut);
        readings
            .map(|mut reading| {
                reading.words.sort_unstable();
                reading.words
            })
            .collect()
    };
    let others = sorted(other);
    sorted(one).iter().any(|words| others.contains(words))
}

fn split(name: &str) -> (Vec<String>, bool) {
    let mut words = Vec::new();
    let mut word = Word::default();
    let mut cut = false;
    for c in name.chars().take(MAX_NAME_CHARS).nfkd().flat_map(char::to_lowercase).nfc_without_refinements() {
        if words.len() == MAX_WORDS {
            cut = true;
            break;
        }
        if is_skipped(c) {
            continue;
        }
        if is_han(c) {
            word.end(&mut words);
            words.push(c.to_string());
        } else if c.is_alphanumeric() || is_combining_mark(c) && !word.text.is_empty() {
            word.push(c);
        } else {
            word.end(&mut words);
        }
    }
    word.end(&mut words);
    if words.len() > MAX_WORDS {
        words.truncate(MAX_WORDS);
        cut = true;
    }
    (words, cut)
}

#[derive(Default)]
struct Word {
    text: String,
    chars: usize,
}

impl Word {
    fn push(&mut self, c: char) {
        if self.chars < MAX_WORD_CHARS {
            // Latin letters that no decomposition reaches (đ, ø, ł, ß) are levelled by romanisation at once.
            if is_latin(c) && !c.is_ascii() {
                self.text
                    .extend(any_ascii_char(c).chars().filter(char::is_ascii_alphanumeric).flat_map(char::to_lowercase));
            } else {
                self.text.push(c);
            }
            self.chars += 1;
        }
    }

    fn end(&mut self, words: &mut Vec<String>) {
        self.chars = 0;
        if !self.text.is_empty() {
            words.push(std::mem::take(&mut self.text));
        }
    }
}

/// Drops the refining marks of a decomposed text and composes the rest again.
trait WithoutRefinements: Iterator<Item = char> + Sized {
    fn nfc_without_refinements(self) -> impl Iterator<Item = char> {
        self.filter(|c| !is_refinement(*c)).nfc()
    }
}

impl<I: Iterator<Item = char>> WithoutRefinements for I {}

fn romanise(word: &str) -> String {
    if word.is_ascii() {
        return word.to_owned();
    }
    let ascii = word.chars().flat_map(|c| any_ascii_char(c).chars());
    ascii.filter(char::is_ascii_alphanumeric).take(MAX_WORD_CHARS).map(|c| c.to_ascii_lowercase()).collect()
}

/// Accents of Latin, Greek and Cyrillic; Hebrew points; Arabic vowel signs and the elongation of letters.
const fn is_refinement(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}' | '\u{0591}'..='\u{05bd}' | '\u{05bf}' | '\u{05c1}'..='\u{05c2}'
        | '\u{05c4}'..='\u{05c5}' | '\u{05c7}' | '\u{0610}'..='\u{061a}' | '\u{064b}'..='\u{065f}' | '\u{0670}'
        | '\u{06d6}'..='\u{06dc}' | '\u{06df}'..='\u{06e4}' | '\u{06e7}'..='\u{06e8}' | '\u{06ea}'..='\u{06ed}'
        | '\u{0640}')
}

/// What stands inside a word and is not part of it: apostrophes, joiners, direction marks, variation selectors.
const fn is_skipped(c: char) -> bool {
    matches!(c,
        '\'' | '\u{2018}' | '\u{2019}' | '`' | '\u{b4}' | '\u{02b0}'..='\u{02ff}' | '\u{ad}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{061c}' | '\u{17b4}'..='\u{17b5}')
}

const fn is_han(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}'
        | '\u{3005}' | '\u{3007}')
}

const fn is_latin(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '\u{00c0}'..='\u{024f}' | '\u{0250}'..='\u{02af}' | '\u{1e00}'..='\u{1eff}'
        | '\u{2c60}'..='\u{2c7f}' | '\u{a720}'..='\u{a7ff}' | '\u{ab30}'..='\u{ab6f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(name: &str) -> Vec<String> {
        readings(name).into_iter().next().map_or_else(Vec::new, |reading| reading.words)
    }

    #[test]
    fn case_and_latin_marks_are_levelled() {
        assert_eq!(words("NGUYỄN Văn Đức"), ["nguyen", "van", "duc"]);
        assert_eq!(words("Nguye\u{0302}\u{0303}n Van Duc"), ["nguyen", "van", "duc"]);
        assert_eq!(words("Søren Łukasz Weiß"), ["soren", "lukasz", "weiss"]);
        assert_eq!(words("ＡＭＡＮ"), ["aman"]);
    }

    #[test]
    fn a_name_is_the_same_in_any_order_and_marks_and_not_with_a_word_more() {
        assert!(same_name("NGUYỄN Văn Đức", "van duc nguyen"));
        assert!(same_name("王小明", "wang xiao ming"));
        assert!(!same_name("Aman Rasa", "Aman Rasa Putra"));
        assert!(!same_name("***", "***"), "nothing is the same as nothing");
    }

    #[test]
    fn marks_that_spell_are_kept() {
        assert_ne!(words("สิริ"), words("สรี"));
        assert_ne!(words("ម៉ាក់"), words("មាក"));
        assert_ne!(words("မောင်"), words("မင"));
        assert_ne!(words("が"), words("か"));
    }

    #[test]
    fn a_name_that_is_not_latin_has_a_second_reading() {
        let both = readings("สมชาย ใจดี");
        assert_eq!(both.len(), 2);
        assert_eq!(both[0].words, ["สมชาย", "ใจดี"]);
        assert!(both[1].romanised && both[1].words.iter().all(|word| word.is_ascii()));
        assert_eq!(readings("Budi Santoso").len(), 1);
    }

    #[test]
    fn chinese_characters_are_words_and_read_as_syllables() {
        let both = readings("王小明");
        assert_eq!(both[0].words, ["王", "小", "明"]);
        assert_eq!(both[1].words, ["wang", "xiao", "ming"]);
    }

    #[test]
    fn apostrophes_and_invisible_marks_do_not_split_or_hide_a_word() {
        assert_eq!(words("O’Bri\u{200d}en"), ["obrien"]);
        assert_eq!(words("\u{202e}Aman\u{200b}Rasa\u{2066}"), ["amanrasa"]);
        assert_eq!(words("Al-Rasa"), ["al", "rasa"]);
    }

    #[test]
    fn a_name_without_letters_has_no_reading() {
        for name in ["", " ", "***", "\u{0}\u{7}", "\u{301}\u{301}", "👮", "\u{10ffff}"] {
            assert!(readings(name).iter().all(|reading| !reading.words.is_empty()), "{name:?}");
        }
        assert!(readings("***").is_empty());
    }

    #[test]
    fn words_beyond_the_bound_are_left_out_and_told() {
        let long = readings(&"a b ".repeat(100));
        assert!(long[0].cut && long[0].words.len() == MAX_WORDS);
        let chars = words(&"ก".repeat(500))[0].chars().count();
        assert_eq!(chars, MAX_WORD_CHARS);
    }

    proptest! {
        #[test]
        fn any_text_gives_bounded_words_that_fold_to_themselves(name in "\\PC{0,60}|.{0,60}") {
            for reading in readings(&name) {
                prop_assert!(!reading.words.is_empty() && reading.words.len() <= MAX_WORDS);
                for word in &reading.words {
                    prop_assert!(!word.is_empty());
                    prop_assert!(word.len() <= MAX_WORD_CHARS * 64);
                }
                if reading.romanised {
                    prop_assert_eq!(words(&reading.words.join(" ")), reading.words);
                }
            }
        }
    }
}
