//! Files: read whole and bounded, written whole or not at all.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use eads_domain::code::{Code, Coded, Fault};

/// What a file of text that an officer writes or receives may at most hold: 16 MiB.
const READ_LIMIT: u64 = 16 * 1024 * 1024;

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// Not there, or not ours to read.
    #[error("cannot read {path}: {cause}", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Larger than anything of its kind.
    #[error("{path} is larger than {limit} bytes", path = path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// What is allowed.
        limit: u64,
    },
    /// Bytes that are no text.
    #[error("{path} is not UTF-8 text", path = path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
    },
    /// No room, no right, no directory.
    #[error("cannot write {path}: {cause}", path = path.display())]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
}

impl Coded for FileError {
    fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } => Code::new("FILE_UNREADABLE"),
            Self::TooLarge { .. } => Code::new("FILE_TOO_LARGE"),
            Self::NotText { .. } => Code::new("FILE_NOT_TEXT"),
            Self::Unwritable { .. } => Code::new("FILE_UNWRITABLE"),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Unwritable { .. } => Fault::Ourselves,
            _ => Fault::Caller,
        }
    }
}

/// The bytes of a file, at most 16 MiB; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let unreadable = |cause| FileError::Unreadable { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    let bound = READ_LIMIT + 1;
    if path == Path::new("-") {
        std::io::stdin().lock().take(bound).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        fs::File::open(path).map_err(unreadable)?.take(bound).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if bytes.len() as u64 > READ_LIMIT {
        return Err(FileError::TooLarge { path: path.to_owned(), limit: READ_LIMIT });
    }
    Ok(bytes)
}

/// The text of a file; a byte order mark is taken off.
pub(crate) fn read_text(path: &Path) -> Result<String, FileError> {
    let text = String::from_utf8(read(path)?).map_err(|_| FileError::NotText { path: path.to_owned() })?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

/// Writes a file so that it appears whole under its name or not at all.
///
/// The bytes go to a neighbour with the suffix `.partial`, reach the disk, and are then renamed.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let neighbour = beside(path, "partial");
    let whole = fs::File::create(&neighbour)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&neighbour, path));
    whole.map_err(|cause| {
        // The error that matters is the first one.
        let _ = fs::remove_file(&neighbour);
        FileError::Unwritable { path: path.to_owned(), cause }
    })
}

/// A directory for its owner alone, if there is none of that name.
pub(crate) fn make_private_dir(path: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|cause| FileError::Unwritable { path: path.to_owned(), cause })
}

/// Writes a file that is for its owner alone and was not there before: a secret never takes another's place.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|cause| FileError::Unwritable { path: path.to_owned(), cause })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|cause| {
        // Half a secret is of no use to anybody.
        let _ = fs::remove_file(path);
        FileError::Unwritable { path: path.to_owned(), cause }
    })
}

/// The neighbour of `path` that carries one more suffix.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing_behind() {
        let room = tempfile::tempdir().expect("room");
        let target = room.path().join("taken");
        fs::create_dir(&target).expect("a directory of that name");
        assert!(matches!(write(&target, b"text"), Err(FileError::Unwritable { .. })));
        let left: Vec<_> = fs::read_dir(room.path()).expect("listing").flatten().map(|entry| entry.path()).collect();
        assert_eq!(left, [target]);
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let room = tempfile::tempdir().expect("room");
        let file = room.path().join("marked.toml");
        fs::write(&file, "\u{feff}kind = 1").expect("file");
        assert_eq!(read_text(&file).expect("text"), "kind = 1");
        fs::write(&file, [0xff, 0xfe, 0]).expect("file");
        assert!(matches!(read_text(&file), Err(FileError::NotText { .. })));
    }
}
