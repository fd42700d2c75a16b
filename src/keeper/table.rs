//! What must not be lost: children, their pipes and ends, descriptors held by name, signals.

use std::os::fd::OwnedFd;
use std::time::Duration;

use super::adoption::Watch;
use super::protocol::{Ended, HeldProgram, Stage};
use crate::engine::{Now, Pid};
use crate::sys::child_pipes::Pipes;
use crate::sys::signals::Received;

/// A child that was asked for and is not forgotten.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: u64,
    pub(super) tag: Box<str>,
    pub(super) pid: Pid,
    /// When the kernel started it, in clock ticks after boot.
    pub(super) start: u64,
    pub(super) started: Now,
    pub(super) last_signal: i32,
    pub(super) pipes: Pipes,
    /// Set while it lives if it is not our own child.
    pub(super) watch: Option<Watch>,
    /// Until `exec` succeeded or failed.
    pub(super) status: Option<OwnedFd>,
    pub(super) ended: Option<Ended>,
    pub(super) exec_failed: Option<(Stage, i32)>,
    /// The inventory that tells of it is still being sent: what changes now will be in it.
    pub(super) in_inventory: bool,
}

impl Child {
    pub(super) fn told(&self) -> HeldProgram {
        HeldProgram {
            id: self.id,
            tag: self.tag.as_ref().to_owned(),
            pid: self.pid,
            started: self.started,
            last_signal: self.last_signal,
            has_stdin: self.pipes.stdin.is_some(),
            has_stderr: self.pipes.stderr.is_some(),
            ended: self.ended,
            exec_failed: self.exec_failed,
        }
    }
}

/// A descriptor held under a name. The serial tells it from an older one of the same name.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) serial: u64,
    pub(super) name: Box<str>,
    pub(super) descriptor: OwnedFd,
}

/// A signal to this process that no worker has taken in hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingSignal {
    pub(super) received: Received,
    pub(super) since: Duration,
}

/// Searched from the front: a daemon has tens of programs, seldom hundreds.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) children: Vec<Child>,
    pub(super) held: Vec<Held>,
    pub(super) signals: Vec<PendingSignal>,
    serial: u64,
}

impl Table {
    pub(super) fn child(&self, id: u64) -> Option<&Child> {
        self.children.iter().find(|child| child.id == id)
    }

    pub(super) fn child_mut(&mut self, id: u64) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.id == id)
    }

    /// Our own child of this pid that was not reaped yet: an old one, or an adopted one, may have had the same pid.
    pub(super) fn living_mut(&mut self, pid: Pid) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.pid == pid && child.ended.is_none() && child.watch.is_none())
    }

    pub(super) fn has_living(&self) -> bool {
        self.children.iter().any(|child| child.ended.is_none())
    }

    /// Drops a child that ended, and its pipes; whether it did. One that lives stays: it must not be lost by a mistake.
    pub(super) fn forget(&mut self, id: u64) -> bool {
        let before = self.children.len();
        self.children.retain(|child| child.id != id || child.ended.is_none());
        self.children.len() < before
    }

    pub(super) fn hold(&mut self, name: String, descriptor: OwnedFd) {
        self.release(&name);
        self.serial += 1;
        self.held.push(Held { serial: self.serial, name: name.into_boxed_str(), descriptor });
    }

    pub(super) fn release(&mut self, name: &str) {
        self.held.retain(|held| &*held.name != name);
    }

    pub(super) fn named(&self, name: &str) -> Option<&OwnedFd> {
        self.held.iter().find(|held| &*held.name == name).map(|held| &held.descriptor)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<OwnedFd> {
        let place = self.held.iter().position(|held| &*held.name == name)?;
        Some(self.held.remove(place).descriptor)
    }

    /// Whether it is new: equal signals that wait together are one, as they are for the kernel.
    pub(super) fn remember_signal(&mut self, received: Received, since: Duration) -> bool {
        if self.signal(received.signal).is_some() {
            return false;
        }
        self.signals.push(PendingSignal { received, since });
        true
    }

    pub(super) fn signal(&self, number: i32) -> Option<&PendingSignal> {
        self.signals.iter().find(|pending| pending.received.signal == number)
    }

    pub(super) fn signal_taken(&mut self, number: i32) {
        self.signals.retain(|pending| pending.received.signal != number);
    }

    /// Since when the oldest signal waits that a worker takes in hand at once. HUP is in hand when the configuration was read,
    /// and that takes as long as its file system does.
    pub(super) fn unanswered_since(&self) -> Option<Duration> {
        let answered = self.signals.iter().filter(|pending| pending.received.signal != libc::SIGHUP);
        answered.map(|pending| pending.since).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_may_take_its_time_and_nothing_else_may() {
        let mut table = Table::default();
        let receive = |table: &mut Table, signal, seconds| {
            table.remember_signal(Received { signal, pid: 0, uid: 0 }, Duration::from_secs(seconds))
        };
        assert!(receive(&mut table, libc::SIGHUP, 1));
        assert_eq!(table.unanswered_since(), None);
        assert!(receive(&mut table, libc::SIGUSR2, 7) && receive(&mut table, libc::SIGTERM, 5));
        assert!(!receive(&mut table, libc::SIGTERM, 9), "it waits already");
        assert_eq!(table.unanswered_since(), Some(Duration::from_secs(5)));
        table.signal_taken(libc::SIGTERM);
        assert_eq!(table.unanswered_since(), Some(Duration::from_secs(7)));
    }
}
