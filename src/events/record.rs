//! What must be remembered of events when the worker dies.
//!
//! The worker journals records before it performs effects. Later records of the same thing replace earlier ones; an event that
//! waits in no queue any more is simply not referred to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::envelope::Serials;
use super::event::EventType;
use super::listener::Listener;
use super::overflow::Overflow;
use super::payload::Notification;
use super::pool::{InHand, ListenerChild, Member, Pool};
use super::queue::{Entry, Queue};
use super::tick::Ticks;
use super::witness::Held;
use crate::engine::{Moment, ProcessId};

/// One line for the journal. What is inside is this room's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(pub(super) Kind);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Daemon(DaemonRecord),
    /// An event that a pool accepted.
    Event(EventRecord),
    Pool(PoolRecord),
    /// The pool of this name was removed, with all its events.
    Removed(String),
}

/// What is there once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct DaemonRecord {
    pub(super) next_serial: u64,
    pub(super) ticks: Ticks,
    pub(super) held: Vec<Held>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EventRecord {
    pool: String,
    serials: Serials,
    event: EventType,
    payload: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PoolRecord {
    pool: String,
    next_serial: u64,
    waiting: Vec<Run>,
    members: Vec<MemberRecord>,
    overflow: Overflow,
    processed: u64,
    requeued: u64,
    #[serde(default)]
    renewed: u64,
}

/// Events with pool serials `first`, `first + 1` ...: a queue of thousands is a few of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    first: u64,
    count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MemberRecord {
    process: ProcessId,
    running: bool,
    children: Vec<ChildRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ChildRecord {
    child: u64,
    listener: Listener,
    /// The pool serial of the event in hand, and whether it is known to be written.
    in_hand: Option<(u64, bool)>,
    heard: u64,
    deaf: bool,
    #[serde(default)]
    owes_since: Option<Moment>,
}

impl EventRecord {
    pub(super) fn new(pool: &str, entry: &Entry) -> EventRecord {
        let Notification { event, payload } = &*entry.notification;
        EventRecord { pool: pool.to_owned(), serials: entry.serials, event: *event, payload: payload.clone() }
    }
}

impl PoolRecord {
    pub(super) fn new(pool: &Pool) -> PoolRecord {
        PoolRecord {
            pool: pool.name.clone(),
            next_serial: pool.next_serial,
            waiting: runs(pool.queue.iter().map(|entry| entry.serials.pool_serial)),
            members: pool.members.iter().map(MemberRecord::new).collect(),
            overflow: pool.overflow,
            processed: pool.processed,
            requeued: pool.requeued,
            renewed: pool.renewed,
        }
    }

    /// Makes a fresh pool what it was; `events` holds what it accepted, by pool serial. An event that is not there was never
    /// journaled, which nobody has seen then.
    fn apply(self, pool: &mut Pool, events: &BTreeMap<u64, Entry>) {
        pool.next_serial = self.next_serial;
        let mut queue = Queue::new(pool.queue.entries_max());
        for run in self.waiting {
            for entry in (0..run.count).filter_map(|at| events.get(&run.first.checked_add(at)?)) {
                queue.append(entry.clone());
            }
        }
        pool.queue = queue;
        pool.overflow = self.overflow;
        pool.processed = self.processed;
        pool.requeued = self.requeued;
        pool.renewed = self.renewed;
        for record in self.members {
            if let Some(member) = pool.members.iter_mut().find(|member| member.process == record.process) {
                member.running = record.running;
                member.children = record.children.into_iter().map(|child| child.restore(events)).collect();
            }
        }
    }
}

impl MemberRecord {
    fn new(member: &Member) -> MemberRecord {
        let children = member.children.iter().map(|child| ChildRecord {
            child: child.child,
            listener: child.listener.clone(),
            in_hand: child.in_hand.as_ref().map(|held| (held.entry.serials.pool_serial, held.written)),
            heard: child.heard,
            deaf: child.deaf,
            owes_since: child.owes_since,
        });
        MemberRecord { process: member.process, running: member.running, children: children.collect() }
    }
}

impl ChildRecord {
    fn restore(self, events: &BTreeMap<u64, Entry>) -> ListenerChild {
        let in_hand = self
            .in_hand
            .and_then(|(serial, written)| events.get(&serial).map(|entry| InHand { entry: entry.clone(), written }));
        let ChildRecord { child, listener, heard, deaf, owes_since, .. } = self;
        ListenerChild { child, listener, in_hand, heard, deaf, owes_since }
    }
}

/// Neighbouring serials as runs, in the order given.
fn runs(serials: impl Iterator<Item = u64>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for serial in serials {
        match runs.last_mut() {
            Some(run) if run.first.checked_add(run.count) == Some(serial) => run.count += 1,
            _ => runs.push(Run { first: serial, count: 1 }),
        }
    }
    runs
}

/// Everything that records of a predecessor say.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) daemon: DaemonRecord,
    pools: BTreeMap<String, PoolRecord>,
    events: BTreeMap<String, BTreeMap<u64, Entry>>,
}

impl Memory {
    pub(super) fn read(records: impl IntoIterator<Item = Record>) -> Memory {
        let mut memory = Memory::default();
        for Record(kind) in records {
            match kind {
                Kind::Daemon(daemon) => memory.daemon = daemon,
                Kind::Event(EventRecord { pool, serials, event, payload }) => {
                    let entry = Entry { serials, notification: Arc::new(Notification { event, payload }) };
                    memory.events.entry(pool).or_default().insert(serials.pool_serial, entry);
                }
                Kind::Pool(record) => drop(memory.pools.insert(record.pool.clone(), record)),
                Kind::Removed(pool) => {
                    memory.pools.remove(&pool);
                    memory.events.remove(&pool);
                }
            }
        }
        memory
    }

    /// Makes a fresh pool what it was, if it is remembered.
    pub(super) fn recall(&mut self, pool: &mut Pool) {
        if let Some(record) = self.pools.remove(&pool.name) {
            let events = self.events.remove(&pool.name).unwrap_or_default();
            record.apply(pool, &events);
        }
    }
}

/// All of a pool, for a journal that begins.
pub(super) fn whole(pool: &Pool, records: &mut VecDeque<Record>) {
    let in_hand = pool.members.iter().flat_map(|member| &member.children).filter_map(|child| child.in_hand.as_ref());
    for entry in pool.queue.iter().chain(in_hand.map(|in_hand| &in_hand.entry)) {
        records.push_back(Record(Kind::Event(EventRecord::new(&pool.name, entry))));
    }
    records.push_back(Record(Kind::Pool(PoolRecord::new(pool))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_a_few_runs() {
        let short = |serials: &[u64]| {
            runs(serials.iter().copied()).iter().map(|run| (run.first, run.count)).collect::<Vec<_>>()
        };
        assert_eq!(short(&[]), []);
        assert_eq!(short(&[3, 4, 5, 6]), [(3, 4)]);
        assert_eq!(short(&[2, 7, 8, 9, 1, 0]), [(2, 1), (7, 3), (1, 1), (0, 1)]);
        assert_eq!(short(&[u64::MAX, 0]), [(u64::MAX, 1), (0, 1)]);
    }
}
