//! A scenario as it is written down, and the reader of its file.
//!
//! ```text
//! # A comment, before the first scenario or between two.
//! === a sentence that says what is shown
//! [program:x] ...            the configuration, after the usual head
//! --- file NAME              a file put into the folder, executable
//! --- config NAME            another configuration, for the step `config NAME`
//! --- bare                   no usual head, neither here nor in the other configurations
//! --- unrecorded             without the listener that records all events
//! --- unlogged               the activity log is not compared at the end
//! --- root                   it can be played by root only
//! --- waited                 stops take so long that the lines about waiting for them are certain
//! --- unstarted              the daemon is not started before the first step
//! --- ordered KIND KIND      the events of these kinds are compared as one sequence, over all processes
//! --- steps                  one step a line, see `step.rs`
//! --- differs NAME: PIECE    what is meant to differ: lines of the original behind `-`, of ours behind `+`
//! ```

use std::path::{Path, PathBuf};

use crate::step::Step;

/// One play for both daemons.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// The file's stem and the sentence: `exits: a quick exit is a failure`.
    pub(crate) name: String,
    pub(crate) config: String,
    pub(crate) configs: Vec<(String, String)>,
    pub(crate) files: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
    pub(crate) ordered: Vec<String>,
    pub(crate) expected: Vec<Expected>,
    pub(crate) head: Head,
    pub(crate) recorded: Recorded,
    /// The activity log is compared at the end.
    pub(crate) logged: bool,
    /// It needs root, to become another user.
    pub(crate) root: bool,
    /// A stop takes so long that whoever waits for it says so, on either side.
    pub(crate) waited: bool,
    pub(crate) started: Started,
}

/// Whether the usual head stands before a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    Usual,
    Bare,
}

/// Whether a listener records all events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    Yes,
    No,
}

/// Whether the daemon is started before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    Yes,
    No,
}

/// A difference that is meant.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// Its name in `differences.rs`.
    pub(crate) name: String,
    /// The piece that differs.
    pub(crate) piece: String,
    /// The lines that differ, `-` the original's, `+` ours.
    pub(crate) lines: Vec<String>,
}

/// All scenarios, by file and then as written.
pub(crate) fn all() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| read(file)).collect()
}

fn read(file: &Path) -> Vec<Scenario> {
    let theme = file.file_stem().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).unwrap();
    let mut scenarios = Vec::new();
    let mut chapters = text.split("\n=== ");
    // What stands before the first scenario is a comment.
    chapters.next();
    for chapter in chapters {
        let (title, body) = chapter.split_once('\n').unwrap_or((chapter, ""));
        scenarios.push(parse(format!("{theme}: {}", title.trim()), body));
    }
    scenarios
}

fn parse(name: String, body: &str) -> Scenario {
    let mut scenario = Scenario {
        name,
        config: String::new(),
        configs: Vec::new(),
        files: Vec::new(),
        steps: Vec::new(),
        ordered: Vec::new(),
        expected: Vec::new(),
        head: Head::Usual,
        recorded: Recorded::Yes,
        started: Started::Yes,
        logged: true,
        waited: false,
        root: false,
    };
    let mut parts = body.split("\n--- ");
    let first = parts.next().unwrap_or_default();
    // A scenario without a configuration of its own begins with its first part.
    match first.strip_prefix("--- ") {
        Some(part) => section(&mut scenario, part),
        None => scenario.config = format!("{first}\n"),
    }
    for part in parts {
        section(&mut scenario, part);
    }
    scenario
}

fn section(scenario: &mut Scenario, part: &str) {
    let (head, body) = part.split_once('\n').unwrap_or((part, ""));
    let body = format!("{}\n", body.trim_end_matches('\n'));
    let (kind, rest) = head.split_once(' ').unwrap_or((head, ""));
    match kind {
        "file" => scenario.files.push((rest.to_owned(), body)),
        "config" => scenario.configs.push((rest.to_owned(), body)),
        "bare" => scenario.head = Head::Bare,
        "unrecorded" => scenario.recorded = Recorded::No,
        "unlogged" => scenario.logged = false,
        "root" => scenario.root = true,
        "waited" => scenario.waited = true,
        "unstarted" => scenario.started = Started::No,
        "ordered" => scenario.ordered = rest.split_whitespace().map(String::from).collect(),
        "steps" => scenario.steps = body.lines().filter_map(|line| Step::parse(line, &scenario.name)).collect(),
        "differs" => {
            let (name, piece) =
                rest.split_once(": ").unwrap_or_else(|| panic!("{}: differs NAME: PIECE", scenario.name));
            let lines = body.lines().filter(|line| !line.is_empty()).map(String::from).collect();
            scenario.expected.push(Expected { name: name.to_owned(), piece: piece.to_owned(), lines });
        }
        _ => panic!("{}: unknown part `{head}`", scenario.name),
    }
}
