//! Every example loads without a problem.

use std::fs;
use std::path::{Path, PathBuf};

use galaxyd::config::{Account, FileStatus, HostSource, Overrides, ReadError, Rendering, Source, load, render};

/// The real files on a host where every directory and account is there.
struct Obliging(HostSource);

impl Source for Obliging {
    fn read(&self, path: &Path) -> Result<Vec<u8>, ReadError> {
        self.0.read(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.exists(path)
    }
    fn link_exists(&self, path: &Path) -> bool {
        self.0.link_exists(path)
    }
    fn is_dir(&self, _: &Path) -> bool {
        true
    }
    fn list(&self, directory: &Path) -> Vec<String> {
        self.0.list(directory)
    }
    fn status(&self, _: &Path) -> Option<FileStatus> {
        None
    }
    fn user_by_name(&self, name: &str) -> Option<Account> {
        Some(Account { name: name.into(), uid: 1001, gid: 1001, home: "/srv/galaxy".into(), groups: vec![1001] })
    }
    fn user_by_uid(&self, uid: u32) -> Option<Account> {
        Some(Account { name: "galaxy".into(), uid, gid: 1001, home: "/srv/galaxy".into(), groups: vec![1001] })
    }
    fn group_by_name(&self, _: &str) -> Option<u32> {
        Some(1001)
    }
    fn group_exists(&self, _: u32) -> bool {
        true
    }
    fn node_name(&self) -> String {
        "node".into()
    }
    fn environment(&self) -> &[(String, String)] {
        self.0.environment()
    }
    fn temp_dir(&self) -> Option<PathBuf> {
        self.0.temp_dir()
    }
    fn current_dir(&self) -> String {
        self.0.current_dir()
    }
    fn uid(&self) -> u32 {
        0
    }
    fn euid(&self) -> u32 {
        0
    }
}

#[test]
fn every_example_loads_without_a_problem() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/supervisor-confs");
    let environment = ["HOME", "USER", "PATH"].map(|name| (name.to_owned(), "/srv/galaxy".to_owned()));
    let source = Obliging(HostSource::new(environment.to_vec()));
    // There may be no examples yet.
    let Ok(entries) = fs::read_dir(&folder) else { return };
    for file in entries.map(|entry| entry.unwrap().path()) {
        if !file.extension().is_some_and(|extension| extension == "conf" || extension == "toml") {
            continue;
        }
        let loaded = load(&file, &Overrides::default(), &source);
        let text = render(&loaded.problems, &loaded.files, Rendering::Plain);
        assert!(loaded.problems.is_empty(), "{}:\n{text}", file.display());
    }
}
