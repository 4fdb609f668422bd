//! Text of others on our terminal.
//!
//! Names, titles and error texts come from peers and from files. Escape sequences could redraw the screen, and
//! direction overrides could show a name as another one; both become visible here.

use std::fmt::Write as _;

/// `text` on one line, with everything that could steer a terminal or reorder a line made visible.
pub(crate) fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            c if c.is_control() || reorders(c) => {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Line separators, and the embeddings, overrides and isolates of Unicode's bidirectional algorithm.
const fn reorders(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(clean("Somchai\u{1b}[2J"), "Somchai\\u{1b}[2J");
        assert_eq!(clean("a\u{9b}31mb"), "a\\u{9b}31mb");
        assert_eq!(clean("one\ntwo"), "one two");
    }

    #[test]
    fn a_name_cannot_be_shown_backwards() {
        assert_eq!(clean("\u{202e}eman"), "\\u{202e}eman");
        assert_eq!(clean("อภิสิทธิ์"), "อภิสิทธิ์");
        assert_eq!(clean("محمد"), "محمد");
    }
}
