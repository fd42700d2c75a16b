//! Galaxy's database: who owns which jobs, who shows life, and the giving of jobs to another handler.
//!
//! It is asked by a side process, never by the daemon, and each question has an end. What an answer means for a
//! deployment is said elsewhere.

mod answer;
mod question;
mod side;

pub use answer::{Beat, Census, DatabaseVersion, Invocations, JobCount, Left, Moved, OwnedJob, Reassignment, Stage};
pub use question::{FRESH_SECONDS, JOBS_MAX, Owner};
pub use side::{AskError, Database};
