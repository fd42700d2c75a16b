//! Writes XML-RPC documents, byte for byte as Python's `xmlrpc.client.dumps` does, which Supervisor 4.3 uses.

use super::base64;
use super::reader::is_xml_char;
use super::value::Value;

const PROLOG: &str = "<?xml version='1.0'?>\n";

/// Letters in a line of base64, as Python breaks them.
const BASE64_LINE: usize = 76;

/// What happens to a string with characters that XML 1.0 forbids.
///
/// Differs: Supervisor 4.3 sends them as they are, and its clients cannot parse the answer (`supervisor.md` section 20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forbidden {
    /// They become U+FFFD: in responses, where the text comes from a log.
    Replace,
    /// The string is sent as base64, which servers read as text: in requests, where every character is meant.
    Encode,
}

/// The response with this result.
pub(super) fn result(value: &Value) -> String {
    let mut writer = Writer::new(Forbidden::Replace);
    writer.xml.push_str("<methodResponse>\n<params>\n<param>\n");
    writer.value(value);
    writer.xml.push_str("</param>\n</params>\n</methodResponse>\n");
    writer.xml
}

/// The response with this fault struct.
pub(super) fn fault(fault: &Value) -> String {
    let mut writer = Writer::new(Forbidden::Replace);
    writer.xml.push_str("<methodResponse>\n<fault>\n");
    writer.value(fault);
    writer.xml.push_str("</fault>\n</methodResponse>\n");
    writer.xml
}

/// The request.
pub(super) fn call(method: &str, params: &[Value]) -> String {
    let mut writer = Writer::new(Forbidden::Encode);
    writer.xml.push_str("<methodCall>\n<methodName>");
    writer.escaped(method);
    writer.xml.push_str("</methodName>\n<params>\n");
    for param in params {
        writer.xml.push_str("<param>\n");
        writer.value(param);
        writer.xml.push_str("</param>\n");
    }
    writer.xml.push_str("</params>\n</methodCall>\n");
    writer.xml
}

/// What is still to be written, the next at the end.
enum Step<'a> {
    Value(&'a Value),
    Member(&'a str, &'a Value),
    Text(&'static str),
}

struct Writer {
    xml: String,
    forbidden: Forbidden,
}

impl Writer {
    fn new(forbidden: Forbidden) -> Writer {
        Writer { xml: PROLOG.to_owned(), forbidden }
    }

    fn value(&mut self, value: &Value) {
        let mut steps = vec![Step::Value(value)];
        while let Some(step) = steps.pop() {
            match step {
                Step::Text(text) => self.xml.push_str(text),
                Step::Member(name, value) => {
                    self.xml.push_str("<member>\n<name>");
                    self.escaped(name);
                    self.xml.push_str("</name>\n");
                    steps.push(Step::Text("</member>\n"));
                    steps.push(Step::Value(value));
                }
                Step::Value(Value::Array(elements)) => {
                    self.xml.push_str("<value><array><data>\n");
                    steps.push(Step::Text("</data></array></value>\n"));
                    steps.extend(elements.iter().rev().map(Step::Value));
                }
                Step::Value(Value::Struct(members)) => {
                    self.xml.push_str("<value><struct>\n");
                    steps.push(Step::Text("</struct></value>\n"));
                    steps.extend(members.iter().rev().map(|(name, value)| Step::Member(name, value)));
                }
                Step::Value(Value::String(text)) => self.string(text),
                Step::Value(Value::Int(number)) => self.simple("int", &number.to_string()),
                Step::Value(Value::Bool(truth)) => self.simple("boolean", if *truth { "1" } else { "0" }),
                Step::Value(Value::Double(number)) => self.simple("double", &format!("{number:?}")),
                Step::Value(Value::DateTime(text)) => self.simple("dateTime.iso8601", text),
            }
        }
    }

    fn simple(&mut self, tag: &str, text: &str) {
        self.xml.push_str("<value><");
        self.xml.push_str(tag);
        self.xml.push('>');
        self.escaped(text);
        self.xml.push_str("</");
        self.xml.push_str(tag);
        self.xml.push_str("></value>\n");
    }

    fn string(&mut self, text: &str) {
        if self.forbidden == Forbidden::Replace || text.chars().all(is_xml_char) {
            return self.simple("string", text);
        }
        self.xml.push_str("<value><base64>\n");
        for (position, letter) in base64::encode(text.as_bytes()).chars().enumerate() {
            if position > 0 && position % BASE64_LINE == 0 {
                self.xml.push('\n');
            }
            self.xml.push(letter);
        }
        self.xml.push_str("\n</base64></value>\n");
    }

    fn escaped(&mut self, text: &str) {
        self.xml.reserve(text.len());
        let mut plain = 0;
        for (at, character) in text.char_indices() {
            let replacement = match character {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                // As it is, it would be read as a line feed.
                '\r' if self.forbidden == Forbidden::Encode => "&#13;",
                _ if is_xml_char(character) => continue,
                _ => "\u{fffd}",
            };
            self.xml.push_str(text.get(plain..at).unwrap_or_default());
            self.xml.push_str(replacement);
            plain = at + character.len_utf8();
        }
        self.xml.push_str(text.get(plain..).unwrap_or_default());
    }
}
