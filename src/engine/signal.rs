//! Signal names, as Supervisor's log lines spell them on Linux.

use std::borrow::Cow;

/// SIGKILL's number.
pub(super) const SIGKILL: i32 = 9;

/// `SIGTERM` for 15; `signal N` for a number without a name of its own.
///
/// Source: supervisor 4.3.0, `options.py`, `signame()`, on Linux: where a number has two names the later of
/// Python's list counts (SIGABRT, SIGCHLD, SIGPOLL).
#[must_use]
pub fn signal_name(number: i32) -> Cow<'static, str> {
    Cow::Borrowed(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        16 => "SIGSTKFLT",
        17 => "SIGCHLD",
        18 => "SIGCONT",
        19 => "SIGSTOP",
        20 => "SIGTSTP",
        21 => "SIGTTIN",
        22 => "SIGTTOU",
        23 => "SIGURG",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        26 => "SIGVTALRM",
        27 => "SIGPROF",
        28 => "SIGWINCH",
        29 => "SIGPOLL",
        30 => "SIGPWR",
        31 => "SIGSYS",
        34 => "SIGRTMIN",
        64 => "SIGRTMAX",
        _ => return Cow::Owned(format!("signal {number}")),
    })
}

#[cfg(test)]
mod tests {
    use super::signal_name;

    #[test]
    fn names_are_supervisors() {
        for (number, name) in [
            (0, "signal 0"),
            (6, "SIGABRT"),
            (9, "SIGKILL"),
            (15, "SIGTERM"),
            (16, "SIGSTKFLT"),
            (17, "SIGCHLD"),
            (29, "SIGPOLL"),
            (31, "SIGSYS"),
            (32, "signal 32"),
            (34, "SIGRTMIN"),
            (35, "signal 35"),
            (64, "SIGRTMAX"),
            (-1, "signal -1"),
        ] {
            assert_eq!(signal_name(number), name);
        }
    }
}
