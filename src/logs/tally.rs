//! How much a child has said: counted on the lane, read by the worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that left a pipe, whatever became of them.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<AtomicU64>);

impl Tally {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
