//! The tree: mappings, sequences and scalars, each where it was written.

use super::scalar::{Meaning, Scalar};

/// Where something begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Counted from one.
    pub line: usize,
    /// Characters, counted from one.
    pub column: usize,
}

/// A value and its place. What an alias stands for keeps the place of its anchor.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub mark: Mark,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Merged entries (`<<`) come first, so that the last of a key is the one that counts.
    Mapping(Vec<Entry>),
    Sequence(Vec<Node>),
    Scalar(Scalar),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: Scalar,
    pub key_mark: Mark,
    pub value: Node,
    /// It came from a merge key: an own entry of the same name is no repetition.
    pub is_merged: bool,
}

impl Node {
    /// The entries of a mapping, in order; `None` for anything else.
    #[must_use]
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            Value::Sequence(_) | Value::Scalar(_) => None,
        }
    }

    /// The items of a sequence; `None` for anything else.
    #[must_use]
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            Value::Mapping(_) | Value::Scalar(_) => None,
        }
    }

    #[must_use]
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Mapping(_) | Value::Sequence(_) => None,
        }
    }

    /// The text of a scalar as it was written, without quotes.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.scalar().map(|scalar| scalar.text.as_str())
    }

    /// Whether nothing is there: an empty value, `~` or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| scalar.meaning() == Meaning::Null)
    }

    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.scalar()?.meaning() {
            Meaning::Boolean(value) => Some(value),
            _ => None,
        }
    }

    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self.scalar()?.meaning() {
            Meaning::Integer(value) => Some(value),
            _ => None,
        }
    }

    /// The entry of a key, the last one if it is repeated, as `PyYAML` takes it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().rev().find(|entry| entry.key.text == key)
    }

    /// The value of a key, the last one if it is repeated.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The first entries that a later one of the same mapping replaces. Empty for anything else.
    #[must_use]
    pub fn repeated(&self) -> Vec<&Entry> {
        let entries = self.entries().unwrap_or_default();
        let own: Vec<_> = entries.iter().filter(|entry| !entry.is_merged).collect();
        let mut last = std::collections::BTreeMap::new();
        for (at, entry) in own.iter().enumerate() {
            last.insert(entry.key.text.as_str(), at);
        }
        own.iter()
            .enumerate()
            .filter(|(at, entry)| last.get(entry.key.text.as_str()) != Some(at))
            .map(|(_, e)| *e)
            .collect()
    }
}
