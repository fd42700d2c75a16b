//! The way back from the plane to the worker, with a bound on what lies on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::eventfd::EventFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::plane::Notice;

/// Bytes of `Notice::Output` that may lie unreceived. At the limit the pipes whose sinks ask for copies are not read
/// (their children feel it); other pipes are.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// What the plane tells the worker, in order.
#[derive(Debug)]
pub struct Notices {
    receiver: UnboundedReceiver<Notice>,
    budget: Arc<Budget>,
}

/// The plane's end.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    sender: UnboundedSender<Notice>,
    budget: Arc<Budget>,
}

/// Counts the bytes of output that are on the way.
#[derive(Debug)]
struct Budget {
    bytes: AtomicUsize,
    /// Rung when there is room again.
    bell: Arc<EventFd>,
}

/// `bell` is rung when output, having reached its bound, fits again.
pub(super) fn channel(bell: Arc<EventFd>) -> (Teller, Notices) {
    let (sender, receiver) = unbounded_channel();
    let budget = Arc::new(Budget { bytes: AtomicUsize::new(0), bell });
    (Teller { sender, budget: Arc::clone(&budget) }, Notices { receiver, budget })
}

impl Notices {
    /// Waits for the next notice; `None` when the plane has ended. Cancel safe.
    pub async fn recv(&mut self) -> Option<Notice> {
        let notice = self.receiver.recv().await;
        self.settle(notice)
    }

    /// The next notice if there is one already.
    pub fn try_recv(&mut self) -> Option<Notice> {
        let notice = self.receiver.try_recv().ok();
        self.settle(notice)
    }

    fn settle(&self, notice: Option<Notice>) -> Option<Notice> {
        if let Some(Notice::Output { bytes, .. }) = &notice {
            let before = self.budget.bytes.fetch_sub(bytes.len(), Ordering::AcqRel);
            if before >= OUTPUT_BYTES_MAX && before - bytes.len() < OUTPUT_BYTES_MAX {
                // The counter of an eventfd overflows only after 2^64 rings nobody heard.
                let _rung = self.budget.bell.write(1);
            }
        }
        notice
    }
}

impl Teller {
    /// A worker that no longer listens is about to end: nothing is left to do for its notices.
    pub(super) fn tell(&self, notice: Notice) {
        if let Notice::Output { bytes, .. } = &notice {
            self.budget.bytes.fetch_add(bytes.len(), Ordering::AcqRel);
        }
        let _told = self.sender.send(notice);
    }

    /// Whether more output may be told.
    pub(super) fn has_room(&self) -> bool {
        self.budget.bytes.load(Ordering::Acquire) < OUTPUT_BYTES_MAX || self.sender.is_closed()
    }
}
