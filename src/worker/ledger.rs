//! Records that the journal keeps for a successor, and which of them it does not have yet.

use std::collections::{BTreeMap, BTreeSet};

/// Records by what they are about.
#[derive(Debug)]
pub(super) struct Ledger<K, V> {
    records: BTreeMap<K, V>,
    /// Those that are not in the journal as they are.
    unwritten: BTreeSet<K>,
}

impl<K, V> Default for Ledger<K, V> {
    fn default() -> Self {
        Ledger { records: BTreeMap::new(), unwritten: BTreeSet::new() }
    }
}

impl<K: Ord + Copy, V: Clone> Ledger<K, V> {
    /// Goes on with a predecessor's records; of several of one the last counts.
    pub(super) fn resume(records: Vec<V>, key: impl Fn(&V) -> K) -> Self {
        let records = records.into_iter().map(|record| (key(&record), record)).collect();
        Ledger { records, unwritten: BTreeSet::new() }
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.records.get(&key)
    }

    /// For a change that the journal need not have, or that [`Ledger::changed`] tells of.
    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.records.get_mut(&key)
    }

    /// In the order of their keys.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.records.values()
    }

    pub(super) fn put(&mut self, key: K, record: V) {
        self.records.insert(key, record);
        self.unwritten.insert(key);
    }

    pub(super) fn changed(&mut self, key: K) {
        self.unwritten.insert(key);
    }

    /// A whole journal leaves out those that this forgets.
    pub(super) fn retain(&mut self, keeps: impl Fn(K, &V) -> bool) {
        self.records.retain(|key, record| keeps(*key, record));
    }

    /// For a whole journal.
    pub(super) fn all(&self) -> Vec<V> {
        self.records.values().cloned().collect()
    }

    /// Those that the journal does not have yet.
    pub(super) fn changes(&self) -> Vec<V> {
        self.unwritten.iter().filter_map(|key| self.records.get(key).cloned()).collect()
    }

    pub(super) fn journalled(&mut self) {
        self.unwritten.clear();
    }
}
