//! Endpoints and their client over real sockets, with a made-up control loop behind them.

mod client;
mod limits;
mod mutation;
mod python;
mod requests;
mod streams;
mod world;
