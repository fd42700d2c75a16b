//! One wait for many descriptors.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// So many tokens are given at once; the others come with the next wait.
const EVENTS_MAX: usize = 32;

/// Waits until one of its descriptors can do what is wanted of it. Tells the same again until it is dealt with.
#[derive(Debug)]
pub struct Waiter {
    epoll: Epoll,
    events: [EpollEvent; EVENTS_MAX],
}

/// What a descriptor is waited for. Its end and its errors are always told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    pub readable: bool,
    pub writable: bool,
}

impl Interest {
    pub const READABLE: Self = Self { readable: true, writable: false };

    /// Nothing but its end and its errors.
    pub const NONE: Self = Self { readable: false, writable: false };

    fn event(self, token: u64) -> EpollEvent {
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, self.readable);
        flags.set(EpollFlags::EPOLLOUT, self.writable);
        EpollEvent::new(flags, token)
    }
}

impl Waiter {
    /// # Errors
    ///
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, events: [EpollEvent::empty(); EVENTS_MAX] })
    }

    /// # Errors
    ///
    /// ENOMEM, ENOSPC; EEXIST if it is waited for already.
    pub fn add(&self, descriptor: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.add(descriptor, interest.event(token))?)
    }

    /// # Errors
    ///
    /// ENOENT if it is not waited for.
    pub fn change(&self, descriptor: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.modify(descriptor, &mut interest.event(token))?)
    }

    /// To be called before closing: the kernel goes on waiting while any process has a copy. It is no
    /// error if it is not waited for.
    pub fn remove(&self, descriptor: impl AsFd) {
        let _ = self.epoll.delete(descriptor);
    }

    /// The tokens of those that are ready, none if time is up or a signal came. `None` waits without limit.
    pub fn wait(&mut self, longest: Option<Duration>) -> impl Iterator<Item = u64> + use<> {
        // Rounded up, so that a deadline has passed when its wait is over.
        let timeout = longest.map_or(EpollTimeout::NONE, |longest| {
            EpollTimeout::try_from(longest.saturating_add(Duration::from_micros(999))).unwrap_or(EpollTimeout::MAX)
        });
        // The only error that can happen is EINTR.
        let count = self.epoll.wait(&mut self.events, timeout).unwrap_or(0);
        self.events.into_iter().take(count).map(|event| event.data())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::sys::clock;

    #[test]
    fn readiness_is_told_until_it_is_dealt_with() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut waiter = Waiter::new().unwrap();
        waiter.add(&reader, 7, Interest::READABLE).unwrap();
        assert_eq!(waiter.wait(Some(Duration::ZERO)).count(), 0);
        writer.write_all(b"x").unwrap();
        for _ in 0..2 {
            assert_eq!(waiter.wait(None).collect::<Vec<_>>(), [7]);
        }
        waiter.remove(&reader);
        assert_eq!(waiter.wait(Some(Duration::ZERO)).count(), 0);
    }

    #[test]
    fn a_wait_is_never_shorter_than_asked_for() {
        let mut waiter = Waiter::new().unwrap();
        let until = clock::monotonic() + Duration::from_micros(1500);
        assert_eq!(waiter.wait(Some(Duration::from_micros(1500))).count(), 0);
        assert!(clock::monotonic() >= until);
    }
}
