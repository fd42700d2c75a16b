//! What the client needs of the person in front of it.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::trouble::Trouble;

/// What ended the waiting for a person or a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attention {
    /// A typed line, without its end.
    Line(String),
    /// No more input.
    InputEnded,
    /// Ctrl-C.
    Interrupted,
    /// The streams that were waited for ended.
    StreamsEnded,
    /// The time is over.
    TimeOver,
}

/// Whether typed lines are wanted while waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typing {
    Read,
    LeaveAlone,
}

/// A person, or a script that stands in for one.
pub(super) trait Console {
    /// Prints `prompt` and reads a line.
    ///
    /// # Errors
    /// The input has ended or cannot be read.
    fn ask(&mut self, prompt: &str) -> Result<String, Trouble>;

    /// The same, showing nothing of what is typed.
    ///
    /// # Errors
    /// The input has ended or cannot be read.
    fn ask_hidden(&mut self, prompt: &str) -> Result<String, Trouble>;

    /// Ctrl-C no longer ends the program but is reported by `attend`, until `restore_interrupts`.
    ///
    /// # Errors
    /// The signal cannot be caught.
    fn catch_interrupts(&mut self) -> Result<(), Trouble>;

    /// Ctrl-C ends the program again.
    fn restore_interrupts(&mut self);

    /// Waits for a line (if wanted), Ctrl-C, or for `streams`, if given, to become readable.
    ///
    /// # Errors
    /// Waiting failed.
    fn attend(&mut self, typing: Typing, streams: Option<BorrowedFd<'_>>) -> Result<Attention, Trouble>;

    /// Waits for Ctrl-C, no longer than `time`.
    ///
    /// # Errors
    /// Waiting failed.
    fn pause(&mut self, time: Duration) -> Result<Attention, Trouble>;
}
