//! One pipe and what is done with its bytes.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::allotment::Allotment;
use super::plane::{Sink, SourceId};
use super::strip::AnsiStripper;
use super::syslog::LineSplitter;
use super::transit::Leftover;

/// A child's output pipe.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: SourceId,
    /// How epoll names it.
    pub(super) token: u64,
    pub(super) pipe: Arc<OwnedFd>,
    /// Before each line for syslog: the process's own name and a blank.
    pub(super) prefix: String,
    pub(super) sink: Sink,
    /// Set where the sink has a rate.
    pub(super) allotment: Option<Allotment>,
    pub(super) stripper: AnsiStripper,
    pub(super) splitter: LineSplitter,
    /// Set once the child is reaped.
    pub(super) drain: Option<Drain>,
    /// Nobody can write to the pipe any more, and it is empty.
    pub(super) ended: bool,
    /// What a former worker had taken out of the pipe and not written.
    pub(super) leftover: Option<Leftover>,
    pub(super) armed: Arming,
}

/// How far a pipe is read after the child was reaped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    /// What cannot be written until then is given up. Monotonic.
    pub(super) deadline: Duration,
    /// Bytes that were in the pipe when draining began and still are. What comes after them is of others.
    pub(super) left: Option<usize>,
}

/// What epoll tells about a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arming {
    Off,
    /// As long as there are bytes.
    Level,
    /// At each write: for pipes that are not read, only kept from filling up.
    Edge,
}

impl Source {
    pub(super) fn new(id: SourceId, token: u64, pipe: OwnedFd, sink: Sink) -> Source {
        let name = sink.process.rsplit_once(':').map_or(sink.process.as_str(), |(_, name)| name);
        let prefix = format!("{name} ");
        let allotment = sink.rate_max.map(Allotment::new);
        Source {
            id,
            token,
            pipe: Arc::new(pipe),
            prefix,
            sink,
            allotment,
            stripper: AnsiStripper::default(),
            splitter: LineSplitter::default(),
            drain: None,
            ended: false,
            leftover: None,
            armed: Arming::Off,
        }
    }

    /// Whether the bytes must be seen on their way.
    pub(super) fn is_watched(&self) -> bool {
        self.sink.syslog || self.sink.copy
    }

    /// Bytes to be moved at most, given a bound for a turn; zero once all of a reaped child's are.
    pub(super) fn allowance(&self, bytes_max: usize) -> usize {
        let left = self.drain.and_then(|drain| drain.left).map_or(bytes_max, |left| left.min(bytes_max));
        self.allotment.as_ref().map_or(left, |allotment| allotment.left().min(left))
    }

    /// Where its bytes go from now on.
    pub(super) fn redirect(&mut self, sink: Sink) {
        self.allotment = match (self.allotment.take(), sink.rate_max) {
            (Some(mut allotment), Some(rate)) => {
                allotment.change(rate);
                Some(allotment)
            }
            (_, rate) => rate.map(Allotment::new),
        };
        self.sink = sink;
    }

    /// Whether it has had all of its rate, so that more is thrown away until the next window.
    pub(super) fn is_exhausted(&self) -> bool {
        self.allotment.as_ref().is_some_and(|allotment| allotment.left() == 0)
    }

    /// `count` bytes left the pipe.
    pub(super) fn moved(&mut self, count: usize) {
        self.allotment.iter_mut().for_each(|allotment| allotment.moved(count));
        if let Some(Drain { left: Some(left), .. }) = &mut self.drain {
            *left = left.saturating_sub(count);
        }
    }

    /// Changes what epoll tells.
    pub(super) fn arm(&mut self, epoll: &Epoll, wanted: Arming) -> io::Result<()> {
        if self.armed != wanted {
            arm(epoll, &self.pipe, self.token, self.armed, wanted)?;
            self.armed = wanted;
        }
        Ok(())
    }
}

/// Changes what epoll tells about `pipe` under the name `token`.
pub(super) fn arm(epoll: &Epoll, pipe: &OwnedFd, token: u64, now: Arming, wanted: Arming) -> io::Result<()> {
    let flags = match wanted {
        Arming::Off if now == Arming::Off => return Ok(()),
        Arming::Off => return Ok(epoll.delete(pipe)?),
        Arming::Level => EpollFlags::EPOLLIN,
        Arming::Edge => EpollFlags::EPOLLIN | EpollFlags::EPOLLET,
    };
    let mut event = EpollEvent::new(flags, token);
    if now == Arming::Off { Ok(epoll.add(pipe, event)?) } else { Ok(epoll.modify(pipe, &mut event)?) }
}
