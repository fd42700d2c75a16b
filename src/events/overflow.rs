//! Drops of a full queue: counted, the first told at once, the rest summed up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::line::Line;
use crate::engine::Moment;

/// At most one line in this time tells of drops, however many there are.
pub(super) const SUMMARY_EVERY: Duration = Duration::from_secs(10);

/// What was dropped and not told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Overflow {
    /// Ever.
    total: u64,
    /// While it lasts, drops are added up. Set by the drop that got a line of its own.
    quiet_until: Option<Moment>,
    untold: Option<Untold>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Untold {
    count: u64,
    first: u64,
    last: u64,
}

impl Overflow {
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The event of this serial was dropped; the line to log, if it is time for one.
    pub(super) fn dropped(&mut self, now: Moment, pool: &str, serial: u64) -> Option<Line> {
        self.total = self.total.saturating_add(1);
        if self.quiet_until.is_none_or(|until| now >= until) && self.untold.is_none() {
            self.quiet_until = Some(now + SUMMARY_EVERY);
            return Some(Line::Dropped { serial, pool: pool.to_owned() });
        }
        let untold = self.untold.get_or_insert(Untold { count: 0, first: serial, last: serial });
        untold.count = untold.count.saturating_add(1);
        untold.last = serial;
        None
    }

    /// When [`Overflow::sum_up`] has something to say; `None` while there is nothing.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.untold.and(self.quiet_until)
    }

    /// The summary, if it is due.
    pub(super) fn sum_up(&mut self, now: Moment, pool: &str) -> Option<Line> {
        if self.deadline().is_none_or(|due| now < due) {
            return None;
        }
        self.quiet_until = Some(now + SUMMARY_EVERY);
        self.tell(pool)
    }

    /// The summary of what is not told, due or not: the pool is going.
    pub(super) fn tell(&mut self, pool: &str) -> Option<Line> {
        let Untold { count, first, last } = self.untold.take()?;
        Some(Line::DroppedMore { pool: pool.to_owned(), count, first, last, seconds: SUMMARY_EVERY.as_secs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn text(line: Option<Line>) -> String {
        line.map_or_else(String::new, |line| line.to_string())
    }

    #[test]
    fn the_first_drop_is_told_and_the_others_are_summed_up() {
        let mut overflow = Overflow::default();
        assert_eq!(text(overflow.dropped(at(0), "p", 4)), "pool p event buffer overflowed, discarding event 4");
        assert_eq!(overflow.deadline(), None, "one drop wakes nobody");
        assert_eq!(overflow.dropped(at(1), "p", 5), None);
        assert_eq!(overflow.dropped(at(2), "p", 9), None);
        assert_eq!(overflow.deadline(), Some(at(10)));
        assert_eq!(overflow.sum_up(at(9), "p"), None);
        assert!(
            text(overflow.sum_up(at(10), "p"))
                .contains("discarded 2 more events in the last 10 seconds (serials 5 to 9)")
        );
        assert_eq!(overflow.deadline(), None);
        assert_eq!(overflow.dropped(at(11), "p", 12), None, "still noisy: no line for each");
        assert_eq!(overflow.deadline(), Some(at(20)));
        assert!(text(overflow.sum_up(at(20), "p")).contains("discarded 1 more events"));
        assert_eq!(overflow.sum_up(at(30), "p"), None);
        assert_eq!(text(overflow.dropped(at(30), "p", 13)), "pool p event buffer overflowed, discarding event 13");
        assert_eq!(overflow.total(), 5);
    }

    #[test]
    fn nothing_stays_untold_when_the_pool_goes() {
        let mut overflow = Overflow::default();
        assert_eq!(overflow.tell("p"), None);
        overflow.dropped(at(0), "p", 1);
        assert_eq!(overflow.tell("p"), None);
        overflow.dropped(at(0), "p", 2);
        assert!(text(overflow.tell("p")).contains("serials 2 to 2"));
    }
}
