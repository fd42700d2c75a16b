//! The catalogue of activity log lines about processes (`supervisor.md` section 19).
//!
//! Lines use the bare process name, never the group.

use std::time::Duration;

use super::input::{ExecError, Exit, LogLevel, LogLine, Pid, ProcessId, SpawnError};
use super::pacing::Limit;
use super::signal::signal_name;

impl LogLine {
    fn critical(text: String) -> LogLine {
        LogLine { level: LogLevel::Critical, text, history: None }
    }

    fn warn(text: String) -> LogLine {
        LogLine { level: LogLevel::Warn, text, history: None }
    }

    fn info(text: String) -> LogLine {
        LogLine { level: LogLevel::Info, text, history: None }
    }

    fn debug(text: String) -> LogLine {
        LogLine { level: LogLevel::Debug, text, history: None }
    }

    /// The history of this process has it, too.
    pub(super) fn noted(self, process: Option<ProcessId>) -> LogLine {
        LogLine { history: process, ..self }
    }

    pub(super) fn spawned(name: &str, pid: Pid) -> LogLine {
        LogLine::info(format!("spawned: '{name}' with pid {pid}"))
    }

    pub(super) fn spawn_failed(error: &SpawnError) -> LogLine {
        LogLine::info(format!("spawnerr: {error}"))
    }

    /// Ours: Supervisor waits for nothing.
    pub(super) fn held(name: &str, what: &str) -> LogLine {
        LogLine::info(format!("held: {name} waits for {what}"))
    }

    /// Ours: Supervisor leaves the reason in the child's stderr log only.
    pub(super) fn exec_failed(name: &str, pid: Pid, error: &ExecError) -> LogLine {
        LogLine::info(format!("spawnerr: '{name}' (pid {pid}): {error}"))
    }

    /// Ours.
    pub(super) fn followed(name: &str, pid: Pid, heir: Pid) -> LogLine {
        LogLine::info(format!("'{name}' (pid {pid}) went into the background and goes on as pid {heir}"))
    }

    /// Ours.
    pub(super) fn moved(name: &str, pid: Pid, heir: Pid) -> LogLine {
        LogLine::info(format!("the main process of '{name}' (pid {pid}) has ended, and it goes on as pid {heir}"))
    }

    pub(super) fn success(name: &str, startsecs: Duration) -> LogLine {
        LogLine::info(format!(
            "success: {name} entered RUNNING state, process has stayed up for > than {} seconds (startsecs)",
            startsecs.as_secs()
        ))
    }

    pub(super) fn exited(name: &str, exit: Exit, expected: bool) -> LogLine {
        if expected {
            LogLine::info(format!("exited: {name} ({exit}; expected)"))
        } else {
            LogLine::warn(format!("exited: {name} ({exit}; not expected)"))
        }
    }

    pub(super) fn stopped(name: &str, exit: Exit, expected: bool) -> LogLine {
        let text = format!("stopped: {name} ({exit})");
        if expected { LogLine::info(text) } else { LogLine::warn(text) }
    }

    /// Ours: Supervisor has no such thing.
    pub(super) fn ready(name: &str, after: Duration) -> LogLine {
        LogLine::info(format!("ready: {name}, {:.1} seconds after its start", after.as_secs_f64()))
    }

    /// Ours.
    pub(super) fn not_ready(name: &str, timeout: Duration) -> LogLine {
        let seconds = timeout.as_secs_f64();
        LogLine::warn(format!(
            "not ready: {name} has not become ready in {seconds} seconds (ready_timeout); it is left running"
        ))
    }

    /// Ours.
    pub(super) fn succeeding(name: &str) -> LogLine {
        LogLine::info(format!("succeeding: {name}, a successor is started beside it"))
    }

    /// Ours.
    pub(super) fn succeeded(name: &str, successor: Option<Pid>, former: Option<Pid>) -> LogLine {
        let (successor, former) = (successor.unwrap_or(0), former.unwrap_or(0));
        LogLine::info(format!("succeeded: {name}, pid {successor} took the place of pid {former}, which is stopped"))
    }

    /// Ours.
    pub(super) fn not_succeeded(name: &str, why: &str) -> LogLine {
        LogLine::warn(format!("not succeeded: {name} stays, its successor is ended: {why}"))
    }

    /// Ours.
    pub(super) fn overlapped(name: &str) -> LogLine {
        LogLine::info(format!("overlapped: {name}, the former process is gone"))
    }

    pub(super) fn gave_up(name: &str) -> LogLine {
        LogLine::info(format!("gave up: {name} entered FATAL state, too many start retries too quickly"))
    }

    pub(super) fn limited(name: &str, limit: Limit) -> LogLine {
        LogLine::info(format!("gave up: {name} entered FATAL state, {limit}"))
    }

    pub(super) fn ends_daemon(name: &str, code: u8) -> LogLine {
        LogLine::warn(format!("{name} is not started again: the daemon ends for that, with exit code {code}"))
    }

    pub(super) fn already_running(name: &str) -> LogLine {
        LogLine::warn(format!("process '{name}' already running"))
    }

    pub(super) fn killing(name: &str, pid: Pid, signal: i32, group: bool) -> LogLine {
        let whom = if group { "process group " } else { "" };
        LogLine::debug(format!("killing {name} (pid {pid}) {whom}with signal {}", signal_name(signal)))
    }

    pub(super) fn insisting(name: &str, pid: Pid) -> LogLine {
        LogLine::warn(format!("killing '{name}' ({pid}) with SIGKILL"))
    }

    pub(super) fn sending(name: &str, pid: Pid, signal: i32) -> LogLine {
        LogLine::debug(format!("sending {name} (pid {pid}) sig {}", signal_name(signal)))
    }

    pub(super) fn stop_in_backoff(name: &str) -> LogLine {
        LogLine::debug(format!("Attempted to kill {name}, which is in BACKOFF state."))
    }

    /// A signal that could not be delivered; `text` is also the fault's.
    pub(super) fn undeliverable(text: String) -> LogLine {
        LogLine::critical(text)
    }

    pub(super) fn waiting_to_stop(name: &str) -> LogLine {
        LogLine::info(format!("waiting for {name} to stop"))
    }

    pub(super) fn waiting_to_die(names: &[&str]) -> LogLine {
        LogLine::info(format!("waiting for {} to die", names.join(", ")))
    }

    /// An input that the world cannot have meant; it touches nothing but the process it names.
    pub(super) fn bug(text: &str) -> LogLine {
        LogLine::critical(format!("bug: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::OomScope;
    use super::*;

    fn check(line: &LogLine, level: LogLevel, text: &str) {
        assert_eq!(*line, LogLine { level, text: text.to_owned(), history: None });
    }

    #[test]
    fn lines_are_worded_as_the_catalogue_has_them() {
        let term = Exit::Signal { number: 15, core_dumped: false };
        let dump = Exit::Signal { number: 11, core_dumped: true };
        check(&LogLine::spawned("a", 7), LogLevel::Info, "spawned: 'a' with pid 7");
        check(
            &LogLine::spawn_failed(&SpawnError::NotFound("/x".to_owned())),
            LogLevel::Info,
            "spawnerr: can't find command '/x'",
        );
        check(
            &LogLine::success("a", Duration::from_secs(1)),
            LogLevel::Info,
            "success: a entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)",
        );
        check(&LogLine::exited("a", Exit::Code(0), true), LogLevel::Info, "exited: a (exit status 0; expected)");
        check(&LogLine::exited("a", Exit::Code(1), false), LogLevel::Warn, "exited: a (exit status 1; not expected)");
        check(
            &LogLine::exited("a", dump, false),
            LogLevel::Warn,
            "exited: a (terminated by SIGSEGV (core dumped); not expected)",
        );
        let starved = |memory_max, scope| LogLine::exited("a", Exit::OutOfMemory { memory_max, scope }, false);
        for (memory_max, scope, whose) in [
            (Some(24 << 20), OomScope::Program, " (memory_max=24MB)"),
            (Some(24 << 20), OomScope::Unknown, " (memory_max=24MB)"),
            (None, OomScope::Program, ""),
            (None, OomScope::Above, " (memory limit of the daemon's unit, or of a cgroup above it)"),
            (None, OomScope::Machine, " (the whole machine was out of memory)"),
        ] {
            let text = format!("exited: a (killed by the kernel OOM killer{whose}; not expected)");
            check(&starved(memory_max, scope), LogLevel::Warn, &text);
        }
        check(&LogLine::stopped("a", Exit::Code(0), true), LogLevel::Info, "stopped: a (exit status 0)");
        check(&LogLine::stopped("a", term, false), LogLevel::Warn, "stopped: a (terminated by SIGTERM)");
        check(
            &LogLine::gave_up("a"),
            LogLevel::Info,
            "gave up: a entered FATAL state, too many start retries too quickly",
        );
        check(&LogLine::already_running("a"), LogLevel::Warn, "process 'a' already running");
        check(&LogLine::killing("a", 7, 15, false), LogLevel::Debug, "killing a (pid 7) with signal SIGTERM");
        check(
            &LogLine::killing("a", 7, 15, true),
            LogLevel::Debug,
            "killing a (pid 7) process group with signal SIGTERM",
        );
        check(&LogLine::insisting("a", 7), LogLevel::Warn, "killing 'a' (7) with SIGKILL");
        check(&LogLine::sending("a", 7, 1), LogLevel::Debug, "sending a (pid 7) sig SIGHUP");
        check(&LogLine::waiting_to_stop("a"), LogLevel::Info, "waiting for a to stop");
        check(&LogLine::waiting_to_die(&["a", "b"]), LogLevel::Info, "waiting for a, b to die");
    }
}
