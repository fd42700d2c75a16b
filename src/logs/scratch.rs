//! Looking into a pipe, and taking out of it, without ever waiting.
//!
//! The pipes of children are in blocking mode (their other end is the child's, and so is the mode), so nothing here
//! reads them directly: bytes go through a pipe of our own.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use crate::sys::{pipe, splice};

/// A thread's own pipe and buffer.
#[derive(Debug)]
pub(super) struct Scratch {
    pipe: File,
    buffer: Vec<u8>,
}

/// What was found in a pipe.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Bytes(&'a [u8]),
    /// Nothing at present.
    Empty,
    /// Nobody can write to it any more.
    End,
}

impl Scratch {
    /// `bytes_max` bounds what is looked at or taken at once.
    pub(super) fn new(bytes_max: usize) -> io::Result<Scratch> {
        Ok(Scratch { pipe: File::from(pipe::loop_pipe()?), buffer: vec![0; bytes_max] })
    }

    /// Copies what is first in `pipe`, and leaves it there.
    pub(super) fn peek(&mut self, pipe: impl AsFd, bytes_max: usize) -> io::Result<Found<'_>> {
        let wanted = bytes_max.min(self.buffer.len());
        let answer = uninterrupted(|| splice::tee(&pipe, &self.pipe, wanted));
        self.empty(answer)
    }

    /// Takes what is first in `pipe`.
    pub(super) fn take(&mut self, pipe: impl AsFd, bytes_max: usize) -> io::Result<Found<'_>> {
        let wanted = bytes_max.min(self.buffer.len());
        let answer = uninterrupted(|| splice::splice(&pipe, &self.pipe, wanted));
        self.empty(answer)
    }

    /// Throws away at most `count` bytes and says how many it were.
    pub(super) fn discard(&mut self, pipe: impl AsFd, count: usize) -> io::Result<usize> {
        let mut left = count;
        while left > 0 {
            match self.take(&pipe, left)? {
                Found::Bytes(bytes) => left = left.saturating_sub(bytes.len()),
                Found::Empty | Found::End => break,
            }
        }
        Ok(count - left)
    }

    fn empty(&mut self, answer: io::Result<usize>) -> io::Result<Found<'_>> {
        match answer {
            Ok(0) => Ok(Found::End),
            Ok(count) => {
                let bytes = self.buffer.get_mut(..count).unwrap_or_default();
                self.pipe.read_exact(bytes)?;
                Ok(Found::Bytes(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Found::Empty),
            Err(error) => Err(error),
        }
    }
}

/// Tries again when a signal came in between.
pub(super) fn uninterrupted<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Whether a writer of the pipe may have to wait.
///
/// That is so from half its capacity on: pieces that do not fit together leave up to half of each page empty.
pub(super) fn is_nearly_full(pipe: impl AsFd) -> io::Result<bool> {
    Ok(pipe::unread(&pipe)? >= pipe::capacity(&pipe)? / 2)
}

/// Bytes thrown away from one pipe in one go, at most.
const MAKE_ROOM_BYTES_MAX: usize = 1024 * 1024;

/// A pipe that is kept from filling up is looked at this often while there is something in it: epoll tells of writes
/// when they are over, and one that does not fit is not over.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What making room did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes thrown away.
    pub(super) lost: usize,
    /// When to look again without being told.
    pub(super) look_after: Option<Duration>,
}

impl Room {
    /// Both.
    pub(super) fn and(self, other: Room) -> Room {
        let look_after = self.look_after.into_iter().chain(other.look_after).min();
        Room { lost: self.lost + other.lost, look_after }
    }
}

/// Empties a pipe if it is nearly full.
///
/// All of it, because a writer in the middle of a long write tells epoll of what it adds only if it finds the
/// pipe empty.
pub(super) fn make_room(pipe: impl AsFd, scratch: &mut Scratch) -> io::Result<Room> {
    let lost = if is_nearly_full(&pipe)? { scratch.discard(&pipe, MAKE_ROOM_BYTES_MAX)? } else { 0 };
    let look_after = match pipe::unread(&pipe)? {
        0 => None,
        _ if lost >= MAKE_ROOM_BYTES_MAX => Some(Duration::ZERO),
        _ => Some(LOOK_EVERY),
    };
    Ok(Room { lost, look_after })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn peeking_leaves_and_taking_removes() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut scratch = Scratch::new(4).unwrap();
        assert_eq!(scratch.peek(&reader, 100).unwrap(), Found::Empty);
        writer.write_all(b"abcdef").unwrap();
        assert_eq!(scratch.peek(&reader, 100).unwrap(), Found::Bytes(b"abcd"));
        assert_eq!(scratch.peek(&reader, 2).unwrap(), Found::Bytes(b"ab"));
        assert_eq!(scratch.take(&reader, 3).unwrap(), Found::Bytes(b"abc"));
        assert_eq!(scratch.take(&reader, 100).unwrap(), Found::Bytes(b"def"));
        assert_eq!(scratch.take(&reader, 100).unwrap(), Found::Empty);
        drop(writer);
        assert_eq!(scratch.peek(&reader, 1).unwrap(), Found::End);
        assert_eq!(scratch.take(&reader, 1).unwrap(), Found::End);
    }

    #[test]
    fn room_is_made_before_the_writer_has_to_wait() {
        // The least favourable pieces: each a little more than half a page, so that no two share one.
        for size in [1, 2049, 4096] {
            let (reader, writer) = io::pipe().unwrap();
            let mut writer = File::from(std::os::fd::OwnedFd::from(writer));
            nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
            let piece = vec![b'x'; size];
            let mut written = 0;
            while let Ok(count) = writer.write(&piece) {
                written += count;
            }
            assert!(is_nearly_full(&reader).unwrap(), "{size}");
            let mut scratch = Scratch::new(1000).unwrap();
            assert_eq!(make_room(&reader, &mut scratch).unwrap(), Room { lost: written, look_after: None }, "{size}");
            writer.write_all(b"a little").unwrap();
            assert_eq!(make_room(&reader, &mut scratch).unwrap(), Room { lost: 0, look_after: Some(LOOK_EVERY) });
        }
    }
}
