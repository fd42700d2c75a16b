//! What all readers of this front share: the host, the files read so far, and the problems found.

use std::path::{Path, PathBuf};

use super::node::{Part, span_of};
use crate::config::path;
use crate::config::problem::{Problem, Problems};
use crate::config::source::Source;
use crate::config::span::{FileId, Span, line_column};
use crate::config::{ReadError, ini};
use crate::yaml::{self, Mark};

/// One reading of all files.
pub(crate) struct Reading<'r> {
    pub(crate) source: &'r dyn Source,
    pub(crate) problems: &'r mut Problems,
    pub(crate) files: &'r mut Vec<(PathBuf, String)>,
    /// The directory of each file.
    pub(crate) directories: &'r mut Vec<String>,
}

impl Reading<'_> {
    /// `section` and `key` as a person would write them, `help` what would be right. An empty key stands for the section.
    pub(super) fn error(&mut self, at: Span, section: &str, key: &str, text: String, help: impl Into<String>) {
        self.push(Problem::own_error(text), at, section, key, help);
    }

    pub(super) fn warn(&mut self, at: Span, section: &str, key: &str, text: String, help: impl Into<String>) {
        self.push(Problem::own_warning(text), at, section, key, help);
    }

    fn push(&mut self, problem: Problem, at: Span, section: &str, key: &str, help: impl Into<String>) {
        let problem = problem.at(at).in_section(section).help(help);
        self.problems.push(if key.is_empty() { problem } else { problem.with_key(key) });
    }

    /// Reads another file; `wanted` says who names it, for the error. Not a problem is made of a file that is not text: `None`
    /// with a problem.
    pub(super) fn open(&mut self, name: &str, wanted: (Span, &str, &str)) -> Option<(FileId, String)> {
        let (at, section, key) = wanted;
        let bytes = match self.source.read(Path::new(name)) {
            Ok(bytes) => bytes,
            Err(error) => {
                let help = match error {
                    ReadError::Missing => "correct the path, or make the file",
                    _ => "make it readable for the daemon",
                };
                self.error(at, section, key, format!("{name} cannot be read: {error}"), help);
                return None;
            }
        };
        match ini::decode(&bytes) {
            Ok(text) => {
                let text = text.to_owned();
                Some((self.add(name, &text), text))
            }
            Err(error) => {
                self.error(at, section, key, format!("{name}: {}", error.message), "save the file as UTF-8");
                None
            }
        }
    }

    /// Takes a file into the list.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> FileId {
        let file = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push((PathBuf::from(name), text.to_owned()));
        self.directories.push(path::absolute(path::dirname(name), self.source));
        file
    }

    /// Another YAML file.
    pub(super) fn open_yaml(&mut self, name: &str, wanted: (Span, &str, &str)) -> Option<Part> {
        let (file, text) = self.open(name, wanted)?;
        self.yaml(file, &text)
    }

    /// The document in a text.
    pub(super) fn yaml(&mut self, file: FileId, text: &str) -> Option<Part> {
        match yaml::parse(text) {
            Ok(node) => Some(Part { node, file }),
            Err(error) => {
                let problem = Problem::own_error(error.message).at(self.at(file, error.mark));
                self.problems.push(problem.help("correct the YAML: blanks to indent, a colon and a blank after a key"));
                None
            }
        }
    }

    pub(super) fn span(&self, part: &Part) -> Span {
        self.at(part.file, part.node.mark)
    }

    pub(super) fn at(&self, file: FileId, mark: Mark) -> Span {
        let text = self.files.get(file.0 as usize).map_or("", |(_, text)| text.as_str());
        span_of(text, file, mark)
    }

    /// File and line, as comments name them.
    pub(super) fn place(&self, span: Span) -> String {
        let Some((file, text)) = self.files.get(span.file.0 as usize) else { return String::new() };
        let (line, _) = line_column(text, span.start);
        format!("{}:{line}", file.display())
    }

    /// Whether something is there.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.source.exists(Path::new(path))
    }
}
