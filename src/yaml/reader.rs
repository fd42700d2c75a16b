//! From text to the tree, within limits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::node::{Entry, Mark, Node, Value};
use super::scalar::Scalar;

/// A longer text is refused: that of a configuration file.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Values within values deeper than this are refused; Galaxy's own files reach about eight.
pub const DEPTH_MAX: usize = 64;

/// Values of a document with its aliases written out. More are refused: aliases of aliases grow without bound.
pub const NODES_MAX: usize = 500_000;

/// Why a text is no document that `safe_load` would read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    pub message: String,
    pub mark: Mark,
}

/// Reads one document; an empty text is null.
///
/// # Errors
/// What `PyYAML`'s `safe_load` would refuse, a value that contains itself, and what is beyond the limits above.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    let beginning = Mark { line: 1, column: 1 };
    if text.len() > BYTES_MAX {
        let message = format!("it has {} bytes, more than the {BYTES_MAX} that are read", text.len());
        return Err(YamlError { message, mark: beginning });
    }
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| YamlError { message: error.info().to_owned(), mark: place(error.marker()) })?;
        tree.take(event, place(&span.start))?;
    }
    let null = Node { mark: beginning, value: Value::Scalar(Scalar { text: String::new(), is_quoted: false }) };
    Ok(tree.root.unwrap_or(null))
}

/// The parser counts lines from one and columns from zero.
fn place(marker: &Marker) -> Mark {
    Mark { line: marker.line().max(1), column: marker.col() + 1 }
}

/// A finished value with what its aliases cost.
#[derive(Debug, Clone)]
struct Built {
    node: Node,
    /// Values in it, itself included.
    count: usize,
    /// Levels in it, itself included.
    depth: usize,
}

/// A mapping or sequence whose end has not come.
#[derive(Debug)]
struct Open {
    mark: Mark,
    anchor: usize,
    count: usize,
    depth: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Sequence(Vec<Node>),
    Mapping { own: Vec<Entry>, merged: Vec<Entry>, key: Option<(Scalar, Mark)> },
}

#[derive(Debug, Default)]
struct Tree {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Built>,
    /// Values so far, aliases written out.
    total: usize,
    root: Option<Node>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, mark: Mark) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(error("a second document begins here; there may be one", mark))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_quoted = style != ScalarStyle::Plain || is_text(tag.as_ref(), mark)?;
                let value = Value::Scalar(Scalar { text: text.into_owned(), is_quoted });
                self.finish(anchor, Built { node: Node { mark, value }, count: 1, depth: 1 })
            }
            Event::SequenceStart(anchor, tag) => {
                is_text(tag.as_ref(), mark)?;
                self.begin(anchor, mark, Content::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                is_text(tag.as_ref(), mark)?;
                self.begin(anchor, mark, Content::Mapping { own: Vec::new(), merged: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(built) => self.finish(0, built),
                None => Err(error("the alias stands inside of what it stands for", mark)),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn begin(&mut self, anchor: usize, mark: Mark, content: Content) -> Result<(), YamlError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(mark));
        }
        self.open.push(Open { mark, anchor, count: 1, depth: 1, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { own, mut merged, .. } => {
                merged.extend(own);
                Value::Mapping(merged)
            }
        };
        let built = Built { node: Node { mark: open.mark, value }, count: open.count, depth: open.depth };
        self.finish(open.anchor, built)
    }

    /// Puts a finished value where it belongs.
    fn finish(&mut self, anchor: usize, built: Built) -> Result<(), YamlError> {
        let mark = built.node.mark;
        if self.open.len() + built.depth > DEPTH_MAX {
            return Err(too_deep(mark));
        }
        self.total = self.total.saturating_add(built.count);
        if self.total > NODES_MAX {
            return Err(error(format!("more than {NODES_MAX} values with all aliases written out"), mark));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, built.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(built.node);
            return Ok(());
        };
        parent.count = parent.count.saturating_add(built.count);
        parent.depth = parent.depth.max(built.depth + 1);
        match &mut parent.content {
            Content::Sequence(items) => items.push(built.node),
            Content::Mapping { own, merged, key } => match key.take() {
                None => *key = Some((as_key(built.node)?, mark)),
                Some((name, _)) if is_merge(&name) => merged.extend(merge(built.node)?),
                Some((name, key_mark)) => {
                    own.push(Entry { key: name, key_mark, value: built.node, is_merged: false });
                }
            },
        }
        Ok(())
    }
}

fn error(message: impl Into<String>, mark: Mark) -> YamlError {
    YamlError { message: message.into(), mark }
}

fn too_deep(mark: Mark) -> YamlError {
    error(format!("more than {DEPTH_MAX} levels"), mark)
}

/// Whether the tag makes text of a scalar.
fn is_text(tag: Option<&Cow<'_, Tag>>, mark: Mark) -> Result<bool, YamlError> {
    let Some(tag) = tag else { return Ok(false) };
    let known = ["bool", "float", "int", "map", "null", "omap", "seq", "set", "timestamp", "binary", "pairs"];
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        // The non-specific tag changes nothing.
        ("!", "") | ("", "!") => Ok(false),
        (_, "str") if tag.is_yaml_core_schema() => Ok(true),
        (_, suffix) if tag.is_yaml_core_schema() && known.contains(&suffix) => Ok(false),
        _ => Err(error(format!("the tag {tag} is not known to Galaxy"), mark)),
    }
}

fn as_key(node: Node) -> Result<Scalar, YamlError> {
    match node.value {
        Value::Scalar(scalar) => Ok(scalar),
        Value::Mapping(_) | Value::Sequence(_) => {
            Err(error("a key must be one word, not a list or a mapping", node.mark))
        }
    }
}

fn is_merge(key: &Scalar) -> bool {
    key.text == "<<" && !key.is_quoted
}

/// What a merge key brings, in the order in which the last one counts: of several mappings the first has precedence.
fn merge(node: Node) -> Result<Vec<Entry>, YamlError> {
    let wrong = "a merge key (<<) wants a mapping or a list of mappings";
    let mappings = match node.value {
        Value::Mapping(entries) => vec![entries],
        Value::Sequence(items) => {
            let mut mappings = Vec::new();
            for item in items {
                let Value::Mapping(entries) = item.value else { return Err(error(wrong, item.mark)) };
                mappings.push(entries);
            }
            mappings.reverse();
            mappings
        }
        Value::Scalar(_) => return Err(error(wrong, node.mark)),
    };
    Ok(mappings.into_iter().flatten().map(|entry| Entry { is_merged: true, ..entry }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) if scalar.is_quoted => format!("{:?}", scalar.text),
            Value::Scalar(scalar) => scalar.text.clone(),
            Value::Sequence(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
            Value::Mapping(entries) => {
                let entries = entries.iter().map(|entry| format!("{}:{}", entry.key.text, shown(&entry.value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn documents_are_read_as_pyyaml_does() {
        let cases = [
            ("", ""),
            ("# nothing\n", ""),
            ("galaxy:\n", "{galaxy:}"),
            ("a: 1\nb: 'x'\na: \"2\"\n", "{a:1,b:\"x\",a:\"2\"}"),
            ("a: [1, {b: c}]\n", "{a:[1,{b:c}]}"),
            ("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n", "{a:{p:1,q:2},b:{p:1,q:2,q:3}}"),
            ("b:\n  q: 3\n  <<: {q: 4}\n", "{b:{q:4,q:3}}"),
            ("b: {<<: [{q: 1}, {q: 2}]}\n", "{b:{q:2,q:1}}"),
            ("a: &x [1]\nb: *x\n", "{a:[1],b:[1]}"),
            ("a: |\n  x\n  y\n", "{a:\"x\\ny\\n\"}"),
            ("hook: unix_signal:15 gracefully_kill_them_all\n", "{hook:unix_signal:15 gracefully_kill_them_all}"),
            ("a: !!str 1\n", "{a:\"1\"}"),
            ("a: ! 1\n", "{a:1}"),
            ("'<<': 1\n", "{<<:1}"),
            ("---\na: 1\n...\n", "{a:1}"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).map(|node| shown(&node)).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn everything_has_its_place() {
        let root = parse("galaxy:\n  é: x\n  list:\n    - a\n    - b: 'c'\n").unwrap();
        let galaxy = root.entry("galaxy").unwrap();
        assert_eq!((galaxy.key_mark.line, galaxy.key_mark.column), (1, 1));
        let list = galaxy.value.entry("list").unwrap();
        assert_eq!((list.key_mark.line, list.key_mark.column), (3, 3));
        let b = list.value.items().unwrap()[1].entry("b").unwrap();
        assert_eq!((b.value.mark.line, b.value.mark.column), (5, 10));
        let accent = galaxy.value.get("é").unwrap();
        assert_eq!((accent.mark.line, accent.mark.column), (2, 6));
    }

    #[test]
    fn an_alias_keeps_the_place_of_its_anchor_and_a_repetition_is_told() {
        let root = parse("a: &x 1\nb: *x\na: 2\n").unwrap();
        assert_eq!(root.get("b").unwrap().mark, Mark { line: 1, column: 4 }, "{root:?}");
        assert_eq!(root.get("a").unwrap().integer(), Some(2));
        let repeated: Vec<_> = root.repeated().iter().map(|entry| entry.key_mark.line).collect();
        assert_eq!(repeated, [1]);
        let merged = parse("a: &x {p: 1}\nb: {<<: *x, p: 2}\n").unwrap();
        assert!(merged.get("b").unwrap().repeated().is_empty());
    }

    #[test]
    fn what_safe_load_refuses_is_refused_with_its_place() {
        let cases = [
            ("a: b: c\n", 1),
            ("a: [1\n", 2),
            ("x: *nobody\n", 1),
            ("a: &x [*x]\n", 1),
            ("a: !vault x\n", 1),
            ("? [a, b]\n: c\n", 1),
            ("a: 1\n---\nb: 2\n", 2),
            ("a: {<<: 5}\n", 1),
            ("a: %d\n", 1),
        ];
        for (text, line) in cases {
            let error = parse(text).unwrap_err();
            assert_eq!(error.mark.line, line, "{text:?}: {error}");
            assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn nothing_grows_without_bound() {
        let deep = format!("a: {}{}\n", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert!(parse(&deep).unwrap_err().message.contains("levels"));
        let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..9 {
            let before = format!("*a{},", level - 1).repeat(10);
            laughs = format!("{laughs}a{level}: &a{level} [{before}]\n");
        }
        assert!(parse(&laughs).unwrap_err().message.contains("aliases"));
        assert!(parse(&" ".repeat(BYTES_MAX + 1)).unwrap_err().message.contains("bytes"));
    }
}
