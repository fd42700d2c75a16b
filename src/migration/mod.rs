//! What becomes of a Supervisor deployment under galaxyd: key by key, difference by difference, on this host; and what
//! galaxyd would have decided in the place of a Supervisor that is running.
//!
//! Reads, and changes nothing.

mod differences;
mod fate;
mod host;
mod inventory;
mod report;
mod shadow;
mod twin;
mod unit;

pub use differences::Difference;
pub use fate::Fate;
pub use host::{Check, Finding};
pub use inventory::{Entry, FileKeys};
pub use report::{Report, report};
pub use shadow::{Observed, Shadow, Transition, Verdict};
pub use unit::unit;
