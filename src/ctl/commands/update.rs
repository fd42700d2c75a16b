//! `update [--dry-run] [NAME...|all]`: by process as galaxyctl, by group as supervisorctl.

use crate::ctl::answer::{self, Changes, ProcessInfo, ResultInfo};
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::{Fact, GroupAct};
use crate::ctl::selection::{Selection, is_excluded};
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::target::fits_spec;
use crate::ctl::trouble::Trouble;
use crate::ctl::updating::{self, UpdatedProcess};
use crate::rpc::{Fault, FaultCode, Value};

/// What is wanted of the named processes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Whatever the changes ask for.
    Update,
    /// That, and they are started anew.
    Apply,
}

pub(in crate::ctl) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if !shell.is_galaxyctl() {
        return by_group(shell, rest);
    }
    if shell.galaxy_yml().is_some() && !shell.is_up() {
        shell.screen.hint("galaxyctl: galaxyd does not run: it reads galaxy.yml when it starts");
        return Ok(Flow::Continue);
    }
    // Gravity's, about files that are not there.
    let selection = shell.selection(rest, &["--dry-run", "--force", "--clean"]);
    let mut names: Vec<String> = selection.words.iter().map(ToString::to_string).collect();
    if selection.words.contains(&"all") {
        names.clear();
    }
    if let Some(names) = matched(shell, names, &selection)? {
        by_process(shell, names, Deed::Update, selection.has("--dry-run"))?;
    }
    Ok(Flow::Continue)
}

/// The names with patterns filled in; `None`: nothing that is meant has changed. What a file brings is not known to the
/// daemon yet, so its plan is asked.
fn matched(shell: &mut Shell, names: Vec<String>, selection: &Selection<'_>) -> Result<Option<Vec<String>>, Trouble> {
    let is_pattern = |name: &str| name.contains(['*', '?', '[']);
    if selection.excluded.is_empty() && !names.iter().any(|name| is_pattern(name)) {
        return Ok(Some(names));
    }
    let value = match shell.daemon.call("galaxyd.planUpdate", &[]) {
        Ok(value) => value,
        Err(CallError::Fault(fault)) => {
            refuse(shell, &fault);
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let planned: Vec<String> =
        updating::read(&value)?.iter().flat_map(|group| &group.processes).map(UpdatedProcess::namespec).collect();
    let known: Vec<String> = shell.known()?.iter().map(ProcessInfo::namespec).collect();
    let everything = if names.is_empty() { vec!["*".to_owned()] } else { names };
    let mut wanted = Vec::new();
    for name in everything {
        let fits = |one: &&String| fits_spec(&name, one);
        if name != "*" && !planned.iter().chain(&known).any(|one| fits(&one)) {
            shell.problem(format!("ERROR: no such group: {name}"), Some(&name));
            shell.set_exit(ExitCode::Generic);
        }
        let found = planned.iter().filter(fits).filter(|one| !is_excluded(one, &selection.excluded));
        wanted.extend(found.map(|one| if one.contains(':') { one.clone() } else { format!("{one}:{one}") }));
    }
    Ok(Some(wanted).filter(|wanted| !wanted.is_empty()))
}

/// Asks the daemon to update these names (none: all), or what that would do.
pub(super) fn by_process(
    shell: &mut Shell,
    mut names: Vec<String>,
    deed: Deed,
    rehearsal: bool,
) -> Result<(), Trouble> {
    let apply = deed == Deed::Apply;
    let value = loop {
        let wanted = Value::from(names.clone());
        let answer = if rehearsal {
            shell.daemon.call("galaxyd.planUpdate", &[wanted, apply.into()])
        } else {
            shell.daemon.call("galaxyd.update", &[wanted, apply.into(), apply.into()])
        };
        match answer {
            Ok(value) => break value,
            Err(CallError::Fault(fault)) if fault.code == FaultCode::BadName as i64 => {
                let name = fault.text.split_once(": ").map_or(fault.text.as_str(), |(_, name)| name).to_owned();
                let what = if name.contains(':') { "process" } else { "group" };
                shell.problem(format!("ERROR: no such {what}: {name}"), Some(&name));
                shell.set_exit(ExitCode::Generic);
                shell.suggest(&name);
                let before = names.len();
                names.retain(|one| *one != name);
                if names.is_empty() || names.len() == before {
                    return Ok(());
                }
            }
            Err(CallError::Fault(fault)) if fault.code == FaultCode::UnknownMethod as i64 && !rehearsal && !apply => {
                // An original: it knows groups only.
                return by_group(shell, &names.join(" ")).map(|_| ());
            }
            Err(CallError::Fault(fault)) => {
                refuse(shell, &fault);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    };
    let groups = updating::read(&value)?;
    if groups.iter().flat_map(|group| &group.processes).any(UpdatedProcess::has_failed) {
        shell.set_exit(ExitCode::Generic);
    }
    if rehearsal && groups.is_empty() {
        shell.screen.show(&Fact::NoChange);
    }
    shell.screen.show(&Fact::Update { groups, rehearsal });
    Ok(())
}

fn refuse(shell: &mut Shell, fault: &Fault) {
    shell.set_exit(ExitCode::Generic);
    if fault.code == FaultCode::ShutdownState as i64 {
        shell.problem("ERROR: already shutting down", None);
    } else if fault.code == FaultCode::UnknownMethod as i64 {
        shell.problem("ERROR: this daemon knows no update of single processes", None);
    } else {
        shell.problem(format!("ERROR: {}", fault.text), None);
    }
}

/// Supervisor's way: groups that changed are stopped, removed and added.
fn by_group(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let changes = match shell.call("reloadConfig", &[]) {
        Ok(value) => Changes::read(&value)?,
        Err(CallError::Fault(fault)) if fault.code == FaultCode::ShutdownState as i64 => {
            shell.set_exit(ExitCode::Generic);
            shell.problem("ERROR: already shutting down", None);
            return Ok(Flow::Continue);
        }
        Err(error) => return Err(error.into()),
    };
    let mut wanted: Vec<&str> = Vec::new();
    for word in rest.split_whitespace() {
        if !wanted.contains(&word) {
            wanted.push(word);
        }
    }
    if wanted.contains(&"all") {
        wanted.clear();
    }
    if !wanted.is_empty() {
        refuse_unknown(shell, &wanted, &changes)?;
    }
    let is_wanted = |group: &&String| wanted.is_empty() || wanted.contains(&group.as_str());
    for group in changes.removed.iter().filter(is_wanted) {
        remove(shell, group)?;
    }
    for group in changes.changed.iter().filter(is_wanted) {
        shell.call("stopProcessGroup", &[group.as_str().into()])?;
        show(shell, group, GroupAct::Stopped);
        shell.call("removeProcessGroup", &[group.as_str().into()])?;
        shell.call("addProcessGroup", &[group.as_str().into()])?;
        show(shell, group, GroupAct::Updated);
    }
    for group in changes.added.iter().filter(is_wanted) {
        shell.call("addProcessGroup", &[group.as_str().into()])?;
        show(shell, group, GroupAct::Added);
    }
    Ok(Flow::Continue)
}

fn refuse_unknown(shell: &mut Shell, wanted: &[&str], changes: &Changes) -> Result<(), Trouble> {
    let known = shell.known()?;
    for group in wanted {
        let exists = known.iter().any(|one| one.group == *group) || changes.added.iter().any(|added| added == group);
        if !exists {
            shell.problem(format!("ERROR: no such group: {group}"), Some(group));
            shell.set_exit(ExitCode::Generic);
            shell.suggest(&format!("{group}:"));
        }
    }
    Ok(())
}

fn remove(shell: &mut Shell, group: &str) -> Result<(), Trouble> {
    let value = shell.call("stopProcessGroup", &[group.into()])?;
    let results = answer::list(&value, ResultInfo::read)?;
    show(shell, group, GroupAct::Stopped);
    if results.iter().any(|result| result.status == FaultCode::Failed as i64) {
        shell.problem(format!("{group}: has problems; not removing"), Some(group));
        shell.set_exit(ExitCode::Generic);
        return Ok(());
    }
    shell.call("removeProcessGroup", &[group.into()])?;
    show(shell, group, GroupAct::Removed);
    Ok(())
}

fn show(shell: &mut Shell, group: &str, act: GroupAct) {
    shell.screen.show(&Fact::Group { group: group.to_owned(), act });
}
