//! The only place that reads a clock.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since boot on `CLOCK_MONOTONIC`: the same for all processes of the machine.
#[must_use]
pub fn monotonic() -> Duration {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Time since the epoch; zero if the clock stands before it. For display only.
#[must_use]
pub fn wall() -> Duration {
    read(ClockId::CLOCK_REALTIME)
}

/// How long the machine has been suspended since boot: `CLOCK_MONOTONIC` stands still meanwhile.
#[must_use]
pub fn suspended() -> Duration {
    read(ClockId::CLOCK_BOOTTIME).saturating_sub(monotonic())
}

/// Both at once: monotonic time, and whole seconds since the epoch.
#[must_use]
pub fn now() -> (Duration, i64) {
    (monotonic(), i64::try_from(wall().as_secs()).unwrap_or(i64::MAX))
}

/// These clocks exist on every Linux, so the kernel has no error to give; were there one,
/// zero is the answer that makes no deadline come early.
fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let nanoseconds = u32::try_from(time.tv_nsec()).unwrap_or(0);
        Duration::new(seconds, nanoseconds.min(999_999_999))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_does_not_run_backwards() {
        let first = monotonic();
        assert!(first > Duration::ZERO);
        assert!(monotonic() >= first);
    }

    #[expect(clippy::disallowed_methods, reason = "it is what ours is compared with")]
    #[test]
    fn wall_time_is_that_of_the_standard_library() {
        let theirs = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(wall().abs_diff(theirs) < Duration::from_secs(5));
    }
}
