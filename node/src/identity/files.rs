//! Files and directories for their owner alone, on the medium before the call returns.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::IdentityError;

const PRIVATE_FILE: u32 = 0o600;
const PUBLIC_FILE: u32 = 0o644;
const PRIVATE_DIR: u32 = 0o700;
/// The bits of group and others.
const OTHERS: u32 = 0o077;
/// Larger than every file that is read here.
const MAX_BYTES: u64 = 1024 * 1024;

/// A new directory, mode 0700. Its parent must exist.
pub(crate) fn create_private_dir(path: &Path) -> Result<(), IdentityError> {
    DirBuilder::new().mode(PRIVATE_DIR).create(path).map_err(|source| IdentityError::io("create", path, source))
}

/// A new file, mode 0600.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    write_new(path, bytes, PRIVATE_FILE).map_err(|source| IdentityError::io("write", path, source))
}

/// A new file, mode 0644: certificates, cards, configuration. The directories above decide who reaches it.
pub(crate) fn write_public(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    write_new(path, bytes, PUBLIC_FILE).map_err(|source| IdentityError::io("write", path, source))
}

/// Puts a new file in the place of an old one, mode 0600; a reader sees one or the other.
pub(super) fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    replace(path, bytes, PRIVATE_FILE).map_err(|source| IdentityError::io("replace", path, source))
}

/// As [`replace_private`], mode 0644.
pub(super) fn replace_public(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    replace(path, bytes, PUBLIC_FILE).map_err(|source| IdentityError::io("replace", path, source))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), IdentityError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|source| IdentityError::io("sync", path, source))
}

/// A text file that anyone may read.
pub(crate) fn read_text(path: &Path) -> Result<String, IdentityError> {
    let bytes = read(path).map_err(|source| IdentityError::io("read", path, source))?;
    String::from_utf8(bytes.to_vec()).map_err(|_| IdentityError::Damaged { path: path.to_owned() })
}

/// A text file that only its owner may be able to reach.
///
/// # Errors
/// [`IdentityError::KeyExposed`] if group or others have any right to it.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let metadata = fs::metadata(path).map_err(|source| IdentityError::io("read", path, source))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(IdentityError::KeyExposed { path: path.to_owned(), mode });
    }
    let bytes = read(path).map_err(|source| IdentityError::io("read", path, source))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| IdentityError::Damaged { path: path.to_owned() })?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if fs::metadata(path)?.len() > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than any of its kind"));
    }
    fs::read(path).map(Zeroizing::new)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The umask may have taken bits away, from a certificate that others should read for example.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = Path::new(&fresh);
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // An earlier replacement that was cut short leaves one behind.
        _ => write_new(fresh, bytes, mode)?,
    }
    fs::rename(fresh, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}
