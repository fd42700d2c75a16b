//! Imports run one way: the rule of `docs/architecture.md`, read from the `use` lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::tree::{files, root, short};

/// What each room may import of this crate. A room that is not listed fails the test:
/// whoever builds one decides here what it stands on.
const ROOMS: &[(&str, &[&str])] = &[
    ("cli", &["config", "engine"]),
    ("config", &["engine", "yaml"]),
    ("ctl", &["cli", "config", "database", "engine", "galaxy", "history", "http", "migration", "probe", "rpc", "sys"]),
    ("database", &["sys"]),
    ("engine", &[]),
    ("events", &["config", "engine"]),
    ("galaxy", &["config", "engine", "yaml"]),
    ("history", &["logs", "sys"]),
    ("http", &["config", "engine", "logs", "rpc", "sys", "web"]),
    ("keeper", &["engine", "sys"]),
    ("logs", &["engine", "sys"]),
    ("migration", &["config", "engine"]),
    ("pidproxy", &["sys"]),
    ("probe", &["config", "sys"]),
    ("rollout", &["config", "engine"]),
    ("rpc", &["config", "engine"]),
    ("sys", &[]),
    ("web", &["rpc"]),
    (
        "worker",
        &[
            "cli", "config", "engine", "events", "galaxy", "history", "http", "keeper", "logs", "pidproxy", "probe",
            "rollout", "rpc", "sys",
        ],
    ),
    ("yaml", &[]),
];

/// Constants of the crate itself, which any room may name.
const CONSTANTS: &[&str] = &["SUPERVISOR_VERSION", "VERSION"];

/// What the engine must never touch.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::sync",
    "Instant",
    "SystemTime",
    "tokio",
    "nix::",
    "libc::",
    "tracing",
    "jiff",
];

#[test]
fn imports_run_one_way() {
    let rooms: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    let mut breaches = Vec::new();
    for (room, path, code) in sources() {
        let Some(allowed) = rooms.get(room.as_str()) else {
            breaches.push(format!("{path}: the room `{room}` is not in the table of tests/it/layers.rs"));
            continue;
        };
        if code.contains(&above(&path)) {
            breaches.push(format!("{path}: say `crate::` where the path leaves the room"));
        }
        for name in imported(&code) {
            let own = name == room || CONSTANTS.contains(&name.as_str());
            if !own && !allowed.contains(&name.as_str()) {
                breaches.push(format!("{path}: `{room}` must not import `{name}`"));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn the_engine_is_pure() {
    let mut breaches = Vec::new();
    for (room, path, code) in sources() {
        if room == "engine" {
            breaches.extend(IMPURE.iter().filter(|word| code.contains(*word)).map(|word| format!("{path}: {word}")));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn unsafe_code_lives_in_one_room() {
    let breaches: Vec<_> = sources()
        .into_iter()
        .filter(|(room, _, code)| room != "sys" && code.contains("unsafe "))
        .map(|(_, path, _)| path)
        .collect();
    assert!(breaches.is_empty(), "{breaches:?}");
}

#[test]
fn files_stay_readable() {
    let mut long = Vec::new();
    for path in files("src") {
        let lines = fs::read(&path).unwrap().split(|byte| *byte == b'\n').count();
        if lines > 1000 {
            long.push(format!("{}: {lines} lines", short(&path)));
        }
    }
    assert!(long.is_empty(), "{long:?}");
    for name in ["utils", "helpers", "misc", "common"] {
        assert!(!files("src").iter().any(|path| path.file_stem().is_some_and(|stem| stem == name)), "{name}");
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    let mute: Vec<_> = files("src")
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"))
        .map(|path| short(&path))
        .collect();
    assert!(mute.is_empty(), "no module comment: {mute:?}");
}

/// Room, path and code (no comments, no tests at the foot) of every source file in a room.
fn sources() -> Vec<(String, String, String)> {
    let mut sources = Vec::new();
    for path in files("src") {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap().to_string();
        let room = first.trim_end_matches(".rs").to_string();
        if path.extension().is_none_or(|end| end != "rs") || ["bin", "lib"].contains(&room.as_str()) {
            continue;
        }
        sources.push((room, short(&path), code(&path)));
    }
    assert!(sources.len() > 30, "the sources were not found");
    sources
}

fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    body.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The `super::super::…` that leads from the file at `path` (`src/room/…`) to the root of the crate, past the table.
fn above(path: &str) -> String {
    let modules = path.trim_start_matches("src/").trim_end_matches("/mod.rs").trim_end_matches(".rs");
    "super::".repeat(modules.split('/').count())
}

/// The first names after `crate::`, also inside braces.
fn imported(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        if let Some(list) = after.strip_prefix('{') {
            names.extend(top_level(list));
        } else {
            names.insert(name(after));
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The names at the first level of a list in braces.
fn top_level(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut begin) = (0, Vec::new(), true);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begin = true,
            _ if begin && depth == 0 && !letter.is_whitespace() => {
                names.push(name(&list[at..]));
                begin = false;
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

#[test]
fn imports_are_read_from_every_form() {
    let text = "use crate::{engine::{A, B}, sys};\nfn f() { crate::logs::g(crate::VERSION) }";
    let names: Vec<_> = imported(text).into_iter().collect();
    assert_eq!(names, ["VERSION", "engine", "logs", "sys"]);
    assert_eq!(above("src/worker/mod.rs"), "super::");
    assert_eq!(above("src/worker/journal.rs"), "super::super::");
    assert_eq!(above("src/http/client/mod.rs"), "super::super::");
}
