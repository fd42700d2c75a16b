//! Endpoints: HTTP over unix and inet sockets, authentication, limits, streams; and the client half.

mod admission;
mod auth;
mod bind;
pub mod client;
mod connection;
mod endpoint;
mod follow;
mod incoming;
pub mod limits;
mod pages;
mod phase;
mod reach;
mod refusals;
mod reply;
mod route;
mod service;
mod stream;
mod tls;
mod watch;

pub use bind::{BindError, BoundListener, BoundUnix, SocketFile, bind, is_in_use, listens_for, rebind};
pub use endpoint::{Endpoint, serve, serve_with};
pub use incoming::{Answer, Incoming, NO_MEMORY, Peer};
pub use reach::{listening_process, who_listens, who_listens_at};
pub use tls::{TlsError, check as check_tls};
