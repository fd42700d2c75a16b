//! Lines to sections: what a line continues, opens or adds.

use std::ops::Range;

use indexmap::IndexMap;

use super::line::{Line, Part, comment_start, header, is_space};
use super::{Document, Entry, IniError, IniErrorKind, Section};
use crate::config::span::{FileId, Span};

/// An entry whose continuation lines may still come.
#[derive(Debug)]
struct Draft {
    key_span: Span,
    value: String,
    pieces: Vec<(usize, usize)>,
    cut_comment: Option<Span>,
}

impl Draft {
    fn add(&mut self, part: Part<'_>) {
        if !self.pieces.is_empty() {
            self.value.push('\n');
        }
        self.pieces.push((self.value.len(), part.start));
        self.value.push_str(part.text);
    }

    fn finish(mut self, key: String) -> Entry {
        self.value.truncate(self.value.trim_end_matches(is_space).len());
        let length = self.value.len();
        let first = self.pieces.first().copied().unwrap_or((0, self.key_span.end));
        self.pieces.retain(|piece| *piece == first || piece.0 < length);
        let last = self.pieces.last().copied().unwrap_or(first);
        let value_span = Span { start: first.1, end: last.1 + (length - last.0), ..self.key_span };
        Entry {
            key,
            key_span: self.key_span,
            value: self.value,
            value_span,
            cut_comment: self.cut_comment,
            pieces: self.pieces,
        }
    }
}

#[derive(Debug)]
struct OpenSection {
    span: Span,
    drafts: IndexMap<String, Draft>,
}

/// Reading was given up.
pub(super) struct Abandoned;

pub(super) struct Reader {
    file: FileId,
    sections: IndexMap<String, OpenSection>,
    /// Index of the section that lines belong to.
    section: Option<usize>,
    /// Index of the entry that a deeper line continues.
    entry: Option<usize>,
    /// Characters before the first non-blank one of the last line that continued nothing.
    indent: usize,
    pub(super) errors: Vec<IniError>,
}

impl Reader {
    pub(super) fn new(file: FileId) -> Self {
        Reader { file, sections: IndexMap::new(), section: None, entry: None, indent: 0, errors: Vec::new() }
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span { file: self.file, start: range.start, end: range.end }
    }

    pub(super) fn take(&mut self, line: Line<'_>) -> Result<(), Abandoned> {
        let whole = Part { text: line.text, start: line.start };
        let comment = comment_start(line.text);
        let (content, rest) = whole.split_at(comment.unwrap_or(line.text.len()));
        let content = content.trimmed();
        let comment = comment.map(|_| self.span(rest.trimmed().range()));
        if content.text.is_empty() {
            // A blank line belongs to the open value, a comment line is invisible.
            if let (None, Some(draft)) = (comment, self.open_draft()) {
                draft.add(content);
            }
            return Ok(());
        }
        let indent = line.text.chars().take_while(|c| is_space(*c)).count();
        if indent > self.indent
            && let Some(draft) = self.open_draft()
        {
            draft.add(content);
            draft.cut_comment = draft.cut_comment.or(comment);
            return Ok(());
        }
        self.indent = indent;
        if let Some((name, range)) = header(content) {
            self.open_section(name, range);
            return Ok(());
        }
        if self.section.is_none() {
            self.refuse(IniErrorKind::MissingSectionHeader, content);
            return Err(Abandoned);
        }
        self.take_pair(content, comment);
        Ok(())
    }

    fn open_section(&mut self, name: &str, range: Range<usize>) {
        let span = self.span(range);
        let section = self.sections.entry(name.to_owned());
        self.section = Some(section.index());
        self.entry = None;
        section.or_insert_with(|| OpenSection { span, drafts: IndexMap::new() });
    }

    fn open_draft(&mut self) -> Option<&mut Draft> {
        let (_, section) = self.sections.get_index_mut(self.section?)?;
        section.drafts.get_index_mut(self.entry?).map(|(_, draft)| draft)
    }

    /// `key = value` or `key: value`. A line without a delimiter leaves the open entry open.
    fn take_pair(&mut self, content: Part<'_>, comment: Option<Span>) {
        let Some(delimiter) = content.text.find(['=', ':']) else {
            return self.refuse(IniErrorKind::NoDelimiter, content);
        };
        let (key, value) = content.split_at(delimiter);
        let (_, value) = value.split_at(1);
        let key = key.trimmed();
        if key.text.is_empty() {
            self.entry = None;
            return self.refuse(IniErrorKind::EmptyKey, content);
        }
        let key_span = self.span(key.range());
        let mut draft = Draft { key_span, value: String::new(), pieces: Vec::new(), cut_comment: comment };
        draft.add(value.trimmed());
        if let Some((_, section)) = self.section.and_then(|index| self.sections.get_index_mut(index)) {
            self.entry = Some(section.drafts.insert_full(key.text.to_lowercase(), draft).0);
        }
    }

    fn refuse(&mut self, kind: IniErrorKind, content: Part<'_>) {
        let span = self.span(content.range());
        self.errors.push(IniError { kind, span });
    }

    pub(super) fn finish(self) -> Document {
        let sections = self.sections.into_iter().map(|(name, section)| Section {
            name,
            span: section.span,
            entries: section.drafts.into_iter().map(|(key, draft)| draft.finish(key)).collect(),
        });
        Document { sections: sections.collect() }
    }
}
