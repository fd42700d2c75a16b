//! The keeper as its worker sees it: real processes, with the test in the worker's place.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that panics or speaks has done its duty"
)]

mod double;
mod ends;
mod lives;
mod plans;
mod rig;
mod spawning;
