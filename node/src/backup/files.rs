//! Files and directories of a backup: for their owner alone, durable before the call returns.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use crate::control::Refusal;

/// Larger than any file of a node's identity and configuration.
const MAX_BYTES: u64 = 1024 * 1024;
/// How deep the operators' profiles lie.
const MAX_DEPTH: usize = 4;

/// What of a directory goes into a backup as it is: never the next signing key, which belongs on offline media.
const KEPT: [&str; 3] = [crate::config::FILE_NAME, "identity", "profiles"];

pub(super) fn io(action: &str, path: &Path, error: &io::Error) -> Refusal {
    let code = match error.kind() {
        io::ErrorKind::AlreadyExists => "BACKUP_EXISTS",
        io::ErrorKind::NotFound => "BACKUP_MISSING",
        _ => "BACKUP_IO",
    };
    Refusal::new(code, format!("cannot {action} {}: {error}", path.display()), None)
}

/// A directory that exists, or is made (0700), as the system knows it.
pub(super) fn directory(path: &Path) -> Result<PathBuf, Refusal> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io("create", path, &error)),
        _ => {}
    }
    fs::canonicalize(path).map_err(|error| io("find", path, &error))
}

/// A new file, mode 0600.
pub(super) fn create(path: &Path) -> Result<File, Refusal> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| io("create", path, &error))
}

/// A whole new file of these permission bits, durable but for its name.
pub(super) fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Refusal> {
    let mut file = create(path)?;
    let written = file.write_all(bytes).and_then(|()| file.set_permissions(Permissions::from_mode(mode & 0o755)));
    written.and_then(|()| file.sync_all()).map_err(|error| io("write", path, &error))
}

/// Makes the names in a directory durable.
pub(super) fn sync(dir: &Path) -> Result<(), Refusal> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| io("sync", dir, &error))
}

/// The files of `dir` whose names end so, in order.
pub(super) fn with_suffix(dir: &Path, suffix: &str) -> Result<Vec<PathBuf>, Refusal> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| io("list", dir, &error))? {
        let path = entry.map_err(|error| io("list", dir, &error))?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(suffix)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A file of a node's directory that goes into a backup as it is.
pub(super) struct Kept {
    /// Relative to the directory, with `/` between its parts.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

/// Identity, profiles and configuration below `dir`.
pub(super) fn kept(dir: &Path) -> Result<Vec<Kept>, Refusal> {
    let mut found = Vec::new();
    for name in KEPT {
        collect(dir, name, 0, &mut found)?;
    }
    Ok(found)
}

fn collect(dir: &Path, name: &str, depth: usize, found: &mut Vec<Kept>) -> Result<(), Refusal> {
    let path = dir.join(name);
    let metadata = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|error| io("read", &path, &error))?,
    };
    if metadata.is_dir() && depth < MAX_DEPTH {
        let mut below = Vec::new();
        for entry in fs::read_dir(&path).map_err(|error| io("list", &path, &error))? {
            below.push(entry.map_err(|error| io("list", &path, &error))?.file_name());
        }
        below.sort();
        for entry in below.iter().filter_map(|entry| entry.to_str()) {
            collect(dir, &format!("{name}/{entry}"), depth + 1, found)?;
        }
    } else if metadata.is_file() && metadata.len() <= MAX_BYTES {
        let content = fs::read(&path).map_err(|error| io("read", &path, &error))?;
        found.push(Kept { path: name.to_owned(), mode: metadata.permissions().mode() & 0o777, content });
    }
    Ok(())
}

/// Where a file of a backup belongs below `dir`; none for a path that no backup names.
pub(super) fn placed(dir: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let first = relative.components().next().and_then(|part| part.as_os_str().to_str())?;
    (plain && KEPT.contains(&first)).then(|| dir.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_backup_is_placed_below_the_directory_only() {
        let dir = Path::new("/node");
        assert_eq!(placed(dir, "identity/card.pem"), Some(PathBuf::from("/node/identity/card.pem")));
        assert_eq!(placed(dir, "node.toml"), Some(PathBuf::from("/node/node.toml")));
        for other in ["", "/etc/passwd", "identity/../../etc", "../node", "keys/root", "offline/next-signing.key"] {
            assert_eq!(placed(dir, other), None, "{other}");
        }
    }
}
