//! The programs' parent: spawns, signals, reaps, holds descriptors and exit statuses.

mod protocol;

pub use protocol::{Ended, FromKeeper, HeldProgram, PROTOCOL_VERSION, Stage, ToKeeper};
