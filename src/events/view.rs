//! What others may know of a pool and its listeners.

use super::event::EventType;
use super::listener::ListenerState;
use super::pool::{Member, Pool};
use crate::engine::ProcessId;

/// A pool as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView<'a> {
    pub name: &'a str,
    pub events: &'a [EventType],
    /// Events that wait for a listener.
    pub waiting: usize,
    pub buffer_size: usize,
    /// Events that were given up because the queue was full, ever.
    pub dropped: u64,
    /// Events that a listener answered with OK, ever.
    pub processed: u64,
    /// Times an event came back from a listener, ever.
    pub requeued: u64,
    /// Listeners that were started anew because they did not answer, ever.
    pub renewed: u64,
    pub listeners: Vec<ListenerView<'a>>,
}

/// A listener process as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerView<'a> {
    pub process: ProcessId,
    pub name: &'a str,
    /// `None` while it has no child.
    pub state: Option<ListenerState>,
    /// The serial of the event it is busy with.
    pub busy_with: Option<u64>,
}

impl<'a> PoolView<'a> {
    pub(super) fn new(pool: &'a Pool) -> PoolView<'a> {
        PoolView {
            name: &pool.name,
            events: &pool.events,
            waiting: pool.queue.len(),
            buffer_size: pool.queue.entries_max(),
            dropped: pool.overflow.total(),
            processed: pool.processed,
            requeued: pool.requeued,
            renewed: pool.renewed,
            listeners: pool.members.iter().map(ListenerView::new).collect(),
        }
    }
}

impl<'a> ListenerView<'a> {
    fn new(member: &'a Member) -> ListenerView<'a> {
        let newest = member.children.last();
        ListenerView {
            process: member.process,
            name: &member.name,
            state: newest.map(|child| child.listener.state()),
            busy_with: newest.and_then(|child| child.in_hand.as_ref()).map(|in_hand| in_hand.entry.serials.serial),
        }
    }
}
