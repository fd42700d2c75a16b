//! Memory that much work was done with goes back to the system a moment later. The allocator does that by itself only with what
//! is free at the end of its heap, and there something long-lived comes to lie sooner or later.

use std::time::Duration;

use super::worker::{Worker, now};
use crate::engine::Moment;
use crate::sys::heap;

/// Turns of the loop that are much work.
const TURNS: u32 = 500;

/// From there to the trimming: bursts are mostly over then, and one that is not costs a millisecond each time.
const DELAY: Duration = Duration::from_secs(3);

/// What was done since the last time.
#[derive(Debug, Default)]
pub(super) struct Trimming {
    turns: u32,
    at: Option<Moment>,
}

impl Trimming {
    /// When it is to be done.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.at
    }

    /// One more turn. Whether it is time.
    fn note(&mut self, now: Moment) -> bool {
        self.turns = self.turns.saturating_add(1);
        if self.at.is_none() && self.turns >= TURNS {
            self.at = Some(now + DELAY);
        }
        let is_time = self.at.is_some_and(|at| at <= now);
        if is_time {
            *self = Trimming::default();
        }
        is_time
    }
}

impl Worker {
    /// Once in each turn.
    pub(super) fn trim_memory(&mut self) {
        if self.trimming.note(now().mono) {
            heap::give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_trimmed_once_after_much_work_and_not_at_rest() {
        let mut trimming = Trimming::default();
        let at = |seconds| Moment(Duration::from_secs(seconds));
        for _ in 1..TURNS {
            assert!(!trimming.note(at(10)));
        }
        assert_eq!(trimming.deadline(), None, "nobody is woken for little");
        for _ in 0..TURNS {
            assert!(!trimming.note(at(11)));
        }
        assert_eq!(trimming.deadline(), Some(at(14)), "further work does not put it off");
        assert!(trimming.note(at(14)));
        assert!(!trimming.note(at(100)));
        assert_eq!(trimming.deadline(), None);
    }
}
