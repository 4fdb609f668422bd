//! Cuts a stream of bytes into records at line ends, and knows where each one ends in the file.
//!
//! With quotation marks (CSV) a line end between two of them belongs to the record. A quotation mark that is
//! never closed would swallow the rest of the file; so as soon as that shows (the file ends, a record gets too
//! long, or a closing mark stands where none can) only the line on which the record began is given up, and
//! reading goes on with the next one. Memory: one record and what was pushed last.

use super::MAX_RECORD_BYTES;

/// One record, or why it is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it begins, from 1.
    pub(super) line: u64,
    /// Bytes of the file up to and with its line end.
    pub(super) byte_end: u64,
    pub(super) content: Content,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The bytes of a record, line end included; never blank.
    Record(Vec<u8>),
    /// More than [`MAX_RECORD_BYTES`].
    TooLong,
    /// Quotation marks that do not pair.
    Quotes,
}

#[derive(Debug)]
pub(super) struct Splitter {
    /// The delimiter of fields, where quotation marks count.
    delimiter: Option<u8>,
    buffer: Vec<u8>,
    /// Where in the buffer the current record begins, and up to where it was looked at.
    start: usize,
    scanned: usize,
    /// Where in the file the current record begins.
    offset: u64,
    line: u64,
    state: State,
    /// Giving up a line: its end is still to come.
    giving_up: Option<Content>,
    bom_checked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// After a quotation mark inside a quoted field: the closing one, or the first of two.
    QuoteInQuoted,
}

impl Splitter {
    /// Lines.
    pub(super) const fn lines() -> Self {
        Self::new(None)
    }

    /// Records of CSV.
    pub(super) const fn csv(delimiter: u8) -> Self {
        Self::new(Some(delimiter))
    }

    const fn new(delimiter: Option<u8>) -> Self {
        Self {
            delimiter,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            offset: 0,
            line: 1,
            state: State::FieldStart,
            giving_up: None,
            bom_checked: false,
        }
    }

    /// Takes in the next bytes of the file.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start.min(self.buffer.len()));
        self.scanned = self.scanned.saturating_sub(self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record that is complete, or whatever is left once the file has ended.
    pub(super) fn next(&mut self, ended: bool) -> Option<Piece> {
        const BOM: &[u8] = &[0xef, 0xbb, 0xbf];
        if !self.bom_checked {
            if self.buffer.len() < BOM.len() && !ended {
                return None;
            }
            self.bom_checked = true;
            if self.buffer.starts_with(BOM) {
                self.start = BOM.len();
                self.scanned = BOM.len();
                self.offset = BOM.len() as u64;
            }
        }
        while let Some(byte) = self.buffer.get(self.scanned).copied() {
            self.scanned += 1;
            if let Some(content) = self.giving_up.take_if(|_| byte == b'\n') {
                return Some(self.cut(self.scanned, |_| content));
            }
            if self.giving_up.is_some() {
                continue;
            }
            if byte == b'\n' && self.state != State::Quoted {
                let piece = self.cut(self.scanned, |bytes| Content::Record(bytes.to_vec()));
                match &piece.content {
                    Content::Record(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => continue,
                    _ => return Some(piece),
                }
            }
            let problem = match self.advance(byte) {
                Some(state) => {
                    self.state = state;
                    (self.scanned - self.start > MAX_RECORD_BYTES).then_some(match state {
                        State::Quoted => Content::Quotes,
                        _ => Content::TooLong,
                    })
                }
                None => Some(Content::Quotes),
            };
            if let Some(problem) = problem
                && let Some(piece) = self.give_up(problem)
            {
                return Some(piece);
            }
        }
        if self.giving_up.is_some() {
            // What is given up need not be kept; where its line began is known.
            self.offset += (self.scanned - self.start) as u64;
            self.start = self.scanned;
        }
        if ended { self.rest() } else { None }
    }

    /// The state after one more byte; none if a quotation mark closed where it cannot.
    const fn advance(&self, byte: u8) -> Option<State> {
        let Some(delimiter) = self.delimiter else { return Some(State::Plain) };
        Some(match (self.state, byte) {
            (State::FieldStart, b'"') | (State::QuoteInQuoted, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::QuoteInQuoted,
            (State::Quoted, _) => State::Quoted,
            (_, byte) if byte == delimiter => State::FieldStart,
            (State::QuoteInQuoted, b'\r') => State::QuoteInQuoted,
            (State::QuoteInQuoted, _) => return None,
            _ => State::Plain,
        })
    }

    /// Gives up the line on which the current record began, now or when its end comes.
    fn give_up(&mut self, problem: Content) -> Option<Piece> {
        let record = self.buffer.get(self.start..).unwrap_or_default();
        let line_end = record.iter().take(self.scanned - self.start).position(|byte| *byte == b'\n');
        match line_end {
            Some(at) => Some(self.cut(self.start + at + 1, |_| problem)),
            None => {
                self.giving_up = Some(problem);
                None
            }
        }
    }

    /// What is left when the file ends without a line end, or inside quotation marks.
    fn rest(&mut self) -> Option<Piece> {
        if let Some(content) = self.giving_up.take() {
            return Some(self.cut(self.buffer.len(), |_| content));
        }
        if self.start >= self.buffer.len() {
            return None;
        }
        if self.state == State::Quoted {
            return match self.give_up(Content::Quotes) {
                Some(piece) => Some(piece),
                None => self.rest(),
            };
        }
        let piece = self.cut(self.buffer.len(), |bytes| Content::Record(bytes.to_vec()));
        match &piece.content {
            Content::Record(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => None,
            _ => Some(piece),
        }
    }

    /// Ends the current record before `end` and begins the next one there.
    fn cut(&mut self, end: usize, content: impl FnOnce(&[u8]) -> Content) -> Piece {
        let bytes = self.buffer.get(self.start..end).unwrap_or_default();
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.offset += bytes.len() as u64;
        let piece = Piece { line: self.line, byte_end: self.offset, content: content(bytes) };
        self.line += lines;
        self.start = end;
        self.scanned = end;
        self.state = State::FieldStart;
        piece
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(mut splitter: Splitter, text: &[u8], chunk: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for bytes in text.chunks(chunk.max(1)) {
            splitter.push(bytes);
            pieces.extend(std::iter::from_fn(|| splitter.next(false)));
        }
        pieces.extend(std::iter::from_fn(|| splitter.next(true)));
        pieces
    }

    fn csv(text: &str) -> Vec<(u64, Option<String>)> {
        let show = |piece: Piece| match piece.content {
            Content::Record(bytes) => (piece.line, Some(String::from_utf8(bytes).unwrap().trim_end().to_owned())),
            _ => (piece.line, None),
        };
        split(Splitter::csv(b','), text.as_bytes(), 3).into_iter().map(show).collect()
    }

    fn record(line: u64, text: &str) -> (u64, Option<String>) {
        (line, Some(text.to_owned()))
    }

    #[test]
    fn a_line_end_inside_quotation_marks_belongs_to_the_record() {
        assert_eq!(csv("a,\"b\nc\",d\r\n\r\ne\n"), [record(1, "a,\"b\nc\",d"), record(4, "e")]);
        assert_eq!(csv("\"a \"\"b\"\"\"\nc"), [record(1, "\"a \"\"b\"\"\""), record(2, "c")]);
        assert_eq!(csv("a\"b\nc\n"), [record(1, "a\"b"), record(2, "c")]);
    }

    #[test]
    fn an_unclosed_quotation_mark_costs_one_line_only() {
        assert_eq!(csv("a,\"b\nc\nd,e"), [(1, None), record(2, "c"), record(3, "d,e")]);
        assert_eq!(csv("a,\"b\nc,\"d\"\ne"), [(1, None), record(2, "c,\"d\""), record(3, "e")]);
        assert_eq!(csv("a,\"b\"x\nc"), [(1, None), record(2, "c")]);
        let long = format!("a,\"b\n{}", "c,d\n".repeat(MAX_RECORD_BYTES / 4 + 10));
        let pieces = csv(&long);
        assert_eq!(pieces[0], (1, None));
        assert_eq!(pieces.len(), MAX_RECORD_BYTES / 4 + 11);
        assert!(pieces.iter().skip(1).all(|piece| piece.1.as_deref() == Some("c,d")));
    }

    #[test]
    fn a_line_that_is_too_long_is_given_up_without_being_kept() {
        let mut splitter = Splitter::lines();
        splitter.push(b"x");
        for _ in 0..100 {
            splitter.push(&[b'y'; 64 * 1024]);
            assert_eq!(splitter.next(false), None);
            assert!(splitter.buffer.len() <= MAX_RECORD_BYTES + 64 * 1024 + 1);
        }
        splitter.push(b"\nz\n");
        let piece = splitter.next(false).unwrap();
        assert_eq!((piece.line, piece.byte_end, piece.content), (1, 100 * 64 * 1024 + 2, Content::TooLong));
        let piece = splitter.next(false).unwrap();
        assert_eq!((piece.line, piece.byte_end), (2, 100 * 64 * 1024 + 4));
    }

    #[test]
    fn a_byte_order_mark_is_skipped_and_counted() {
        let pieces = split(Splitter::lines(), "\u{feff}a\nb".as_bytes(), 1);
        assert_eq!(pieces[0], Piece { line: 1, byte_end: 5, content: Content::Record(b"a\n".to_vec()) });
        assert_eq!(pieces[1], Piece { line: 2, byte_end: 6, content: Content::Record(b"b".to_vec()) });
    }

    proptest! {
        #[test]
        fn how_the_file_is_chunked_makes_no_difference(text in "[ab,\"\n\r]{0,60}", chunk in 1_usize..20) {
            let whole = split(Splitter::csv(b','), text.as_bytes(), 1000);
            prop_assert_eq!(&split(Splitter::csv(b','), text.as_bytes(), chunk), &whole);
            for pair in whole.windows(2) {
                prop_assert!(pair[0].byte_end < pair[1].byte_end && pair[0].line < pair[1].line);
            }
            prop_assert!(whole.iter().all(|piece| piece.byte_end <= text.len() as u64));
        }
    }
}
