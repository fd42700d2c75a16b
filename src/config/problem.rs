//! What is wrong with a configuration: everything, with its place, and what would be right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::span::{FileId, Span, line_column};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is used.
    Warning,
}

/// Where a problem stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    pub file: PathBuf,
    /// Counted from one.
    pub line: usize,
    /// Characters, counted from one.
    pub column: usize,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// Supervisor's text where it has one, without what it adds about section and file.
    pub message: String,
    /// What supervisord prints after `Error: `, or logs as a warning; `None` if it says nothing of the kind.
    pub supervisor_text: Option<String>,
    pub span: Option<Span>,
    /// Filled in from `span` when loading ends.
    pub place: Option<Place>,
    pub section: Option<String>,
    pub key: Option<String>,
    /// The value that was found, as written.
    pub found: Option<String>,
    /// What would be right.
    pub help: Option<String>,
    /// Supervisor's text alone would not do: a plain message tells everything.
    pub in_full: bool,
    /// The code of the rule that is not kept, `GX105`, where there is one for it.
    pub rule: Option<&'static str>,
}

impl Problem {
    /// An error with Supervisor's text.
    pub(crate) fn error(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { supervisor_text: Some(text.clone()), ..Self::new(Severity::Error, text) }
    }

    /// An error that only we see.
    pub(crate) fn own_error(text: impl Into<String>) -> Self {
        Self::new(Severity::Error, text.into())
    }

    /// A warning that Supervisor logs with this text.
    pub(crate) fn warning(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { supervisor_text: Some(text.clone()), ..Self::new(Severity::Warning, text) }
    }

    /// A warning that only we give.
    pub(crate) fn own_warning(text: impl Into<String>) -> Self {
        Self::new(Severity::Warning, text.into())
    }

    fn new(severity: Severity, message: String) -> Self {
        Self {
            severity,
            message,
            supervisor_text: None,
            span: None,
            place: None,
            section: None,
            key: None,
            found: None,
            help: None,
            in_full: false,
            rule: None,
        }
    }

    pub(crate) fn of_rule(mut self, code: &'static str) -> Self {
        self.rule = Some(code);
        self
    }

    pub(crate) fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    pub(crate) fn in_section(mut self, section: &str) -> Self {
        self.section = Some(section.to_owned());
        self
    }

    pub(crate) fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub(crate) fn finding(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The text that a log line or a plain message shows: Supervisor's own where it has one.
    #[must_use]
    pub fn text(&self) -> &str {
        self.supervisor_text.as_deref().unwrap_or(&self.message)
    }
}

/// One line: where, what, and what would be right.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        })?;
        if let Some(Place { file, line, column }) = &self.place {
            write!(f, "{}:{line}:{column}: ", file.display())?;
        }
        if let Some(section) = &self.section {
            write!(f, "[{section}] ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

/// All problems of one configuration, in the order in which Supervisor would come upon them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    all: Vec<Problem>,
    known: BTreeSet<Identity>,
}

/// Two problems alike in this are one: severity, section, key, and the message unless it is an error about a key.
type Identity = (bool, Option<String>, Option<String>, Option<String>);

impl Problems {
    /// Adds a problem, unless an error about the same key of the same section is known: several groups and several
    /// processes read the same value.
    pub(crate) fn push(&mut self, problem: Problem) {
        let is_error = problem.severity == Severity::Error;
        let text = if is_error && problem.key.is_some() { None } else { Some(problem.message.clone()) };
        let identity = (is_error, problem.section.clone(), problem.key.clone(), text);
        if problem.section.is_none() || self.known.insert(identity) {
            self.all.push(problem);
        }
    }

    /// How many there are; for [`Problems::soften`].
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Makes warnings of the errors that came after the first `known` problems, because Supervisor does not read what
    /// they are about; `consequence` is added to their messages.
    pub(crate) fn soften(&mut self, known: usize, consequence: &str) {
        let errors = self.all.iter_mut().skip(known).filter(|problem| problem.severity == Severity::Error);
        for problem in errors {
            problem.severity = Severity::Warning;
            problem.supervisor_text = None;
            problem.message.push_str(consequence);
        }
    }

    /// In the order in which Supervisor would come upon them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.all.iter()
    }

    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.all.iter().filter(|problem| problem.severity == Severity::Error)
    }

    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.all.iter().filter(|problem| problem.severity == Severity::Warning)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// What a plain message tells of the first error: Supervisor's text; of an error that only we see, where it stands,
    /// what is wrong and what would be right.
    #[must_use]
    pub fn first_told(&self) -> Option<String> {
        self.errors().next().map(|problem| match &problem.supervisor_text {
            Some(text) if !problem.in_full => text.clone(),
            Some(_) | None => problem.to_string().trim_start_matches("error: ").to_owned(),
        })
    }

    /// What supervisord would print after `Error: `; for an error that only we see, its message.
    #[must_use]
    pub fn first_supervisor_error(&self) -> Option<&str> {
        self.errors().next().map(Problem::text)
    }

    /// Turns spans into files, lines and columns.
    pub(crate) fn locate(&mut self, files: &[(PathBuf, String)]) {
        let mut starts: BTreeMap<FileId, Vec<usize>> = BTreeMap::new();
        for problem in &mut self.all {
            let Some(span) = problem.span else { continue };
            let Some((file, text)) = files.get(span.file.0 as usize) else { continue };
            let starts = starts.entry(span.file).or_insert_with(|| line_starts(text));
            let line = starts.partition_point(|start| *start <= span.start);
            let start = line.checked_sub(1).and_then(|index| starts.get(index)).copied().unwrap_or(0);
            // Within one line the first line's column is the column.
            let (_, column) = line_column(text.get(start..).unwrap_or_default(), span.start - start);
            problem.place = Some(Place { file: file.clone(), line, column });
        }
    }
}

/// Where the lines of a text begin; LF, CRLF and a lone CR end one.
fn line_starts(text: &str) -> Vec<usize> {
    let mut starts = vec![0];
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
            starts.push(at + 1);
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::span::Span;

    proptest! {
        #[test]
        fn places_are_those_of_the_text(text in "[ab\\n\\ré]{0,30}", at in 0usize..30) {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            // Nothing stands between the two characters of a line end.
            prop_assume!(!(text[..at].ends_with('\r') && text[at..].starts_with('\n')));
            let mut problems = Problems::default();
            problems.push(Problem::error("x").at(Span { file: FileId(0), start: at, end: at }));
            problems.locate(&[(PathBuf::from("f"), text.clone())]);
            let place = problems.iter().next().and_then(|problem| problem.place.clone()).unwrap();
            prop_assert_eq!((place.line, place.column), line_column(&text, at), "{:?} at {}", text, at);
        }
    }
}
