//! One worker after another: when the present one has to be gone, when the next one comes.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::engine::{Exit, Pid};

/// A worker that ends sooner than this after its start is suspected of a loop.
const QUICK: Duration = Duration::from_secs(1);

/// So many quick ends in a row are answered by an immediate restart.
const QUICK_ENDS_FREE: u32 = 5;

/// The first pause; doubled each time.
const PAUSE: Duration = Duration::from_millis(100);

const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A worker that does not take a signal in hand for so long hangs.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// So long a worker that said goodbye may take to end.
pub(super) const GOODBYE_WAIT: Duration = Duration::from_secs(10);

/// So long a worker may live that closed its socket.
pub(super) const SILENT_WAIT: Duration = Duration::from_secs(1);

/// So long a killed worker is waited for. It cannot run any more, but may be stuck in the kernel (a hung
/// file system); then its successor does not wait for it.
pub(super) const KILLED_WAIT: Duration = Duration::from_secs(2);

/// The worker of this time.
#[derive(Debug)]
pub(super) struct Tenure {
    /// Zero when the worker is a thread of this process, which cannot be killed or replaced.
    pub(super) pid: Pid,
    /// `None` once the worker has closed its end.
    pub(super) socket: Option<OwnedFd>,
    pub(super) since: Duration,
    /// It said Hello, so it can be told things.
    pub(super) greeted: bool,
    pub(super) ready: bool,
    /// It has to be gone by then.
    pub(super) until: Option<Duration>,
    pub(super) killed: bool,
}

impl Tenure {
    pub(super) fn new(pid: Pid, socket: OwnedFd, since: Duration) -> Self {
        Self { pid, socket: Some(socket), since, greeted: false, ready: false, until: None, killed: false }
    }

    /// An earlier limit stays.
    pub(super) fn end_by(&mut self, limit: Duration) {
        self.until = Some(self.until.map_or(limit, |until| until.min(limit)));
    }
}

/// What comes after this worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// Another one with the same programs.
    Restart,
    /// Another one that starts from the beginning.
    Afresh,
    /// Another program in place of this one, and its worker.
    Upgrade,
    /// Nothing: this process ends.
    End(u8),
}

/// Counts workers that ended too soon.
#[derive(Debug, Default)]
pub(super) struct Patience {
    quick_ends: u32,
}

impl Patience {
    /// How long to wait before the next worker, after one that lived for `age`.
    ///
    /// A worker that was ready and then killed by SIGKILL did not fail: somebody, or the kernel for want of
    /// memory, ended it.
    pub(super) fn pause_after(&mut self, age: Duration, ready: bool, exit: Exit) -> Duration {
        let from_outside = ready && matches!(exit, Exit::Signal { number: libc::SIGKILL, .. });
        if age >= QUICK || from_outside {
            self.quick_ends = 0;
            return Duration::ZERO;
        }
        self.quick_ends = self.quick_ends.saturating_add(1);
        match self.quick_ends.checked_sub(QUICK_ENDS_FREE) {
            None => Duration::ZERO,
            Some(times) => PAUSE.saturating_mul(1 << times.min(10)).min(PAUSE_MAX),
        }
    }

    /// Whether the last workers all failed at once.
    pub(super) fn is_at_an_end(&self) -> bool {
        self.quick_ends >= QUICK_ENDS_FREE
    }
}

/// The code this process ends with when its worker failed before anything was started: the worker's own,
/// or 128 and the signal, as a shell would say it.
pub(super) fn code(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => u8::try_from(code).unwrap_or(u8::MAX),
        Exit::Signal { number, .. } => u8::try_from(number.saturating_add(128)).unwrap_or(u8::MAX),
        Exit::OutOfMemory { .. } => code(Exit::Signal { number: libc::SIGKILL, core_dumped: false }),
        // Workers are children, whose ends are always known.
        Exit::Unknown => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_of_failures_is_slowed_down_and_a_long_life_forgives() {
        let mut patience = Patience::default();
        let quick = Duration::from_millis(10);
        let failed = Exit::Code(1);
        for _ in 0..4 {
            assert_eq!(patience.pause_after(quick, true, failed), Duration::ZERO);
        }
        assert!(!patience.is_at_an_end());
        assert_eq!(patience.pause_after(quick, false, failed), PAUSE);
        assert!(patience.is_at_an_end());
        assert_eq!(patience.pause_after(quick, false, failed), PAUSE * 2);
        for _ in 0..40 {
            assert!(patience.pause_after(quick, false, failed) <= PAUSE_MAX);
        }
        assert_eq!(patience.pause_after(QUICK, false, failed), Duration::ZERO);
        assert_eq!(patience.pause_after(quick, false, failed), Duration::ZERO);
    }

    #[test]
    fn workers_killed_from_outside_are_not_a_loop() {
        let mut patience = Patience::default();
        for _ in 0..100 {
            let exit = Exit::Signal { number: libc::SIGKILL, core_dumped: false };
            assert_eq!(patience.pause_after(Duration::ZERO, true, exit), Duration::ZERO);
        }
    }

    #[test]
    fn codes_are_those_a_shell_would_give() {
        assert_eq!(code(Exit::Code(2)), 2);
        assert_eq!(code(Exit::Signal { number: 9, core_dumped: false }), 137);
    }
}
