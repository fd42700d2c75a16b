//! Whose output makes events, and the order of a child's last words and its end.
//!
//! Supervisor reads what an ended child left in its pipes before it announces the end. Here the end is known first,
//! because a restart waits for no disk; so the announcement of the end waits for the last words, for a short while. That
//! goes for listeners too: a last `RESULT` may be among the words, and the event in hand comes back together with the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::EventType;
use super::payload::{Notification, Writer};
use super::spec::{GroupSpec, MemberSpec, OutputSpec};
use crate::engine::{Channel, Event, Moment, Pid, ProcessId, ProcessState};

/// The announcement of an end waits this long for the child's last output; what comes later is told later. A log file on
/// a hanging file system can take for ever.
pub(super) const LAST_WORDS_WAIT: Duration = Duration::from_secs(1);

/// The processes whose output matters here, their children, and the announcements that wait.
#[derive(Debug, Default)]
pub(super) struct Witness {
    members: BTreeMap<ProcessId, (String, MemberSpec)>,
    /// Which of them each group has.
    groups: BTreeMap<String, Vec<ProcessId>>,
    children: BTreeMap<u64, Child>,
    held: Vec<Held>,
}

/// A child from its birth until all its output is handed in. It outlives its group here.
#[derive(Debug)]
struct Child {
    process: ProcessId,
    pid: Pid,
    group: String,
    name: String,
    stdout: OutputSpec,
    stderr: OutputSpec,
}

/// An announcement that waits for a child's last words, or behind one that does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    group: String,
    process: ProcessId,
    child: u64,
    until: Moment,
    notification: Notification,
}

impl Witness {
    /// As a predecessor left it; its children are told anew.
    pub(super) fn restore(held: Vec<Held>) -> Witness {
        Witness { held, ..Witness::default() }
    }

    pub(super) fn held(&self) -> &[Held] {
        &self.held
    }

    /// A group is being created, or has other members than before.
    pub(super) fn add(&mut self, group: &GroupSpec) {
        self.forget(&group.name);
        for member in &group.members {
            if group.pool.is_some() || member.stdout.is_heard() || member.stderr.is_heard() {
                self.members.insert(member.process, (group.name.clone(), member.clone()));
                self.groups.entry(group.name.clone()).or_default().push(member.process);
            }
        }
    }

    /// A group has other members, or they are heard otherwise. Children that live stay as they were born.
    pub(super) fn change(&mut self, group: &GroupSpec) {
        self.members.retain(|_, (name, _)| *name != group.name);
        self.add(group);
    }

    /// A group is removed; what waits about its processes is returned.
    pub(super) fn remove(&mut self, group: &str) -> Vec<Notification> {
        self.forget(group);
        self.held.extract_if(.., |held| held.group == group).map(|held| held.notification).collect()
    }

    fn forget(&mut self, group: &str) {
        for process in self.groups.remove(group).unwrap_or_default() {
            self.members.remove(&process);
        }
    }

    /// A process has a child.
    pub(super) fn born(&mut self, process: ProcessId, child: u64, pid: Pid) {
        if let Some((group, member)) = self.members.get(&process) {
            let (group, name) = (group.clone(), member.name.clone());
            let born = Child { process, pid, group, name, stdout: member.stdout, stderr: member.stderr };
            self.children.entry(child).or_insert(born);
        }
    }

    /// All output of a child is handed in.
    pub(super) fn gone(&mut self, child: u64) {
        self.children.remove(&child);
    }

    /// Who this child is, and which events its channel makes; `None` if none.
    pub(super) fn writer(&self, child: u64, channel: Channel) -> Option<(Writer<'_>, OutputSpec)> {
        let child = self.children.get(&child)?;
        let output = match channel {
            Channel::Stdout => child.stdout,
            Channel::Stderr => child.stderr,
        };
        Some((Writer { group: &child.group, name: &child.name, pid: child.pid }, output))
    }

    /// The notification, if it can be told at once; else it is kept for [`Witness::release`].
    pub(super) fn tell_or_hold(
        &mut self,
        now: Moment,
        event: &Event,
        notification: Notification,
    ) -> Option<Notification> {
        let Event::ProcessState { process, group, to, .. } = event else { return Some(notification) };
        let is_end = matches!(to, ProcessState::Exited | ProcessState::Stopped | ProcessState::Backoff);
        let ended = if is_end { self.newest_child(*process) } else { None };
        let before = self.held.iter().rfind(|held| held.process == *process);
        let (child, until) = match (ended, before) {
            (Some(child), _) => (child, now + LAST_WORDS_WAIT),
            (None, Some(before)) => (before.child, before.until),
            (None, None) => return Some(notification),
        };
        self.held.push(Held { group: group.clone(), process: *process, child, until, notification });
        None
    }

    fn newest_child(&self, process: ProcessId) -> Option<u64> {
        self.children.iter().rfind(|(_, child)| child.process == process).map(|(&id, _)| id)
    }

    /// What need not wait any longer, in order.
    pub(super) fn release(&mut self, now: Moment) -> Vec<Notification> {
        let mut waiting = BTreeSet::new();
        let children = &self.children;
        let free = |held: &mut Held| {
            let free = !waiting.contains(&held.process) && (now >= held.until || !children.contains_key(&held.child));
            if !free {
                waiting.insert(held.process);
            }
            free
        };
        self.held.extract_if(.., free).map(|held| held.notification).collect()
    }

    /// Whether an announcement of such an event waits.
    pub(super) fn holds(&self, is_meant: impl Fn(EventType) -> bool) -> bool {
        self.held.iter().any(|held| is_meant(held.notification.event))
    }

    /// Everything that waits: nobody will be there later.
    pub(super) fn release_all(&mut self) -> Vec<Notification> {
        self.held.drain(..).map(|held| held.notification).collect()
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.held.iter().map(|held| held.until).min()
    }

    /// Only these children live, or have output left.
    pub(super) fn retain(&mut self, children: &BTreeSet<u64>) {
        self.children.retain(|child, _| children.contains(child));
    }
}
