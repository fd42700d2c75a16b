//! Warnings about what is allowed and yet hardly meant: names like known ones, quotes that a comment has cut open,
//! keys swallowed by the value above, processes of one name, files that others may write.

use std::collections::BTreeMap;
use std::path::PathBuf;

use indexmap::IndexMap;

use super::model::Config;
use super::nearest::nearest;
use super::problem::Problem;
use super::raw::{Dialect, RawData, RawSection, RawValue};
use super::reader::Reader;
use super::schema::{self, Naming, SectionKind};
use super::shlex::{self, SplitError};
use super::span::{FileId, Span};

/// Adds the warnings.
pub(crate) fn report(reader: &mut Reader<'_>, config: &Config, files: &[(PathBuf, String)]) {
    let raw = reader.raw;
    for (name, section) in &raw.sections {
        match SectionKind::of(name) {
            Some(kind) => known_section(reader, name, kind, section, files),
            None => unknown_section(reader, name, section),
        }
    }
    for (key, value) in &raw.defaults {
        cut_value(reader, "DEFAULT", key, value, files);
    }
    collisions(reader, config);
    open_files(reader, files);
}

fn unknown_section(reader: &mut Reader<'_>, name: &str, section: &RawSection) {
    let (word, rest) = match name.split_once(':') {
        Some((word, rest)) => (word, Some(rest)),
        None => (name, None),
    };
    let tidy = word.trim().to_lowercase();
    let words = || SectionKind::ALL.into_iter().map(SectionKind::word).chain(["DEFAULT"]);
    let near = words().find(|known| *known == tidy).or_else(|| nearest(&tidy, words()));
    let Some(near) = near else { return };
    let needs_name = SectionKind::ALL.iter().any(|kind| kind.word() == near && kind.naming() == Naming::Required);
    let near = match rest {
        Some(rest) => format!("[{near}:{}]", rest.trim()),
        None if needs_name => format!("[{near}:NAME]"),
        None => format!("[{near}]"),
    };
    let problem = Problem::own_warning(format!("section [{name}] is not known and has no effect"));
    let problem = problem.at(section.span).finding(name).help(format!("did you mean {near}?"));
    reader.report_section(name, problem);
}

fn known_section(
    reader: &mut Reader<'_>,
    name: &str,
    kind: SectionKind,
    section: &RawSection,
    files: &[(PathBuf, String)],
) {
    for (key, value) in &section.entries {
        // The native reader has refused what it does not know.
        let is_known = schema::takes_any_key(kind) || schema::key_of(kind, key).is_some();
        if !is_known && value.dialect == Dialect::Ini {
            unknown_key(reader, name, kind, key, value);
        }
        cut_value(reader, name, key, value, files);
        swallowed_key(reader, name, kind, key, value);
    }
}

fn unknown_key(reader: &mut Reader<'_>, section: &str, kind: SectionKind, key: &str, value: &RawValue) {
    let problem = Problem::own_warning(format!("key `{key}` is not known in [{section}] and has no effect"));
    let mut problem = problem.at(value.key_span).in_section(section).with_key(key).finding(key);
    if let Some(near) = nearest(key, schema::keys_of(kind).map(|key| key.name)) {
        problem = problem.help(format!("did you mean {near}?")).of_rule("GX105");
    }
    reader.problems.push(problem);
}

fn cut_value(reader: &mut Reader<'_>, section: &str, key: &str, value: &RawValue, files: &[(PathBuf, String)]) {
    let (Some(comment), RawData::Text(text)) = (value.cut_comment, &value.data) else { return };
    let (what, help) = if matches!(shlex::split(text), Err(SplitError::NoClosingQuotation { .. })) {
        let help = "a ; or # after a blank begins a comment even inside quotes: take the blank away, or put the text into a script";
        (format!("the comment cuts the value of `{key}` inside quotes"), help)
    } else if key == "command" && written(comment, files).is_some_and(reads_like_a_command) {
        let help = "a ; after a blank begins a comment, and no shell reads the command: put it into a script, or into \
                    sh -c '...;...' without a blank before the semicolon";
        (format!("what follows the semicolon in `{key}` is a comment and not run"), help)
    } else {
        return;
    };
    let problem = Problem::own_warning(what);
    reader.problems.push(problem.at(comment).in_section(section).with_key(key).finding(text.clone()).help(help));
}

fn written(span: Span, files: &[(PathBuf, String)]) -> Option<&str> {
    let (_, text) = files.get(span.file.0 as usize)?;
    text.get(span.start..span.end)
}

/// Whether a comment is rather the second half of `a ; b` in the manner of a shell. Comments for people begin with other
/// words.
fn reads_like_a_command(comment: &str) -> bool {
    const BEGINNINGS: &[&str] =
        &["/", "./", "../", "$", "cd ", "echo ", "exec ", "export ", "exit ", "sleep ", "source "];
    let Some(text) = comment.strip_prefix(';').map(str::trim) else { return false };
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) || text.contains(" && ") || text.contains(" || ")
}

/// A line that looks like a key but is indented deeper than the key above belongs to that key's value.
fn swallowed_key(reader: &mut Reader<'_>, section: &str, kind: SectionKind, key: &str, value: &RawValue) {
    let RawData::Text(text) = &value.data else { return };
    if value.dialect != Dialect::Ini {
        return;
    }
    let mut offset = 0;
    for (number, line) in text.split('\n').enumerate() {
        let word = line.split(['=', ':']).next().unwrap_or_default().trim_end();
        if number > 0 && word.len() < line.len() && schema::key_of(kind, word).is_some() {
            let span = value.locate(offset..offset + line.len());
            let problem = Problem::own_warning(format!("`{word}` is read as part of the value of `{key}`"));
            let help = format!("indent it like `{key}` to make it a key of its own");
            reader.problems.push(problem.at(span).in_section(section).with_key(key).finding(line).help(help));
        }
        offset += line.len() + 1;
    }
}

fn collisions(reader: &mut Reader<'_>, config: &Config) {
    let mut known: IndexMap<&str, u32> = IndexMap::new();
    for group in &config.groups {
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for process in &group.processes {
            if let Some(other) = names.insert(&process.name, &process.section) {
                let text =
                    format!("group {} has two processes named {}: only the last is kept", group.name, process.name);
                let help = if other == process.section {
                    "put %(process_num)d into process_name".to_owned()
                } else {
                    format!("[{other}] makes the other one; give one of them another process_name")
                };
                reader.report_section(&process.section, Problem::own_warning(text).finding(&process.name).help(help));
            }
        }
        *known.entry(&group.name).or_default() += 1;
    }
    for (name, _) in known.into_iter().filter(|(_, count)| *count > 1) {
        let makes_it = |section: &&&String| {
            let made = section
                .split_once(':')
                .filter(|(kind, _)| matches!(*kind, "group" | "program" | "eventlistener" | "fcgi-program"));
            made.is_some_and(|(_, bare)| bare.trim() == name)
        };
        let sections: Vec<&String> = reader.raw.sections.keys().filter(|section| makes_it(&section)).collect();
        let Some(last) = sections.last() else { continue };
        let text = format!("two groups are named {name}: only the one of the lower priority is created");
        let all = sections.iter().map(|section| format!("[{section}]")).collect::<Vec<_>>().join(" and ");
        let problem = Problem::own_warning(text).finding(name).help(format!("rename one of {all}"));
        reader.report_section(last, problem);
    }
}

/// Whoever can write a configuration that root reads, is root.
fn open_files(reader: &mut Reader<'_>, files: &[(PathBuf, String)]) {
    if reader.lookup.source.euid() != 0 {
        return;
    }
    for (index, (file, _)) in files.iter().enumerate() {
        let Some(status) = reader.lookup.source.status(file) else { continue };
        let whose = if status.mode & 0o002 != 0 {
            "anyone".to_owned()
        } else if status.mode & 0o020 != 0 && status.gid != 0 {
            format!("group {}", status.gid)
        } else if status.uid != 0 {
            format!("user {}", status.uid)
        } else {
            continue;
        };
        let file_name = file.display();
        let text = format!("{file_name} can be written by {whose}, and root obeys it");
        let span = Span { file: FileId(u32::try_from(index).unwrap_or(u32::MAX)), start: 0, end: 0 };
        let help = format!("chown root {file_name} and chmod go-w {file_name}, or do not run as root");
        reader.problems.push(Problem::own_warning(text).at(span).help(help));
    }
}
