//! An update by process, as lines and as a document.

use serde_json::{Value, json};

use crate::ctl::updating::{ChangedKey, UpdatedGroup, UpdatedProcess};

/// What was done: Supervisor's lines for groups, and a line for each process of a group that changed.
pub(super) fn done(groups: &[UpdatedGroup]) -> String {
    let mut lines = Vec::new();
    for group in groups {
        let name = &group.group;
        let failed = failures(group);
        match group.change.as_str() {
            "removed" if !failed.is_empty() => {
                lines.extend(failed);
                lines.push(format!("{name}: has problems; not removing"));
            }
            "removed" => lines.extend([format!("{name}: stopped"), format!("{name}: removed process group")]),
            "added" => lines.push(format!("{name}: added process group")),
            "replaced" => {
                lines.extend(failed);
                lines.extend([format!("{name}: stopped"), format!("{name}: updated process group")]);
            }
            "waits" => {}
            _ => {
                let well = group.processes.iter().filter(|process| !process.has_failed());
                lines.extend(
                    well.map(|process| format!("{}: {}{}", process.namespec(), participle(process), keys(process))),
                );
                lines.extend(failed);
                lines.push(format!("{name}: updated process group"));
            }
        }
        let waiting = group.keys.iter().filter(|key| key.consequence == "reload");
        lines.extend(waiting.map(|key| format!("{name}: {} waits for reload", key.key)));
    }
    text_of(&lines)
}

fn failures(group: &UpdatedGroup) -> Vec<String> {
    let failed = group.processes.iter().filter(|process| process.has_failed());
    failed.map(|process| format!("{}: ERROR ({})", process.namespec(), process.description)).collect()
}

/// Each line with its end.
fn text_of(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
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
    let mut lines = Vec::new();
    for group in groups {
        let what = match group.change.as_str() {
            "added" => "add process group",
            "removed" => "stop and remove process group",
            "replaced" => "stop process group and make it anew",
            "waits" => "no change before reload",
            _ => "update process group",
        };
        lines.push(format!("{}: {what}", group.group));
        lines.extend(group.keys.iter().map(key_line));
        for process in &group.processes {
            let consequence = match process.consequence.as_str() {
                "live" => "change without a restart",
                "next start" => "change for its next start",
                other => other,
            };
            lines.push(format!("  {}: {consequence}", process.namespec()));
            lines.extend(process.keys.iter().map(key_line));
        }
    }
    text_of(&lines)
}

fn key_line(key: &ChangedKey) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".to_owned());
    format!("      {}: {} -> {} ({})", key.key, value(&key.old), value(&key.new), key.consequence)
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
