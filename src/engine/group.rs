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
    /// How many members are not in a stopped state.
    pub(super) unstopped: usize,
}
