//! The ways from a pipe into a file.
//!
//! | file | bytes need no look | control sequences are removed |
//! |---|---|---|
//! | regular | `splice` into the transit and from there | the same, but copied out of the transit and written |
//! | regular, without a transit or with a full disk | `splice` | copied, written, then taken out of the pipe |
//! | pipe | `splice` | copied, written, then taken out of the pipe |
//! | terminal, device, socket | copied, written, then taken out of the pipe | the same |
//!
//! A worker that is killed between any two instructions loses nothing on any of these ways, and repeats something
//! only where bytes are copied out of a child's own pipe and written. Bytes that were in a transit when the file
//! refused them wait in memory and are the exception: they are lost with the worker.
//!
//! The transit is what keeps a child from hanging with its file: a `splice` has its pipe locked as long as the file is
//! written, and a program that writes into a locked pipe waits in a way that not even SIGKILL ends.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;

use nix::sys::socket::{MsgFlags, send};
use nix::sys::statvfs::fstatvfs;

use super::logfile::{Failure, Kind, OpenFile};
use super::scratch::{Found, uninterrupted};
use super::source::Source;
use super::target::{CHUNK_BYTES_MAX, Target, Tools};
use super::transit::{Entry, Leftover, Transit};
use crate::sys::{pipe, splice};

/// A file system with less room than this is treated as full.
const NEARLY_FULL_BYTES: u64 = 1024 * 1024;

/// How moving a chunk went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Moved,
    /// The pipe is empty, or has no more that is to be moved.
    Empty,
    /// Nobody can write to the pipe any more.
    End,
    /// The file takes nothing at present.
    Blocked,
    /// Who wants copies has not yet received those it was sent, or the log daemon its lines, or there is no transit.
    NoRoom,
}

impl Target {
    /// Moves at most a chunk of a source's bytes.
    pub(super) fn move_chunk(&mut self, index: usize, tools: &mut Tools) -> Result<Flow, Failure> {
        let Some(source) = self.sources.get(index) else { return Ok(Flow::Empty) };
        if source.leftover.is_some() {
            return self.finish_leftover(index, tools);
        }
        if source.ended || source.allowance(CHUNK_BYTES_MAX) == 0 {
            return Ok(Flow::Empty);
        }
        if self.must_wait(source, tools) {
            return Ok(Flow::NoRoom);
        }
        let strip = source.sink.strip_ansi;
        match self.kind() {
            None => self.take_chunk(index, tools),
            Some(kind) if kind.is_regular() && tools.transit.is_some() && !self.may_refuse() => {
                self.chunk_through_transit(index, tools)
            }
            Some(Kind::Remote) if tools.transits_hang => Ok(Flow::NoRoom),
            Some(Kind::Local | Kind::Remote | Kind::Pipe) if !strip && !self.no_splice => {
                self.hold_pipe(true);
                let flow = self.splice_chunk(index, tools);
                self.hold_pipe(false);
                flow
            }
            Some(_) => {
                self.hold_pipe(true);
                let flow = self.write_chunk(index, tools);
                self.hold_pipe(false);
                flow
            }
        }
    }

    fn kind(&self) -> Option<Kind> {
        Some(self.log.as_ref()?.open.as_ref()?.kind)
    }

    /// Whether a file of this machine will probably not take what it is given. Then bytes are better left in the
    /// child's pipe than in a transit, out of which they would have to go into memory.
    fn may_refuse(&self) -> bool {
        let Some(open) = self.log.as_ref().and_then(|log| log.open.as_ref()) else { return false };
        open.kind == Kind::Local
            && (self.is_troubled()
                || fstatvfs(&open.file)
                    .is_ok_and(|room| room.blocks_available() * room.fragment_size() < NEARLY_FULL_BYTES))
    }

    fn hold_pipe(&self, held: bool) {
        self.pipe_held.store(held, Ordering::Release);
    }

    /// No file: bytes are read, shown to whom they concern, and dropped.
    fn take_chunk(&mut self, index: usize, tools: &mut Tools) -> Result<Flow, Failure> {
        let Some(source) = self.sources.get_mut(index) else { return Ok(Flow::Empty) };
        let wanted = source.allowance(CHUNK_BYTES_MAX);
        let bytes = match tools.scratch.take(&*source.pipe, wanted).map_err(Failure::doing("read"))? {
            Found::Bytes(bytes) if source.is_watched() => bytes.to_vec(),
            Found::Bytes(bytes) => {
                let count = bytes.len();
                source.moved(count);
                return Ok(Flow::Moved);
            }
            Found::Empty => return Ok(Flow::Empty),
            Found::End => return Ok(Flow::End),
        };
        source.moved(bytes.len());
        let bytes = if source.sink.strip_ansi { stripped(source, &bytes) } else { bytes };
        self.deliver(index, &bytes, tools);
        Ok(Flow::Moved)
    }

    /// From the child's pipe into the file, inside the kernel.
    fn splice_chunk(&mut self, index: usize, tools: &mut Tools) -> Result<Flow, Failure> {
        let Some(source) = self.sources.get(index) else { return Ok(Flow::Empty) };
        let mut wanted = source.allowance(CHUNK_BYTES_MAX);
        let mut seen = Vec::new();
        if source.is_watched() {
            match tools.scratch.peek(&*source.pipe, wanted).map_err(Failure::doing("read"))? {
                Found::Bytes(bytes) => seen = bytes.to_vec(),
                Found::Empty => return Ok(Flow::Empty),
                Found::End => return Ok(Flow::End),
            }
            wanted = seen.len();
        }
        let pipe = std::sync::Arc::clone(&source.pipe);
        let Some(log) = &mut self.log else { return Ok(Flow::Empty) };
        log.pass("write")?;
        let end = log.seek_to_end()?;
        let Some(OpenFile { file, kind, .. }) = &log.open else { return Ok(Flow::Empty) };
        match uninterrupted(|| splice::splice(&*pipe, file, wanted)) {
            Ok(0) => Ok(Flow::End),
            Ok(count) => {
                seen.truncate(count);
                self.sources.get_mut(index).into_iter().for_each(|source| source.moved(count));
                self.deliver(index, &seen, tools);
                self.written_to(end.map(|end| end + count as u64), tools)?;
                Ok(Flow::Moved)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Either the pipe is empty or the file is a full pipe.
                let is_full = *kind == Kind::Pipe && pipe::unread(&*pipe).map_err(Failure::doing("read"))? > 0;
                Ok(if is_full { Flow::Blocked } else { Flow::Empty })
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.no_splice = true;
                self.write_chunk(index, tools)
            }
            Err(error) => Err(Failure { doing: "write", error }),
        }
    }

    /// Copies a chunk, writes it, and takes out of the child's pipe what was written.
    fn write_chunk(&mut self, index: usize, tools: &mut Tools) -> Result<Flow, Failure> {
        let Some(source) = self.sources.get(index) else { return Ok(Flow::Empty) };
        let wanted = source.allowance(CHUNK_BYTES_MAX);
        let bytes = match tools.scratch.peek(&*source.pipe, wanted).map_err(Failure::doing("read"))? {
            Found::Bytes(bytes) => bytes.to_vec(),
            Found::Empty => return Ok(Flow::Empty),
            Found::End => return Ok(Flow::End),
        };
        let mut stripper = source.stripper;
        let output = if source.sink.strip_ansi { strip_with(&mut stripper, &bytes) } else { bytes.clone() };
        let pipe = std::sync::Arc::clone(&source.pipe);
        let strips = source.sink.strip_ansi;
        let Some(log) = &mut self.log else { return Ok(Flow::Empty) };
        log.pass("write")?;
        let end = log.seek_to_end()?;
        let Some(open) = &mut log.open else { return Ok(Flow::Empty) };
        let (written, answer) = write_all_of(open, &output);
        // Removed sequences have no place in the output, so a part of it stands for no certain part of the input.
        let used = match (strips, written) {
            (false, written) => written,
            (true, 0) if !output.is_empty() => 0,
            (true, _) => bytes.len(),
        };
        tools.scratch.discard(&*pipe, used).map_err(Failure::doing("read"))?;
        if let Some(source) = self.sources.get_mut(index) {
            source.moved(used);
            if used > 0 {
                source.stripper = stripper;
            }
        }
        if used > 0 {
            let written_or_carried = if strips { output.len() } else { written };
            self.deliver(index, output.get(..written_or_carried).unwrap_or_default(), tools);
            if strips {
                self.carry.extend(output.get(written..).unwrap_or_default());
            }
            self.written_to(end.map(|end| end + written as u64), tools)?;
        }
        match answer {
            Ok(()) => Ok(Flow::Moved),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Flow::Blocked),
            Err(error) => Err(Failure { doing: "write", error }),
        }
    }

    /// From the child's pipe into the transit, and from there into the file.
    fn chunk_through_transit(&mut self, index: usize, tools: &mut Tools) -> Result<Flow, Failure> {
        let Some(transit) = tools.transit.take() else { return Ok(Flow::Empty) };
        let flow = self.chunk_through(index, &transit, tools);
        tools.transit = Some(transit);
        flow
    }

    fn chunk_through(&mut self, index: usize, transit: &Transit, tools: &mut Tools) -> Result<Flow, Failure> {
        let Some(log) = &mut self.log else { return Ok(Flow::Empty) };
        let offset = log.seek_to_end()?.unwrap_or(0);
        let Some(source) = self.sources.get_mut(index) else { return Ok(Flow::Empty) };
        let entry = Entry { source: source.id, offset, stripped: source.sink.strip_ansi };
        transit.enter(entry).map_err(Failure::doing("write"))?;
        let wanted = source.allowance(CHUNK_BYTES_MAX);
        match uninterrupted(|| splice::splice(&*source.pipe, &transit.pipe, wanted)) {
            Ok(0) => return Ok(Flow::End),
            Ok(count) => source.moved(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flow::Empty),
            Err(error) => return Err(Failure { doing: "read", error }),
        }
        self.empty_transit(index, transit, entry, tools)?;
        Ok(Flow::Moved)
    }

    /// Writes what a former worker had under way.
    fn finish_leftover(&mut self, index: usize, tools: &mut Tools) -> Result<Flow, Failure> {
        let Some(source) = self.sources.get_mut(index) else { return Ok(Flow::Empty) };
        let Some(Leftover { transit, entry }) = source.leftover.take() else { return Ok(Flow::Empty) };
        let result = if self.log.is_some() {
            self.empty_transit(index, &transit, entry, tools)
        } else {
            tools.scratch.discard(&transit.pipe, usize::MAX).map(|_| ()).map_err(Failure::doing("read"))
        };
        tools.freed.push(transit);
        result.map(|()| Flow::Moved)
    }

    /// Writes the bytes of a transit, as its entry says. In the end the transit is empty: others need it, so what the
    /// file does not take waits in memory.
    fn empty_transit(
        &mut self,
        index: usize,
        transit: &Transit,
        entry: Entry,
        tools: &mut Tools,
    ) -> Result<(), Failure> {
        let Some(source) = self.sources.get_mut(index) else { return Ok(()) };
        let mut seen = Vec::new();
        if entry.stripped || source.is_watched() || self.no_splice {
            if let Found::Bytes(bytes) =
                tools.scratch.peek(&transit.pipe, CHUNK_BYTES_MAX).map_err(Failure::doing("read"))?
            {
                seen = bytes.to_vec();
            }
            if entry.stripped {
                seen = stripped(source, &seen);
            }
        }
        let by_hand = entry.stripped || self.no_splice;
        let (end, answer) = self.write_transit(transit, entry, by_hand.then_some(seen.as_slice()), tools);
        self.deliver(index, &seen, tools);
        answer?;
        self.written_to(end, tools)
    }

    /// Gives the file's new end. `output` is what to write, if it is not what lies in the transit as it is.
    fn write_transit(
        &mut self,
        transit: &Transit,
        entry: Entry,
        output: Option<&[u8]>,
        tools: &mut Tools,
    ) -> (Option<u64>, Result<(), Failure>) {
        let end = match self.log.as_mut().map(|log| log.pass("write").and_then(|()| log.seek_to_end())) {
            Some(Ok(end)) => end.unwrap_or(0),
            Some(Err(failure)) => {
                let answer = self.carry_transit(transit, output, tools);
                return (None, answer.and(Err(failure)));
            }
            None => return (None, Ok(())),
        };
        let Some(open) = self.log.as_mut().and_then(|log| log.open.as_mut()) else { return (None, Ok(())) };
        let (written, answer, rest) = if let Some(output) = output {
            // A former worker may have written a part of it.
            let done = if entry.stripped { end.saturating_sub(entry.offset) } else { 0 };
            let rest = output.get(usize::try_from(done).unwrap_or(usize::MAX)..).unwrap_or_default();
            let (written, answer) = write_all_of(open, rest);
            (written, answer, rest.get(written..))
        } else {
            let (written, answer) = splice_all_of(open, transit);
            (written, answer, None)
        };
        let carried = self.carry_transit(transit, rest, tools);
        let answer = match answer {
            // Not for this file: what is carried now is written from memory, and so is what follows.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && output.is_none() => {
                self.no_splice = true;
                self.write_carry()
            }
            answer => answer.map_err(Failure::doing("write")),
        };
        (Some(end + written as u64), carried.and(answer))
    }

    /// Empties a transit into memory; `instead` of its bytes, these are kept.
    fn carry_transit(&mut self, transit: &Transit, instead: Option<&[u8]>, tools: &mut Tools) -> Result<(), Failure> {
        loop {
            match tools.scratch.take(&transit.pipe, CHUNK_BYTES_MAX).map_err(Failure::doing("read"))? {
                Found::Bytes(bytes) if instead.is_none() => self.carry.extend(bytes),
                Found::Bytes(_) => {}
                Found::Empty | Found::End => break,
            }
        }
        self.carry.extend(instead.unwrap_or_default());
        Ok(())
    }

    /// Writes what waits in memory. What a full pipe does not take stays.
    pub(super) fn write_carry(&mut self) -> Result<(), Failure> {
        if self.carry.is_empty() {
            return Ok(());
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        log.pass("write")?;
        log.seek_to_end()?;
        let Some(open) = &mut log.open else { return Ok(()) };
        let (written, answer) = write_all_of(open, self.carry.make_contiguous());
        self.carry.drain(..written.min(self.carry.len()));
        match answer {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(Failure { doing: "write", error }),
            _ => Ok(()),
        }
    }
}

/// Writes until all is written or something is in the way; gives how much was.
fn write_all_of(open: &mut OpenFile, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        let answer = match open.kind {
            Kind::Socket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(open.file.as_raw_fd(), rest, flags).map_err(io::Error::from)
            }
            _ => open.file.write(rest),
        };
        match answer {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Moves what a transit holds into a file, inside the kernel; gives how much that was.
fn splice_all_of(open: &OpenFile, transit: &Transit) -> (usize, io::Result<()>) {
    let mut written = 0;
    loop {
        match uninterrupted(|| splice::splice(&transit.pipe, &open.file, CHUNK_BYTES_MAX)) {
            Ok(0) => return (written, Ok(())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (written, Ok(())),
            Err(error) => return (written, Err(error)),
        }
    }
}

fn stripped(source: &mut Source, bytes: &[u8]) -> Vec<u8> {
    strip_with(&mut source.stripper, bytes)
}

fn strip_with(stripper: &mut super::strip::AnsiStripper, bytes: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(bytes.len());
    stripper.strip(bytes, &mut output);
    output
}
