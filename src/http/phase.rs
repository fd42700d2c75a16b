//! How far a connection is with its current request, and until when it may stay there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::Times;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Agreeing with the client on keys; it may give way to others as an idle one.
    Handshake,
    /// Waiting for a request's first byte.
    Idle,
    /// Reading a request's headers.
    Head,
    /// Reading the body or waiting for the answer: a start may take as long as it takes. The body has its own timeout.
    Working,
    /// Sending the answer.
    Writing,
    /// Sending a log that has no end.
    Following,
    /// Waiting for the client to stop sending; it counts as a connection, and its time is not measured here.
    Ending,
}

/// The phase of one connection, known to hyper's reads and writes, to the request's handler and to the endpoint.
///
/// Everything runs on one thread; the lock only satisfies the compiler, and is never held across an await.
#[derive(Debug)]
pub(super) struct Phases {
    current: Mutex<(Phase, Instant)>,
    /// No byte of a request has come yet.
    fresh: AtomicBool,
    pub(super) times: Times,
    /// Asks the connection to end as soon as it can.
    pub(super) end: Notify,
}

impl Phases {
    pub(super) fn new(times: Times) -> Phases {
        let current = Mutex::new((Phase::Idle, Instant::now()));
        Phases { current, fresh: AtomicBool::new(true), times, end: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, (Phase, Instant)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, phase: Phase) {
        *self.lock() = (phase, Instant::now());
    }

    pub(super) fn phase(&self) -> Phase {
        self.lock().0
    }

    /// Whether the client has not said anything yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh.load(Ordering::Relaxed)
    }

    /// Since when the connection waits for a request; `None` while it is busy.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let (phase, since) = *self.lock();
        matches!(phase, Phase::Idle | Phase::Handshake).then_some(since)
    }

    /// Since when the handshake goes on; `None` if none does.
    pub(super) fn handshake_since(&self) -> Option<Instant> {
        let (phase, since) = *self.lock();
        (phase == Phase::Handshake).then_some(since)
    }

    /// When the client has been too slow; `None` while we are the ones who take time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (phase, since) = *self.lock();
        let allowed: Duration = match phase {
            Phase::Idle => self.times.idle,
            Phase::Handshake | Phase::Head => self.times.header,
            Phase::Writing => self.times.write,
            Phase::Working | Phase::Following | Phase::Ending => return None,
        };
        Some(since + allowed)
    }

    /// The client sent something.
    pub(super) fn bytes_came(&self) {
        self.fresh.store(false, Ordering::Relaxed);
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// The client took something.
    pub(super) fn bytes_went(&self) {
        if self.phase() == Phase::Writing {
            self.enter(Phase::Writing);
        }
    }

    /// The client has taken all there was.
    pub(super) fn all_went(&self) {
        if self.phase() == Phase::Writing {
            self.enter(Phase::Idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_through_its_phases() {
        let phases = Phases::new(Times::default());
        assert!(phases.idle_since().is_some());
        phases.bytes_came();
        assert_eq!(phases.phase(), Phase::Head);
        phases.all_went();
        assert_eq!(phases.phase(), Phase::Head);
        phases.enter(Phase::Working);
        phases.bytes_came();
        assert_eq!((phases.phase(), phases.deadline()), (Phase::Working, None));
        phases.enter(Phase::Writing);
        phases.bytes_went();
        assert_eq!(phases.phase(), Phase::Writing);
        phases.all_went();
        assert_eq!(phases.phase(), Phase::Idle);
    }
}
