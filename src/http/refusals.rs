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
    told: Vec<String>,
    untold: u64,
}

impl Refusals {
    pub(super) fn new() -> Refusals {
        Refusals { window: Mutex::new(Window { since: Instant::now(), told: Vec::new(), untold: 0 }) }
    }

    /// Tells that `what` was refused to `whom`, unless that or too much was told lately; then it is counted.
    pub(super) fn tell(&self, what: impl Display, whom: impl Display) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.since.elapsed() >= REFUSALS_WINDOW {
            if window.untold > 0 {
                tracing::warn!("audit: refused {} more requests, repeated ones or too many to list", window.untold);
            }
            *window = Window { since: Instant::now(), told: Vec::new(), untold: 0 };
        }
        let text = format!("audit: refused {what} to {whom}");
        if window.told.len() >= REFUSALS_TOLD_MAX || window.told.contains(&text) {
            window.untold += 1;
        } else {
            tracing::warn!("{text}");
            window.told.push(text);
        }
    }
}
