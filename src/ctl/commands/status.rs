//! `status [NAME...]`

use crate::ctl::answer::{ListenerPool, ProcessInfo};
use crate::ctl::common_cause;
use crate::ctl::exit::ExitCode;
use crate::ctl::explanation;
use crate::ctl::fact::{Fact, Missing};
use crate::ctl::name;
use crate::ctl::render::Form;
use crate::ctl::selection::is_excluded;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::staleness;
use crate::ctl::target::Target;
use crate::ctl::trouble::Trouble;
use crate::rpc::{Value, printable};

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        // LSB has a code of its own for a status that cannot be told.
        shell.set_exit(ExitCode::Unknown);
        return Ok(Flow::Continue);
    }
    let known = shell.known()?;
    let selection = shell.selection(rest, &[]);
    let mut listed = Vec::new();
    let wants_all = selection.is_empty() || selection.words.contains(&"all");
    if wants_all {
        listed.clone_from(&known);
    } else {
        for word in selection.words {
            let found = matching(shell, word, &known)?;
            if found.is_empty() {
                missing(shell, word);
            }
            listed.extend(found);
        }
    }
    listed.retain(|one| !is_excluded(&one.namespec(), &selection.excluded));
    let failing = listed.iter().filter(|one| one.is_failing()).count();
    let wants_causes = wants_all && shell.is_galaxyctl() && failing >= common_cause::TOGETHER_MIN;
    let mut causes = Vec::new();
    if (shell.screen.form() != Form::Plain || wants_causes)
        && let Some(mut explanations) = shell.explanations()?
    {
        if shell.is_galaxyctl() && shell.screen.form() != Form::Plain {
            staleness::attach(&mut explanations, &shell.stale());
        }
        explanation::attach(&mut listed, &explanations);
        causes = common_cause::lines(&explanations);
    }
    let some_stopped = listed.iter().any(ProcessInfo::is_stopped);
    shell.screen.show(&Fact::Processes(listed));
    if wants_all && shell.is_galaxyctl() {
        for line in causes {
            shell.screen.hint(&line);
        }
        listener_pools(shell);
        notices(shell);
    }
    if some_stopped {
        shell.set_exit(ExitCode::SomeStopped);
    }
    Ok(Flow::Continue)
}

/// Tells of events that were dropped, and of listeners that did not answer. Supervisor does not know the question; and what became of the processes is told already,
/// so a failure here is none of the command.
fn listener_pools(shell: &mut Shell) {
    let Ok(answer) = shell.daemon.call("galaxyd.getListenerPools", &[]) else { return };
    let pools = answer.as_array().unwrap_or_default().iter().filter_map(|pool| ListenerPool::read(pool).ok());
    let pools: Vec<ListenerPool> = pools.collect();
    for pool in pools.iter().filter(|pool| pool.dropped > 0) {
        let ListenerPool { name, dropped, buffer_size, .. } = pool;
        shell.screen.hint(&format!(
            "galaxyctl: {name}: {dropped} events were dropped; its listeners are too slow, or buffer_size={buffer_size} is too small"
        ));
    }
    for pool in pools.iter().filter(|pool| pool.renewed > 0) {
        let ListenerPool { name, renewed, .. } = pool;
        let times = if *renewed == 1 { "once" } else { &format!("{renewed} times") };
        shell.screen.hint(&format!(
            "galaxyctl: {name}: a listener was started anew {times}, as it did not answer within answer_timeout"
        ));
    }
    if shell.screen.form() == Form::Json {
        shell.screen.show(&Fact::ListenerPools(pools));
    }
}

/// What is the matter with the daemon itself. A failure here is none of the command either.
fn notices(shell: &mut Shell) {
    let Ok(answer) = shell.daemon.call("galaxyd.getNotices", &[]) else { return };
    for notice in answer.as_array().unwrap_or_default().iter().filter_map(Value::as_str) {
        shell.screen.hint(&format!("galaxyctl: the daemon is {}", printable(notice)));
        if shell.screen.form() == Form::Json {
            shell.screen.show(&Fact::Detail { list: "notices", value: notice.into(), text: notice.to_owned() });
        }
    }
}

fn matching(shell: &mut Shell, word: &str, known: &[ProcessInfo]) -> Result<Vec<ProcessInfo>, Trouble> {
    let typed = name::split(word);
    let exact: Vec<ProcessInfo> = known
        .iter()
        .filter(|one| one.group == typed.group && typed.process.is_none_or(|process| one.name == process))
        .cloned()
        .collect();
    if !exact.is_empty() || !shell.is_galaxyctl() {
        return Ok(exact);
    }
    let targets = shell.expanded(word)?;
    let meant = |target: &Target, one: &ProcessInfo| match target {
        Target::Group(group) => one.group == *group,
        Target::Process(name) => one.namespec() == *name,
        Target::Matched(names) => names.contains(&one.namespec()),
    };
    Ok(targets.iter().flat_map(|target| known.iter().filter(move |one| meant(target, one)).cloned()).collect())
}

fn missing(shell: &mut Shell, word: &str) {
    let typed = name::split(word);
    let (name, what) = if typed.process.is_none() { (typed.group, Missing::Group) } else { (word, Missing::Process) };
    shell.screen.show(&Fact::Missing { name: name.to_owned(), what });
    shell.set_exit(ExitCode::Unknown);
    shell.suggest(word);
}
