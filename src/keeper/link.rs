//! The worker's end of the socket to the keeper.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::codec::{CodecError, MESSAGE_BYTES_MAX};
use super::holdings::Holdings;
use super::protocol::{FromKeeper, ToKeeper};
use crate::sys::descriptors;
use crate::sys::watched::Watched;

/// So many messages may wait for the keeper. It reads as fast as it can fork, so only a keeper
/// that was stopped (SIGSTOP, a debugger) lets them pile up.
const QUEUE_MAX: usize = 65_536;

/// Room for so many of them is kept when all are sent.
const QUEUED_AT_REST: usize = 64;

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("the keeper is gone")]
    Gone,
    #[error("{QUEUE_MAX} messages wait for the keeper, which does not read them")]
    Full,
    #[error("the keeper's message is not understood: {0}")]
    NotUnderstood(CodecError),
    /// This process has no room for more open files.
    #[error("{expected} descriptors were sent with a message, {found} arrived: too many open files")]
    DescriptorsLost { message: Box<FromKeeper>, expected: usize, found: usize },
    #[error("the message cannot be sent: {0}")]
    NotSent(CodecError),
    #[error("the socket to the keeper failed: {0}")]
    Socket(io::Error),
}

/// Sends without waiting, receives with `await`.
#[derive(Debug)]
pub struct KeeperLink {
    socket: Watched,
    queue: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    buffer: Box<[u8]>,
    holdings: Holdings,
    /// A message could not be sent because nobody is there.
    gone: bool,
}

impl KeeperLink {
    /// To be made inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`LinkError::Socket`] if the runtime cannot watch the socket.
    pub fn new(socket: OwnedFd) -> Result<Self, LinkError> {
        let socket = Watched::new(socket).map_err(LinkError::Socket)?;
        let buffer = vec![0; MESSAGE_BYTES_MAX].into_boxed_slice();
        Ok(Self { socket, queue: VecDeque::new(), buffer, holdings: Holdings::default(), gone: false })
    }

    /// Sends at once or queues; queued messages leave, in order, while [`receive`](Self::receive) is awaited.
    ///
    /// # Errors
    ///
    /// [`LinkError::Gone`] if the keeper has ended, [`LinkError::Full`], and [`LinkError::NotSent`] for a
    /// text that is too long.
    pub fn send(&mut self, message: &ToKeeper, descriptors: Vec<OwnedFd>) -> Result<(), LinkError> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).map_err(LinkError::NotSent)?;
        if self.queue.len() >= QUEUE_MAX {
            return Err(LinkError::Full);
        }
        self.holdings.told(message, &descriptors);
        self.queue.push_back((bytes, descriptors));
        self.flush()
    }

    /// The next message, with the descriptors it carries. May be dropped while waiting: nothing is lost.
    ///
    /// # Errors
    ///
    /// [`LinkError::Gone`] if the keeper has ended, [`LinkError::NotUnderstood`], [`LinkError::DescriptorsLost`].
    pub async fn receive(&mut self) -> Result<(FromKeeper, Vec<OwnedFd>), LinkError> {
        loop {
            self.flush()?;
            match descriptors::receive(&self.socket, &mut self.buffer) {
                Ok((0, _)) => return Err(LinkError::Gone),
                Ok((length, carried)) => {
                    let bytes = self.buffer.get(..length).unwrap_or_default();
                    let message = FromKeeper::decode(bytes).map_err(LinkError::NotUnderstood)?;
                    let (expected, found) = (message.descriptors(), carried.len());
                    if expected != found {
                        return Err(LinkError::DescriptorsLost { message: Box::new(message), expected, found });
                    }
                    self.holdings.heard(&message, &carried);
                    return Ok((message, carried));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(trouble(error)),
            }
        }
    }

    /// What a keeper that has ended said before and nobody has read.
    pub fn last_words(&mut self) -> Vec<FromKeeper> {
        let mut words = Vec::new();
        loop {
            match descriptors::receive(&self.socket, &mut self.buffer) {
                Ok((length @ 1.., carried)) => {
                    let message = FromKeeper::decode(self.buffer.get(..length).unwrap_or_default());
                    if let Ok(message) = message {
                        self.holdings.heard(&message, &carried);
                        words.push(message);
                    }
                }
                // That it left something unread is told once, and before what it said.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted) => {}
                Ok(_) | Err(_) => return words,
            }
        }
    }

    /// Whether everything given to [`send`](Self::send) has left this process.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether something was sent to a keeper that had ended: what was sent last need not have reached it either.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Everything the keeper holds, with the pipes of its children: for the next keeper.
    pub fn holdings(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        self.holdings.iter()
    }

    /// Until there may be something to read or, if something is queued, room to send.
    async fn wait(&self) -> Result<(), LinkError> {
        if self.queue.is_empty() {
            return self.socket.readable().await.map_err(LinkError::Socket);
        }
        tokio::select! {
            ready = self.socket.readable() => ready,
            ready = self.socket.writable() => ready,
        }
        .map_err(LinkError::Socket)
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        while let Some((bytes, carried)) = self.queue.front() {
            let borrowed: Vec<BorrowedFd<'_>> = carried.iter().map(AsFd::as_fd).collect();
            match descriptors::send(&self.socket, bytes, &borrowed) {
                Ok(()) => drop(self.queue.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let error = trouble(error);
                    self.gone |= matches!(error, LinkError::Gone);
                    return Err(error);
                }
            }
        }
        self.queue.shrink_to(QUEUED_AT_REST);
        Ok(())
    }
}

fn trouble(error: io::Error) -> LinkError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => LinkError::Gone,
        _ => LinkError::Socket(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(future)
    }

    fn next(socket: &OwnedFd) -> (ToKeeper, usize) {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        let (length, carried) = descriptors::receive(socket, &mut buffer).unwrap();
        (ToKeeper::decode(&buffer[..length]).unwrap(), carried.len())
    }

    #[test]
    fn messages_beyond_what_the_socket_takes_wait_and_arrive_in_order() {
        let (worker, keeper) = descriptors::packet_pair().unwrap();
        on_a_runtime(async {
            let mut link = KeeperLink::new(worker).unwrap();
            let count = 2000;
            for id in 0..count {
                let memory = descriptors::sealed_memory(c"test", b"x").unwrap();
                link.send(&ToKeeper::Spawn { id, tag: "x".repeat(100) }, vec![memory]).unwrap();
            }
            assert!(!link.is_flushed());
            let mut expected = 0;
            while expected < count {
                // Waiting also sends what is queued; the keeper reads meanwhile.
                tokio::select! {
                    biased;
                    received = link.receive() => panic!("{received:?}"),
                    () = tokio::task::yield_now() => {}
                }
                expected = drain(&keeper, expected);
            }
            assert!(link.is_flushed());
        });
    }

    /// Reads all that is there; gives the number that the next message must have.
    fn drain(keeper: &OwnedFd, mut expected: u64) -> u64 {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        while let Ok((length, carried)) = descriptors::receive(keeper, &mut buffer) {
            let message = ToKeeper::decode(&buffer[..length]).unwrap();
            assert_eq!(message, ToKeeper::Spawn { id: expected, tag: "x".repeat(100) });
            assert_eq!(carried.len(), 1);
            expected += 1;
        }
        expected
    }

    #[test]
    fn what_a_keeper_said_before_it_ended_with_unread_messages_is_found() {
        let (worker, keeper) = descriptors::packet_pair().unwrap();
        on_a_runtime(async {
            let mut link = KeeperLink::new(worker).unwrap();
            link.send(&ToKeeper::Ready, vec![]).unwrap();
            let words = [15, 1].map(|signal| FromKeeper::Signal { signal, pid: 7, uid: 0 });
            for message in &words {
                let mut bytes = Vec::new();
                message.encode(&mut bytes).unwrap();
                descriptors::send(&keeper, &bytes, &[]).unwrap();
            }
            drop(keeper);
            assert!(matches!(link.receive().await, Err(LinkError::Gone)), "the reset comes first");
            assert_eq!(link.last_words(), words);
        });
    }

    #[test]
    fn a_keeper_that_ended_is_told_to_both_directions() {
        let (worker, keeper) = descriptors::packet_pair().unwrap();
        on_a_runtime(async {
            let mut link = KeeperLink::new(worker).unwrap();
            link.send(&ToKeeper::Ready, vec![]).unwrap();
            assert_eq!(next(&keeper), (ToKeeper::Ready, 0));
            drop(keeper);
            assert!(matches!(link.receive().await, Err(LinkError::Gone)));
            assert_eq!(link.last_words(), []);
            assert!(!link.is_gone(), "nothing was lost yet");
            assert!(matches!(link.send(&ToKeeper::Ready, vec![]), Err(LinkError::Gone)));
            assert!(link.is_gone());
        });
    }
}
