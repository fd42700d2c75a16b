//! Everything that reads bytes from outside, fed with damaged ones: one [`target::Target`] for each reader, a small corpus
//! of its own in `tests/fuzz/corpus`, and an oracle that says more than "it did not crash".
//!
//! `GALAXYD_FUZZ_SECONDS` is how long each target is fed (1); `GALAXYD_SEED` where the inputs begin. A failure prints the
//! input and the seed that makes it the first one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a driver measures time and tells what it has done"
)]
#![expect(
    dead_code,
    reason = "dice, the stage of the listeners and the made-up daemon are shared with tests that use all of them"
)]

#[path = "../fixture/dice.rs"]
mod dice;
#[path = "../listeners/stage.rs"]
mod stage;
#[path = "../http/world.rs"]
mod world;

mod configurations;
mod documents;
mod galaxy;
mod http;
mod keeper;
mod output;
mod requests;
mod state;
mod target;
mod texts;
#[cfg(feature = "tls")]
mod tls;
