//! What the commands need of a daemon, so that each can be tested with a scripted one.

use std::ops::ControlFlow;

use crate::config::literal;
use crate::rpc::{Fault, Value};

/// A call that was not answered with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("connection refused")]
    Refused,
    #[error("no such file")]
    NoSuchFile,
    #[error("permission denied")]
    PermissionDenied,
    /// Another failure to connect, send or receive, in the system's words.
    #[error("{0}")]
    Io(String),
    #[error("no answer in time")]
    TimedOut,
    #[error("401 Unauthorized")]
    Unauthorized,
    #[error("{code} {reason}")]
    Status { code: u16, reason: String },
    #[error("fault {}: {}", .0.code, .0.text)]
    Fault(Fault),
    /// An address that is neither `http://` nor `unix://`.
    #[error("unknown protocol: {0}")]
    UnknownProtocol(String),
    /// Something answered, but not as a daemon does.
    #[error("an answer that makes no sense: {0}")]
    BadAnswer(String),
}

impl CallError {
    /// The exception that supervisorctl would name, class and text.
    #[must_use]
    pub fn exception(&self) -> (&'static str, String) {
        let protocol =
            |what: &str| ("xmlrpc.client.ProtocolError", format!("<ProtocolError for 127.0.0.1/RPC2: {what}>"));
        match self {
            CallError::Refused => ("ConnectionRefusedError", "[Errno 111] Connection refused".to_owned()),
            CallError::NoSuchFile => ("FileNotFoundError", "[Errno 2] No such file or directory".to_owned()),
            CallError::PermissionDenied => ("PermissionError", "[Errno 13] Permission denied".to_owned()),
            CallError::Io(text) => ("OSError", text.clone()),
            CallError::TimedOut => ("TimeoutError", "timed out".to_owned()),
            CallError::Unauthorized => protocol("401 Unauthorized"),
            CallError::Status { code, reason } => protocol(&format!("{code} {reason}")),
            CallError::Fault(fault) => ("xmlrpc.client.Fault", fault_text(fault)),
            CallError::UnknownProtocol(url) => ("ValueError", format!("Unknown protocol for serverurl {url}")),
            CallError::BadAnswer(text) => ("xmlrpc.client.ResponseError", text.clone()),
        }
    }

    /// Whether no daemon was reached, so that the address and the daemon's life are worth a look.
    #[must_use]
    pub fn is_about_the_connection(&self) -> bool {
        matches!(
            self,
            CallError::Refused
                | CallError::NoSuchFile
                | CallError::PermissionDenied
                | CallError::Io(_)
                | CallError::TimedOut
                | CallError::UnknownProtocol(_)
        )
    }
}

/// A fault as Python shows it.
#[must_use]
pub(super) fn fault_text(fault: &Fault) -> String {
    format!("<Fault {}: {}>", fault.code, literal(&fault.text))
}

/// One call: the method's full name and its parameters.
pub type Call = (String, Vec<Value>);

/// The other end.
pub trait Daemon {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// Whatever kept a value from coming back.
    fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, CallError>;

    /// Makes all these calls at the same time; answers in the order of `calls`.
    fn call_together(&mut self, calls: &[Call]) -> Vec<Result<Value, CallError>> {
        calls.iter().map(|(method, params)| self.call(method, params)).collect()
    }

    /// The same for calls that may take long: as long as an answer is missing, `meanwhile` is called again and again.
    fn call_patiently(
        &mut self,
        calls: &[Call],
        _meanwhile: &mut dyn FnMut(&mut dyn Daemon),
    ) -> Vec<Result<Value, CallError>> {
        self.call_together(calls)
    }

    /// Another way to the same daemon, with the same login.
    fn another(&self) -> Box<dyn Daemon>;

    /// A reader for one of its log streams.
    fn follower(&self) -> Box<dyn Follower>;

    /// From now on: the daemon at this address.
    fn turn_to(&mut self, url: &str);

    /// From now on: with this login.
    fn log_in(&mut self, username: String, password: String);
}

/// Reads one stream, usually on a thread of its own.
pub trait Follower: Send {
    /// Hands over the bytes of `path` as they come, until the daemon ends the stream or `on_bytes` says so.
    ///
    /// # Errors
    /// The stream could not be opened, or broke.
    fn follow(self: Box<Self>, path: &str, on_bytes: &mut dyn FnMut(&[u8]) -> ControlFlow<()>)
    -> Result<(), CallError>;
}
