//! Ending what a program with `killtree` left behind.
//!
//! One task a child, on the control loop's runtime; what reads /proc is done on side threads. The state of it is nowhere
//! but in the engine's record: a successor of a killed worker simply begins again.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::survey::{self, Household, Survivor, Traces};
use super::worker::{Done, Worker, now};
use crate::engine::{Input, Moment, Pid, ProcessId, signal_name};
use crate::logs::{Level, log};
use crate::sys::proc_table::Identity;
use crate::sys::watched::Watched;
use crate::sys::{cgroup, pidfd, side};

/// A process that SIGKILL does not end within this time (it hangs in the kernel) is left to itself: the program's restart
/// does not wait for ever.
const KILLED_WAIT: Duration = Duration::from_secs(2);

/// Between two looks at a tree that grows faster than it is ended.
const LOOK_SPACING: Duration = Duration::from_millis(20);

/// A walk through /proc is not a picture of one instant: only the second empty one in a row is believed.
const EMPTY_LOOKS: u32 = 2;

/// What is to be ended, and how.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    name: String,
    traces: Traces,
    household: Household,
    signal: i32,
    insist_at: Moment,
}

impl Worker {
    /// Begins to end what is left of a child's tree, unless that is under way.
    pub(super) fn sweep(&mut self, process: ProcessId, pid: Pid, signal: i32, insist_at: Moment) {
        if !self.sweeping.insert((process, pid)) {
            return;
        }
        let done = self.done_sender.clone();
        // The next run begins only when the sweep is over.
        let cgroup = self.present_cgroup(process);
        let sweep = self.traces(process, pid, cgroup).map(|traces| Sweep {
            name: self.bare_name(process),
            traces,
            household: self.household(),
            signal,
            insist_at,
        });
        tokio::spawn(async move {
            if let Some(sweep) = sweep {
                sweep.run().await;
            }
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::Swept { process, pid });
        });
    }

    /// Nothing is left of it: now the exit counts.
    pub(super) fn swept(&mut self, process: ProcessId, pid: Pid) {
        self.sweeping.remove(&(process, pid));
        let cgroup = self.present_cgroup(process);
        self.feed(Input::Swept { process, pid });
        self.examine(process, cgroup);
    }
}

impl Sweep {
    async fn run(self) {
        let mut told: BTreeSet<Identity> = BTreeSet::new();
        let mut killed: BTreeSet<Identity> = BTreeSet::new();
        let mut empty = 0;
        loop {
            let household = self.household.clone();
            let traces = self.traces.clone();
            let looking = side::run(move || survey::survey(&household, &[&traces]));
            let found = match looking.await.map_err(io::Error::other).and_then(|found| found) {
                Ok(found) => found.left.into_iter().next().unwrap_or_default(),
                Err(error) => {
                    let text = format!("cannot look for what '{}' left behind: {error}", self.name);
                    return log(Level::Warn, &text);
                }
            };
            if found.is_empty() {
                empty += 1;
                if empty == EMPTY_LOOKS {
                    return;
                }
                continue;
            }
            empty = 0;
            let insisting = now().mono >= self.insist_at;
            if insisting && now().mono >= self.insist_at + KILLED_WAIT {
                return self.give_up(found).await;
            }
            let (known, signal) = if insisting { (&mut killed, libc::SIGKILL) } else { (&mut told, self.signal) };
            let new: Vec<Identity> = found.iter().copied().filter(|identity| known.insert(*identity)).collect();
            let held: Vec<OwnedFd> = found.iter().filter_map(|identity| pidfd::open(*identity).ok()).collect();
            self.send(new, signal).await;
            let limit = if insisting { self.insist_at + KILLED_WAIT } else { self.insist_at };
            let wait = limit.since(now().mono);
            // Its end, or the end of patience, whichever comes first.
            let _ = tokio::time::timeout(wait, all_ended(held)).await;
            tokio::time::sleep(LOOK_SPACING.min(wait)).await;
        }
    }

    /// Signals those who were not signalled yet, and says so.
    async fn send(&self, whom: Vec<Identity>, signal: i32) {
        if whom.is_empty() {
            return;
        }
        let cgroup = self.traces.cgroup.clone().filter(|_| signal == libc::SIGKILL);
        let sending = side::run(move || {
            let told: Vec<Survivor> = whom.iter().filter_map(|identity| survey::describe(*identity)).collect();
            // All at once, those too who are being forked. Where that is not to be had, each is signalled below.
            if let Some(cgroup) = cgroup {
                let _ = cgroup::kill(&cgroup);
            }
            let failed: Vec<(Pid, io::Error)> = whom
                .into_iter()
                .filter_map(|identity| Some((identity, end(identity, signal).err()?)))
                .filter(|(_, error)| error.raw_os_error() != Some(libc::ESRCH))
                .map(|(identity, error)| (identity.pid, error))
                .collect();
            (told, failed)
        });
        let Ok((told, failed)) = sending.await else { return };
        let (name, pid, what) = (&self.name, self.traces.pid, survey::line(&told));
        if !told.is_empty() {
            let level = if signal == libc::SIGKILL { Level::Warn } else { Level::Info };
            let signal = signal_name(signal);
            log(level, &format!("ending what '{name}' (pid {pid}) left behind with {signal} (killtree): {what}"));
        }
        for (survivor, error) in failed {
            log(Level::Warn, &format!("cannot signal {survivor}, which '{name}' left behind: {error}"));
        }
    }

    async fn give_up(&self, found: Vec<Identity>) {
        let describing =
            side::run(move || -> Vec<Survivor> { found.into_iter().filter_map(survey::describe).collect() });
        let what = survey::line(&describing.await.unwrap_or_default());
        let text = format!("what '{}' (pid {}) left behind cannot be ended: {what}", self.name, self.traces.pid);
        log(Level::Warn, &text);
    }
}

/// Signals exactly the process meant: the descriptor is compared with the identity once more before.
fn end(identity: Identity, signal: i32) -> io::Result<()> {
    pidfd::send(pidfd::open(identity)?, signal)
}

async fn all_ended(held: Vec<OwnedFd>) {
    for descriptor in held {
        // What cannot be watched is looked at again.
        let Ok(watched) = Watched::new(descriptor) else { continue };
        let _ = watched.readable().await;
    }
}
