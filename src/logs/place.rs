//! Log files and pidfiles by name, opened so that nobody who may write in their directory can turn the name against us.
//!
//! Such a person can put a symbolic link, a hard link or a file of his own there. The rules are the kernel's for sticky
//! directories (`protected_symlinks`, `protected_hardlinks`, `protected_regular` in proc(5)), held for every directory
//! in which others than root and we may write: links that root or we made are followed, others are refused. Everything
//! is done relative to an open directory, and judged by what was opened, so that nothing can change in between.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use crate::sys::beneath;

/// Links behind links, at most; the kernel's number is 40.
const LINKS_MAX: usize = 16;

const OTHERS_MAY_WRITE: u32 = 0o022;
const ALL_MAY_WRITE: u32 = 0o002;

/// Why what has a name is not used. The text names the path and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Planted {
    #[error(
        "{} is a symbolic link that uid {uid} put into a directory where others may write; remove it, or let root or the \
         daemon's account make it", .path.display()
    )]
    SymbolicLink { path: PathBuf, uid: u32 },
    #[error("{} has a second name (a hard link), and others may write in its directory; remove it", .path.display())]
    HardLink { path: PathBuf },
    #[error("{} was put by uid {uid} into a directory where everybody may write; remove it", .path.display())]
    Foreign { path: PathBuf, uid: u32 },
}

impl Planted {
    /// Whether this is why something could not be opened.
    #[must_use]
    pub fn is_behind(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Planted>)
    }
}

impl From<Planted> for io::Error {
    fn from(planted: Planted) -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, planted)
    }
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Read,
    /// Also creates the file with this mode, less the umask's bits. What it has is kept.
    Write(u32),
    /// As [`Use::Write`], and reads.
    ReadWrite(u32),
    /// Only what exists.
    Truncate,
}

impl Use {
    fn flags(self) -> OFlag {
        match self {
            Use::Read => OFlag::O_RDONLY,
            Use::Write(_) => OFlag::O_WRONLY | OFlag::O_CREAT,
            Use::ReadWrite(_) => OFlag::O_RDWR | OFlag::O_CREAT,
            Use::Truncate => OFlag::O_WRONLY,
        }
    }

    fn mode(self) -> Mode {
        match self {
            Use::Write(mode) | Use::ReadWrite(mode) => Mode::from_bits_truncate(mode),
            Use::Read | Use::Truncate => Mode::empty(),
        }
    }

    fn plainly(self, path: &Path) -> io::Result<File> {
        let writes = self != Use::Read;
        OpenOptions::new()
            .read(matches!(self, Use::Read | Use::ReadWrite(_)))
            .write(writes)
            .create(matches!(self, Use::Write(_) | Use::ReadWrite(_)))
            .truncate(false)
            .mode(self.mode().bits())
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
    }
}

/// A name in an open directory.
#[derive(Debug)]
pub struct Place {
    directory: OwnedFd,
    owner: u32,
    mode: u32,
    name: OsString,
    /// For messages.
    path: PathBuf,
}

impl Place {
    /// The directory is reached by whatever links lead there.
    ///
    /// # Errors
    /// The directory cannot be entered, or the path names none but a directory.
    pub fn of(path: &Path) -> io::Result<Place> {
        Self::below(nix::fcntl::AT_FDCWD, path, path.to_owned())
    }

    fn below(base: impl AsFd, path: &Path, shown: PathBuf) -> io::Result<Place> {
        let name = path.file_name().ok_or(Errno::EISDIR)?.to_owned();
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = openat(base, parent, flags, Mode::empty())?;
        let stat = fstat(&directory)?;
        Ok(Place { directory, owner: stat.st_uid, mode: stat.st_mode, name, path: shown })
    }

    /// Opens what has the name. Never waits for the other end of a FIFO, and makes no terminal ours.
    ///
    /// # Errors
    /// [`Planted`], and what open(2) says.
    pub fn open(&self, purpose: Use) -> io::Result<File> {
        match self.open_here(purpose)? {
            Found::File(file) => Ok(file),
            Found::Link(mut place) => {
                for _ in 0..LINKS_MAX {
                    match place.open_here(purpose)? {
                        Found::File(file) => return Ok(file),
                        Found::Link(next) => place = next,
                    }
                }
                Err(Errno::ELOOP.into())
            }
        }
    }

    fn open_here(&self, purpose: Use) -> io::Result<Found> {
        if is_special(&self.path) {
            return purpose.plainly(&self.path).map(Found::File);
        }
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | purpose.flags();
        match beneath::open(&self.directory, &self.name, flags, purpose.mode()) {
            Ok(file) => {
                let file = File::from(file);
                self.judge(&file)?;
                Ok(Found::File(file))
            }
            Err(Errno::ELOOP) => self.behind_the_link().map(Found::Link),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether only root and we decide what is in the directory.
    fn is_trusted(&self) -> bool {
        is_ours(self.owner) && self.mode & OTHERS_MAY_WRITE == 0
    }

    fn judge(&self, file: &File) -> io::Result<()> {
        let found = file.metadata()?;
        if self.is_trusted() {
            return Ok(());
        }
        if found.is_file() && found.nlink() > 1 {
            return Err(Planted::HardLink { path: self.path.clone() }.into());
        }
        let is_foreign = !is_ours(found.uid()) && found.uid() != self.owner;
        if self.mode & ALL_MAY_WRITE != 0 && is_foreign {
            return Err(Planted::Foreign { path: self.path.clone(), uid: found.uid() }.into());
        }
        Ok(())
    }

    fn behind_the_link(&self) -> io::Result<Place> {
        let link = beneath::open(&self.directory, &self.name, OFlag::O_PATH, Mode::empty())?;
        let stat = fstat(&link)?;
        let made_by_us = is_ours(stat.st_uid) && stat.st_nlink == 1;
        if !made_by_us && !self.is_trusted() {
            return Err(Planted::SymbolicLink { path: self.path.clone(), uid: stat.st_uid }.into());
        }
        let target = PathBuf::from(readlinkat(&link, "")?);
        let shown = self.path.parent().unwrap_or(Path::new("")).join(&target);
        Place::below(&self.directory, &target, shown)
    }

    /// What has this name in the directory itself; `None` for nothing.
    ///
    /// # Errors
    /// What stat(2) says.
    pub(super) fn look(&self, name: &OsStr) -> io::Result<Option<FileStat>> {
        match fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The name itself.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// Gives what has one name another one, in the same directory. A missing file is no error: someone has cleaned up.
    ///
    /// # Errors
    /// What rename(2) says.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match renameat(&self.directory, from, &self.directory, to) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes the name.
    ///
    /// # Errors
    /// What unlink(2) says.
    pub(super) fn remove(&self) -> io::Result<()> {
        unlinkat(&self.directory, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir).map_err(io::Error::from)
    }
}

enum Found {
    File(File),
    Link(Place),
}

fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

/// Whether it is a regular file.
pub(super) fn is_regular(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

/// Names that belong to the system, whatever is behind them: never renamed, never deleted, followed wherever they lead.
pub(super) fn is_special(path: &Path) -> bool {
    path.starts_with("/dev") && !path.starts_with("/dev/shm") || path.starts_with("/proc")
}

/// Opens a file by its name.
///
/// # Errors
/// [`Planted`], and what open(2) says.
pub fn open_file(path: &Path, purpose: Use) -> io::Result<File> {
    Place::of(path)?.open(purpose)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::unistd::{Uid, fchownat};

    use super::*;

    const STRANGER: u32 = 65_534;

    /// A directory in which others may write, if this test can make one that is somebody else's.
    fn shared(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        folder
    }

    fn give(path: &Path) -> bool {
        fchownat(nix::fcntl::AT_FDCWD, path, Some(Uid::from_raw(STRANGER)), None, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    fn opened(path: &Path, text: &str) -> Result<(), String> {
        open_file(path, Use::Write(0o644))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn links_of_our_own_are_followed_wherever_they_lead() {
        let folder = shared(0o777);
        let (real, link, again) = (folder.path().join("real"), folder.path().join("link"), folder.path().join("again"));
        symlink("real", &link).unwrap();
        symlink(&link, &again).unwrap();
        opened(&again, "x").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "x");
        symlink("/dev/null", folder.path().join("null")).unwrap();
        opened(&folder.path().join("null"), "x").unwrap();
        symlink("loop", folder.path().join("loop")).unwrap();
        assert!(opened(&folder.path().join("loop"), "x").is_err());
    }

    #[test]
    fn a_hard_link_is_refused_where_others_may_write_and_not_changed() {
        let folder = shared(0o770);
        let (victim, log) = (folder.path().join("victim"), folder.path().join("log"));
        fs::write(&victim, "precious").unwrap();
        fs::hard_link(&victim, &log).unwrap();
        let refused = opened(&log, "x").unwrap_err();
        assert!(refused.contains("log has a second name (a hard link)"), "{refused}");
        assert!(open_file(&log, Use::Truncate).is_err() && open_file(&log, Use::Read).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        opened(&log, "x").unwrap();
    }

    #[test]
    fn what_a_stranger_put_there_is_refused_where_he_could() {
        let folder = shared(0o777);
        let (victim, link, file) =
            (folder.path().join("victim"), folder.path().join("link"), folder.path().join("file"));
        fs::write(&victim, "precious").unwrap();
        fs::write(&file, "").unwrap();
        symlink(&victim, &link).unwrap();
        if !give(&link) || !give(&file) {
            // Only root gives files away; `tests/faults` says so.
            return;
        }
        let refused = opened(&link, "x").unwrap_err();
        assert!(refused.contains("link is a symbolic link that uid 65534 put into a directory"), "{refused}");
        assert!(open_file(&link, Use::Read).is_err());
        assert!(opened(&file, "x").unwrap_err().contains("was put by uid 65534 into a directory where everybody"));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        // Nobody else can have made it.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        opened(&link, "x").unwrap();
        opened(&file, "x").unwrap();
        // It is the directory's owner who may put files there.
        assert!(give(folder.path()));
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        opened(&file, "x").unwrap();
        assert!(opened(&link, "x").is_err());
    }

    #[test]
    fn a_relative_name_is_in_the_present_directory_and_a_directory_is_no_file() {
        assert_eq!(Place::of(Path::new("x.log")).unwrap().name(), "x.log");
        assert!(Place::of(Path::new("/")).is_err());
        assert!(open_file(Path::new("/tmp"), Use::Write(0o600)).is_err());
        assert!(open_file(Path::new("/nonexistent/x"), Use::Read).is_err());
    }
}
