//! How many bytes a log misses, and who has to be told of it: its reader by a line in it, the worker by notices.

use std::time::Duration;

/// The worker is told of further losses at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Loss {
    /// The file does not tell of these yet.
    pub(super) unmarked: u64,
    /// Since the log was last written as it should be.
    total: u64,
    told: u64,
    tell_at: Duration,
}

impl Loss {
    pub(super) fn add(&mut self, count: u64) {
        self.unmarked += count;
        self.total += count;
    }

    /// Whether the file tells of bytes whose loss the worker has not heard to be over.
    pub(super) fn is_marked(&self) -> bool {
        self.total > 0 && self.unmarked == 0
    }

    /// All that is missing, if it is time to tell.
    pub(super) fn news(&mut self, now: Duration) -> Option<u64> {
        if self.total == self.told || now < self.tell_at {
            return None;
        }
        self.told = self.total;
        self.tell_at = now + TELL_EVERY;
        Some(self.total)
    }

    /// The log is written again: all that is missing, for the last time.
    pub(super) fn over(&mut self) -> u64 {
        self.told = 0;
        std::mem::take(&mut self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_when_it_grew_and_not_too_often() {
        let mut loss = Loss::default();
        let at = Duration::from_millis;
        assert_eq!(loss.news(at(0)), None);
        loss.add(3);
        assert_eq!(loss.news(at(0)), Some(3));
        loss.add(4);
        assert_eq!(loss.news(at(999)), None);
        assert_eq!(loss.news(at(1000)), Some(7));
        assert_eq!(loss.news(at(5000)), None);
        assert!(!loss.is_marked());
        loss.unmarked = 0;
        assert!(loss.is_marked());
        assert_eq!(loss.over(), 7);
        assert_eq!((loss.news(at(9000)), loss.is_marked()), (None, false));
    }
}
