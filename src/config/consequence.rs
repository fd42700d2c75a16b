//! What a change of each key means to a process that exists: the one table behind `galaxyctl update`.
//!
//! Ours alone: Supervisor stops and makes anew the whole group, whatever changed.

use super::schema::SectionKind;

/// What a changed key costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// Holds from now on; the child goes on.
    Live,
    /// The present child was made with the old value: it is started anew.
    Spawn,
    /// Says which processes there are: they come and go one by one.
    Membership,
    /// The group is another one: all of it is stopped and made anew.
    Group,
    /// Not compared, as in Supervisor: a change waits for `reload`.
    Reload,
}

use Consequence as C;
use SectionKind as S;

/// The table. Keys of programs hold for the processes of listener pools and `FastCGI` pools too.
#[rustfmt::skip]
const CONSEQUENCES: &[(SectionKind, &str, Consequence)] = &[
    (S::Program, "command", C::Spawn),
    (S::Program, "process_name", C::Membership),
    (S::Program, "numprocs", C::Membership),
    // What it says is membership; where it lies concerns no process.
    (S::Program, "numprocs_file", C::Live),
    (S::Program, "numprocs_start", C::Membership),
    (S::Program, "priority", C::Live),
    (S::Program, "autostart", C::Live),
    (S::Program, "startsecs", C::Live),
    (S::Program, "startretries", C::Live),
    (S::Program, "autorestart", C::Live),
    (S::Program, "exitcodes", C::Live),
    (S::Program, "stopsignal", C::Live),
    (S::Program, "stopwaitsecs", C::Live),
    (S::Program, "stopasgroup", C::Live),
    (S::Program, "killasgroup", C::Live),
    (S::Program, "user", C::Spawn),
    (S::Program, "redirect_stderr", C::Spawn),
    (S::Program, "stdout_logfile", C::Live),
    (S::Program, "stdout_logfile_maxbytes", C::Live),
    (S::Program, "stdout_logfile_backups", C::Live),
    (S::Program, "stdout_capture_maxbytes", C::Spawn),
    (S::Program, "stdout_events_enabled", C::Spawn),
    (S::Program, "stdout_syslog", C::Live),
    (S::Program, "stderr_logfile", C::Live),
    (S::Program, "stderr_logfile_maxbytes", C::Live),
    (S::Program, "stderr_logfile_backups", C::Live),
    (S::Program, "stderr_capture_maxbytes", C::Spawn),
    (S::Program, "stderr_events_enabled", C::Spawn),
    (S::Program, "stderr_syslog", C::Live),
    (S::Program, "environment", C::Spawn),
    (S::Program, "directory", C::Spawn),
    (S::Program, "umask", C::Spawn),
    (S::Program, "serverurl", C::Spawn),
    // Says what the end of a child means, and sets the default of `startsecs`.
    (S::Program, "type", C::Spawn),
    // It is read when a main process ends.
    (S::Program, "pidfile", C::Live),
    (S::Program, "killtree", C::Live),
    (S::Program, "output_rate_max", C::Live),
    (S::Program, "memory_max", C::Live),
    (S::Program, "memory_high", C::Live),
    (S::Program, "cpu_max", C::Live),
    (S::Program, "pids_max", C::Live),
    (S::Program, "restart_delay", C::Live),
    (S::Program, "restart_factor", C::Live),
    (S::Program, "restart_delay_max", C::Live),
    (S::Program, "restart_jitter", C::Live),
    (S::Program, "restart_limit", C::Live),
    (S::Program, "on_fatal", C::Live),
    (S::Program, "on_exit", C::Live),
    (S::Program, "count_resource_errors", C::Live),
    (S::Program, "socket", C::Spawn),
    (S::Program, "socket_backlog", C::Spawn),
    (S::Program, "socket_owner", C::Spawn),
    (S::Program, "socket_mode", C::Spawn),
    // Of a child that runs, what is known of its readiness stays.
    (S::Program, "ready", C::Live),
    (S::Program, "ready_timeout", C::Live),
    (S::Program, "ready_interval", C::Live),
    (S::Program, "ready_successes", C::Live),
    (S::Program, "ready_settle", C::Live),
    (S::Program, "rollout", C::Live),
    (S::Program, "rollout_signal", C::Live),
    (S::Program, "rollout_fifo", C::Live),
    (S::Program, "max_unavailable", C::Live),
    (S::Program, "rollout_front", C::Live),
    // They are for the next start.
    (S::Program, "depends_on", C::Live),
    (S::Program, "wait_for", C::Live),
    (S::Program, "user_environment", C::Spawn),
    (S::Program, "environment_file", C::Spawn),
    (S::Program, "clear_environment", C::Spawn),
    (S::Group, "programs", C::Membership),
    (S::Group, "priority", C::Live),
    (S::EventListener, "events", C::Group),
    (S::EventListener, "buffer_size", C::Live),
    (S::EventListener, "result_handler", C::Group),
    (S::EventListener, "len_in_bytes", C::Group),
    (S::EventListener, "answer_timeout", C::Live),
    (S::EventListener, "priority", C::Live),
    (S::FcgiProgram, "socket", C::Group),
    (S::FcgiProgram, "socket_backlog", C::Reload),
    (S::FcgiProgram, "socket_owner", C::Reload),
    (S::FcgiProgram, "socket_mode", C::Reload),
];

/// What a change of this key of a section of this kind means; `None` for a key that does not make processes.
#[must_use]
pub fn consequence(kind: SectionKind, key: &str) -> Option<Consequence> {
    let of = |wanted: SectionKind| {
        CONSEQUENCES.iter().find(|(kind, name, _)| *kind == wanted && *name == key).map(|(_, _, found)| *found)
    };
    of(kind).or_else(|| matches!(kind, S::EventListener | S::FcgiProgram).then(|| of(S::Program)).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::keys_of;

    #[test]
    fn every_key_that_makes_processes_has_a_consequence() {
        for kind in [S::Program, S::Group, S::EventListener, S::FcgiProgram] {
            for key in keys_of(kind) {
                let found = consequence(kind, key.name);
                assert!(
                    found.is_some(),
                    "say in src/config/consequence.rs what a change of {} `{}` means",
                    kind.word(),
                    key.name
                );
            }
        }
    }

    #[test]
    fn the_table_names_no_key_that_is_none_and_none_twice() {
        for (index, (kind, name, _)) in CONSEQUENCES.iter().enumerate() {
            assert!(keys_of(*kind).any(|key| key.name == *name), "{} `{name}`", kind.word());
            let again = CONSEQUENCES.iter().skip(index + 1).any(|(other, again, _)| (other, again) == (kind, name));
            assert!(!again, "{} `{name}` twice", kind.word());
        }
    }
}
