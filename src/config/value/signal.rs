//! Signals by name or number.

use super::{ValueError, integer};

/// The names Python's `signal` module has on Linux. The last five are no signals but begin
/// `SIG`, so Supervisor takes them and the numbers they stand for.
const SIGNALS: [(&str, i32); 41] = [
    ("SIGABRT", libc::SIGABRT),
    ("SIGALRM", libc::SIGALRM),
    ("SIGBUS", libc::SIGBUS),
    ("SIGCHLD", libc::SIGCHLD),
    ("SIGCLD", libc::SIGCHLD),
    ("SIGCONT", libc::SIGCONT),
    ("SIGFPE", libc::SIGFPE),
    ("SIGHUP", libc::SIGHUP),
    ("SIGILL", libc::SIGILL),
    ("SIGINT", libc::SIGINT),
    ("SIGIO", libc::SIGIO),
    ("SIGIOT", libc::SIGABRT),
    ("SIGKILL", libc::SIGKILL),
    ("SIGPIPE", libc::SIGPIPE),
    ("SIGPOLL", libc::SIGPOLL),
    ("SIGPROF", libc::SIGPROF),
    ("SIGPWR", libc::SIGPWR),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGSEGV", libc::SIGSEGV),
    ("SIGSTKFLT", libc::SIGSTKFLT),
    ("SIGSTOP", libc::SIGSTOP),
    ("SIGSYS", libc::SIGSYS),
    ("SIGTERM", libc::SIGTERM),
    ("SIGTRAP", libc::SIGTRAP),
    ("SIGTSTP", libc::SIGTSTP),
    ("SIGTTIN", libc::SIGTTIN),
    ("SIGTTOU", libc::SIGTTOU),
    ("SIGURG", libc::SIGURG),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGVTALRM", libc::SIGVTALRM),
    ("SIGWINCH", libc::SIGWINCH),
    ("SIGXCPU", libc::SIGXCPU),
    ("SIGXFSZ", libc::SIGXFSZ),
    // Zero is taken for a signal: sent, it only asks whether the process exists.
    ("SIG_BLOCK", libc::SIG_BLOCK),
    ("SIG_DFL", 0),
    ("SIG_IGN", 1),
    ("SIG_SETMASK", libc::SIG_SETMASK),
    ("SIG_UNBLOCK", libc::SIG_UNBLOCK),
    ("SIGRTMIN", FIRST_REAL_TIME),
    ("SIGRTMAX", LAST_REAL_TIME),
];

/// Of the real-time signals the C library offers, only the ends have a name, and Supervisor
/// takes no number without a name.
const FIRST_REAL_TIME: i32 = 34;
const LAST_REAL_TIME: i32 = 64;

/// A signal number, from a name with or without `SIG` in any case, or from a number.
///
/// # Errors
/// If there is no such signal.
pub fn signal(text: &str) -> Result<i32, ValueError> {
    let not_number = || ValueError::NotSignalNumber { found: text.to_owned() };
    match integer(text) {
        Ok(number) => {
            let known = SIGNALS.iter().map(|(_, known)| *known).find(|known| i64::from(*known) == number);
            known.ok_or_else(not_number)
        }
        Err(ValueError::TooLarge { .. }) => Err(not_number()),
        Err(_) => by_name(text).ok_or_else(|| ValueError::NotSignalName { found: text.to_owned() }),
    }
}

fn by_name(text: &str) -> Option<i32> {
    let mut name = text.trim_matches(crate::config::ini::is_space).to_uppercase();
    if !name.starts_with("SIG") {
        name.insert_str(0, "SIG");
    }
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_case_with_or_without_prefix_and_numbers() {
        for text in ["TERM", "term", "SIGTERM", " sigterm ", "15", "+15", "1_5"] {
            assert_eq!(signal(text), Ok(libc::SIGTERM), "{text:?}");
        }
        assert_eq!(signal("cld"), Ok(libc::SIGCHLD));
        assert_eq!((signal("RTMIN"), signal("SIGRTMAX")), (Ok(34), Ok(64)));
        assert_eq!((signal("0"), signal("SIG_IGN"), signal("_DFL")), (Ok(0), Ok(1), Ok(0)));
    }

    #[test]
    fn what_has_no_name_is_no_signal() {
        for text in ["32", "35", "63", "65", "-1", "99999999999999999999"] {
            assert_eq!(signal(text).unwrap_err().to_string(), format!("value '{text}' is not a valid signal number"));
        }
        for text in ["", "SIG", "BOGUS", "RTMIN+1", "1.5", "TERM KILL"] {
            assert_eq!(signal(text).unwrap_err().to_string(), format!("value '{text}' is not a valid signal name"));
        }
    }
}
