//! From the bytes of a file to UTF-8, whatever its encoding is, chunk by chunk.
//!
//! Promises: an encoding is taken from its name, from a byte order mark, or from the text itself where that leaves
//! no doubt (`detect`); otherwise the file is refused ([`Undecided`]) before a byte outside ASCII is read. ASCII
//! means the same in all of them, so that a file without any other byte is never in doubt. How the file is cut into
//! chunks makes no difference. Memory: [`SAMPLE_BYTES`] and a chunk.
//!
//! A byte that means nothing in the encoding comes out as [`UNDECODABLE`], which is no UTF-8: whoever cuts the
//! text into records rejects that record and keeps the others. Text comes out as it is composed in the file; NFC is
//! made where values are.

mod detect;
mod plausible;
mod tcvn3;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use encoding_rs::{Decoder, DecoderResult};

/// The byte that stands in the decoded text for one that means nothing.
pub const UNDECODABLE: u8 = 0xff;
/// How much text is looked at, from the first line that is not ASCII on, to find its encoding.
pub const SAMPLE_BYTES: usize = 64 * 1024;
/// How much of the file is looked at to tell UTF-16 without a mark from ASCII.
const HEAD_BYTES: usize = 4096;

/// How text is written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
    /// Thai; a superset of TIS-620 and ISO 8859-11.
    Windows874,
    /// Vietnamese with combining tone marks.
    Windows1258,
    /// Vietnamese as the `.Vn` fonts write it, TCVN 5712.
    Tcvn3,
    /// Western European. Never detected: nearly every file would do.
    Windows1252,
}

/// A name of no encoding that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownEncoding;

/// Text whose encoding cannot be told, with those that it could be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided(pub Vec<Encoding>);

impl Encoding {
    /// All, by their names.
    pub const ALL: [Self; 7] =
        [Self::Utf8, Self::Utf16Le, Self::Utf16Be, Self::Windows874, Self::Windows1258, Self::Tcvn3, Self::Windows1252];

    /// The name, as the options of an import give it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
            Self::Windows874 => "windows-874",
            Self::Windows1258 => "windows-1258",
            Self::Tcvn3 => "tcvn3",
            Self::Windows1252 => "windows-1252",
        }
    }

    /// The encoding whose byte order mark the bytes begin with, and the mark's length.
    fn marked(bytes: &[u8]) -> Option<(Self, usize)> {
        match bytes {
            [0xef, 0xbb, 0xbf, ..] => Some((Self::Utf8, 3)),
            [0xff, 0xfe, ..] => Some((Self::Utf16Le, 2)),
            [0xfe, 0xff, ..] => Some((Self::Utf16Be, 2)),
            _ => None,
        }
    }

    fn reader(self) -> Reader {
        let library = |encoding: &'static encoding_rs::Encoding| {
            Reader::Library(Box::new(encoding.new_decoder_without_bom_handling()))
        };
        match self {
            Self::Utf8 => Reader::Utf8,
            Self::Utf16Le => library(encoding_rs::UTF_16LE),
            Self::Utf16Be => library(encoding_rs::UTF_16BE),
            Self::Windows874 => library(encoding_rs::WINDOWS_874),
            Self::Windows1258 => library(encoding_rs::WINDOWS_1258),
            Self::Windows1252 => library(encoding_rs::WINDOWS_1252),
            Self::Tcvn3 => Reader::Tcvn3,
        }
    }

    /// A whole text decoded; `None` where a byte means nothing.
    fn decode_all(self, bytes: &[u8]) -> Option<String> {
        let mut reader = self.reader();
        let mut text = Vec::with_capacity(bytes.len() * 2);
        reader.decode(bytes, true, &mut text);
        String::from_utf8(text).ok()
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    /// Its name or a common other one, in letters of either case.
    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        match name.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Ok(Self::Utf8),
            "utf-16le" => Ok(Self::Utf16Le),
            "utf-16be" => Ok(Self::Utf16Be),
            "windows-874" | "cp874" | "tis-620" | "iso-8859-11" => Ok(Self::Windows874),
            "windows-1258" | "cp1258" => Ok(Self::Windows1258),
            "tcvn3" | "tcvn-5712" | "abc" => Ok(Self::Tcvn3),
            "windows-1252" | "cp1252" | "latin1" | "iso-8859-1" => Ok(Self::Windows1252),
            _ => Err(UnknownEncoding),
        }
    }
}

/// Decodes one file.
pub(super) struct TextDecoder {
    stage: Stage,
    /// What was not decoded yet because the encoding is not known.
    waiting: Vec<u8>,
    named: Option<Encoding>,
}

enum Stage {
    /// The first bytes: a mark, zeros.
    Head,
    /// Everything so far is ASCII.
    Ascii,
    /// From the first line that is not ASCII on: looking for the encoding.
    Sample,
    Known(Encoding, Reader),
}

enum Reader {
    Utf8,
    Tcvn3,
    Library(Box<Decoder>),
}

impl TextDecoder {
    /// A file in a named encoding, or in one that is to be found out.
    pub(super) const fn new(named: Option<Encoding>) -> Self {
        Self { stage: Stage::Head, waiting: Vec::new(), named }
    }

    /// The encoding, once it is known; a file of ASCII ends as UTF-8.
    pub(super) const fn encoding(&self) -> Option<Encoding> {
        match self.stage {
            Stage::Known(encoding, _) => Some(encoding),
            _ => self.named,
        }
    }

    /// The text of the next bytes; less than they hold while the encoding is looked for.
    ///
    /// # Errors
    /// [`Undecided`] if it cannot be found; then nothing of this call was decoded.
    pub(super) fn push<'a>(&mut self, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Undecided> {
        self.advance(bytes, false)
    }

    /// The rest of the text: the file has ended.
    ///
    /// # Errors
    /// As [`TextDecoder::push`].
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, Undecided> {
        self.advance(&[], true).map(Cow::into_owned)
    }

    fn advance<'a>(&mut self, bytes: &'a [u8], ended: bool) -> Result<Cow<'a, [u8]>, Undecided> {
        if let Stage::Known(_, reader) = &mut self.stage {
            if matches!(reader, Reader::Utf8) {
                return Ok(Cow::Borrowed(bytes));
            }
            let mut text = Vec::with_capacity(bytes.len() * 2);
            reader.decode(bytes, ended, &mut text);
            return Ok(Cow::Owned(text));
        }
        self.waiting.extend_from_slice(bytes);
        let mut text = Vec::new();
        if matches!(self.stage, Stage::Head) {
            if self.waiting.len() < HEAD_BYTES && !ended {
                return Ok(Cow::Owned(text));
            }
            self.head()?;
        }
        if matches!(self.stage, Stage::Ascii) {
            self.ascii(ended, &mut text);
        }
        if matches!(self.stage, Stage::Sample) && (ended || self.waiting.len() >= SAMPLE_BYTES) {
            let encoding = detect::detect(&self.waiting, ended)?;
            self.stage = Stage::Known(encoding, encoding.reader());
        }
        if let Stage::Known(_, reader) = &mut self.stage {
            let waiting = std::mem::take(&mut self.waiting);
            reader.decode(&waiting, ended, &mut text);
        }
        Ok(Cow::Owned(text))
    }

    /// What the first bytes say.
    fn head(&mut self) -> Result<(), Undecided> {
        let marked = Encoding::marked(&self.waiting);
        if let (Some(named), Some((encoding, _))) = (self.named, marked)
            && named != encoding
            // In an encoding of single bytes the mark could be text, if strange one.
            && matches!(named, Encoding::Utf8 | Encoding::Utf16Le | Encoding::Utf16Be)
        {
            return Err(Undecided(vec![encoding, named]));
        }
        let found = match (self.named, marked) {
            (Some(named), _) => Some(named),
            (None, Some((encoding, _))) => Some(encoding),
            (None, None) => detect::without_mark(self.waiting.get(..HEAD_BYTES).unwrap_or(&self.waiting))?,
        };
        self.stage = Stage::Ascii;
        if let Some(encoding) = found {
            // The mark of UTF-8 is left to whoever cuts the text into records and counts bytes.
            if let Some((Encoding::Utf16Le | Encoding::Utf16Be, length)) = marked.filter(|(mark, _)| *mark == encoding)
            {
                self.waiting.drain(..length);
            }
            self.stage = Stage::Known(encoding, encoding.reader());
        }
        Ok(())
    }

    /// Lets lines of ASCII through; from the first other one on text is kept.
    fn ascii(&mut self, ended: bool, text: &mut Vec<u8>) {
        match self.waiting.iter().position(|byte| !byte.is_ascii()) {
            Some(at) => {
                let line_end = self.waiting.iter().take(at).rposition(|byte| *byte == b'\n');
                text.extend(self.waiting.drain(..line_end.map_or(0, |end| end + 1)));
                self.stage = Stage::Sample;
            }
            None if ended => self.stage = Stage::Known(Encoding::Utf8, Reader::Utf8),
            // The last line may go on with other bytes; one that is too long is let through all the same.
            None => {
                let line_end = self.waiting.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                let whole = if self.waiting.len() - line_end > SAMPLE_BYTES { self.waiting.len() } else { line_end };
                text.extend(self.waiting.drain(..whole));
            }
        }
    }
}

impl Reader {
    fn decode(&mut self, bytes: &[u8], ended: bool, text: &mut Vec<u8>) {
        match self {
            Self::Utf8 => text.extend_from_slice(bytes),
            Self::Tcvn3 => tcvn3::decode(bytes, text),
            Self::Library(decoder) => decode(decoder, bytes, ended, text),
        }
    }
}

fn decode(decoder: &mut Decoder, bytes: &[u8], ended: bool, text: &mut Vec<u8>) {
    const ROOM: usize = 4096;
    let mut bytes = bytes;
    loop {
        let before = text.len();
        text.resize(before + ROOM.max(bytes.len()), 0);
        let room = text.get_mut(before..).unwrap_or_default();
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, room, ended);
        text.truncate(before + written);
        bytes = bytes.get(read..).unwrap_or_default();
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(_, _) => text.push(UNDECODABLE),
        }
    }
}
