//! What keeps a command from finishing: supervisorctl's uncaught exceptions.

use super::daemon::CallError;

/// An error that no command has words of its own for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Call(#[from] CallError),
    /// The daemon answered with a code that the command does not know.
    #[error("Unknown result code {code} for {name}")]
    UnknownResult { code: i64, name: String },
    /// A number that XML-RPC cannot carry.
    #[error("int exceeds XML-RPC limits")]
    NumberTooLarge,
    /// The input ended where an answer was wanted.
    #[error("EOF when reading a line")]
    InputEnded,
    /// The terminal or a signal could not be used.
    #[error(transparent)]
    Console(#[from] std::io::Error),
}

impl Trouble {
    /// Supervisor's line for it; only its beginning, `error: `, is relied upon, but the exception is
    /// named as Python names it. The place is where this client noticed.
    #[must_use]
    pub(super) fn line(&self) -> String {
        let (class, text) = match self {
            Trouble::Call(error) => error.exception(),
            Trouble::UnknownResult { .. } => ("ValueError", self.to_string()),
            Trouble::NumberTooLarge => ("OverflowError", self.to_string()),
            Trouble::InputEnded => ("EOFError", self.to_string()),
            Trouble::Console(_) => ("OSError", self.to_string()),
        };
        format!("error: <class '{class}'>, {text}: file: {} line: {}", file!(), line!())
    }
}
