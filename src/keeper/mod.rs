//! The programs' parent: spawns, signals, reaps, holds descriptors and exit statuses.

mod adoption;
mod bequest;
mod checksum;
mod codec;
mod enrolment;
mod herald;
mod holdings;
mod image;
#[expect(clippy::module_inception, reason = "the room is named after what lives in it")]
mod keeper;
mod link;
mod outbox;
mod protocol;
mod requests;
mod roll;
mod table;
mod tenure;
mod upgrade;

pub use checksum::checksum;
pub use codec::{CodecError, MESSAGE_BYTES_MAX, TEXT_BYTES_MAX};
pub use enrolment::{ROLL_FILE_HELD_NAME, ROLL_HELD_NAME};
pub use image::{
    Image, ImageError, STAGE, be_keeper, become_keeper, rehearsal_environment, start_image_again, start_keeper,
};
pub use keeper::{Inheritance, run, run_in_thread};
pub use link::{KeeperLink, LinkError};
pub use protocol::{Ended, FromKeeper, HeldProgram, PROTOCOL_VERSION, Stage, ToKeeper};
pub use roll::{Entry, ROLL_VERSION, RollError, read_roll};
pub use upgrade::{DONE_HELD_NAME, Images};
