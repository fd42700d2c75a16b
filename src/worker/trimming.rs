//! Memory that much work was done with goes back to the system a moment later. The allocator does that by itself only with what
//! is free at the end of its heap, and there something long-lived comes to lie sooner or later.

use std::time::Duration;

use super::worker::{Worker, now};
use crate::engine::Moment;
use crate::sys::heap;

/// Turns of the loop that are much work.
const TURNS: u32 = 500;

/// From there to the trimming. It is done again as long as there is work: what is needed to the end of a burst is free then.
const DELAY: Duration = Duration::from_secs(3);

/// So many turns within the delay are rest.
const TURNS_AT_REST: u32 = 100;

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
        let is_time = self.at.is_some_and(|at| at <= now);
        let enough = if self.at.is_some() { TURNS_AT_REST } else { TURNS };
        if is_time || (self.at.is_none() && self.turns >= enough) {
            self.at = (self.turns >= enough).then(|| now + DELAY);
            self.turns = 0;
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
    fn memory_is_trimmed_after_much_work_until_there_is_rest() {
        let mut trimming = Trimming::default();
        let at = |seconds| Moment(Duration::from_secs(seconds));
        let work = |trimming: &mut Trimming, turns, seconds| (0..turns).any(|_| trimming.note(at(seconds)));
        assert!(!work(&mut trimming, TURNS - 1, 10));
        assert_eq!(trimming.deadline(), None, "nobody is woken for little");
        assert!(!work(&mut trimming, TURNS, 11));
        assert_eq!(trimming.deadline(), Some(at(14)), "further work does not put it off");
        assert!(work(&mut trimming, 1, 14));
        assert_eq!(trimming.deadline(), Some(at(17)), "there was work, and may be more");
        assert!(work(&mut trimming, 1, 17));
        assert_eq!(trimming.deadline(), None);
        assert!(!work(&mut trimming, 1, 100));
    }
}
