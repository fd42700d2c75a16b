//! Takes one value out of the raw sections: found, expanded, converted, or reported.

use std::collections::BTreeMap;
use std::rc::Rc;

use indexmap::IndexMap;

use super::environment;
use super::expansion::{Globals, Scope};
use super::literal;
use super::lookup::{Complaint, Lookup};
use super::percent::{self, PercentError};
use super::problem::{Problem, Problems};
use super::raw::{Dialect, RawData, RawSections, RawValue};
use super::schema::{self, SectionKind};
use super::source::Source;
use super::span::Span;
use super::value::{self, ValueError};

/// The key that holds variables.
const ENVIRONMENT: &str = "environment";

/// The problem has been reported; there is no value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported;

/// A section that is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'n> {
    pub(crate) section: &'n str,
    pub(crate) kind: SectionKind,
    /// Supervisor names section and file in the errors of processes, and only there.
    pub(crate) level: Level,
}

/// At what level of Supervisor's reading a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Group,
    Process,
}

/// Reads values and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    pub(crate) raw: &'a RawSections,
    pub(crate) lookup: Lookup<'a>,
    pub(crate) problems: &'a mut Problems,
    /// The main file as it was named.
    pub(crate) main_file: &'a str,
    /// The directory of each file, the main one first.
    pub(crate) directories: &'a [String],
    pub(crate) globals: Globals,
    /// `[supervisord] environment` could not be read.
    pub(crate) lacks_variables: bool,
    pub(crate) node_name: String,
    /// Python code that is named is left out instead of refused.
    pub(crate) ignores_plugins: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        raw: &'a RawSections,
        source: &'a dyn Source,
        problems: &'a mut Problems,
        main_file: &'a str,
        directories: &'a [String],
    ) -> Self {
        Self {
            raw,
            lookup: Lookup::new(source),
            problems,
            main_file,
            directories,
            globals: globals_of(source),
            lacks_variables: false,
            node_name: source.node_name(),
            ignores_plugins: false,
        }
    }

    /// The directory of the main file.
    pub(crate) fn here(&self) -> &'a str {
        self.directories.first().map_or(".", String::as_str)
    }

    /// `ENV_x` only.
    pub(crate) fn bare_scope(&self) -> Scope {
        Scope::new(&self.globals, self.lacks_variables)
    }

    /// `here` and `ENV_x`.
    pub(crate) fn scope(&self) -> Scope {
        self.bare_scope().with_here()
    }

    /// Makes `[supervisord] environment` usable as `%(ENV_x)s` from here on.
    pub(crate) fn add_globals(&mut self, variables: &IndexMap<String, String>) {
        let globals = Rc::make_mut(&mut self.globals);
        for (name, value) in variables {
            globals.insert(format!("ENV_{name}"), value.clone());
        }
    }

    /// The sections of one kind, in order.
    pub(crate) fn sections(&self, kind: SectionKind) -> Vec<&'a str> {
        let names = self.raw.sections.keys().map(String::as_str);
        names.filter(|name| SectionKind::of(name) == Some(kind)).collect()
    }

    /// The value of a key as it stands in the file.
    pub(crate) fn raw_value(&self, place: Place<'_>, key: &str) -> Option<&'a RawValue> {
        self.raw.get(place.section, key)
    }

    /// The expanded text of a key, or `None` if it is absent.
    pub(crate) fn written(&mut self, place: Place<'_>, key: &str, scope: &Scope) -> Result<Option<String>, Reported> {
        let Some(value) = self.raw_value(place, key) else { return Ok(None) };
        let label = format!("{}.{key}", place.section);
        match &value.data {
            RawData::Text(text) => self.expand(place, key, value, text, &label, scope).map(Some),
            RawData::List(items) => {
                let items: Vec<_> =
                    items.iter().map(|item| self.expand(place, key, value, item, &label, scope)).collect();
                let items: Result<Vec<_>, _> = items.into_iter().collect();
                Ok(Some(items?.join(",")))
            }
            RawData::Pairs(_) => Ok(Some(value.shown())),
        }
    }

    /// The converted value of a key; where it is absent or wrong, the converted default.
    pub(crate) fn typed<T>(
        &mut self,
        place: Place<'_>,
        key: &str,
        scope: &Scope,
        convert: impl Fn(&str, &Lookup<'a>) -> Result<T, Complaint>,
    ) -> Option<T> {
        if let Ok(Some(text)) = self.written(place, key, scope) {
            match convert(&text, &self.lookup) {
                Ok(value) => return Some(value),
                Err(complaint) => self.complain(place, key, complaint),
            }
        }
        let default = schema::key_of(place.kind, key).and_then(schema::Key::default_text)?;
        convert(default, &self.lookup).ok()
    }

    /// [`Self::typed`] for values that need no host.
    pub(crate) fn plain<T>(
        &mut self,
        place: Place<'_>,
        key: &str,
        scope: &Scope,
        convert: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        self.typed(place, key, scope, |text, _| convert(text).map_err(Complaint::from))
    }

    pub(crate) fn integer(&mut self, place: Place<'_>, key: &str, scope: &Scope) -> i64 {
        self.plain(place, key, scope, value::integer).unwrap_or_default()
    }

    pub(crate) fn bytes(&mut self, place: Place<'_>, key: &str, scope: &Scope) -> i64 {
        self.plain(place, key, scope, value::byte_size).unwrap_or_default()
    }

    pub(crate) fn boolean(&mut self, place: Place<'_>, key: &str, scope: &Scope) -> bool {
        self.plain(place, key, scope, value::boolean).unwrap_or_default()
    }

    /// A list of names: comma separated, or a list of the native dialect.
    pub(crate) fn names(&mut self, place: Place<'_>, key: &str, scope: &Scope) -> Vec<String> {
        let Ok(Some(text)) = self.written(place, key, scope) else { return Vec::new() };
        value::list_of_strings(&text)
    }

    /// The variables of an `environment`; none if it is absent, [`Reported`] if it cannot be read.
    ///
    /// `again` expands the text a second time, as Supervisor does in `[supervisord]`.
    pub(crate) fn variables(
        &mut self,
        place: Place<'_>,
        scope: &Scope,
        label: &str,
        again: Option<&Scope>,
    ) -> Result<IndexMap<String, String>, Reported> {
        let Some(value) = self.raw_value(place, ENVIRONMENT) else { return Ok(IndexMap::new()) };
        let text = match &value.data {
            RawData::Text(text) => self.expand(place, ENVIRONMENT, value, text, label, scope)?,
            RawData::List(_) => return Err(Reported),
            RawData::Pairs(pairs) => {
                let mut variables = IndexMap::new();
                for (name, text) in pairs {
                    let text = self.expand(place, ENVIRONMENT, value, text, label, scope)?;
                    variables.insert(name.clone(), text);
                }
                return Ok(variables);
            }
        };
        let text = match again {
            Some(again) if value.dialect == Dialect::Ini => self.expand_again(value, &text, again),
            _ => text,
        };
        let parsed = environment::parse(&text).map_err(|error| {
            let help = "write KEY=\"value\" pairs, separated by commas, every quote closed";
            self.complain(place, ENVIRONMENT, Complaint::new(error.to_string(), help));
            Reported
        })?;
        for (_, token) in &parsed.skipped {
            let text = format!("`{token}` is skipped: it stands where a comma belongs");
            let problem = Problem::own_warning(text).help("quote values that contain blanks or special characters");
            self.report(place, ENVIRONMENT, problem);
        }
        for name in parsed.pairs.keys().filter(|name| !is_name(name)) {
            let text = format!("`{name}` is hardly the name of a variable: a comma ended the value before it");
            let problem = Problem::own_warning(text).help("quote values that contain commas");
            self.report(place, ENVIRONMENT, problem);
        }
        Ok(parsed.pairs)
    }

    /// Expands a text a second time. A percent sign that makes no sense in the second round was meant to be expanded
    /// once.
    ///
    /// Differs: Supervisor 4.3.0 refuses it; a literal `%` must be written `%%%%` there, here `%%` will do.
    pub(crate) fn expand_again(&self, value: &RawValue, text: &str, scope: &Scope) -> String {
        let view = scope.seen_from(self.here_of(value));
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let senseless = match percent::expand(rest, &view) {
                Ok(tail) => {
                    expanded.push_str(&tail);
                    break;
                }
                Err(error) => error.extent(rest).start,
            };
            let (before, after) = rest.split_at(senseless);
            expanded.push_str(&percent::expand(before, &view).unwrap_or_else(|_| before.to_owned()));
            let mut after = after.chars();
            expanded.extend(after.next());
            rest = after.as_str();
        }
        expanded
    }

    fn here_of(&self, value: &RawValue) -> &'a str {
        match value.dialect {
            Dialect::Ini => self.here(),
            Dialect::Native | Dialect::Galaxy => {
                self.directories.get(value.span.file.0 as usize).map_or(self.here(), String::as_str)
            }
        }
    }

    /// Fills in a format. Reports an error under `label`.
    pub(crate) fn expand(
        &mut self,
        place: Place<'_>,
        key: &str,
        value: &RawValue,
        text: &str,
        label: &str,
        scope: &Scope,
    ) -> Result<String, Reported> {
        let view = scope.seen_from(self.here_of(value));
        let error = match percent::expand(text, &view) {
            Ok(expanded) => return Ok(expanded),
            Err(error) => error,
        };
        let is_excused = scope.lacks_variables
            && matches!(&error, PercentError::UnknownName { name, .. } if name.starts_with("ENV_"));
        if is_excused {
            return Err(Reported);
        }
        let help = match &error {
            PercentError::UnknownName { .. } => {
                "use one of the names that are available, or write %% for a percent sign"
            }
            PercentError::BadFormat { .. } => "write %% for a percent sign, %(name)s for a name",
            PercentError::BareConversion { .. } => {
                "write %% for a percent sign: Supervisor would insert a list of all names here"
            }
        };
        let help = match percent::corrected(text, &view) {
            Some(corrected) => format!("write `{corrected}`? ({help})"),
            None => help.to_owned(),
        };
        let message = percent::message(&error, text, label, &view);
        let mut problem = match &error {
            PercentError::BareConversion { .. } => Problem::own_error(message),
            PercentError::UnknownName { .. } | PercentError::BadFormat { .. } => Problem::error(message),
        };
        let is_whole = matches!(&value.data, RawData::Text(whole) if whole == text);
        problem.span = Some(if is_whole { value.locate(error.extent(text)) } else { value.span });
        self.report(place, key, problem.help(help));
        Err(Reported)
    }

    /// Reports a value that was refused.
    pub(crate) fn complain(&mut self, place: Place<'_>, key: &str, complaint: Complaint) {
        let mut problem = Problem::error(complaint.text);
        problem.help = complaint.help;
        self.report(place, key, problem);
    }

    /// Reports something about a key: its value if there is one, else the section. An empty key stands for the
    /// section's name.
    pub(crate) fn report(&mut self, place: Place<'_>, key: &str, mut problem: Problem) {
        let value = self.raw_value(place, key);
        let span = value.map(|value| value.span).or_else(|| self.header(place.section));
        problem.span = problem.span.or(span);
        problem.found = problem.found.or_else(|| value.map(RawValue::shown));
        if let (Some(text), Level::Process, super::problem::Severity::Error) =
            (&problem.supervisor_text, place.level, problem.severity)
        {
            let file = self.raw.sections.get(place.section).and_then(|section| section.included_from.as_deref());
            let (section, file) = (literal(place.section), literal(file.unwrap_or(self.main_file)));
            problem.supervisor_text = Some(format!("{text} in section {section} (file: {file})"));
        }
        let problem = problem.in_section(place.section);
        // Whatever is wrong with one is a character that is not quoted, or a percent sign.
        let problem = if key == ENVIRONMENT { problem.of_rule("GX104") } else { problem };
        self.problems.push(if key.is_empty() { problem } else { problem.with_key(key) });
    }

    /// Reports something about a section as a whole.
    pub(crate) fn report_section(&mut self, section: &str, mut problem: Problem) {
        problem.span = problem.span.or_else(|| self.header(section));
        self.problems.push(problem.in_section(section));
    }

    /// Where a section begins.
    pub(crate) fn header(&self, section: &str) -> Option<Span> {
        self.raw.sections.get(section).map(|section| section.span)
    }
}

/// Whether somebody may have meant to call a variable so.
fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    begins && !text.contains(['/', ':', '(', ')', '+'])
}

/// `ENV_x` of the daemon's environment.
pub(crate) fn globals_of(source: &dyn Source) -> Globals {
    let variables = source.environment().iter();
    Rc::new(variables.map(|(name, value)| (format!("ENV_{name}"), value.clone())).collect::<BTreeMap<_, _>>())
}
