//! A session whose configuration is a galaxy.yml: Gravity's names, and a daemon that is started where it is missing.
//!
//! Source: Gravity 1.2.4, `process_manager/__init__.py` and `commands/`.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::answer::{self, ProcessInfo};
use super::commands::update;
use super::exit::ExitCode;
use super::run::host;
use super::shell::Shell;
use super::trouble::Trouble;
use crate::config::{self, GalaxyInstance};

impl Shell {
    /// The galaxy.yml of this session.
    pub(super) fn galaxy_yml(&self) -> Option<PathBuf> {
        let configuration = self.session.configuration.clone()?;
        (self.is_galaxyctl() && config::is_galaxy_yml(&configuration)).then_some(configuration)
    }

    /// The words after a command; none mean everything where there is a galaxy.yml.
    pub(super) fn names_or_all(&self, rest: &str) -> String {
        let has_name = rest.split_whitespace().any(|word| !word.starts_with("--"));
        if has_name || self.galaxy_yml().is_none() { rest.to_owned() } else { format!("{rest} all").trim().to_owned() }
    }

    /// The processes of the services that Gravity calls so: in all instances. Empty if there is no such service.
    pub(super) fn service_processes(&self, name: &str) -> Vec<String> {
        let Some(path) = self.galaxy_yml() else { return Vec::new() };
        let instances = config::galaxy_instances(&path, &host());
        chosen(&instances, &[name]).into_iter().map(|(_, process)| process).collect()
    }

    /// Before a start: puts galaxy.yml in force, or starts the daemon where there is none, which then starts everything. `false`:
    /// there is nothing left to do, or it failed, which was told.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn is_up_to_date(&mut self) -> Result<bool, Trouble> {
        let Some(path) = self.galaxy_yml() else { return Ok(true) };
        if self.is_up() {
            self.set_exit(ExitCode::Success);
            update::run(self, "")?;
            return Ok(self.exit() == ExitCode::Success);
        }
        let ended = galaxyd(&path).status();
        if !ended.as_ref().is_ok_and(std::process::ExitStatus::success) {
            let why = match ended {
                Ok(status) => format!("Error: galaxyd did not start: {status}"),
                Err(error) => format!("Error: galaxyd cannot be started: {error}"),
            };
            self.problem(why, None);
            self.set_exit(ExitCode::Generic);
            return Ok(false);
        }
        self.line("galaxyd was started, and starts all services; `status` shows them");
        Ok(false)
    }

    /// Gravity ends its daemon when nothing is left to supervise.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn shut_down_if_idle(&mut self) -> Result<(), Trouble> {
        if self.galaxy_yml().is_none() || !self.is_up() {
            return Ok(());
        }
        let processes = answer::list(&self.call("getAllProcessInfo", &[])?, ProcessInfo::read)?;
        if processes.iter().all(ProcessInfo::is_stopped) {
            self.line("All processes stopped, galaxyd will exit");
            self.call("shutdown", &[])?;
        }
        Ok(())
    }

    /// Whether the daemon answers, without a word about it.
    pub(super) fn is_up(&mut self) -> bool {
        self.call("getVersion", &[]).is_ok()
    }
}

/// The daemon for this file: the one beside this program.
#[expect(clippy::disallowed_methods, reason = "the client has no children that somebody else collects")]
fn galaxyd(path: &Path) -> Command {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join("galaxyd")));
    let program = beside.filter(|program| program.exists()).unwrap_or_else(|| PathBuf::from("galaxyd"));
    let mut command = Command::new(program);
    command.arg("-c").arg(path);
    command
}

/// Becomes the daemon in the foreground; returns why it cannot.
pub(super) fn become_daemon(path: &Path) -> std::io::Error {
    galaxyd(path).arg("-n").exec()
}

/// The processes that names of instances and services stand for, each with its instance; no names: all.
///
/// Instances and services may be mixed: names of instances narrow those of services.
pub(super) fn chosen<'i>(instances: &'i [GalaxyInstance], names: &[&str]) -> Vec<(&'i GalaxyInstance, String)> {
    let is_instance = |name: &&&str| instances.iter().any(|instance| instance.instance_name == **name);
    let wanted: Vec<&str> = names.iter().filter(is_instance).copied().collect();
    let services: Vec<&str> = names.iter().filter(|name| !is_instance(name)).copied().collect();
    let mut found = Vec::new();
    for instance in instances {
        if !wanted.is_empty() && !wanted.contains(&instance.instance_name.as_str()) {
            continue;
        }
        for service in &instance.services {
            if services.is_empty() || services.contains(&service.name.as_str()) {
                found.extend(service.processes.iter().map(|process| (instance, process.clone())));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GalaxyService;

    fn instance(name: &str, services: &[(&str, &[&str])]) -> GalaxyInstance {
        let services = services.iter().map(|(name, processes)| GalaxyService {
            name: (*name).to_owned(),
            processes: processes.iter().map(ToString::to_string).collect(),
            count: None,
        });
        GalaxyInstance {
            instance_name: name.to_owned(),
            gravity_config_file: String::new(),
            galaxy_config_file: String::new(),
            galaxy_root: None,
            virtualenv: None,
            gravity_data_dir: String::new(),
            log_dir: String::new(),
            services: services.collect(),
        }
    }

    #[test]
    fn names_of_instances_and_services_may_be_mixed() {
        let instances = [
            instance("a", &[("web", &["a:web"]), ("handler", &["a:handler0", "a:handler1"])]),
            instance("b", &[("web", &["b:web"])]),
        ];
        let check = |names: &[&str], wanted: &[&str]| {
            let found: Vec<_> = chosen(&instances, names).into_iter().map(|(_, process)| process).collect();
            assert_eq!(found, wanted, "{names:?}");
        };
        check(&[], &["a:web", "a:handler0", "a:handler1", "b:web"]);
        check(&["web"], &["a:web", "b:web"]);
        check(&["b"], &["b:web"]);
        check(&["a", "handler"], &["a:handler0", "a:handler1"]);
        check(&["b", "handler"], &[]);
        check(&["nothing"], &[]);
    }
}
