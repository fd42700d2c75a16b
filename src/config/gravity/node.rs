//! A part of a YAML document, and the file it is in.

use crate::config::span::{FileId, Span};
use crate::yaml::{Mark, Meaning, Node, Value};

/// A value of a file.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) node: Node,
    pub(super) file: FileId,
}

/// One key of a mapping.
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) key_mark: Mark,
    pub(super) value: Part,
}

impl Part {
    /// The value of a key; of a repeated one the last, as `PyYAML` takes it.
    pub(super) fn get(&self, key: &str) -> Option<Part> {
        self.node.get(key).map(|node| self.beside(node))
    }

    fn beside(&self, node: &Node) -> Part {
        Part { node: node.clone(), file: self.file }
    }

    /// The entries of a mapping; none of anything else.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let entries = self.node.entries().unwrap_or_default().iter();
        let pairs = entries.map(|entry| Pair {
            key: entry.key.text.clone(),
            key_mark: entry.key_mark,
            value: self.beside(&entry.value),
        });
        pairs.collect()
    }

    /// The items of a list; `None` for anything else.
    pub(super) fn items(&self) -> Option<Vec<Part>> {
        self.node.items().map(|items| items.iter().map(|node| self.beside(node)).collect())
    }

    pub(super) fn is_mapping(&self) -> bool {
        self.node.entries().is_some()
    }

    pub(super) fn is_null(&self) -> bool {
        self.node.is_null()
    }

    /// What a scalar means; `None` for a list or a mapping.
    pub(super) fn meaning(&self) -> Option<Meaning> {
        self.node.scalar().map(crate::yaml::Scalar::meaning)
    }

    /// The scalar of a key of Galaxy's own section as it is written; `None` if it is absent, null or no scalar.
    pub(super) fn text_of(&self, key: &str) -> Option<String> {
        let part = self.get(key).filter(|part| !part.is_null())?;
        part.node.text().map(str::to_owned)
    }

    /// Whether a switch of Galaxy's own section is on.
    pub(super) fn is_on(&self, key: &str) -> bool {
        match self.get(key).and_then(|part| part.meaning()) {
            Some(Meaning::Boolean(flag)) => flag,
            Some(Meaning::Integer(number)) => number != 0,
            Some(Meaning::Text(text)) => truth(&text) == Some(true),
            Some(Meaning::Null | Meaning::Float(_)) | None => false,
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match (&self.node.value, self.meaning()) {
            (Value::Sequence(_), _) => "a list",
            (Value::Mapping(_), _) => "a mapping",
            (_, Some(Meaning::Boolean(_))) => "true or false",
            (_, Some(Meaning::Integer(_))) => "a whole number",
            (_, Some(Meaning::Float(_))) => "a fraction",
            (_, Some(Meaning::Text(_))) => "a text",
            (_, Some(Meaning::Null) | None) => "nothing",
        }
    }
}

/// What a text says that is written where true or false belongs. Source: pydantic 2, lax mode.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
        "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// The place of a mark in a text. The end of the span is its beginning: a value's end is not known.
pub(super) fn span_of(text: &str, file: FileId, mark: Mark) -> Span {
    let line = text.split_inclusive('\n').take(mark.line.saturating_sub(1)).map(str::len).sum::<usize>();
    let rest = text.get(line..).unwrap_or_default();
    let column = rest.char_indices().nth(mark.column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    Span { file, start: line + column, end: line + column }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_offsets() {
        let at = |line, column| span_of("a: é\r\nbé: x\n", FileId(0), Mark { line, column }).start;
        assert_eq!([at(1, 1), at(1, 4), at(2, 1), at(2, 5), at(9, 9)], [0, 3, 7, 12, 14]);
    }
}
