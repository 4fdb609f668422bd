//! The dictionary: every word in use, numbered, with the entries that use it.

use std::collections::HashMap;
use std::sync::Arc;

/// The place of an entry on the shelf.
pub(super) type Slot = u32;
/// The number of a word, reused once no entry uses the word.
pub(super) type WordId = u32;

#[derive(Debug, Default)]
pub(super) struct Words {
    numbers: HashMap<Arc<str>, WordId>,
    words: Vec<Word>,
    free: Vec<WordId>,
}

#[derive(Debug)]
struct Word {
    text: Arc<str>,
    weight: u32,
    /// Ascending.
    slots: Vec<Slot>,
}

impl Words {
    /// The number of a word that is in use.
    pub(super) fn number(&self, word: &str) -> Option<WordId> {
        self.numbers.get(word).copied()
    }

    /// The entries that use a word, ascending.
    pub(super) fn slots(&self, number: WordId) -> &[Slot] {
        self.words.get(number as usize).map(|word| word.slots.as_slice()).unwrap_or_default()
    }

    /// What a word weighs in a name.
    pub(super) fn weight(&self, number: WordId) -> u32 {
        self.words.get(number as usize).map_or(0, |word| word.weight)
    }

    /// Notes that the entry at `slot` uses `word`.
    pub(super) fn intern(&mut self, word: &str, slot: Slot) -> WordId {
        if let Some(number) = self.number(word) {
            if let Some(known) = self.words.get_mut(number as usize) {
                insert_sorted(&mut known.slots, slot);
            }
            return number;
        }
        let text: Arc<str> = Arc::from(word);
        let fresh = Word { text: text.clone(), weight: crate::score::weight(word), slots: vec![slot] };
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(place) = self.words.get_mut(number as usize) {
                    *place = fresh;
                }
                number
            }
            None => {
                self.words.push(fresh);
                WordId::try_from(self.words.len() - 1).unwrap_or(WordId::MAX)
            }
        };
        self.numbers.insert(text, number);
        number
    }

    /// Notes that the entry at `slot` no longer uses a word; a word that nobody uses is forgotten.
    pub(super) fn release(&mut self, number: WordId, slot: Slot) {
        let Some(word) = self.words.get_mut(number as usize) else { return };
        remove_sorted(&mut word.slots, slot);
        if word.slots.is_empty() && self.numbers.remove(&word.text).is_some() {
            word.text = Arc::from("");
            word.slots = Vec::new();
            self.free.push(number);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}

pub(super) fn insert_sorted(slots: &mut Vec<Slot>, slot: Slot) {
    // Entries are mostly added in ascending order, which keeps this cheap.
    if slots.last().is_none_or(|last| *last < slot) {
        slots.push(slot);
    } else if let Err(place) = slots.binary_search(&slot) {
        slots.insert(place, slot);
    }
}

pub(super) fn remove_sorted(slots: &mut Vec<Slot>, slot: Slot) {
    if let Ok(place) = slots.binary_search(&slot) {
        slots.remove(place);
    }
}
