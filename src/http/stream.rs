//! One client's socket, unix or inet, and how hyper reads and writes it.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use tokio::net::{TcpStream, UnixStream};

use super::phase::Phases;

/// Bytes taken from a socket at once.
const READ_SIZE: usize = 8 * 1024;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Unix(UnixStream),
    Inet(TcpStream),
}

impl Stream {
    /// An accepted inet connection: small answers go out at once, and a client whose host is gone is noticed.
    pub(super) fn inet(stream: TcpStream) -> io::Result<Stream> {
        stream.set_nodelay(true)?;
        setsockopt(&stream, sockopt::KeepAlive, &true)?;
        Ok(Stream::Inet(stream))
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Unix(stream) => stream.poll_read_ready(cx),
            Stream::Inet(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Unix(stream) => stream.poll_write_ready(cx),
            Stream::Inet(stream) => stream.poll_write_ready(cx),
        }
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.try_read(buffer),
            Stream::Inet(stream) => stream.try_read(buffer),
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.try_write(bytes),
            Stream::Inet(stream) => stream.try_write(bytes),
        }
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.try_write_vectored(slices),
            Stream::Inet(stream) => stream.try_write_vectored(slices),
        }
    }

    /// Throws away what the client sends; ready when it has closed the connection or sent more than `allowance` bytes.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>, allowance: &mut usize) -> Poll<()> {
        let mut scratch = [0; READ_SIZE];
        loop {
            if ready!(self.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            match self.try_read(&mut scratch) {
                Ok(0) => return Poll::Ready(()),
                Ok(count) => match allowance.checked_sub(count) {
                    Some(rest) => *allowance = rest,
                    None => return Poll::Ready(()),
                },
                Err(error) if is_retry(&error) => {}
                Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// Tells the client that nothing more comes.
    pub(super) fn finish(&self) {
        // An error means that the client was faster to close.
        let _ = shutdown(self.as_fd().as_raw_fd(), Shutdown::Write);
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Unix(stream) => stream.as_fd(),
            Stream::Inet(stream) => stream.as_fd(),
        }
    }
}

fn is_retry(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The stream as hyper holds it. What passes through tells [`Phases`] how far the connection is.
pub(super) struct Link {
    pub(super) stream: Arc<Stream>,
    pub(super) phases: Arc<Phases>,
}

impl Read for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; READ_SIZE];
        let size = chunk.len().min(buffer.remaining());
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(chunk.get_mut(..size).unwrap_or_default()) {
                Ok(count) => {
                    if count > 0 {
                        self.phases.bytes_came();
                    }
                    buffer.put_slice(chunk.get(..count).unwrap_or_default());
                    return Poll::Ready(Ok(()));
                }
                Err(error) if is_retry(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Link {
    fn poll_writing(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match write(&self.stream) {
                Ok(count) => {
                    self.phases.bytes_went();
                    return Poll::Ready(Ok(count));
                }
                Err(error) if is_retry(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Write for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_writing(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_writing(cx, |stream| stream.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes when it has written everything that it holds.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.phases.all_went();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.finish();
        Poll::Ready(Ok(()))
    }
}
