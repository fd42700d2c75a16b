//! All taps, and waiting for them: one descriptor that is readable when any of them has something.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::BorrowedFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::ear::{ProgramEar, TapRecord};
use super::tap::{Awaited, Found, Tap};
use crate::engine::Channel;
use crate::logs::SourceId;
use crate::sys::watched::Watched;

/// What is looked at in one go; epoll begins with others the next time.
const EVENTS_MAX: usize = 64;

/// Whose output it is.
#[derive(Debug)]
pub(super) enum Ear {
    /// It speaks the listeners' protocol.
    Listener,
    Program(ProgramEar),
}

/// A tap with what is made of its bytes.
#[derive(Debug)]
pub(super) struct Tapped {
    pub(super) tap: Tap,
    pub(super) ear: Ear,
    armed: Awaited,
}

/// Something that a descriptor of ours waited for has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// A tap can go on.
    Tap(SourceId),
    /// This child's standard input takes more, or was closed.
    Stdin(u64),
}

/// All of them.
#[derive(Debug)]
pub(super) struct Taps {
    epoll: Epoll,
    /// The same, to be waited for.
    watched: Watched,
    by_source: BTreeMap<SourceId, Tapped>,
    /// Children whose standard input we wait for, with the event that is on its way.
    stdins: BTreeMap<u64, u64>,
    /// Heard something that the journal does not know.
    changed: BTreeSet<SourceId>,
}

impl Taps {
    /// To be made within the runtime.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(super) fn new() -> io::Result<Taps> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Taps {
            watched: Watched::new(epoll.0.try_clone()?)?,
            epoll,
            by_source: BTreeMap::new(),
            stdins: BTreeMap::new(),
            changed: BTreeSet::new(),
        })
    }

    /// Waits until something can go on. May be dropped while waiting: nothing is lost.
    pub(super) async fn ready(&self) -> Vec<Ready> {
        loop {
            let mut events = [EpollEvent::empty(); EVENTS_MAX];
            let count = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
            if count > 0 {
                // A program that never rests must not keep the connections' tasks from theirs.
                tokio::task::yield_now().await;
                return events.iter().take(count).filter_map(|event| ready(event.data())).collect();
            }
            if self.watched.readable().await.is_err() {
                // The runtime ends.
                return std::future::pending().await;
            }
        }
    }

    pub(super) fn insert(&mut self, source: SourceId, tap: Tap, ear: Ear) {
        self.by_source.insert(source, Tapped { tap, ear, armed: Awaited::Nothing });
        self.changed.insert(source);
    }

    pub(super) fn get_mut(&mut self, source: SourceId) -> Option<&mut Tapped> {
        self.by_source.get_mut(&source)
    }

    /// Whether some output of this child is not all heard.
    pub(super) fn has_child(&self, child: u64) -> bool {
        [Channel::Stdout, Channel::Stderr]
            .into_iter()
            .any(|channel| self.by_source.contains_key(&SourceId { child, channel }))
    }

    /// Its output is drained.
    pub(super) fn remove(&mut self, source: SourceId) -> Option<Tapped> {
        self.changed.remove(&source);
        let mut tapped = self.by_source.remove(&source)?;
        // The pipes live on in the keeper, so closing them here does not make epoll forget them.
        let _disarmed = tapped.arm(&self.epoll, source, Awaited::Nothing);
        Some(tapped)
    }

    /// Bytes were heard.
    pub(super) fn changed(&mut self, source: SourceId) {
        self.changed.insert(source);
    }

    /// Waits for what the tap can go on with.
    ///
    /// # Errors
    /// When memory for it cannot be had.
    pub(super) fn arm(&mut self, source: SourceId) -> io::Result<()> {
        let Some(tapped) = self.by_source.get_mut(&source) else { return Ok(()) };
        let awaited = tapped.tap.awaits();
        tapped.arm(&self.epoll, source, awaited)
    }

    /// Waits until this child's standard input takes more of an event.
    ///
    /// # Errors
    /// When memory for it cannot be had.
    pub(super) fn await_stdin(&mut self, child: u64, serial: u64, pipe: BorrowedFd<'_>) -> io::Result<()> {
        if self.stdins.insert(child, serial).is_none() {
            self.epoll.add(pipe, EpollEvent::new(EpollFlags::EPOLLOUT, token(child, STDIN)))?;
        }
        Ok(())
    }

    /// The event is through, or nobody waits for it; gives its serial if we waited.
    pub(super) fn forget_stdin(&mut self, child: u64, pipe: BorrowedFd<'_>) -> Option<u64> {
        let serial = self.stdins.remove(&child)?;
        let _forgotten = self.epoll.delete(pipe);
        Some(serial)
    }

    /// What changed, for the journal.
    pub(super) fn changes(&self) -> Vec<TapRecord> {
        let changed = self.changed.iter().filter_map(|source| Some((source, self.by_source.get(source)?)));
        changed.filter_map(|(source, tapped)| tapped.record(*source)).collect()
    }

    /// Everything, for a journal that begins.
    pub(super) fn records(&self) -> Vec<TapRecord> {
        self.by_source.iter().filter_map(|(source, tapped)| tapped.record(*source)).collect()
    }

    /// The journal knows all that was heard.
    pub(super) fn journalled(&mut self) {
        for source in std::mem::take(&mut self.changed) {
            if let Some(Tapped { tap, ear, .. }) = self.by_source.get_mut(&source) {
                let heard = tap.heard();
                tap.give_back(match ear {
                    Ear::Listener => heard,
                    Ear::Program(ear) => ear.needed_from(heard),
                });
            }
        }
    }
}

impl Tapped {
    /// The next bytes.
    pub(super) fn take(&mut self) -> Found {
        self.tap.take(match &self.ear {
            Ear::Listener => 0,
            Ear::Program(ear) => ear.held_back(),
        })
    }

    /// A listener's place is in the records of its pool.
    fn record(&self, source: SourceId) -> Option<TapRecord> {
        match &self.ear {
            Ear::Listener => None,
            Ear::Program(ear) => Some(ear.record(source, self.tap.heard())),
        }
    }

    fn arm(&mut self, epoll: &Epoll, source: SourceId, awaited: Awaited) -> io::Result<()> {
        if self.armed == awaited {
            return Ok(());
        }
        match self.armed {
            Awaited::Nothing => {}
            Awaited::Output => epoll.delete(self.tap.pipe())?,
            Awaited::Room => epoll.delete(self.tap.onward())?,
        }
        self.armed = Awaited::Nothing;
        let part = match source.channel {
            Channel::Stdout => STDOUT,
            Channel::Stderr => STDERR,
        };
        let token = token(source.child, part);
        match awaited {
            Awaited::Nothing => {}
            Awaited::Output => epoll.add(self.tap.pipe(), EpollEvent::new(EpollFlags::EPOLLIN, token))?,
            Awaited::Room => epoll.add(self.tap.onward(), EpollEvent::new(EpollFlags::EPOLLOUT, token))?,
        }
        self.armed = awaited;
        Ok(())
    }
}

const STDOUT: u64 = 0;
const STDERR: u64 = 1;
const STDIN: u64 = 2;

/// How epoll names a pipe of a child.
fn token(child: u64, part: u64) -> u64 {
    child << 2 | part
}

fn ready(token: u64) -> Option<Ready> {
    let child = token >> 2;
    match token & 3 {
        STDOUT => Some(Ready::Tap(SourceId { child, channel: Channel::Stdout })),
        STDERR => Some(Ready::Tap(SourceId { child, channel: Channel::Stderr })),
        STDIN => Some(Ready::Stdin(child)),
        _ => None,
    }
}
