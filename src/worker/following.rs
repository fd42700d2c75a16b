//! Programs that go into the background (`type=forking`): which of the processes that their first child left behind goes on
//! as the program.
//!
//! The keeper has told the child's end, and the engine does not know it yet: a side thread looks for the heir, the keeper
//! takes it for the child, and then the engine is told. A worker that is killed meanwhile leaves no trace of that; its
//! successor is told the end, or of the heir.

use std::io;
use std::time::Duration;

use super::survey::{self, Household, Traces};
use super::worker::{Done, Worker, now};
use crate::engine::{Input, Pid};
use crate::keeper::{Ended, ToKeeper};
use crate::logs::{Level, log};
use crate::sys::proc_table::{self, Identity, Standing};
use crate::sys::{errno, side};

/// Between two looks: who forks twice has one in between, which is gone soon.
const LOOK_SPACING: Duration = Duration::from_millis(20);

/// A program whose processes never come to rest is taken as it is then.
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
        if !self.engine.may_go_on(process, pid, ended.exit) {
            return false;
        }
        let Some(view) = self.engine.process(process) else { return false };
        let started = view.started.map_or(Duration::ZERO, |started| started.mono.0);
        let Some(traces) = self.traces(process, pid, self.cgroup(process, view.attempt)) else { return false };
        let mut household = self.household();
        household.adopters.push(INIT);
        self.children.seek(id, ended);
        let done = self.done_sender.clone();
        tokio::spawn(async move {
            let heir = seek(&traces, &household, started).await.unwrap_or_else(|error| {
                log(Level::Warn, &format!("cannot look for what went into the background: {error}"));
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

/// The one that goes on: the same in two looks, as one that only forks again is gone by the second.
async fn seek(traces: &Traces, household: &Household, started: Duration) -> io::Result<Option<Identity>> {
    let mut before = None;
    for look in 0..LOOKS_MAX {
        let (traces, household) = (traces.clone(), household.clone());
        let looking = side::run(move || look_for_heir(traces, &household, started));
        let heir = looking.await.map_err(io::Error::other)??;
        if look > 0 && heir == before {
            return Ok(heir);
        }
        before = heir;
        tokio::time::sleep(LOOK_SPACING).await;
    }
    Ok(before)
}

/// Of those left by this run whose parent is gone, the one that was started first: others are its children, or helpers.
fn look_for_heir(traces: Traces, household: &Household, started: Duration) -> io::Result<Option<Identity>> {
    let mut entries = Vec::new();
    for identity in survey::survey(household, &[traces])?.into_iter().flatten() {
        let entry = proc_table::one(identity.pid)?;
        entries.extend(entry.filter(|entry| entry.identity == identity && entry.standing != Standing::Ended));
    }
    let earliest = proc_table::ticks(started);
    let has_parent = |entry: &proc_table::Entry| entries.iter().any(|other| other.identity.pid == entry.parent);
    let left = entries.iter().filter(|entry| entry.identity.start >= earliest && !has_parent(entry));
    Ok(left.map(|entry| entry.identity).min_by_key(|identity| (identity.start, identity.pid)))
}
