//! Why a call or a stream failed, in the distinctions that a person's next step depends on.

use std::io;
use std::time::Duration;

use crate::http::TlsError;
use crate::rpc::{Fault, XmlError};

/// A failed call or stream.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("unknown protocol for serverurl {0}")]
    UnknownProtocol(String),
    /// ECONNREFUSED: nobody listens.
    #[error("connection refused")]
    Refused,
    /// ENOENT: there is no such socket.
    #[error("no such file")]
    NoSuchFile,
    /// EACCES or EPERM: the socket's mode or owner, or a folder's on the way, forbids it.
    #[error("permission denied")]
    PermissionDenied,
    /// Any other reason not to get a connection: an unknown host, an unreachable network.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// Its certificate is not trusted, or TLS cannot be spoken at all.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The server did not take the connection in this time.
    #[error("no connection after {} s", .0.as_secs_f64())]
    ConnectTimeout(Duration),
    /// Connected, but not answered in this time.
    #[error("no answer after {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The connection ended before the answer was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// 401: credentials are missing or wrong.
    #[error("401 Unauthorized")]
    Unauthorized,
    /// Another HTTP status than 200.
    #[error("{code} {reason}")]
    Status { code: u16, reason: String },
    /// The server refused the call itself.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// An answer that is not XML-RPC.
    #[error("the answer is not understood: {0}")]
    BadAnswer(#[from] XmlError),
    /// An answer of more than [`super::ANSWER_MAX`] bytes.
    #[error("the answer is too long")]
    AnswerTooLong,
}

impl ClientError {
    pub(super) fn connecting(error: io::Error) -> ClientError {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => ClientError::Refused,
            io::ErrorKind::NotFound => ClientError::NoSuchFile,
            io::ErrorKind::PermissionDenied => ClientError::PermissionDenied,
            _ => ClientError::Connect(error),
        }
    }

    /// The fault, if the server answered with one.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            ClientError::Fault(fault) => Some(fault),
            _ => None,
        }
    }
}
