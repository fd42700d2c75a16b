//! A log file together with the pipes whose bytes go into it.
//!
//! It is the unit that the threads of the plane pass around: whoever has it may touch the file. Programs that name the
//! same file share one target, so their bytes do not overwrite each other.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::allotment::RATE_REASON;
use super::forwarding::Forwarding;
use super::logfile::{Bounds, Failure, Kind, LogFile};
use super::loss::Loss;
use super::marker::marker;
use super::notices::Teller;
use super::outflow::Flow;
use super::plane::{Notice, Sink, SourceId};
use super::scratch::{Room, Scratch, make_room};
use super::source::{Arming, Drain, Source};
use super::syslog::Syslog;
use super::transit::Transit;
use crate::sys::{clock, pipe};

/// Bytes moved at once from a pipe, and so how far a file can go beyond its bound: what Supervisor reads at once.
pub const CHUNK_BYTES_MAX: usize = 128 * 1024;

/// A file that cannot be written is tried at most this often.
pub const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What a reaped child left in its pipe waits this long for a file that cannot be written; then it is lost.
pub const DRAIN_WAIT: Duration = Duration::from_secs(5);

/// How often a busy log daemon is tried, and what takes nothing but cannot be waited for.
const BUSY_RETRY_EVERY: Duration = Duration::from_millis(50);

/// An operation that took longer may have been waited for in vain: what it led to is looked at anew.
const SLOW: Duration = Duration::from_millis(250);

/// What a thread needs to serve targets.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) scratch: Scratch,
    pub(super) transit: Option<Transit>,
    pub(super) freed: Vec<Transit>,
    pub(super) epoll: Arc<Epoll>,
    pub(super) teller: Teller,
    /// Transits are held by threads that hang, so there is none for us.
    pub(super) transits_hang: bool,
    /// The plane's handle is gone: an ended pipe needs nobody's word to be closed.
    pub(super) closing: bool,
}

/// What a target is told to do, in order.
#[derive(Debug)]
pub(super) enum Order {
    /// The file's bounds are those of who came last.
    Attach {
        source: Box<Source>,
        bounds: Bounds,
    },
    Drain {
        source: SourceId,
        deadline: Duration,
    },
    /// The bytes of this pipe go elsewhere from now on.
    Redirect {
        source: SourceId,
        sink: Box<Sink>,
    },
    Reopen,
    Clear {
        ticket: u64,
    },
    StripAnsi(bool),
    /// Its pipe was closed by others while this target was out of reach.
    Abandon(SourceId),
    /// Others threw away so many bytes of its pipes meanwhile.
    Lost(u64),
}

/// How a turn ended.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// Sources that are drained and closed.
    pub(super) finished: Vec<SourceId>,
    /// When to serve this target again though no pipe has bytes.
    pub(super) due: Option<Duration>,
    /// To be served again at once.
    pub(super) again: bool,
    /// Waits for room for notices.
    pub(super) starved: bool,
    /// Pipes whose bytes go to another file from now on.
    pub(super) moved: Vec<Source>,
    /// Nothing is left to remember.
    pub(super) is_empty: bool,
}

/// Why the file is not written at present.
#[derive(Debug)]
struct Trouble {
    retry_at: Duration,
}

/// A log file and its pipes.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) log: Option<LogFile>,
    pub(super) sources: Vec<Source>,
    /// Taken out of a pipe and not written yet. Empty but for trouble.
    pub(super) carry: VecDeque<u8>,
    /// Set while one of the pipes is locked by an operation on the file: nobody else may touch it.
    pub(super) pipe_held: Arc<AtomicBool>,
    /// Set once the file turned out not to take `splice`.
    pub(super) no_splice: bool,
    /// How epoll names the file when we wait for it to take more.
    token: u64,
    /// The file takes nothing at present, and epoll tells when it does.
    pub(super) blocked: bool,
    trouble: Option<Trouble>,
    rotation_retry_at: Option<Duration>,
    unlinked_check_at: Duration,
    loss: Loss,
    forwarding: Forwarding,
}

impl Target {
    pub(super) fn new(token: u64, log: Option<LogFile>, syslog: Syslog, pipe_held: Arc<AtomicBool>) -> Target {
        Target {
            log,
            // A log of its own is the rule: there may be thousands.
            sources: Vec::with_capacity(1),
            carry: VecDeque::new(),
            pipe_held,
            no_splice: false,
            token,
            blocked: false,
            trouble: None,
            rotation_retry_at: None,
            unlinked_check_at: Duration::ZERO,
            loss: Loss::default(),
            forwarding: Forwarding::new(syslog),
        }
    }

    /// The number of the file system the open file is on.
    pub(super) fn device(&self) -> Option<u64> {
        let open = self.log.as_ref()?.open.as_ref()?;
        open.kind.is_regular().then_some(open.device)
    }

    /// Whether the open file is on a file system that can hang.
    pub(super) fn is_remote(&self) -> bool {
        self.log.as_ref().and_then(|log| log.open.as_ref()).is_some_and(|open| open.kind == Kind::Remote)
    }

    /// Whether the last attempt at the file failed.
    pub(super) fn is_troubled(&self) -> bool {
        self.trouble.is_some()
    }

    /// Another thread changed what epoll tells about the pipes: to be set anew.
    pub(super) fn was_armed_by_others(&mut self) {
        for source in &mut self.sources {
            source.armed = Arming::Edge;
        }
    }

    /// Follows orders, then moves a chunk from each pipe that has one.
    pub(super) fn serve(&mut self, orders: Vec<Order>, tools: &mut Tools) -> Served {
        let mut served = Served::default();
        for order in orders {
            self.follow(order, &mut served, tools);
        }
        let now = clock::monotonic();
        self.blocked = false;
        if self.trouble.as_ref().is_none_or(|trouble| now >= trouble.retry_at) {
            match self.run(now, &mut served, tools) {
                Ok(()) => self.recovered(tools),
                Err(failure) => self.troubled(failure, tools),
            }
        }
        self.finish_drained(&mut served, tools);
        if self.trouble.is_some() {
            self.keep_pipes_flowing(&mut served, tools);
        }
        self.finish_overdue(&mut served, tools);
        self.arm(&mut served, tools);
        served.is_empty =
            self.sources.is_empty() && self.loss.unmarked == 0 && self.trouble.is_none() && self.forwarding.is_empty();
        served
    }

    fn follow(&mut self, order: Order, served: &mut Served, tools: &mut Tools) {
        match order {
            Order::Attach { source, bounds } => {
                self.sources.push(*source);
                self.log.iter_mut().for_each(|log| log.bounds = bounds);
                // Worth an attempt of its own: the file may have been put right for this start.
                self.retry_now();
            }
            Order::Drain { source, deadline } => {
                let moved = served.moved.iter_mut();
                if let Some(source) = self.sources.iter_mut().chain(moved).find(|other| other.id == source) {
                    source.drain = Some(Drain { deadline, left: None });
                }
            }
            Order::Redirect { source, sink } => self.redirect(source, *sink, served),
            Order::Reopen => {
                if let Some(log) = &mut self.log
                    && log.open.take().is_some()
                {
                    self.retry_now();
                }
            }
            Order::Clear { ticket } => {
                let result = self.log.as_mut().map_or(Ok(()), LogFile::clear).map_err(|failure| failure.error);
                if result.is_ok() {
                    self.retry_now();
                }
                tools.teller.tell(Notice::Cleared { ticket, result });
            }
            Order::StripAnsi(strip) => self.sources.iter_mut().for_each(|source| source.sink.strip_ansi = strip),
            Order::Abandon(id) => {
                self.sources.retain(|source| source.id != id);
                served.moved.retain(|source| source.id != id);
            }
            Order::Lost(count) => self.loss.add(count),
        }
    }

    fn redirect(&mut self, id: SourceId, sink: Sink, served: &mut Served) {
        if let Some(source) = served.moved.iter_mut().find(|source| source.id == id) {
            source.redirect(sink);
            return;
        }
        let Some(index) = self.sources.iter().position(|source| source.id == id) else { return };
        let bounds = Bounds { maxbytes: sink.maxbytes, backups: sink.backups };
        if self.log.as_ref().map(|log| &log.path) == sink.file.as_ref() {
            self.log.iter_mut().for_each(|log| log.bounds = bounds);
            self.sources.iter_mut().filter(|source| source.id == id).for_each(|source| source.redirect(sink.clone()));
            return;
        }
        let mut source = self.sources.remove(index);
        source.redirect(sink);
        served.moved.push(source);
    }

    fn retry_now(&mut self) {
        if let Some(trouble) = &mut self.trouble {
            trouble.retry_at = Duration::ZERO;
        }
    }

    /// A turn at the file: first what is left from before, then one chunk of each pipe, and all that reaped children
    /// left.
    fn run(&mut self, now: Duration, served: &mut Served, tools: &mut Tools) -> Result<(), Failure> {
        self.forwarding.send(now, &tools.teller);
        if !self.sources.is_empty() || !self.carry.is_empty() {
            self.make_ready(now)?;
            if clock::monotonic().saturating_sub(now) > SLOW {
                served.again = true;
                return Ok(());
            }
        }
        if self.blocked {
            return Ok(());
        }
        // Reaped children first: their bytes are older than those of their successors.
        let mut order: Vec<usize> = (0..self.sources.len()).collect();
        order.sort_by_key(|&index| self.sources.get(index).is_none_or(|source| source.drain.is_none()));
        for index in order {
            self.begin_drain(index);
            self.serve_source(index, now, served, tools)?;
            if self.blocked {
                break;
            }
        }
        Ok(())
    }

    /// One chunk; all that is left if the child is reaped.
    fn serve_source(
        &mut self,
        index: usize,
        now: Duration,
        served: &mut Served,
        tools: &mut Tools,
    ) -> Result<(), Failure> {
        loop {
            self.keep_to_rate(index, now, served, tools)?;
            if self.blocked {
                return Ok(());
            }
            let flow = match self.move_chunk(index, tools) {
                Err(Failure { doing: "read", error }) => {
                    // Not a pipe: nothing that a retry could help.
                    tools.teller.tell(Notice::Trouble {
                        file: name(self.log.as_ref()).to_owned(),
                        doing: "read",
                        error,
                    });
                    Flow::End
                }
                answer => answer?,
            };
            self.forwarding.send(now, &tools.teller);
            self.blocked = flow == Flow::Blocked;
            served.starved |= flow == Flow::NoRoom;
            let Some(source) = self.sources.get_mut(index) else { return Ok(()) };
            source.ended |= flow == Flow::End;
            match (&mut source.drain, flow) {
                (Some(_), Flow::Moved) => {}
                (Some(drain), Flow::Empty) => {
                    drain.left = Some(0);
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    }

    /// What lies in the pipe now is the child's; what comes later can only be of those it left behind, and is cut off
    /// as Supervisor does.
    fn begin_drain(&mut self, index: usize) {
        if let Some(Source { pipe, drain: Some(drain), .. }) = self.sources.get_mut(index)
            && drain.left.is_none()
        {
            drain.left = Some(pipe::unread(&**pipe).unwrap_or(0));
        }
    }

    /// Opens the file, opens it anew if it was deleted, and writes what waits.
    fn make_ready(&mut self, now: Duration) -> Result<(), Failure> {
        let Some(log) = &mut self.log else { return Ok(()) };
        // On a file system that can hang this is a question to somebody else, so it is asked less often.
        let asks_others = log.open.as_ref().is_some_and(|open| open.kind == Kind::Remote);
        if !asks_others || now >= self.unlinked_check_at {
            self.unlinked_check_at = now + RETRY_EVERY;
            if log.is_unlinked() {
                log.open = None;
            }
        }
        if log.open.is_none() {
            self.no_splice = false;
        }
        log.open()?;
        self.write_carry()?;
        if self.carry.is_empty() && self.loss.unmarked > 0 {
            self.write_marker()?;
        }
        self.blocked |= !self.carry.is_empty();
        Ok(())
    }

    /// Tells in the file how much is missing. If nothing of that can be written, it is for the next time.
    fn write_marker(&mut self) -> Result<(), Failure> {
        let marker = marker(name(self.log.as_ref()), self.loss.unmarked, "");
        let length = marker.len();
        self.carry.extend(marker);
        let answer = self.write_carry();
        if self.carry.len() == length {
            self.carry.clear();
            self.blocked = true;
        } else {
            self.loss.unmarked = 0;
        }
        answer
    }

    /// Rotates if `end`, where the file now ends, says so. A rotation that fails does not keep anyone from writing.
    pub(super) fn written_to(&mut self, end: Option<u64>, tools: &Tools) -> Result<(), Failure> {
        let now = clock::monotonic();
        if self.rotation_retry_at.is_some_and(|at| now < at) {
            return Ok(());
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        match log.rotate_if_due(end) {
            Ok(()) => {
                if self.rotation_retry_at.take().is_some() {
                    tools.teller.tell(Notice::Recovered { file: name(self.log.as_ref()).to_owned(), lost: 0 });
                }
                Ok(())
            }
            Err(Failure { doing: "rotate", error }) => {
                if self.rotation_retry_at.replace(now + RETRY_EVERY).is_none() {
                    tools.teller.tell(Notice::Trouble {
                        file: name(self.log.as_ref()).to_owned(),
                        doing: "rotate",
                        error,
                    });
                }
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    fn recovered(&mut self, tools: &Tools) {
        let was_troubled = self.trouble.take().is_some();
        if was_troubled || (self.loss.is_marked() && self.carry.is_empty()) {
            tools.teller.tell(Notice::Recovered { file: name(self.log.as_ref()).to_owned(), lost: self.loss.over() });
        }
    }

    fn troubled(&mut self, failure: Failure, tools: &Tools) {
        if let Some(log) = &mut self.log
            && !matches!(failure.error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
        {
            // Another file may have the name by then.
            log.open = None;
        }
        if self.trouble.replace(Trouble { retry_at: clock::monotonic() + RETRY_EVERY }).is_none() {
            let Failure { doing, error } = failure;
            tools.teller.tell(Notice::Trouble { file: name(self.log.as_ref()).to_owned(), doing, error });
        }
    }

    /// While the file cannot be written: no child waits for it.
    fn keep_pipes_flowing(&mut self, served: &mut Served, tools: &mut Tools) {
        let mut room = Room::default();
        for source in self.sources.iter().filter(|source| source.drain.is_none()) {
            // A pipe that cannot be looked at is in nobody's way.
            room = room.and(make_room(&*source.pipe, &mut tools.scratch).unwrap_or_default());
        }
        self.loss.add(room.lost as u64);
        if let Some(lost) = self.loss.news(clock::monotonic()) {
            tools.teller.tell(Notice::Losing { file: name(self.log.as_ref()).to_owned(), lost });
        }
        served.due = room.look_after.map(|wait| clock::monotonic() + wait);
    }

    /// Closes the pipes of reaped children that are empty.
    fn finish_drained(&mut self, served: &mut Served, tools: &mut Tools) {
        let closing = tools.closing;
        let is_done = |source: &Source| match source.drain {
            Some(Drain { left, .. }) => source.ended || left == Some(0),
            None => closing && source.ended,
        };
        for index in (0..self.sources.len()).rev() {
            if self.trouble.is_none() && self.carry.is_empty() && self.sources.get(index).is_some_and(is_done) {
                self.finish(index, served, tools);
            }
        }
    }

    /// Gives up what reaped children left and nobody takes.
    fn finish_overdue(&mut self, served: &mut Served, tools: &mut Tools) {
        let now = clock::monotonic();
        let is_overdue = |source: &Source| source.drain.is_some_and(|drain| now >= drain.deadline);
        for index in (0..self.sources.len()).rev() {
            let Some(source) = self.sources.get(index).filter(|source| is_overdue(source)) else { continue };
            let left = source.drain.and_then(|drain| drain.left).unwrap_or(usize::MAX);
            let lost = tools.scratch.discard(&*source.pipe, left).unwrap_or(0);
            self.loss.add(lost as u64);
            self.finish(index, served, tools);
        }
    }

    fn finish(&mut self, index: usize, served: &mut Served, tools: &mut Tools) {
        let mut source = self.sources.remove(index);
        let mut withheld = Vec::new();
        source.stripper.finish(&mut withheld);
        if let Some(allotment) = &mut source.allotment
            && let Some(suppressed) = allotment.told()
        {
            tools.teller.tell(Notice::Suppressed { source: source.id, total: allotment.total() });
            withheld.extend(marker(name(self.log.as_ref()), suppressed, RATE_REASON));
        }
        if !withheld.is_empty() {
            self.carry.extend(withheld);
            // If this fails, closing counts it as lost.
            let _written = self.write_carry();
        }
        if source.sink.syslog {
            self.forwarding.finish(&mut source.splitter, &source.prefix);
            self.forwarding.send(clock::monotonic(), &tools.teller);
        }
        if let Some(leftover) = source.leftover.take() {
            tools.freed.push(leftover.transit);
        }
        // The pipe lives on in the keeper, so closing it here does not make epoll forget it.
        let _disarmed = source.arm(&tools.epoll, Arming::Off);
        served.finished.push(source.id);
        if self.sources.is_empty() {
            self.close();
        }
    }

    /// As Supervisor, which has a log open only while a child lives.
    fn close(&mut self) {
        let carried = self.carry.len() as u64;
        if carried > 0 {
            self.carry.clear();
            self.loss.add(carried);
        }
        if let Some(log) = &mut self.log {
            log.open = None;
        }
    }

    /// Tells epoll, and through `served` the thread, when this target is to be served again.
    fn arm(&mut self, served: &mut Served, tools: &mut Tools) {
        let wanted = |source: &Source| {
            let waits = self.blocked
                || (served.starved && source.sink.copy)
                || (!self.forwarding.is_empty() && source.sink.syslog);
            match () {
                () if source.ended => Arming::Off,
                () if self.trouble.is_some() || source.is_exhausted() => Arming::Edge,
                () if waits => Arming::Off,
                () => Arming::Level,
            }
        };
        let wanted: Vec<Arming> = self.sources.iter().map(wanted).collect();
        let mut failed = false;
        for (source, wanted) in self.sources.iter_mut().zip(wanted) {
            failed |= source.arm(&tools.epoll, wanted).is_err();
        }
        if self.blocked && !self.arm_output(&tools.epoll) {
            served.due = Some(clock::monotonic() + BUSY_RETRY_EVERY);
        }
        let deadlines = self.sources.iter().filter_map(|source| source.drain).map(|drain| drain.deadline);
        let retry = self.trouble.as_ref().filter(|_| !self.sources.is_empty()).map(|trouble| trouble.retry_at);
        // No memory for epoll: the next attempt is made when there may be some.
        let rearm = failed.then(|| clock::monotonic() + RETRY_EVERY);
        let lines = (!self.forwarding.is_empty()).then(|| clock::monotonic() + BUSY_RETRY_EVERY);
        let waits = self.blocked || self.trouble.is_some();
        let windows = self.sources.iter().filter(|_| !waits).filter_map(|source| source.allotment.as_ref()?.due());
        served.due = [served.due, retry, rearm, lines].into_iter().flatten().chain(deadlines).chain(windows).min();
    }

    /// Waits once for a pipe or terminal to take more. Gives false if it cannot be waited for.
    fn arm_output(&self, epoll: &Epoll) -> bool {
        let Some(open) = self.log.as_ref().and_then(|log| log.open.as_ref()) else { return false };
        let mut event = EpollEvent::new(EpollFlags::EPOLLOUT | EpollFlags::EPOLLONESHOT, self.token);
        epoll.modify(&open.file, &mut event).is_ok() || epoll.add(&open.file, event).is_ok()
    }

    /// Gives bytes that went into the file to the others who want them.
    pub(super) fn deliver(&mut self, index: usize, bytes: &[u8], tools: &Tools) {
        let Some(source) = self.sources.get_mut(index) else { return };
        if source.sink.copy && !bytes.is_empty() {
            tools.teller.tell(Notice::Output { source: source.id, bytes: bytes.to_vec() });
        }
        if source.sink.syslog {
            self.forwarding.add(bytes, &mut source.splitter, &source.prefix);
        }
    }

    /// Whether this source's bytes must wait for the log daemon or the worker.
    pub(super) fn must_wait(&self, source: &Source, tools: &Tools) -> bool {
        source.drain.is_none()
            && ((source.sink.syslog && !self.forwarding.is_empty()) || (source.sink.copy && !tools.teller.has_room()))
    }
}

/// The file, or what stands for it in notices.
fn name(log: Option<&LogFile>) -> &Path {
    log.map_or(Path::new("/dev/null"), |log| &log.path)
}
