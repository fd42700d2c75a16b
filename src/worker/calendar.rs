//! Steps of the wall clock, which are told once. Deadlines are on the monotonic clock and do not follow them; nothing
//! wakes to look: whatever wakes the loop makes it look.

use std::time::Duration;

use super::worker::Worker;
use crate::logs::{Level, log};
use crate::sys::clock;

/// Smaller ones are corrections that nobody has to know of, s.
const STEP_MIN: i64 = 5;

/// How the clocks stood to each other at the last look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    /// Seconds from the monotonic clock's zero to the wall clock's.
    offset: i64,
    suspended: Duration,
}

/// What happened to the wall clock between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Somebody set it by so many seconds.
    Set(i64),
    /// The machine slept so many seconds, in which the monotonic clock stood still.
    Suspended(i64),
}

impl Calendar {
    pub(super) fn new() -> Calendar {
        let (mono, wall) = clock::now();
        Calendar { offset: offset(mono, wall), suspended: clock::suspended() }
    }

    fn look(&mut self, mono: Duration, wall: i64, suspended: Duration) -> Option<Step> {
        let offset = offset(mono, wall);
        let step = offset.saturating_sub(self.offset);
        if step.abs() <= STEP_MIN {
            return None;
        }
        let slept = i64::try_from(suspended.saturating_sub(self.suspended).as_secs()).unwrap_or(i64::MAX);
        *self = Calendar { offset, suspended };
        Some(if step.abs_diff(slept) <= STEP_MIN.unsigned_abs() { Step::Suspended(step) } else { Step::Set(step) })
    }
}

fn offset(mono: Duration, wall: i64) -> i64 {
    wall.saturating_sub(i64::try_from(mono.as_secs()).unwrap_or(i64::MAX))
}

impl Worker {
    /// Tells of a step of the wall clock since the last look.
    pub(super) fn look_at_the_clock(&mut self) {
        let (mono, wall) = clock::now();
        let text = match self.calendar.look(mono, wall, clock::suspended()) {
            None => return,
            Some(Step::Suspended(seconds)) => {
                format!("the machine was suspended for {seconds} s; waits of programs go on where they were")
            }
            Some(Step::Set(seconds)) => {
                let way = if seconds < 0 { "back" } else { "forward" };
                let amount = seconds.unsigned_abs();
                format!("the clock was set {way} by {amount} s; no wait becomes longer or shorter by that")
            }
        };
        log(Level::Warn, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_once_and_drift_is_not() {
        let begin = Calendar { offset: 1000, suspended: Duration::ZERO };
        let at = |mono: u64| Duration::from_secs(mono);
        for (wall, suspended, wanted) in [
            (1010, 0, None),
            (1015, 0, None),
            (1005, 0, None),
            (1016, 0, Some(Step::Set(6))),
            (4610, 0, Some(Step::Set(3600))),
            (-2590, 0, Some(Step::Set(-3600))),
            (1611, 600, Some(Step::Suspended(601))),
            (4610, 600, Some(Step::Set(3600))),
            (i64::MAX, 0, Some(Step::Set(i64::MAX - 1010))),
        ] {
            let mut calendar = begin;
            assert_eq!(calendar.look(at(10), wall, at(suspended)), wanted, "{wall}");
            let told_again = calendar.look(at(11), wall.saturating_add(1), at(suspended));
            assert_eq!(told_again, None, "{wall}");
        }
    }
}
