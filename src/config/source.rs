//! All contact between the configuration and the machine it is read on.
//!
//! The readers ask a [`Source`]; [`super::HostSource`] answers from the real host, tests answer from a made-up
//! one. Nothing here keeps state or decides what a configuration means.

use std::path::{Path, PathBuf};

use super::pattern;

/// Configuration files larger than this are refused (4 MiB).
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("there is no such file")]
    Missing,
    /// A directory, a FIFO, a device or a socket: never opened, it could block.
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it has {bytes} bytes, more than the {FILE_BYTES_MAX} that a configuration may have")]
    TooLarge { bytes: u64 },
    #[error("{0}")]
    Other(String),
}

/// An account of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    pub home: String,
    /// Primary group first, then the groups that list the account's name.
    pub groups: Vec<u32>,
}

/// Who owns a file and who may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStatus {
    /// Permission bits, without the file type.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// What the readers ask the host.
///
/// Paths are relative to [`Source::current_dir`] where they are not absolute.
pub trait Source {
    /// The bytes of a regular file of at most [`FILE_BYTES_MAX`].
    ///
    /// # Errors
    /// [`ReadError`], naming why.
    fn read(&self, path: &Path) -> Result<Vec<u8>, ReadError>;
    /// Whether anything is there, links followed.
    fn exists(&self, path: &Path) -> bool;
    /// Whether anything is there, a dangling link too.
    fn link_exists(&self, path: &Path) -> bool;
    /// Whether a directory is there, links followed.
    fn is_dir(&self, path: &Path) -> bool;
    /// The names in a directory, in any order; empty if it cannot be read.
    fn list(&self, directory: &Path) -> Vec<String>;
    /// Mode and owner of a file, links followed.
    fn status(&self, path: &Path) -> Option<FileStatus>;
    fn user_by_name(&self, name: &str) -> Option<Account>;
    fn user_by_uid(&self, uid: u32) -> Option<Account>;
    /// The number of the group of this name.
    fn group_by_name(&self, name: &str) -> Option<u32>;
    /// Whether a group of this number is known.
    fn group_exists(&self, gid: u32) -> bool;
    /// The node name, `uname -n`.
    fn node_name(&self) -> String;
    /// The daemon's environment as its starter left it, in any order.
    fn environment(&self) -> &[(String, String)];
    /// Where temporary files go, chosen as Python's `tempfile` does; `None` if no candidate is writable.
    fn temp_dir(&self) -> Option<PathBuf>;
    /// The working directory, absolute.
    fn current_dir(&self) -> String;
    /// The real user id of this process.
    fn uid(&self) -> u32;
    /// The effective user id of this process.
    fn euid(&self) -> u32;

    /// The paths that match a shell pattern, in byte order: `*`, `?` and `[...]` match neither `/` nor a leading
    /// dot, `**` is one directory level. A pattern without wildcards matches itself if it exists.
    fn glob(&self, pattern: &str) -> Vec<String> {
        let mut found = pattern::expand(pattern, self);
        found.sort();
        found
    }

    /// A variable of [`Source::environment`].
    fn variable(&self, name: &str) -> Option<&str> {
        self.environment().iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
