//! Sections as read, before anything is expanded or understood. Both dialects give these.

use indexmap::IndexMap;

use super::span::Span;

/// In which language a value was written; it decides how it is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Ini,
    Native,
    /// galaxy.yml. Its values are translated, and those bear [`Dialect::Native`].
    Galaxy,
}

/// A value as the dialect gives it. Texts are still to be %-expanded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawData {
    Text(String),
    /// A list of the native dialect.
    List(Vec<String>),
    /// A table of the native dialect.
    Pairs(Vec<(String, String)>),
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct RawValue {
    pub(crate) data: RawData,
    pub(crate) key_span: Span,
    pub(crate) span: Span,
    pub(crate) dialect: Dialect,
    /// The inline comment that was cut off the value.
    pub(crate) cut_comment: Option<Span>,
    /// Where the lines of a text come from: (offset in the text, offset in the file), ascending.
    pub(crate) pieces: Vec<(usize, usize)>,
}

impl RawValue {
    /// The stretch of the file that a stretch of the text comes from; the whole value if that is not known.
    pub(crate) fn locate(&self, part: std::ops::Range<usize>) -> Span {
        let piece = self.pieces.iter().rev().find(|(in_text, _)| *in_text <= part.start);
        let Some((in_text, in_file)) = piece else { return self.span };
        let start = in_file + (part.start - in_text);
        let end = (start + part.len()).min(self.span.end);
        if start < end { Span { start, end, ..self.span } } else { self.span }
    }

    /// The value as one line of text, for messages.
    pub(crate) fn shown(&self) -> String {
        match &self.data {
            RawData::Text(text) => text.clone(),
            RawData::List(items) => items.join(","),
            RawData::Pairs(pairs) => {
                pairs.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join(",")
            }
        }
    }
}

/// One section, its keys in the order of first appearance.
#[derive(Debug, Clone)]
pub(crate) struct RawSection {
    pub(crate) span: Span,
    pub(crate) dialect: Dialect,
    /// The included file that made the section, as Supervisor names it; `None`: the main file.
    pub(crate) included_from: Option<String>,
    pub(crate) entries: IndexMap<String, RawValue>,
}

/// Everything that was read, from all files.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawSections {
    /// `[DEFAULT]`: fallbacks for every section.
    pub(crate) defaults: IndexMap<String, RawValue>,
    pub(crate) sections: IndexMap<String, RawSection>,
}

impl RawSections {
    /// The value of a key, from the section or from `[DEFAULT]`.
    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&RawValue> {
        let section = self.sections.get(section)?;
        section.entries.get(key).or_else(|| self.defaults.get(key))
    }

    /// Puts another file's sections over these: later values win, new sections go to the end.
    pub(crate) fn merge(&mut self, later: RawSections) {
        self.defaults.extend(later.defaults);
        for (name, section) in later.sections {
            match self.sections.get_mut(&name) {
                Some(known) => known.entries.extend(section.entries),
                None => {
                    self.sections.insert(name, section);
                }
            }
        }
    }

    /// Replaces the text `%(here)s` in every value, as Supervisor does once a file includes others. Values of
    /// `[DEFAULT]` are copied into the sections for that.
    pub(crate) fn fill_in_here(&mut self, here: &str) {
        const MARK: &str = "%(here)s";
        let marked = |value: &RawValue| match &value.data {
            RawData::Text(text) => value.dialect == Dialect::Ini && text.contains(MARK),
            RawData::List(_) | RawData::Pairs(_) => false,
        };
        let defaults: Vec<_> = self.defaults.iter().filter(|(_, value)| marked(value)).collect();
        for section in self.sections.values_mut() {
            for (key, value) in &defaults {
                if !section.entries.contains_key(*key) {
                    section.entries.insert((*key).clone(), (*value).clone());
                }
            }
            for value in section.entries.values_mut().filter(|value| marked(value)) {
                if let RawData::Text(text) = &mut value.data {
                    *text = text.replace(MARK, here);
                    value.pieces.clear();
                }
            }
        }
    }
}
