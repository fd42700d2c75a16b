//! What clients send: XML-RPC in both directions, forms, `%XX`. Whole requests are in `http.rs`.

use galaxyd::rpc::{DEPTH_MAX, VALUES_MAX, Value, parse_call, parse_response, write_call, write_response};
use galaxyd::web::{Form, percent_decoded, percent_quoted};

use crate::target::{Target, nothing_made};

/// How deep a value is, and how many values there are in it.
fn measure(value: &Value) -> (usize, usize) {
    let inner: Vec<_> = match value {
        Value::Array(elements) => elements.iter().map(measure).collect(),
        Value::Struct(members) => members.iter().map(|(_, member)| measure(member)).collect(),
        _ => Vec::new(),
    };
    let depth = inner.iter().map(|(depth, _)| depth).max().copied().unwrap_or(0);
    (depth + 1, inner.iter().map(|(_, count)| count).sum::<usize>() + 1)
}

/// NaN is not itself, so values are compared as they are shown.
fn shown(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

/// Whether there is a comment, a section of character data, or a processing instruction: what is in them means nothing.
fn has_opaque_text(input: &[u8]) -> bool {
    let instructions = input.windows(6).any(|window| window.starts_with(b"<?") && window != b"<?xml ");
    instructions || input.windows(4).any(|window| window == b"<!--" || window == b"<![C")
}

fn judge_xml(input: &[u8]) {
    if let Ok(call) = parse_call(input) {
        assert!(!input.windows(9).any(|window| window == b"<!DOCTYPE") || has_opaque_text(input), "a document type");
        let (depth, count) = measure(&Value::Array(call.params.clone()));
        assert!(depth <= DEPTH_MAX + 2 && count <= VALUES_MAX + 1, "{depth} deep, {count} values");
        let again = parse_call(&write_call(&call.method, &call.params)).unwrap();
        assert_eq!(shown(&again), shown(&call));
    }
    if let Ok(answer) = parse_response(input) {
        // Control characters are read, as Supervisor sends them, but never written.
        let once = parse_response(&write_response(&answer)).unwrap();
        let twice = parse_response(&write_response(&once)).unwrap();
        assert_eq!(shown(&once), shown(&twice));
    }
}

fn judge_form(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    let quoted = percent_quoted(&text);
    assert!(quoted.is_ascii() && quoted.len() <= 3 * text.len());
    assert_eq!(percent_decoded(&quoted), text);
    let (query, body) = text.split_once('\n').unwrap_or((&text, ""));
    let form = Form::parse(query, body.as_bytes());
    if let Some(token) = form.get("token") {
        let again = Form::parse("", format!("token={}", percent_quoted(token)).as_bytes());
        assert_eq!(again.get("token"), Some(token));
    }
}

#[test]
fn calls_and_answers_are_refused_or_written_back_to_the_same() {
    let words: &[&[u8]] = &[
        b"<value>",
        b"</value>",
        b"<string>",
        b"</string>",
        b"<int>",
        b"<array><data>",
        b"</data></array>",
        b"<struct>",
        b"<member>",
        b"<name>x</name>",
        b"<nil/>",
        b"<base64>AA==</base64>",
        b"<double>1e400</double>",
        b"<![CDATA[",
        b"]]>",
        b"&lt;",
        b"&#13;",
        b"&#0;",
        b"&#x10ffff;",
        b"<!-- -->",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"&b;",
        b"<?xml version='1.0' encoding='latin-1'?>",
        b"\r\n",
        b"\0",
        b"\xff",
    ];
    Target { name: "xml_rpc", words, made: nothing_made, oracle: judge_xml }.feed();
}

#[test]
fn forms_are_read_as_they_were_quoted() {
    let words: &[&[u8]] = &[b"token=", b"&", b";", b"=", b"+", b"%", b"%2", b"%00", b"%ff", b"\n", b"%c3%a9"];
    Target { name: "form", words, made: nothing_made, oracle: judge_form }.feed();
}
