//! The rules, and the checks that apply them: one file for each part of the reference.

mod files;
mod jobs;
mod live;
mod names;
mod proxy;
mod services;
mod signals;
mod stopping;
mod surroundings;
mod table;
mod trees;
mod unchecked;
mod uwsgi;

pub use surroundings::{LiveDatabase, LiveProcess, Surroundings};
pub use table::{RULES, Rule, rule};
pub use unchecked::{UNCHECKED, Unchecked, unchecked};

use super::deployment::Deployment;
use super::finding::{Finding, Findings};
use super::program::Invocation;
use crate::config::{Config, Loaded, Source};

/// Applies every rule to a configuration and to what its programs read. Nothing is changed on the host.
///
/// A rule is silent where what it asks for is not known: a file that cannot be read is no mistake of its own. A
/// configuration with errors has no programs, so nothing is found.
pub fn check(loaded: &Loaded, source: &dyn Source) -> Vec<Finding> {
    check_beside(loaded, source, &Surroundings::default())
}

/// The same beside what else is known: what the daemon that runs tells of its processes and what an update to this
/// configuration would cost, their databases, and the proxy in front.
pub fn check_beside(loaded: &Loaded, source: &dyn Source, surroundings: &Surroundings) -> Vec<Finding> {
    let Some(config) = &loaded.config else { return Vec::new() };
    let deployment = Deployment::read(config, loaded, source);
    let mut findings = Findings::default();
    for apply in [
        files::apply,
        stopping::apply,
        signals::apply,
        trees::apply,
        names::apply,
        jobs::apply,
        uwsgi::apply,
        services::apply,
    ] {
        apply(&deployment, &mut findings);
    }
    proxy::apply(&deployment, surroundings.proxy.as_ref(), &mut findings);
    live::apply(&deployment, surroundings, source, &mut findings);
    findings.sorted()
}

/// Whether any program of a configuration is known to be of Galaxy.
#[must_use]
pub fn concerns(config: &Config) -> bool {
    let mut processes = config.groups.iter().flat_map(|group| &group.processes);
    processes.any(|process| Invocation::of(&process.command).is_some())
}
