//! Replacing the processes of programs without their users' noticing: which one is next, when to stop, what came of it.
//!
//! Time and what happened go in, deeds come out. Who carries them out, and asks whether somebody still answers, is the
//! worker.

mod operation;
#[cfg(test)]
mod operation_tests;
mod step;
mod tally;
mod turn;
#[cfg(test)]
mod turn_tests;

pub use operation::{Deed, Effect, Kind, Operation, Outlook, Plan, State, Unit};
pub use step::{Phase, Step};
pub use tally::{Asked, Tally};
