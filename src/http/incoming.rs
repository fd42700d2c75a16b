//! What the endpoints hand to the control loop, and what they get back.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::oneshot;

use crate::engine::Channel;
use crate::rpc::{Fault, Method, Value};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// From `SO_PEERCRED`: who made the connection, whoever uses it now. `user` is the authenticated name, if any.
    Unix {
        pid: i32,
        uid: u32,
        /// The name of its program, as it was then; empty if that is not known.
        command: String,
        user: Option<String>,
    },
    Inet {
        address: SocketAddr,
        user: Option<String>,
    },
}

impl Peer {
    /// The same client, authenticated as `user`.
    pub(super) fn as_user(&self, user: Option<String>) -> Peer {
        match self {
            Peer::Unix { pid, uid, command, .. } => Peer::Unix { pid: *pid, uid: *uid, command: command.clone(), user },
            Peer::Inet { address, .. } => Peer::Inet { address: *address, user },
        }
    }
}

/// As the audit line names the client: `uid 1000, pid 4711 (galaxyctl)` or `user admin, 127.0.0.1:53412`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Peer::Unix { user, .. } | Peer::Inet { user, .. }) = self;
        if let Some(user) = user {
            write!(f, "user {user}, ")?;
        }
        match self {
            Peer::Unix { pid, uid, command, .. } if command.is_empty() => write!(f, "uid {uid}, pid {pid}"),
            Peer::Unix { pid, uid, command, .. } => write!(f, "uid {uid}, pid {pid} ({command})"),
            Peer::Inet { address, .. } => write!(f, "{address}"),
        }
    }
}

/// The result of one method call.
pub type Answer = Result<Value, Fault>;

/// One request for the control loop, sent over an mpsc channel by the connection's task.
#[derive(Debug)]
pub enum Incoming {
    /// One method call, understood; `system.*` introspection is answered and `system.multicall` taken apart before.
    /// `reply.is_closed()` or `reply.closed()` tells that the client has gone and nobody waits any more.
    Call { peer: Peer, method: Method, reply: oneshot::Sender<Answer> },
    /// `/mainlogtail` (None) or `/logtail/NAME/CHANNEL`: which file to follow; `None` is 404.
    Follow { process: Option<(String, Channel)>, reply: oneshot::Sender<Option<PathBuf>> },
    /// A request was refused for want of memory.
    Refused,
}

/// The detail of a fault that refuses a request for want of memory.
pub const NO_MEMORY: &str = "the daemon has no memory for this request; programs run on, try again later";
