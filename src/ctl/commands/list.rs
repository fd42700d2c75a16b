//! `list`: the instances of a galaxy.yml.

use crate::config;
use crate::ctl::exit::ExitCode;
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(path) = shell.galaxy_yml().filter(|_| rest.is_empty()) else {
        shell.usage("Error: list is for a galaxy.yml: name it with -c", "list", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    shell.line(format!("{:<18}  CONFIG PATH", "INSTANCE NAME"));
    for instance in config::galaxy_instances(&path, &host()) {
        shell.line(format!("{:<18}  {}", instance.instance_name, instance.gravity_config_file));
    }
    Ok(Flow::Continue)
}
