//! Reads XML from outside as a stream of small elements, and refuses what a list has no use for.
//!
//! Promises: no document type, no entity but the five predefined ones and character references, at most
//! [`MAX_DEPTH`] levels, [`MAX_TEXT`] bytes of text an element, [`MAX_MARKUP`] bytes of markup at a stretch,
//! [`MAX_ELEMENTS`] elements in a subtree and [`MAX_FILE`] bytes in all, unless another bound is given. Memory stays
//! within those bounds whatever the file holds. It does not validate against a schema and ignores comments and
//! processing instructions.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use eads_domain::code::{Code, Coded, Fault};
use quick_xml::XmlVersion;
use quick_xml::errors::Error as QuickError;
use quick_xml::events::Event;
use quick_xml::events::attributes::Attributes;

/// Levels of nesting, the root included.
pub const MAX_DEPTH: usize = 32;
/// Bytes of text in one element.
pub const MAX_TEXT: usize = 64 * 1024;
/// Bytes of one tag, comment or run of text.
pub const MAX_MARKUP: usize = 80 * 1024;
/// Elements below one that is read as a whole.
pub const MAX_ELEMENTS: usize = 4096;
/// Bytes of a file.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// What a stretch handed to the parser at once may measure; bounds how far a limit can be overrun.
const CHUNK: usize = 8 * 1024;

/// XML that is refused, with the line where it was noticed (from 1).
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// A `<!DOCTYPE`; with it come entities, external files and expansion bombs.
    #[error("line {line}: a document type declaration is not accepted; remove <!DOCTYPE …>")]
    Doctype {
        /// Line.
        line: u64,
    },
    /// An entity that is neither predefined nor a valid character reference.
    #[error("line {line}: only &amp; &lt; &gt; &apos; &quot; and character references are accepted")]
    Entity {
        /// Line.
        line: u64,
    },
    /// More than [`MAX_DEPTH`] levels.
    #[error("line {line}: more than {MAX_DEPTH} levels of elements")]
    TooDeep {
        /// Line.
        line: u64,
    },
    /// More than [`MAX_TEXT`] or [`MAX_MARKUP`] bytes.
    #[error("line {line}: a tag, an attribute or the text of an element is longer than 64 KiB")]
    TooLong {
        /// Line.
        line: u64,
    },
    /// More than [`MAX_ELEMENTS`] elements in one entry.
    #[error("line {line}: more than {MAX_ELEMENTS} elements in one entry")]
    TooMany {
        /// Line.
        line: u64,
    },
    /// More than [`MAX_FILE`] bytes.
    #[error("line {line}: the file is larger than 64 MiB")]
    TooBig {
        /// Line.
        line: u64,
    },
    /// Not UTF-8.
    #[error("line {line}: the file is not UTF-8")]
    Encoding {
        /// Line.
        line: u64,
    },
    /// Not well formed.
    #[error("line {line}: the XML is not well formed ({problem})")]
    Malformed {
        /// Line.
        line: u64,
        /// What is wrong, in words that quote nothing of the file.
        problem: &'static str,
    },
    /// The file ends inside an element.
    #[error("line {line}: the file ends inside an element; it was probably cut off in transfer")]
    Truncated {
        /// Line.
        line: u64,
    },
    /// The file cannot be read.
    #[error("line {line}: the file cannot be read: {kind}")]
    Read {
        /// Line.
        line: u64,
        /// What the machine said.
        kind: io::ErrorKind,
    },
}

impl Coded for XmlError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Doctype { .. } => "XML_DOCTYPE",
            Self::Entity { .. } => "XML_ENTITY",
            Self::TooDeep { .. } => "XML_TOO_DEEP",
            Self::TooLong { .. } => "XML_TOO_LONG",
            Self::TooMany { .. } => "XML_TOO_MANY_ELEMENTS",
            Self::TooBig { .. } => "XML_TOO_BIG",
            Self::Encoding { .. } => "XML_ENCODING",
            Self::Malformed { .. } => "XML_MALFORMED",
            Self::Truncated { .. } => "XML_TRUNCATED",
            Self::Read { .. } => "XML_READ",
        })
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Read { .. } => Fault::Ourselves,
            _ => Fault::Caller,
        }
    }
}

/// One step through the document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An element begins.
    Open {
        /// Its name, prefix included.
        name: String,
        /// The line on which its tag ends.
        line: u64,
    },
    /// Text inside an element; one text may come in several steps.
    Text(String),
    /// The innermost open element ends.
    Close,
    /// The document ends, all elements closed.
    End,
}

/// An element read as a whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name.
    pub(super) name: String,
    /// The line on which its tag ends, from 1.
    pub(super) line: u64,
    /// Its own text, white space as it stands.
    pub(super) text: String,
    /// Its children in order.
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The children called `name`.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child called `name`, with runs of white space as one space; absent if there is
    /// nothing but white space.
    pub(super) fn text_of(&self, name: &str) -> Option<String> {
        self.all(name).find_map(Self::tidy_text)
    }

    /// Its own text, with runs of white space as one space; absent if there is nothing but white space.
    pub(super) fn tidy_text(&self) -> Option<String> {
        let tidy: String = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let tidy: String = tidy.chars().filter(|c| !c.is_control()).collect();
        (!tidy.is_empty()).then_some(tidy)
    }
}

/// A pull reader over one document.
pub(super) struct XmlReader<R> {
    quick: quick_xml::Reader<Counted<R>>,
    buffer: Vec<u8>,
    /// The tag that was opened last, for its attributes.
    tag: String,
    /// The name of the element that was closed last.
    closed: String,
    depth: usize,
    closed_root: bool,
}

impl<R: BufRead> XmlReader<R> {
    /// Reads `source`, at most [`MAX_FILE`] bytes.
    pub(super) fn new(source: R) -> Self {
        Self::with_limit(source, MAX_FILE)
    }

    /// Reads `source`, at most `max_file` bytes and one chunk.
    pub(super) fn with_limit(source: R, max_file: u64) -> Self {
        let mut quick = quick_xml::Reader::from_reader(Counted::new(source, max_file));
        let config = quick.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = true;
        config.allow_unmatched_ends = false;
        config.allow_dangling_amp = false;
        Self { quick, buffer: Vec::new(), tag: String::new(), closed: String::new(), depth: 0, closed_root: false }
    }

    /// The line that has been reached, from 1.
    pub(super) fn line(&self) -> u64 {
        self.quick.get_ref().line
    }

    /// The next step.
    pub(super) fn step(&mut self) -> Result<Step, XmlError> {
        loop {
            self.buffer.clear();
            self.quick.get_mut().since_mark = 0;
            let event = self.quick.read_event_into(&mut self.buffer);
            let line = self.quick.get_ref().line;
            let event = match event {
                Ok(event) => event,
                Err(error) => return Err(explain(error, self.quick.get_ref().breach, line)),
            };
            match event {
                Event::Start(tag) => {
                    if self.closed_root {
                        return Err(XmlError::Malformed { line, problem: "a second root element" });
                    }
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(XmlError::TooDeep { line });
                    }
                    let name = tag.name().as_ref().to_owned();
                    self.tag.clear();
                    self.tag.push_str(&tag);
                    return Ok(Step::Open { name, line });
                }
                Event::End(tag) => {
                    self.closed.clear();
                    self.closed.push_str(tag.name().as_ref());
                    self.depth = self.depth.saturating_sub(1);
                    self.closed_root = self.depth == 0;
                    return Ok(Step::Close);
                }
                Event::Text(text) => {
                    let text = text.xml10_content();
                    if self.depth > 0 {
                        return Ok(Step::Text(text.into_owned()));
                    }
                    if !text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').is_empty() {
                        return Err(XmlError::Malformed { line, problem: "text outside the root element" });
                    }
                }
                Event::CData(text) => {
                    if self.depth == 0 {
                        return Err(XmlError::Malformed { line, problem: "text outside the root element" });
                    }
                    return Ok(Step::Text(text.xml10_content().into_owned()));
                }
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref() {
                        Ok(Some(character)) => character,
                        Ok(None) => predefined(&reference).ok_or(XmlError::Entity { line })?,
                        Err(_) => return Err(XmlError::Entity { line }),
                    };
                    if self.depth == 0 {
                        return Err(XmlError::Malformed { line, problem: "text outside the root element" });
                    }
                    return Ok(Step::Text(resolved.to_string()));
                }
                Event::Decl(declaration) => {
                    let utf8 = match declaration.encoding() {
                        None => true,
                        Some(Ok(name)) => name.eq_ignore_ascii_case("utf-8"),
                        Some(Err(_)) => false,
                    };
                    if !utf8 {
                        return Err(XmlError::Encoding { line });
                    }
                }
                Event::DocType(_) => return Err(XmlError::Doctype { line }),
                Event::Eof if self.depth > 0 => return Err(XmlError::Truncated { line }),
                Event::Eof => return Ok(Step::End),
                Event::Empty(_) | Event::Comment(_) | Event::PI(_) => {}
            }
        }
    }

    /// How many bytes of the document have been read.
    pub(super) fn position(&self) -> u64 {
        self.quick.get_ref().total
    }

    /// The name of the element that was closed last, prefix included.
    pub(super) fn closed(&self) -> &str {
        &self.closed
    }

    /// An attribute of the element that was opened last, by its name, prefix included.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let end = self.tag.find(|c: char| c.is_ascii_whitespace()).unwrap_or(self.tag.len());
        let mut attributes = Attributes::new(&self.tag, end);
        let found = attributes.with_checks(false).flatten().find(|attribute| attribute.key.as_ref() == name)?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
    }

    /// The rest of an element that was just opened.
    pub(super) fn element(&mut self, name: String, line: u64) -> Result<Element, XmlError> {
        let mut open = vec![Element { name, line, ..Element::default() }];
        let mut count = 0_usize;
        loop {
            match self.step()? {
                Step::Open { name, line } => {
                    count += 1;
                    if count > MAX_ELEMENTS {
                        return Err(XmlError::TooMany { line });
                    }
                    open.push(Element { name, line, ..Element::default() });
                }
                Step::Text(text) => {
                    let line = self.line();
                    if let Some(innermost) = open.last_mut() {
                        if innermost.text.len() + text.len() > MAX_TEXT {
                            return Err(XmlError::TooLong { line });
                        }
                        innermost.text.push_str(&text);
                    }
                }
                Step::Close => {
                    let Some(done) = open.pop() else { return Err(XmlError::Truncated { line: self.line() }) };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Ok(done),
                    }
                }
                Step::End => return Err(XmlError::Truncated { line: self.line() }),
            }
        }
    }
}

fn predefined(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

fn explain(error: QuickError, breach: Option<Breach>, line: u64) -> XmlError {
    match (breach, error) {
        (Some(Breach::Markup), _) => XmlError::TooLong { line },
        (Some(Breach::File), _) => XmlError::TooBig { line },
        (None, QuickError::Io(error)) => XmlError::Read { line, kind: error.kind() },
        (None, QuickError::Encoding(_)) => XmlError::Encoding { line },
        (None, QuickError::Escape(_)) => XmlError::Entity { line },
        (None, QuickError::Syntax(_)) => XmlError::Malformed { line, problem: "markup that never ends" },
        (None, QuickError::IllFormed(_)) => {
            XmlError::Malformed { line, problem: "tags that do not match, or a bare &" }
        }
        (None, QuickError::InvalidAttr(_)) => XmlError::Malformed { line, problem: "an attribute" },
        (None, QuickError::Namespace(_)) => XmlError::Malformed { line, problem: "a name space" },
    }
}

#[derive(Clone, Copy, Debug)]
enum Breach {
    Markup,
    File,
}

/// Counts lines and bytes on the way through, and stops the parser before it buffers more than it may.
struct Counted<R> {
    inner: R,
    line: u64,
    total: u64,
    max: u64,
    since_mark: usize,
    breach: Option<Breach>,
}

impl<R> Counted<R> {
    const fn new(inner: R, max: u64) -> Self {
        Self { inner, line: 1, total: 0, max, since_mark: 0, breach: None }
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let copied = {
            let available = self.fill_buf()?;
            let copied = available.len().min(out.len());
            if let (Some(to), Some(from)) = (out.get_mut(..copied), available.get(..copied)) {
                to.copy_from_slice(from);
            }
            copied
        };
        self.consume(copied);
        Ok(copied)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.since_mark > MAX_MARKUP {
            self.breach = Some(Breach::Markup);
        } else if self.total > self.max {
            self.breach = Some(Breach::File);
        }
        if self.breach.is_some() {
            return Err(io::Error::other("a limit was exceeded"));
        }
        let available = self.inner.fill_buf()?;
        Ok(available.get(..CHUNK).unwrap_or(available))
    }

    fn consume(&mut self, amount: usize) {
        // The buffer that was handed out is still there: asking again reads nothing.
        if let Ok(available) = self.inner.fill_buf() {
            let lines = available.iter().take(amount).filter(|&&byte| byte == b'\n').count();
            self.line = self.line.saturating_add(lines as u64);
        }
        self.total = self.total.saturating_add(amount as u64);
        self.since_mark = self.since_mark.saturating_add(amount);
        self.inner.consume(amount);
    }
}
