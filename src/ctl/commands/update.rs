//! `update [GROUP...|all]`

use crate::ctl::answer::{self, Changes, ResultInfo};
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::{Fact, GroupAct};
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
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
