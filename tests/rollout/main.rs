//! Replacing real servers under load: gunicorn and uWSGI, with users who count what fails.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(clippy::disallowed_methods, clippy::print_stderr, reason = "tests start programs and tell what they miss")]
#![expect(dead_code, reason = "the harness is shared with the conformance tests, which use all of it")]

#[path = "../conformance/daemon.rs"]
mod daemon;
#[path = "../promises/household.rs"]
mod household;
#[path = "../fixture/notice.rs"]
mod notice;
#[path = "../promises/subject.rs"]
mod subject;
#[path = "../fixture/venv.rs"]
mod venv;
#[path = "../conformance/wait.rs"]
mod wait;

mod gunicorn;
#[path = "../fixture/load.rs"]
mod load;
mod overlap;
mod site;
mod uwsgi;
mod zerg;
