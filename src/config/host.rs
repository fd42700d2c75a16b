//! The real host as a [`Source`].

use std::ffi::CString;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, Gid, Group, Uid, access, getgrouplist};

use super::path;
use super::source::{Account, FILE_BYTES_MAX, FileStatus, ReadError, Source};

/// The host this process runs on, with the environment it was started with.
#[derive(Debug, Clone)]
pub struct HostSource {
    environment: Vec<(String, String)>,
    current_dir: String,
    node_name: String,
    /// A file, and what is to be read in place of its contents.
    instead: Option<(PathBuf, Vec<u8>)>,
}

impl HostSource {
    /// Asks the host for what does not change: node name and working directory.
    ///
    /// `environment` is what `%(ENV_x)s`, `~` and the choice of the temporary directory see; the caller leaves out
    /// the variables that its own processes use among themselves.
    #[must_use]
    pub fn new(environment: Vec<(String, String)>) -> Self {
        let current_dir =
            std::env::current_dir().map_or_else(|_| "/".to_owned(), |path| path.to_string_lossy().into_owned());
        let node_name = nix::unistd::gethostname().map_or_else(|_| String::new(), |name| name.to_string_lossy().into());
        Self { environment, current_dir, node_name, instead: None }
    }

    /// The same host if this file had these contents, to judge a change before it is made.
    #[must_use]
    pub fn with_file(mut self, path: &Path, contents: impl Into<Vec<u8>>) -> Self {
        self.instead = Some((path.to_owned(), contents.into()));
        self
    }

    /// The same host seen from another directory: a daemon that has changed directory still reads relative names
    /// against the one it was started in.
    #[must_use]
    pub fn in_directory(mut self, directory: &Path) -> Self {
        self.current_dir = directory.to_string_lossy().into_owned();
        self
    }

    /// The same host with these variables over those of the environment: what options of the command line stand for.
    #[must_use]
    pub fn with_variables(mut self, variables: &[(String, String)]) -> Self {
        self.environment.retain(|(name, _)| !variables.iter().any(|(over, _)| over == name));
        self.environment.extend_from_slice(variables);
        self
    }

    fn at(&self, path: &Path) -> PathBuf {
        // An empty name is no name of the working directory.
        if path.is_absolute() || path.as_os_str().is_empty() {
            path.to_owned()
        } else {
            Path::new(&self.current_dir).join(path)
        }
    }

    fn account(user: nix::unistd::User) -> Account {
        let mut groups = vec![user.gid.as_raw()];
        if let Ok(name) = CString::new(user.name.as_bytes()) {
            let others = getgrouplist(&name, user.gid).unwrap_or_default();
            groups.extend(others.into_iter().map(Gid::as_raw).filter(|gid| *gid != user.gid.as_raw()));
        }
        Account {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir.to_string_lossy().into_owned(),
            groups,
            name: user.name,
        }
    }
}

impl Source for HostSource {
    fn read(&self, path: &Path) -> Result<Vec<u8>, ReadError> {
        if let Some((_, contents)) = self.instead.as_ref().filter(|(replaced, _)| replaced == path) {
            return Ok(contents.clone());
        }
        // Without O_NONBLOCK a FIFO that is put in place of the file would block the open.
        let opened = fs::OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
            .open(self.checked(path)?);
        let file = opened.map_err(|error| read_error(&error))?;
        let status = file.metadata().map_err(|error| read_error(&error))?;
        if !status.is_file() {
            return Err(ReadError::NotAFile);
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| read_error(&error))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > FILE_BYTES_MAX {
            return Err(ReadError::TooLarge { bytes: status.len().max(length) });
        }
        Ok(bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        self.at(path).exists()
    }

    fn link_exists(&self, path: &Path) -> bool {
        fs::symlink_metadata(self.at(path)).is_ok()
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.at(path).is_dir()
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at(directory)) else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn status(&self, path: &Path) -> Option<FileStatus> {
        let status = fs::metadata(self.at(path)).ok()?;
        Some(FileStatus { mode: status.mode() & 0o7777, uid: status.uid(), gid: status.gid() })
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        nix::unistd::User::from_name(name).ok().flatten().map(Self::account)
    }

    fn user_by_uid(&self, uid: u32) -> Option<Account> {
        nix::unistd::User::from_uid(Uid::from_raw(uid)).ok().flatten().map(Self::account)
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
    }

    fn group_exists(&self, gid: u32) -> bool {
        Group::from_gid(Gid::from_raw(gid)).ok().flatten().is_some()
    }

    fn node_name(&self) -> String {
        self.node_name.clone()
    }

    fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    fn temp_dir(&self) -> Option<PathBuf> {
        let named = ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(|name| self.variable(name));
        let usual = ["/tmp", "/var/tmp", "/usr/tmp", self.current_dir.as_str()];
        let candidates = named.filter(|directory| !directory.is_empty()).chain(usual);
        candidates.map(|directory| PathBuf::from(path::absolute(directory, self))).find(|directory| {
            directory.is_dir() && access(directory.as_path(), AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
        })
    }

    fn current_dir(&self) -> String {
        self.current_dir.clone()
    }

    fn uid(&self) -> u32 {
        Uid::current().as_raw()
    }

    fn euid(&self) -> u32 {
        Uid::effective().as_raw()
    }
}

impl HostSource {
    /// The path to open, once it is known that nothing with side effects (a device) is there.
    fn checked(&self, path: &Path) -> Result<PathBuf, ReadError> {
        let path = self.at(path);
        let kind = fs::metadata(&path).map_err(|error| read_error(&error))?.file_type();
        if kind.is_dir() || kind.is_fifo() || kind.is_char_device() || kind.is_block_device() || kind.is_socket() {
            return Err(ReadError::NotAFile);
        }
        Ok(path)
    }
}

fn read_error(error: &std::io::Error) -> ReadError {
    match error.kind() {
        ErrorKind::NotFound => ReadError::Missing,
        ErrorKind::IsADirectory => ReadError::NotAFile,
        _ => ReadError::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_bearable_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let host = HostSource::new(Vec::new()).in_directory(folder.path());
        std::fs::write(folder.path().join("good"), b"text").unwrap();
        std::fs::write(folder.path().join("big"), vec![b' '; 4 * 1024 * 1024 + 1]).unwrap();
        nix::unistd::mkfifo(&folder.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(host.read(Path::new("good")), Ok(b"text".to_vec()));
        assert_eq!(host.read(Path::new("none")), Err(ReadError::Missing));
        assert_eq!(host.read(Path::new("fifo")), Err(ReadError::NotAFile));
        assert_eq!(host.read(Path::new("/dev/null")), Err(ReadError::NotAFile));
        assert_eq!(host.read(folder.path()), Err(ReadError::NotAFile));
        assert_eq!(host.read(Path::new("big")), Err(ReadError::TooLarge { bytes: 4 * 1024 * 1024 + 1 }));
    }

    #[test]
    fn accounts_know_their_groups_primary_first() {
        let host = HostSource::new(Vec::new());
        let root = host.user_by_uid(0).unwrap();
        assert_eq!(host.user_by_name(&root.name).unwrap(), root);
        assert_eq!(root.groups.first(), Some(&root.gid));
        assert!(host.group_exists(root.gid));
    }

    #[test]
    fn the_temporary_directory_follows_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().to_str().unwrap().to_owned();
        let host = HostSource::new(vec![("TMPDIR".into(), "/no/such".into()), ("TEMP".into(), text)]);
        assert_eq!(host.temp_dir().as_deref(), Some(folder.path()));
    }
}
