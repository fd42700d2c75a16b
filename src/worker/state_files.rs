//! The files by which the next daemon finds the programs of one that was killed: the roll and the journal, in the runtime
//! directory, named after the pidfile.
//!
//! They are used through a descriptor of the directory, never through links, and only if they are ours alone. The roll is
//! locked for as long as keeper or worker live, so that nobody takes over from the living. At an orderly end both are
//! removed; none is synced, as a crash of the machine ends the programs too.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, fcntl, open, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use super::pidfile::whole_file;
use crate::config::DaemonConfig;
use crate::sys::beneath;

/// The name under which the keeper holds the runtime directory.
pub(super) const HELD_NAME: &str = "runtime-directory";

/// Whoever removes the files of a daemon that ends may be met so often.
const ATTEMPTS_MAX: usize = 100;

/// Why a file cannot be used; `Display` goes after its name.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is no regular file")]
    NotAFile,
    #[error("it belongs to uid {0}")]
    Owner(u32),
    #[error("it has {0} names")]
    Links(u64),
    #[error("a running daemon uses it")]
    Busy,
    #[error("the pidfile is no regular file; set `runtime_directory` in [supervisord]")]
    NoPlace,
}

impl From<Errno> for Unusable {
    fn from(errno: Errno) -> Unusable {
        Unusable::Io(errno.into())
    }
}

/// Where the files are.
#[derive(Debug)]
pub(super) struct StateFiles {
    directory: OwnedFd,
    /// For messages.
    path: PathBuf,
    /// What both names begin with.
    stem: String,
}

impl StateFiles {
    /// # Errors
    /// The directory cannot be opened, or the pidfile says no place for it.
    pub(super) fn open(daemon: &DaemonConfig) -> Result<StateFiles, Unusable> {
        let pidfile = &daemon.pidfile;
        let path = match &daemon.runtime_directory {
            Some(directory) => directory.clone(),
            None if fs::metadata(pidfile).is_ok_and(|metadata| !metadata.is_file()) => return Err(Unusable::NoPlace),
            None => pidfile.parent().unwrap_or(Path::new("/")).to_owned(),
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(&path, flags, Mode::empty())?;
        Ok(StateFiles { directory, path, stem: daemon.state_stem() })
    }

    /// The directory that the keeper holds, where it is still the one that the configuration means.
    pub(super) fn of_held(directory: OwnedFd, daemon: &DaemonConfig) -> StateFiles {
        let pidfile = &daemon.pidfile;
        let path = daemon.runtime_directory.clone();
        let path = path.unwrap_or_else(|| pidfile.parent().unwrap_or(Path::new("/")).to_owned());
        StateFiles { directory, path, stem: daemon.state_stem() }
    }

    /// Whether this is our roll, under its name.
    pub(super) fn has(&self, roll: &File) -> bool {
        let named = fstatat(&self.directory, self.roll_name().as_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
        matches!((named, fstat(roll)), (Ok(named), Ok(held)) if is_same(&named, &held))
    }

    /// # Errors
    /// EMFILE.
    pub(super) fn directory(&self) -> io::Result<OwnedFd> {
        self.directory.try_clone()
    }

    pub(super) fn roll_path(&self) -> PathBuf {
        self.path.join(self.roll_name())
    }

    pub(super) fn journal_path(&self) -> PathBuf {
        self.path.join(self.journal_name())
    }

    fn roll_name(&self) -> String {
        format!("{}.roll", self.stem)
    }

    fn journal_name(&self) -> String {
        format!("{}.journal", self.stem)
    }

    /// The roll, locked; `None` if there is none.
    ///
    /// # Errors
    /// [`Unusable`]; `Busy` if it is another's.
    pub(super) fn roll(&self) -> Result<Option<File>, Unusable> {
        self.locked(OFlag::empty())
    }

    /// The roll, locked, made if there is none.
    ///
    /// # Errors
    /// As for [`StateFiles::roll`].
    pub(super) fn make_roll(&self) -> Result<File, Unusable> {
        self.locked(OFlag::O_CREAT)?.ok_or_else(|| Unusable::Io(io::ErrorKind::NotFound.into()))
    }

    fn locked(&self, flags: OFlag) -> Result<Option<File>, Unusable> {
        let name = self.roll_name();
        for _ in 0..ATTEMPTS_MAX {
            let Some(file) = self.existing(&name, flags)? else { return Ok(None) };
            lock(&file)?;
            // Its daemon may have removed it at its end, just before.
            match fstatat(&self.directory, name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(there) if is_same(&there, &fstat(&file)?) => return Ok(Some(file)),
                Ok(_) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(Unusable::Busy)
    }

    /// The journal that a worker left.
    ///
    /// # Errors
    /// [`Unusable`].
    pub(super) fn journal(&self) -> Result<Option<File>, Unusable> {
        self.existing(&self.journal_name(), OFlag::empty())
    }

    /// A new, empty file that becomes the journal by [`StateFiles::publish_journal`].
    ///
    /// # Errors
    /// ENOSPC, EROFS, EACCES.
    pub(super) fn new_journal(&self) -> io::Result<File> {
        let name = self.new_journal_name();
        match unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        Ok(File::from(beneath::open(&self.directory, &name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?))
    }

    /// Puts the new journal in the place of the former one.
    ///
    /// # Errors
    /// EIO, EROFS.
    pub(super) fn publish_journal(&self) -> io::Result<()> {
        let (new, name) = (self.new_journal_name(), self.journal_name());
        Ok(renameat(&self.directory, new.as_str(), &self.directory, name.as_str())?)
    }

    /// A new journal that could not be written takes no room.
    pub(super) fn discard_journal(&self) {
        // What stays is replaced by the next.
        let _ = unlinkat(&self.directory, self.new_journal_name().as_str(), UnlinkatFlags::NoRemoveDir);
    }

    fn new_journal_name(&self) -> String {
        format!("{}.new", self.journal_name())
    }

    /// Everything is stopped: there is nothing to be found.
    ///
    /// # Errors
    /// EACCES, EROFS, EIO.
    pub(super) fn remove(&self) -> io::Result<()> {
        // The roll goes last: without it nobody looks at the journal.
        for name in [self.new_journal_name(), self.journal_name(), self.roll_name()] {
            match unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn existing(&self, name: &str, more: OFlag) -> Result<Option<File>, Unusable> {
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | more;
        let file = match beneath::open(&self.directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP | Errno::EISDIR | Errno::ENXIO) => return Err(Unusable::NotAFile),
            Err(errno) => return Err(errno.into()),
        };
        let status = fstat(&file)?;
        if status.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
            return Err(Unusable::NotAFile);
        }
        if status.st_uid != geteuid().as_raw() {
            return Err(Unusable::Owner(status.st_uid));
        }
        // None: it was removed just now.
        if status.st_nlink > 1 {
            return Err(Unusable::Links(status.st_nlink));
        }
        Ok(Some(file))
    }
}

/// Removes a roll, and the journal beside it, in whose place others have come elsewhere. What cannot be removed is found by
/// nobody who runs the present configuration.
pub(super) fn remove_moved(roll: &File) {
    let Ok(path) = fs::read_link(format!("/proc/self/fd/{}", roll.as_fd().as_raw_fd())) else { return };
    let is_it = fs::symlink_metadata(&path).ok().zip(roll.metadata().ok());
    if is_it.is_some_and(|(named, held)| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
        let _ = fs::remove_file(path.with_extension("journal"));
        let _ = fs::remove_file(path);
    }
}

fn is_same(one: &FileStat, other: &FileStat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// The lock belongs to the open file, so to everybody who gets a copy of the descriptor.
fn lock(file: impl AsFd) -> Result<(), Unusable> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))) {
        Ok(_) => Ok(()),
        Err(Errno::EAGAIN | Errno::EACCES) => Err(Unusable::Busy),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::worker::sample;

    fn files(folder: &tempfile::TempDir) -> StateFiles {
        let mut daemon = sample::config("").daemon;
        daemon.pidfile = folder.path().join("s.pid");
        StateFiles::open(&daemon).unwrap()
    }

    #[test]
    fn the_roll_is_for_one_daemon_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        assert!(files.roll().unwrap().is_none());
        let first = files.make_roll().unwrap();
        assert_eq!(first.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(matches!(files.roll(), Err(Unusable::Busy)));
        let copy = first.try_clone().unwrap();
        drop(first);
        assert!(matches!(files.make_roll(), Err(Unusable::Busy)));
        drop(copy);
        assert!(files.roll().unwrap().is_some());
    }

    #[test]
    fn what_others_could_change_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        fs::write(folder.path().join("precious"), "data").unwrap();
        symlink("precious", folder.path().join("s.roll")).unwrap();
        assert!(matches!(files.make_roll(), Err(Unusable::NotAFile)));
        fs::remove_file(folder.path().join("s.roll")).unwrap();
        fs::hard_link(folder.path().join("precious"), folder.path().join("s.roll")).unwrap();
        assert!(matches!(files.roll(), Err(Unusable::Links(2))));
        fs::remove_file(folder.path().join("s.roll")).unwrap();
        fs::create_dir(folder.path().join("s.journal")).unwrap();
        assert!(matches!(files.journal(), Err(Unusable::NotAFile)));
        assert_eq!(fs::read_to_string(folder.path().join("precious")).unwrap(), "data");
    }

    #[test]
    fn a_journal_is_replaced_whole_and_everything_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        for text in ["one", "two"] {
            io::Write::write_all(&mut files.new_journal().unwrap(), text.as_bytes()).unwrap();
            assert_ne!(fs::read_to_string(files.journal_path()).ok().as_deref(), Some(text));
            files.publish_journal().unwrap();
            assert_eq!(fs::read_to_string(files.journal_path()).unwrap(), text);
        }
        drop(files.make_roll().unwrap());
        files.new_journal().unwrap();
        files.remove().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_pidfile_that_is_a_device_names_no_place() {
        let mut daemon = sample::config("").daemon;
        daemon.pidfile = "/dev/null".into();
        assert!(matches!(StateFiles::open(&daemon), Err(Unusable::NoPlace)));
        daemon.runtime_directory = Some("/tmp".into());
        assert_eq!(StateFiles::open(&daemon).unwrap().roll_path(), Path::new("/tmp/null.roll"));
    }
}
