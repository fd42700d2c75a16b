//! The commands, one a file. Each takes the session and the words after its name as one text, as
//! Python's `cmd` hands them over.

mod add;
mod apply;
mod avail;
mod cancel;
mod check;
mod clear;
mod completions;
mod config;
mod drain;
mod env;
mod exec;
mod explain;
mod fg;
mod follow;
mod graceful;
mod help;
mod history;
mod jobs;
mod list;
mod maintail;
mod man;
mod migrate;
mod open;
mod operations;
mod pid;
mod pm;
mod quit;
mod reassign;
mod reload;
mod remove;
mod reread;
mod restart;
mod retry;
mod scale;
mod show;
mod shutdown;
mod signal;
pub(super) mod start;
mod status;
mod stop;
mod tail;
#[cfg(test)]
mod tests;
mod top;
pub(super) mod update;
mod upgrade;
mod version;
mod wait;
mod watch;
mod why;

use super::shell::{Flow, Shell};
use super::trouble::Trouble;
use crate::cli::Personality;
use crate::cli::commands::{COMMANDS, Origin, command};

/// A command at work.
pub(super) type Run = fn(&mut Shell, &str) -> Result<Flow, Trouble>;

/// The command of this name that this personality has.
#[must_use]
pub(super) fn find(name: &str, personality: Personality) -> Option<Run> {
    if name == "EOF" {
        return Some(quit::run);
    }
    let line = command(name)?;
    if line.origin == Origin::Galaxyd && personality != Personality::Galaxyctl {
        return None;
    }
    Some(match line.name {
        "add" => add::run,
        "apply" => apply::run,
        "avail" => avail::run,
        "cancel" => cancel::run,
        "check" => check::run,
        "clear" => clear::run,
        "completions" => completions::run,
        "config" => config::run,
        "drain" => drain::run,
        "env" => env::run,
        "exec" => exec::run,
        "exit" | "quit" => quit::run,
        "explain" => explain::run,
        "fg" => fg::run,
        "follow" => follow::run,
        "graceful" => graceful::run,
        "help" => help::run,
        "history" => history::run,
        "jobs" => jobs::run,
        "list" => list::run,
        "maintail" => maintail::run,
        "man" => man::run,
        "migrate" => migrate::run,
        "open" => open::run,
        "operations" => operations::run,
        "pid" => pid::run,
        "pm" => pm::run,
        "reassign" => reassign::run,
        "reload" => reload::run,
        "remove" => remove::run,
        "reread" => reread::run,
        "restart" => restart::run,
        "retry" => retry::run,
        "scale" => scale::run,
        "show" => show::run,
        "shutdown" => shutdown::run,
        "signal" => signal::run,
        "start" => start::run,
        "status" => status::run,
        "stop" => stop::run,
        "tail" => tail::run,
        "top" => top::run,
        "update" => update::run,
        "upgrade" => upgrade::run,
        "version" => version::run,
        "wait" => wait::run,
        "watch" => watch::run,
        "why" => why::run,
        _ => return None,
    })
}

/// The names of the commands that this personality has.
pub(super) fn names(personality: Personality) -> impl Iterator<Item = &'static str> {
    COMMANDS
        .iter()
        .filter(move |line| line.origin == Origin::Supervisor || personality == Personality::Galaxyctl)
        .map(|line| line.name)
}

#[cfg(test)]
mod table_tests {
    use super::*;

    #[test]
    fn every_command_of_the_table_can_be_run() {
        for line in COMMANDS {
            assert!(find(line.name, Personality::Galaxyctl).is_some(), "{}", line.name);
            let original = line.origin == Origin::Supervisor;
            assert_eq!(find(line.name, Personality::Supervisorctl).is_some(), original, "{}", line.name);
        }
        assert!(find("nothing", Personality::Galaxyctl).is_none());
    }
}
