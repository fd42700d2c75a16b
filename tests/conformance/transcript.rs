//! What a test saw, as text that does not depend on pids, times and folders.

use std::fmt::Write as _;

use serde_json::Value;

use crate::daemon::{Daemon, Outcome, finish};
use crate::subject::Side;

const RPC_SCRIPT: &str = include_str!("rpc.py");

/// Collects commands with their output; [`Transcript::check`] compares it with the record.
pub(crate) struct Transcript {
    text: String,
    folders: Vec<(String, &'static str)>,
}

impl Transcript {
    pub(crate) fn of(daemon: &Daemon) -> Transcript {
        let mut folders = vec![(daemon.dir().display().to_string(), "DIR")];
        for side in [daemon.subject.daemon, daemon.subject.client, Side::Original] {
            folders.push((side.bin().display().to_string(), "BIN"));
        }
        Transcript { text: String::new(), folders }
    }

    /// Runs the client and writes down what it printed and how it ended.
    pub(crate) fn ctl(&mut self, daemon: &Daemon, words: &[&str]) -> &mut Self {
        let outcome = daemon.ctl(words);
        self.outcome(&format!("supervisorctl {}", words.join(" ")), &outcome)
    }

    /// Writes down an outcome under a title.
    pub(crate) fn outcome(&mut self, title: &str, outcome: &Outcome) -> &mut Self {
        let code = outcome.code.map_or_else(|| "signal".to_string(), |code| code.to_string());
        writeln!(self.text, "$ {title}\n{}", outcome.stdout.trim_end_matches('\n')).unwrap();
        for line in outcome.stderr.lines() {
            writeln!(self.text, "! {line}").unwrap();
        }
        writeln!(self.text, "[{code}]").unwrap();
        self
    }

    /// Calls methods through Supervisor's own Python transport; each is a name and parameters.
    pub(crate) fn rpc(&mut self, daemon: &Daemon, calls: Value) -> &mut Self {
        for (call, answer) in calls.as_array().unwrap().iter().zip(rpc(daemon, &calls)) {
            writeln!(self.text, "{}{}\n    {answer}", call[0].as_str().unwrap(), call[1]).unwrap();
        }
        self
    }

    /// Writes down anything else.
    pub(crate) fn note(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.text.push_str(text.as_ref().trim_end_matches('\n'));
        self.text.push('\n');
        self
    }

    /// Writes down the log lines that hold one of the needles.
    pub(crate) fn log(&mut self, daemon: &Daemon, needles: &[&str]) -> &mut Self {
        let lines = daemon.log_lines(needles);
        self.note(lines.join("\n"))
    }

    /// Compares with what the original did.
    pub(crate) fn check(&self, name: &str) {
        let mut text = self.text.clone();
        for (folder, word) in &self.folders {
            text = text.replace(folder, word);
        }
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.set_description("recorded from Supervisor 4.3.0");
        settings.set_snapshot_path("snapshots");
        for (pattern, word) in FILTERS {
            settings.add_filter(pattern, *word);
        }
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}

/// What differs from run to run.
const FILTERS: &[(&str, &str)] = &[
    (r"pid \d+, uptime (\d+ days?, )?\d+:\d\d:\d\d", "pid PID, uptime TIME"),
    (r"with pid \d+", "with pid PID"),
    (r"\(pid \d+\)", "(pid PID)"),
    (r"killing '(\w+)' \(\d+\)", "killing '$1' (PID)"),
    (r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d\d \d\d:\d\d (AM|PM)", "DATE"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "STAMP"),
    (r"---supervisor-[a-z0-9_]{8}\.log", "---supervisor-RANDOM.log"),
    // Where Python's own source is named the wording is its own.
    (r"(?m)^(!? ?error: )<class .*$", "$1..."),
];

/// The answers to the calls, one line of JSON each.
pub(crate) fn rpc(daemon: &Daemon, calls: &Value) -> Vec<String> {
    let script = daemon.path("rpc.py");
    std::fs::write(&script, RPC_SCRIPT).unwrap();
    let url = format!("unix://{}", daemon.path("s.sock").display());
    let mut command = daemon.command(&Side::Original.bin().join("python"));
    let outcome = finish(command.arg(script).arg(url), daemon.dir(), Some(&calls.to_string()));
    assert_eq!(outcome.code, Some(0), "rpc.py: {}", outcome.stderr);
    outcome.stdout.lines().map(String::from).collect()
}
