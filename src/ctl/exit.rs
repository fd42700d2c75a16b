//! The client's exit codes, all of them.

/// How a command ended. The last one set while it ran is the exit code; success never resets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExitCode {
    #[default]
    Success,
    /// Something was refused or failed.
    Generic,
    /// `start` without a name or of an unknown group; options that make no sense; a bad configuration.
    Usage,
    /// `status`: a listed process is stopped, has exited or failed.
    SomeStopped,
    /// The daemon does not offer the commands.
    NoNamespace,
    /// `status`: an unknown name, or no daemon.
    Unknown,
    /// Nothing listens at the address.
    Refused,
    /// The daemon's API is another version.
    ApiMismatch,
    /// A process does not run or could not be started; no socket file.
    NotRunning,
    /// As galaxyctl: the daemon did not answer in time.
    Unanswered,
}

impl ExitCode {
    /// The number the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Success => 0,
            ExitCode::Generic => 1,
            ExitCode::Usage => 2,
            ExitCode::SomeStopped | ExitCode::NoNamespace => 3,
            ExitCode::Unknown | ExitCode::Refused => 4,
            ExitCode::ApiMismatch => 5,
            ExitCode::NotRunning | ExitCode::Unanswered => 7,
        }
    }
}
