//! What the names on a command line stand for.

use glob::{MatchOptions, Pattern};

use super::answer::ProcessInfo;
use super::name;
use super::shell::Shell;
use super::trouble::Trouble;

/// What one word stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// All of a group, in one call.
    Group(String),
    /// One process, as it was typed.
    Process(String),
    /// What a pattern matched, in the daemon's order; asked for at the same time.
    Matched(Vec<String>),
}

impl Shell {
    /// The targets of these words. supervisorctl knows `p`, `g:p`, `g:` and `g:*`; galaxyctl knows the bare name
    /// of a group and patterns too, and has to ask the daemon for them.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn targets(&mut self, words: &[&str]) -> Result<Vec<Target>, Trouble> {
        let mut targets = Vec::new();
        for word in words {
            if self.is_galaxyctl() && needs_knowledge(word) {
                targets.extend(self.expanded(word)?);
            } else {
                targets.push(literal(word));
            }
        }
        Ok(targets)
    }

    /// What galaxyctl takes a word for; with a galaxy.yml also the name of a service in all instances.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn expanded(&mut self, word: &str) -> Result<Vec<Target>, Trouble> {
        let known = self.known()?;
        let targets = expand(word, &known);
        let is_unknown =
            targets == [literal(word)] && !word.contains(':') && !known.iter().any(|one| one.namespec() == word);
        let named = if is_unknown { self.service_processes(word) } else { Vec::new() };
        Ok(if named.is_empty() { targets } else { vec![Target::Matched(named)] })
    }

    /// The processes that these words stand for, one by one, for commands that have no form for a group.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn single_names(&mut self, words: &[&str]) -> Result<Vec<String>, Trouble> {
        if !self.is_galaxyctl() {
            return Ok(words.iter().map(ToString::to_string).collect());
        }
        let mut names = Vec::new();
        for target in self.targets(words)? {
            match target {
                Target::Process(name) => names.push(name),
                Target::Matched(several) => names.extend(several),
                Target::Group(group) => {
                    let members: Vec<String> =
                        self.known()?.iter().filter(|one| one.group == group).map(ProcessInfo::namespec).collect();
                    if members.is_empty() { names.push(format!("{group}:*")) } else { names.extend(members) }
                }
            }
        }
        Ok(names)
    }
}

fn literal(word: &str) -> Target {
    match name::split(word) {
        name::Name { group, process: None } => Target::Group(group.to_owned()),
        _ => Target::Process(word.to_owned()),
    }
}

/// Patterns, and words without a colon, which may be groups.
fn needs_knowledge(word: &str) -> bool {
    !word.contains(':') || is_pattern(word)
}

fn is_pattern(word: &str) -> bool {
    let name::Name { group, process } = name::split(word);
    let wild = |text: &str| text.contains(['*', '?', '[']);
    wild(group) || process.is_some_and(wild)
}

/// What a word stands for among the `known` processes. A word that matches nothing stays what it is, so that
/// the daemon refuses it by name.
#[must_use]
pub(super) fn expand(word: &str, known: &[ProcessInfo]) -> Vec<Target> {
    let typed = name::split(word);
    let exact = |one: &ProcessInfo| one.group == typed.group && Some(one.name.as_str()) == typed.process;
    if known.iter().any(exact) {
        return vec![Target::Process(word.to_owned())];
    }
    if !is_pattern(word) {
        let is_group = !word.contains(':') && known.iter().any(|one| one.group == word);
        return vec![if is_group { Target::Group(word.to_owned()) } else { literal(word) }];
    }
    let found = if typed.process.is_none() || !word.contains(':') {
        groups(typed.group, known)
    } else {
        let names = matching(typed.group, typed.process.unwrap_or_default(), known);
        if names.is_empty() { Vec::new() } else { vec![Target::Matched(names)] }
    };
    if found.is_empty() { vec![literal(word)] } else { found }
}

fn groups(pattern: &str, known: &[ProcessInfo]) -> Vec<Target> {
    let mut groups: Vec<&str> = Vec::new();
    for one in known {
        if fits(pattern, &one.group) && !groups.contains(&one.group.as_str()) {
            groups.push(&one.group);
        }
    }
    groups.into_iter().map(|group| Target::Group(group.to_owned())).collect()
}

fn matching(group: &str, process: &str, known: &[ProcessInfo]) -> Vec<String> {
    known.iter().filter(|one| fits(group, &one.group) && fits(process, &one.name)).map(ProcessInfo::namespec).collect()
}

/// Whether a word, read as a command's, takes in the process of this name; a bare name is a group's.
#[must_use]
pub(super) fn fits_spec(word: &str, namespec: &str) -> bool {
    let (wanted, one) = (name::split(word), name::split(namespec));
    let of_group = fits(wanted.group, one.group);
    match wanted.process {
        Some(pattern) if word.contains(':') => of_group && fits(pattern, one.process.unwrap_or_default()),
        _ => of_group || word == namespec,
    }
}

/// A pattern that is none (an open bracket) only fits itself.
fn fits(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern).map_or(pattern == text, |pattern| pattern.matches_with(text, MatchOptions::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fake::process;

    fn known() -> Vec<ProcessInfo> {
        ["galaxy:handler0", "galaxy:handler1", "galaxy:web", "gx:gx", "gx2:a", "odd:[x"]
            .map(|name| name.split_once(':').unwrap())
            .map(|(group, name)| process(group, name, "RUNNING"))
            .to_vec()
    }

    fn check(word: &str, expected: &[Target]) {
        assert_eq!(expand(word, &known()), expected, "{word}");
    }

    #[test]
    fn words_stand_for_processes_groups_or_matches() {
        let process = |name: &str| Target::Process(name.to_owned());
        let group = |name: &str| Target::Group(name.to_owned());
        let matched = |names: &[&str]| Target::Matched(names.iter().map(ToString::to_string).collect());
        check("gx", &[process("gx")]);
        check("galaxy", &[group("galaxy")]);
        check("galaxy:", &[group("galaxy")]);
        check("galaxy:*", &[group("galaxy")]);
        check("galaxy:web", &[process("galaxy:web")]);
        check("galaxy:handler*", &[matched(&["galaxy:handler0", "galaxy:handler1"])]);
        check("galaxy:handler[0-9]", &[matched(&["galaxy:handler0", "galaxy:handler1"])]);
        check("galaxy:handler?", &[matched(&["galaxy:handler0", "galaxy:handler1"])]);
        check("*:web", &[matched(&["galaxy:web"])]);
        check("gx*", &[group("gx"), group("gx2")]);
        check("gx*:*", &[group("gx"), group("gx2")]);
        check("*", &[group("galaxy"), group("gx"), group("gx2"), group("odd")]);
        check("odd:[x", &[process("odd:[x")]);
        check("nothing*", &[process("nothing*")]);
        check("galaxy:nothing*", &[process("galaxy:nothing*")]);
        check("nothing", &[process("nothing")]);
        check("nothing:", &[group("nothing")]);
    }
}
