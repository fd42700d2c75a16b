//! Waiting for conditions, with a bound.

use std::time::{Duration, Instant};

/// How long anything in these tests may take, in seconds. Generous: the machine may be busy.
const BOUND_SECS: u64 = 60;

/// Asks `probe` until it answers `Ok`; fails with its last complaint when the bound is over.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let begin = Instant::now();
    loop {
        match probe() {
            Ok(value) => return value,
            Err(seen) if begin.elapsed() > Duration::from_secs(BOUND_SECS) => {
                panic!("waited {BOUND_SECS} s for {what}; seen last: {seen}")
            }
            Err(_) => pause(),
        }
    }
}

/// As [`until`], for conditions without a value.
pub(crate) fn until_true(what: &str, mut probe: impl FnMut() -> bool) {
    until(what, || if probe() { Ok(()) } else { Err("not yet".into()) });
}

/// The grain of polling: short against everything that is waited for.
fn pause() {
    std::thread::sleep(Duration::from_millis(15));
}
