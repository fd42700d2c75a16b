//! `restart [--drain] NAME...|all`: all that `stop` does for these names, then all that `start` does.

use super::{start, stop};
use crate::ctl::draining::After;
use crate::ctl::exit::ExitCode;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;
use crate::ctl::updating;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if !shell.is_up_to_date()? || shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    if let Some(words) = shell.drain_words(rest) {
        if let Some(others) = shell.drain_among("restart", &words, After::Start)?
            && !others.is_empty()
        {
            stop::stop_named(shell, &others.join(" "))?;
            start::start_named(shell, &others.join(" "))?;
        }
        return Ok(Flow::Continue);
    }
    let rest = &shell.names_or_all(rest);
    if rest.split_whitespace().next().is_none() {
        shell.usage("Error: restart requires a process name", "restart", ExitCode::Generic);
        return Ok(Flow::Continue);
    }
    stop::stop_named(shell, rest)?;
    // The start has no order of its own.
    let is_galaxyctl = shell.is_galaxyctl();
    let names: Vec<&str> = rest.split_whitespace().filter(|word| !is_galaxyctl || *word != "--ordered").collect();
    let names = names.join(" ");
    let flow = start::start_named(shell, &names)?;
    if is_galaxyctl {
        hint_at_changes(shell, &names)?;
    }
    Ok(flow)
}

/// A restart keeps the settings of the last update: says so where the file says something else by now.
fn hint_at_changes(shell: &mut Shell, rest: &str) -> Result<(), Trouble> {
    let selection = shell.selection(rest, &[]);
    let Some(names) = shell.chosen_names(&selection)? else { return Ok(()) };
    // Without an answer there is nothing to say: the restart itself is done.
    let Ok(value) = shell.daemon.call("galaxyd.planUpdate", &[names.into()]) else { return Ok(()) };
    let Ok(groups) = updating::read(&value) else { return Ok(()) };
    let changed = groups.iter().flat_map(|group| &group.processes).filter(|process| !process.keys.is_empty());
    let told: Vec<String> = changed
        .map(|process| {
            let keys: Vec<&str> = process.keys.iter().map(|key| key.key.as_str()).collect();
            format!("{} ({})", process.namespec(), keys.join(", "))
        })
        .collect();
    if !told.is_empty() {
        let told = told.join(", ");
        shell.screen.hint(&format!("galaxyctl: the configuration file says something else by now for {told}"));
        shell.screen.hint("galaxyctl: `apply NAME` puts it in force, `update --dry-run` shows what would happen");
    }
    Ok(())
}
