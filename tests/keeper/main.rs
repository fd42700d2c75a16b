//! The keeper as its worker sees it: real processes, with the test in the worker's place.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests start programs, tell what they measured, and have done their duty when they panic"
)]

mod double;
mod ends;
mod enrolment;
mod lives;
#[path = "../fixture/notice.rs"]
mod notice;
mod plans;
mod rig;
mod spawning;
