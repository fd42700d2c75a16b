//! The command lines of both binaries, under each of their names: what may be typed, what it
//! means, and what is said about mistakes. Nothing here acts on what was asked.

pub mod commands;
pub mod galaxyctl;
pub mod galaxyd;
pub mod getopt;
pub mod manual;
mod personality;
mod program;
pub mod supervisorctl;
pub mod supervisord;
mod usage;

pub use personality::{Personality, personality};
pub use program::program_path;
pub use usage::{Parsed, UsageError};
