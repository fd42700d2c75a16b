//! The thread that serves the targets, one after the other, a chunk of each pipe at a time.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::epoll::{EpollEvent, EpollTimeout};
use nix::sys::eventfd::EventFd;

use super::board::{Board, Checkout, Key, Means, Unreachable, Work};
use super::scratch::{Room, Scratch, make_room};
use super::target::{CHUNK_BYTES_MAX, Tools};
use crate::sys::clock;

/// Pipes that are looked at in one go; epoll begins with others the next time.
const EVENTS_MAX: usize = 64;

/// Room for so many commands is kept when all are done.
const COMMANDS_AT_REST: usize = 64;

/// Address space for a stack; memory is used only as far as a thread gets.
const STACK_BYTES: usize = 1024 * 1024;

/// How epoll names the bell.
pub(super) const BELL_TOKEN: u64 = 0;

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    board: Mutex<Board>,
    /// Wakes the watcher.
    pub(super) watcher: Condvar,
    /// Wakes the lane.
    pub(super) bell: Arc<EventFd>,
    pub(super) means: Means,
}

impl Shared {
    pub(super) fn new(board: Board, bell: Arc<EventFd>, means: Means) -> Shared {
        Shared { board: Mutex::new(board), watcher: Condvar::new(), bell, means }
    }

    /// Held only for moments, never over an operation that may wait. A panic while it is held is a bug whose
    /// consequences are smaller than those of stopping all logs.
    pub(super) fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ring(&self) {
        // The counter of an eventfd overflows only after 2^64 rings nobody heard.
        let _rung = self.bell.write(1);
    }
}

/// One thread's view.
#[derive(Debug)]
pub(super) struct Lane {
    shared: Arc<Shared>,
    number: u64,
    tools: Tools,
}

impl Lane {
    /// Gets what a thread needs.
    pub(super) fn prepare(shared: &Arc<Shared>, number: u64) -> io::Result<Lane> {
        let tools = Tools {
            scratch: Scratch::new(CHUNK_BYTES_MAX)?,
            transit: None,
            freed: Vec::new(),
            epoll: Arc::clone(&shared.means.epoll),
            teller: shared.means.teller.clone(),
            transits_hang: false,
            closing: false,
        };
        Ok(Lane { shared: Arc::clone(shared), number, tools })
    }

    /// Starts the thread.
    pub(super) fn spawn(self) -> io::Result<()> {
        let builder = thread::Builder::new().name(format!("logs-{}", self.number)).stack_size(STACK_BYTES);
        builder.spawn(move || self.run()).map(|_| ())
    }

    fn run(mut self) {
        if self.shared.lock().lane != self.number {
            // Made to replace one that could not be given up.
            return;
        }
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            let timeout = self.timeout();
            // Only a signal can end the wait with an error.
            let count = self.shared.means.epoll.wait(&mut events, timeout).unwrap_or(0);
            self.collect(events.get(..count).unwrap_or_default());
            while let Some(key) = self.next() {
                if !self.serve(key) {
                    return;
                }
            }
            let mut board = self.shared.lock();
            if board.is_done() {
                board.over = true;
                self.shared.watcher.notify_all();
                return;
            }
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let board = self.shared.lock();
        if !(board.ready.is_empty() && board.round.is_empty() && board.inbox.is_empty()) {
            return EpollTimeout::ZERO;
        }
        board.next_due().map_or(EpollTimeout::NONE, |at| {
            let wait = at.saturating_sub(clock::monotonic());
            // Rounded up: woken too early, we would only wait again.
            EpollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX)
        })
    }

    fn next(&self) -> Option<Key> {
        self.shared.lock().round.pop_first()
    }

    /// Takes in commands, events and times, and so begins a round.
    fn collect(&self, events: &[EpollEvent]) {
        let now = clock::monotonic();
        if events.iter().any(|event| event.data() == BELL_TOKEN) {
            // Empty if another thread was faster.
            let _heard = self.shared.bell.read();
        }
        let mut board = self.shared.lock();
        while let Some(command) = board.inbox.pop_front() {
            board.accept(command, &self.shared.means, now);
        }
        board.inbox.shrink_to(COMMANDS_AT_REST);
        board.collect_due(now);
        if self.shared.means.teller.has_room() {
            let mut starved = std::mem::take(&mut board.starved);
            board.ready.append(&mut starved);
        }
        let mut keys = std::mem::take(&mut board.ready);
        board.round.append(&mut keys);
        for event in events {
            if let Some(key) = board.key_of(event.data()) {
                board.round.insert(key);
            }
        }
    }

    /// Gives false if this thread was meanwhile replaced.
    fn serve(&mut self, key: Key) -> bool {
        let Some(Work { mut target, orders }) = self.check_out(key) else { return self.relieve(key) };
        let mut served = target.serve(orders, &mut self.tools);
        let mut board = self.shared.lock();
        board.transits.append(&mut self.tools.freed);
        if board.lane == self.number {
            board.out = None;
            board.check_in(key, target, &mut served, &self.shared.means);
            return true;
        }
        board.check_in_late(self.number, key, target, &mut served, &self.shared.means);
        board.transits.extend(self.tools.transit.take());
        drop(board);
        self.shared.ring();
        false
    }

    fn check_out(&mut self, key: Key) -> Option<Work> {
        let mut board = self.shared.lock();
        if self.tools.transit.is_none() {
            self.tools.transit = board.transits.pop();
        }
        let has_transit = self.tools.transit.is_some();
        self.tools.transits_hang = !has_transit && !board.lost.is_empty();
        let work = board.check_out(key, clock::monotonic(), has_transit, &self.shared.means)?;
        self.tools.closing = board.closing;
        self.wake_watcher(&mut board);
        Some(work)
    }

    fn wake_watcher(&self, board: &mut Board) {
        if !std::mem::replace(&mut board.watched, true) {
            self.shared.watcher.notify_all();
        }
    }

    /// Keeps the pipes of a target that is out of reach from filling up.
    fn relieve(&mut self, key: Key) -> bool {
        let now = clock::monotonic();
        let mut board = self.shared.lock();
        let Some(Unreachable { pipes, overdue }) = board.unreachable(key, now) else { return true };
        // Watched as well, though it should not wait for anything.
        board.out = Some(Checkout { key: 0, since: now });
        self.wake_watcher(&mut board);
        drop(board);
        let mut room = Room::default();
        for pipe in &pipes {
            // A pipe that cannot be looked at is in nobody's way.
            room = room.and(make_room(&*pipe.reader, &mut self.tools.scratch).unwrap_or_default());
        }
        for pipe in &overdue {
            room.lost += self.tools.scratch.discard(&*pipe.reader, usize::MAX).unwrap_or(0);
            let _forgotten = self.shared.means.epoll.delete(&*pipe.reader);
        }
        let closed: Vec<_> = overdue.iter().map(|pipe| pipe.source).collect();
        let mut board = self.shared.lock();
        board.relieved(key, room.lost as u64, &closed, &self.shared.means);
        board.look_again(key, room.look_after.map(|wait| now + wait));
        if board.lane == self.number {
            board.out = None;
            return true;
        }
        board.lost.remove(&self.number);
        board.transits.extend(self.tools.transit.take());
        false
    }
}
