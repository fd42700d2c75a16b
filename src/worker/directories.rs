//! `make_directories` of `[supervisord]`.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::config::DaemonConfig;

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
    DirBuilder::new().recursive(true).mode(0o755).create(directory)
}

#[cfg(test)]
mod tests {
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
}
