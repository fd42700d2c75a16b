//! What happens to a key of an old configuration.

use serde::Serialize;

use crate::config::schema::{SectionKind, ValueType, key_of, keys_of, takes_any_key};
use crate::config::{Problem, Severity, nearest};

/// What galaxyd makes of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", content = "why", rename_all = "lowercase")]
pub enum Fate {
    /// Means what it means to Supervisor.
    Same,
    /// Means that, and something that used to go wrong does not.
    Better(&'static str),
    /// Has no effect, and why.
    Ignored(String),
    /// galaxyd does not start with it, and why.
    Refused(String),
}

use SectionKind as S;

/// The keys whose work is done better, and what is better. Each is a row of `docs/compatibility.md` or a promise of
/// `docs/architecture.md`.
#[rustfmt::skip]
const BETTER: &[(SectionKind, &str, &str)] = &[
    (S::Supervisord, "environment", "a literal percent sign may be written %% as well as %%%%"),
    (S::Supervisord, "identifier", "stands for itself when old AUTO logs are removed, not for a pattern"),
    (S::Supervisord, "logfile", "a full disk or a hung file system stops neither the daemon nor a program"),
    (S::Supervisord, "minfds", "the daemon raises its own limit as far as it may; programs get what is written here"),
    (S::Supervisord, "restart_rate", "a key of ours; Supervisor ignores it"),
    (S::Supervisord, "strip_ansi", "sequences that are cut by the end of a read are stripped too"),
    (S::UnixHttpServer, "file", "a file that is no socket is never deleted in its place"),
    (S::InetHttpServer, "port", "IPv6 addresses work; requests are limited in size and number"),
    (S::Program, "autorestart", "restarts at once; a program that keeps ending is restarted once a second"),
    (S::Program, "startsecs", "judged by the real run time: a quick exit is never taken for a success"),
    (S::Program, "stopwaitsecs", "counted on a clock that cannot be set; signals go out at once, not at the next pass of a loop"),
    (S::Program, "stdout_logfile", "no byte is lost when the supervisor dies; a literal percent sign may be written %%"),
    (S::Program, "stderr_logfile", "no byte is lost when the supervisor dies; a literal percent sign may be written %%"),
    (S::Program, "stdout_capture_maxbytes", "a block without an end tag, and the last output, go to the log; short lines at once"),
    (S::Program, "stderr_capture_maxbytes", "a block without an end tag, and the last output, go to the log; short lines at once"),
    (S::Program, "stdout_syslog", "a syslog that cannot be reached is told and tried again"),
    (S::Program, "stderr_syslog", "a syslog that cannot be reached is told and tried again"),
    (S::Program, "type", "a key of ours; Supervisor ignores it"),
    (S::Program, "killtree", "a key of ours; Supervisor ignores it"),
    (S::Program, "memory_max", "a key of ours; Supervisor ignores it"),
    (S::Program, "memory_high", "a key of ours; Supervisor ignores it"),
    (S::Program, "cpu_max", "a key of ours; Supervisor ignores it"),
    (S::Program, "pids_max", "a key of ours; Supervisor ignores it"),
    (S::Program, "restart_delay", "a key of ours; Supervisor ignores it"),
    (S::Program, "restart_factor", "a key of ours; Supervisor ignores it"),
    (S::Program, "restart_delay_max", "a key of ours; Supervisor ignores it"),
    (S::Program, "restart_jitter", "a key of ours; Supervisor ignores it"),
    (S::Program, "restart_limit", "a key of ours; Supervisor ignores it"),
    (S::Program, "on_fatal", "a key of ours; Supervisor ignores it"),
    (S::Program, "on_exit", "a key of ours; Supervisor ignores it"),
    (S::Program, "count_resource_errors", "a key of ours; Supervisor ignores it"),
    (S::Program, "socket", "a key of ours; Supervisor ignores it"),
    (S::Program, "socket_backlog", "a key of ours; Supervisor ignores it"),
    (S::Program, "socket_owner", "a key of ours; Supervisor ignores it"),
    (S::Program, "socket_mode", "a key of ours; Supervisor ignores it"),
    (S::Program, "ready", "a key of ours; Supervisor ignores it"),
    (S::Program, "ready_timeout", "a key of ours; Supervisor ignores it"),
    (S::Program, "ready_interval", "a key of ours; Supervisor ignores it"),
    (S::Program, "ready_successes", "a key of ours; Supervisor ignores it"),
    (S::Program, "ready_settle", "a key of ours; Supervisor ignores it"),
    (S::Program, "rollout", "a key of ours; Supervisor ignores it"),
    (S::Program, "rollout_signal", "a key of ours; Supervisor ignores it"),
    (S::Program, "rollout_fifo", "a key of ours; Supervisor ignores it"),
    (S::Program, "max_unavailable", "a key of ours; Supervisor ignores it"),
    (S::Program, "rollout_front", "a key of ours; Supervisor ignores it"),
    (S::Program, "depends_on", "a key of ours; Supervisor ignores it"),
    (S::Program, "wait_for", "a key of ours; Supervisor ignores it"),
    (S::Program, "numprocs_file", "a key of ours; Supervisor ignores it"),
    (S::Program, "pidfile", "a key of ours; Supervisor ignores it"),
    (S::Program, "user_environment", "a key of ours; Supervisor ignores it"),
    (S::Program, "environment_file", "a key of ours; Supervisor ignores it"),
    (S::Program, "clear_environment", "a key of ours; Supervisor ignores it"),
    (S::EventListener, "events", "told once however often subscribed to; what a listener rejects goes back to its own pool only"),
    (S::EventListener, "buffer_size", "drops are counted in the status; what waits survives the death of the worker"),
    (S::FcgiProgram, "socket", "survives the death of the daemon's worker; works for programs in a [group:x] too"),
];

/// What becomes of `key` in a section whose header is `section`, as far as the two say.
#[must_use]
pub(super) fn fate(section: &str, key: &str) -> Fate {
    if section == "DEFAULT" {
        return Fate::Same;
    }
    let Some(kind) = SectionKind::of(section) else {
        return Fate::Ignored("no section of Supervisor's; neither daemon looks at it".to_owned());
    };
    if let Some(known) = key_of(kind, key) {
        if known.is_ours() {
            return Fate::Better("a key of ours; Supervisor ignores it");
        }
        let better = BETTER.iter().find(|(section, name, _)| *section == known.section && *name == key);
        return better.map_or(Fate::Same, |(_, _, why)| Fate::Better(why));
    }
    if takes_any_key(kind) {
        return Fate::Same;
    }
    let meant = nearest(key, keys_of(kind).map(|known| known.name));
    let meant = meant.map_or(String::new(), |meant| format!("; is {meant} meant?"));
    Fate::Ignored(format!("neither Supervisor nor galaxyd knows it{meant}"))
}

/// What `problem`, found at this key, makes of it; `None` if it changes nothing.
#[must_use]
pub(super) fn fate_by(problem: &Problem, section: &str, key: &str) -> Option<Fate> {
    let names_code = || {
        let known = SectionKind::of(section).and_then(|kind| key_of(kind, key));
        known.is_some_and(|known| known.value == ValueType::PythonObject)
    };
    match problem.severity {
        Severity::Error => Some(Fate::Refused(problem.message.clone())),
        // Code that cannot be loaded, and the daemon goes on without.
        Severity::Warning if names_code() => Some(Fate::Ignored(problem.message.clone())),
        Severity::Warning => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_better_is_a_key() {
        for (section, name, _) in BETTER {
            let key = key_of(*section, name).unwrap_or_else(|| panic!("{} {name}", section.word()));
            assert_eq!(key.section, *section, "{name}");
        }
    }

    /// A key that Supervisor does not have must not be said to mean what it means to Supervisor.
    #[test]
    fn keys_of_ours_are_told_apart() {
        for (section, key) in [
            ("inet_http_server", "get_actions"),
            ("inet_http_server", "allowed_hosts"),
            ("inet_http_server", "allow_unauthenticated"),
            ("inet_http_server", "tls_certificate"),
            ("inet_http_server", "tls_key"),
            ("unix_http_server", "get_actions"),
            ("unix_http_server", "allowed_hosts"),
            ("program:x", "type"),
            ("program:x", "killtree"),
            ("program:x", "numprocs_file"),
            ("program:x", "memory_max"),
            ("program:x", "pids_max"),
            ("program:x", "restart_limit"),
            ("supervisord", "restart_rate"),
            ("fcgi-program:x", "environment_file"),
            ("eventlistener:x", "len_in_bytes"),
            ("supervisord", "cgroup"),
        ] {
            let Fate::Better(why) = fate(section, key) else { panic!("{section} {key}") };
            assert!(why.contains("of ours"), "{key}: {why}");
        }
        assert!(matches!(fate("fcgi-program:x", "socket"), Fate::Better(_)));
    }

    #[test]
    fn every_kind_of_fate() {
        assert_eq!(fate("program:web", "command"), Fate::Same);
        assert!(matches!(fate("program:web", "startsecs"), Fate::Better(_)));
        // Listeners have the keys of programs.
        assert!(matches!(fate("eventlistener:web", "startsecs"), Fate::Better(_)));
        let Fate::Ignored(why) = fate("program:web", "autorestrat") else { panic!("known?") };
        assert!(why.ends_with("is autorestart meant?"), "{why}");
        assert!(matches!(fate("circus", "command"), Fate::Ignored(_)));
        assert_eq!(fate("DEFAULT", "anything"), Fate::Same);
        assert_eq!(fate("ctlplugin:x", "anything"), Fate::Same);
    }
}
