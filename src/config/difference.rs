//! What `reread` reports: which groups a new configuration adds, changes and removes.
//!
//! Source: Supervisor 4.3.0, `supervisord.py`, `diff_to_active()`, and the comparisons in `options.py`.

use std::collections::BTreeSet;

use super::model::{GroupConfig, GroupKind, LogConfig, LogFile, Passing, ProcessConfig, SocketConfig};

/// Names of groups: added and changed in the order of the new configuration, removed in that of the old one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

impl Difference {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Compares the groups that exist with those of a new configuration, by name.
#[must_use]
pub fn difference(active: &[GroupConfig], pending: &[GroupConfig]) -> Difference {
    let find = |groups: &[GroupConfig], name: &str| groups.iter().rposition(|group| group.name == name);
    let mut found = Difference::default();
    for group in pending {
        match find(active, &group.name).and_then(|at| active.get(at)) {
            None => found.added.push(group.name.clone()),
            Some(known) if !same_group(known, group) => found.changed.push(group.name.clone()),
            Some(_) => {}
        }
    }
    let removed = active.iter().filter(|group| find(pending, &group.name).is_none());
    found.removed.extend(removed.map(|group| group.name.clone()));
    found
}

fn same_group(active: &GroupConfig, pending: &GroupConfig) -> bool {
    active.priority == pending.priority
        && same_kind(&active.kind, &pending.kind)
        && active.processes.len() == pending.processes.len()
        && active.processes.iter().zip(&pending.processes).all(|(active, pending)| same_process(active, pending))
}

/// Of a `FastCGI` socket only the address counts; events are a set.
pub(super) fn same_kind(active: &GroupKind, pending: &GroupKind) -> bool {
    use GroupKind as K;
    match (active, pending) {
        (K::Program, K::Program) => true,
        (
            K::EventListener { buffer_size, events, result_handler, len_in_bytes, answer_timeout },
            K::EventListener {
                buffer_size: new_size,
                events: new_events,
                result_handler: new_handler,
                len_in_bytes: new_len_in_bytes,
                answer_timeout: new_timeout,
            },
        ) => {
            let set = |events: &[String]| events.iter().cloned().collect::<BTreeSet<_>>();
            buffer_size == new_size
                && result_handler == new_handler
                && len_in_bytes == new_len_in_bytes
                && answer_timeout == new_timeout
                && set(events) == set(new_events)
        }
        (K::FastCgi { socket, .. }, K::FastCgi { socket: new_socket, .. }) => socket == new_socket,
        (K::Program | K::EventListener { .. } | K::FastCgi { .. }, _) => false,
    }
}

/// Everything counts but the section a process comes from; of its account, the number, of a pool's socket the address.
pub(super) fn same_process(active: &ProcessConfig, pending: &ProcessConfig) -> bool {
    let uid = |process: &ProcessConfig| process.user.as_ref().map(|user| user.uid);
    let address = |socket: &SocketConfig| match socket.passing {
        Passing::Stdin => SocketConfig { backlog: None, owner: None, mode: None, ..socket.clone() },
        Passing::Listen => socket.clone(),
    };
    let comparable = |process: &ProcessConfig| ProcessConfig {
        socket: process.socket.as_ref().map(address),
        section: String::new(),
        user: None,
        stdout: LogConfig { file: LogFile::None, ..process.stdout.clone() },
        stderr: LogConfig { file: LogFile::None, ..process.stderr.clone() },
        ..process.clone()
    };
    uid(active) == uid(pending)
        && same_log(&active.stdout.file, &pending.stdout.file)
        && same_log(&active.stderr.file, &pending.stderr.file)
        && comparable(active) == comparable(pending)
}

/// An active `AUTO` has long become a file of its own, so leaving it is seen; going back to it is not.
pub(super) fn same_log(active: &LogFile, pending: &LogFile) -> bool {
    *pending == LogFile::Auto || active == pending
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, load};

    fn groups(text: &str) -> Vec<GroupConfig> {
        let text = format!("[supervisord]\n{text}");
        let source = MadeUp::new().account("galaxy", 1001, 1001, "/srv").file("/etc/a.conf", &text);
        let loaded = load(Path::new("/etc/a.conf"), &Overrides::default(), &source);
        loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems)).groups
    }

    fn changed(old: &str, new: &str) -> bool {
        let difference = difference(&groups(old), &groups(new));
        assert!(difference.added.is_empty() && difference.removed.is_empty(), "{difference:?}");
        !difference.changed.is_empty()
    }

    #[test]
    fn groups_come_and_go_by_name() {
        let old = groups("[program:a]\ncommand=a\n[program:b]\ncommand=b\n");
        let new = groups("[program:a]\ncommand=a\n[program:c]\ncommand=c\n[group:g]\nprograms=c\n");
        let wanted = Difference { added: vec!["g".into()], changed: vec![], removed: vec!["b".into()] };
        assert_eq!(difference(&old, &new), wanted);
        assert!(difference(&old, &old).is_empty());
    }

    #[test]
    fn values_count_and_spellings_do_not() {
        let program = |keys: &str| format!("[program:a]\ncommand=a\n{keys}");
        for (old, new, wanted) in [
            ("", "stopsignal=15\n", false),
            ("stopsignal=TERM\n", "stopsignal=INT\n", true),
            ("user=galaxy\n", "user=1001\n", false),
            ("user=galaxy\n", "user=root\n", true),
            ("environment=A=1,B=2\n", "environment=B=2,A=1\n", false),
            ("environment=A=1\n", "environment=A=2\n", true),
            ("", "stdout_logfile=/tmp/x\n", true),
            ("", "stdout_logfile=NONE\n", true),
            ("stdout_logfile=/tmp/x\n", "", false),
            ("stdout_logfile=/tmp/x\n", "stdout_logfile_maxbytes=1\n", true),
            ("unknown=1\n", "unknown=2\n", false),
            ("type=service\n", "", false),
            ("", "type=oneshot\n", true),
            ("", "killtree=true\n", true),
            ("", "memory_max=1GB\n", true),
            ("memory_max=max\n", "", false),
            ("cpu_max=50%%\n", "cpu_max=50000 100000\n", false),
            ("", "restart_limit=5/10m\n", true),
            ("restart_delay=60\n", "restart_delay=1m\n", false),
            ("", "user_environment=true\n", true),
            ("", "clear_environment=true\n", true),
            ("environment_file=/a\n", "environment_file=-/a\n", true),
        ] {
            assert_eq!(changed(&program(old), &program(new)), wanted, "{old:?} -> {new:?}");
        }
    }

    #[test]
    fn pools_and_sockets_have_their_own_rules() {
        let listener = |keys: &str| format!("[eventlistener:a]\ncommand=a\n{keys}");
        assert!(!changed(&listener("events=TICK_5,TICK_60\n"), &listener("events=TICK_60,TICK_5,TICK_5\n")));
        assert!(changed(&listener("events=TICK_5\n"), &listener("events=TICK_60\n")));
        let socket = |keys: &str| format!("[fcgi-program:a]\ncommand=a\n{keys}");
        assert!(!changed(&socket("socket=unix:///tmp/s\n"), &socket("socket=unix:///tmp/s\nsocket_mode=0777\n")));
        assert!(changed(&socket("socket=unix:///tmp/s\n"), &socket("socket=unix:///tmp/t\n")));
        assert!(changed(&socket("socket=unix:///tmp/s\n"), "[program:a]\ncommand=a\n"));
        let member = |keys: &str| format!("{}[group:g]\nprograms=a\n", socket(keys));
        assert!(!changed(&member("socket=unix:///tmp/s\n"), &member("socket=unix:///tmp/s\nsocket_backlog=9\n")));
        assert!(changed(&member("socket=unix:///tmp/s\n"), &member("socket=unix:///tmp/t\n")));
    }
}
