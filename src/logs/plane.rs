//! The handle of the log plane: commands in, notices out.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::board::{Board, Means};
use super::lane::{BELL_TOKEN, Lane, Shared};
use super::logfile::{Gate, OpenGate};
use super::notices::{self, Notices};
use super::tally::Tally;
use super::transit::{Transits, sort_transits};
use super::{syslog, watch};
use crate::engine::Channel;

/// Names one pipe: the keeper's id of the child, and the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    pub child: u64,
    pub channel: Channel,
}

/// What is done with the bytes of one pipe.
#[derive(Debug, Clone)]
pub struct Sink {
    /// `group:process` or `process`: for messages, and syslog's prefix is `process`.
    pub process: String,
    /// Absolute. `None`: read and drop.
    pub file: Option<Arc<Path>>,
    /// Bytes a second that may go into the file and to syslog; what is more is thrown away. `None`: any number.
    pub rate_max: Option<u64>,
    /// Bytes; zero or less: never rotate.
    pub maxbytes: i64,
    pub backups: i64,
    pub syslog: bool,
    pub strip_ansi: bool,
    /// Hand every chunk to the worker as `Notice::Output` as well (loglevel debug, events, capture).
    pub copy: bool,
    /// Counts them.
    pub tally: Tally,
}

/// What the worker asks of the plane. Never blocks the caller.
#[derive(Debug)]
pub enum Command {
    /// Open the file (append; created 0666 & ~umask) and move what comes out of `pipe` into it.
    Attach { source: SourceId, pipe: OwnedFd, sink: Sink },
    /// The child is reaped: read what is left until the pipe is empty, close, answer `Notice::Drained`.
    Drain { source: SourceId },
    /// SIGUSR2: close and reopen every file by its name.
    Reopen,
    /// clearProcessLogs: delete and reopen this file (truncate what is not a regular file's name); answered by
    /// `Notice::Cleared` with the same `ticket`. Works for files that no process has open, too.
    Clear { ticket: u64, file: Arc<Path> },
    /// From the next chunk on the bytes of this pipe go elsewhere; what was taken out before goes where it was to go.
    Redirect { source: SourceId, sink: Sink },
    /// `strip_ansi` changed by reread.
    StripAnsi(bool),
}

/// What the plane tells the worker.
#[derive(Debug)]
pub enum Notice {
    Drained {
        source: SourceId,
    },
    Cleared {
        ticket: u64,
        result: Result<(), std::io::Error>,
    },
    /// A file cannot be written (or opened, rotated): told once until it works again.
    Trouble {
        file: PathBuf,
        doing: &'static str,
        error: std::io::Error,
    },
    /// `lost` bytes were dropped since the trouble began; told again when there are more, at most each second.
    Losing {
        file: PathBuf,
        lost: u64,
    },
    /// It works again; `lost` bytes were dropped meanwhile (only when keeping them would have blocked the child).
    Recovered {
        file: PathBuf,
        lost: u64,
    },
    /// An operation on this file has not returned for some seconds (hung file system); other logs go on.
    Stuck {
        file: PathBuf,
    },
    Output {
        source: SourceId,
        bytes: Vec<u8>,
    },
    /// So many bytes of this pipe were thrown away since it was attached, as there were more than its rate allows. Told at
    /// most once a second.
    Suppressed {
        source: SourceId,
        total: u64,
    },
}

/// What a plane needs to start.
#[derive(Debug)]
pub struct Options {
    /// The tag of syslog messages: the program's name.
    pub syslog_tag: String,
    /// Where bytes on their way to regular files lie meanwhile. `None`: they go there directly; then a file that hangs can
    /// stop the child that writes to it, and where control sequences are removed, a killed worker may repeat output.
    pub transits: Option<Transits>,
}

/// The running log plane. Dropping it ends its threads once their sources are drained.
#[derive(Debug)]
pub struct Plane {
    shared: Arc<Shared>,
}

impl Plane {
    /// Starts the threads. At most one plane of a machine may read a pipe or write a file at a time.
    ///
    /// # Errors
    ///
    /// No descriptor or thread to be had.
    pub fn start(options: Options) -> io::Result<(Plane, Notices)> {
        Plane::start_behind(Arc::new(OpenGate), Path::new(syslog::SOCKET).into(), options)
    }

    pub(super) fn start_behind(
        gate: Arc<dyn Gate>,
        syslog_socket: Arc<Path>,
        options: Options,
    ) -> io::Result<(Plane, Notices)> {
        let bell = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        epoll.add(&*bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL_TOKEN))?;
        let (teller, notices) = notices::channel(Arc::clone(&bell));
        let mut board = Board::default();
        if let Some(transits) = options.transits {
            (board.transits, board.leftovers) = sort_transits(transits)?;
        }
        let means = Means { gate, teller, epoll, syslog_tag: options.syslog_tag.into(), syslog_socket };
        let shared = Arc::new(Shared::new(board, bell, means));
        let plane = Plane { shared: Arc::clone(&shared) };
        Lane::prepare(&shared, 0)?.spawn()?;
        watch::spawn(shared)?;
        Ok((plane, notices))
    }

    /// Asks for something. Never blocks; commands are followed in the order of their sending. The queue has no
    /// bound: its only producer is the control loop, which sends a few commands for each child.
    pub fn send(&self, command: Command) {
        self.shared.lock().inbox.push_back(command);
        self.shared.ring();
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.ring();
    }
}
