//! Configurations and launches as tests of this room need them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::launch::LaunchRecord;
use crate::config::{self, Config, GroupConfig, HostSource, Overrides, ProcessConfig};

/// The configuration with these sections besides `[supervisord]`.
pub(super) fn config(sections: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("supervisord.conf");
    std::fs::write(&file, format!("[supervisord]\n{sections}")).unwrap();
    let source = HostSource::new(Vec::new()).in_directory(folder.path());
    let loaded = config::load(&file, &Overrides::default(), &source);
    loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems))
}

/// The only process of the only program.
pub(super) fn process(keys: &str) -> ProcessConfig {
    let config = config(&format!("[program:p]\n{keys}\n"));
    config.groups.into_iter().flat_map(|group: GroupConfig| group.processes).next().unwrap()
}

pub(super) fn launch() -> LaunchRecord {
    let directory = PathBuf::from("/");
    LaunchRecord {
        origin: directory.clone(),
        directory,
        program_nofile: None,
        messages: Vec::new(),
        passed: BTreeSet::new(),
    }
}
