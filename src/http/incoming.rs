//! What the endpoints hand to the control loop, and what they get back.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::oneshot;

use crate::logs::Channel;
use crate::rpc::{Fault, Method, Value};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// From `SO_PEERCRED`; `user` is the authenticated name, if any.
    Unix {
        pid: i32,
        uid: u32,
        user: Option<String>,
    },
    Inet {
        address: SocketAddr,
        user: Option<String>,
    },
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
}
