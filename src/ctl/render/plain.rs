//! Supervisor's own lines, to the letter.

use std::fmt::Write as _;

use super::updates;
use crate::ctl::answer::{ConfigInfo, ProcessInfo};
use crate::ctl::fact::{DaemonAct, Done, Fact, GroupAct, Missing, Outcome};
use crate::ctl::name;

/// The lines of a fact, each ended by a line feed.
pub(super) fn lines(fact: &Fact) -> String {
    let mut text = match fact {
        Fact::Processes(processes) => return statuses(processes),
        Fact::Update { groups, rehearsal: true } => return updates::rehearsed(groups),
        Fact::Update { groups, rehearsal: false } => return updates::done(groups),
        // For people it is a hint.
        Fact::ListenerPools(_) => return String::new(),
        Fact::Available(processes) => return processes.iter().map(available).collect(),
        Fact::Missing { name, what: Missing::Group } => format!("{name}: ERROR (no such group)"),
        Fact::Missing { name, what: Missing::Process } => format!("{name}: ERROR (no such process)"),
        Fact::Pid { pid, .. } => pid.to_string(),
        Fact::Done(done) => result(done),
        Fact::Change { group, change } => format!("{group}: {}", change.word()),
        Fact::NoChange => "No config updates to processes".to_owned(),
        Fact::Group { group, act } => format!("{group}: {}", group_act(*act)),
        Fact::Version { supervisor, .. } => supervisor.clone(),
        Fact::Daemon(DaemonAct::ShutDown) => "Shut down".to_owned(),
        Fact::Daemon(DaemonAct::Restarted) => "Restarted supervisord".to_owned(),
        Fact::Log { text, .. } | Fact::Problem { text, .. } | Fact::Detail { text, .. } | Fact::Line(text) => {
            text.clone()
        }
    };
    text.push('\n');
    text
}

pub(super) fn group_act(act: GroupAct) -> &'static str {
    match act {
        GroupAct::Stopped => "stopped",
        GroupAct::Added => "added process group",
        GroupAct::Removed => "removed process group",
        GroupAct::Updated => "updated process group",
    }
}

fn result(done: &Done) -> String {
    match &done.outcome {
        Outcome::Success => format!("{}: {}", done.name, done.action.participle()),
        Outcome::Error(what) => format!("{}: ERROR ({what})", done.name),
        Outcome::Told(text) => text.clone(),
    }
}

/// The name column is three wider than its longest name, but at least 33; the state's is 10.
fn statuses(processes: &[ProcessInfo]) -> String {
    let names: Vec<String> = processes.iter().map(ProcessInfo::namespec).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(30) + 3;
    let mut text = String::new();
    for (name, process) in names.iter().zip(processes) {
        let written = writeln!(text, "{name:width$}{:10}{}", process.statename, process.description);
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    text
}

fn available(process: &ConfigInfo) -> String {
    let name = name::join(&process.group, &process.name);
    let inuse = if process.inuse { "in use" } else { "avail" };
    let autostart = if process.autostart { "auto" } else { "manual" };
    format!("{name:32} {inuse:9} {autostart:9} {}:{}\n", process.group_prio, process.process_prio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fact::Action;
    use crate::ctl::fake::process;

    #[test]
    fn the_pages_table_is_printed_to_the_letter() {
        let mut web = process("galaxy", "web", "RUNNING");
        web.description = "pid 7299, uptime 16:32:16".to_owned();
        let starting = process("galaxy", "handler0", "STARTING");
        assert_eq!(
            lines(&Fact::Processes(vec![starting, web])),
            "galaxy:handler0                  STARTING  \n\
             galaxy:web                       RUNNING   pid 7299, uptime 16:32:16\n"
        );
    }

    #[test]
    fn a_long_name_widens_its_column() {
        let long = process("galaxy", "a-process-with-a-very-long-name", "STOPPED");
        let line = lines(&Fact::Processes(vec![long]));
        assert_eq!(line, "galaxy:a-process-with-a-very-long-name   STOPPED   \n");
        assert_eq!(lines(&Fact::Processes(Vec::new())), "");
    }

    #[test]
    fn results_have_three_forms() {
        let done =
            |outcome| lines(&Fact::Done(Done { action: Action::Signal, name: "g:p".to_owned(), code: 80, outcome }));
        assert_eq!(done(Outcome::Success), "g:p: signalled\n");
        assert_eq!(done(Outcome::Error("not running")), "g:p: ERROR (not running)\n");
        assert_eq!(done(Outcome::Told("FAILED: g:p".to_owned())), "FAILED: g:p\n");
    }

    #[test]
    fn available_processes_are_padded() {
        let info = ConfigInfo {
            group: "cat".to_owned(),
            name: "cat".to_owned(),
            inuse: true,
            autostart: false,
            group_prio: 999,
            process_prio: 1,
        };
        assert_eq!(lines(&Fact::Available(vec![info])), "cat                              in use    manual    999:1\n");
    }
}
