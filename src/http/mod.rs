//! Endpoints: HTTP over unix and inet sockets, authentication, limits, streams; and the client half.

mod incoming;

pub use incoming::{Answer, Incoming, Peer};
