//! `make_directories` of `[supervisord]`: made at the start, and made again when one is removed under a log.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchown, geteuid};
use tokio::task::AbortHandle;

use super::worker::Worker;
use crate::config::DaemonConfig;
use crate::logs::{Level, log};
use crate::sys::side;

const MODE: u32 = 0o755;

/// How often one that is removed again, or could not be made, is looked for while its log cannot be written.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// A directory that is missing and cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the directory {directory} of make_directories: {error}", directory = .directory.display())]
pub(super) struct NotMade {
    directory: PathBuf,
    error: io::Error,
}

/// Makes what is missing, for the owner to write and for all to read, as far as the umask lets it.
///
/// # Errors
/// The first that cannot be made.
pub(super) fn make(daemon: &DaemonConfig) -> Result<(), NotMade> {
    for directory in &daemon.make_directories {
        one(directory).map_err(|error| NotMade { directory: directory.clone(), error })?;
    }
    Ok(())
}

fn one(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(MODE).create(directory)
}

/// Whose a directory is and what may be done in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Looks {
    mode: u32,
    uid: u32,
    gid: u32,
}

/// The directories as they were last seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Directories(Arc<Mutex<BTreeMap<PathBuf, Looks>>>);

impl Directories {
    /// Looks at them, on a side thread.
    pub(super) fn learn(&self, directories: &[PathBuf]) {
        if directories.is_empty() {
            return;
        }
        let (known, directories) = (self.clone(), directories.to_vec());
        side::run(move || {
            for directory in directories {
                if let Some(looks) = looks_of(&directory) {
                    known.0.lock().unwrap_or_else(PoisonError::into_inner).insert(directory, looks);
                }
            }
        });
    }

    fn known(&self, directory: &Path) -> Option<Looks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(directory).copied()
    }
}

impl Worker {
    /// A log cannot be opened because its directory is gone. If that is one of those that are ours to make, it is made again,
    /// until the task is ended; the log is tried again by itself.
    pub(super) fn restore_directories(&self, log_file: &Path) -> Option<AbortHandle> {
        let ours = &self.config.daemon.make_directories;
        let above: Vec<PathBuf> = ours.iter().filter(|one| log_file.starts_with(one)).cloned().collect();
        if above.is_empty() {
            return None;
        }
        let known = self.directories.clone();
        let restoring = tokio::spawn(async move {
            let mut told = None;
            loop {
                let (known, above) = (known.clone(), above.clone());
                let trouble = side::run(move || restore_all(&known, above)).await.unwrap_or_default();
                if trouble != told {
                    if let Some(trouble) = &trouble {
                        log(Level::Warn, trouble);
                    }
                    told = trouble;
                }
                tokio::time::sleep(RETRY_EVERY).await;
            }
        });
        Some(restoring.abort_handle())
    }
}

/// What could not be made.
fn restore_all(known: &Directories, directories: Vec<PathBuf>) -> Option<String> {
    let mut trouble = None;
    for directory in directories {
        match restore(&directory, known.known(&directory)) {
            Ok(true) => log(Level::Warn, &format!("{} was removed; it is made again", directory.display())),
            Ok(false) => {}
            Err(error) => trouble = Some(NotMade { directory, error }.to_string()),
        }
    }
    trouble
}

fn looks_of(directory: &Path) -> Option<Looks> {
    let found = fs::metadata(directory).ok().filter(fs::Metadata::is_dir)?;
    Some(Looks { mode: found.mode() & 0o7777, uid: found.uid(), gid: found.gid() })
}

/// Makes a directory that is missing as it was; whether it did. What is in its place, a link too, is left as it is: nobody
/// can lead us elsewhere.
fn restore(directory: &Path, looks: Option<Looks>) -> io::Result<bool> {
    if fs::symlink_metadata(directory).is_ok() {
        return Ok(false);
    }
    let (Some(above), Some(name)) = (directory.parent(), directory.file_name()) else { return Ok(false) };
    one(above)?;
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let above = open(above, flags, Mode::empty())?;
    mkdirat(&above, name, Mode::from_bits_truncate(MODE))?;
    let made = openat(&above, name, flags | OFlag::O_NOFOLLOW, Mode::empty())?;
    if let Some(looks) = looks.filter(|_| fstat(&made).is_ok_and(|found| found.st_uid == geteuid().as_raw())) {
        fchown(&made, Some(Uid::from_raw(looks.uid)), Some(Gid::from_raw(looks.gid)))?;
        fchmod(&made, Mode::from_bits_truncate(looks.mode))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn parents_are_made_and_what_is_there_stays() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        one(&inner).unwrap();
        std::fs::write(inner.join("file"), "").unwrap();
        one(&inner).unwrap();
        assert!(inner.join("file").exists());
        assert!(one(&inner.join("file")).is_err());
    }

    #[test]
    fn what_was_removed_is_made_as_it_was_and_links_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/b");
        one(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o2770)).unwrap();
        let looks = looks_of(&directory);
        assert!(!restore(&directory, looks).unwrap(), "it is there");
        fs::remove_dir_all(root.path().join("a")).unwrap();
        assert!(restore(&directory, looks).unwrap());
        assert_eq!(looks_of(&directory), looks);
        fs::remove_dir(&directory).unwrap();
        assert!(restore(&directory, None).unwrap(), "nobody had seen it");
        fs::remove_dir(&directory).unwrap();
        symlink(root.path().join("elsewhere"), &directory).unwrap();
        assert!(!restore(&directory, looks).unwrap());
        assert!(!root.path().join("elsewhere").exists());
    }
}
