//! Galaxy's files.

use galaxyd::galaxy::jobconf::JobConf;
use galaxyd::galaxy::uwsgi::{UwsgiOptions, app_main};
use galaxyd::yaml::{self, DEPTH_MAX, Mark, Node, Value};

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

/// Each option stands in a line of its own, and says no more than that.
fn judge_uwsgi(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let lines: Vec<&str> = text.split('\n').collect();
    for options in [UwsgiOptions::from_yaml(&text), UwsgiOptions::from_ini(&text)].into_iter().flatten() {
        assert!(options.options.is_sorted_by(|one, next| one.line < next.line), "{options:?}");
        for option in &options.options {
            let line = lines[option.line - 1];
            assert!(line.contains(&option.name), "{option:?}");
            assert!(option.value == "true" || line.contains(&option.value), "{option:?}");
        }
        assert!(options.ends_early.is_none_or(|line| line <= lines.len()));
    }
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    assert!(UwsgiOptions::from_words(&words).options.len() <= words.len());
    let lines = text.lines().count() + text.matches('\r').count();
    assert!(app_main(&text).iter().all(|(_, _, line)| (1..=lines).contains(line)));
}

fn judge_job_conf(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // What the YAML reader takes for the end of a line, the XML reader does not.
    let lines = text.chars().filter(|letter| letter.is_whitespace()).count() + 2;
    for read in [JobConf::from_xml(&text), JobConf::from_yaml(&text)] {
        match read {
            Ok(jobs) => {
                let words = jobs.handlers.iter().map(|handler| &handler.id).chain(&jobs.assign);
                let mut words = words.chain(jobs.mappings.iter().map(|mapping| &mapping.tool)).chain(&jobs.default);
                assert!(words.all(|word| (1..=lines).contains(&word.line)), "{jobs:?}");
            }
            Err(error) => assert!(error.line() <= lines && !error.to_string().is_empty(), "{error:?}"),
        }
    }
}

#[test]
fn options_of_uwsgi_stand_in_the_line_they_name() {
    let words: &[&[u8]] = &[
        b"\n",
        b"\n  ",
        b": ",
        b":\t",
        b":",
        b"=",
        b"#",
        b"uwsgi:",
        b"[uwsgi]\n",
        b"[app:main]\n",
        b"\r",
        b"\t",
        b"- ",
        b"--",
    ];
    Target { name: "uwsgi", words, made: nothing_made, oracle: judge_uwsgi }.feed();
}

#[test]
fn job_configurations_are_read_with_their_lines() {
    let words: &[&[u8]] = &[
        b"<handlers>",
        b"</handlers>",
        b"<handler id='a' tags='b,c'/>",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"&lt;",
        b"&",
        b"<?xml?>",
        b"<!DOCTYPE a>",
        b"\"",
        b">",
        b"/>",
        b"\n",
        b"handling:\n",
        b"  assign: [a]\n",
        b"tools:\n- id: x\n",
    ];
    Target { name: "job_conf", words, made: nothing_made, oracle: judge_job_conf }.feed();
}
