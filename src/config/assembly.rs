//! Files to sections: the main file, and those it includes. Source: Supervisor 4.3.0, `options.py`, `read_config()`.

use std::path::{Path, PathBuf};

use super::expansion::Scope;
use super::problem::{Problem, Problems};
use super::raw::{Dialect, RawData, RawSection, RawSections, RawValue};
use super::reader::{Level, Place, Reader};
use super::schema::SectionKind;
use super::source::{ReadError, Source};
use super::span::{FileId, Span};
use super::{gravity, ini, native, path};

/// More files than this are not included.
pub const FILES_MAX: usize = 10_000;

const INCLUDE: &str = "include";

/// What was read, and from where.
pub(crate) struct Assembly<'a> {
    source: &'a dyn Source,
    pub(crate) sections: RawSections,
    pub(crate) files: Vec<(PathBuf, String)>,
    /// The directory of each file, absolute.
    pub(crate) directories: Vec<String>,
    pub(crate) problems: Problems,
    /// Files that were to be included and could not be opened.
    pub(crate) unread: Vec<PathBuf>,
    /// What Supervisor logs about included files.
    pub(crate) infos: Vec<String>,
    /// Of values that were translated.
    pub(crate) origins: gravity::Origins,
}

/// The dialect of the file of this name: `.toml` is the native one, `.yml` is Galaxy's, everything else is Supervisor's ini.
pub(crate) fn dialect_of(name: &str) -> Dialect {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Dialect::Native,
        Some("yml" | "yaml") => Dialect::Galaxy,
        _ => Dialect::Ini,
    }
}

/// The files that the name of a configuration means: several galaxy.yml are joined by colons, as in `GRAVITY_CONFIG_FILE`.
pub(crate) fn files_of(name: &str) -> Vec<&str> {
    let names: Vec<&str> = name.split(':').collect();
    let is_list = names.len() > 1 && names.iter().all(|name| dialect_of(name) == Dialect::Galaxy);
    if is_list { names } else { vec![name] }
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            sections: RawSections::default(),
            files: Vec::new(),
            directories: Vec::new(),
            problems: Problems::default(),
            unread: Vec::new(),
            infos: Vec::new(),
            origins: gravity::Origins::new(),
        }
    }

    /// Reads the file that was named; `false` if nothing can be known of it.
    pub(crate) fn read_main(&mut self, name: &str) -> bool {
        let names = files_of(name);
        if names.len() > 1 {
            return self.read_galaxies(&names);
        }
        let Some(bytes) = self.bytes_of(name) else { return false };
        let directory = path::absolute(path::dirname(name), self.source);
        self.take(name, &bytes, directory, None)
    }

    fn bytes_of(&mut self, name: &str) -> Option<Vec<u8>> {
        let error = match self.source.read(Path::new(name)) {
            Ok(bytes) => return Some(bytes),
            Err(error) => error,
        };
        let text = match error {
            ReadError::Missing => format!("could not find config file {name}"),
            _ => format!("could not read config file {name}"),
        };
        self.problems.push(Problem::error(text).help(error.to_string()));
        None
    }

    /// Several galaxy.yml, each an instance or more of one daemon; `false` if one of them cannot be read.
    fn read_galaxies(&mut self, names: &[&str]) -> bool {
        let mut texts = Vec::new();
        for name in names {
            let Some(bytes) = self.bytes_of(name) else { return false };
            match ini::decode(&bytes) {
                Ok(text) => texts.push(text.to_owned()),
                Err(error) => {
                    let text = format!("{name}: {}", error.message);
                    self.problems.push(Problem::error(text).help("save the file as UTF-8"));
                    return false;
                }
            }
        }
        let texts: Vec<(&str, &str)> = names.iter().copied().zip(texts.iter().map(String::as_str)).collect();
        self.take_galaxies(&texts)
    }

    /// Reads the files that `[include]` names, if the main file has that section.
    pub(crate) fn read_included(&mut self, main: &str) {
        let Some(here) = self.directories.first().cloned() else { return };
        let Some(section) = self.sections.sections.get(INCLUDE) else { return };
        let header = section.span;
        self.sections.fill_in_here(&here);
        let Some(value) = self.sections.get(INCLUDE, "files").cloned() else {
            let problem = Problem::error(".ini file has [include] section, but no files setting");
            self.problems.push(problem.at(header).in_section(INCLUDE).help("add files=... or remove the section"));
            return;
        };
        let base = path::dirname(&path::absolute(main, self.source)).to_owned();
        for (pattern, span) in self.patterns(&value, main) {
            let pattern = path::join(&base, &pattern);
            let names = self.source.glob(&pattern);
            if names.is_empty() {
                let problem = Problem::warning(format!("No file matches via include \"{pattern}\""));
                let problem = problem.at(span).in_section(INCLUDE).with_key("files").finding(pattern);
                self.problems.push(problem.help("correct the pattern, or add the files"));
            }
            for name in names {
                self.infos.push(format!("Included extra file \"{name}\" during parsing"));
                if self.files.len() >= FILES_MAX {
                    let problem = Problem::own_error(format!("more than {FILES_MAX} files are included"));
                    self.problems.push(problem.at(span).in_section(INCLUDE).with_key("files"));
                    return;
                }
                self.read_one_included(&name, span);
            }
        }
    }

    fn read_one_included(&mut self, name: &str, from: Span) {
        let directory = path::absolute(path::dirname(name), self.source);
        match self.source.read(Path::new(name)) {
            Ok(bytes) => {
                if self.take(name, &bytes, directory.clone(), Some(name)) {
                    self.sections.fill_in_here(&directory);
                }
            }
            // Supervisor passes over what it cannot open without a word.
            Err(error) => {
                let problem = Problem::own_warning(format!("included file {name} is not read: {error}"));
                self.problems.push(problem.at(from).in_section(INCLUDE).with_key("files"));
                self.unread.push(PathBuf::from(name));
            }
        }
    }

    /// The expanded patterns and where they stand.
    fn patterns(&mut self, value: &RawValue, main: &str) -> Vec<(String, Span)> {
        let empty = RawSections::default();
        let mut reader = Reader::new(&empty, self.source, &mut self.problems, main, &self.directories);
        let scope = reader.scope().with("host_node_name", &reader.node_name);
        let place = Place { section: INCLUDE, kind: SectionKind::Include, level: Level::Group };
        let mut expand = |text: &str| expand_pattern(&mut reader, place, value, text, &scope);
        match &value.data {
            RawData::Text(text) => {
                let words = expand(text).unwrap_or_default();
                let words = words.split(ini::is_space).filter(|word| !word.is_empty());
                words.map(|word| (word.to_owned(), value.locate(find(text, word)))).collect()
            }
            RawData::List(items) => items.iter().filter_map(|item| Some((expand(item)?, value.span))).collect(),
            RawData::Pairs(_) => Vec::new(),
        }
    }

    /// Adds what galaxy.yml stands for, each by its name and text; `false` if nothing can be known of it.
    fn take_galaxies(&mut self, texts: &[(&str, &str)]) -> bool {
        let Self { source, files, directories, problems, .. } = self;
        let mut reading = gravity::Reading { source: *source, problems, files, directories };
        let named: Vec<_> = texts.iter().map(|(name, text)| (*name, reading.add(name, text), *text)).collect();
        let (sections, origins) = gravity::read(&mut reading, &named);
        let is_whole = sections.sections.keys().any(|name| name.starts_with("program:"));
        self.sections.merge(sections);
        self.origins = origins;
        is_whole
    }

    /// Adds a file's sections; `false` if they cannot be read.
    fn take(&mut self, name: &str, bytes: &[u8], directory: String, included_from: Option<&str>) -> bool {
        let file = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        let text = match ini::decode(bytes) {
            Ok(text) => text.to_owned(),
            Err(error) => {
                let span = Span { file, start: error.offset, end: error.offset };
                self.problems.push(Problem::error(error.message).at(span).help("save the file as UTF-8"));
                self.files.push((PathBuf::from(name), String::from_utf8_lossy(bytes).into_owned()));
                self.directories.push(directory);
                return false;
            }
        };
        let read = match dialect_of(name) {
            Dialect::Ini => read_ini(name, &text, file, included_from),
            Dialect::Native => native::read(&text, file, included_from),
            Dialect::Galaxy if included_from.is_none() => return self.take_galaxies(&[(name, &text)]),
            Dialect::Galaxy => (None, vec![not_included(name, file)]),
        };
        self.files.push((PathBuf::from(name), text));
        self.directories.push(directory);
        let (sections, problems) = read;
        let is_whole = sections.is_some();
        for problem in problems {
            self.problems.push(problem);
        }
        self.sections.merge(sections.unwrap_or_default());
        is_whole
    }
}

fn not_included(name: &str, file: FileId) -> Problem {
    let problem = Problem::own_error(format!("{name} cannot be included: it is a whole configuration"));
    problem.at(Span { file, start: 0, end: 0 }).help("give it to the daemon itself: galaxyd -c galaxy.yml")
}

fn expand_pattern(
    reader: &mut Reader<'_>,
    place: Place<'_>,
    value: &RawValue,
    text: &str,
    scope: &Scope,
) -> Option<String> {
    reader.expand(place, "files", value, text, "include.files", scope).ok()
}

/// Where a word stands in a text; the whole text if expansion has changed it.
fn find(text: &str, word: &str) -> std::ops::Range<usize> {
    text.find(word).map_or(0..text.len(), |start| start..start + word.len())
}

/// The sections of an ini file; `None` with problems if it cannot be read.
fn read_ini(name: &str, text: &str, file: FileId, included_from: Option<&str>) -> (Option<RawSections>, Vec<Problem>) {
    let document = match ini::parse(text, file) {
        Ok(document) => document,
        Err(errors) => return (None, ini_problems(name, text, &errors)),
    };
    let mut read = RawSections::default();
    for section in document.sections {
        let entries = section.entries.into_iter().map(|entry| {
            let value = RawValue {
                data: RawData::Text(entry.value),
                key_span: entry.key_span,
                span: entry.value_span,
                dialect: Dialect::Ini,
                cut_comment: entry.cut_comment,
                pieces: entry.pieces,
            };
            (entry.key, value)
        });
        if section.name == "DEFAULT" {
            read.defaults.extend(entries);
            continue;
        }
        let entries = entries.collect();
        let included_from = included_from.map(str::to_owned);
        let section_read = RawSection { span: section.span, dialect: Dialect::Ini, included_from, entries };
        read.sections.insert(section.name, section_read);
    }
    (Some(read), Vec::new())
}

/// One problem for each line; Supervisor's text, which is about all of them, goes with the first.
fn ini_problems(name: &str, text: &str, errors: &[ini::IniError]) -> Vec<Problem> {
    let whole = ini::supervisor_message(errors, name, text);
    let problems = errors.iter().map(|error| {
        let help = match error.kind {
            ini::IniErrorKind::MissingSectionHeader => "begin the file with a [section]",
            ini::IniErrorKind::NoDelimiter => {
                "write key=value; to continue the line above, indent this one deeper than its key"
            }
            ini::IniErrorKind::EmptyKey => "write a key before the =",
        };
        let found = text.get(error.span.start..error.span.end).unwrap_or_default();
        let mut problem = Problem::error(error.to_string()).at(error.span).finding(found).help(help);
        problem.supervisor_text = Some(whole.clone());
        problem
    });
    problems.collect()
}
