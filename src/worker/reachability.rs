//! File systems that do not answer when the daemon is started.
//!
//! Whatever asks such a file system waits for ever, and cannot be ended. So where anything is mounted that can hang, a copy of
//! the launcher reads the configuration first, and asks for the places of the daemon's own files.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::invocation::Call;
use crate::config::{DaemonConfig, DaemonLog};
use crate::sys::{mounts, trial};

/// So long reading everything may take. Busy servers answer sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// So long each mount may take to answer, when something does not.
const MOUNT_PATIENCE: Duration = Duration::from_secs(1);

/// The configuration cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    #[error(
        "{} ({kind}) does not answer, and the configuration, or a file that it names, lies there; the daemon was not started. \
         Let it answer again, or unmount it (umount -l)", .point.display()
    )]
    Hangs { point: PathBuf, kind: String },
    #[error(
        "the configuration, and the places of the files that it names, could not be read within {} seconds; the daemon was not \
         started", PATIENCE.as_secs()
    )]
    Slow,
}

/// Refuses a start that would hang.
///
/// # Errors
/// A file system does not answer.
pub(super) fn probe(call: &Call) -> Result<(), Unreachable> {
    let mounts = mounts::that_can_hang();
    // Without a copy to try it there is nothing to be known before.
    if mounts.is_empty() || trial::ends_within(PATIENCE, || ask(call)).unwrap_or(true) {
        return Ok(());
    }
    let hangs = |mount: &mounts::Mount| !trial::ends_within(MOUNT_PATIENCE, || answer(&mount.point)).unwrap_or(true);
    Err(mounts.into_iter().find(hangs).map_or(Unreachable::Slow, |mount| {
        let mounts::Mount { point, kind } = mount;
        Unreachable::Hangs { point, kind }
    }))
}

/// As the start will.
fn ask(call: &Call) {
    let Ok(loaded) = call.load() else { return };
    if let Some(config) = loaded.config {
        own_files(&config.daemon).for_each(answer);
    }
}

fn own_files(daemon: &DaemonConfig) -> impl Iterator<Item = &Path> {
    let log = match &daemon.logfile {
        DaemonLog::File(path) => Some(path.as_path()),
        DaemonLog::Syslog => None,
    };
    let paths =
        [Some(daemon.pidfile.as_path()), log, daemon.runtime_directory.as_deref(), daemon.history_file.as_deref()];
    paths.into_iter().flatten().chain(daemon.make_directories.iter().map(PathBuf::as_path))
}

/// Only that there is an answer counts.
fn answer(path: &Path) {
    let asked: [io::Result<_>; 2] = [path.metadata(), path.parent().unwrap_or(path).metadata()];
    drop(asked);
}
