//! Which TICK event is due when. Time that nobody subscribed to is not watched.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::EventType;
use super::payload::Notification;
use crate::engine::{Moment, Now};

/// The three lengths of a slice, in seconds, in the order in which their events are told.
const PERIODS: [(EventType, i64); 3] = [(EventType::Tick5, 5), (EventType::Tick60, 60), (EventType::Tick3600, 3600)];

/// The wall clock is looked at again after this long at the latest, because a step of it moves no deadline.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The last slice of each watched period, as seconds since the epoch at its begin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Ticks {
    last: [Option<i64>; 3],
}

impl Ticks {
    /// Watches the periods whose events somebody wants, and no others. A period that was not watched begins with the
    /// slice of `now`, for which no event is due. True if something changed.
    pub(super) fn watch(&mut self, now: Now, wanted: impl Fn(EventType) -> bool) -> bool {
        let before = self.last;
        for (last, (event, period)) in self.last.iter_mut().zip(PERIODS) {
            *last = wanted(event).then(|| last.unwrap_or_else(|| slice(period, now.wall)));
        }
        self.last != before
    }

    /// The events that are due: one for each watched period whose slice is another than last time, however many lie
    /// in between, and also when the clock went back.
    /// Source: Supervisor 4.3.0, supervisord.py, `tick`.
    pub(super) fn due(&mut self, now: Now) -> Vec<Notification> {
        let mut due = Vec::new();
        for (last, (event, period)) in self.last.iter_mut().zip(PERIODS) {
            let slice = slice(period, now.wall);
            if let Some(last) = last
                && *last != slice
            {
                *last = slice;
                due.push(Notification::tick(event, slice));
            }
        }
        due
    }

    /// When to look again; `None` if nobody waits for a TICK. As `now.wall` is in whole seconds, a slice may be found to have
    /// begun up to a second late, as by Supervisor, which looks once a second.
    pub(super) fn deadline(&self, now: Now) -> Option<Moment> {
        let watched = self.last.iter().zip(PERIODS).filter_map(|(last, (_, period))| last.map(|_| period));
        let left = watched.map(|period| period - now.wall.rem_euclid(period)).min()?;
        let left = u64::try_from(left).map_or(LOOK_EVERY, Duration::from_secs);
        Some(now.mono + left.min(LOOK_EVERY))
    }
}

/// The begin of the slice that `when` is in.
fn slice(period: i64, when: i64) -> i64 {
    when.saturating_sub(when.rem_euclid(period))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The wall clock is 1,000,000,000 s ahead of the monotonic one, unless it steps.
    fn at(mono: u64, wall: i64) -> Now {
        Now { mono: Moment(Duration::from_secs(mono)), wall }
    }

    fn told(ticks: &mut Ticks, wall: i64) -> Vec<String> {
        ticks.due(at(0, wall)).into_iter().map(|tick| format!("{} {}", tick.event, tick.payload)).collect()
    }

    #[test]
    fn a_tick_is_due_when_its_slice_changes() {
        let mut ticks = Ticks::default();
        ticks.watch(at(0, 1_795_331_987), |_| true);
        assert_eq!(told(&mut ticks, 1_795_331_987), [""; 0], "none at start-up");
        assert_eq!(told(&mut ticks, 1_795_331_989), [""; 0]);
        assert_eq!(told(&mut ticks, 1_795_331_990), ["TICK_5 when:1795331990"]);
        assert_eq!(told(&mut ticks, 1_795_331_994), [""; 0]);
        assert_eq!(told(&mut ticks, 1_795_332_011), ["TICK_5 when:1795332010", "TICK_60 when:1795332000"], "skipped");
        assert_eq!(told(&mut ticks, 1_795_332_004), ["TICK_5 when:1795332000"], "the clock went back");
        assert_eq!(
            told(&mut ticks, 1_795_334_400),
            ["TICK_5 when:1795334400", "TICK_60 when:1795334400", "TICK_3600 when:1795334400"]
        );
    }

    #[test]
    fn the_deadline_is_the_next_slice_of_what_is_watched() {
        let mut ticks = Ticks::default();
        assert_eq!(ticks.deadline(at(100, 1_000_000_003)), None);
        ticks.watch(at(100, 1_000_000_003), |event| event == EventType::Tick60);
        // 1,000,000,003 is 43 s into its minute and 2803 s into its hour.
        assert_eq!(ticks.deadline(at(100, 1_000_000_003)), Some(Moment(Duration::from_secs(117))));
        ticks.watch(at(100, 1_000_000_003), |event| EventType::Tick.includes(event));
        assert_eq!(ticks.deadline(at(100, 1_000_000_003)), Some(Moment(Duration::from_secs(102))));
        ticks.watch(at(100, 1_000_000_003), |event| event == EventType::Tick3600);
        let clock_may_step = Some(Moment(Duration::from_secs(160)));
        assert_eq!(ticks.deadline(at(100, 1_000_000_003)), clock_may_step);
        ticks.watch(at(100, 1_000_000_003), |_| false);
        assert_eq!(ticks, Ticks::default());
    }

    #[test]
    fn who_subscribes_later_hears_of_no_slice_before() {
        let mut ticks = Ticks::default();
        assert!(ticks.watch(at(0, 1000), |event| event == EventType::Tick60));
        assert!(!ticks.watch(at(0, 1003), |event| event == EventType::Tick60));
        assert!(ticks.watch(at(0, 1003), |_| true));
        assert_eq!(told(&mut ticks, 1004), [""; 0]);
        assert_eq!(told(&mut ticks, 1020), ["TICK_5 when:1020", "TICK_60 when:1020"]);
    }

    proptest! {
        #[test]
        fn who_wakes_at_each_deadline_misses_no_slice(start in 0_i64..10_000, steps in 1_usize..300) {
            let mut ticks = Ticks::default();
            let mut now = at(0, start);
            ticks.watch(now, |event| event == EventType::Tick5);
            let mut expected = slice(5, start);
            for _ in 0..steps {
                let due = ticks.deadline(now).unwrap();
                now = at(due.0.as_secs(), start + i64::try_from(due.0.as_secs()).unwrap());
                expected += 5;
                prop_assert_eq!(ticks.due(now), [Notification::tick(EventType::Tick5, expected)]);
            }
        }
    }
}
