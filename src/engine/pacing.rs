//! When an automatic start may happen: a program's own waits, its limit, and the rate that all programs share.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Moment;

/// What follows the end of a program, beside its restart: `on_fatal`, `on_exit`, ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEnd {
    #[default]
    Ignore,
    /// The daemon stops everything in order and ends with this program's exit code.
    Shutdown,
}

/// The keys about restarts that Supervisor does not have. The default is Supervisor's behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Restarts {
    /// `None`: Supervisor's waits.
    pub delay: Option<Delay>,
    pub limit: Option<Limit>,
    pub on_fatal: OnEnd,
    pub on_exit: OnEnd,
    /// A start that fails for want of resources counts as any other failure, as in Supervisor.
    #[serde(default)]
    pub counts_want: bool,
}

/// Waits before automatic starts, each longer than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    pub first: Duration,
    /// What each wait is multiplied by for the next, in hundredths; 100 and more.
    pub factor: u32,
    pub ceiling: Duration,
    /// How much of a wait is left to chance, in hundredths, up to 100: a wait of `w` becomes one of `w - w * jitter` to `w`.
    pub jitter: u32,
}

/// How many automatic starts there may be in any time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub starts: u32,
    pub window: Duration,
}

impl Delay {
    /// The wait after `before` automatic starts in a row. The same `seed` gives the same jitter.
    pub(super) fn wait(&self, before: u32, seed: u64) -> Duration {
        let ceiling = self.ceiling.as_nanos();
        let mut wait = self.first.as_nanos().min(ceiling);
        if self.factor > 100 {
            for _ in 0..before {
                if wait >= ceiling || wait == 0 {
                    break;
                }
                wait = (wait * u128::from(self.factor) / 100).min(ceiling);
            }
        }
        let chance = u128::from(mix(seed) >> 32);
        let less = (wait * u128::from(self.jitter.min(100)) / 100 * chance) >> 32;
        Duration::from_nanos(u64::try_from(wait - less).unwrap_or(u64::MAX))
    }
}

/// Spreads neighbouring numbers over all of them (the finalizer of splitmix64).
fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// So many seconds' worth of automatic starts may come at once.
const BURST_SECONDS: u32 = 5;

/// The rate of automatic starts of all programs: a token bucket whose tokens are booked ahead, so that who waits knows
/// its turn and is served in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Throttle {
    /// Between two starts; zero: no limit.
    spacing: Duration,
    burst: u32,
    /// When the bucket is full again.
    full_at: Moment,
}

impl Throttle {
    /// So many starts a second; zero: no limit.
    pub(super) fn new(per_second: u32) -> Throttle {
        let spacing = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
        Throttle { spacing, burst: per_second.saturating_mul(BURST_SECONDS), full_at: Moment::default() }
    }

    /// Takes a token; gives when it may be used.
    pub(super) fn book(&mut self, now: Moment) -> Moment {
        let full_at = self.full_at.max(now);
        self.full_at = full_at + self.spacing;
        let slack = self.spacing.saturating_mul(self.burst.saturating_sub(1));
        Moment(full_at.0.saturating_sub(slack)).max(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn waits_grow_up_to_the_ceiling() {
        let delay = Delay { first: seconds(1), factor: 200, ceiling: seconds(10), jitter: 0 };
        let waits: Vec<u64> = (0..6).map(|before| delay.wait(before, 7).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        let constant = Delay { factor: 100, ..delay };
        assert_eq!(constant.wait(u32::MAX, 7), seconds(1));
        let none = Delay { first: seconds(0), ..delay };
        assert_eq!(none.wait(u32::MAX, 7), seconds(0));
    }

    proptest! {
        #[test]
        fn jitter_shortens_a_wait_by_no_more_than_its_part(
            first in 0..100_000_u64, jitter in 0..=100_u32, before in 0..20_u32, seed in any::<u64>(),
        ) {
            let delay = Delay { first: Duration::from_millis(first), factor: 150, ceiling: seconds(60), jitter };
            let whole = Delay { jitter: 0, ..delay }.wait(before, seed);
            let wait = delay.wait(before, seed);
            prop_assert!(wait <= whole && wait >= whole * (100 - jitter) / 100);
            prop_assert_eq!(wait, delay.wait(before, seed));
        }

        #[test]
        fn no_more_start_in_any_time_than_the_bucket_allows(
            rate in 1..30_u32, pauses in proptest::collection::vec(0..400_u64, 1..300),
        ) {
            let mut throttle = Throttle::new(rate);
            let mut now = Moment(seconds(100));
            let mut starts = Vec::new();
            for pause in pauses {
                now = now + Duration::from_millis(pause);
                let at = throttle.book(now);
                prop_assert!(at >= now);
                starts.push(at);
            }
            prop_assert!(starts.is_sorted(), "who comes first is served first");
            for (index, first) in starts.iter().enumerate() {
                let within = starts[index..].iter().filter(|at| at.since(*first) < seconds(2)).count();
                prop_assert!(within <= (rate * BURST_SECONDS + rate * 2) as usize + 1, "{within} in 2 s at {rate}/s");
            }
        }

        #[test]
        fn without_a_rate_nobody_waits(at in 0..10_000_u64) {
            let now = Moment(Duration::from_millis(at));
            prop_assert_eq!(Throttle::default().book(now), now);
            prop_assert_eq!(Throttle::new(0).book(now), now);
        }
    }
}
