//! Who a handler is to Galaxy's database: a server name in one Galaxy, under which only one process may live.

use std::path::{Path, PathBuf};

use super::program::{HANDLER, Invocation, Role};
use crate::config::{Loaded, Problem, ProcessConfig};

/// A handler's server name, and the configuration by which its Galaxy is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerIdentity {
    pub name: String,
    /// `None`: it names none, and finds one by itself.
    pub configuration: Option<PathBuf>,
}

impl ServerIdentity {
    /// Of a process of a configuration; `current` is the daemon's own directory. `None`: it is no handler.
    #[must_use]
    pub fn of_process(process: &ProcessConfig, current: &Path) -> Option<Self> {
        // Most programs are none, and this is asked of all of them whenever a handler starts.
        let invocation = process.command.contains(HANDLER).then(|| Invocation::of(&process.command))??;
        let directory = process.directory.as_ref().map_or(current.to_owned(), |own| current.join(own));
        let variable = process.environment.get("GALAXY_CONFIG_FILE").map(String::as_str);
        Self::of(&invocation, variable, &directory)
    }

    /// Whether a running command has this name. `variable` gives what `GALAXY_CONFIG_FILE` is in its environment, `follow` a
    /// path without links, as the two may have been called by different ones.
    #[must_use]
    pub fn is_run_by(
        &self,
        arguments: &[String],
        variable: impl FnOnce() -> Option<String>,
        directory: &Path,
        follow: impl Fn(&Path) -> PathBuf,
    ) -> bool {
        // Of all that runs on a host few are handlers: only of these more is asked.
        let found = Invocation::of_words(arguments.to_vec()).filter(|found| found.role == Role::Handler);
        let Some(found) = found.filter(|found| found.server_name() == self.name) else { return false };
        let resolved = |identity: &Self| identity.configuration.as_deref().map(&follow);
        Self::of(&found, variable().as_deref(), directory).is_some_and(|found| resolved(&found) == resolved(self))
    }

    fn of(invocation: &Invocation, variable: Option<&str>, directory: &Path) -> Option<Self> {
        if invocation.role != Role::Handler {
            return None;
        }
        let named = invocation.option(&["-c", "--config-file", "--config"]).or(variable);
        Some(Self {
            name: invocation.server_name().to_owned(),
            configuration: named.map(|path| directory.join(path).components().collect()),
        })
    }
}

/// Refuses a configuration by which two processes start under one server name; Supervisor would start both. A spare one,
/// which somebody starts when the other is down, is no mistake: that both run is refused when it is started.
pub fn refuse_twins(loaded: &mut Loaded, current: &Path) {
    let mut known: Vec<(ServerIdentity, String)> = Vec::new();
    let mut twins = Vec::new();
    for group in loaded.config.iter().flat_map(|config| &config.groups) {
        for process in group.processes.iter().filter(|process| process.autostart) {
            let Some(identity) = ServerIdentity::of_process(process, current) else { continue };
            let own = format!("{}:{}", group.name, process.name);
            match known.iter().find(|(other, _)| *other == identity) {
                Some((_, first)) => twins.push((process.section.clone(), refusal(&identity.name, first, &own))),
                None => known.push((identity, own)),
            }
        }
    }
    for (section, problem) in twins {
        loaded.blame(&section, "command", problem);
    }
}

fn refusal(name: &str, first: &str, second: &str) -> Problem {
    let text =
        format!("{second} has the server name {name}, as {first} has: Galaxy would run each of their jobs twice");
    Problem::own_error(text).help(
        "make --server-name unique, by %(process_num)s where numprocs is above 1; a spare process has autostart=false",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(command: &str, variable: Option<&str>) -> Option<(String, Option<String>)> {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let found = ServerIdentity::of(&Invocation::of_words(words)?, variable, Path::new("/srv"))?;
        Some((found.name, found.configuration.map(|path| path.display().to_string())))
    }

    #[test]
    fn a_handler_is_known_by_its_name_and_its_galaxy() {
        let of = |name: &str, file: Option<&str>| Some((name.to_owned(), file.map(str::to_owned)));
        for (command, variable, expected) in [
            ("galaxy-main -c config/./galaxy.yml --server-name=h1", None, of("h1", Some("/srv/config/galaxy.yml"))),
            ("/v/bin/python /v/bin/galaxy-main --server-name h1", Some("/a.yml"), of("h1", Some("/a.yml"))),
            ("galaxy-main -c /b.yml", Some("/a.yml"), of("main", Some("/b.yml"))),
            ("galaxy-main", None, of("main", None)),
            ("celery --app galaxy.celery worker", None, None),
            ("sleep 1000", None, None),
        ] {
            assert_eq!(identity(command, variable), expected, "{command}");
        }
    }

    #[test]
    fn a_running_handler_is_told_from_that_of_another_galaxy() {
        let own = ServerIdentity { name: "h1".to_owned(), configuration: Some("/srv/galaxy.yml".into()) };
        let follow =
            |path: &Path| if path == Path::new("/link.yml") { "/srv/galaxy.yml".into() } else { path.to_owned() };
        for (command, variable, expected) in [
            ("python galaxy-main -c galaxy.yml --server-name=h1", None, true),
            ("python galaxy-main -c /link.yml --server-name=h1", None, true),
            ("python galaxy-main --server-name=h1", Some("/srv/galaxy.yml"), true),
            ("python galaxy-main -c other.yml --server-name=h1", Some("/srv/galaxy.yml"), false),
            ("python galaxy-main -c galaxy.yml --server-name=h2", None, false),
            ("python galaxy-main --server-name=h1", None, false),
            ("sleep 1000", None, false),
        ] {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            let is_so = own.is_run_by(&words, || variable.map(str::to_owned), Path::new("/srv"), follow);
            assert_eq!(is_so, expected, "{command}");
        }
    }
}
