//! What changes from one configuration to another, process by process and key by key: what `galaxyctl update` goes by.
//!
//! Compares what `reread` compares ([`super::difference`]), with the same eyes: spellings do not count, an account is its
//! number, `AUTO` is the file that was made for it.

use super::consequence::{Consequence, consequence};
use super::difference::{same_kind, same_log, same_process};
use super::model::{GroupConfig, GroupKind, LogFile, Passing, ProcessConfig};
use super::print::values;
use super::schema::SectionKind;
use super::secret::{HIDDEN, is_secret, without_secrets};
use super::value;

/// One key's change, for people: secrets are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// As in the file; a variable of `environment` is `environment.NAME`.
    pub key: String,
    /// `None`: not set.
    pub old: Option<String>,
    pub new: Option<String>,
    pub consequence: Consequence,
}

/// What becomes of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessFate {
    Added,
    Removed,
    Changed(Vec<KeyChange>),
}

/// What becomes of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupFate {
    Added,
    Removed,
    Changed,
    /// Stopped and made anew as a whole.
    Replaced,
    /// Nothing happens to it: what changed waits for `reload`.
    Waits,
}

/// A group that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPlan {
    pub group: String,
    pub fate: GroupFate,
    /// Of the group itself.
    pub keys: Vec<KeyChange>,
    /// Processes that change: in the order of the new configuration, then those that leave.
    pub processes: Vec<(String, ProcessFate)>,
}

impl ProcessFate {
    /// Whether the present child is not what the new configuration would spawn.
    #[must_use]
    pub fn needs_spawn(&self) -> bool {
        match self {
            ProcessFate::Changed(keys) => keys.iter().any(|key| key.consequence != Consequence::Live),
            ProcessFate::Added | ProcessFate::Removed => false,
        }
    }
}

/// Everything that changes: groups that leave first, then the others in the order of the new configuration.
#[must_use]
pub fn plan(active: &[GroupConfig], pending: &[GroupConfig]) -> Vec<GroupPlan> {
    let find = |groups: &[GroupConfig], name: &str| groups.iter().rposition(|group| group.name == name);
    let whole = |group: &GroupConfig, fate: GroupFate, process: &ProcessFate| GroupPlan {
        group: group.name.clone(),
        fate,
        keys: Vec::new(),
        processes: group.processes.iter().map(|one| (one.name.clone(), process.clone())).collect(),
    };
    let mut plans: Vec<GroupPlan> = active
        .iter()
        .filter(|group| find(pending, &group.name).is_none())
        .map(|group| whole(group, GroupFate::Removed, &ProcessFate::Removed))
        .collect();
    let mut seen = Vec::new();
    for group in pending {
        if seen.contains(&group.name.as_str()) {
            continue;
        }
        seen.push(&group.name);
        match find(active, &group.name).and_then(|at| active.get(at)) {
            None => plans.push(whole(group, GroupFate::Added, &ProcessFate::Added)),
            Some(known) => plans.extend(changed(known, group)),
        }
    }
    plans
}

fn changed(active: &GroupConfig, pending: &GroupConfig) -> Option<GroupPlan> {
    let mut keys = group_keys(active, pending);
    let member = |group: &'_ GroupConfig, name: &str| group.processes.iter().rposition(|one| one.name == name);
    let mut processes: Vec<(String, ProcessFate)> = Vec::new();
    for new in &pending.processes {
        if processes.iter().any(|(name, _)| *name == new.name) {
            continue;
        }
        let new = member(pending, &new.name).and_then(|at| pending.processes.get(at)).unwrap_or(new);
        match member(active, &new.name).and_then(|at| active.processes.get(at)) {
            None => processes.push((new.name.clone(), ProcessFate::Added)),
            Some(old) if same_process(old, new) => {}
            Some(old) => processes.push((new.name.clone(), ProcessFate::Changed(process_keys(old, new)))),
        }
    }
    for old in &active.processes {
        if member(pending, &old.name).is_none() && !processes.iter().any(|(name, _)| *name == old.name) {
            processes.push((old.name.clone(), ProcessFate::Removed));
        }
    }
    let membership = processes.iter().any(|(_, fate)| matches!(fate, ProcessFate::Added | ProcessFate::Removed));
    let is_pool = !matches!((&active.kind, &pending.kind), (GroupKind::Program, GroupKind::Program));
    let of_processes = processes.iter().filter_map(|(_, fate)| match fate {
        ProcessFate::Changed(keys) => Some(keys),
        ProcessFate::Added | ProcessFate::Removed => None,
    });
    let another = keys.iter().chain(of_processes.flatten()).any(|key| key.consequence == Consequence::Group);
    let replaced = another || (is_pool && membership);
    let waiting = waiting_keys(&active.kind, &pending.kind, replaced);
    if processes.is_empty() && keys.is_empty() {
        let order = |group: &GroupConfig| group.processes.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        if order(active) == order(pending) {
            let (group, fate) = (pending.name.clone(), GroupFate::Waits);
            return (!waiting.is_empty()).then_some(GroupPlan { group, fate, keys: waiting, processes });
        }
        keys.push(KeyChange {
            key: "programs".to_owned(),
            old: Some(order(active).join(",")),
            new: Some(order(pending).join(",")),
            consequence: Consequence::Live,
        });
    }
    keys.extend(waiting);
    let fate = if replaced { GroupFate::Replaced } else { GroupFate::Changed };
    Some(GroupPlan { group: pending.name.clone(), fate, keys, processes })
}

fn group_keys(active: &GroupConfig, pending: &GroupConfig) -> Vec<KeyChange> {
    let mut keys = Vec::new();
    if active.priority != pending.priority {
        keys.push(KeyChange {
            key: "priority".to_owned(),
            old: Some(active.priority.to_string()),
            new: Some(pending.priority.to_string()),
            consequence: Consequence::Live,
        });
    }
    if !same_kind(&active.kind, &pending.kind) {
        let (old, new) = (kind_values(&active.kind), kind_values(&pending.kind));
        let before = keys.len();
        for (key, value) in &new {
            let known = old.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            if known.as_ref() != Some(value) {
                let consequence = consequence(kind_of(&pending.kind), key).unwrap_or(Consequence::Group);
                keys.push(KeyChange { key: (*key).to_owned(), old: known, new: Some(value.clone()), consequence });
            }
        }
        if keys.len() == before {
            let consequence = Consequence::Group;
            keys.push(KeyChange { key: "section".to_owned(), old: None, new: None, consequence });
        }
    }
    keys
}

/// What changed of a pool's socket beside its address. Supervisor does not compare it, and nobody can give it to a socket that
/// is open: it waits, unless the pool is made anew for another reason.
fn waiting_keys(active: &GroupKind, pending: &GroupKind, replaced: bool) -> Vec<KeyChange> {
    let (Some(old), Some(new)) = (socket_values(active), socket_values(pending)) else { return Vec::new() };
    let changed = old.into_iter().zip(new).filter(|((_, old), (_, new))| old != new);
    changed
        .map(|((key, old), (_, new))| {
            let waits = consequence(SectionKind::FcgiProgram, key).unwrap_or(Consequence::Reload);
            let consequence = if replaced { Consequence::Group } else { waits };
            KeyChange { key: key.to_owned(), old, new, consequence }
        })
        .collect()
}

/// As they are written; `None` where they are not set.
fn socket_values(kind: &GroupKind) -> Option<[(&'static str, Option<String>); 3]> {
    let GroupKind::FastCgi { backlog, owner, mode, .. } = kind else { return None };
    Some([
        ("socket_backlog", backlog.map(|backlog| backlog.to_string())),
        ("socket_owner", owner.as_ref().map(ToString::to_string)),
        ("socket_mode", mode.map(|mode| format!("{mode:04o}"))),
    ])
}

fn kind_of(kind: &GroupKind) -> SectionKind {
    match kind {
        GroupKind::Program => SectionKind::Program,
        GroupKind::EventListener { .. } => SectionKind::EventListener,
        GroupKind::FastCgi { .. } => SectionKind::FcgiProgram,
    }
}

/// What only this kind of group has, as it is written.
fn kind_values(kind: &GroupKind) -> Vec<(&'static str, String)> {
    match kind {
        GroupKind::Program => vec![("section", "program".to_owned())],
        GroupKind::EventListener { buffer_size, events, result_handler, len_in_bytes, answer_timeout } => vec![
            ("section", "eventlistener".to_owned()),
            ("events", events.join(",")),
            ("buffer_size", buffer_size.to_string()),
            ("result_handler", result_handler.clone()),
            ("len_in_bytes", len_in_bytes.to_string()),
            ("answer_timeout", answer_timeout.map(value::duration_text).unwrap_or_default()),
        ],
        GroupKind::FastCgi { socket, .. } => {
            vec![("section", "fcgi-program".to_owned()), ("socket", socket.clone())]
        }
    }
}

/// The keys in which two configurations of one process differ. They do differ, so there is at least one.
fn process_keys(old: &ProcessConfig, new: &ProcessConfig) -> Vec<KeyChange> {
    let pooled = is_pooled(old) || is_pooled(new);
    let kind = if pooled { SectionKind::FcgiProgram } else { SectionKind::Program };
    let same_user = old.user.as_ref().map(|user| user.uid) == new.user.as_ref().map(|user| user.uid);
    let unseen = |key: &str| match key {
        "user" => same_user,
        "stdout_logfile" => same_log(&old.stdout.file, &new.stdout.file),
        "stderr_logfile" => same_log(&old.stderr.file, &new.stderr.file),
        // A pool's socket is told of the pool.
        _ => pooled && consequence(kind, key) == Some(Consequence::Reload),
    };
    let (old_values, new_values) = (values(old), values(new));
    let mut keys = Vec::new();
    let names = new_values.keys().chain(old_values.keys().filter(|key| !new_values.contains_key(*key)));
    for name in names {
        let (before, after) = (old_values.get(name), new_values.get(name));
        if before == after || unseen(name) {
            continue;
        }
        let shown = |value: Option<&String>| value.map(|value| shown(name, value));
        let key = name.split_once('.').map_or(name.as_str(), |(key, _)| key);
        let consequence = consequence(kind, key).unwrap_or(Consequence::Spawn);
        keys.push(KeyChange { key: name.clone(), old: shown(before), new: shown(after), consequence });
    }
    if keys.is_empty() && old.extras.depends_on != new.extras.depends_on {
        // The same names mean other processes now.
        let shown = |process: &ProcessConfig| Some(process.extras.depends_on.written.join(","));
        let key = "depends_on".to_owned();
        keys.push(KeyChange { key, old: shown(old), new: shown(new), consequence: Consequence::Live });
    }
    if keys.is_empty() {
        // Something that is not printed; to start the process anew is never wrong.
        let consequence = Consequence::Spawn;
        keys.push(KeyChange { key: "section".to_owned(), old: None, new: None, consequence });
    }
    keys
}

fn shown(name: &str, value: &str) -> String {
    match name.strip_prefix("environment.") {
        Some(variable) if is_secret(variable) => HIDDEN.to_owned(),
        _ => without_secrets(value),
    }
}

/// The new configuration of a process as it will be: `AUTO` stays the file that was made for the old one.
#[must_use]
pub fn settled(active: &ProcessConfig, pending: &ProcessConfig) -> ProcessConfig {
    let file = |old: &LogFile, new: &LogFile| match (old, new) {
        (LogFile::Path(_), LogFile::Auto) => old.clone(),
        _ => new.clone(),
    };
    let mut process = pending.clone();
    process.stdout.file = file(&active.stdout.file, &pending.stdout.file);
    process.stderr.file = file(&active.stderr.file, &pending.stderr.file);
    if is_pooled(active) && is_pooled(pending) {
        process.socket.clone_from(&active.socket);
    }
    process
}

/// Whether it gets the socket of a `[fcgi-program:x]`.
fn is_pooled(process: &ProcessConfig) -> bool {
    process.socket.as_ref().is_some_and(|socket| socket.passing == Passing::Stdin)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::schema::keys_of;
    use crate::config::{Overrides, difference, load};

    fn groups(text: &str) -> Vec<GroupConfig> {
        let text = format!("[supervisord]\n{text}");
        let source = MadeUp::new().account("galaxy", 1001, 1001, "/srv").file("/etc/a.conf", &text);
        let loaded = load(Path::new("/etc/a.conf"), &Overrides::default(), &source);
        loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems)).groups
    }

    /// For each key of a program another value than its default.
    const SAMPLES: &[(&str, &str)] = &[
        ("command", "other"),
        ("process_name", "another"),
        ("numprocs", "2\nprocess_name=p%(process_num)d"),
        ("numprocs_file", "/etc/p.numprocs"),
        ("numprocs_start", "3\nprocess_name=p%(process_num)d"),
        ("priority", "1"),
        ("autostart", "false"),
        ("startsecs", "7"),
        ("startretries", "7"),
        ("autorestart", "true"),
        ("exitcodes", "0,7"),
        ("stopsignal", "INT"),
        ("stopwaitsecs", "7"),
        ("stopasgroup", "true"),
        ("killasgroup", "true"),
        ("user", "galaxy"),
        ("redirect_stderr", "true"),
        ("stdout_logfile", "/tmp/o.log"),
        ("stdout_logfile_maxbytes", "7"),
        ("stdout_logfile_backups", "7"),
        ("stdout_capture_maxbytes", "7"),
        ("stdout_events_enabled", "true"),
        ("stdout_syslog", "true"),
        ("stderr_logfile", "/tmp/e.log"),
        ("stderr_logfile_maxbytes", "7"),
        ("stderr_logfile_backups", "7"),
        ("stderr_capture_maxbytes", "7"),
        ("stderr_events_enabled", "true"),
        ("stderr_syslog", "true"),
        ("environment", "A=1"),
        ("directory", "/"),
        ("umask", "077"),
        ("serverurl", "http://h:1"),
        ("type", "oneshot"),
        ("pidfile", "/run/p.pid\ntype=forking"),
        ("killtree", "true"),
        ("output_rate_max", "1MB"),
        ("memory_max", "1GB"),
        ("memory_high", "1GB"),
        ("cpu_max", "50%%"),
        ("pids_max", "100"),
        ("restart_delay", "2"),
        ("restart_factor", "3\nrestart_delay=1"),
        ("restart_delay_max", "7\nrestart_delay=1"),
        ("restart_jitter", "7\nrestart_delay=1"),
        ("restart_limit", "5/10m"),
        ("on_fatal", "shutdown"),
        ("on_exit", "shutdown"),
        ("count_resource_errors", "true"),
        ("socket", "unix:/s-%(program_name)s"),
        ("socket_backlog", "7\nsocket=unix:/b-%(program_name)s"),
        ("socket_owner", "galaxy\nsocket=unix:/o-%(program_name)s"),
        ("socket_mode", "0600\nsocket=unix:/m-%(program_name)s"),
        ("ready", "tcp:h:1"),
        ("ready_timeout", "7\nready=notify"),
        ("ready_interval", "7\nready=notify"),
        ("ready_successes", "7\nready=notify"),
        ("ready_settle", "7\nready=notify"),
        ("rollout", "keep"),
        ("rollout_signal", "HUP"),
        ("rollout_fifo", "/run/f:c"),
        ("max_unavailable", "2"),
        ("rollout_front", "http://h/"),
        ("depends_on", "other:running"),
        ("wait_for", "path:/data"),
        ("user_environment", "true"),
        ("environment_file", "/etc/p.env"),
        ("clear_environment", "true"),
    ];

    #[test]
    fn every_key_of_a_program_is_planned_as_the_table_says() {
        let program = |keys: &str| groups(&format!("[program:other]\ncommand=a\n[program:p]\n{keys}"));
        for key in keys_of(SectionKind::Program) {
            let sample = SAMPLES.iter().find(|(name, _)| *name == key.name);
            let (name, value) = sample.unwrap_or_else(|| panic!("a sample of `{}` is wanted", key.name));
            let command = if *name == "command" { "" } else { "command=a\n" };
            let found = plan(&program("command=a\n"), &program(&format!("{command}{name}={value}\n")));
            let [group] = found.as_slice() else { panic!("{name}: {found:?}") };
            let wanted = consequence(SectionKind::Program, name).unwrap();
            if wanted == Consequence::Membership {
                assert!(group.processes.iter().any(|(_, fate)| *fate == ProcessFate::Added), "{name}: {found:?}");
                continue;
            }
            let [(_, ProcessFate::Changed(keys))] = group.processes.as_slice() else { panic!("{name}: {found:?}") };
            let of = |change: &&KeyChange| change.key.split('.').next() == Some(name);
            let change = keys.iter().find(of).unwrap_or_else(|| panic!("{name}: {keys:?}"));
            assert_eq!(change.consequence, wanted, "{name}");
        }
    }

    #[test]
    fn every_key_that_only_pools_have_is_planned_as_the_table_says() {
        for (kind, name, value) in [
            (SectionKind::EventListener, "events", "TICK_60"),
            (SectionKind::EventListener, "buffer_size", "7"),
            (SectionKind::EventListener, "len_in_bytes", "true"),
            (SectionKind::EventListener, "answer_timeout", "90s"),
            (SectionKind::FcgiProgram, "socket", "unix:///tmp/other"),
            (SectionKind::FcgiProgram, "socket_backlog", "7"),
            (SectionKind::FcgiProgram, "socket_owner", "galaxy"),
            (SectionKind::FcgiProgram, "socket_mode", "0600"),
        ] {
            let of = |key: &str, value: &str| {
                let wanted = match kind {
                    SectionKind::EventListener => ("events", "TICK_5"),
                    _ => ("socket", "unix:///tmp/s"),
                };
                let mut keys = vec![wanted, ("command", "a")];
                keys.retain(|(name, _)| *name != key);
                keys.push((key, value));
                let keys: Vec<String> = keys.into_iter().map(|(key, value)| format!("{key}={value}\n")).collect();
                groups(&format!("[{}:p]\n{}", kind.word(), keys.concat()))
            };
            let found = plan(&of("command", "a"), &of(name, value));
            let wanted = consequence(kind, name).unwrap();
            let [group] = found.as_slice() else { panic!("{name}: {found:?}") };
            let change = group.keys.iter().find(|change| change.key == name).unwrap();
            assert_eq!(change.consequence, wanted, "{name}");
            let fate = match wanted {
                Consequence::Group => GroupFate::Replaced,
                Consequence::Reload => GroupFate::Waits,
                _ => GroupFate::Changed,
            };
            assert_eq!(group.fate, fate, "{name}: {found:?}");
        }
    }

    #[test]
    fn values_are_shown_and_secrets_are_not() {
        let of = |environment: &str| groups(&format!("[program:p]\ncommand=a 100%%\nenvironment={environment}\n"));
        let found = plan(&of("A=1,B=\"x%%y\",DB_PASSWORD=old"), &of("B=\"x%%z\",C=3,DB_PASSWORD=new"));
        let ProcessFate::Changed(keys) = &found[0].processes[0].1 else { panic!("{found:?}") };
        let told: Vec<(&str, Option<&str>, Option<&str>)> =
            keys.iter().map(|key| (key.key.as_str(), key.old.as_deref(), key.new.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("environment.B", Some("x%y"), Some("x%z")),
                ("environment.C", None, Some("3")),
                ("environment.DB_PASSWORD", Some(HIDDEN), Some(HIDDEN)),
                ("environment.A", Some("1"), None),
            ]
        );
    }

    #[test]
    fn numprocs_changes_leave_the_others_alone() {
        let of = |count: u32| {
            groups(&format!("[program:h]\ncommand=run\nnumprocs={count}\nprocess_name=h%(process_num)d\n"))
        };
        let names = |found: &[GroupPlan]| -> Vec<String> {
            found[0].processes.iter().map(|(name, fate)| format!("{name} {fate:?}")).collect()
        };
        assert_eq!(names(&plan(&of(2), &of(4))), ["h2 Added", "h3 Added"]);
        assert_eq!(names(&plan(&of(4), &of(3))), ["h3 Removed"]);
    }

    #[test]
    fn a_group_of_another_kind_is_replaced_and_pools_are_when_they_grow() {
        let socket = |count: u32| {
            format!(
                "[fcgi-program:a]\ncommand=a\nsocket=unix:///tmp/s\nnumprocs={count}\nprocess_name=%(process_num)d\n"
            )
        };
        assert_eq!(plan(&groups("[program:a]\ncommand=a\n"), &groups(&socket(1)))[0].fate, GroupFate::Replaced);
        assert_eq!(plan(&groups(&socket(1)), &groups(&socket(2)))[0].fate, GroupFate::Replaced);
        assert!(plan(&groups(&socket(1)), &groups(&socket(1))).is_empty());
    }

    #[test]
    fn what_a_pools_socket_waits_for_costs_nothing_else_and_comes_with_a_pool_made_anew() {
        let of = |keys: &str| groups(&format!("[fcgi-program:p]\ncommand=a\n{keys}"));
        let old = of("socket=unix:///tmp/s\n");
        let found = plan(&old, &of("socket=unix:///tmp/s\nsocket_mode=0660\nstopwaitsecs=7\n"));
        let [group] = found.as_slice() else { panic!("{found:?}") };
        let told = |group: &GroupPlan| -> Vec<String> {
            let keys = group.keys.iter().filter(|key| key.key != "socket");
            keys.map(|key| format!("{} {:?} {:?} {:?}", key.key, key.old, key.new, key.consequence)).collect()
        };
        assert_eq!(group.fate, GroupFate::Changed);
        assert_eq!(told(group), [r#"socket_mode Some("0700") Some("0660") Reload"#]);
        let [(_, fate)] = group.processes.as_slice() else { panic!("{found:?}") };
        assert!(!fate.needs_spawn(), "{fate:?}");
        let found = plan(&old, &of("socket=unix:///tmp/other\nsocket_mode=0660\n"));
        let [group] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(group.fate, GroupFate::Replaced);
        assert_eq!(told(group), [r#"socket_mode Some("0700") Some("0660") Group"#]);
    }

    proptest::proptest! {
        /// What `reread` calls a change is a change here, and nothing else is.
        #[test]
        fn the_plan_is_empty_exactly_when_reread_sees_nothing(
            old in proptest::collection::vec((0..3_usize, 0..SAMPLES.len()), 0..4),
            new in proptest::collection::vec((0..3_usize, 0..SAMPLES.len()), 0..4),
        ) {
            let file = |sections: &[(usize, usize)]| {
                let mut text = "[program:other]\ncommand=a\n".to_owned();
                let mut seen = Vec::new();
                for (program, sample) in sections {
                    if seen.contains(program) { continue; }
                    seen.push(*program);
                    let (name, value) = SAMPLES[*sample];
                    // An address of its own: two programs that share one must agree about it.
                    let value = value.replace("tcp:h:1", &format!("tcp:h:{}", program + 1));
                    let value = value.replace("unix:/", &format!("unix:/p{program}/"));
                    let command = if name == "command" { "" } else { "command=a\n" };
                    for part in ["[program:p", &program.to_string(), "]\n", command, name, "=", &value, "\n"] {
                        text.push_str(part);
                    }
                }
                groups(&text)
            };
            let (old, new) = (file(&old), file(&new));
            let found = difference(&old, &new);
            let planned = plan(&old, &new);
            let of = |fates: &[GroupFate]| {
                let mut names: Vec<String> =
                    planned.iter().filter(|plan| fates.contains(&plan.fate)).map(|plan| plan.group.clone()).collect();
                names.sort();
                names
            };
            let sorted = |mut names: Vec<String>| { names.sort(); names };
            proptest::prop_assert_eq!(of(&[GroupFate::Added]), sorted(found.added));
            proptest::prop_assert_eq!(of(&[GroupFate::Removed]), sorted(found.removed));
            proptest::prop_assert_eq!(of(&[GroupFate::Changed, GroupFate::Replaced]), sorted(found.changed));
        }
    }
}
