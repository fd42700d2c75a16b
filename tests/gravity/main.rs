//! galaxy.yml as a configuration: beside Gravity itself, and with a daemon that runs what it says.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

mod cases;
mod daemon;
mod differential;
#[path = "../promises/galaxy_database.rs"]
#[expect(dead_code, reason = "the fixture is shared")]
mod galaxy_database;
#[path = "../fixture/notice.rs"]
mod notice;
#[path = "../galaxy/postgres.rs"]
mod postgres;
mod scale;
#[path = "../fixture/venv.rs"]
#[expect(dead_code, reason = "the fixture is shared")]
mod venv;
#[path = "../conformance/wait.rs"]
#[expect(dead_code, reason = "the fixture is shared")]
mod wait;
