//! Endpoints and their client over real sockets, with a made-up control loop behind them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail that way")]
#![expect(clippy::print_stderr, reason = "a seed is told")]

mod client;
#[path = "../fixture/dice.rs"]
mod dice;
mod limits;
mod mutation;
#[path = "../fixture/notice.rs"]
mod notice;
mod pages;
mod python;
mod requests;
mod roles;
mod streams;
mod world;
