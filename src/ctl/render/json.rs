//! Facts as one JSON document a command. The schema is in `docs/json.md`.

use serde_json::{Map, Value, json};

use super::harmless::{acts, is_mark};
use super::{plain, updates};
use crate::ctl::answer::{ConfigInfo, ListenerPool, ProcessInfo, RUNNING};
use crate::ctl::exit::ExitCode;
use crate::ctl::explanation::Explanation;
use crate::ctl::fact::{Channel, DaemonAct, Done, Fact, GroupAct, Missing, Outcome};
use crate::ctl::name;

/// The same document, with what a terminal would obey in the notation of JSON. The writer has taken care of C0 controls.
fn in_plain_letters(document: &str) -> String {
    let mut plain = String::with_capacity(document.len());
    let mut units = [0; 2];
    for letter in document.chars() {
        if letter == '\u{7f}' || acts(letter) || is_mark(letter) {
            plain.extend(letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            plain.push(letter);
        }
    }
    plain
}

/// The document of one command, while it grows.
#[derive(Debug, Default)]
pub(super) struct Document {
    members: Map<String, Value>,
    errors: Vec<Value>,
}

impl Document {
    /// An empty document of `command`, whose list is there even if nothing comes.
    pub(super) fn begin(command: &str) -> Self {
        let mut members = Map::new();
        members.insert("command".to_owned(), json!(command));
        if let Some(list) = list_of(command) {
            members.insert(list.to_owned(), json!([]));
        }
        Self { members, errors: Vec::new() }
    }

    pub(super) fn add(&mut self, fact: &Fact) {
        match fact {
            Fact::Processes(processes) => processes.iter().for_each(|one| self.push("processes", process(one))),
            Fact::Update { groups, rehearsal } => {
                self.members.insert("dry_run".to_owned(), json!(rehearsal));
                for group in groups {
                    self.push("changes", updates::document(group));
                }
            }
            Fact::ListenerPools(pools) => pools.iter().for_each(|one| self.push("listener_pools", listener_pool(one))),
            Fact::Available(processes) => processes.iter().for_each(|one| self.push("available", available(one))),
            Fact::Pid { name, pid } => self.push("pids", json!({ "name": name, "pid": pid })),
            Fact::Done(done) => self.push("results", result(done)),
            Fact::Change { group, change } => self.push("changes", json!({ "group": group, "change": change.word() })),
            Fact::NoChange => {}
            Fact::Group { group, act } => self.push("results", json!({ "group": group, "status": group_act(*act) })),
            Fact::Version { supervisor, galaxyd } => {
                self.members.insert("supervisor_version".to_owned(), json!(supervisor));
                self.members.insert("galaxyd_version".to_owned(), json!(galaxyd));
                self.members.insert("galaxyctl_version".to_owned(), json!(crate::VERSION));
            }
            Fact::Log { name, channel, text } => {
                let channel = (*channel != Channel::Main).then(|| channel.word());
                self.push("logs", json!({ "name": name, "channel": channel, "text": text }));
            }
            Fact::Daemon(act) => {
                let status = match act {
                    DaemonAct::ShutDown => "shut down",
                    DaemonAct::Restarted => "restarted",
                };
                self.push("results", json!({ "name": "supervisord", "status": status }));
            }
            Fact::Missing { name, what } => {
                let message = match what {
                    Missing::Group => "no such group",
                    Missing::Process => "no such process",
                };
                self.errors.push(json!({ "name": name, "message": message }));
            }
            Fact::Problem { text, name } => self.errors.push(json!({ "name": name, "message": text })),
            Fact::Detail { list, value, .. } => self.push(list, value.clone()),
            Fact::Line(_) => self.push("lines", json!(plain::lines(fact).trim_end_matches('\n'))),
        }
    }

    /// What a command prints that is a file or a page rather than an answer.
    pub(super) fn set_text(&mut self, text: &str) {
        self.members.insert("text".to_owned(), json!(text));
    }

    /// The finished text, ended by a line feed.
    pub(super) fn finish(mut self, exit: ExitCode) -> String {
        self.members.insert("errors".to_owned(), Value::Array(self.errors));
        self.members.insert("exit_code".to_owned(), json!(exit.code()));
        in_plain_letters(&format!("{:#}\n", Value::Object(self.members)))
    }

    fn push(&mut self, list: &str, value: Value) {
        let member = self.members.entry(list).or_insert_with(|| json!([]));
        if let Value::Array(values) = member {
            values.push(value);
        }
    }
}

fn listener_pool(pool: &ListenerPool) -> Value {
    json!({
        "name": pool.name,
        "buffer_size": pool.buffer_size,
        "waiting": pool.waiting,
        "dropped": pool.dropped,
        "processed": pool.processed,
        "requeued": pool.requeued,
        "renewed": pool.renewed,
    })
}

fn list_of(command: &str) -> Option<&'static str> {
    Some(match command {
        "status" | "open" | "top" | "why" => "processes",
        "pid" => "pids",
        "start" | "stop" | "restart" | "drain" | "scale" | "wait" | "signal" | "clear" | "add" | "remove"
        | "shutdown" | "reload" => "results",
        "reread" | "update" | "apply" => "changes",
        "avail" => "available",
        "tail" | "maintail" => "logs",
        "env" => "plans",
        "history" => "entries",
        "graceful" | "operations" | "watch" | "cancel" => "operations",
        "jobs" => "handlers",
        "reassign" => "reassignments",
        _ => return None,
    })
}

fn process(process: &ProcessInfo) -> Value {
    let uptime = (process.state == RUNNING).then(|| (process.now - process.start).max(0));
    let explanation = process.explanation.as_ref().map(Explanation::json);
    let explained = |member: &str| explanation.as_ref().and_then(|explanation| explanation.get(member).cloned());
    json!({
        "name": process.namespec(),
        "group": process.group,
        "process": process.name,
        "state": process.statename,
        "state_code": process.state,
        "description": process.description,
        "pid": some(process.pid),
        "uptime_seconds": uptime,
        "started_at": some(process.start),
        "stopped_at": some(process.stop),
        "start_time": some(process.start).and_then(rfc3339),
        "stop_time": some(process.stop).and_then(rfc3339),
        "exit_status": process.exitstatus,
        "spawn_error": Some(&process.spawnerr).filter(|text| !text.is_empty()),
        "stdout_logfile": Some(&process.stdout_logfile).filter(|text| !text.is_empty()),
        "stderr_logfile": Some(&process.stderr_logfile).filter(|text| !text.is_empty()),
        "reason": process.explanation.as_ref().map(|explanation| &explanation.reason),
        "readiness": explained("readiness"),
        "hindrances": explained("hindrances"),
        "beside": explained("beside"),
        "last_words": explained("last_words"),
        "left_behind": explained("left_behind"),
        "awaits": explained("awaits"),
        "until": explained("until"),
        "held_since": explained("held_since"),
        "next": explained("next"),
        "stale": explained("stale"),
    })
}

/// Seconds since 1970 as RFC 3339 has them, in UTC; `None` beyond its years.
fn rfc3339(seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}

/// `null` for the zero that stands for nothing.
fn some(number: i64) -> Option<i64> {
    (number != 0).then_some(number)
}

fn available(process: &ConfigInfo) -> Value {
    json!({
        "name": name::join(&process.group, &process.name),
        "group": process.group,
        "process": process.name,
        "in_use": process.inuse,
        "autostart": process.autostart,
        "group_priority": process.group_prio,
        "process_priority": process.process_prio,
    })
}

fn result(done: &Done) -> Value {
    let (status, error) = match &done.outcome {
        Outcome::Success => (done.action.participle(), None),
        Outcome::Error(what) => ("error", Some((*what).to_owned())),
        Outcome::Told(text) => ("error", Some(text.clone())),
    };
    json!({ "name": done.name, "action": done.action.verb(), "status": status, "code": done.code, "error": error })
}

fn group_act(act: GroupAct) -> &'static str {
    match act {
        GroupAct::Stopped => "stopped",
        GroupAct::Added => "added",
        GroupAct::Removed => "removed",
        GroupAct::Updated => "updated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fact::Action;
    use crate::ctl::fake::process as made_up;

    fn document(command: &str, facts: &[Fact]) -> Value {
        let mut document = Document::begin(command);
        for fact in facts {
            document.add(fact);
        }
        serde_json::from_str(&document.finish(ExitCode::Success)).unwrap()
    }

    #[test]
    fn a_command_without_results_still_has_its_list() {
        assert_eq!(
            document("status", &[]),
            json!({"command": "status", "processes": [], "errors": [], "exit_code": 0})
        );
        assert_eq!(document("help", &[])["errors"], json!([]));
    }

    #[test]
    fn a_running_process_has_pid_and_uptime_and_a_stopped_one_null() {
        let mut web = made_up("galaxy", "web", "RUNNING");
        (web.pid, web.start, web.now) = (7, 100, 160);
        let document = document("status", &[Fact::Processes(vec![web, made_up("a", "a", "STOPPED")])]);
        let processes = &document["processes"];
        assert_eq!(processes[0]["name"], "galaxy:web");
        assert_eq!(
            (&processes[0]["start_time"], &processes[0]["stop_time"]),
            (&json!("1970-01-01T00:01:40Z"), &Value::Null)
        );
        assert_eq!((&processes[0]["pid"], &processes[0]["uptime_seconds"]), (&json!(7), &json!(60)));
        assert_eq!((&processes[1]["pid"], &processes[1]["uptime_seconds"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn failures_carry_their_code_and_words() {
        let done = Done { action: Action::Start, name: "a".into(), code: 50, outcome: Outcome::Error("spawn error") };
        let expected = json!({"name": "a", "action": "start", "status": "error", "code": 50, "error": "spawn error"});
        assert_eq!(document("start", &[Fact::Done(done)])["results"], json!([expected]));
    }
}
