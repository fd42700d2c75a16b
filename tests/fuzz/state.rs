//! What a daemon leaves for the next one: the journal, the launch record in it, and the roll.
//!
//! The frames around them have checksums, which no damage gets past; so what is damaged is what is in the frames.

use std::cell::RefCell;
use std::io::{Seek, Write};

use galaxyd::config::{GroupConfig, HostSource, LogLevelName, Overrides, load};
use galaxyd::engine::{Engine, Exit, Input, Moment, Mood, Now};
use galaxyd::keeper::{Ended, Entry, FromKeeper, HeldProgram, ROLL_VERSION, Stage, checksum, read_roll};
use galaxyd::sys::host;
use galaxyd::worker::understand;
use serde_json::{Value, json};
use tempfile::tempfile;

use crate::target::Target;

fn framed(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [length.to_le_bytes().as_slice(), &checksum(text).to_le_bytes(), text].concat()
}

/// As the daemon hands it to the program that is to take its place.
fn is_understood(journal: &[u8]) -> bool {
    let length = (journal.len() as u64).to_le_bytes();
    understand(&[length.as_slice(), journal].concat()).is_ok()
}

/// A line is a value of the journal; `None` if it is not understood.
fn understood(input: &[u8]) -> Option<Vec<u8>> {
    let header = json!({"format": "galaxyd journal", "version": 1, "host": host::identity()}).to_string();
    let values = input.split(|byte| *byte == b'\n').flat_map(framed);
    let journal: Vec<u8> = framed(header.as_bytes()).into_iter().chain(values).collect();
    is_understood(&journal).then_some(journal)
}

fn judge_journal(input: &[u8]) {
    let Some(mut journal) = understood(input) else { return };
    let is_alone = !input.contains(&b'\n');
    let cut = &journal[..journal.len() - 1];
    assert_eq!(is_understood(cut), !is_alone, "the last value was cut short by a kill: the others count");
    *journal.last_mut().unwrap() ^= 0x11;
    assert!(!is_understood(&journal), "a damaged value is no value");
}

fn at() -> Now {
    Now { mono: Moment(std::time::Duration::from_millis(7)), wall: 1_000_000_000 }
}

/// A daemon with two processes, one of which came to run since the snapshot.
fn journals() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.conf");
    std::fs::write(&path, include_bytes!("corpus/configuration/rich.conf")).unwrap();
    let mut config = load(&path, &Overrides::default(), &HostSource::new(Vec::new())).config.unwrap();
    let groups = std::mem::take(&mut config.groups);
    let mut engine = Engine::new();
    let specs: Vec<_> = groups.iter().map(GroupConfig::spec).collect();
    engine.handle(at(), Input::Begin { groups: specs.clone() }, &mut Vec::new());
    let records = |name: &str| -> Vec<Value> {
        let members = engine.group_members(name).unwrap();
        members.iter().map(|process| serde_json::to_value(engine.record(*process).unwrap()).unwrap()).collect()
    };
    let snapshot = json!({
        "mood": Mood::Running,
        "next_process": engine.next_id(),
        "next_child": 7,
        "launch": {"origin": "/", "directory": "/", "program_nofile": 1024, "passed": ["unix:/run/s"],
                   "messages": [[LogLevelName::Warn, "told before there was a log"]]},
        "cgroups": "/sys/fs/cgroup/x",
        "config": config,
        "pending": groups,
        "active": groups.iter().map(|group| (group.name.clone(), json!(group))).collect::<serde_json::Map<_, _>>(),
        "engine": specs.iter().map(|spec| json!([spec, records(&spec.name)])).collect::<Vec<_>>(),
        "events": [],
        "taps": [],
    });
    let process = engine.find("g", "web_00").unwrap();
    engine.handle(at(), Input::Spawned { process, pid: 11, at: at() }, &mut Vec::new());
    let change = json!({"processes": [engine.record(process).unwrap()]});
    let journal = format!("{snapshot}\n{change}").into_bytes();
    assert!(understood(&journal).is_some());
    vec![journal]
}

/// What a daemon wrote before limits, readiness and rates were known, in the versions of today: a program that knows these
/// versions has to understand it, and finds in what is written today all that it knows. A field that comes is
/// `#[serde(default)]`; if one goes or changes its meaning, the version does too, and so do these files.
const EARLIER_JOURNAL: &str = include_str!("corpus/journal/earlier");
const EARLIER_ROLL: &[u8] = include_bytes!("corpus/roll/earlier");

/// What is in one and not in the other, or is something else there. Of lists the first members speak for all.
fn lost(place: &str, earlier: &Value, today: Option<&Value>) -> Vec<String> {
    match (earlier, today) {
        (Value::Null, Some(_)) | (_, Some(Value::Null)) => Vec::new(),
        (Value::Object(earlier), Some(Value::Object(today))) => {
            earlier.iter().flat_map(|(key, value)| lost(&format!("{place}.{key}"), value, today.get(key))).collect()
        }
        (Value::Array(earlier), Some(Value::Array(today))) => match (earlier.first(), today.first()) {
            (Some(earlier), Some(today)) => lost(&format!("{place}[0]"), earlier, Some(today)),
            _ => Vec::new(),
        },
        (earlier, Some(today)) if std::mem::discriminant(earlier) == std::mem::discriminant(today) => Vec::new(),
        (earlier, today) => vec![format!("{place}: {earlier} was written, and now {today:?}")],
    }
}

#[test]
fn what_an_earlier_daemon_left_is_understood() {
    assert!(understood(EARLIER_JOURNAL.as_bytes()).is_some());
    let mut records = vec![header()];
    records.extend(parts(EARLIER_ROLL).into_iter().map(<[u8]>::to_vec));
    let roll: Vec<u8> = records.iter().flat_map(|contents| record(contents)).collect();
    assert_eq!(read(&roll), Some(entries()));
}

#[test]
fn an_earlier_daemon_finds_all_that_it_knows() {
    let today = String::from_utf8(journals().remove(0)).unwrap();
    for (earlier, today) in EARLIER_JOURNAL.lines().zip(today.lines()) {
        let [earlier, today]: [Value; 2] = [earlier, today].map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(lost("", &earlier, Some(&today)), [""; 0]);
    }
    let today: Vec<Vec<u8>> = entries().iter().map(contents).collect();
    assert_eq!(today, parts(EARLIER_ROLL));
}

/// Stands between the contents of records.
const BETWEEN: &[u8] = b"|--|";

const RECORD_BYTES: usize = 256;

/// Contents that do not fit are cut.
fn record(contents: &[u8]) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    let contents = &contents[..contents.len().min(RECORD_BYTES - 12)];
    record[8..12].copy_from_slice(&u32::try_from(contents.len()).unwrap().to_le_bytes());
    record[12..12 + contents.len()].copy_from_slice(contents);
    let sum = checksum(&record[8..]);
    record[..8].copy_from_slice(&sum.to_le_bytes());
    record
}

fn contents(entry: &Entry) -> Vec<u8> {
    let mut message = Vec::new();
    FromKeeper::Program(entry.program.clone()).encode(&mut message).unwrap();
    // The message is its kind, its length, and the program.
    let mut contents = message.split_off(5);
    contents.extend(std::iter::once(entry.start).chain(entry.pipes).flat_map(u64::to_le_bytes));
    contents
}

fn entries() -> Vec<Entry> {
    let program = |id: u64, ended, exec_failed| HeldProgram {
        id,
        tag: format!("{id}.1"),
        pid: 100,
        started: at(),
        last_signal: 15,
        has_stdin: true,
        has_stderr: false,
        ended,
        exec_failed,
    };
    let programs = [
        program(1, None, None),
        program(2, Some(Ended { exit: Exit::Code(3), at: at() }), None),
        program(3, None, Some((Stage::Exec, 2))),
    ];
    programs.map(|program| Entry { program, start: 77, pipes: [1, 2, 0] }).to_vec()
}

fn header() -> Vec<u8> {
    let identity = host::identity();
    let length = u16::try_from(identity.len()).unwrap().to_le_bytes();
    [b"galaxyd\n", ROLL_VERSION.to_le_bytes().as_slice(), &[0], &length, identity.as_bytes()].concat()
}

fn rolls() -> Vec<Vec<u8>> {
    let entries = entries();
    let records: Vec<Vec<u8>> = std::iter::once(header()).chain(entries.iter().map(contents)).collect();
    let roll: Vec<u8> = records.iter().flat_map(|contents| record(contents)).collect();
    assert_eq!(read(&roll), Some(entries));
    vec![records.join(BETWEEN)]
}

thread_local! {
    static ROLL: RefCell<std::fs::File> = RefCell::new(tempfile().unwrap());
}

fn read(roll: &[u8]) -> Option<Vec<Entry>> {
    ROLL.with_borrow_mut(|file| {
        file.rewind().unwrap();
        file.set_len(0).unwrap();
        file.write_all(roll).unwrap();
        read_roll(file).unwrap_or(None)
    })
}

fn parts(input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(place) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        parts.push(&rest[..place]);
        rest = &rest[place + BETWEEN.len()..];
    }
    parts.push(rest);
    parts
}

/// There is one spelling of each entry, and no damaged one is taken for another.
fn judge_roll(input: &[u8]) {
    let parts = parts(input);
    let mut roll: Vec<u8> = parts.iter().flat_map(|part| record(part)).collect();
    let Some(entries) = read(&roll) else { return };
    assert_eq!(entries.iter().map(contents).collect::<Vec<_>>(), parts[1..], "{entries:?}");
    if let Some(last) = roll.last_mut().filter(|_| !entries.is_empty()) {
        *last ^= 0x11;
        assert!(read(&roll).is_none());
    }
}

#[test]
fn journals_are_understood_or_refused_whole() {
    let words: &[&[u8]] = &[
        b"\n",
        b"{}",
        b"{\"processes\":[]}",
        b"null",
        b"[",
        b"}",
        b"-1",
        b"18446744073709551616",
        b"1e99",
        b"\"Running\"",
        b"\\u0000",
        b"\xff",
    ];
    Target { name: "journal", words, made: journals, oracle: judge_journal }.feed();
}

#[test]
fn rolls_are_understood_or_refused_whole() {
    let words: &[&[u8]] = &[BETWEEN, b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01", b"galaxyd\n", b"\xc3"];
    Target { name: "roll", words, made: rolls, oracle: judge_roll }.feed();
}
