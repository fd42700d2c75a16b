//! A descriptor that tokio's reactor watches.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::io::unix::AsyncFd;

use super::descriptors;

/// Owns a descriptor and tells when it may be worth reading or writing.
///
/// Try first, and wait after `WouldBlock`; a wait that ends promises nothing, so try again.
#[derive(Debug)]
pub struct Watched(AsyncFd<OwnedFd>);

impl Watched {
    /// Makes `descriptor` non-blocking and watches it. To be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// EPERM for a regular file; ENOSPC, ENOMEM.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        descriptors::set_nonblocking(&descriptor)?;
        // SAFETY: the descriptor is owned by the `AsyncFd`, which is private and only ever borrowed
        // immutably, so it stays the same open file until both are dropped.
        Ok(Self(unsafe { AsyncFd::register(descriptor) }?))
    }

    /// Until reading may succeed, or tell of the end or an error.
    ///
    /// # Errors
    ///
    /// When the runtime shuts down.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await?.clear_ready();
        Ok(())
    }

    /// Until writing may succeed or tell of an error.
    ///
    /// # Errors
    ///
    /// When the runtime shuts down.
    pub async fn writable(&self) -> io::Result<()> {
        self.0.writable().await?.clear_ready();
        Ok(())
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}
