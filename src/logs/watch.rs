//! The thread that notices when the lane hangs. It sleeps without a clock as long as nothing is under way.

use std::io;
use std::sync::Arc;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use super::board::Board;
use super::lane::{Lane, Shared};
use super::plane::Notice;
use crate::sys::clock;

/// An operation that takes longer loses its thread, so that other logs go on.
const PATIENCE: Duration = Duration::from_millis(500);

/// The same on a file system that has a thread hanging already.
const PATIENCE_WITH_SUSPECTS: Duration = Duration::from_millis(50);

/// An operation that takes longer is reported.
pub const STUCK_AFTER: Duration = Duration::from_secs(2);

/// When there is no thread or descriptor to be had for a new lane, it is tried again after this.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

const STACK_BYTES: usize = 256 * 1024;

/// Starts the thread.
pub(super) fn spawn(shared: Arc<Shared>) -> io::Result<()> {
    let builder = thread::Builder::new().name("logs-watch".to_owned()).stack_size(STACK_BYTES);
    builder.spawn(move || run(&shared)).map(|_| ())
}

fn run(shared: &Arc<Shared>) {
    let mut seen = 0;
    let mut board = shared.lock();
    while !board.over {
        let now = clock::monotonic();
        let next = match look(&mut board, shared, now) {
            Some(at) => at,
            // Something has happened since: it may well happen again, and to be woken each time costs more.
            None if board.turns != seen => now + PATIENCE,
            None => {
                board.watched = false;
                board = shared.watcher.wait(board).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
        };
        seen = board.turns;
        let wait = next.saturating_sub(now);
        board = shared.watcher.wait_timeout(board, wait).unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Replaces a lane that hangs, reports what hangs for long; gives when to look again.
fn look(board: &mut Board, shared: &Arc<Shared>, now: Duration) -> Option<Duration> {
    let mut next = None;
    if let Some(out) = board.out {
        let patience = if board.is_suspect(out.key) { PATIENCE_WITH_SUSPECTS } else { PATIENCE };
        let until = out.since + patience;
        next = Some(until);
        if now >= until {
            next = replace_lane(board, shared).is_err().then_some(now + TRY_AGAIN_AFTER);
        }
    }
    let mut told = Vec::new();
    for loss in board.lost.values_mut().filter(|loss| !loss.told) {
        let until = loss.out.since + STUCK_AFTER;
        if now >= until {
            loss.told = true;
            told.push(loss.out.key);
        } else {
            next = Some(next.map_or(until, |next| next.min(until)));
        }
    }
    for file in told.into_iter().map(|key| board.file_of(key)).filter(|file| !file.as_os_str().is_empty()) {
        shared.means.teller.tell(Notice::Stuck { file });
    }
    next
}

fn replace_lane(board: &mut Board, shared: &Arc<Shared>) -> io::Result<()> {
    // It waits for the board, which is ours, and finds there whether it is needed.
    Lane::prepare(shared, board.lane + 1)?.spawn()?;
    board.lose_lane(&shared.means).map(|_| ()).ok_or_else(|| io::ErrorKind::QuotaExceeded.into())
}
