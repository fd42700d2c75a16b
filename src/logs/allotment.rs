//! How much of a pipe may go into its log: a number of bytes for each second. What comes beyond is thrown away and counted, so
//! that neither the disk fills nor the program waits.

use std::time::Duration;

use super::logfile::Failure;
use super::marker::marker;
use super::plane::Notice;
use super::target::{Served, Target, Tools};

/// Why a log lacks what is beyond its rate, in its own words.
pub(super) const RATE_REASON: &str = " (output_rate_max)";

/// Bytes thrown away from one pipe in one go, at most.
const SUPPRESSED_MAX: usize = 1024 * 1024;

/// The rate is held in each of these.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// One pipe's part of the present window.
#[derive(Debug)]
pub(super) struct Allotment {
    per_window: usize,
    ends_at: Duration,
    left: usize,
    /// Thrown away in this window, or in the one before if nobody asked yet.
    suppressed: u64,
    total: u64,
}

impl Allotment {
    /// The first window begins with the first turn.
    pub(super) fn new(bytes_per_second: u64) -> Allotment {
        let per_window = usize::try_from(bytes_per_second).unwrap_or(usize::MAX);
        Allotment { per_window, ends_at: Duration::ZERO, left: 0, suppressed: 0, total: 0 }
    }

    /// Another rate from now on.
    pub(super) fn change(&mut self, bytes_per_second: u64) {
        self.per_window = usize::try_from(bytes_per_second).unwrap_or(usize::MAX);
        self.left = self.left.min(self.per_window);
    }

    /// Begins the next window if it is time; what was thrown away in the last one, if anything.
    pub(super) fn turn(&mut self, now: Duration) -> Option<u64> {
        if now < self.ends_at {
            return None;
        }
        self.ends_at = now + WINDOW;
        self.left = self.per_window;
        self.told()
    }

    /// What was thrown away and is not told yet.
    pub(super) fn told(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.suppressed)).filter(|suppressed| *suppressed > 0)
    }

    /// Bytes that may still go into the log in this window.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    pub(super) fn moved(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
    }

    pub(super) fn suppress(&mut self, count: usize) {
        self.suppressed = self.suppressed.saturating_add(count as u64);
        self.total = self.total.saturating_add(count as u64);
    }

    /// Thrown away, ever.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// When there is something to do though no byte comes: the window ends, and what it lacks is to be told.
    pub(super) fn due(&self) -> Option<Duration> {
        (self.left == 0 || self.suppressed > 0).then_some(self.ends_at)
    }
}

impl Target {
    /// Begins a pipe's next window, telling what the last one lacks, or throws away what is beyond the present one.
    pub(super) fn keep_to_rate(
        &mut self,
        index: usize,
        now: Duration,
        served: &mut Served,
        tools: &mut Tools,
    ) -> Result<(), Failure> {
        let Some(source) = self.sources.get_mut(index) else { return Ok(()) };
        let Some(allotment) = &mut source.allotment else { return Ok(()) };
        if let Some(suppressed) = allotment.turn(now) {
            tools.teller.tell(Notice::Suppressed { source: source.id, total: allotment.total() });
            if let Some(log) = &self.log {
                self.carry.extend(marker(&log.path, suppressed, RATE_REASON));
                self.write_carry()?;
                self.blocked |= !self.carry.is_empty();
            }
        } else if allotment.left() == 0 {
            let wanted = source.drain.and_then(|drain| drain.left).unwrap_or(SUPPRESSED_MAX);
            // A pipe that cannot be read is told of by who moves its bytes.
            let count = tools.scratch.discard(&*source.pipe, wanted).unwrap_or(0);
            allotment.suppress(count);
            source.moved(count);
            served.again |= count >= SUPPRESSED_MAX;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_has_its_bytes_and_tells_what_it_left_out() {
        let at = Duration::from_millis;
        let mut allotment = Allotment::new(100);
        assert_eq!((allotment.turn(at(5000)), allotment.left(), allotment.due()), (None, 100, None));
        allotment.moved(60);
        allotment.moved(60);
        assert_eq!((allotment.left(), allotment.due()), (0, Some(at(6000))));
        allotment.suppress(7);
        allotment.suppress(8);
        assert_eq!((allotment.turn(at(5999)), allotment.left()), (None, 0));
        assert_eq!((allotment.turn(at(6000)), allotment.left(), allotment.total()), (Some(15), 100, 15));
        assert_eq!((allotment.turn(at(7000)), allotment.due()), (None, None));
        allotment.change(10);
        assert_eq!(allotment.left(), 10);
    }
}
