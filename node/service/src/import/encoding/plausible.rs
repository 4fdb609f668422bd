//! Whether words make sense: Vietnamese syllables by their parts, Thai by the order of its letters.
//!
//! No dictionary: a word is good if the language could have it. That tells an encoding from a wrong one, in which
//! letters come out that never stand together. Sources: the parts of the Vietnamese syllable as school grammars
//! list them; the order of Thai letters after WTT 2.0 (the input and output rules of the Thai API Consortium).

use unicode_normalization::UnicodeNormalization as _;

/// How many words have letters outside ASCII, and how many of those make sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) all: usize,
    pub(super) good: usize,
}

impl Words {
    fn count(&mut self, is_good: bool) {
        self.all += 1;
        self.good += usize::from(is_good);
    }
}

const TONES: [char; 5] = ['\u{300}', '\u{301}', '\u{303}', '\u{309}', '\u{323}'];

/// What a syllable may begin with, longer ones first.
const ONSETS: &[&str] = &[
    "ngh", "ch", "gh", "gi", "kh", "ng", "nh", "ph", "qu", "th", "tr", "b", "c", "d", "đ", "g", "h", "k", "l", "m",
    "n", "p", "r", "s", "t", "v", "x", "",
];

/// What may follow it, tone mark taken away.
const RHYMES: &str = "a ac ach ai am an ang anh ao ap at au ay ăc ăm ăn ăng ăp ăt âc âm ân âng âp ât âu ây \
    e ec em en eng eo ep et ê êch êm ên ênh êp êt êu i ia ich im in inh ip it iu iêc iêm iên iêng iêp iêt iêu \
    o oa oac oach oai oam oan oang oanh oao oap oat oay oăc oăm oăn oăng oăt oc oe oen oeo oet oi om on ong ooc oong \
    op ot ô ôc ôi ôm ôn ông ôp ôt ơ ơi ơm ơn ơp ơt u ua uân uâng uât uây uc uê uêch uênh ui um un ung uôc uôi uôm \
    uôn uông uôt up ut uơ uy uya uych uyên uyêt uynh uyn uyt uyu ư ưa ưc ưi ưm ưn ưng ưt ưu ươc ươi ươm ươn ương ươp \
    ươt ươu y yêm yên yêng yêt yêu ych ynh";

/// Words of Vietnamese.
pub(super) fn vietnamese(text: &str) -> Words {
    let rhymes: std::collections::HashSet<&str> = RHYMES.split_ascii_whitespace().collect();
    let mut words = Words::default();
    // A sign between letters belongs to the word that it spoils.
    let is_part = |c: char| c.is_alphabetic() || TONES.contains(&c) || (!c.is_ascii() && c != '\u{a0}');
    for word in text.split(|c| !is_part(c)).filter(|word| !word.is_ascii()) {
        words.count(is_syllable(word, &rhymes));
    }
    words
}

fn is_syllable(word: &str, rhymes: &std::collections::HashSet<&str>) -> bool {
    let mut tones = 0;
    let bare: String = word
        .nfd()
        .filter(|c| {
            let is_tone = TONES.contains(c);
            tones += usize::from(is_tone);
            !is_tone
        })
        .nfc()
        .flat_map(char::to_lowercase)
        .collect();
    tones <= 1 && ONSETS.iter().any(|onset| bare.strip_prefix(onset).is_some_and(|rhyme| rhymes.contains(rhyme)))
}

/// Runs of Thai letters.
pub(super) fn thai(text: &str) -> Words {
    let mut words = Words::default();
    let is_part = |c: char| c.is_ascii_alphanumeric() || (!c.is_ascii() && c != '\u{a0}');
    for word in text.split(|c| !is_part(c)).filter(|word| !word.is_ascii()) {
        words.count(is_thai(word));
    }
    words
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thai {
    Consonant,
    /// A vowel written before its consonant.
    Leading,
    /// A vowel written after it.
    Following,
    /// Above or below a consonant.
    Mark,
    Digit,
    Sign,
}

impl Thai {
    fn of(character: char) -> Option<Self> {
        Some(match u32::from(character) {
            0xe01..=0xe2e => Self::Consonant,
            0xe40..=0xe44 => Self::Leading,
            0xe30 | 0xe32 | 0xe33 | 0xe45 => Self::Following,
            0xe31 | 0xe34..=0xe3a | 0xe47..=0xe4e => Self::Mark,
            0xe50..=0xe59 => Self::Digit,
            0xe2f | 0xe3f | 0xe46 => Self::Sign,
            _ => return None,
        })
    }
}

fn is_thai(word: &str) -> bool {
    let Some(kinds) = word.chars().map(Thai::of).collect::<Option<Vec<_>>>() else { return false };
    if kinds.iter().all(|kind| *kind == Thai::Digit) {
        return true;
    }
    let follows = |before: Option<Thai>, kind: Thai| match kind {
        Thai::Mark => matches!(before, Some(Thai::Consonant | Thai::Mark)),
        Thai::Following => matches!(before, Some(Thai::Consonant | Thai::Mark | Thai::Following)),
        _ => before != Some(Thai::Leading) || kind == Thai::Consonant,
    };
    let before = std::iter::once(None).chain(kinds.iter().copied().map(Some));
    kinds.len() >= 2
        && kinds.contains(&Thai::Consonant)
        && kinds.last() != Some(&Thai::Leading)
        && before.zip(&kinds).all(|(before, kind)| follows(before, *kind))
}
