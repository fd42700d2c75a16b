//! A listener's standard input: events on their way to it.
//!
//! What is sent lies in an anonymous file that the keeper holds as well, and the kernel moves it into the pipe. The file's
//! own offset says how much of it has left, in the same instant; so a successor goes on at the right byte, whenever its
//! predecessor was killed, and no event reaches a listener twice or in part.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::sys::pipe;

/// Bytes moved at once.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// What waits for one listener, and the pipe it goes into.
#[derive(Debug)]
pub(super) struct Outbox {
    pipe: OwnedFd,
    file: File,
}

/// How sending went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    All,
    /// The pipe is full.
    Part,
    /// The listener closed its end.
    Closed,
}

impl Outbox {
    /// Memory for a new outbox.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn file() -> io::Result<OwnedFd> {
        Ok(memfd_create(c"galaxyd-outbox", MFdFlags::MFD_CLOEXEC)?)
    }

    /// `pipe` does not block; `file` is new, or a predecessor's.
    pub(super) fn new(pipe: OwnedFd, file: OwnedFd) -> Outbox {
        Outbox { pipe, file: File::from(file) }
    }

    /// The pipe, to wait for room in it.
    pub(super) fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Adds bytes, all or none. Nothing of them leaves before [`Outbox::send`].
    ///
    /// # Errors
    /// When memory cannot be had.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Bytes in the pipe may still be these pages, so they are given back only when it is empty.
        if self.waiting()? == 0 && pipe::unread(&self.pipe)? == 0 {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
        }
        self.file.write_all_at(bytes, self.file.metadata()?.len())
    }

    /// Forgets what has not left: it was decided on by a predecessor that could not tell anybody.
    ///
    /// # Errors
    /// None that is expected of memory.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        let sent = self.file.stream_position()?;
        self.file.set_len(sent)
    }

    /// Bytes that have not left.
    ///
    /// # Errors
    /// None that is expected of memory.
    pub(super) fn waiting(&mut self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().saturating_sub(self.file.stream_position()?))
    }

    /// Moves what waits into the pipe, as far as it fits.
    pub(super) fn send(&mut self) -> Sent {
        loop {
            match self.waiting() {
                Ok(0) => return Sent::All,
                Ok(_) => {}
                Err(_) => return Sent::Closed,
            }
            let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
            match splice(&self.file, None, &self.pipe, None, CHUNK_BYTES_MAX, flags) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Sent::Part,
                Err(_) => return Sent::Closed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::*;
    use crate::sys::clock;

    fn outbox() -> (File, Outbox, OwnedFd) {
        let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_CLOEXEC;
        let (reader, writer) = nix::unistd::pipe2(flags).unwrap();
        let file = Outbox::file().unwrap();
        let held = file.try_clone().unwrap();
        (File::from(reader), Outbox::new(writer, file), held)
    }

    fn read(pipe: &mut File) -> Vec<u8> {
        let mut found = vec![0; 1 << 20];
        let count = pipe.read(&mut found).unwrap_or(0);
        found.truncate(count);
        found
    }

    #[test]
    fn a_successor_sends_what_is_left_and_nothing_twice() {
        let (mut reader, mut outbox, held) = outbox();
        let event: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        outbox.append(&event).unwrap();
        assert_eq!(outbox.send(), Sent::Part);
        let pipe = outbox.pipe.try_clone().unwrap();
        drop(outbox);
        let mut successor = Outbox::new(pipe, held);
        let mut found = Vec::new();
        while found.len() < event.len() {
            found.extend(read(&mut reader));
            successor.send();
        }
        assert_eq!((found, successor.send()), (event, Sent::All));
    }

    #[test]
    fn what_is_unread_is_not_written_over() {
        let (mut reader, mut outbox, _) = outbox();
        for word in [b"one ".as_slice(), b"two "] {
            outbox.append(word).unwrap();
            assert_eq!(outbox.send(), Sent::All);
        }
        assert_eq!(read(&mut reader), b"one two ");
        outbox.append(b"three").unwrap();
        assert_eq!(outbox.file.metadata().unwrap().len(), 5, "used memory was not given back");
        outbox.forget().unwrap();
        assert_eq!((outbox.send(), read(&mut reader)), (Sent::All, Vec::new()));
        drop(reader);
        // A child that another test has just forked has the pipe's end until it executes its program.
        let end = clock::monotonic() + Duration::from_secs(60);
        let is_closed = std::iter::repeat_with(|| {
            std::thread::yield_now();
            outbox.append(b"four").unwrap();
            outbox.send() == Sent::Closed
        });
        let is_in_time = |_: &bool| clock::monotonic() < end;
        assert!(is_closed.take_while(is_in_time).any(|closed| closed));
    }
}
