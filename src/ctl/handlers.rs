//! The job handlers of a session's configuration, and the way to their database.

use std::path::Path;

use super::exit::ExitCode;
use super::name;
use super::run::host;
use super::shell::Shell;
use super::target::fits_spec;
use crate::config::{self, Overrides, Plugins};
use crate::database::Database;
use crate::galaxy::{self, JobHandler, JobSystem};

impl Shell {
    /// The Galaxies of this configuration that have handlers. `None`: there are none, which was told.
    pub(super) fn job_systems(&mut self) -> Option<Vec<JobSystem>> {
        let systems = self.handling_systems()?;
        if systems.is_empty() {
            self.refuse("Error: the configuration has no program that handles Galaxy's jobs");
            return None;
        }
        Some(systems)
    }

    /// The same where it is no mistake that there are none. `None`: nobody knows, which was told.
    pub(super) fn handling_systems(&mut self) -> Option<Vec<JobSystem>> {
        let Some(path) = self.session.configuration.clone() else {
            self.refuse("Error: no configuration file was found; name it with -c");
            return None;
        };
        let systems = systems(&path, self.session.plugins);
        if systems.is_none() {
            self.refuse(&format!("Error: {} cannot be used: galaxyctl check says why", path.display()));
        }
        systems
    }

    /// The way to a Galaxy's database; `None`: there is none, which was told.
    pub(super) fn database(&mut self, system: &JobSystem) -> Option<Database> {
        match reach(system) {
            Ok(database) => Some(database),
            Err(why) => {
                self.refuse(&format!("Error: {why}"));
                None
            }
        }
    }

    /// A problem that ends the command.
    pub(super) fn refuse(&mut self, text: &str) {
        self.problem(text, None);
        self.set_exit(ExitCode::Generic);
    }
}

/// The Galaxies of a configuration that have handlers; `None`: it cannot be used.
pub(super) fn systems(path: &Path, plugins: Plugins) -> Option<Vec<JobSystem>> {
    let source = host();
    let ignore_plugins = plugins == Plugins::Ignored;
    let loaded = config::load(path, &Overrides { ignore_plugins, ..Overrides::default() }, &source);
    let mut systems = galaxy::job_systems(loaded.config.as_ref()?, &loaded, &source);
    systems.retain(|system| !system.handlers.is_empty());
    Some(systems)
}

/// Whoever may become Galaxy's account does, because what is run belongs to it.
pub(super) fn reach(system: &JobSystem) -> Result<Database, String> {
    let url = system.database.clone()?;
    let python = system.interpreters.first().cloned().ok_or_else(|| {
        format!(
            "no Python was found to ask the database of {} with: give its programs a VIRTUAL_ENV",
            system.file.display()
        )
    })?;
    let may_become = nix::unistd::geteuid().is_root();
    Ok(Database {
        url,
        python,
        directory: system.directory.clone().filter(|directory| directory.is_dir()),
        account: system.account.filter(|(uid, _)| may_become && *uid != 0),
        environment: system.environment.clone(),
    })
}

/// `group:process`, or just the name.
pub(super) fn process_of(handler: &JobHandler) -> String {
    name::join(&handler.group, &handler.process)
}

/// Whether a word names this handler: its process, its group, a pattern, its server name.
pub(super) fn is_named(handler: &JobHandler, word: &str) -> bool {
    let is_server = matches!(&handler.name, galaxy::ServerName::One(name) if name == word);
    is_server || word == "all" || fits_spec(word, &process_of(handler))
}
