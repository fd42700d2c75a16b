//! Ten thousand requests and ten thousand configurations with errors in them: each gets an answer or a clear refusal, and
//! nothing crashes, hangs or grows. Messages about readiness with errors make nobody ready.
//!
//! Everything comes from one printed seed; `GALAXYD_SEED=N cargo test --test mutation` plays another one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests start programs and tell what they measured"
)]
#![expect(dead_code, reason = "the harness is shared with the conformance tests, which use all of it")]

#[path = "../conformance/daemon.rs"]
mod daemon;
#[path = "../fixture/dice.rs"]
mod dice;
#[path = "../promises/household.rs"]
mod household;
#[path = "../promises/subject.rs"]
mod subject;
#[path = "../conformance/wait.rs"]
mod wait;

mod configurations;
mod messages;
mod requests;
mod xml;
