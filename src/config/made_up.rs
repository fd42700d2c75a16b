//! A host that exists only in a test: files, accounts and variables as told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::path;
use super::source::{Account, FileStatus, ReadError, Source};

/// A made-up host with the working directory `/work` and nothing else but `/` and `/tmp`.
pub(crate) struct MadeUp {
    files: BTreeMap<String, (Vec<u8>, FileStatus)>,
    directories: BTreeSet<String>,
    accounts: Vec<Account>,
    groups: Vec<(String, u32)>,
    environment: Vec<(String, String)>,
    uid: u32,
}

impl MadeUp {
    pub(crate) fn new() -> Self {
        let directories = ["/", "/tmp", "/run", "/work"].map(str::to_owned).into();
        let status_of_root = Account { name: "root".into(), uid: 0, gid: 0, home: "/root".into(), groups: vec![0] };
        Self {
            files: BTreeMap::new(),
            directories,
            accounts: vec![status_of_root],
            groups: vec![("root".into(), 0)],
            environment: Vec::new(),
            uid: 0,
        }
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        self.file_with(name, text, 0o644)
    }

    pub(crate) fn file_with(mut self, name: &str, text: &str, mode: u32) -> Self {
        let status = FileStatus { mode, uid: 0, gid: 0 };
        self.files.insert(name.to_owned(), (text.as_bytes().to_vec(), status));
        self.directory(path::dirname(name))
    }

    pub(crate) fn directory(mut self, name: &str) -> Self {
        let mut name = name;
        while !name.is_empty() && self.directories.insert(name.to_owned()) {
            name = path::dirname(name);
        }
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn account(mut self, name: &str, uid: u32, gid: u32, home: &str) -> Self {
        self.accounts.push(Account { name: name.into(), uid, gid, home: home.into(), groups: vec![gid] });
        self.groups.push((name.to_owned(), gid));
        self
    }

    fn text(&self, path: &Path) -> String {
        path::absolute(path.to_str().unwrap(), self)
    }
}

impl Source for MadeUp {
    fn read(&self, path: &Path) -> Result<Vec<u8>, ReadError> {
        if self.is_dir(path) {
            return Err(ReadError::NotAFile);
        }
        self.files.get(&self.text(path)).map(|(bytes, _)| bytes.clone()).ok_or(ReadError::Missing)
    }
    fn exists(&self, path: &Path) -> bool {
        self.is_dir(path) || self.files.contains_key(&self.text(path))
    }
    fn link_exists(&self, path: &Path) -> bool {
        self.exists(path)
    }
    fn is_dir(&self, path: &Path) -> bool {
        self.directories.contains(&self.text(path))
    }
    fn list(&self, directory: &Path) -> Vec<String> {
        let directory = self.text(directory);
        let all = self.files.keys().chain(self.directories.iter());
        let inside = all.filter(|name| name.as_str() != "/" && path::dirname(name) == directory);
        inside.map(|name| path::split(name).1.to_owned()).collect()
    }
    fn status(&self, path: &Path) -> Option<FileStatus> {
        self.files.get(&self.text(path)).map(|(_, status)| *status)
    }
    fn user_by_name(&self, name: &str) -> Option<Account> {
        self.accounts.iter().find(|account| account.name == name).cloned()
    }
    fn user_by_uid(&self, uid: u32) -> Option<Account> {
        self.accounts.iter().find(|account| account.uid == uid).cloned()
    }
    fn group_by_name(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|(group, _)| group == name).map(|(_, gid)| *gid)
    }
    fn group_exists(&self, gid: u32) -> bool {
        self.groups.iter().any(|(_, known)| *known == gid)
    }
    fn node_name(&self) -> String {
        "node".to_owned()
    }
    fn environment(&self) -> &[(String, String)] {
        &self.environment
    }
    fn temp_dir(&self) -> Option<PathBuf> {
        Some(PathBuf::from("/tmp"))
    }
    fn current_dir(&self) -> String {
        "/work".to_owned()
    }
    fn uid(&self) -> u32 {
        self.uid
    }
    fn euid(&self) -> u32 {
        self.uid
    }
}
