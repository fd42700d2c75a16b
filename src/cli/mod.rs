//! The command lines of both binaries, under each of their names: what may be typed, what it
//! means, and what is said about mistakes. Nothing here acts on what was asked.

pub mod commands;
pub mod galaxyctl;
pub mod getopt;
mod personality;
mod repr;
pub mod supervisorctl;
mod usage;

pub use personality::{Personality, personality};
pub use repr::{repr, repr_list};
pub use usage::{Parsed, UsageError};
