//! No two processes of one server name: Galaxy gives both the same jobs, and each runs twice.
//!
//! A configuration that starts two of them is refused ([`super::invocation::Call::load`]). At each start the loop looks
//! among its own children, and the side thread that prepares the start among all processes of this host.

use std::path::{Path, PathBuf};

use super::scarcity::is_starved;
use super::worker::Worker;
use crate::config::ProcessConfig;
use crate::engine::{ProcessId, SpawnError};
use crate::galaxy::ServerIdentity;
use crate::rpc::printable;
use crate::sys::proc_table;

/// A command line is shown up to here.
const COMMAND_MAX_CHARS: usize = 200;

impl Worker {
    /// Of a handler that is to be started: who of this daemon's processes has its server name.
    pub(super) fn twin_among_children(&mut self, process: ProcessId) -> Option<SpawnError> {
        let current = current_directory();
        let own = ServerIdentity::of_process(self.process_config(process)?, &current)?;
        let others: Vec<ProcessId> =
            self.engine.processes().map(|view| view.process).filter(|id| *id != process).collect();
        for other in others {
            let identity = self.process_config(other).and_then(|config| ServerIdentity::of_process(config, &current));
            if identity.as_ref() == Some(&own) && self.has_child(other) {
                let name = self.engine.process(other).map(|view| format!("{}:{}", view.group, view.name));
                return Some(taken(&own.name, &name.unwrap_or_default()));
            }
        }
        None
    }

    /// Whether a child lives, or is about to.
    fn has_child(&mut self, process: ProcessId) -> bool {
        self.spawns.is_preparing(process)
            || self.spawning.values().any(|other| *other == process)
            || self.children.of_process(process).is_some()
    }
}

/// Looks through /proc: not for the control loop.
///
/// # Errors
///
/// The server name is taken, or there is no memory to look.
pub(super) fn refuse_twin(process: &ProcessConfig) -> Result<(), SpawnError> {
    let Some(own) = ServerIdentity::of_process(process, &current_directory()) else { return Ok(()) };
    let follow = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let commands = match proc_table::commands() {
        Ok(commands) => Some(commands),
        Err(error) if error.raw_os_error().is_some_and(is_starved) => {
            return Err(SpawnError::Starved(format!("cannot look whether {} is in use: {error}", own.name)));
        }
        // What cannot be read proves nothing.
        Err(_) => None,
    };
    for command in commands.into_iter().flatten() {
        let variable = || proc_table::variable(command.pid, "GALAXY_CONFIG_FILE");
        if own.is_run_by(&command.arguments, variable, &command.directory, follow) {
            let line: String = printable(&command.arguments.join(" ")).chars().take(COMMAND_MAX_CHARS).collect();
            return Err(taken(&own.name, &format!("process {} ({line})", command.pid)));
        }
    }
    Ok(())
}

fn taken(name: &str, by: &str) -> SpawnError {
    SpawnError::Failed(format!("{by} runs under the server name {name}; a second one would run each of its jobs again"))
}

fn current_directory() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| Path::new("/").to_owned())
}
