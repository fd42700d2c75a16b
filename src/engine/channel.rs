//! The two outputs of a process: a word that all rooms share.

use serde::{Deserialize, Serialize};

/// Which of its two outputs a process wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Channel {
    Stdout,
    Stderr,
}

impl Channel {
    /// As payloads, log lines and file names spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Channel::Stdout => "stdout",
            Channel::Stderr => "stderr",
        }
    }
}
