//! Reads Supervisor's ini dialect: sections, keys and values with positions, no meaning.
//!
//! The dialect is Python 3.11's raw parser, non-strict, with `;` and `#` as inline comment
//! marks. Merging `[DEFAULT]`, includes and expansion are the loader's.
//! Differs: a byte-order mark is skipped, Python refuses it.

use std::ops::Range;

use indexmap::IndexMap;

use super::span::{FileId, Span};

/// The sections of one file, in order of first appearance, repeated ones merged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    pub sections: Vec<Section>,
}

/// One section. `[DEFAULT]` is a section like any other here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// As written between the brackets, blanks included.
    pub name: String,
    /// The first header, from bracket to bracket.
    pub span: Span,
    /// In order of first appearance; of a repeated key the last value, with its position.
    pub entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Lower-cased.
    pub key: String,
    pub key_span: Span,
    /// Comments cut, continuation lines joined by LF, blanks at the ends trimmed.
    pub value: String,
    /// From the first to the last character of the value in the file.
    pub value_span: Span,
    /// The first inline comment that was cut off the value, mark included.
    pub cut_comment: Option<Span>,
    /// Where the lines of the value come from: (offset in value, offset in file), ascending.
    pub pieces: Vec<(usize, usize)>,
}

impl Document {
    /// The section with exactly this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

impl Section {
    /// The entry with this key, which must be lower case.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Entry {
    /// The offset in the file of an offset in the value, both in bytes.
    #[must_use]
    pub fn locate(&self, value_offset: usize) -> usize {
        let piece = self.pieces.iter().rev().find(|(in_value, _)| *in_value <= value_offset);
        piece.map_or(self.value_span.start, |(in_value, in_file)| in_file + (value_offset - in_value))
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IniErrorKind {
    /// Text before the first section header; nothing after it was read.
    MissingSectionHeader,
    /// Neither a header nor `key = value`.
    NoDelimiter,
    /// A value without a key.
    EmptyKey,
}

impl IniErrorKind {
    fn text(self) -> &'static str {
        match self {
            IniErrorKind::MissingSectionHeader => "text before the first section header",
            IniErrorKind::NoDelimiter => "a line that is neither `[section]` nor `key = value`",
            IniErrorKind::EmptyKey => "a value without a key",
        }
    }
}

/// A line that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", .kind.text())]
pub struct IniError {
    pub kind: IniErrorKind,
    /// The line without comment, line end and blanks around it.
    pub span: Span,
}

/// Reads a file's text.
///
/// # Errors
/// All unreadable lines, or only the first if it stands before any section.
pub fn parse(text: &str, file: FileId) -> Result<Document, Vec<IniError>> {
    let mut reader = Reader::new(file);
    for line in lines(text) {
        if reader.take(line).is_err() {
            break;
        }
    }
    if reader.errors.is_empty() { Ok(reader.finish()) } else { Err(reader.errors) }
}

/// Supervisor's text for the errors of one file. `text` is what was parsed.
#[must_use]
pub fn supervisor_message(errors: &[IniError], file_name: &str, text: &str) -> String {
    let located = |error: &IniError| {
        lines(text)
            .enumerate()
            .take_while(|(_, line)| line.start <= error.span.start)
            .last()
            .map(|(index, line)| (index + 1, super::literal(&line.as_python_sees_it())))
            .unwrap_or_default()
    };
    let file_name = super::literal(file_name);
    if let Some(error) = errors.iter().find(|error| error.kind == IniErrorKind::MissingSectionHeader) {
        let (number, line) = located(error);
        return format!("File contains no section headers.\nfile: {file_name}, line: {number}\n{line}");
    }
    errors.iter().fold(format!("Source contains parsing errors: {file_name}"), |message, error| {
        let (number, line) = located(error);
        format!("{message}\n\t[line {number:2}]: {line}")
    })
}

/// A file that is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// Bytes before the first one that cannot be decoded.
    pub offset: usize,
    /// Python's text.
    pub message: String,
}

/// The bytes of a file as text.
///
/// # Errors
/// If they are not UTF-8.
pub fn decode(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let bad = bytes.get(offset..).unwrap_or_default();
        let first = bad.first().copied().unwrap_or_default();
        let reason = match (error.error_len(), first) {
            (None, _) => "unexpected end of data",
            (_, 0xc2..=0xf4) => "invalid continuation byte",
            _ => "invalid start byte",
        };
        let what = match error.error_len().unwrap_or(bad.len()) {
            1 => format!("byte 0x{first:02x} in position {offset}"),
            length => format!("bytes in position {offset}-{}", offset + length - 1),
        };
        DecodeError { offset, message: format!("'utf-8' codec can't decode {what}: {reason}") }
    })
}

/// A line without its end.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    text: &'a str,
    /// Offset in the file, bytes.
    start: usize,
    /// Whether a line end follows; the last line may have none.
    is_ended: bool,
}

impl Line<'_> {
    fn as_python_sees_it(&self) -> String {
        format!("{}{}", self.text, if self.is_ended { "\n" } else { "" })
    }
}

/// The lines of a text: LF, CRLF and a lone CR end one, a byte-order mark is no part of the first.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (line, end) = rest.split_at(length);
        let end_length = if end.starts_with("\r\n") { 2 } else { end.len().min(1) };
        let found = Line { text: line, start, is_ended: end_length > 0 };
        start += length + end_length;
        Some(found)
    })
}

/// What Python's `str.isspace` is true for.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// A part of a file's text with its offset in the file.
#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    start: usize,
}

impl<'a> Part<'a> {
    fn trimmed(self) -> Self {
        let text = self.text.trim_start_matches(is_space);
        let start = self.start + (self.text.len() - text.len());
        Part { text: text.trim_end_matches(is_space), start }
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let (before, after) = self.text.split_at(at);
        (Part { text: before, start: self.start }, Part { text: after, start: self.start + at })
    }

    fn range(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

/// Where the comment of a line starts.
///
/// Python looks in rounds: the n-th `;` and the n-th `#` of the line in round n, and the first
/// round with a mark that opens a comment decides. That is not always the leftmost such mark.
fn comment_start(line: &str) -> Option<usize> {
    if line.trim_start_matches(is_space).starts_with([';', '#']) {
        return Some(0);
    }
    let opens = |at: &usize| line.get(..*at).and_then(|before| before.chars().next_back()).is_some_and(is_space);
    let mut semicolons = line.match_indices(';').map(|(at, _)| at);
    let mut hashes = line.match_indices('#').map(|(at, _)| at);
    loop {
        let round = (semicolons.next(), hashes.next());
        if round == (None, None) {
            return None;
        }
        let found = [round.0, round.1].into_iter().flatten().filter(opens).min();
        if found.is_some() {
            return found;
        }
    }
}

/// `[name]`, from the first character to the last bracket.
fn header(part: Part<'_>) -> Option<(&str, Range<usize>)> {
    let (name, _) = part.text.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then(|| (name, part.start..part.start + name.len() + 2))
}

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
struct Abandoned;

struct Reader {
    file: FileId,
    sections: IndexMap<String, OpenSection>,
    /// Index of the section that lines belong to.
    section: Option<usize>,
    /// Index of the entry that a deeper line continues.
    entry: Option<usize>,
    /// Characters before the first non-blank one of the last line that continued nothing.
    indent: usize,
    errors: Vec<IniError>,
}

impl Reader {
    fn new(file: FileId) -> Self {
        Reader { file, sections: IndexMap::new(), section: None, entry: None, indent: 0, errors: Vec::new() }
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span { file: self.file, start: range.start, end: range.end }
    }

    fn take(&mut self, line: Line<'_>) -> Result<(), Abandoned> {
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

    fn finish(self) -> Document {
        let sections = self.sections.into_iter().map(|(name, section)| Section {
            name,
            span: section.span,
            entries: section.drafts.into_iter().map(|(key, draft)| draft.finish(key)).collect(),
        });
        Document { sections: sections.collect() }
    }
}
