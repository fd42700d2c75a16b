//! Galaxy's files.

use galaxyd::galaxy::yaml::{self, DEPTH_MAX, Mark, Node, Value};

use crate::target::{Target, nothing_made};

/// The same document in flow style with every scalar quoted.
fn spelled(node: &Node, text: &mut String) {
    match &node.value {
        Value::Scalar(scalar) => text.push_str(&serde_json::to_string(&scalar.text).unwrap()),
        Value::Sequence(items) => {
            text.push('[');
            for item in items {
                spelled(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Mapping(entries) => {
            text.push('{');
            for entry in entries {
                text.push_str(&serde_json::to_string(&entry.key.text).unwrap());
                text.push_str(": ");
                spelled(&entry.value, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

fn measure(node: &Node, lines: usize) -> usize {
    let is_inside = |mark: Mark| (1..=lines).contains(&mark.line) && mark.column >= 1;
    assert!(is_inside(node.mark), "{:?} of {lines} lines", node.mark);
    let below = match &node.value {
        Value::Scalar(_) => 0,
        Value::Sequence(items) => items.iter().map(|item| measure(item, lines)).max().unwrap_or(0),
        Value::Mapping(entries) => {
            assert!(entries.iter().all(|entry| is_inside(entry.key_mark)));
            entries.iter().map(|entry| measure(&entry.value, lines)).max().unwrap_or(0)
        }
    };
    below + 1
}

fn judge_yaml(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // LF, CRLF and a lone CR end a line, and so do those of Unicode.
    let lines =
        text.chars().filter(|letter| matches!(letter, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')).count() + 1;
    match yaml::parse(&text) {
        Ok(document) => {
            assert!(measure(&document, lines + 1) <= DEPTH_MAX);
            let mut plain = String::new();
            spelled(&document, &mut plain);
            let again = yaml::parse(&plain).unwrap_or_else(|error| panic!("{error} in {plain:?}"));
            let mut second = String::new();
            spelled(&again, &mut second);
            assert_eq!(second, plain);
        }
        Err(error) => {
            assert!(!error.message.is_empty());
            assert!(error.mark.line <= lines + 1, "{:?} of {lines} lines", error.mark);
        }
    }
}

#[test]
fn yaml_documents_mean_the_same_when_spelled_plainly() {
    let words: &[&[u8]] = &[
        b"\n",
        b"\n  ",
        b"\n- ",
        b": ",
        b":\n",
        b"- ",
        b"? ",
        b"&a ",
        b"*a",
        b"<<: *a",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b"'",
        b"\"",
        b"|\n",
        b">-\n",
        b"#",
        b"!!str ",
        b"!x ",
        b"\t",
        b"%",
        b"---\n",
        b"...\n",
        b"\xef\xbb\xbf",
        b"\xc2\x85",
    ];
    Target { name: "yaml", words, made: nothing_made, oracle: judge_yaml }.feed();
}
