//! What a word at the prompt may become.
//! Source: supervisor 4.3.0, `supervisorctl.py`, `complete`.

use super::answer::ProcessInfo;
use crate::cli::commands::{Words, command};

/// The completions of `word`, the last one of `line`, each with the blank that follows it. `known` is asked only where names
/// of processes or groups are wanted.
pub(super) fn candidates<'a>(
    line: &str,
    word: &str,
    commands: impl Iterator<Item = &'a str>,
    known: impl FnOnce() -> Vec<ProcessInfo>,
) -> Vec<String> {
    let names: Vec<String> = match line.split_whitespace().next() {
        Some(name) if line.trim_start() != word => match command(name).map(|line| line.words) {
            Some(Words::Commands) => commands.map(str::to_owned).collect(),
            Some(Words::Groups) => groups(&known()),
            Some(Words::Processes | Words::SignalAndProcesses | Words::Tail | Words::Env) => processes(word, &known()),
            _ => Vec::new(),
        },
        _ => commands.map(str::to_owned).collect(),
    };
    names.into_iter().filter(|name| name.starts_with(word)).map(|name| name + " ").collect()
}

fn groups(known: &[ProcessInfo]) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for one in known {
        if !groups.contains(&one.group) {
            groups.push(one.group.clone());
        }
    }
    groups
}

/// `group:name` and `group:*` where the two differ or a colon was typed, the name alone otherwise.
fn processes(word: &str, known: &[ProcessInfo]) -> Vec<String> {
    let mut names = Vec::new();
    for one in known {
        if !word.contains(':') && one.name == one.group {
            names.push(one.name.clone());
            continue;
        }
        names.push(format!("{}:{}", one.group, one.name));
        let all = format!("{}:*", one.group);
        if !names.contains(&all) {
            names.push(all);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fake::process;

    fn check(line: &str, word: &str, expected: &[&str]) {
        let known = || {
            vec![
                process("galaxy", "web", "RUNNING"),
                process("galaxy", "h0", "RUNNING"),
                process("cat", "cat", "RUNNING"),
            ]
        };
        let commands = ["help", "start", "status", "stop"];
        assert_eq!(candidates(line, word, commands.into_iter(), known), expected, "{line:?}");
    }

    #[test]
    fn words_are_completed_as_in_supervisorctl() {
        check("", "", &["help ", "start ", "status ", "stop "]);
        check("sta", "sta", &["start ", "status "]);
        check("start ", "", &["galaxy:web ", "galaxy:* ", "galaxy:h0 ", "cat "]);
        check("start gal", "gal", &["galaxy:web ", "galaxy:* ", "galaxy:h0 "]);
        check("start cat:", "cat:", &["cat:cat ", "cat:* "]);
        check("signal HUP c", "c", &["cat "]);
        check("update g", "g", &["galaxy "]);
        check("help sto", "sto", &["stop "]);
        check("reread x", "x", &[]);
        check("nonsense x", "x", &[]);
    }
}
