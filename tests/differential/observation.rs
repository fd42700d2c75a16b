//! What one side did, as named pieces of text.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::Regex;

use crate::daemon::Daemon;
use crate::plain::Plain;
use crate::scenario::Scenario;

/// The file the recorder writes.
pub(crate) const EVENTS: &str = "events.recorded";

/// What one side did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observation {
    /// Name and text, in the order of the steps, then what was observed at the end.
    pub(crate) pieces: Vec<(String, String)>,
    /// Why the steps could not be finished.
    pub(crate) failure: Option<String>,
    /// The length of what was recorded when the daemon was first asked to end. What the recorder still hears after that is
    /// chance on either side: the daemon does not wait for its listeners.
    pub(crate) events_until: Option<usize>,
    /// Names of differences of the log that were seen (see `differences.rs`).
    pub(crate) log_differences: Vec<&'static str>,
}

impl Observation {
    /// Adds a piece; a name that is there already gets a number.
    pub(crate) fn add(&mut self, name: &str, text: String) {
        let repeated = self.pieces.iter().filter(|(known, _)| known.split(" #").next() == Some(name)).count();
        let name = if repeated == 0 { name.to_owned() } else { format!("{name} #{}", repeated + 1) };
        self.pieces.push((name, text));
    }

    /// Reads the activity log and the recorded events.
    pub(crate) fn conclude(&mut self, daemon: &Daemon, scenario: &Scenario, plain: &Plain) {
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let log = if scenario.logged { daemon.text("main.log") } else { String::new() };
        for entry in entries(&log) {
            if let Some(name) = crate::differences::of_the_log(daemon.subject.daemon, entry) {
                if !self.log_differences.contains(&name) {
                    self.log_differences.push(name);
                }
            } else if belongs(entry) {
                let kept = lines.entry(format!("log of {}", subject_of(entry))).or_default();
                let line = plain.text(entry);
                // With startsecs=0 the original says so or not, as a pass of its loop comes before the exit or after it.
                if line.contains(" exited: ") {
                    kept.pop_if(|last| last.contains(" success: ") && last.contains("> than 0 seconds"));
                }
                if !repeats(kept, &line) && (scenario.waited || !line.contains(" waiting for ")) {
                    kept.push(line);
                }
            }
        }
        for (name, lines) in lines {
            self.add(&name, lines.join("\n"));
        }
        let recorded = daemon.text(EVENTS);
        let until = self.events_until.unwrap_or(recorded.len());
        self.events(recorded.get(..until).unwrap_or(&recorded), scenario, plain);
    }

    fn events(&mut self, recorded: &str, scenario: &Scenario, plain: &Plain) {
        let mut by_subject: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut ordered = Vec::new();
        let mut serials = Vec::new();
        for event in recorded.split("\n\0\n").filter(|event| !event.is_empty()) {
            let (header, payload) = event.split_once('\n').unwrap_or((event, ""));
            let token = |name: &str| {
                header
                    .split(' ')
                    .find_map(|token| token.strip_prefix(name)?.strip_prefix(':'))
                    .unwrap_or("?")
                    .to_owned()
            };
            serials.push((token("serial"), token("poolserial")));
            let kind = token("eventname");
            if kind.starts_with("TICK") {
                continue;
            }
            let line = plain.text(&format!("{kind} {payload}"));
            let of = match payload.split_once("processname:") {
                Some((_, rest)) => rest.split_whitespace().next().unwrap_or("?").to_owned(),
                None => "the daemon".to_owned(),
            };
            // Between an output and a state, and between two channels, the order is that of the moment.
            let of = match kind.rsplit_once('_') {
                Some(("PROCESS_LOG" | "PROCESS_COMMUNICATION", channel)) => format!("{of} about {channel}"),
                _ => of,
            };
            if scenario.ordered.iter().any(|wanted| kind.ends_with(wanted.as_str())) {
                ordered.push(line.clone());
            }
            add_event(by_subject.entry(format!("events of {of}")).or_default(), &kind, line);
        }
        for (name, lines) in by_subject {
            self.add(&name, lines.join("\n"));
        }
        if !scenario.ordered.is_empty() {
            self.add("order of events", ordered.join("\n"));
        }
        if !serials.is_empty() {
            self.add("serials", gaps(&serials));
        }
    }
}

/// Whether and how often "waiting for" is told depends on the moment, and how often the original sends SIGKILL with stopwaitsecs=0.
fn repeats(kept: &[String], line: &String) -> bool {
    let insists = |text: &String| text.contains("SIGKILL");
    let last_two = kept.len().saturating_sub(2);
    (line.contains(" waiting for ") && kept.contains(line))
        || (insists(line) && kept[last_two..].contains(line) && kept.last().is_some_and(insists))
}

/// The pieces a program's output arrives in depend on the moment: those of one channel in a row are one.
fn add_event(lines: &mut Vec<String>, kind: &str, line: String) {
    if kind.starts_with("PROCESS_LOG")
        && let Some(last) = lines.last_mut()
        && last.starts_with(kind)
    {
        last.push_str(line.split_once('\n').map_or("", |(_, data)| data));
    } else {
        lines.push(line);
    }
}

/// Both serials count up without a gap, as whoever subscribes to EVENT sees them; a pool that is made anew counts from 0 again,
/// and events that came while there was none are missing.
fn gaps(serials: &[(String, String)]) -> String {
    let number = |text: &String| text.parse::<i64>().unwrap_or(-1);
    let before = [(-1, -1)].into_iter().chain(serials.iter().map(|(serial, pool)| (number(serial), number(pool))));
    let odd: Vec<_> = before
        .zip(serials)
        .filter(|((serial, pool), (next, of_pool))| {
            let follows = number(next) == serial + 1 && number(of_pool) == pool + 1;
            let anew = number(next) > *serial && number(of_pool) == 0;
            !follows && !anew
        })
        .map(|(before, next)| format!("{next:?} after {before:?}"))
        .collect();
    odd.join("\n")
}

/// The entries of an activity log; an entry may have several lines.
fn entries(log: &str) -> Vec<&str> {
    static BEGIN: OnceLock<Regex> = OnceLock::new();
    let begin = BEGIN.get_or_init(|| Regex::new(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ").unwrap());
    let places: Vec<_> = begin.find_iter(log).map(|found| (found.start(), found.end())).collect();
    places
        .iter()
        .enumerate()
        .map(|(place, (_, from))| {
            let to = places.get(place + 1).map_or(log.len(), |(next, _)| *next);
            log[*from..to].trim_end_matches('\n')
        })
        .collect()
}

/// INFO and above are the contract, and of DEBG what is said about signals to programs.
fn belongs(entry: &str) -> bool {
    match entry.split_once(' ') {
        Some(("CRIT" | "ERRO" | "WARN" | "INFO", _)) => true,
        Some(("DEBG", message)) => message.starts_with("killing ") || message.starts_with("sending "),
        _ => false,
    }
}

/// The process an entry speaks of: between processes the original's order is chance.
fn subject_of(entry: &str) -> String {
    static NAMED: OnceLock<Regex> = OnceLock::new();
    let named = NAMED.get_or_init(|| {
        Regex::new(r"^\w{4} (?:spawned: '|success: |exited: |stopped: |gave up: |killing '?|sending |waiting for |process ')([^' ,]+)")
            .unwrap()
    });
    named.captures(entry).map_or_else(|| "the daemon".to_owned(), |found| found[1].to_owned())
}
