//! The client half: method calls and log streams over unix and inet sockets, to us or to the real Supervisor.
//!
//! Each call has a connection of its own, so nothing is left in a bad state by a reload or a timeout.

mod address;
mod async_client;
mod blocking;
mod connection;
mod error;

pub use address::Address;
pub use async_client::{ANSWER_MAX, Client, Credentials};
pub use blocking::BlockingClient;
pub use error::ClientError;
