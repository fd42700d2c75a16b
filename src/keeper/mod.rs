//! The programs' parent: spawns, signals, reaps, holds descriptors and exit statuses.

mod codec;
mod herald;
mod image;
#[expect(clippy::module_inception, reason = "the room is named after what lives in it")]
mod keeper;
mod link;
mod outbox;
mod protocol;
mod table;
mod tenure;

pub use codec::{CodecError, MESSAGE_BYTES_MAX, TEXT_BYTES_MAX};
pub use image::{Image, ImageError, be_keeper, become_keeper, start_image_again};
pub use keeper::{StartWorker, run, run_in_thread};
pub use link::{KeeperLink, LinkError};
pub use protocol::{Ended, FromKeeper, HeldProgram, PROTOCOL_VERSION, Stage, ToKeeper};
