//! Galaxy's database: who owns which jobs, who shows life, and the giving of jobs to another handler; and the control queue,
//! by which a handler is told to begin nothing new.
//!
//! It is asked by a side process, and each question has an end. The daemon asks for signs of life alone, and starts that
//! process by itself. What an answer means for a deployment is said elsewhere.

mod answer;
mod question;
mod script;
mod side;

pub use answer::{
    Beat, Census, DatabaseVersion, Invocations, JobCount, Left, Moved, Obedience, OwnedJob, Reassignment, Stage,
};
pub use question::{FRESH_SECONDS, JOBS_MAX, Owner};
pub use script::{ARGUMENTS, Unanswered, beats_answer, beats_question};
pub use side::{AskError, Database};
