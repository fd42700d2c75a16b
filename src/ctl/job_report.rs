//! Galaxy's jobs by handler: what its database says, beside what the configuration and the daemon say.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::answer::ProcessInfo;
use super::name;
use super::target::fits_spec;
use crate::database::{Beat, Census, FRESH_SECONDS, Owner, Stage};
use crate::galaxy::{DEFAULT_TAG, Intake, JobSystem};

/// How many jobs are at each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) waiting: u64,
    pub(super) running: u64,
    pub(super) finishing: u64,
    pub(super) paused: u64,
    pub(super) invocations: u64,
}

/// One handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// `None`: it is no process of this configuration, and shows life elsewhere.
    pub(super) process: Option<String>,
    pub(super) owner: Owner,
    /// As the daemon says; `None`: nobody said.
    pub(super) state: Option<String>,
    pub(super) counts: Counts,
    /// The youngest sign of life.
    pub(super) beat: Option<Beat>,
}

/// Jobs of a name that nobody has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stranded {
    pub(super) handler: String,
    pub(super) counts: Counts,
    /// The process that would have it, and its state.
    pub(super) process: Option<(String, String)>,
}

/// Jobs that wait to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unclaimed {
    /// A tag; `None`: no handler was chosen.
    pub(super) tag: Option<String>,
    pub(super) count: u64,
    pub(super) oldest_seconds: u64,
}

/// One Galaxy's jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
    pub(super) stranded: Vec<Stranded>,
    pub(super) unclaimed: Vec<Unclaimed>,
    /// Server names that processes of several hosts show life under, with those hosts.
    pub(super) doubles: Vec<(String, Vec<String>)>,
}

/// The owner's name as it is typed and shown.
pub(super) fn shown(owner: &Owner) -> String {
    match owner {
        Owner::Named(name) => name.clone(),
        Owner::Numbered(base) => format!("{base}.*"),
    }
}

impl Counts {
    fn add(&mut self, state: &str, count: u64) {
        match Stage::of(state) {
            Some(Stage::Waiting) => self.waiting += count,
            Some(Stage::Running) => self.running += count,
            Some(Stage::Finishing) => self.finishing += count,
            Some(Stage::Paused) => self.paused += count,
            None => {}
        }
    }

    fn is_empty(&self) -> bool {
        *self == Counts::default()
    }

    fn words(self) -> String {
        let parts = [
            (self.waiting, "waiting"),
            (self.running, "running"),
            (self.finishing, "finishing"),
            (self.paused, "paused"),
            (self.invocations, "invocations"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
        parts.collect::<Vec<_>>().join(", ")
    }

    fn json(self) -> Value {
        json!({
            "waiting": self.waiting,
            "running": self.running,
            "finishing": self.finishing,
            "paused": self.paused,
            "invocations": self.invocations,
        })
    }
}

/// `known`: the daemon's processes, if it answers.
pub(super) fn report(system: &JobSystem, census: &Census, known: Option<&[ProcessInfo]>) -> Report {
    let mut by_name: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut report = Report { rows: Vec::new(), stranded: Vec::new(), unclaimed: Vec::new(), doubles: doubles(census) };
    for jobs in &census.jobs {
        match jobs.handler.as_deref() {
            Some(handler) if !is_tag(system, handler) => {
                by_name.entry(handler).or_default().add(&jobs.state, jobs.count);
            }
            tag => unclaimed(&mut report.unclaimed, tag, jobs.count, jobs.oldest_seconds.unwrap_or(0)),
        }
    }
    for some in &census.invocations {
        if let Some(handler) = some.handler.as_deref().filter(|handler| !is_tag(system, handler)) {
            by_name.entry(handler).or_default().invocations += some.count;
        }
    }
    for handler in &system.handlers {
        let process = name::join(&handler.group, &handler.process);
        let owner = Owner::from(&handler.name);
        let info = known.and_then(|known| known.iter().find(|one| one.namespec() == process));
        let mut counts = Counts::default();
        for (_, own) in by_name.iter().filter(|(handler, _)| owner.is(handler)) {
            counts.waiting += own.waiting;
            counts.running += own.running;
            counts.finishing += own.finishing;
            counts.paused += own.paused;
            counts.invocations += own.invocations;
        }
        let beats = census.heartbeats.iter().filter(|beat| owner.is(&beat.server_name));
        let beat = beats.min_by_key(|beat| beat.age_seconds).cloned();
        let state = info.map(|info| info.statename.clone());
        let is_there = info.is_some_and(|info| !info.is_stopped()) || beat.as_ref().is_some_and(is_fresh);
        if !is_there && !counts.is_empty() {
            let process = Some((process.clone(), state.clone().unwrap_or_default()));
            report.stranded.push(Stranded { handler: shown(&owner), counts, process });
        }
        report.rows.push(Row { process: Some(process), owner, state, counts, beat });
    }
    for (handler, counts) in by_name {
        if report.rows.iter().any(|row| row.process.is_some() && row.owner.is(handler)) {
            continue;
        }
        let beats = census.heartbeats.iter().filter(|beat| beat.server_name == handler && is_fresh(beat));
        match beats.min_by_key(|beat| beat.age_seconds) {
            Some(beat) => report.rows.push(Row {
                process: None,
                owner: Owner::Named(handler.to_owned()),
                state: None,
                counts,
                beat: Some(beat.clone()),
            }),
            None => report.stranded.push(Stranded { handler: handler.to_owned(), counts, process: None }),
        }
    }
    report
}

fn is_fresh(beat: &Beat) -> bool {
    beat.age_seconds < FRESH_SECONDS
}

/// Whether a value of the column is the tag of handlers that take jobs themselves.
fn is_tag(system: &JobSystem, name: &str) -> bool {
    let is_own = |tags: &Vec<String>| tags.iter().any(|tag| tag == name);
    name == DEFAULT_TAG
        || system.handlers.iter().any(|handler| matches!(&handler.intake, Intake::Grabs { tags } if is_own(tags)))
}

fn unclaimed(list: &mut Vec<Unclaimed>, tag: Option<&str>, count: u64, oldest_seconds: u64) {
    if let Some(known) = list.iter_mut().find(|known| known.tag.as_deref() == tag) {
        known.count += count;
        known.oldest_seconds = known.oldest_seconds.max(oldest_seconds);
    } else {
        list.push(Unclaimed { tag: tag.map(str::to_owned), count, oldest_seconds });
    }
}

/// Galaxy's table has one row for each name and host, so processes of one host cannot be told apart by it.
fn doubles(census: &Census) -> Vec<(String, Vec<String>)> {
    let mut hosts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for beat in census.heartbeats.iter().filter(|beat| is_fresh(beat)) {
        hosts.entry(&beat.server_name).or_default().extend(beat.hostname.clone());
    }
    let several = hosts.into_iter().filter(|(_, hosts)| hosts.len() > 1);
    several.map(|(name, hosts)| (name.to_owned(), hosts)).collect()
}

/// So long ago, for people.
pub(super) fn time(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

impl Report {
    /// Leaves only what these words name: processes, groups, patterns, server names.
    pub(super) fn retain(&mut self, words: &[&str]) {
        let is_meant = |process: Option<&str>, server: &str| {
            words.iter().any(|word| fits_spec(word, server) || process.is_some_and(|process| fits_spec(word, process)))
        };
        self.rows.retain(|row| is_meant(row.process.as_deref(), &shown(&row.owner)));
        self.stranded.retain(|one| is_meant(one.process.as_ref().map(|(process, _)| process.as_str()), &one.handler));
        self.unclaimed.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.stranded.is_empty()
    }

    pub(super) fn text(&self) -> String {
        let head =
            ["PROCESS", "HANDLER", "STATE", "WAITING", "RUNNING", "FINISHING", "PAUSED", "INVOCATIONS", "HEARTBEAT"];
        let mut table = vec![head.map(str::to_owned)];
        table.extend(self.rows.iter().map(Row::columns));
        let mut text = aligned(&table);
        for one in &self.unclaimed {
            let whom =
                one.tag.as_deref().map_or("no handler was chosen for them".to_owned(), |tag| format!("tag {tag}"));
            let written =
                writeln!(text, "unclaimed: {} jobs ({whom}), the oldest for {}", one.count, time(one.oldest_seconds));
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        for one in &self.stranded {
            let why = match &one.process {
                Some((process, state)) if state.is_empty() => {
                    format!("{process} shows no life; start it, or: galaxyctl reassign {} HANDLER", one.handler)
                }
                Some((process, state)) => {
                    format!(
                        "{process} is {state}: galaxyctl start {process}, or: galaxyctl reassign {} HANDLER",
                        one.handler
                    )
                }
                None => format!("no program runs it: galaxyctl reassign {} HANDLER", one.handler),
            };
            let written = writeln!(text, "stranded: {} of {}; {why}", one.counts.words(), one.handler);
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        for (name, hosts) in &self.doubles {
            let written = writeln!(
                text,
                "warning: {name} shows life on {}: processes of one name handle the same jobs, so each runs more than once; stop all but one",
                hosts.join(" and ")
            );
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        text
    }

    /// The lists of the document, each with its elements.
    pub(super) fn json(&self) -> Vec<(&'static str, Value)> {
        let rows = self.rows.iter().map(|row| ("handlers", row.json()));
        let stranded = self.stranded.iter().map(|one| {
            let (process, state) = one.process.clone().unzip();
            let value = json!({"handler": one.handler, "process": process, "state": state.filter(|state| !state.is_empty()), "jobs": one.counts.json()});
            ("stranded", value)
        });
        let unclaimed = self.unclaimed.iter().map(|one| {
            ("unclaimed", json!({"tag": one.tag, "count": one.count, "oldest_seconds": one.oldest_seconds}))
        });
        let doubles = self.doubles.iter().map(|(name, hosts)| ("doubles", json!({"handler": name, "hosts": hosts})));
        rows.chain(stranded).chain(unclaimed).chain(doubles).collect()
    }
}

impl Row {
    /// It runs, and has not shown it for so long that Galaxy takes it for gone.
    fn is_silent(&self) -> bool {
        self.state.as_deref() == Some("RUNNING") && self.beat.as_ref().is_some_and(|beat| !is_fresh(beat))
    }

    fn columns(&self) -> [String; 9] {
        let beat = match &self.beat {
            None => "none".to_owned(),
            Some(beat) => {
                let host = beat.hostname.as_deref().map_or(String::new(), |host| format!(" on {host}"));
                let silent = if self.is_silent() { ": it hangs, or cannot reach its database" } else { "" };
                format!("{} ago{host}{silent}", time(beat.age_seconds))
            }
        };
        let counts = self.counts;
        let number = |count: u64| count.to_string();
        [
            self.process.clone().unwrap_or_else(|| "-".to_owned()),
            shown(&self.owner),
            self.state.clone().unwrap_or_else(|| "-".to_owned()),
            number(counts.waiting),
            number(counts.running),
            number(counts.finishing),
            number(counts.paused),
            number(counts.invocations),
            beat,
        ]
    }

    fn json(&self) -> Value {
        let beat = self.beat.as_ref().map(|beat| {
            json!({"seconds_ago": beat.age_seconds, "hostname": beat.hostname, "pid": beat.pid, "fresh": is_fresh(beat)})
        });
        json!({
            "process": self.process,
            "handler": shown(&self.owner),
            "state": self.state,
            "jobs": self.counts.json(),
            "heartbeat": beat,
            "silent": self.is_silent(),
        })
    }
}

/// Columns as wide as their widest cell, two blanks between.
fn aligned<const N: usize>(table: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in table {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in table {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ctl::fake::process;
    use crate::database::{Invocations, JobCount};
    use crate::galaxy::{JobHandler, ServerName};

    /// A Galaxy with handlers of these names in one pool.
    pub(in crate::ctl) fn system(handlers: &[&str]) -> JobSystem {
        let handlers = handlers.iter().map(|name| JobHandler {
            group: "galaxy".to_owned(),
            process: (*name).to_owned(),
            name: ServerName::One((*name).to_owned()),
            intake: Intake::Grabs { tags: vec![DEFAULT_TAG.to_owned(), "big".to_owned()] },
            plugins: Vec::new(),
            mapped: Vec::new(),
            place: None,
        });
        JobSystem {
            file: "/srv/galaxy.yml".into(),
            handlers: handlers.collect(),
            database: Ok("sqlite:////x".to_owned()),
            broker: Ok("sqlalchemy+sqlite:////x".to_owned()),
            interpreters: Vec::new(),
            local_runners: vec!["local".to_owned()],
            knows_runners: true,
            directory: None,
            account: None,
            environment: Vec::new(),
        }
    }

    fn jobs(handler: Option<&str>, state: &str, count: u64) -> JobCount {
        let (runner, is_submitted) = (Some("slurm".to_owned()), true);
        let handler = handler.map(str::to_owned);
        JobCount { handler, state: state.to_owned(), runner, is_submitted, count, oldest_seconds: Some(7) }
    }

    fn beat(name: &str, host: &str, age_seconds: u64) -> Beat {
        Beat { server_name: name.to_owned(), hostname: Some(host.to_owned()), pid: Some(7), age_seconds }
    }

    #[test]
    fn jobs_are_counted_where_they_belong_and_stranded_ones_are_found() {
        let census = Census {
            jobs: vec![
                jobs(Some("handler0"), "new", 2),
                jobs(Some("handler0"), "queued", 1),
                jobs(Some("handler0"), "running", 3),
                jobs(Some("handler1"), "stopped", 1),
                jobs(Some("handler9"), "running", 4),
                jobs(Some("elsewhere"), "running", 5),
                jobs(Some("_default_"), "new", 6),
                jobs(Some("big"), "new", 1),
                jobs(None, "new", 1),
            ],
            invocations: vec![Invocations {
                handler: Some("handler0".to_owned()),
                state: "ready".to_owned(),
                count: 2,
            }],
            heartbeats: vec![beat("handler0", "a", 200), beat("elsewhere", "b", 5), beat("handler0", "b", 3)],
        };
        let known = [process("galaxy", "handler0", "RUNNING"), process("galaxy", "handler1", "STOPPED")];
        let report = report(&system(&["handler0", "handler1"]), &census, Some(&known));
        let counts: Vec<_> = report.rows.iter().map(|row| (shown(&row.owner), row.counts.words())).collect();
        let expected = [
            ("handler0", "3 waiting, 3 running, 2 invocations"),
            ("handler1", "1 finishing"),
            ("elsewhere", "5 running"),
        ];
        assert_eq!(counts, expected.map(|(name, words)| (name.to_owned(), words.to_owned())));
        assert_eq!(report.rows[0].beat.as_ref().unwrap().age_seconds, 3);
        let stranded: Vec<_> = report.stranded.iter().map(|one| one.handler.as_str()).collect();
        assert_eq!(stranded, ["handler1", "handler9"]);
        let waiting: Vec<_> = report.unclaimed.iter().map(|one| (one.tag.as_deref(), one.count)).collect();
        assert_eq!(waiting, [(Some("_default_"), 6), (Some("big"), 1), (None, 1)]);
        assert!(report.doubles.is_empty(), "one of the two is long gone");
    }

    #[test]
    fn a_name_that_lives_on_two_hosts_is_warned_of() {
        let census =
            Census { heartbeats: vec![beat("handler0", "a", 1), beat("handler0", "b", 90)], ..Census::default() };
        let report = report(&system(&["handler0"]), &census, None);
        assert_eq!(report.doubles, [("handler0".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
        assert!(report.text().contains("warning: handler0 shows life on a and b"), "{}", report.text());
    }

    #[test]
    fn words_name_processes_and_handlers() {
        let full = || report(&system(&["handler0", "handler1"]), &Census::default(), None);
        for (words, left) in [
            (["handler0"].as_slice(), 1),
            (&["galaxy:handler1"], 1),
            (&["galaxy:*"], 2),
            (&["galaxy"], 2),
            (&["handler?"], 2),
            (&["other"], 0),
        ] {
            let mut report = full();
            report.retain(words);
            assert_eq!(report.rows.len(), left, "{words:?}");
        }
    }

    #[test]
    fn who_runs_and_is_silent_is_said_to_hang() {
        let census = Census { heartbeats: vec![beat("handler0", "a", 300)], ..Census::default() };
        let known = [process("galaxy", "handler0", "RUNNING")];
        let report = report(&system(&["handler0"]), &census, Some(&known));
        assert!(report.text().contains("5 min ago on a: it hangs"), "{}", report.text());
    }
}
