//! Endpoints and their client over real sockets, with a made-up control loop behind them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail that way")]

mod client;
mod limits;
#[path = "../fixture/notice.rs"]
mod notice;
mod pages;
mod python;
mod requests;
mod roles;
mod streams;
mod world;
