//! Problems as a person or a program reads them: in rustc's manner with the line they stand on, or as JSON.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::loader::{Loaded, load};
use super::model::Config;
use super::overrides::Overrides;
use super::problem::{Problem, Problems, Severity};
use super::source::Source;

/// How to show problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    Plain,
    /// With terminal colours.
    Coloured,
    Json,
}

impl Rendering {
    /// Colours for a terminal whose user has not refused them (`NO_COLOR`, see no-color.org: set and not empty).
    #[must_use]
    pub fn for_terminal(is_terminal: bool, no_color: Option<&str>) -> Self {
        let is_refused = no_color.is_some_and(|value| !value.is_empty());
        if is_terminal && !is_refused { Self::Coloured } else { Self::Plain }
    }
}

/// Exit code of a check that found an error; as supervisord's for a bad configuration.
pub const EXIT_REFUSED: u8 = 2;

/// Checks a configuration without using it: what there is to say, and the exit code, 0 or [`EXIT_REFUSED`].
pub fn check(path: &Path, overrides: &Overrides, source: &dyn Source, rendering: Rendering) -> (String, u8) {
    let loaded = load(path, overrides, source);
    let code = if loaded.problems.has_errors() { EXIT_REFUSED } else { 0 };
    let mut text = render(&loaded.problems, &loaded.files, rendering);
    if rendering == Rendering::Json {
        text = json(path, &loaded.problems);
    } else {
        text.push_str(&verdict(path, &loaded));
    }
    (text, code)
}

/// All problems, in the order of the files, with an empty line behind each.
///
/// `files` are those of [`Loaded`]. For [`Rendering::Json`] one JSON document.
#[must_use]
pub fn render(problems: &Problems, files: &[(PathBuf, String)], rendering: Rendering) -> String {
    let renderer = match rendering {
        Rendering::Json => {
            let path = files.first().map_or(Path::new(""), |(path, _)| path);
            return json(path, problems);
        }
        Rendering::Plain => Renderer::plain(),
        Rendering::Coloured => Renderer::styled(),
    };
    let mut text = String::new();
    for problem in in_order(problems) {
        text.push_str(&renderer.render(&[group(problem, files)]));
        text.push_str("\n\n");
    }
    text
}

fn in_order(problems: &Problems) -> Vec<&Problem> {
    let mut ordered: Vec<_> = problems.iter().collect();
    ordered.sort_by_key(|problem| problem.span.map(|span| (span.file, span.start)));
    ordered
}

fn group<'a>(problem: &'a Problem, files: &'a [(PathBuf, String)]) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(visible(&problem.message));
    let mut group = Group::with_title(match problem.rule {
        Some(code) => title.id(code),
        None => title,
    });
    if let Some(snippet) = snippet(problem, files) {
        group = group.element(snippet);
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(visible(help)));
    }
    group
}

fn snippet<'a>(
    problem: &'a Problem,
    files: &'a [(PathBuf, String)],
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let (span, place) = (problem.span?, problem.place.as_ref()?);
    let (_, text) = files.get(span.file.0 as usize)?;
    let before = text.get(..span.start)?;
    let start = before.rfind(['\n', '\r']).map_or(0, |end| end + 1);
    let line = text.get(start..)?;
    let line = line.get(..line.find(['\n', '\r']).unwrap_or(line.len()))?;
    // A value of several lines is marked on its first one.
    let from = span.start - start;
    let to = (span.end.max(span.start) - start).min(line.len()).max(from);
    let mark = AnnotationKind::Primary.span(from..to).label(label(problem));
    Some(Snippet::source(line).line_start(place.line).path(place.file.to_string_lossy()).fold(false).annotation(mark))
}

fn label(problem: &Problem) -> Option<String> {
    match (&problem.section, &problem.key) {
        (Some(section), Some(key)) => Some(visible(&format!("`{key}` of [{section}]"))),
        (Some(section), None) => Some(visible(&format!("[{section}]"))),
        _ => None,
    }
}

/// The text without characters that act on a terminal.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// The last line of a check.
#[must_use]
pub fn verdict(path: &Path, loaded: &Loaded) -> String {
    let mut text = format!("{}: ", path.display());
    let (errors, warnings) = (loaded.problems.errors().count(), loaded.problems.warnings().count());
    // Writing to a String cannot fail.
    let _ = match &loaded.config {
        Some(config) => write!(text, "good, {}", contents(config)),
        None => write!(text, "refused, {}", counted(errors, "error")),
    };
    if warnings > 0 {
        let _ = write!(text, ", {}", counted(warnings, "warning"));
    }
    text.push('\n');
    text
}

fn contents(config: &Config) -> String {
    let processes = config.groups.iter().map(|group| group.processes.len()).sum();
    format!("{} in {}", counted(processes, "process"), counted(config.groups.len(), "group"))
}

fn counted(count: usize, noun: &str) -> String {
    let ending = match (count, noun.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{count} {noun}{ending}")
}

/// The JSON form of a check.
#[derive(Debug, Serialize)]
struct Report<'a> {
    file: &'a Path,
    errors: usize,
    warnings: usize,
    problems: Vec<Entry<'a>>,
}

/// One problem in JSON; what does not apply is null.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    file: Option<&'a Path>,
    line: Option<usize>,
    column: Option<usize>,
    section: Option<&'a str>,
    key: Option<&'a str>,
    severity: Severity,
    message: &'a str,
    found: Option<&'a str>,
    help: Option<&'a str>,
    rule: Option<&'a str>,
}

fn json(path: &Path, problems: &Problems) -> String {
    format!("{:#}\n", report(path, problems))
}

/// The problems of a configuration as one JSON document.
#[must_use]
pub fn report(path: &Path, problems: &Problems) -> serde_json::Value {
    let problems: Vec<Entry<'_>> = in_order(problems)
        .into_iter()
        .map(|problem| {
            let place = problem.place.as_ref();
            Entry {
                file: place.map(|place| place.file.as_path()),
                line: place.map(|place| place.line),
                column: place.map(|place| place.column),
                section: problem.section.as_deref(),
                key: problem.key.as_deref(),
                severity: problem.severity,
                message: &problem.message,
                found: problem.found.as_deref(),
                help: problem.help.as_deref(),
                rule: problem.rule,
            }
        })
        .collect();
    let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let report = Report { file: path, errors: count(Severity::Error), warnings: count(Severity::Warning), problems };
    serde_json::json!(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;

    const BAD: &str =
        "[supervisord]\nloglevel = chatty\n\n[program:handler]\nautosatrt=true\n  ; note\nstopwaitsecs = 30s\n";

    fn checked(text: &str, rendering: Rendering) -> (String, u8) {
        let host = MadeUp::new().file("/etc/x.conf", text);
        check(Path::new("/etc/x.conf"), &Overrides::default(), &host, rendering)
    }

    #[test]
    fn problems_are_shown_with_the_line_they_stand_on() {
        let (text, code) = checked(BAD, Rendering::Plain);
        assert_eq!(code, 2);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_good_file_is_called_good() {
        let (text, code) = checked("[supervisord]\n[program:a]\ncommand=x\n", Rendering::Plain);
        assert_eq!((text.as_str(), code), ("/etc/x.conf: good, 1 process in 1 group\n", 0));
    }

    #[test]
    fn json_has_a_field_for_everything() {
        let (text, code) = checked(BAD, Rendering::Json);
        assert_eq!(code, 2);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn nothing_acts_on_the_terminal() {
        let (text, _) = checked("[supervisord]\nloglevel = \u{1b}[31mred\n", Rendering::Plain);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let (text, _) = checked(BAD, Rendering::Coloured);
        assert!(text.contains('\u{1b}'), "{text:?}");
    }
}
