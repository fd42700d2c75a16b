//! An update by process, as lines and as a document.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::ctl::updating::{ChangedKey, UpdatedGroup, UpdatedProcess};

/// What was done: Supervisor's lines for groups, and a line for each process of a group that changed.
pub(super) fn done(groups: &[UpdatedGroup]) -> String {
    let mut text = String::new();
    for group in groups {
        let name = &group.group;
        let failed = failures(group);
        match group.change.as_str() {
            "removed" if !failed.is_empty() => text += &format!("{failed}{name}: has problems; not removing\n"),
            "removed" => text += &format!("{name}: stopped\n{name}: removed process group\n"),
            "added" => text += &format!("{name}: added process group\n"),
            "replaced" => text += &format!("{failed}{name}: stopped\n{name}: updated process group\n"),
            _ => {
                for process in group.processes.iter().filter(|process| !process.has_failed()) {
                    text += &format!("{}: {}{}\n", process.namespec(), participle(process), keys(process));
                }
                text += &format!("{failed}{name}: updated process group\n");
            }
        }
    }
    text
}

fn failures(group: &UpdatedGroup) -> String {
    let failed = group.processes.iter().filter(|process| process.has_failed());
    failed.map(|process| format!("{}: ERROR ({})\n", process.namespec(), process.description)).collect()
}

fn participle(process: &UpdatedProcess) -> &'static str {
    match process.consequence.as_str() {
        "add" => "added",
        "remove" => "removed",
        "restart" => "restarted",
        "start" => "started",
        "next start" => "changed for its next start",
        _ => "changed without a restart",
    }
}

fn keys(process: &UpdatedProcess) -> String {
    if process.keys.is_empty() {
        return String::new();
    }
    let keys: Vec<&str> = process.keys.iter().map(|key| key.key.as_str()).collect();
    format!(" ({})", keys.join(", "))
}

/// What would be done: each process with its consequence, each key with its old and new value.
pub(super) fn rehearsed(groups: &[UpdatedGroup]) -> String {
    let mut text = String::new();
    for group in groups {
        let what = match group.change.as_str() {
            "added" => "add process group",
            "removed" => "stop and remove process group",
            "replaced" => "stop process group and make it anew",
            _ => "update process group",
        };
        text += &format!("{}: {what}\n", group.group);
        group.keys.iter().for_each(|key| key_line(&mut text, key));
        for process in &group.processes {
            let consequence = match process.consequence.as_str() {
                "live" => "change without a restart",
                "next start" => "change for its next start",
                other => other,
            };
            text += &format!("  {}: {consequence}\n", process.namespec());
            process.keys.iter().for_each(|key| key_line(&mut text, key));
        }
    }
    text
}

fn key_line(text: &mut String, key: &ChangedKey) {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".to_owned());
    let written = writeln!(text, "      {}: {} -> {} ({})", key.key, value(&key.old), value(&key.new), key.consequence);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

/// One group in a document.
pub(super) fn document(group: &UpdatedGroup) -> Value {
    json!({
        "group": group.group,
        "change": group.change,
        "keys": group.keys.iter().map(key).collect::<Vec<_>>(),
        "processes": group.processes.iter().map(process).collect::<Vec<_>>(),
    })
}

fn key(key: &ChangedKey) -> Value {
    json!({ "key": key.key, "old": key.old, "new": key.new, "consequence": key.consequence })
}

fn process(process: &UpdatedProcess) -> Value {
    json!({
        "name": process.namespec(),
        "group": process.group,
        "process": process.name,
        "consequence": process.consequence,
        "keys": process.keys.iter().map(key).collect::<Vec<_>>(),
        "code": process.status,
        "error": process.has_failed().then_some(&process.description),
    })
}
