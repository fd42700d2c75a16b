//! The children the keeper holds for us: which process each belongs to, its standard input, its pipes still draining.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::hindrance::Suppressed;
use super::outbox::{Outbox, Sent};
use crate::engine::{Channel, Moment, Pid, ProcessId};
use crate::keeper::Ended;
use crate::logs::{SourceId, Tally};

/// Bytes that may wait for a program that does not read its standard input; more is refused.
pub(super) const STDIN_QUEUE_MAX_BYTES: usize = 1 << 20;

/// One child, from the keeper's `Spawned` until we told it to forget.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) process: ProcessId,
    pub(super) pid: Pid,
    stdin: Stdin,
    /// The inodes of its standard pipes: who has one of them comes from this child.
    pipes: Vec<u64>,
    /// Channels whose last bytes are not in their log yet.
    open: Vec<Channel>,
    /// The last signal that we sent to it.
    sent: Option<i32>,
    /// What it said on each channel.
    tallies: [Tally; 2],
    /// It was a predecessor's before, which counted what it said until then.
    inherited: bool,
    /// Which signal stopped it last, and when. It may go on again by now.
    stopped: Option<(i32, Moment)>,
    /// Output that is in no log because there was more than its rate allows.
    pub(super) suppressed: Suppressed,
    end: End,
}

/// What is known of a child's end.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It lives.
    None,
    /// It was reaped, and what it left behind is looked at: its program may go on in the background.
    Sought(Ended),
    /// It was reaped; the engine is told when its last output is in its logs, or at `untold_until`.
    Untold {
        ended: Ended,
        untold_until: Moment,
    },
    Told,
}

/// So long the news of an exit waits for the child's last output, so that whoever sees EXITED finds the output in the log.
/// A disk that is slower delays no restart. Decisions do not wait, see [`Children::hurry`].
const DRAIN_PATIENCE: Duration = Duration::from_millis(200);

/// A child's standard input. Its pipe does not block.
#[derive(Debug)]
enum Stdin {
    /// The child has none of ours (a listening socket was passed instead).
    None,
    Idle(OwnedFd),
    /// The pipe was full: a task writes what is sent here; it ends when the child closes its end.
    Queued(mpsc::Sender<Vec<u8>>),
    /// A listener's.
    Outbox(Outbox),
}

/// Why bytes cannot be sent to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StdinError {
    /// The child closed its end, or has no such pipe.
    Closed,
    /// More than [`STDIN_QUEUE_MAX_BYTES`] wait already.
    Full,
}

impl Child {
    pub(super) fn new(process: ProcessId, pid: Pid, stdin: Option<OwnedFd>, open: Vec<Channel>) -> Child {
        Child {
            process,
            pid,
            stdin: stdin.map_or(Stdin::None, Stdin::Idle),
            pipes: Vec::new(),
            open,
            sent: None,
            tallies: Default::default(),
            inherited: false,
            stopped: None,
            suppressed: Suppressed::default(),
            end: End::None,
        }
    }

    /// Sends through `outbox` from now on.
    pub(super) fn with_outbox(self, outbox: Outbox) -> Child {
        Child { stdin: Stdin::Outbox(outbox), ..self }
    }

    /// Knows its standard pipes by these inodes.
    pub(super) fn with_pipes(self, pipes: Vec<u64>) -> Child {
        Child { pipes, ..self }
    }

    fn tally(&self, channel: Channel) -> &Tally {
        let [stdout, stderr] = &self.tallies;
        match channel {
            Channel::Stdout => stdout,
            Channel::Stderr => stderr,
        }
    }

    /// Writes `bytes` to the child's standard input; what does not fit waits for it to read.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StdinError> {
        // Refused as a whole: what does not fit into the pipe must fit into the queue.
        if bytes.len() > STDIN_QUEUE_MAX_BYTES {
            return Err(StdinError::Full);
        }
        if let Stdin::Outbox(outbox) = &mut self.stdin {
            if outbox.waiting().unwrap_or(u64::MAX) > STDIN_QUEUE_MAX_BYTES as u64 || outbox.append(bytes).is_err() {
                return Err(StdinError::Full);
            }
            return if outbox.send() == Sent::Closed { Err(StdinError::Closed) } else { Ok(()) };
        }
        let mut rest = bytes;
        if let Stdin::Idle(pipe) = &self.stdin {
            while !rest.is_empty() {
                match nix::unistd::write(pipe, rest) {
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                    Err(Errno::EAGAIN) => break,
                    Err(Errno::EINTR) => {}
                    Err(_) => return Err(StdinError::Closed),
                }
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
        if let Stdin::Idle(_) = &self.stdin
            && let Stdin::Idle(pipe) = std::mem::replace(&mut self.stdin, Stdin::None)
        {
            let sender = pipe::Sender::from_owned_fd(pipe).map_err(|_| StdinError::Closed)?;
            self.stdin = Stdin::Queued(feed(sender));
        }
        let Stdin::Queued(queue) = &self.stdin else { return Err(StdinError::Closed) };
        if queue.is_closed() {
            return Err(StdinError::Closed);
        }
        if queue.capacity() < rest.len().div_ceil(PIECE_BYTES) {
            return Err(StdinError::Full);
        }
        for piece in rest.chunks(PIECE_BYTES) {
            queue.try_send(piece.to_vec()).map_err(|_| StdinError::Closed)?;
        }
        Ok(())
    }
}

/// The queue of a child's standard input holds pieces of this size.
const PIECE_BYTES: usize = 4096;

/// Writes what is queued until the child closes its end; it sees end of file only when it is gone, because the keeper
/// holds the pipe as well.
fn feed(mut sender: pipe::Sender) -> mpsc::Sender<Vec<u8>> {
    let (queue, mut pieces) = mpsc::channel::<Vec<u8>>(STDIN_QUEUE_MAX_BYTES / PIECE_BYTES);
    tokio::spawn(async move {
        while let Some(piece) = pieces.recv().await {
            if sender.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    queue
}

/// All children, by the keeper's id.
#[derive(Debug, Default)]
pub(super) struct Children {
    by_id: BTreeMap<u64, Child>,
    by_process: BTreeMap<ProcessId, u64>,
    /// Children whose end the engine does not know yet, in the order of their ends.
    untold: Vec<u64>,
    /// Children of which nothing more is to be done here.
    finished: BTreeSet<u64>,
}

impl Children {
    pub(super) fn insert(&mut self, id: u64, child: Child) {
        self.by_process.insert(child.process, id);
        self.by_id.insert(id, child);
    }

    pub(super) fn get(&self, id: u64) -> Option<&Child> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Child> {
        self.by_id.get_mut(&id)
    }

    /// All that are not finished.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.by_id.keys().copied().collect()
    }

    /// This signal was sent to it, now or by a predecessor.
    pub(super) fn note_signal(&mut self, id: u64, signal: i32) {
        if let Some(child) = self.by_id.get_mut(&id) {
            child.sent = Some(signal);
        }
    }

    /// It is a predecessor's.
    pub(super) fn inherit(&mut self, id: u64) {
        if let Some(child) = self.by_id.get_mut(&id) {
            child.inherited = true;
        }
    }

    /// What counts the bytes that the newest child of a process says.
    pub(super) fn tally(&self, process: ProcessId, channel: Channel) -> Tally {
        let child = self.by_process.get(&process).and_then(|id| self.by_id.get(id));
        child.map(|child| child.tally(channel).clone()).unwrap_or_default()
    }

    /// How many bytes this child of a process has said, if all of them were counted.
    pub(super) fn said(&self, process: ProcessId, pid: Pid, channel: Channel) -> Option<u64> {
        let child = self.by_id.get(self.by_process.get(&process)?)?;
        (child.pid == pid && !child.inherited).then(|| child.tally(channel).bytes())
    }

    /// The last signal that we sent to this child of a process.
    pub(super) fn last_signal(&self, process: ProcessId, pid: Pid) -> Option<i32> {
        let child = self.by_id.get(self.by_process.get(&process)?)?;
        child.sent.filter(|_| child.pid == pid)
    }

    /// The inodes of the standard pipes of this child of a process; none if it is forgotten.
    pub(super) fn pipes(&self, process: ProcessId, pid: Pid) -> Vec<u64> {
        let child = self.by_process.get(&process).and_then(|id| self.by_id.get(id));
        child.filter(|child| child.pid == pid).map(|child| child.pipes.clone()).unwrap_or_default()
    }

    /// Those of all children.
    pub(super) fn all_pipes(&self) -> BTreeSet<u64> {
        self.by_id.values().flat_map(|child| child.pipes.iter().copied()).collect()
    }

    /// A signal stopped it.
    pub(super) fn stopped(&mut self, id: u64, signal: i32, at: Moment) {
        if let Some(child) = self.by_id.get_mut(&id) {
            child.stopped = Some((signal, at));
        }
    }

    /// Which signal stopped the child of a process last, and when; `None` if that was not told, as of an adopted child or to a
    /// predecessor.
    pub(super) fn last_stop(&self, process: ProcessId, pid: Pid) -> Option<(i32, Moment)> {
        let child = self.by_id.get(self.by_process.get(&process)?)?;
        child.stopped.filter(|_| child.pid == pid)
    }

    /// Bytes of the output of a process's present child that its rate kept out of its logs.
    pub(super) fn suppressed(&self, process: ProcessId) -> u64 {
        let child = self.by_process.get(&process).and_then(|id| self.by_id.get(id));
        child.map_or(0, |child| child.suppressed.total())
    }

    /// What waits for a listener.
    pub(super) fn outbox(&mut self, id: u64) -> Option<&mut Outbox> {
        match &mut self.by_id.get_mut(&id)?.stdin {
            Stdin::Outbox(outbox) => Some(outbox),
            Stdin::None | Stdin::Idle(_) | Stdin::Queued(_) => None,
        }
    }

    /// Whether the keeper told its end.
    pub(super) fn is_reaped(&self, id: u64) -> bool {
        self.by_id.get(&id).is_some_and(|child| !matches!(child.end, End::None))
    }

    /// Whether the end of a process's child is known and the engine was not told yet.
    pub(super) fn is_ending(&self, process: ProcessId) -> bool {
        let child = self.by_process.get(&process).and_then(|id| self.by_id.get(id));
        child.is_some_and(|child| matches!(child.end, End::Sought(_) | End::Untold { .. }))
    }

    /// Whether the engine was told its end.
    pub(super) fn is_told(&self, id: u64) -> bool {
        self.by_id.get(&id).is_some_and(|child| matches!(child.end, End::Told))
    }

    /// The newest child of a process, with its id.
    pub(super) fn of_process(&mut self, process: ProcessId) -> Option<(u64, &mut Child)> {
        let id = *self.by_process.get(&process)?;
        self.by_id.get_mut(&id).map(|child| (id, child))
    }

    /// What goes on as this child is looked for.
    pub(super) fn seek(&mut self, id: u64, ended: Ended) {
        if let Some(child) = self.by_id.get_mut(&id) {
            child.end = End::Sought(ended);
        }
    }

    /// How the child ended for which somebody is sought who goes on as it.
    pub(super) fn sought(&self, id: u64) -> Option<(Ended, ProcessId, Pid)> {
        let child = self.by_id.get(&id)?;
        if let End::Sought(ended) = child.end { Some((ended, child.process, child.pid)) } else { None }
    }

    /// `heir` goes on as the child.
    pub(super) fn follow(&mut self, id: u64, heir: Pid) {
        if let Some(child) = self.by_id.get_mut(&id) {
            (child.pid, child.end, child.sent, child.stopped) = (heir, End::None, None, None);
        }
    }

    /// The child was reaped; returns the pipes that must be drained now. [`Children::told`] gives the news back when it
    /// is time to tell it.
    pub(super) fn reaped(&mut self, id: u64, ended: Ended, now: Moment) -> Vec<SourceId> {
        let Some(child) = self.by_id.get_mut(&id) else { return Vec::new() };
        if let End::None | End::Sought(_) = child.end {
            child.end = End::Untold { ended, untold_until: now + DRAIN_PATIENCE };
            self.untold.push(id);
        }
        child.open.iter().map(|&channel| SourceId { child: id, channel }).collect()
    }

    /// Exits of the processes meant are told at once, whatever of their output is still on its way to the logs.
    pub(super) fn hurry(&mut self, now: Moment, is_meant: impl Fn(ProcessId) -> bool) {
        for id in &self.untold {
            if let Some(child) = self.by_id.get_mut(id)
                && is_meant(child.process)
                && let End::Untold { untold_until, .. } = &mut child.end
            {
                *untold_until = now;
            }
        }
    }

    /// The next exit to tell the engine: its output is drained, or has taken too long.
    pub(super) fn told(&mut self, now: Moment) -> Option<(u64, ProcessId, Pid, Ended)> {
        let due = |id: &u64| match self.by_id.get(id).map(|child| (child.end, child.open.is_empty())) {
            Some((End::Untold { untold_until, .. }, drained)) => drained || now >= untold_until,
            _ => false,
        };
        let id = self.untold.remove(self.untold.iter().position(due)?);
        let child = self.by_id.get_mut(&id)?;
        let End::Untold { ended, .. } = std::mem::replace(&mut child.end, End::Told) else { return None };
        if child.open.is_empty() {
            self.finished.insert(id);
        }
        Some((id, child.process, child.pid, ended))
    }

    /// When patience with a drain ends.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.untold
            .iter()
            .filter_map(|id| match self.by_id.get(id)?.end {
                End::Untold { untold_until, .. } => Some(untold_until),
                End::None | End::Sought(_) | End::Told => None,
            })
            .min()
    }

    /// A pipe's last bytes are in its log.
    pub(super) fn drained(&mut self, source: SourceId) {
        if let Some(child) = self.by_id.get_mut(&source.child) {
            child.open.retain(|&channel| channel != source.channel);
            if child.open.is_empty() && matches!(child.end, End::Told) {
                self.finished.insert(source.child);
            }
        }
    }

    /// Removes a child whose end was told and whose pipes are drained: the keeper may forget it.
    pub(super) fn pop_finished(&mut self) -> Option<u64> {
        let id = self.finished.pop_first()?;
        if let Some(child) = self.by_id.remove(&id)
            && self.by_process.get(&child.process) == Some(&id)
        {
            self.by_process.remove(&child.process);
        }
        Some(id)
    }

    /// The main processes, those too that have ended and are not forgotten.
    pub(super) fn pids(&self) -> impl Iterator<Item = Pid> + '_ {
        self.by_id.values().map(|child| child.pid)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, poll};

    use super::*;
    use crate::engine::{Exit, Now};

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    fn ended(code: i32) -> Ended {
        Ended { exit: Exit::Code(code), at: Now { mono: at(0), wall: 0 } }
    }

    fn children(open: &[Channel]) -> Children {
        let mut children = Children::default();
        for id in [1, 2] {
            children.insert(id, Child::new(ProcessId(10 * id), 100, None, open.to_vec()));
        }
        children
    }

    fn told(children: &mut Children, now: Moment) -> Vec<u64> {
        std::iter::from_fn(|| children.told(now)).map(|(_, process, ..)| process.0).collect()
    }

    #[test]
    fn exits_are_told_in_their_order_and_only_once() {
        let mut children = children(&[]);
        assert!(children.reaped(2, ended(0), at(0)).is_empty());
        children.reaped(1, ended(0), at(0));
        children.reaped(2, ended(0), at(0));
        assert_eq!(told(&mut children, at(0)), [20, 10]);
        assert_eq!(told(&mut children, at(1000)), [0; 0]);
        assert_eq!(
            (children.pop_finished(), children.pop_finished(), children.pop_finished()),
            (Some(1), Some(2), None)
        );
        assert!(children.is_empty() && children.of_process(ProcessId(10)).is_none());
    }

    #[test]
    fn an_exit_waits_for_the_last_output() {
        let mut children = children(&[Channel::Stdout, Channel::Stderr]);
        let sources = children.reaped(1, ended(0), at(0));
        assert_eq!(sources.len(), 2);
        for source in sources {
            assert_eq!(told(&mut children, at(0)), [0; 0]);
            assert_eq!(children.pop_finished(), None);
            children.drained(source);
        }
        assert_eq!(told(&mut children, at(0)), [10]);
        assert_eq!(children.pop_finished(), Some(1));
    }

    #[test]
    fn an_exit_does_not_wait_for_a_slow_disk_but_its_pipes_do() {
        let mut children = children(&[Channel::Stdout]);
        let sources = children.reaped(1, ended(0), at(0));
        assert_eq!(children.deadline(), Some(at(0) + DRAIN_PATIENCE));
        assert_eq!(told(&mut children, at(0) + DRAIN_PATIENCE), [10]);
        assert_eq!((children.deadline(), children.pop_finished()), (None, None));
        // The next run of the process does not end with the former one's pipes.
        children.insert(3, Child::new(ProcessId(10), 101, None, Vec::new()));
        for source in sources {
            children.drained(source);
        }
        assert_eq!(children.pop_finished(), Some(1));
        assert_eq!(children.of_process(ProcessId(10)).map(|(id, _)| id), Some(3));
    }

    #[test]
    fn an_exit_that_a_decision_depends_on_does_not_wait() {
        let mut children = children(&[Channel::Stdout]);
        children.reaped(1, ended(0), at(0));
        children.reaped(2, ended(0), at(0));
        children.hurry(at(5), |process| process == ProcessId(20));
        assert_eq!(told(&mut children, at(5)), [20]);
        assert_eq!(children.deadline(), Some(at(0) + DRAIN_PATIENCE));
        children.hurry(at(6), |_| true);
        assert_eq!(told(&mut children, at(6)), [10]);
        assert_eq!(children.pop_finished(), None, "their output is still waited for");
    }

    #[test]
    fn standard_input_takes_all_or_nothing() {
        let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_CLOEXEC;
        let (read, write) = nix::unistd::pipe2(flags).unwrap();
        let mut child = Child::new(ProcessId(1), 100, Some(write), Vec::new());
        assert_eq!(child.write(&vec![0; STDIN_QUEUE_MAX_BYTES + 1]), Err(StdinError::Full));
        assert_eq!(child.write(b"hello"), Ok(()));
        let mut bytes = [0; 16];
        assert_eq!(nix::unistd::read(&read, &mut bytes), Ok(5));
        drop(read);
        // A child that another test has just forked has the pipe's end until it executes its program.
        let Stdin::Idle(pipe) = &child.stdin else { panic!("nothing waits") };
        assert_eq!(poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::empty())], 60_000_u16), Ok(1));
        assert_eq!(child.write(b"hello"), Err(StdinError::Closed));
        assert_eq!(Child::new(ProcessId(1), 100, None, Vec::new()).write(b""), Err(StdinError::Closed));
    }
}
