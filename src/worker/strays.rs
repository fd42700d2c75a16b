//! Strays: orphans of the keeper that nothing connects with a program any more, as they gave up its process group, its standard
//! descriptors, its environment and its cgroup.
//!
//! One comes from a program that ran when it began, under an account that it may have from there. Where only one program can be
//! meant, it counts as left behind by that one. Where several can, it is unclaimed: named to all of them. No stray is ever
//! signalled: nobody is ended on a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::survey::{self, Survivor};
use super::worker::{Done, Worker};
use crate::engine::{Pid, ProcessId};
use crate::logs::{Level, log};
use crate::sys::proc_table::{self, Identity};

/// Unclaimed strays that are remembered. Further ones are only counted in the log's line, and not told while so many live.
const STRAYS_MAX: usize = 32;

/// So many programs are named beside a stray, and have it in their history.
const NAMED_MAX: usize = 5;

/// From the end of an orphan to the look for those that it left: the ends of many are one.
const LOOK_SPACING: Duration = Duration::from_millis(200);

/// A stray, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stray {
    pub(super) survivor: Survivor,
    account: u32,
}

impl Stray {
    /// `None` if it has ended.
    pub(super) fn of(identity: Identity) -> Option<Stray> {
        let account = proc_table::account(identity.pid)?;
        survey::describe(identity).map(|survivor| Stray { survivor, account })
    }
}

/// What a look at all processes found.
#[derive(Debug)]
pub(super) struct Sighting {
    /// Those who were not told yet.
    pub(super) strays: Vec<Stray>,
    /// All children of the keeper.
    pub(super) seen: BTreeSet<Pid>,
    /// Who was told before and still lives.
    pub(super) told: BTreeSet<Identity>,
}

/// A run of a program, as far as it may have left strays.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) process: ProcessId,
    account: u32,
    /// Both in clock ticks after boot; no end while it lasts.
    began: u64,
    ended: Option<u64>,
    /// Its main process is gone, and what it left behind is about to be looked for.
    is_ending: bool,
}

impl Run {
    /// Whether the stray began while it lasted, and it may become the stray's account: its own, or as root any.
    pub(super) fn may_have_left(&self, stray: &Stray) -> bool {
        let start = stray.survivor.identity.start;
        // The clock that the kernel notes starts by may be a tick away.
        let is_within = start + 1 >= self.began && self.ended.is_none_or(|ended| start <= ended + 1);
        is_within && (self.account == 0 || self.account == stray.account)
    }
}

/// Those whose program is not known, with the programs that may have left them.
#[derive(Debug, Default)]
pub(super) struct Strays {
    unclaimed: BTreeMap<Identity, (Survivor, Vec<ProcessId>)>,
    /// Everybody who was told, as left behind or as unclaimed, and lived at the last look: nobody is told twice.
    told: BTreeSet<Identity>,
    /// The keeper's children at the last look.
    seen: BTreeSet<Pid>,
    /// Orphans have ended since.
    is_stirred: bool,
}

impl Strays {
    /// The keeper's children that were looked at already.
    pub(super) fn seen(&self) -> BTreeSet<Pid> {
        self.seen.clone()
    }

    pub(super) fn told(&self) -> BTreeSet<Identity> {
        self.told.clone()
    }

    /// These were told as left behind by a program.
    pub(super) fn note_told(&mut self, survivors: &[Survivor]) {
        self.told.extend(survivors.iter().map(|survivor| survivor.identity));
    }

    /// It is the main process of a program by now, or has ended.
    pub(super) fn settle(&mut self, pid: Pid) {
        self.unclaimed.retain(|stray, _| stray.pid != pid);
    }

    /// Whether it was a child of the keeper at the last look.
    pub(super) fn has_seen(&self, pid: Pid) -> bool {
        self.seen.contains(&pid)
    }

    fn line(&self) -> Option<String> {
        let strays: Vec<Survivor> = self.unclaimed.values().map(|(stray, _)| stray.clone()).collect();
        (!strays.is_empty()).then(|| survey::line(&strays))
    }
}

impl Worker {
    /// The keeper reaped an orphan: those that it left behind in its turn are orphans now.
    pub(super) fn stir(&mut self, pid: Pid) {
        self.strays.seen.remove(&pid);
        self.strays.settle(pid);
        if std::mem::replace(&mut self.strays.is_stirred, true) {
            return;
        }
        let done = self.done_sender.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LOOK_SPACING).await;
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::Stirred);
        });
    }

    /// It is time to look for those.
    pub(super) fn look_for_strays(&mut self) {
        self.strays.is_stirred = false;
        self.examine_for_strays();
    }

    /// The last run of each program, and the present one.
    pub(super) fn runs(&self) -> Vec<Run> {
        let own = nix::unistd::geteuid().as_raw();
        let mut runs = Vec::new();
        for view in self.engine.everybody() {
            let user = self.process_config(view.process).and_then(|config| config.user.as_ref());
            let account = user.map_or(own, |user| user.uid);
            let process = view.process;
            if let (Some(started), Some(_)) = (view.started, view.pid) {
                let is_ending = view.sweeping || self.children.is_ending(process);
                runs.push(Run { process, account, began: proc_table::ticks(started.mono.0), ended: None, is_ending });
            }
            if let (Some(stopped), Some(last)) = (view.stopped, view.last_exit) {
                let began = proc_table::ticks(stopped.mono.0.saturating_sub(last.lived));
                let ended = Some(proc_table::ticks(stopped.mono.0));
                runs.push(Run { process, account, began, ended, is_ending: false });
            }
        }
        runs
    }

    /// Whose the strays are that a look has found: `just_ended` have ended before it. Gives back what those left behind; the others
    /// are unclaimed, which is told of each once.
    pub(super) fn judge_strays(
        &mut self,
        sighting: Sighting,
        just_ended: &BTreeSet<ProcessId>,
    ) -> BTreeMap<ProcessId, Vec<Survivor>> {
        let known: BTreeSet<Pid> = self.children.pids().collect();
        let runs = self.runs();
        let mut claimed: BTreeMap<ProcessId, Vec<Survivor>> = BTreeMap::new();
        let mut news: BTreeMap<Vec<ProcessId>, Vec<Survivor>> = BTreeMap::new();
        self.strays.unclaimed.retain(|identity, _| sighting.told.contains(identity));
        (self.strays.seen, self.strays.told) = (sighting.seen, sighting.told);
        for stray in sighting.strays {
            let is_judged_later = runs.iter().any(|run| run.is_ending && run.may_have_left(&stray));
            if is_judged_later || known.contains(&stray.survivor.identity.pid) {
                continue;
            }
            match may_have_left(&runs, &stray).as_slice() {
                [(only, true)] if just_ended.contains(only) => claimed.entry(*only).or_default().push(stray.survivor),
                meant => {
                    let meant: BTreeSet<ProcessId> = meant.iter().map(|(process, _)| *process).collect();
                    news.entry(meant.into_iter().collect()).or_default().push(stray.survivor);
                }
            }
        }
        for (meant, strays) in news {
            let room = STRAYS_MAX.saturating_sub(self.strays.unclaimed.len());
            if room > 0 {
                self.tell_unclaimed(&meant, &strays);
            }
            self.strays.note_told(&strays);
            let kept = strays.into_iter().take(room).map(|stray| (stray.identity, (stray, meant.clone())));
            self.strays.unclaimed.extend(kept);
        }
        claimed
    }

    fn tell_unclaimed(&self, meant: &[ProcessId], strays: &[Survivor]) {
        let names: Vec<String> =
            meant.iter().filter_map(|process| Some(self.engine.process(*process)?.namespec())).collect();
        let (shown, more) = names.split_at(names.len().min(NAMED_MAX));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        let origin = if shown.is_empty() {
            "no program is known that ran when it began".to_owned()
        } else {
            format!("it began while {}{more} ran, which may have left it", shown.join(", "))
        };
        let text = format!("unclaimed, and left alone: {}; {origin}", survey::line(strays));
        log(Level::Warn, &text);
        let subjects = if more.is_empty() { shown } else { &[] };
        for subject in subjects {
            self.record_trouble(subject, &text);
        }
        if subjects.is_empty() {
            self.record_daemon(&text);
        }
    }

    /// For whoever asks why this process is as it is.
    pub(super) fn unclaimed_beside(&self, process: ProcessId) -> Option<String> {
        let may_be_its = self.strays.unclaimed.values().filter(|(_, meant)| meant.contains(&process));
        let strays: Vec<Survivor> = may_be_its.map(|(stray, _)| stray.clone()).collect();
        (!strays.is_empty()).then(|| format!("it may have left behind what nobody claims: {}", survey::line(&strays)))
    }

    /// For whoever asks after the daemon.
    pub(super) fn strays_notice(&self) -> Option<String> {
        self.strays.line().map(|line| format!("running, and of no program that is known: {line} (see `galaxyctl why`)"))
    }
}

/// The programs that may have left a stray, each with whether that run is over.
fn may_have_left(runs: &[Run], stray: &Stray) -> Vec<(ProcessId, bool)> {
    let meant = runs.iter().filter(|run| run.may_have_left(stray));
    meant.map(|run| (run.process, run.ended.is_some())).collect()
}

/// The stray that goes on as a program that went into the background: the only one that its present run may have left, if no other
/// program can be meant.
pub(super) fn sole_heir(strays: &[Stray], runs: &[Run], own: ProcessId) -> Option<Identity> {
    let may_be_its = |stray: &&Stray| runs.iter().any(|run| run.process == own && run.may_have_left(stray));
    let mut its = strays.iter().filter(may_be_its);
    let (Some(only), None) = (its.next(), its.next()) else { return None };
    let is_certain = may_have_left(runs, only).iter().all(|(process, _)| *process == own);
    is_certain.then_some(only.survivor.identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stray(pid: Pid, start: u64, account: u32) -> Stray {
        Stray { survivor: Survivor { identity: Identity { pid, start }, command: "x".to_owned() }, account }
    }

    fn run(process: u64, account: u32, began: u64, ended: Option<u64>) -> Run {
        Run { process: ProcessId(process), account, began, ended, is_ending: false }
    }

    #[test]
    fn a_run_may_have_left_what_began_in_it_under_an_account_that_it_may_have() {
        for (run, stray, may) in [
            (run(1, 7, 100, Some(200)), stray(9, 150, 7), true),
            (run(1, 7, 100, Some(200)), stray(9, 99, 7), true),
            (run(1, 7, 100, Some(200)), stray(9, 201, 7), true),
            (run(1, 7, 100, Some(200)), stray(9, 98, 7), false),
            (run(1, 7, 100, Some(200)), stray(9, 202, 7), false),
            (run(1, 7, 100, None), stray(9, 100_000, 7), true),
            (run(1, 7, 100, None), stray(9, 150, 8), false),
            (run(1, 7, 100, None), stray(9, 150, 0), false),
            (run(1, 0, 100, None), stray(9, 150, 8), true),
        ] {
            assert_eq!(run.may_have_left(&stray), may, "{run:?} {stray:?}");
        }
    }

    #[test]
    fn only_who_is_alone_in_every_respect_goes_on_as_a_program() {
        let own = ProcessId(1);
        let heir = |strays: &[Stray], runs: &[Run]| sole_heir(strays, runs, own).map(|identity| identity.pid);
        let mine = run(1, 7, 100, None);
        assert_eq!(heir(&[stray(9, 150, 7)], std::slice::from_ref(&mine)), Some(9));
        assert_eq!(heir(&[stray(9, 150, 7), stray(10, 50, 7)], std::slice::from_ref(&mine)), Some(9), "one is older");
        assert_eq!(heir(&[stray(9, 150, 7), stray(10, 160, 7)], std::slice::from_ref(&mine)), None, "two of them");
        assert_eq!(heir(&[stray(9, 150, 7)], &[mine.clone(), run(2, 7, 10, None)]), None, "another runs");
        assert_eq!(heir(&[stray(9, 150, 7)], &[mine.clone(), run(2, 7, 10, Some(160))]), None, "another ran");
        assert_eq!(heir(&[stray(9, 150, 7)], &[mine, run(2, 8, 10, None), run(3, 7, 10, Some(90))]), Some(9));
    }
}
