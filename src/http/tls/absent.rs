//! What there is without the feature: nobody is let in, so there are no streams.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::task::{Context, Poll};

use tokio::net::TcpStream;

use super::TlsError;
use crate::config::TlsFiles;

/// Nobody.
#[derive(Debug)]
pub(in crate::http) struct Identity;

pub(in crate::http) fn check(_: &TlsFiles) -> Result<(), TlsError> {
    Err(TlsError::Absent)
}

#[expect(clippy::unused_async, reason = "as with the feature")]
impl Identity {
    /// A daemon with TLS was upgraded to one without it.
    pub(in crate::http) fn of(_: &TlsFiles) -> Identity {
        tracing::error!("{}; nobody is let in", TlsError::Absent);
        Identity
    }

    pub(in crate::http) async fn accept(&self, _: TcpStream) -> io::Result<ServedStream> {
        Err(io::Error::other(TlsError::Absent))
    }
}

#[derive(Debug)]
pub(in crate::http) struct ServedStream(Infallible);

impl ServedStream {
    pub(in crate::http) fn poll_read(&self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    pub(in crate::http) fn poll_write(&self, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    pub(in crate::http) fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    pub(in crate::http) fn finish(&self) {
        match self.0 {}
    }
}

pub(in crate::http) async fn connect(_: &str, _: Option<&Path>, _: TcpStream) -> Result<TcpStream, TlsError> {
    Err(TlsError::Absent)
}
