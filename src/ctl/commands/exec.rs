//! `exec [-n] [-i NUMBER] [INSTANCE] SERVICE`: one service in the foreground, without the daemon.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::config::{self, Config, Overrides, ProcessConfig};
use crate::ctl::deployment::chosen;
use crate::ctl::exit::ExitCode;
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

/// What was typed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish<'w> {
    only_print: bool,
    number: Option<usize>,
    names: Vec<&'w str>,
}

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(wish) = read(rest).filter(|wish| !wish.names.is_empty()) else {
        shell.usage("Error: exec wants the name of one service", "exec", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    if let Err(text) = attempt(shell, &wish) {
        shell.problem(format!("Error: {text}"), None);
        shell.set_exit(ExitCode::Generic);
    }
    Ok(Flow::Continue)
}

/// `None`: an option without its value.
fn read(rest: &str) -> Option<Wish<'_>> {
    let mut wish = Wish::default();
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "-n" | "--no-exec" => wish.only_print = true,
            "-i" | "--service-instance" => wish.number = Some(words.next()?.parse().ok()?),
            name => wish.names.push(name),
        }
    }
    Some(wish)
}

fn attempt(shell: &mut Shell, wish: &Wish<'_>) -> Result<(), String> {
    let Some(path) = shell.galaxy_yml() else {
        return Err("exec is for a galaxy.yml: name it with -c".to_owned());
    };
    let source = host();
    let loaded = config::load(&path, &Overrides::default(), &source);
    let Some(loaded) = loaded.config else {
        return Err(loaded.problems.first_told().unwrap_or_default());
    };
    let instances = config::galaxy_instances(&path, &source);
    let found = chosen(&instances, &wish.names);
    let name = match (found.as_slice(), wish.number) {
        ([], _) => return Err(format!("there is no service {}", wish.names.join(" "))),
        ([(_, only)], None | Some(0)) => only,
        (several, Some(number)) => match several.get(number) {
            Some((_, name)) => name,
            None => return Err(format!("the service has {} processes, counted from 0", several.len())),
        },
        (several, None) => {
            let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
            return Err(format!("{} are {}: say which one with -i", wish.names.join(" "), names.join(", ")));
        }
    };
    let process = process(&loaded, name).ok_or_else(|| format!("there is no {name}"))?;
    let argv = config::shlex::split(&process.command).map_err(|error| error.to_string())?;
    let directory = process.directory.as_deref().unwrap_or(".");
    shell.screen.complain(&format!("Working directory: {directory}"));
    shell.screen.complain(&format!("Executing: {}", process.command));
    if wish.only_print {
        return Ok(());
    }
    Err(become_process(process, &argv, directory))
}

fn process<'c>(config: &'c Config, name: &str) -> Option<&'c ProcessConfig> {
    let (group, process) = name.split_once(':').unwrap_or((name, name));
    let group = config.groups.iter().find(|other| other.name == group)?;
    group.processes.iter().find(|other| other.name == process)
}

/// Returns why it cannot.
#[expect(clippy::disallowed_methods, reason = "nothing of this program is left when it succeeds")]
fn become_process(process: &ProcessConfig, argv: &[String], directory: &str) -> String {
    let Some((program, arguments)) = argv.split_first() else { return "the command is empty".to_owned() };
    let error = Command::new(program).args(arguments).envs(&process.environment).current_dir(directory).exec();
    format!("{program} cannot be executed: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_may_stand_anywhere() {
        let wanted = Wish { only_print: true, number: Some(1), names: vec!["main", "handler"] };
        assert_eq!(read("-n main -i 1 handler"), Some(wanted));
        assert_eq!(read("web"), Some(Wish { names: vec!["web"], ..Wish::default() }));
        assert_eq!(read("-i"), None);
        assert_eq!(read("-i x web"), None);
    }
}
