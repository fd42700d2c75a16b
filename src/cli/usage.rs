//! What comes of a command line: something to run, something to print, or a complaint.

/// A command line that was understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed<T> {
    /// Go on with these options.
    Run(T),
    /// Print this on standard output as it is and exit 0: a help text or a version.
    Print(String),
}

/// A command line that was not. Shown on standard error as two lines; the exit code is
/// [`UsageError::EXIT_CODE`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    pub message: String,
}

impl UsageError {
    /// Supervisor's exit code for every mistake on the command line or in the configuration.
    pub const EXIT_CODE: u8 = 2;

    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// Both lines, each ended: `Error: MSG` and `For help, use PROG -h`.
    /// `program` is `argv[0]` as it was typed.
    #[must_use]
    pub fn text(&self, program: &str) -> String {
        format!("Error: {}\nFor help, use {program} -h\n", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_takes_two_lines() {
        let error = UsageError::new("option -x not recognized");
        assert_eq!(
            error.text("bin/supervisord"),
            "Error: option -x not recognized\nFor help, use bin/supervisord -h\n"
        );
    }
}
