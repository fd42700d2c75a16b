//! The events that wait in one pool.

use std::collections::VecDeque;
use std::sync::Arc;

use super::envelope::Serials;
use super::payload::Notification;

/// An event with its place in one pool's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) serials: Serials,
    /// Shared with the other pools that wait to tell it.
    pub(super) notification: Arc<Notification>,
}

/// A queue of bounded length, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    entries_max: usize,
}

impl Queue {
    /// An empty queue; `entries_max` is at least 1.
    pub(super) fn new(entries_max: usize) -> Queue {
        Queue { entries: VecDeque::new(), entries_max: entries_max.max(1) }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries_max(&self) -> usize {
        self.entries_max
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Adds a new event; what had to make room for it is returned.
    pub(super) fn append(&mut self, entry: Entry) -> Option<Entry> {
        let dropped = self.make_room();
        self.entries.push_back(entry);
        dropped
    }

    /// Puts an event back before all others; what had to make room for it is returned: the one that waited longest, not the
    /// returning one, as in Supervisor.
    pub(super) fn put_back(&mut self, entry: Entry) -> Option<Entry> {
        let dropped = self.make_room();
        self.entries.push_front(entry);
        dropped
    }

    /// The oldest event, out of the queue.
    pub(super) fn take(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    pub(super) fn oldest(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// Holds so many from now on, at least 1; what there is no room for any more is returned, oldest first.
    pub(super) fn resize(&mut self, entries_max: usize) -> Vec<Entry> {
        self.entries_max = entries_max.max(1);
        let surplus = self.entries.len().saturating_sub(self.entries_max);
        self.entries.drain(..surplus).collect()
    }

    fn make_room(&mut self) -> Option<Entry> {
        if self.entries.len() < self.entries_max { None } else { self.entries.pop_front() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::event::EventType;

    fn entry(serial: u64) -> Entry {
        let notification = Arc::new(Notification { event: EventType::Tick5, payload: String::new() });
        Entry { serials: Serials { serial, pool_serial: serial }, notification }
    }

    fn serials(queue: &Queue) -> Vec<u64> {
        queue.iter().map(|entry| entry.serials.serial).collect()
    }

    #[test]
    fn a_smaller_queue_keeps_the_newest() {
        let mut queue = Queue::new(3);
        for serial in 1..=3 {
            assert_eq!(queue.append(entry(serial)), None);
        }
        assert_eq!(queue.resize(0), [entry(1), entry(2)]);
        assert_eq!(serials(&queue), [3]);
        assert_eq!(queue.resize(2), []);
        assert_eq!(queue.append(entry(4)), None);
        assert_eq!(serials(&queue), [3, 4]);
    }

    #[test]
    fn the_oldest_makes_room_for_the_new_and_for_the_returning() {
        let mut queue = Queue::new(2);
        assert_eq!(queue.append(entry(1)), None);
        assert_eq!(queue.append(entry(2)), None);
        assert_eq!(queue.append(entry(3)), Some(entry(1)));
        assert_eq!(serials(&queue), [2, 3]);
        assert_eq!(queue.put_back(entry(1)), Some(entry(2)));
        assert_eq!(serials(&queue), [1, 3]);
        assert_eq!(queue.take(), Some(entry(1)));
        assert_eq!(queue.put_back(entry(1)), None);
        assert_eq!(serials(&queue), [1, 3]);
    }
}
