//! One client's socket, unix or inet, and how hyper reads and writes it.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use tokio::net::{TcpStream, UnixStream};

use super::phase::Phases;
use super::tls::ServedStream;

/// Bytes taken from a socket at once.
const READ_SIZE: usize = 8 * 1024;

/// What a client talks on.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Socket),
    Tls(ServedStream),
}

/// A connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixStream),
    Inet(TcpStream),
}

/// An accepted inet connection: small answers go out at once, and a client whose host is gone is noticed.
pub(super) fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    setsockopt(&stream, sockopt::KeepAlive, &true)?;
    Ok(stream)
}

impl Socket {
    /// Says something to a client that is not served. It is small, so that it fits the socket's buffer or the client is not
    /// worth more.
    pub(super) fn say_at_once(&self, bytes: &[u8]) {
        drop(self.try_write(bytes));
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Unix(stream) => stream.poll_read_ready(cx),
            Socket::Inet(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Unix(stream) => stream.poll_write_ready(cx),
            Socket::Inet(stream) => stream.poll_write_ready(cx),
        }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(stream) => stream.try_read(buffer),
            Socket::Inet(stream) => stream.try_read(buffer),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(stream) => stream.try_write(bytes),
            Socket::Inet(stream) => stream.try_write(bytes),
        }
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Unix(stream) => stream.try_write_vectored(slices),
            Socket::Inet(stream) => stream.try_write_vectored(slices),
        }
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            match self.try_read(buffer) {
                Err(error) if is_retry(&error) => {}
                read => return Poll::Ready(read),
            }
        }
    }

    fn poll_writing(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&Socket) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_write_ready(cx))?;
            match write(self) {
                Err(error) if is_retry(&error) => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl Stream {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(socket) => socket.poll_read(cx, buffer),
            Stream::Tls(stream) => stream.poll_read(cx, buffer),
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(socket) => socket.poll_writing(cx, |socket| socket.try_write(bytes)),
            Stream::Tls(stream) => stream.poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(socket) => socket.poll_writing(cx, |socket| socket.try_write_vectored(slices)),
            Stream::Tls(stream) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                stream.poll_write(cx, first.map_or(&[], |slice| slice))
            }
        }
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::Tls(stream) => stream.poll_flush(cx),
        }
    }

    /// Throws away what the client sends; ready when it has closed the connection or sent more than `allowance` bytes.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>, allowance: &mut usize) -> Poll<()> {
        let mut scratch = [0; READ_SIZE];
        loop {
            match ready!(self.poll_read(cx, &mut scratch)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(count) => match allowance.checked_sub(count) {
                    Some(rest) => *allowance = rest,
                    None => return Poll::Ready(()),
                },
            }
        }
    }

    /// The connection itself, for another process to go on with. `None`: it means nothing without what this one knows.
    pub(super) fn into_descriptor(self) -> Option<OwnedFd> {
        match self {
            Stream::Plain(Socket::Unix(stream)) => Some(stream.into_std().ok()?.into()),
            Stream::Plain(Socket::Inet(stream)) => Some(stream.into_std().ok()?.into()),
            Stream::Tls(_) => None,
        }
    }

    /// Tells the client that nothing more comes.
    pub(super) fn finish(&self) {
        let socket = match self {
            Stream::Plain(Socket::Unix(stream)) => stream.as_raw_fd(),
            Stream::Plain(Socket::Inet(stream)) => stream.as_raw_fd(),
            Stream::Tls(stream) => return stream.finish(),
        };
        // An error means that the client was faster to close.
        let _ = shutdown(socket, Shutdown::Write);
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
        let count = ready!(self.stream.poll_read(cx, chunk.get_mut(..size).unwrap_or_default()))?;
        if count > 0 {
            self.phases.bytes_came();
        }
        buffer.put_slice(chunk.get(..count).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl Write for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(self.stream.poll_write(cx, bytes))?;
        self.phases.bytes_went();
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.stream.poll_write_vectored(cx, slices))?;
        self.phases.bytes_went();
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes when it has written everything that it holds.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream.poll_flush(cx))?;
        self.phases.all_went();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.finish();
        Poll::Ready(Ok(()))
    }
}
