//! Where a process of Galaxy registers itself: under which name, and in whose table `worker_process`.

use std::path::PathBuf;

use super::deployment::{Galaxy, Program, absolute};
use super::handlers::{ServerName, database, interpreters, server_name};
use super::program::Invocation;
use crate::config::{Loaded, Problem, ProcessConfig, ReadyCheck, Source};

const CONFIGURATION: &str = "GALAXY_CONFIG_FILE";

/// The name of a process, and the way to the database that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    pub name: ServerName,
    /// `database_connection`.
    pub url: String,
    /// Galaxy's interpreter.
    pub python: PathBuf,
}

/// Reads what the process would read: not for the control loop. Its `environment` is to be all that it gets.
///
/// # Errors
/// What is missing, in words that end a sentence.
pub fn registry(group: &str, process: &ProcessConfig, source: &dyn Source) -> Result<Registry, String> {
    let nameless = || "it is no process of Galaxy with a server name".to_owned();
    let invocation = Invocation::of(&process.command).ok_or_else(nameless)?;
    let role = invocation.role;
    let program = Program { process, group, role, invocation, galaxy: None, uwsgi: None, uwsgi_file: PathBuf::new() };
    let named = program.invocation.configuration(process).ok_or("it names no configuration of Galaxy")?;
    let galaxy = Galaxy::read(&absolute(named, process, source), source);
    let python = interpreters(&program, source).into_iter().next();
    Ok(Registry {
        name: server_name(&program, &galaxy).ok_or_else(nameless)?,
        url: database(&galaxy, Some(&program), source)?,
        python: python.ok_or("no Python was found to ask the database with: give it a VIRTUAL_ENV")?,
    })
}

/// Refuses to look for the row of a process that has none, or whose Galaxy nobody knows, by what the configuration says alone:
/// files that come and go are looked at when they are needed.
pub fn refuse_unregistered(loaded: &mut Loaded, source: &dyn Source) {
    let mut refused = Vec::new();
    for process in loaded.config.iter().flat_map(|config| &config.groups).flat_map(|group| &group.processes) {
        let is_asked = process.extras.ready.as_ref().is_some_and(|ready| ready.check == ReadyCheck::WorkerProcess);
        if let Some(problem) = is_asked.then(|| refusal(process, source)).flatten() {
            refused.push((process.section.clone(), problem));
        }
    }
    for (section, problem) in refused {
        loaded.blame(&section, "ready", problem);
    }
}

fn refusal(process: &ProcessConfig, source: &dyn Source) -> Option<Problem> {
    let key = format!("ready=worker_process in [{}]", process.section);
    let invocation = Invocation::of(&process.command);
    let Some(invocation) = invocation.filter(|invocation| invocation.role.is_registered()) else {
        let text = format!("{key}, but {} has no server name in Galaxy's database", process.name);
        let help = "it is for galaxy-main and for Galaxy under gunicorn or uWSGI; ask others in another way";
        return Some(Problem::own_error(text).help(help));
    };
    let extras = &process.extras;
    let may_inherit =
        !extras.environment_files.is_empty() || (!extras.clear_environment && source.variable(CONFIGURATION).is_some());
    if may_inherit || invocation.configuration(process).is_some() {
        return None;
    }
    let text = format!("{key}, but nothing says which galaxy.yml {} reads", process.name);
    let help = "write -c FILE in the command of galaxy-main, or GALAXY_CONFIG_FILE=\"FILE\" in the key environment";
    Some(Problem::own_error(text).help(help))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, load};

    const GALAXY: &str = "galaxy:\n  database_connection: postgresql:///galaxy\n  server_name: web\n";

    /// Judged as the daemon does it.
    fn loaded(keys: &str, host: MadeUp) -> (Loaded, MadeUp) {
        let text = format!("[supervisord]\n[program:a]\nready=worker_process\n{keys}\n");
        let host = host.file("/etc/x.conf", &text);
        let mut loaded = load(Path::new("/etc/x.conf"), &Overrides::default(), &host);
        refuse_unregistered(&mut loaded, &host);
        (loaded, host)
    }

    #[test]
    fn a_process_is_found_by_its_own_files() {
        let handler = "command=/venv/bin/galaxy-main -c galaxy.yml --server-name=h1\ndirectory=/srv";
        let web = "command=/venv/bin/gunicorn galaxy.webapps.galaxy.fast_factory:factory()\n\
                   environment=GALAXY_CONFIG_FILE=/srv/galaxy.yml";
        for (keys, name) in [(handler, ServerName::One("h1".to_owned())), (web, ServerName::Numbered("web".to_owned()))]
        {
            let host = MadeUp::new().file("/srv/galaxy.yml", GALAXY).file("/venv/bin/python", "");
            let (loaded, host) = loaded(keys, host);
            assert!(!loaded.problems.has_errors(), "{:?}", loaded.problems);
            let config = loaded.config.unwrap();
            let found = registry("a", &config.groups[0].processes[0], &host).unwrap();
            let (url, python) = ("postgresql:///galaxy".to_owned(), PathBuf::from("/venv/bin/python"));
            assert_eq!(found, Registry { name, url, python });
        }
    }

    #[test]
    fn who_has_no_row_or_no_galaxy_is_refused_with_its_place() {
        for (keys, wanted) in [
            ("command=sleep 1", "a has no server name in Galaxy's database"),
            ("command=celery --app galaxy.celery worker", "a has no server name in Galaxy's database"),
            ("command=galaxy-main --server-name=h1", "nothing says which galaxy.yml a reads"),
        ] {
            let (loaded, _) = loaded(keys, MadeUp::new());
            let problem = loaded.problems.errors().next().unwrap_or_else(|| panic!("{keys}"));
            let told = format!("{problem:?}");
            assert!(told.contains(wanted) && told.contains("program:a"), "{told}");
            assert_eq!(problem.place.as_ref().map(|place| place.line), Some(3), "{told}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let keys = "command=/venv/bin/galaxy-main -c /srv/galaxy.yml --server-name=h1";
        for (host, wanted) in [
            (MadeUp::new(), "/srv/galaxy.yml cannot be read"),
            (MadeUp::new().file("/srv/galaxy.yml", GALAXY), "no Python was found"),
        ] {
            let (loaded, host) = loaded(keys, host);
            let config = loaded.config.unwrap();
            let why = registry("a", &config.groups[0].processes[0], &host).unwrap_err();
            assert!(why.contains(wanted), "{why}");
        }
    }
}
