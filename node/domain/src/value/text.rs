//! Text as it is signed: UTF-8 in Unicode normalisation form C.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use crate::code::{Code, Coded, Fault};

/// A text: NFC, not blank, at most [`Text::MAX_BYTES`] bytes, no control characters but line feed and tab.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(Box<str>);

impl Text {
    /// The longest text, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// The text exactly as it stands.
    ///
    /// # Errors
    /// [`InvalidText`] if it is blank, too long, not NFC, or holds a control character.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidText::TooLong);
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(InvalidText::ControlCharacter);
        }
        if text.chars().all(char::is_whitespace) {
            return Err(InvalidText::Blank);
        }
        if !is_nfc(text) {
            return Err(InvalidText::NotNormalised);
        }
        Ok(Self(text.into()))
    }

    /// The text that was meant by what somebody typed: NFC, one kind of line end, no white space around it.
    ///
    /// # Errors
    /// [`InvalidText`] if it is then blank or too long, or holds a control character.
    pub fn normalise(typed: &str) -> Result<Self, InvalidText> {
        // Bounded before normalisation, which can lengthen a text.
        if typed.len() > Self::MAX_BYTES {
            return Err(InvalidText::TooLong);
        }
        let text: String = typed.trim().replace("\r\n", "\n").nfc().collect();
        Self::new(&text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Text {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        Self::new(&text)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0.into_string()
    }
}

/// Why a text cannot be signed. Says nothing of what it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Empty or white space only: say absent or unknown instead.
    #[error("a text is blank")]
    Blank,
    /// Above [`Text::MAX_BYTES`].
    #[error("a text is longer than {} bytes", Text::MAX_BYTES)]
    TooLong,
    /// A control character other than line feed and tab.
    #[error("a text holds a control character")]
    ControlCharacter,
    /// Not in normalisation form C.
    #[error("a text is not in Unicode normalisation form C")]
    NotNormalised,
}

impl Coded for InvalidText {
    fn code(&self) -> Code {
        match self {
            Self::Blank => Code::new("TEXT_BLANK"),
            Self::TooLong => Code::new("TEXT_TOO_LONG"),
            Self::ControlCharacter => Code::new("TEXT_CONTROL_CHARACTER"),
            Self::NotNormalised => Code::new("TEXT_NOT_NORMALISED"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}
