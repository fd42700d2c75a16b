//! Programs that go into the background (`type=forking`): which of the processes that their first child left behind goes on
//! as the program, and which one when that ends in its turn and has given its place to another.
//!
//! Who is named in the program's `pidfile` is believed if nothing speaks against its being one of the program's own processes.
//!
//! The keeper has told the child's end, and the engine does not know it yet: a side thread looks for the heir, the keeper
//! takes it for the child, and then the engine is told. A worker that is killed meanwhile leaves no trace of that; its
//! successor is told the end, or of the heir.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::pidfile;
use super::strays::{self, Run, Stray};
use super::survey::{self, Household, Traces};
use super::worker::{Done, Worker, now};
use crate::engine::{Heir, Input, Pid, ProcessId};
use crate::keeper::{Ended, ToKeeper};
use crate::logs::{Level, log};
use crate::sys::proc_table::{self, Entry, Identity, Standing};
use crate::sys::{errno, side};

/// Between two looks: who forks twice has one in between, which is gone soon.
const LOOK_SPACING: Duration = Duration::from_millis(20);

/// A program whose processes never come to rest is taken as it is then, and so is one whose pidfile names none of them.
const LOOKS_MAX: u32 = 100;

/// What takes over the orphans of a keeper that was killed.
const INIT: Pid = 1;

impl Worker {
    /// The keeper told a child's end: it counts, unless the program went into the background.
    pub(super) fn ended(&mut self, id: u64, ended: Ended) {
        if !self.seek_heir(id, ended) {
            self.drain(id, ended);
        }
    }

    /// Looks for what goes on as the child; false if nothing can.
    fn seek_heir(&mut self, id: u64, ended: Ended) -> bool {
        let Some((process, pid)) = self.children.get(id).map(|child| (child.process, child.pid)) else { return false };
        let Some(heir) = self.engine.seek(process, pid, ended.exit) else { return false };
        let pidfile = self.process_config(process).and_then(|config| config.extras.pidfile.clone());
        if heir == Heir::Named && pidfile.is_none() {
            return false;
        }
        let Some(view) = self.engine.process(process) else { return false };
        let started = view.started.map_or(Duration::ZERO, |started| started.mono.0);
        let Some(traces) = self.traces(process, pid, self.cgroup(process, view.attempt)) else { return false };
        let mut household = self.household();
        household.adopters.push(INIT);
        // One that was told as a stray before may be it.
        household.told.clear();
        let began = proc_table::ticks(started);
        let quest =
            Quest { process, heir, pidfile: pidfile.map(PathBuf::from), traces, household, began, runs: self.runs() };
        self.children.seek(id, ended);
        let (done, name) = (self.done_sender.clone(), self.bare_name(process));
        tokio::spawn(async move {
            let heir = seek(quest, &name).await.unwrap_or_else(|error| {
                log(Level::Warn, &format!("cannot look for what goes on as '{name}' in the background: {error}"));
                None
            });
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::Sought { id, ended, heir });
        });
        true
    }

    /// The search is over.
    pub(super) fn sought(&mut self, id: u64, ended: Ended, heir: Option<Identity>) {
        match heir {
            Some(heir) => self.tell_keeper(&ToKeeper::Follow { id, pid: heir.pid, start: heir.start }),
            None => self.drain(id, ended),
        }
    }

    /// The keeper has taken `heir` for the child, or could not.
    pub(super) fn followed(&mut self, id: u64, heir: Pid, errno: i32) {
        let Some((ended, process, pid)) = self.children.sought(id) else { return };
        match errno {
            0 => {
                self.children.follow(id, heir);
                self.strays.settle(heir);
                self.feed(Input::Followed { process, pid, heir, at: now() });
            }
            // It has ended since: perhaps it left one behind in its turn.
            libc::ESRCH => self.ended(id, ended),
            errno => {
                let why = errno::name(errno).map_or_else(|| format!("errno {errno}"), str::to_owned);
                let name = self.bare_name(process);
                log(
                    Level::Warn,
                    &format!("'{name}' went into the background, but pid {heir} cannot be watched: {why}"),
                );
                self.drain(id, ended);
            }
        }
    }
}

/// What is to be found, and by what.
#[derive(Debug, Clone)]
struct Quest {
    process: ProcessId,
    heir: Heir,
    pidfile: Option<PathBuf>,
    traces: Traces,
    household: Household,
    /// No process of this run is older, in clock ticks after boot.
    began: u64,
    runs: Vec<Run>,
}

/// What one look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Find {
    Nobody,
    /// By the pidfile.
    Named(Identity),
    Guessed(Identity),
}

/// The one that goes on: the same in two looks, as one that only forks again is gone by the second. A pidfile is written when the
/// first child has ended already, by some.
async fn seek(quest: Quest, name: &str) -> io::Result<Option<Identity>> {
    let is_written_late = quest.heir == Heir::First && quest.pidfile.is_some();
    let mut before = None;
    for _ in 0..LOOKS_MAX {
        let quest = quest.clone();
        let looking = side::run(move || quest.look());
        let find = looking.await.map_err(io::Error::other)??;
        match find {
            Find::Nobody if before == Some(find) => return Ok(None),
            Find::Named(heir) if before == Some(find) => return Ok(Some(heir)),
            Find::Guessed(heir) if before == Some(find) && !is_written_late => return Ok(Some(heir)),
            _ => before = Some(find),
        }
        tokio::time::sleep(LOOK_SPACING).await;
    }
    match (before, quest.pidfile) {
        (Some(Find::Guessed(heir)), Some(pidfile)) => {
            let (pid, pidfile) = (heir.pid, pidfile.display());
            log(Level::Warn, &format!("{pidfile} names no process of '{name}' (pidfile); pid {pid} is taken for it"));
            Ok(Some(heir))
        }
        (Some(Find::Guessed(heir) | Find::Named(heir)), _) => Ok(Some(heir)),
        (Some(Find::Nobody) | None, _) => Ok(None),
    }
}

impl Quest {
    fn look(&self) -> io::Result<Find> {
        let survey = survey::survey(&self.household, &[&self.traces])?;
        let mut left = Vec::new();
        for identity in survey.left.into_iter().flatten() {
            let entry = proc_table::one(identity.pid)?;
            left.extend(entry.filter(|entry| entry.identity == identity && entry.standing != Standing::Ended));
        }
        left.retain(|entry| entry.identity.start >= self.began);
        let strays: Vec<Stray> = survey.strays.into_iter().filter_map(Stray::of).collect();
        let named = self.pidfile.as_deref().and_then(pidfile::named_in);
        let found = named.and_then(|pid| self.find_named(pid, &left, &strays)).map(Find::Named);
        Ok(found.or_else(|| self.guess(&left, &strays).map(Find::Guessed)).unwrap_or(Find::Nobody))
    }

    /// A process of the program, or one of which nothing is known but that it may be.
    fn find_named(&self, pid: Pid, left: &[Entry], strays: &[Stray]) -> Option<Identity> {
        let may_be_its = |stray: &Stray| {
            let is_of_its_time = stray.survivor.identity.start >= self.began;
            is_of_its_time && self.runs.iter().any(|run| run.process == self.process && run.may_have_left(stray))
        };
        let strays = strays.iter().filter(|stray| may_be_its(stray)).map(|stray| stray.survivor.identity);
        left.iter().map(|entry| entry.identity).chain(strays).find(|identity| identity.pid == pid)
    }

    /// Of those left by this run whose parent is gone, the one that was started first: others are its children, or helpers.
    /// In the background only one that is alone: who else could be meant there may be a job that was left on purpose.
    fn guess(&self, left: &[Entry], strays: &[Stray]) -> Option<Identity> {
        let has_parent = |entry: &&Entry| left.iter().any(|other| other.identity.pid == entry.parent);
        let mut heads = left.iter().filter(|entry| !has_parent(entry)).map(|entry| entry.identity);
        match self.heir {
            Heir::First if left.is_empty() && self.pidfile.is_none() => {
                strays::sole_heir(strays, &self.runs, self.process)
            }
            Heir::First => heads.min_by_key(|identity| (identity.start, identity.pid)),
            Heir::Only if self.pidfile.is_none() => heads.next().filter(|_| heads.next().is_none()),
            Heir::Only | Heir::Named => None,
        }
    }
}
