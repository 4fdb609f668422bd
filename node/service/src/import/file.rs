//! One file of records, whatever its format and encoding.

use std::collections::VecDeque;

use super::encoding::{TextDecoder, Undecided};
use super::workbook::WorkbookImporter;
use super::{CsvImporter, Encoding, ImportError, ImportOptions, JsonLinesImporter, Parsed, Rejection};
use eads_domain::code::Code;

/// Bytes that are decoded and cut into records at once, so that a large chunk of small records does not stand in
/// memory as a whole.
const STEP_BYTES: usize = 128 * 1024;

/// How a file is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values with a header line.
    Csv {
        /// The encoding, if it is named.
        encoding: Option<Encoding>,
    },
    /// One JSON object a line.
    JsonLines {
        /// The encoding, if it is named.
        encoding: Option<Encoding>,
    },
    /// A workbook (XLSX).
    Workbook {
        /// The sheet's name; none is the first.
        sheet: Option<String>,
    },
}

/// Reads one file: [`FileImporter::push`] with all of its bytes, [`FileImporter::end`], and after each of these
/// [`FileImporter::next`] until there is nothing more.
pub struct FileImporter {
    reader: Reader,
    text: TextDecoder,
    waiting: VecDeque<u8>,
    ended: bool,
    /// Bytes of the file that went in, and of text that came out.
    file_bytes: u64,
    text_bytes: u64,
    /// Ends of steps: bytes of text, bytes of the file.
    steps: VecDeque<(u64, u64)>,
    done: u64,
}

enum Reader {
    Csv(Option<Box<CsvImporter>>),
    JsonLines(Option<Box<JsonLinesImporter>>),
    Workbook(Box<WorkbookImporter>),
}

impl FileImporter {
    /// Begins a file.
    pub fn new(format: FileFormat, options: ImportOptions) -> Self {
        let (reader, encoding) = match format {
            FileFormat::Csv { encoding } => (Reader::Csv(Some(Box::new(CsvImporter::new(options)))), encoding),
            FileFormat::JsonLines { encoding } => {
                (Reader::JsonLines(Some(Box::new(JsonLinesImporter::new(options)))), encoding)
            }
            FileFormat::Workbook { sheet } => (Reader::Workbook(Box::new(WorkbookImporter::new(options, sheet))), None),
        };
        let (waiting, steps) = (VecDeque::new(), VecDeque::new());
        Self {
            reader,
            text: TextDecoder::new(encoding),
            waiting,
            ended: false,
            file_bytes: 0,
            text_bytes: 0,
            steps,
            done: 0,
        }
    }

    /// The encoding that is read, once it is known and where the format leaves it open.
    pub const fn encoding(&self) -> Option<Encoding> {
        match self.reader {
            Reader::Workbook(_) => None,
            _ => self.text.encoding(),
        }
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// [`ImportError::Workbook`] if the file is too large to be one.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        if let Reader::Workbook(workbook) = &mut self.reader {
            self.file_bytes += bytes.len() as u64;
            return workbook.push(bytes);
        }
        self.waiting.extend(bytes);
        Ok(())
    }

    /// The file has ended.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// What became of the next records; `None` if more bytes are needed, or if all has been said. Blocks, once a
    /// workbook has ended.
    ///
    /// # Errors
    /// [`ImportError`] for a file that cannot be read; then for every later call too.
    #[allow(clippy::should_implement_trait, reason = "it may go on after None")]
    pub fn next(&mut self) -> Result<Option<Vec<Parsed>>, ImportError> {
        if let Reader::Workbook(workbook) = &mut self.reader {
            return if self.ended { workbook.more() } else { Ok(None) };
        }
        if !self.waiting.is_empty() {
            let step: Vec<u8> = self.waiting.drain(..self.waiting.len().min(STEP_BYTES)).collect();
            self.file_bytes += step.len() as u64;
            let text = self.text.push(&step).map_err(uncertain)?;
            self.text_bytes += text.len() as u64;
            self.steps.push_back((self.text_bytes, self.file_bytes));
            let parsed = match &mut self.reader {
                Reader::Csv(Some(csv)) => csv.push(&text)?,
                Reader::JsonLines(Some(lines)) => lines.push(&text)?,
                _ => Vec::new(),
            };
            return Ok(Some(self.named(parsed)));
        }
        if !self.ended {
            return Ok(None);
        }
        let is_open = matches!(self.reader, Reader::Csv(Some(_)) | Reader::JsonLines(Some(_)));
        if !is_open {
            return Ok(None);
        }
        let text = self.text.finish().map_err(uncertain)?;
        self.text_bytes += text.len() as u64;
        self.steps.push_back((self.text_bytes, self.file_bytes));
        let mut parsed = Vec::new();
        match &mut self.reader {
            Reader::Csv(csv) => {
                if let Some(mut csv) = csv.take() {
                    parsed.extend(csv.push(&text)?);
                    parsed.extend(csv.finish()?);
                }
            }
            Reader::JsonLines(lines) => {
                if let Some(mut lines) = lines.take() {
                    parsed.extend(lines.push(&text)?);
                    parsed.extend(lines.finish()?);
                }
            }
            Reader::Workbook(_) => {}
        }
        Ok(Some(self.named(parsed)))
    }

    /// How many bytes of the file have been dealt with when a record has been that ends at `byte_end`; asked for
    /// records in their order.
    pub fn file_bytes(&mut self, byte_end: u64) -> u64 {
        if let Reader::Workbook(workbook) = &self.reader {
            return self.file_bytes.saturating_mul(u64::from(workbook.done())) / 1000;
        }
        let at = if matches!(self.text.encoding(), None | Some(Encoding::Utf8)) {
            // Text so far is as it stands in the file.
            while self.steps.len() > 1 {
                self.steps.pop_front();
            }
            byte_end
        } else {
            while self.steps.get(1).is_some_and(|(text, _)| *text <= byte_end) {
                self.steps.pop_front();
            }
            self.steps.front().filter(|(text, _)| *text <= byte_end).map_or(0, |(_, file)| *file)
        };
        self.done = self.done.max(at);
        self.done
    }

    /// What a byte spoils that means nothing in the file's encoding, in that encoding's name.
    fn named(&self, mut parsed: Vec<Parsed>) -> Vec<Parsed> {
        let Some(encoding) = self.text.encoding().filter(|encoding| *encoding != Encoding::Utf8) else { return parsed };
        for one in &mut parsed {
            if let Err(Rejection { code, reason, .. }) = &mut one.outcome
                && matches!(code.as_str(), "CSV_NOT_UTF8" | "JSON_NOT_UTF8")
            {
                *code = Code::new("TEXT_UNDECODABLE");
                *reason = format!("the line has bytes that mean nothing in {encoding}");
            }
        }
        parsed
    }
}

fn uncertain(undecided: Undecided) -> ImportError {
    ImportError::EncodingUncertain { candidates: undecided.0 }
}
