//! What is found out about a child's end: how it ended, what it said last, who outlived it.
//!
//! All of it is looked up on side threads after the exit was told to the engine, in one examination at a time for all
//! children that ended meanwhile, so that a thousand programs that end at once cost a few walks through /proc. Nothing
//! waits for it but one line in the activity log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::last_words::{self, Since};
use super::strays::{Sighting, Stray};
use super::survey::{self, Household, Survivor, Traces};
use super::worker::{Done, Worker};
use crate::engine::{Channel, Exit, LastExit, Pid, ProcessId, signal_name};
use crate::logs::{Level, log};
use crate::sys::proc_table::{self, Identity};
use crate::sys::{cgroup, side};

/// Survivors remembered of one process; more are only counted in the log's line.
const SURVIVORS_MAX: usize = 32;

/// How long the last lines of a log are waited for: it may lie on a file system that hangs.
const WORDS_MAX: Duration = Duration::from_secs(1);

/// So often a child's end is looked into while its successor is being forked.
const LOOKS_MAX: u32 = 5;

/// Side threads that may hang in logs at once; they are needed for other things as well.
const READERS_MAX: usize = 2;

/// What the last child of a process said and left behind.
#[derive(Debug, Clone)]
pub(super) struct PostMortem {
    pub(super) last: LastExit,
    pub(super) last_words: Vec<String>,
    /// Found the last time a child of the process ended; those that ended since are taken out.
    pub(super) left_behind: Vec<Survivor>,
    /// Those of them that nothing but the time of their beginning connects with it.
    strays: BTreeSet<Identity>,
}

/// A child whose end is to be looked into.
#[derive(Debug, Clone)]
pub(super) struct Case {
    process: ProcessId,
    name: String,
    last: LastExit,
    traces: Traces,
    /// Its logs, that of standard error first, and what of each is this child's: the first one with anything to say counts.
    words: Vec<(PathBuf, Since)>,
    /// For the line about survivors: what would help.
    hint: Option<String>,
    startsecs: u64,
    /// How often it was looked into already.
    looks: u32,
    /// Its cgroup could not be removed: somebody lives there.
    lingers: bool,
}

/// What an examination found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Each with those who outlived it, and what it said last.
    cases: Vec<(Case, Vec<Survivor>, Vec<String>)>,
    /// `None` if there was no look at all processes.
    strays: Option<Sighting>,
}

/// The examinations: one runs, others wait.
#[derive(Debug, Default)]
pub(super) struct Morgue {
    waiting: Vec<Case>,
    running: bool,
    /// A look for strays is wanted though no program has ended.
    looks: bool,
    readers: Arc<AtomicUsize>,
    /// Where something was said or left behind.
    known: BTreeMap<ProcessId, PostMortem>,
}

impl Morgue {
    pub(super) fn get(&self, process: ProcessId) -> Option<&PostMortem> {
        self.known.get(&process)
    }

    pub(super) fn forget(&mut self, process: ProcessId) {
        self.known.remove(&process);
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.running
    }

    /// The keeper reaped an orphan: if it was a survivor, it is none any more.
    pub(super) fn orphan_ended(&mut self, pid: Pid) {
        for known in self.known.values_mut() {
            known.left_behind.retain(|survivor| survivor.identity.pid != pid);
        }
    }
}

impl Worker {
    /// Who is the keeper's child and no orphan.
    pub(super) fn household(&self) -> Household {
        let mut known: BTreeSet<Pid> = self.children.pids().collect();
        known.extend(Pid::try_from(std::process::id()));
        Household {
            adopters: vec![Pid::try_from(self.pid).unwrap_or(0)],
            known,
            pipes: self.children.all_pipes(),
            told: self.strays.told(),
            cgroups: self.cgroups.mark(),
        }
    }

    /// By what the processes of a child are known; `None` when its process is gone.
    pub(super) fn traces(&self, process: ProcessId, pid: Pid, cgroup: Option<PathBuf>) -> Option<Traces> {
        let view = self.engine.process(process)?;
        let config = self.process_config(process)?;
        let mut traces = Traces::new(pid, view.group, config, self.heritage.serverurl.as_deref());
        traces.pipes = self.children.pipes(process, pid);
        traces.cgroup = cgroup;
        Some(traces)
    }

    /// A child's end is known to the engine: find out more about it, and remove its cgroup.
    pub(super) fn examine(&mut self, process: ProcessId, cgroup: Option<PathBuf>) {
        let Some(view) = self.engine.process(process) else { return };
        let Some(last) = view.last_exit else { return };
        let (name, started) = (view.name.to_owned(), view.started.map_or(0, |started| started.wall));
        let expected = view.policy.exitcodes.contains(&last.exit.status());
        let Some(traces) = self.traces(process, last.pid, cgroup) else { return };
        let Some(config) = self.process_config(process) else { return };
        let hint = hint(&config.command, config.stopasgroup, config.extras.killtree);
        let startsecs = u64::try_from(config.startsecs).unwrap_or(0);
        let is_interesting = last.too_quickly || !expected;
        let channels =
            if config.redirect_stderr { &[Channel::Stdout][..] } else { &[Channel::Stderr, Channel::Stdout] };
        let log_of = |channel: &Channel| {
            let since = self.children.said(process, last.pid, *channel).map_or(Since::Time(started), Since::Bytes);
            Some((self.log_path(process, *channel)?, since))
        };
        let words = channels.iter().filter(|_| is_interesting).filter_map(log_of).collect();
        self.morgue.waiting.push(Case {
            process,
            name,
            last,
            traces,
            words,
            hint,
            startsecs,
            looks: 0,
            lingers: false,
        });
        self.examine_next();
    }

    /// Nobody's end is to be looked into, but there may be strays.
    pub(super) fn examine_for_strays(&mut self) {
        self.morgue.looks = true;
        self.examine_next();
    }

    fn examine_next(&mut self) {
        if self.morgue.running || (self.morgue.waiting.is_empty() && !self.morgue.looks) {
            return;
        }
        self.morgue.running = true;
        self.morgue.looks = false;
        let cases = std::mem::take(&mut self.morgue.waiting);
        let (household, seen) = (self.household(), self.strays.seen());
        let readers = Arc::clone(&self.morgue.readers);
        let done = self.done_sender.clone();
        tokio::spawn(async move {
            let looking = side::run(move || look(cases, &household, &seen));
            let mut findings = looking.await.unwrap_or_default();
            for (case, _, said) in &mut findings.cases {
                for (path, since) in &case.words {
                    if said.is_empty() {
                        *said = words(path.clone(), *since, &readers).await;
                    }
                }
            }
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::Examined(findings));
        });
    }

    /// What an examination found.
    pub(super) fn examined(&mut self, findings: Findings) {
        self.morgue.running = false;
        let known: BTreeSet<Pid> = self.children.pids().collect();
        let ended = findings.cases.iter().map(|(case, ..)| case.process).collect();
        let claimed = findings.strays.map(|sighting| self.judge_strays(sighting, &ended));
        let mut claimed = claimed.unwrap_or_default();
        for (mut case, mut survivors, last_words) in findings.cases {
            let mut strays = claimed.remove(&case.process).unwrap_or_default();
            strays.extend(self.strays_of(case.process));
            survivors.extend(strays.iter().cloned());
            // Between the walk and now the process may have been started again.
            survivors.retain(|survivor| !known.contains(&survivor.identity.pid));
            if !survivors.is_empty() && self.spawning.values().any(|process| *process == case.process) {
                // One of them may be its new main process, of which the keeper has not told yet.
                survivors.clear();
                case.looks += 1;
                if case.looks < LOOKS_MAX {
                    self.morgue.waiting.push(case);
                    continue;
                }
            }
            if let Some(cgroup) = case.traces.cgroup.take().filter(|_| case.lingers) {
                self.linger(cgroup);
            }
            self.tell_survivors(&case, &survivors);
            self.strays.note_told(&survivors);
            if case.last.too_quickly {
                log(Level::Info, &quick_end(&case, &last_words, &survivors));
            }
            survivors.truncate(SURVIVORS_MAX);
            let says_nothing = last_words.is_empty() && survivors.is_empty();
            if says_nothing || self.engine.process(case.process).is_none() {
                self.morgue.known.remove(&case.process);
            } else {
                let strays = strays.iter().map(|stray| stray.identity).collect();
                let known = PostMortem { last: case.last, last_words, left_behind: survivors, strays };
                self.morgue.known.insert(case.process, known);
            }
        }
        self.examine_next();
    }

    /// The strays that an earlier run of it left and that are still there.
    fn strays_of(&self, process: ProcessId) -> Vec<Survivor> {
        let Some(known) = self.morgue.known.get(&process) else { return Vec::new() };
        let is_there = |survivor: &&Survivor| {
            known.strays.contains(&survivor.identity) && self.strays.has_seen(survivor.identity.pid)
        };
        known.left_behind.iter().filter(is_there).cloned().collect()
    }

    /// One line about those who were not known yet.
    fn tell_survivors(&self, case: &Case, survivors: &[Survivor]) {
        let told = self.morgue.known.get(&case.process).map(|known| known.left_behind.as_slice()).unwrap_or_default();
        let is_new = |survivor: &&Survivor| !told.iter().any(|old| old.identity == survivor.identity);
        let new: Vec<Survivor> = survivors.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return;
        }
        let verb = if new.len() == 1 { "process still runs" } else { "processes still run" };
        let hint = case.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
        let text = format!(
            "'{}' (pid {}) left {} {verb}: {}{hint}",
            case.name,
            case.last.pid,
            if new.len() == 1 { "something behind, 1".to_owned() } else { format!("something behind, {}", new.len()) },
            survey::line(&new)
        );
        log(Level::Warn, &text);
    }
}

/// Looks into these ends, and for strays where there is somebody new among the keeper's children.
fn look(cases: Vec<Case>, household: &Household, seen: &BTreeSet<Pid>) -> Findings {
    if cases.is_empty() && !has_somebody_new(household, seen) {
        return Findings::default();
    }
    let traces: Vec<&Traces> = cases.iter().map(|case| &case.traces).collect();
    let survey = survey::survey(household, &traces)
        .inspect_err(|error| log(Level::Warn, &format!("cannot look for what programs left behind: {error}")))
        .ok();
    let (left, strays) = survey.map_or_else(Default::default, |survey| {
        let strays: Vec<Stray> = survey.strays.into_iter().filter_map(Stray::of).collect();
        (survey.left, Some(Sighting { strays, seen: survey.seen, told: survey.told }))
    });
    let mut left = left.into_iter();
    let mut findings = Findings { cases: Vec::with_capacity(cases.len()), strays };
    for mut case in cases {
        let survivors = left.next().unwrap_or_default().into_iter().filter_map(survey::describe).collect();
        case.lingers = case.traces.cgroup.as_deref().is_some_and(|path| cgroup::remove(path).is_err());
        findings.cases.push((case, survivors, Vec::new()));
    }
    findings
}

/// Where the kernel does not tell, nobody is looked for but after a program's end.
fn has_somebody_new(household: &Household, seen: &BTreeSet<Pid>) -> bool {
    let keeper = household.adopters.first();
    let children = keeper.and_then(|keeper| proc_table::children(*keeper).ok()).unwrap_or_default();
    children.iter().any(|pid| !seen.contains(pid) && !household.known.contains(pid))
}

async fn words(path: PathBuf, since: Since, readers: &Arc<AtomicUsize>) -> Vec<String> {
    if readers.fetch_add(1, Ordering::AcqRel) >= READERS_MAX {
        readers.fetch_sub(1, Ordering::AcqRel);
        return Vec::new();
    }
    let readers = Arc::clone(readers);
    let reading = side::run(move || {
        // A log that is not there has nothing to say.
        let words = last_words::read(&path, since).unwrap_or_default();
        readers.fetch_sub(1, Ordering::AcqRel);
        words
    });
    match tokio::time::timeout(WORDS_MAX, reading).await {
        Ok(Ok(words)) => words,
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// The line about a start that failed because the program ended.
fn quick_end(case: &Case, last_words: &[String], survivors: &[Survivor]) -> String {
    let mut text = format!("'{}' (pid {}) {}", case.name, case.last.pid, reason(&case.last, case.startsecs));
    if let Some(survivor) = survivors.first() {
        text.push_str(&left_behind(survivor));
    }
    if !last_words.is_empty() {
        text.push_str("; the last lines of its log: ");
        text.push_str(&last_words.join(" | "));
    }
    text
}

/// `ended too quickly: exit status 1 after 0.02 seconds, less than 1 (startsecs)`, or just how and when it ended.
pub(super) fn reason(last: &LastExit, startsecs: u64) -> String {
    let how = match last.exit {
        Exit::Code(code) => format!("exit status {code}"),
        Exit::Signal { number, core_dumped } => {
            format!("killed by {}{}", signal_name(number), if core_dumped { " (core dumped)" } else { "" })
        }
        Exit::OutOfMemory { .. } | Exit::Unknown => last.exit.to_string(),
    };
    let lived = lived(last.lived);
    if last.too_quickly {
        format!("ended too quickly: {how} after {lived}, less than {startsecs} seconds (startsecs)")
    } else {
        format!("ended: {how} after {lived}")
    }
}

/// What is to be said of a program that went into the background.
pub(super) fn left_behind(survivor: &Survivor) -> String {
    format!(
        "; it left a background process behind: {} ({}): run it in the foreground, or set type=forking",
        survivor.identity.pid, survivor.command
    )
}

fn lived(lived: Duration) -> String {
    if lived < Duration::from_secs(10) {
        format!("{:.2} seconds", lived.as_secs_f64())
    } else {
        format!("{} seconds", lived.as_secs())
    }
}

/// What helps against survivors, for commands that are known not to pass signals on.
fn hint(command: &str, stopasgroup: bool, killtree: bool) -> Option<String> {
    if stopasgroup || killtree {
        return None;
    }
    let first = command.split_ascii_whitespace().next()?;
    let name = first.rsplit('/').next()?;
    let wrappers = ["sh", "bash", "dash", "zsh", "ksh", "ash", "busybox", "npm", "npx", "yarn", "pnpm"];
    wrappers
        .contains(&name)
        .then(|| format!("{name} does not pass signals on: set stopasgroup=true, or killtree=true to end what is left"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(exit: Exit, millis: u64, too_quickly: bool) -> LastExit {
        LastExit { pid: 7, exit, lived: Duration::from_millis(millis), too_quickly }
    }

    #[test]
    fn a_reason_says_how_and_when() {
        for (last, wanted) in [
            (
                last(Exit::Code(1), 20, true),
                "ended too quickly: exit status 1 after 0.02 seconds, less than 5 seconds (startsecs)",
            ),
            (
                last(Exit::Signal { number: 11, core_dumped: true }, 1500, true),
                "ended too quickly: killed by SIGSEGV (core dumped) after 1.50 seconds, less than 5 seconds (startsecs)",
            ),
            (last(Exit::Code(0), 90_500, false), "ended: exit status 0 after 90 seconds"),
        ] {
            assert_eq!(reason(&last, 5), wanted);
        }
    }

    #[test]
    fn wrappers_get_a_hint_unless_it_was_taken() {
        for (command, has) in [
            ("/bin/sh -c 'a & b'", true),
            ("npm run x", true),
            ("/srv/bash2 x", false),
            ("gunicorn", false),
            ("", false),
        ] {
            assert_eq!(hint(command, false, false).is_some(), has, "{command}");
            assert_eq!(hint(command, true, false), None);
            assert_eq!(hint(command, false, true), None);
        }
    }
}
