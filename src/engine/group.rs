//! A group: which processes belong together and in which order they are taken.

use std::collections::BTreeMap;

use super::input::ProcessId;

/// A group's number in order of creation; never given to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey(pub(super) u64);

/// One group. The processes themselves are kept by the engine.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) priority: i64,
    /// Its members are event listeners.
    pub(super) listens: bool,
    /// In creation order: the order of autostart.
    pub(super) members: Vec<ProcessId>,
    /// By ascending priority, ties in creation order: the order of start and stop requests; shutdown takes it
    /// backwards.
    pub(super) by_priority: Vec<ProcessId>,
    pub(super) by_name: BTreeMap<String, ProcessId>,
    /// Successors and predecessors of members, which have their names and are no members; see `overlap`.
    pub(super) beside: Vec<ProcessId>,
    /// How many members are not in a stopped state.
    pub(super) unstopped: usize,
}

impl Group {
    /// All that are in it, those beside the members too.
    pub(super) fn everybody(&self) -> impl Iterator<Item = ProcessId> {
        self.members.iter().chain(&self.beside).copied()
    }

    /// Puts one who stands beside into the place of a member, and the member beside.
    pub(super) fn replace(&mut self, member: ProcessId, other: ProcessId) {
        let exchange = |list: &mut Vec<ProcessId>, from, to| {
            list.iter_mut().filter(|process| **process == from).for_each(|process| *process = to);
        };
        exchange(&mut self.members, member, other);
        exchange(&mut self.by_priority, member, other);
        exchange(&mut self.beside, other, member);
    }
}
