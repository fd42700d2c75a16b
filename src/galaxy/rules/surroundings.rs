//! What the rules are told beside a configuration and its files: values only, so that they stay pure.

use std::path::PathBuf;

use crate::galaxy::nginx::Proxy;
use crate::galaxy::program::Invocation;

/// All of it; nothing is known by default.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The processes of the daemon that runs.
    pub processes: Vec<LiveProcess>,
    /// What the databases of its Galaxies are.
    pub databases: Vec<LiveDatabase>,
    /// The files of the proxy in front.
    pub proxy: Option<Proxy>,
}

/// One process of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveProcess {
    pub group: String,
    pub name: String,
    pub is_running: bool,
    /// What it would be started with as the daemon knows it, wrappers and all; empty: not known.
    pub argv: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// `waiting`, `late`, `settling`, `ready`; empty if nobody asks.
    pub readiness: String,
    /// That its command, environment or configuration is not what a restart would give, in a sentence.
    pub changed: Option<String>,
    /// That it runs an older release of Galaxy than lies on disk, in a sentence.
    pub older_release: Option<String>,
    /// The release that its server says it is; `None`: it was not asked, or did not say.
    pub told_release: Option<String>,
    /// Numbers and command lines of processes that outlived it.
    pub left_behind: Vec<String>,
}

impl LiveProcess {
    pub(super) fn invocation(&self) -> Option<Invocation> {
        Invocation::of_words(self.argv.clone())
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn shown(&self) -> String {
        if self.group == self.name { self.name.clone() } else { format!("{}:{}", self.group, self.name) }
    }
}

/// The database of one Galaxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveDatabase {
    /// Whose: its galaxy.yml.
    pub galaxy: PathBuf,
    /// `postgresql` or `sqlite`.
    pub dialect: String,
    /// As it says itself: `15.4 (Debian 15.4-1)`.
    pub version: String,
}
