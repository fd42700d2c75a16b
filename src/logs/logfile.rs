//! One log file: how it is opened, what it is, and its rotation by size.
//!
//! Writing is left to the users, because there are two ways to do it (inside the kernel, and from memory).

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use nix::sys::statfs::{self, FsType};

use super::place::{self, Place, Use, is_special};

/// The bounds of a file: Supervisor's `*_maxbytes` and `*_backups`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Bytes; zero or less: never rotate.
    pub(super) maxbytes: i64,
    /// Zero or less: empty the file and keep nothing.
    pub(super) backups: i64,
}

/// What failed, in one word, and why.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) doing: &'static str,
    pub(super) error: io::Error,
}

impl Failure {
    /// For `map_err`.
    pub(super) fn doing(doing: &'static str) -> impl FnOnce(io::Error) -> Failure {
        move |error| Failure { doing, error }
    }
}

/// Stands before every operation that may wait for a file system. In production it is always open; tests close it
/// to make a file system hang or fail.
pub(super) trait Gate: Debug + Send + Sync {
    /// Lets the operation through, or fails it.
    fn pass(&self, doing: &'static str, path: &Path) -> io::Result<()>;

    /// Whether to treat a regular file as one that can hang, wherever it is.
    fn is_remote(&self, _path: &Path) -> bool {
        false
    }
}

/// The gate of production.
#[derive(Debug)]
pub(super) struct OpenGate;

impl Gate for OpenGate {
    fn pass(&self, _doing: &'static str, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// What kind of thing the open file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file of a file system on this machine.
    Local,
    /// A regular file of a file system that can hang: network, FUSE, unknown.
    Remote,
    /// A FIFO or pipe.
    Pipe,
    /// A socket, inherited as our own stdout or stderr.
    Socket,
    /// A terminal or another device.
    Device,
}

impl Kind {
    pub(super) fn is_regular(self) -> bool {
        matches!(self, Kind::Local | Kind::Remote)
    }
}

/// An open log file.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// Not opened with `O_APPEND`, which `splice` refuses: positioned to the end before each write.
    pub(super) file: File,
    pub(super) kind: Kind,
    /// The number of the file system.
    pub(super) device: u64,
}

/// A log file by its name, open or not.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) path: Arc<Path>,
    pub(super) bounds: Bounds,
    pub(super) open: Option<OpenFile>,
    gate: Arc<dyn Gate>,
}

impl LogFile {
    pub(super) fn new(path: Arc<Path>, bounds: Bounds, gate: Arc<dyn Gate>) -> LogFile {
        LogFile { path, bounds, open: None, gate }
    }

    /// Passes the gate.
    pub(super) fn pass(&self, doing: &'static str) -> Result<(), Failure> {
        self.gate.pass(doing, &self.path).map_err(Failure::doing(doing))
    }

    /// Opens the file if it is not open; a new one gets 0666 without the umask's bits.
    pub(super) fn open(&mut self) -> Result<&OpenFile, Failure> {
        self.open_as(0o666, Start::Keep)
    }

    fn open_as(&mut self, mode: u32, start: Start) -> Result<&OpenFile, Failure> {
        let opened = if let Some(open) = self.open.take() {
            open
        } else {
            self.pass("open")?;
            open_path(&self.path, None, mode, start).map_err(Failure::doing("open"))?
        };
        Ok(self.keep(opened))
    }

    fn keep(&mut self, mut opened: OpenFile) -> &OpenFile {
        if opened.kind == Kind::Local && self.gate.is_remote(&self.path) {
            opened.kind = Kind::Remote;
        }
        self.open.insert(opened)
    }

    /// The end of the file, where the next byte belongs; also sets the file's position there. Asked anew each time,
    /// because others may truncate a log (`logrotate` with `copytruncate`). `None` for what has no positions.
    pub(super) fn seek_to_end(&mut self) -> Result<Option<u64>, Failure> {
        match &mut self.open {
            Some(OpenFile { file, kind, .. }) if kind.is_regular() => {
                file.seek(SeekFrom::End(0)).map(Some).map_err(Failure::doing("write"))
            }
            _ => Ok(None),
        }
    }

    /// Whether the open file has no name any more: it, or its directory, was deleted.
    pub(super) fn is_unlinked(&self) -> bool {
        match &self.open {
            Some(OpenFile { file, kind, .. }) if kind.is_regular() => {
                file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
            }
            _ => false,
        }
    }

    /// Rotates if `position` has reached the bound: `.N-1` becomes `.N` and so on, the file `.1`, and a new empty file
    /// is opened. To be called after each write.
    ///
    /// At whatever step the process dies, no byte is lost that the rotation would have kept: only names are changed.
    /// Source: supervisor 4.3, loggers.py, `doRollover()`. Differs: backups beyond a missing number stay where they
    /// are; what is not a regular file, or lies in /dev or /proc, does not rotate.
    pub(super) fn rotate_if_due(&mut self, position: Option<u64>) -> Result<(), Failure> {
        let (Some(position), Ok(maxbytes)) = (position, u64::try_from(self.bounds.maxbytes)) else { return Ok(()) };
        if maxbytes == 0 || position < maxbytes || is_special(&self.path) {
            return Ok(());
        }
        self.pass("rotate")?;
        let Some(open) = &self.open else { return Ok(()) };
        if self.bounds.backups <= 0 {
            return open.file.set_len(0).map_err(Failure::doing("rotate"));
        }
        let mode = open.file.metadata().map_or(0o666, |metadata| metadata.mode() & 0o666);
        let place = Place::of(&self.path).map_err(Failure::doing("rotate"))?;
        shift_backups(&place, self.bounds.backups).map_err(Failure::doing("rotate"))?;
        self.open = None;
        self.pass("open")?;
        let opened = open_path(&self.path, Some(&place), mode, Start::Empty).map_err(Failure::doing("open"))?;
        self.keep(opened);
        Ok(())
    }

    /// Closes the file and opens what has its name now.
    pub(super) fn reopen(&mut self) -> Result<(), Failure> {
        self.open = None;
        self.open().map(|_| ())
    }

    /// Deletes the file and, if it was open, opens a new one. What is not a regular file's own name (a symbolic link,
    /// a device) is not deleted; if a regular file is behind it, that is emptied.
    ///
    /// Source: supervisor 4.3, loggers.py, `remove()`. Differs: it deletes /dev/stdout.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        self.pass("clear")?;
        let was_open = self.open.is_some();
        let mode = clear_path(&self.path).map_err(Failure::doing("clear"))?;
        self.open = None;
        if was_open || mode.is_some() {
            self.open_as(mode.unwrap_or(0o666), Start::Keep)?;
        }
        if !was_open {
            self.open = None;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// After what the file has.
    Keep,
    /// Throwing away what the file has.
    Empty,
}

/// Removes a regular file and gives its mode; empties one that has another name; leaves the rest alone.
fn clear_path(path: &Path) -> io::Result<Option<u32>> {
    let place = Place::of(path)?;
    let Some(stat) = place.look(place.name())? else { return Ok(None) };
    if place::is_regular(&stat) && !is_special(path) {
        place.remove()?;
        return Ok(Some(stat.st_mode & 0o666));
    }
    match fs::metadata(path) {
        Ok(behind) if behind.is_file() => place.open(Use::Truncate)?.set_len(0)?,
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(None)
}

/// `file` becomes `file.1`, `file.1` becomes `file.2` and so on up to the first missing one or `file.backups`,
/// which is overwritten.
fn shift_backups(place: &Place, backups: i64) -> io::Result<()> {
    let backup = |number| backup_name(place.name(), number);
    let mut last = 1;
    while last < backups && place.look(&backup(last)).is_ok_and(|found| found.is_some()) {
        last += 1;
    }
    for number in (1..last).rev() {
        place.rename(&backup(number), &backup(number + 1))?;
    }
    place.rename(place.name(), &backup(1))
}

/// The name of a backup: the file's with a dot and a number.
fn backup_name(name: &OsStr, number: i64) -> OsString {
    let mut backup = name.to_owned();
    backup.push(format!(".{number}"));
    backup
}

/// Where a backup is.
#[cfg(test)]
pub(super) fn backup_path(path: &Path, number: i64) -> std::path::PathBuf {
    path.with_file_name(backup_name(path.file_name().unwrap_or_default(), number))
}

/// Opens the path, which is this place if one is given: a rotation goes on in the directory where it began.
fn open_path(path: &Path, place: Option<&Place>, mode: u32, start: Start) -> io::Result<OpenFile> {
    let purpose = Use::Write(mode);
    let opened = place.map_or_else(|| place::open_file(path, purpose), |place| place.open(purpose));
    let file = match opened {
        Ok(file) => file,
        // A socket cannot be opened by name (systemd's journal), and another user's pipe must not be (a container
        // that dropped root). We have both open already.
        Err(error) => inherited(path)?.ok_or(error)?,
    };
    let metadata = file.metadata()?;
    // Not before it is known to be the right one.
    if start == Start::Empty && metadata.is_file() {
        file.set_len(0)?;
    }
    let kind = match metadata.file_type() {
        kind if kind.is_file() => regular_kind(&file)?,
        kind if kind.is_fifo() => Kind::Pipe,
        kind if kind.is_socket() => Kind::Socket,
        _ => Kind::Device,
    };
    Ok(OpenFile { file, kind, device: metadata.dev() })
}

/// Our own standard output or error under one of its names.
fn inherited(path: &Path) -> io::Result<Option<File>> {
    let is_one_of = |names: &[&str]| names.iter().any(|name| path == Path::new(name));
    let descriptor = if is_one_of(&["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]) {
        io::stdout().as_fd().try_clone_to_owned()?
    } else if is_one_of(&["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"]) {
        io::stderr().as_fd().try_clone_to_owned()?
    } else {
        return Ok(None);
    };
    Ok(Some(File::from(descriptor)))
}

/// Known to be on this machine's own disks or memory: operations fail rather than wait for somebody.
const LOCAL: [FsType; 11] = [
    statfs::EXT4_SUPER_MAGIC,
    statfs::XFS_SUPER_MAGIC,
    statfs::BTRFS_SUPER_MAGIC,
    statfs::TMPFS_MAGIC,
    statfs::OVERLAYFS_SUPER_MAGIC,
    statfs::F2FS_SUPER_MAGIC,
    statfs::REISERFS_SUPER_MAGIC,
    FsType(0x2fc1_2fc1), // ZFS
    FsType(0xca45_1a4e), // bcachefs
    FsType(0x8584_58f6), // ramfs
    FsType(0x5346_544e), // NTFS
];

fn regular_kind(file: &File) -> io::Result<Kind> {
    let is_local = LOCAL.contains(&statfs::fstatfs(file)?.filesystem_type());
    Ok(if is_local { Kind::Local } else { Kind::Remote })
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn log(path: &Path, maxbytes: i64, backups: i64) -> LogFile {
        LogFile::new(path.into(), Bounds { maxbytes, backups }, Arc::new(OpenGate))
    }

    fn write(log: &mut LogFile, text: &str) {
        log.open().unwrap();
        let position = log.seek_to_end().unwrap().unwrap();
        log.open.as_mut().unwrap().file.write_all(text.as_bytes()).unwrap();
        log.rotate_if_due(Some(position + text.len() as u64)).unwrap();
    }

    fn content(path: &Path, number: i64) -> String {
        let path = if number == 0 { path.to_owned() } else { backup_path(path, number) };
        fs::read_to_string(path).unwrap_or_else(|_| "-".to_owned())
    }

    #[test]
    fn the_oldest_backup_goes_and_the_base_may_be_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = log(&path, 4, 2);
        for text in ["aa", "bbb", "cccc", "d", "eee"] {
            write(&mut log, text);
        }
        assert_eq!([0, 1, 2, 3].map(|number| content(&path, number)), ["", "deee", "cccc", "-"]);
    }

    #[test]
    fn without_backups_the_file_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = log(&path, 4, 0);
        write(&mut log, "abcde");
        assert_eq!([0, 1].map(|number| content(&path, number)), ["", "-"]);
        write(&mut log, "f");
        assert_eq!(content(&path, 0), "f");
    }

    #[test]
    fn zero_and_less_mean_no_bound() {
        for maxbytes in [0, -1] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            write(&mut log(&path, maxbytes, 3), "abcdef");
            assert_eq!([0, 1].map(|number| content(&path, number)), ["abcdef", "-"]);
        }
    }

    #[test]
    fn a_gap_that_a_death_in_the_middle_left_is_filled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        // Died after .2 -> .3 and before .1 -> .2.
        for (number, text) in [(1, "one"), (3, "three")] {
            fs::write(backup_path(&path, number), text).unwrap();
        }
        write(&mut log(&path, 3, 3), "new");
        assert_eq!([0, 1, 2, 3, 4].map(|number| content(&path, number)), ["", "new", "one", "three", "-"]);
    }

    #[test]
    fn a_huge_number_of_backups_costs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = log(&path, 1, i64::MAX);
        write(&mut log, "a");
        write(&mut log, "b");
        assert_eq!([0, 1, 2].map(|number| content(&path, number)), ["", "b", "a"]);
    }

    #[test]
    fn a_new_file_keeps_the_mode_of_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        let mut log = log(&path, 1, 1);
        write(&mut log, "a");
        assert_eq!(mode(&path), 0o600);
        log.clear().unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_rotation_that_fails_keeps_the_file_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::create_dir(backup_path(&path, 1)).unwrap();
        let mut log = log(&path, 1, 1);
        log.open().unwrap();
        assert_eq!(log.rotate_if_due(Some(1)).unwrap_err().doing, "rotate");
        assert!(log.open.is_some());
        assert!(path.exists());
    }

    #[test]
    fn pipes_and_devices_are_known_and_do_not_rotate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut fifo = log(&path, 1, 1);
        // Without a reader it cannot be opened, and nobody waits for one.
        assert_eq!(fifo.open().unwrap_err().error.raw_os_error(), Some(libc::ENXIO));
        let _reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
        assert_eq!(fifo.open().unwrap().kind, Kind::Pipe);
        assert_eq!(fifo.seek_to_end().unwrap(), None);
        let mut null = log(Path::new("/dev/null"), 1, 1);
        assert_eq!(null.open().unwrap().kind, Kind::Device);
        null.rotate_if_due(None).unwrap();
        null.clear().unwrap();
        assert!(Path::new("/dev/null").exists());
    }

    #[test]
    fn clearing_makes_a_new_file_or_empties_what_a_link_points_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("log"), dir.path().join("link"));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write(&mut log(&path, 0, 0), "old");
        let inode = fs::metadata(&path).unwrap().ino();
        log(&link, 0, 0).clear().unwrap();
        assert_eq!(content(&path, 0), "");
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        let mut open = log(&path, 0, 0);
        write(&mut open, "old");
        open.clear().unwrap();
        write(&mut open, "new");
        assert_eq!(content(&path, 0), "new");
        log(&dir.path().join("none"), 0, 0).clear().unwrap();
        assert!(!dir.path().join("none").exists());
    }

    #[test]
    fn a_deleted_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = log(&path, 0, 0);
        log.open().unwrap();
        assert!(!log.is_unlinked());
        fs::remove_file(&path).unwrap();
        assert!(log.is_unlinked());
        log.reopen().unwrap();
        assert!(path.exists());
    }
}
