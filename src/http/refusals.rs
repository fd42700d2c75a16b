//! The audit lines about those who were refused, bounded: who knocks a thousand times fills no disk.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::limits::{REFUSALS_TOLD_MAX, REFUSALS_WINDOW};

/// What was told of one endpoint lately.
#[derive(Debug)]
pub(super) struct Refusals {
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    told: u32,
    untold: u64,
}

impl Refusals {
    pub(super) fn new() -> Refusals {
        Refusals { window: Mutex::new(Window { since: Instant::now(), told: 0, untold: 0 }) }
    }

    /// Tells that `what` was refused to `whom`, unless too much was told already.
    pub(super) fn tell(&self, what: impl Display, whom: impl Display) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.since.elapsed() >= REFUSALS_WINDOW {
            if window.untold > 0 {
                tracing::warn!("audit: refused {} more requests that are not listed", window.untold);
            }
            *window = Window { since: Instant::now(), told: 0, untold: 0 };
        }
        if window.told < REFUSALS_TOLD_MAX {
            window.told += 1;
            tracing::warn!("audit: refused {what} to {whom}");
        } else {
            window.untold += 1;
        }
    }
}
