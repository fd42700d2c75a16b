//! What can be wrong with a value.

use crate::config::literal;

/// A value that does not fit its key. `Display` gives Supervisor's text, except where the
/// variant says that Supervisor takes the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("invalid literal for int() with base 10: {}", shortened(.found))]
    NotInteger { found: String },
    /// Supervisor has no bounds here.
    #[error("{found} is too large a number")]
    TooLarge { found: String },
    #[error("invalid literal for int() with base 10: {}", shortened(.found))]
    NotByteSize {
        /// The lower-cased value without its suffix.
        found: String,
    },
    #[error("not a valid boolean value: {}", literal(.found))]
    NotBoolean { found: String },
    #[error("invalid 'autorestart' value {}", literal(.found))]
    NotAutoRestart {
        /// Lower-cased.
        found: String,
    },
    #[error("not a valid list of exit codes: {}", literal(.found))]
    NotExitCodes { found: String },
    #[error("value {} is not a valid signal name", literal(.found))]
    NotSignalName { found: String },
    #[error("value {} is not a valid signal number", literal(.found))]
    NotSignalNumber { found: String },
    #[error("{found} can not be converted to an octal type")]
    NotOctal { found: String },
    /// Supervisor takes it and hands it to the kernel, which keeps nine bits of it or fails.
    #[error("{found} is no file mode")]
    ModeOutOfRange { found: String },
    #[error("bad logging level name {}", literal(.found))]
    NotLogLevel { found: String },
    #[error("value {} is neither 'auto' nor 'none' nor an absolute path", literal(.found))]
    NotCgroup { found: String },
    #[error("not a length of time: {}", literal(.found))]
    NotDuration { found: String },
    #[error("not a factor from 1 to 100: {}", literal(.found))]
    NotFactor { found: String },
    #[error("not a limit of starts: {}", literal(.found))]
    NotStartLimit { found: String },
    #[error("value {} is not a URL", literal(.found))]
    NotUrl { found: String },
    #[error("{reason}")]
    BadUrl {
        /// Python's text.
        reason: String,
    },
    #[error("no port number specified in {}", literal(.found))]
    NoPort {
        /// What stands behind the last colon: nothing.
        found: String,
    },
    /// The blank at the end is Supervisor's.
    #[error("not a valid port number: {} ", literal(.found))]
    NotPort { found: String },
    #[error("{found} is below lower bound ({bound})")]
    BelowBound { found: String, bound: i64 },
    #[error("{found} is above upper bound ({bound})")]
    AboveBound { found: String, bound: i64 },
    #[error("Invalid user name {found}")]
    NoSuchUserName { found: String },
    #[error("Invalid user id {found}")]
    NoSuchUserId { found: String },
    #[error("Invalid user:group definition {found}")]
    NoSuchOwner { found: String },
    #[error("Invalid name: {} because of character: {}", literal(.found), literal(&.character.to_string()))]
    BadName { found: String, character: char },
}

impl ValueError {
    /// What would be right, as a fragment to follow "wanted: ".
    #[must_use]
    pub fn wanted(&self) -> &'static str {
        match self {
            ValueError::NotInteger { .. } => "a whole number, such as 10",
            ValueError::TooLarge { .. } => "a number between -2^63 and 2^63 - 1",
            ValueError::NotByteSize { .. } => "a number of bytes, or one followed by KB, MB or GB, such as 50MB",
            ValueError::NotBoolean { .. } => "yes, true, on or 1; or no, false, off or 0",
            ValueError::NotAutoRestart { .. } => "unexpected, true or false",
            ValueError::NotExitCodes { .. } => "numbers between 0 and 255 with commas, such as 0,2",
            ValueError::NotSignalName { .. } | ValueError::NotSignalNumber { .. } => {
                "a signal name or number, such as TERM, SIGHUP or 15"
            }
            ValueError::NotOctal { .. } | ValueError::ModeOutOfRange { .. } => "an octal number, such as 0700 or 022",
            ValueError::NotLogLevel { .. } => "critical, error, warn, info, debug, trace or blather",
            ValueError::NotCgroup { .. } => "auto, none or the path of a cgroup, such as /sys/fs/cgroup/galaxyd.slice",
            ValueError::NotDuration { .. } => {
                "seconds, or a number followed by ms, s, m or h, such as 500ms, 90 or 10m; 30 days at most"
            }
            ValueError::NotFactor { .. } => "a decimal number with two decimals at most, such as 2 or 1.5",
            ValueError::NotStartLimit { .. } => "1 to 100 starts, a slash and a length of time, such as 5/10m",
            ValueError::NotUrl { .. } | ValueError::BadUrl { .. } => {
                "a URL, such as unix:///run/supervisor.sock or http://127.0.0.1:9001"
            }
            ValueError::NoPort { .. }
            | ValueError::NotPort { .. }
            | ValueError::BelowBound { .. }
            | ValueError::AboveBound { .. } => {
                "a port between 1 and 65535, alone or behind a host, such as 127.0.0.1:9001"
            }
            ValueError::NoSuchUserName { .. } | ValueError::NoSuchUserId { .. } => {
                "the name or number of an account of this machine"
            }
            ValueError::NoSuchOwner { .. } => "user or user:group, names or numbers of this machine",
            ValueError::BadName { .. } => "a name without blank, colon and slash",
        }
    }
}

/// Quoted and cut after 200 characters, as in Python's text for a bad number.
fn shortened(found: &str) -> String {
    literal(found).chars().take(200).collect()
}
