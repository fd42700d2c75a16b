//! State documents: the values in what a worker reads of its predecessor. The journal as a whole is in `state.rs`.

use galaxyd::config::{Config, HostSource, Overrides, load};
use galaxyd::engine::{Engine, Input, Moment, Now, ProcessRecord};
use galaxyd::events::Record;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::stage::{Stage, pool};
use crate::target::Target;

/// Two processes, one of them spawned; a pool with an event in hand; a whole configuration.
fn documents() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.conf");
    std::fs::write(&path, include_bytes!("corpus/configuration/rich.conf")).unwrap();
    let config = load(&path, &Overrides::default(), &HostSource::new(Vec::new())).config.unwrap();
    let mut engine = Engine::new();
    let at = Now { mono: Moment(std::time::Duration::ZERO), wall: 1_000_000_000 };
    let groups = config.groups.iter().map(galaxyd::config::GroupConfig::spec).collect();
    engine.handle(at, Input::Begin { groups }, &mut Vec::new());
    let (first, second) = (engine.find("g", "web_00").unwrap(), engine.find("g", "web_01").unwrap());
    engine.handle(at, Input::Spawned { process: first, pid: 11, at }, &mut Vec::new());
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 3, &[(1, "p")]));
    let child = stage.run(1);
    stage.say(child, b"READY\n");
    stage.remote("a");
    stage.remote("b");
    let mut all: Vec<Vec<u8>> =
        stage.events.records().iter().map(|record| serde_json::to_vec(record).unwrap()).collect();
    all.extend([first, second].map(|process| serde_json::to_vec(&engine.record(process).unwrap()).unwrap()));
    all.push(serde_json::to_vec(&config).unwrap());
    all
}

/// What is understood is written back to the same.
fn judge_as<T: Serialize + DeserializeOwned>(line: &[u8]) {
    let Ok(document) = serde_json::from_slice::<T>(line) else { return };
    let written = serde_json::to_vec(&document).unwrap();
    let read: T = serde_json::from_slice(&written).unwrap();
    assert_eq!(serde_json::to_vec(&read).unwrap(), written);
}

#[test]
fn state_documents_are_refused_or_written_back_to_the_same() {
    let words: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b":",
        b",",
        b"null",
        b"true",
        b"-1",
        b"1e99",
        b"18446744073709551616",
        b"\\u0000",
    ];
    let oracle = |input: &[u8]| {
        judge_as::<ProcessRecord>(input);
        judge_as::<Record>(input);
        judge_as::<Config>(input);
    };
    Target { name: "documents", words, made: documents, oracle }.feed();
}
