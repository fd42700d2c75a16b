//! Waiting for conditions, with a bound.

use std::time::{Duration, Instant};

/// How long anything in these tests may take. Generous: the machine may be busy.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Asks `probe` until it answers `Ok`; fails with its last complaint when the bound is over.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let begin = Instant::now();
    loop {
        match probe() {
            Ok(value) => return value,
            Err(seen) if begin.elapsed() > BOUND => panic!("waited for {what}; seen last: {seen}"),
            Err(_) => std::thread::sleep(Duration::from_millis(30)),
        }
    }
}
