//! The parts of a workbook, each inflated within bounds.

use std::io::{BufReader, Cursor, Read};

use zip::ZipArchive;

use super::Unreadable;
use super::format::Formats;
use crate::import::xml::{Step, XmlError, XmlReader};

/// Parts of a workbook; real ones have a few dozen.
const MAX_ENTRIES: usize = 2000;
/// What a part may inflate to, however small it is …
const ALWAYS_ALLOWED: u64 = 4 * 1024 * 1024;
/// … how many times its own size beyond that …
const MAX_RATIO: u64 = 200;
/// … and in any case.
const MAX_INFLATED: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes of all shared texts.
const MAX_TEXTS: usize = 256 * 1024 * 1024;
/// How many shared texts there may be.
const MAX_TEXT_COUNT: usize = 16 * 1024 * 1024;
/// Bytes of one text: a cell holds 32,767 characters.
pub(super) const MAX_CELL_BYTES: usize = 128 * 1024;
const MAX_SHEETS: usize = 1000;

/// A workbook's archive.
pub(super) struct Archive {
    zip: ZipArchive<Cursor<Vec<u8>>>,
    /// Days are counted from 1904, as on old Macintosh computers.
    pub(super) from_1904: bool,
}

/// Texts that cells refer to by number, one after the other.
#[derive(Default)]
pub(super) struct Texts {
    text: String,
    ends: Vec<u32>,
}

impl Texts {
    pub(super) fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)? as usize;
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        self.text.get(start..end)
    }
}

impl Archive {
    pub(super) fn open(file: Vec<u8>) -> Result<Self, Unreadable> {
        const COMPOUND: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0];
        const ENTRY: &[u8] = b"PK\x01\x02";
        if file.starts_with(COMPOUND) {
            let what = "it is locked by a password, or of the old format XLS; save it as XLSX without a password";
            return Err(Unreadable::new("XLSX_NOT_A_WORKBOOK", what));
        }
        // The library takes in the whole directory at once.
        if file.windows(ENTRY.len()).filter(|bytes| *bytes == ENTRY).count() > MAX_ENTRIES {
            return Err(Unreadable::too_large("the archive has more than 2,000 parts"));
        }
        let zip = ZipArchive::new(Cursor::new(file))
            .map_err(|_| Unreadable::new("XLSX_NOT_A_WORKBOOK", "it is no XLSX file, or was cut off in transfer"))?;
        Ok(Self { zip, from_1904: false })
    }

    /// Name and part of the sheet called `wanted`, or of the first.
    pub(super) fn sheet(&mut self, wanted: Option<&str>) -> Result<(String, String), Unreadable> {
        let mut sheets: Vec<(String, String)> = Vec::new();
        let mut from_1904 = false;
        self.each("xl/workbook.xml", |name, xml| {
            match name {
                "sheet" if sheets.len() < MAX_SHEETS => {
                    let attribute = |name| xml.attribute(name).unwrap_or_default();
                    sheets.push((attribute("name"), attribute("r:id")));
                }
                "workbookPr" => {
                    from_1904 = matches!(xml.attribute("date1904").as_deref(), Some("1" | "true"));
                }
                _ => {}
            }
            Ok(())
        })?
        .ok_or_else(|| Unreadable::new("XLSX_NOT_A_WORKBOOK", "the archive has no workbook in it"))?;
        self.from_1904 = from_1904;
        let chosen = match wanted {
            Some(wanted) => sheets.into_iter().find(|(name, _)| name == wanted),
            None => sheets.into_iter().next(),
        };
        let (name, id) = chosen.ok_or_else(|| Unreadable::new("XLSX_SHEET_UNKNOWN", "it has no sheet of that name"))?;
        let mut target = None;
        self.each("xl/_rels/workbook.xml.rels", |element, xml| {
            if element == "Relationship" && xml.attribute("Id").as_deref() == Some(&id) {
                target = xml.attribute("Target");
            }
            Ok(())
        })?;
        let target = target.ok_or_else(|| Unreadable::damaged("the sheet's part is not named"))?;
        let path = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
        Ok((name, path))
    }

    /// The formats of numbers.
    pub(super) fn formats(&mut self) -> Result<Formats, Unreadable> {
        let mut formats = Formats::default();
        self.each("xl/styles.xml", |name, xml| {
            formats.take(name, |attribute| xml.attribute(attribute));
            Ok(())
        })?;
        Ok(formats)
    }

    /// The shared texts.
    pub(super) fn texts(&mut self) -> Result<Texts, Unreadable> {
        let mut texts = Texts::default();
        let Some(mut xml) = self.part("xl/sharedStrings.xml")? else { return Ok(texts) };
        // Readings of East Asian texts stand beside them and are no part of them.
        let (mut inside, mut phonetic) = (false, 0_usize);
        let mut open: Vec<bool> = Vec::new();
        loop {
            match xml.step().map_err(|error| explain(&error))? {
                Step::Open { name, .. } => {
                    let name = local(&name);
                    phonetic += usize::from(phonetic > 0 || name == "rPh");
                    inside = name == "t" && phonetic == 0;
                    open.push(name == "si");
                }
                Step::Text(text) if inside => {
                    texts.text.push_str(&text);
                    let start = texts.ends.last().map_or(0, |end| *end as usize);
                    if texts.text.len() > MAX_TEXTS || texts.text.len() - start > MAX_CELL_BYTES {
                        return Err(Unreadable::too_large("the shared texts are too long"));
                    }
                }
                Step::Text(_) => {}
                Step::Close => {
                    inside = false;
                    phonetic = phonetic.saturating_sub(1);
                    if open.pop() == Some(true) {
                        if texts.ends.len() >= MAX_TEXT_COUNT {
                            return Err(Unreadable::too_large("there are too many shared texts"));
                        }
                        texts.ends.push(u32::try_from(texts.text.len()).unwrap_or(u32::MAX));
                    }
                }
                Step::End => return Ok(texts),
            }
        }
    }

    /// A part as XML; `None` if there is no such part.
    pub(super) fn part(&mut self, path: &str) -> Result<Option<XmlReader<BufReader<impl Read>>>, Unreadable> {
        let Some((read, max)) = self.inflate(path)? else { return Ok(None) };
        Ok(Some(XmlReader::with_limit(BufReader::with_capacity(64 * 1024, read), max)))
    }

    /// The bytes of a part, which end at the second number if they do not before, and its size as it says.
    pub(super) fn inflate(&mut self, path: &str) -> Result<Option<(impl Read, u64)>, Unreadable> {
        let Some(number) = self.zip.index_for_name(path) else { return Ok(None) };
        let part = self.zip.by_index(number).map_err(|_| Unreadable::damaged("a part of the archive is damaged"))?;
        let max = (ALWAYS_ALLOWED + part.compressed_size().saturating_mul(MAX_RATIO)).min(MAX_INFLATED);
        Ok(Some((part.take(max + 1), max)))
    }

    /// How long a part says that it is.
    pub(super) fn size(&mut self, path: &str) -> u64 {
        self.zip
            .index_for_name(path)
            .and_then(|number| self.zip.by_index(number).ok().map(|part| part.size()))
            .unwrap_or(0)
    }

    /// Every element of a small part as it opens; `None` if there is no such part.
    fn each(
        &mut self,
        path: &str,
        mut take: impl FnMut(&str, &XmlReader<BufReader<&mut dyn Read>>) -> Result<(), Unreadable>,
    ) -> Result<Option<()>, Unreadable> {
        let Some((mut read, max)) = self.inflate(path)? else { return Ok(None) };
        let mut xml = XmlReader::with_limit(BufReader::new(&mut read as &mut dyn Read), max);
        loop {
            match xml.step().map_err(|error| explain(&error))? {
                Step::Open { name, .. } => take(local(&name), &xml)?,
                Step::End => return Ok(Some(())),
                Step::Text(_) | Step::Close => {}
            }
        }
    }
}

/// A name without its prefix.
pub(super) fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// What is wrong with a part, in words that quote nothing of it.
pub(super) fn explain(error: &XmlError) -> Unreadable {
    match error {
        XmlError::TooBig { .. } => Unreadable::too_large("a part inflates to far more than a sheet would"),
        XmlError::TooLong { .. } => Unreadable::too_large("a text or a tag is longer than 64 KiB"),
        XmlError::TooDeep { .. } | XmlError::TooMany { .. } => Unreadable::too_large("a part is nested too deeply"),
        XmlError::Doctype { .. } => Unreadable::damaged("a part has a document type declaration"),
        XmlError::Read { .. } => Unreadable::damaged("a part of the archive is damaged or cut off"),
        _ => Unreadable::damaged("a part is not well formed"),
    }
}
