//! What a galaxy.yml stands for, as an ini file: only what it settles, each value below a comment that says where it comes from.

use std::path::Path;

use indexmap::IndexMap;

use super::sheet::{Cell, Sheet};
use super::{PrintError, ini_text, verify};
use crate::config::assembly::{Assembly, dialect_of};
use crate::config::gravity::Origins;
use crate::config::model::Config;
use crate::config::raw::{Dialect, RawData, RawSection};
use crate::config::schema::{SectionKind, key_of};
use crate::config::source::Source;

/// The text for the file at `path`, from which `config` was loaded; `None` if the file is no galaxy.yml.
///
/// # Errors
/// As [`super::print`].
pub fn print_translated(path: &Path, config: &Config, source: &dyn Source) -> Option<Result<String, PrintError>> {
    let name = path.to_string_lossy();
    (dialect_of(&name) == Dialect::Galaxy).then(|| {
        let mut assembly = Assembly::new(source);
        assembly.read_main(&name);
        let sections = assembly.sections.sections.iter();
        let sheets: Vec<Sheet> = sections.filter_map(|(header, section)| sheet(header, section)).collect();
        let text = ini_text::write(&sheets)?;
        verify(config, &text, "/printed.conf", source)?;
        Ok(format!("; {name} as programs, what it does not settle left out\n\n{}", annotated(&text, &assembly.origins)))
    })
}

fn sheet(header: &str, section: &RawSection) -> Option<Sheet> {
    let kind = SectionKind::of(header)?;
    let suffix = header.strip_prefix(kind.word())?.to_owned();
    let mut cells = IndexMap::new();
    for (key, value) in &section.entries {
        let cell = match &value.data {
            RawData::Text(text) => Cell::Text(text.clone()),
            RawData::List(names) => Cell::Names(names.clone()),
            RawData::Pairs(pairs) => Cell::Pairs(pairs.clone()),
        };
        cells.insert(key_of(kind, key)?.name, cell);
    }
    Some(Sheet { kind, suffix, cells })
}

/// With the comments, each before its value.
fn annotated(text: &str, origins: &Origins) -> String {
    let mut annotated = String::with_capacity(text.len() * 2);
    let mut section = "";
    for line in text.lines() {
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = header;
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with(' ')) {
            let origin = origins.get(&(section.to_owned(), key.to_owned()));
            // A comment has one line.
            annotated.extend(origin.map(|origin| format!("; {}\n", origin.replace(['\n', '\r'], " "))));
        }
        annotated.push_str(line);
        annotated.push('\n');
    }
    annotated
}
