//! Whether a handler that is started shows life on another host as well, which nobody but Galaxy's database knows.

use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::handlers::{is_named, reach, systems};
use super::shell::Shell;
use crate::config::{Plugins, Source as _};
use crate::ctl::run::host;
use crate::database::{Beat, FRESH_SECONDS};
use crate::galaxy::ServerName;

/// An answer that comes later after a start is done without.
const PATIENCE: Duration = Duration::from_secs(2);

/// A question under way, whose answer is the lines to be shown.
pub(super) struct Inquiry(Receiver<Vec<String>>);

impl Shell {
    /// As galaxyctl, begins to ask about the handlers among these names. `None`: there is nobody to ask.
    pub(super) fn ask_elsewhere(&self, names: &str) -> Option<Inquiry> {
        let path = self.session.configuration.clone().filter(|_| self.is_galaxyctl())?;
        let (plugins, names) = (self.session.plugins, names.to_owned());
        let (sender, answer) = mpsc::channel();
        let asking = thread::Builder::new().spawn(move || {
            // Nobody waits any more where the answer comes too late.
            let _ = sender.send(warnings(&path, plugins, &names));
        });
        asking.is_ok().then_some(Inquiry(answer))
    }

    /// Says what was found, if that is known soon.
    pub(super) fn tell_elsewhere(&mut self, inquiry: Option<Inquiry>) {
        let Some(Inquiry(answer)) = inquiry else { return };
        for line in answer.recv_timeout(PATIENCE).unwrap_or_default() {
            self.screen.hint(&line);
        }
    }
}

/// Whatever cannot be read or asked gives none: a start is not about the database.
fn warnings(path: &Path, plugins: Plugins, names: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for system in systems(path, plugins).unwrap_or_default() {
        let meant =
            system.handlers.iter().filter(|handler| names.split_whitespace().any(|word| is_named(handler, word)));
        let names: Vec<&str> = meant.filter_map(|handler| one_name(&handler.name)).collect();
        let beats = if names.is_empty() { None } else { reach(&system).ok().and_then(|base| base.beats(&names).ok()) };
        lines.extend(lines_of(&beats.unwrap_or_default(), &host().node_name()));
    }
    lines
}

/// Workers of web servers have no name of their own, and are none that a second one would harm.
fn one_name(name: &ServerName) -> Option<&str> {
    match name {
        ServerName::One(name) => Some(name),
        ServerName::Numbered(_) => None,
    }
}

fn lines_of(beats: &[Beat], own: &str) -> Vec<String> {
    let is_fresh = |beat: &&Beat| beat.age_seconds < FRESH_SECONDS;
    let elsewhere = beats.iter().filter(is_fresh).filter_map(|beat| {
        let host = beat.hostname.as_deref().filter(|host| *host != own)?;
        let (name, age) = (&beat.server_name, beat.age_seconds);
        Some(format!(
            "warning: {name} showed life on {host} {age} s ago: two processes of one server name run each of its jobs twice"
        ))
    });
    elsewhere.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fresh_signs_of_life_of_other_hosts_are_told() {
        let beat = |hostname: Option<&str>, age_seconds| Beat {
            server_name: "h1".to_owned(),
            hostname: hostname.map(str::to_owned),
            pid: None,
            age_seconds,
        };
        let beats = [beat(Some("here"), 1), beat(Some("old"), 120), beat(None, 1), beat(Some("there"), 119)];
        assert_eq!(
            lines_of(&beats, "here"),
            ["warning: h1 showed life on there 119 s ago: two processes of one server name run each of its jobs twice"]
        );
    }
}
