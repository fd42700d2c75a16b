//! How often somebody was asked during an operation, and how often in vain.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One request of the daemon's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// From asking to the answer.
    pub took: Duration,
    /// Why there was no good answer.
    pub result: Result<(), String>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub asked: u64,
    pub failed: u64,
    /// The longest time to a good answer.
    pub slowest: Duration,
    /// Why the first one failed; empty: none has.
    pub first_failure: String,
}

impl Tally {
    pub(super) fn count(&mut self, asked: &Asked) {
        self.asked += 1;
        match &asked.result {
            Ok(()) => self.slowest = self.slowest.max(asked.took),
            Err(why) => {
                self.failed += 1;
                if self.first_failure.is_empty() {
                    self.first_failure.clone_from(why);
                }
            }
        }
    }
}
