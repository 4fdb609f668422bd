//! A small file system of its own under one directory: it can lose its power, fill up and turn read-only without
//! harm to the machine. Needs root and a loop device.
//!
//! A power cut is the ioctl `EXT4_IOC_SHUTDOWN` without flushing the journal: whatever the file system had not
//! brought to its device is gone, as when the plug is pulled. Killing a process alone keeps the page cache, and so
//! shows nothing of that.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Waits for a line, and then cuts the file system of its argument: EXT4_IOC_SHUTDOWN with
/// EXT4_GOING_FLAGS_NOLOGFLUSH. A script, because the call itself would be unsafe code.
const CUT: &str = "import fcntl, os, struct, sys\n\
    fd = os.open(sys.argv[1], os.O_RDONLY)\n\
    print('armed', flush=True)\n\
    sys.stdin.readline()\n\
    fcntl.ioctl(fd, 0x8004587D, struct.pack('I', 2))\n";
const FILLER: &str = "filler";
/// A process that was killed lets go of its files a moment later.
const LETS_GO_WITHIN: u32 = 200;

/// Whether this process may mount.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// An ext4 file system in a file, mounted over a directory. Unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    dir: PathBuf,
    mounted: bool,
}

impl Disk {
    /// Moves what lies in `dir` onto a new file system of `mib` MiB, whose file lies beside, and mounts that there.
    ///
    /// # Panics
    /// When this process is not root, or a step fails.
    pub fn under(dir: &Path, mib: u64) -> Self {
        assert!(is_root(), "needs root: it makes and mounts file systems");
        let image = dir.with_extension("ext4");
        let file = File::create_new(&image).expect("a file for the file system");
        file.set_len(mib * 1024 * 1024).expect("a sparse file");
        // No blocks that only root may use: what is free is free for the node.
        run("mkfs.ext4", &["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", text(&image)]);
        let aside = dir.with_extension("aside");
        fs::rename(dir, &aside).expect("the directory is moved aside");
        fs::create_dir(dir).expect("a place to mount");
        let mut disk = Self { image, dir: dir.to_path_buf(), mounted: false };
        disk.mount();
        fs::remove_dir(dir.join("lost+found")).expect("a new file system");
        run("cp", &["-a", &format!("{}/.", text(&aside)), text(dir)]);
        run("sync", &["-f", text(dir)]);
        fs::remove_dir_all(&aside).expect("what was copied goes");
        disk
    }

    /// Mounts it; after a cut this replays what reached the device.
    ///
    /// # Panics
    /// When it cannot be mounted.
    pub fn mount(&mut self) {
        assert!(!self.mounted, "it is mounted");
        run("mount", &["-o", "loop", text(&self.image), text(&self.dir)]);
        self.mounted = true;
    }

    /// Unmounts it; nobody may use it any more.
    ///
    /// # Panics
    /// When it stays in use.
    pub fn unmount(&mut self) {
        let mut last = String::new();
        for _ in 0..LETS_GO_WITHIN {
            let output = Command::new("umount").arg(&self.dir).output().expect("umount runs");
            if output.status.success() {
                self.mounted = false;
                return;
            }
            last = String::from_utf8_lossy(&output.stderr).into_owned();
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("{} stays in use: {last}", self.dir.display());
    }

    /// Mounts it anew where it is: `ro`, `rw`, or `abort`, which is what the kernel does when the file system finds an
    /// error in itself: it turns read-only under whoever writes.
    ///
    /// # Panics
    /// When it cannot be remounted.
    pub fn remount(&self, options: &str) {
        run("mount", &["-o", &format!("remount,{options}"), text(&self.dir)]);
    }

    /// Makes ready to cut the power at once when told.
    ///
    /// # Panics
    /// When there is no Python.
    pub fn cutter(&self) -> Cutter {
        let mut process = Command::new("python3")
            .args(["-c", CUT, text(&self.dir)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        let stdout = process.stdout.as_mut().expect("a pipe");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("it is armed");
        assert_eq!(line, "armed\n");
        Cutter(process)
    }

    /// Bytes that are free.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn free(&self) -> u64 {
        fs4::available_space(&self.dir).expect("the free space")
    }

    /// Fills it with a file until only so many bytes are free; 0 leaves not one block.
    ///
    /// # Panics
    /// When it cannot be filled.
    pub fn fill(&self, leave: u64) {
        let path = self.dir.join(FILLER);
        let mut filler = OpenOptions::new().create(true).append(true).open(&path).expect("a file");
        let more = self.free().saturating_sub(leave.max(2 * 1024 * 1024));
        let length = fs::metadata(&path).expect("its length").len();
        if more > 0 {
            run("fallocate", &["-o", &length.to_string(), "-l", &more.to_string(), text(&path)]);
        }
        let mut block = vec![0x5a; 256 * 1024];
        while self.free() > leave || leave == 0 {
            let room = usize::try_from(self.free() - leave).unwrap_or(usize::MAX);
            if leave > 0 && room < block.len() {
                block.truncate(room.max(1));
            }
            match filler.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => match block.len() {
                    0..=512 => break,
                    length => block.truncate(length / 8),
                },
                Err(error) => panic!("the filler: {error}"),
            }
            // Delayed allocation would promise the same block twice.
            let _ = filler.sync_all();
        }
    }

    /// Takes the filler away.
    ///
    /// # Panics
    /// When there is none.
    pub fn empty(&self) {
        fs::remove_file(self.dir.join(FILLER)).expect("the filler goes");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Also after a failed test whose node still lives for a moment.
            let _ = Command::new("umount").arg("-l").arg(&self.dir).stderr(Stdio::null()).status();
        }
    }
}

/// Cuts the power at once when told.
#[derive(Debug)]
pub struct Cutter(Child);

impl Cutter {
    /// From now on nothing reaches the device, and what had not is lost.
    ///
    /// # Panics
    /// When the file system refuses.
    pub fn cut(mut self) {
        self.0.stdin.take().expect("a pipe").write_all(b"\n").expect("it hears");
        assert!(self.0.wait().expect("it ends").success(), "the power was not cut");
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}
