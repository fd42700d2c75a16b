//! The programs' parent: spawns, signals, reaps, holds descriptors and exit statuses.

mod codec;
mod link;
mod protocol;

pub use codec::{CodecError, MESSAGE_BYTES_MAX, TEXT_BYTES_MAX};
pub use link::{KeeperLink, LinkError};
pub use protocol::{Ended, FromKeeper, HeldProgram, PROTOCOL_VERSION, Stage, ToKeeper};
