//! `show [INSTANCE]`: what is known of an instance of a galaxy.yml, as JSON.

use crate::config;
use crate::ctl::exit::ExitCode;
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(path) = shell.galaxy_yml() else {
        shell.usage("Error: show is for a galaxy.yml: name it with -c", "show", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let instances = config::galaxy_instances(&path, &host());
    let mut matching = instances.iter().filter(|instance| rest.is_empty() || instance.instance_name == rest);
    match (matching.next(), matching.next()) {
        (Some(instance), None) => match serde_json::to_string_pretty(instance) {
            Ok(text) => shell.screen.write_instead(format!("{text}\n").as_bytes()),
            Err(error) => shell.problem(format!("Error: {error}"), None),
        },
        (Some(_), Some(_)) => {
            shell.problem("Error: there are several instances: name one, see `list`", None);
            shell.set_exit(ExitCode::Generic);
        }
        (None, _) => {
            shell.problem(format!("Error: there is no instance {rest}"), None);
            shell.set_exit(ExitCode::Generic);
        }
    }
    Ok(Flow::Continue)
}
