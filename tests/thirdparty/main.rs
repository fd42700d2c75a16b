//! What others built on Supervisor, run for real: on the original first, then on galaxyd.
//!
//! The assertions stand in the language of the third party, in a script beside its test, and are the same for both
//! daemons. What is not ours is fetched when a test runs, once, into the target directory, in the versions named in
//! `parcels.rs`. Where a registry cannot be reached a test says `could not run: ...` and why.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(clippy::disallowed_methods, clippy::print_stderr, reason = "tests start programs and tell what they miss")]
#![expect(dead_code, reason = "the harness is shared with the conformance tests, which use all of it")]
#![expect(unused_macros, reason = "as above")]

#[path = "../fixture/notice.rs"]
mod notice;
#[path = "../fixture/venv.rs"]
mod venv;

#[path = "../conformance/subject.rs"]
#[macro_use]
mod subject;
#[path = "../conformance/daemon.rs"]
mod daemon;
#[path = "../conformance/wait.rs"]
mod wait;

mod parcels;
mod plugins;
mod script;

mod ansible;
mod end_to_end;
mod gravity;
mod instance;
mod listeners;
mod node;
mod transport;
