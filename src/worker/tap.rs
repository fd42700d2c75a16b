//! An output pipe whose bytes make events: a listener's answers, a program's `PROCESS_LOG` and capture tags.
//!
//! Its bytes go from the pipe into an anonymous file (the *intake*), are looked at, and go on through a second pipe
//! (*onward*) to the log plane as if the child had written them there. The intake only grows, so its length says which
//! byte of all that the child ever wrote comes next; with the journalled position up to which bytes were heard, a
//! successor hears each byte exactly once, whenever its predecessor was killed. The keeper holds both.
//!
//! No more is heard than the pipe onward has room for, so what was heard is on its way to the log at once, and a worker
//! that is killed takes no text with it. It may repeat a piece in the log file; and of a block that was never finished,
//! which may be larger than any pipe, what does not fit waits in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::sys::{pipe, splice};

/// Bytes heard at once: what a pipe holds unless it was made larger.
pub(super) const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Memory of bytes that were heard is given back in pieces of at least this.
const GIVE_BACK_BYTES: u64 = 64 * 1024;

/// Memory is given back in whole pages, and pipes hold pages.
const PAGE_BYTES: usize = 4096;

/// One output pipe.
#[derive(Debug)]
pub(super) struct Tap {
    pipe: OwnedFd,
    intake: File,
    onward: File,
    /// Bytes taken out of the pipe, ever.
    taken: u64,
    /// Bytes handed out, ever.
    heard: u64,
    /// Memory before this was given back.
    given_back: u64,
    /// Text that the onward pipe did not take yet: the rest of an unfinished block.
    waiting: VecDeque<u8>,
    /// Set once the child is reaped: so many bytes of the pipe are its own.
    left: Option<usize>,
    /// Nobody can write to the pipe any more.
    ended: bool,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// `at` is the place of the first of these bytes in all that the child wrote.
    Bytes { at: u64, bytes: Vec<u8> },
    /// Nothing at present.
    Nothing,
    /// The log does not keep up.
    Blocked,
    /// The child is reaped, and all it wrote was found.
    Drained,
    /// Nothing more can be had from the pipe.
    Failed(Errno),
}

/// What a tap waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    Nothing,
    /// Bytes of the child.
    Output,
    /// Room in the pipe to the log plane.
    Room,
}

/// The two descriptors that outlive a worker.
#[derive(Debug)]
pub(super) struct TapMemory {
    pub(super) intake: OwnedFd,
    pub(super) onward: OwnedFd,
}

impl TapMemory {
    /// For a child of which so many bytes were heard: none, unless the keeper could not hold a predecessor's memory.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(super) fn create(heard: u64) -> io::Result<TapMemory> {
        let intake = File::from(memfd_create(c"galaxyd-intake", MFdFlags::MFD_CLOEXEC)?);
        intake.set_len(heard)?;
        Ok(TapMemory { intake: intake.into(), onward: pipe::loop_pipe()? })
    }
}

impl Tap {
    /// `heard` is where the journal left off.
    ///
    /// # Errors
    /// None that is expected of memory.
    pub(super) fn new(pipe: OwnedFd, memory: TapMemory, heard: u64) -> io::Result<Tap> {
        let mut intake = File::from(memory.intake);
        let taken = intake.seek(SeekFrom::End(0))?;
        Ok(Tap {
            pipe,
            intake,
            onward: File::from(memory.onward),
            taken,
            heard: heard.min(taken),
            given_back: 0,
            waiting: VecDeque::new(),
            left: None,
            ended: false,
        })
    }

    /// Bytes handed out, ever.
    pub(super) fn heard(&self) -> u64 {
        self.heard
    }

    /// The child is reaped: what lies in its pipe now is its own, what comes later is of those it left behind.
    pub(super) fn drain(&mut self) {
        if self.left.is_none() {
            self.left = Some(pipe::unread(&self.pipe).unwrap_or(0));
        }
    }

    /// The next bytes. Their text may be longer than they are by `held_back` bytes, which were heard before.
    pub(super) fn take(&mut self, held_back: usize) -> Found {
        self.forward(&[]);
        if !self.waiting.is_empty() {
            return Found::Blocked;
        }
        if self.taken == self.heard {
            match self.take_in() {
                Ok(0) => {}
                Ok(count) => {
                    self.taken += count as u64;
                    self.left = self.left.map(|left| left.saturating_sub(count));
                }
                // Not a pipe, or no memory: nothing that another attempt could help.
                Err(error) => {
                    self.ended = true;
                    return Found::Failed(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)));
                }
            }
        }
        let at = self.heard;
        let unheard = usize::try_from(self.taken - at).unwrap_or(usize::MAX);
        let wanted = unheard.min(self.room().saturating_sub(held_back));
        if unheard > 0 && wanted == 0 {
            return Found::Blocked;
        }
        let mut bytes = vec![0; wanted];
        if wanted > 0 && self.intake.read_exact_at(&mut bytes, at).is_ok() {
            self.heard += wanted as u64;
            return Found::Bytes { at, bytes };
        }
        if self.left == Some(0) || (self.left.is_some() && self.ended) { Found::Drained } else { Found::Nothing }
    }

    /// Bytes that the onward pipe takes now; it holds pages, of which the first and the last need not be full. If it
    /// cannot be asked, as much as it holds at most: what does not fit waits.
    fn room(&self) -> usize {
        let unread = pipe::unread(&self.onward).unwrap_or(0);
        if unread == 0 {
            return CHUNK_BYTES_MAX;
        }
        let pages = unread.div_ceil(PAGE_BYTES) + 1;
        let room = pipe::capacity(&self.onward).unwrap_or(CHUNK_BYTES_MAX).saturating_sub(pages * PAGE_BYTES);
        if room >= PAGE_BYTES {
            return room.min(CHUNK_BYTES_MAX);
        }
        // One that is writable takes a page; and what is waited for when there is no room is just that.
        let mut wanted = [PollFd::new(self.onward.as_fd(), PollFlags::POLLOUT)];
        if poll(&mut wanted, PollTimeout::ZERO) == Ok(0) { 0 } else { PAGE_BYTES }
    }

    fn take_in(&mut self) -> io::Result<usize> {
        let allowance = self.left.map_or(CHUNK_BYTES_MAX, |left| left.min(CHUNK_BYTES_MAX));
        if allowance == 0 || self.ended {
            return Ok(0);
        }
        loop {
            match splice::splice(&self.pipe, &self.intake, allowance) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // An empty pipe has nothing more of a reaped child.
                    self.left = self.left.map(|_| 0);
                    return Ok(0);
                }
                answer => return answer,
            }
        }
    }

    /// Reads again what lies between two places, as far as it is still there.
    pub(super) fn reread(&self, from: u64, to: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        if self.intake.read_exact_at(&mut bytes, from).is_err() {
            bytes.clear();
        }
        bytes
    }

    /// Sends text on to the log plane; what does not fit waits, and no more is taken meanwhile.
    pub(super) fn forward(&mut self, text: &[u8]) {
        self.waiting.extend(text);
        while !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            match self.onward.write(front) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// The journal knows that bytes before `place` were heard and are not needed any more.
    pub(super) fn give_back(&mut self, place: u64) {
        let place = place - place % PAGE_BYTES as u64;
        if place.saturating_sub(self.given_back) < GIVE_BACK_BYTES {
            return;
        }
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let (from, length) = (self.given_back.cast_signed(), (place - self.given_back).cast_signed());
        if matches!(fallocate(&self.intake, flags, from, length), Ok(()) | Err(Errno::EOPNOTSUPP)) {
            self.given_back = place;
        }
    }

    /// What it waits for.
    pub(super) fn awaits(&self) -> Awaited {
        match () {
            () if !self.waiting.is_empty() || self.taken > self.heard => Awaited::Room,
            () if self.ended => Awaited::Nothing,
            () => Awaited::Output,
        }
    }

    pub(super) fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    pub(super) fn onward(&self) -> BorrowedFd<'_> {
        self.onward.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    struct Rig {
        child: io::PipeWriter,
        pipe: OwnedFd,
        memory: TapMemory,
    }

    fn rig() -> Rig {
        let (reader, child) = io::pipe().unwrap();
        Rig { child, pipe: reader.into(), memory: TapMemory::create(0).unwrap() }
    }

    impl Rig {
        /// Another worker on the same descriptors.
        fn tap(&self, heard: u64) -> Tap {
            let TapMemory { intake, onward } = &self.memory;
            let memory = TapMemory { intake: intake.try_clone().unwrap(), onward: onward.try_clone().unwrap() };
            Tap::new(self.pipe.try_clone().unwrap(), memory, heard).unwrap()
        }
    }

    fn bytes(at: u64, text: &str) -> Found {
        Found::Bytes { at, bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn a_successor_hears_what_the_journal_does_not_know_and_nothing_twice() {
        let mut rig = rig();
        let mut first = rig.tap(0);
        assert_eq!(first.take(0), Found::Nothing);
        rig.child.write_all(b"READY\n").unwrap();
        assert_eq!(first.take(0), bytes(0, "READY\n"));
        rig.child.write_all(b"RESULT 2\nOK").unwrap();
        assert_eq!(first.take(0), bytes(6, "RESULT 2\nOK"));
        drop(first);
        rig.child.write_all(b"READY\n").unwrap();
        let mut second = rig.tap(6);
        assert_eq!(second.take(0), bytes(6, "RESULT 2\nOK"), "taken, but never journalled");
        assert_eq!(second.take(0), bytes(17, "READY\n"));
        assert_eq!(rig.tap(23).take(0), Found::Nothing);
    }

    #[test]
    fn a_successor_without_memory_goes_on_where_the_journal_left_off() {
        let mut rig = rig();
        rig.memory = TapMemory::create(23).unwrap();
        rig.child.write_all(b"RESULT 2\nOK").unwrap();
        assert_eq!(rig.tap(23).take(0), bytes(23, "RESULT 2\nOK"));
    }

    #[test]
    fn a_reaped_childs_bytes_end_where_they_ended() {
        let mut rig = rig();
        let mut tap = rig.tap(0);
        rig.child.write_all(b"last words").unwrap();
        tap.drain();
        rig.child.write_all(b"of a grandchild").unwrap();
        assert_eq!(tap.take(0), bytes(0, "last words"));
        assert_eq!(tap.take(0), Found::Drained);
    }

    #[test]
    fn a_log_that_does_not_keep_up_holds_the_child_back() {
        let mut rig = rig();
        let mut tap = rig.tap(0);
        let text = vec![b'x'; 100_000];
        tap.forward(&text);
        rig.child.write_all(b"more").unwrap();
        assert_eq!((tap.take(0), tap.awaits()), (Found::Blocked, Awaited::Room));
        let mut onward = File::from(rig.memory.onward.try_clone().unwrap());
        let mut found = vec![0; 1 << 20];
        assert_eq!(onward.read(&mut found).unwrap(), 65536);
        assert_eq!((tap.take(0), tap.awaits()), (bytes(0, "more"), Awaited::Output));
        assert_eq!(onward.read(&mut found).unwrap(), 100_000 - 65536);
    }

    #[test]
    fn no_more_is_heard_than_goes_on_to_the_log() {
        let mut rig = rig();
        let mut tap = rig.tap(0);
        let mut onward = File::from(rig.memory.onward.try_clone().unwrap());
        let (mut written, mut heard, mut logged, mut scratch) = (0, 0, 0, vec![0; 10_000]);
        while logged < 500_000 {
            if written < 500_000 && pipe::unread(&rig.pipe).unwrap() == 0 {
                rig.child.write_all(&vec![b'x'; 50_000]).unwrap();
                written += 50_000;
            }
            while let Found::Bytes { at, bytes } = tap.take(7) {
                assert_eq!(at, heard as u64);
                heard += bytes.len();
                tap.forward(&bytes);
                assert!(tap.waiting.is_empty(), "a worker that dies now would lose {} bytes", tap.waiting.len());
            }
            assert_eq!(tap.awaits(), if heard < written { Awaited::Room } else { Awaited::Output });
            logged += onward.read(&mut scratch).unwrap();
        }
        assert_eq!((written, heard, logged), (500_000, 500_000, 500_000));
        assert_eq!((tap.take(0), tap.awaits()), (Found::Nothing, Awaited::Output));
    }

    #[test]
    fn memory_is_given_back_but_places_stay() {
        let mut rig = rig();
        let mut tap = rig.tap(0);
        for _ in 0..10 {
            rig.child.write_all(&vec![b'x'; 30_000]).unwrap();
            assert!(matches!(tap.take(0), Found::Bytes { .. }));
            tap.give_back(tap.heard());
        }
        let metadata = tap.intake.metadata().unwrap();
        assert_eq!(metadata.len(), 300_000);
        assert!(std::os::unix::fs::MetadataExt::blocks(&metadata) * 512 < 150_000, "{metadata:?}");
        rig.child.write_all(b"end").unwrap();
        assert_eq!(tap.take(0), bytes(300_000, "end"));
        assert_eq!(tap.reread(300_001, 300_003), b"nd");
    }
}
