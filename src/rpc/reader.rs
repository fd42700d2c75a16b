//! Reads one XML-RPC document, with a stack of its own instead of recursion.
//!
//! What is accepted is what Supervisor 4.3 accepts (`supervisor-rpc.tsv`, row `request types`), where anything
//! sensible can be sent that way: unknown types are taken as their raw text, white space between elements and attributes
//! are skipped. Refused are document types, for the entities they can define, and anything beyond the limits.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::arguments::parse_int;
use super::base64;
use super::value::{Member, Value};

/// Values inside values, at most. Supervisor needs 5.
pub const DEPTH_MAX: usize = 64;

/// Values in a request, at most; above, the request is refused (HTTP 400).
pub const VALUES_MAX: usize = 10_000;

/// Values in a response, at most. Ten thousand processes answer with 300,000.
pub const RESPONSE_VALUES_MAX: usize = 1_000_000;

/// Elements inside elements, at most: a value in an array takes three, in a struct's member three.
const ELEMENTS_DEEP_MAX: usize = 4 * DEPTH_MAX;

/// Elements for each value that is allowed; ordinary documents have three at most.
const ELEMENTS_PER_VALUE: usize = 8;

const LESS_IN_TAG: &str = "`<` inside of a tag";

/// Why a document was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not well-formed XML near byte {at}: {detail}")]
    Malformed { at: u64, detail: String },
    #[error("a document type declaration is not allowed")]
    Doctype,
    #[error("more than {DEPTH_MAX} values inside each other")]
    TooDeep,
    #[error("more than {max} values")]
    TooManyValues { max: usize },
    #[error("character U+{0:04X} is not allowed in XML")]
    IllegalCharacter(u32),
    #[error("&{0}; is not a known entity")]
    UnknownEntity(String),
    #[error("`{found}` is not a value of type {kind}")]
    BadValue { kind: &'static str, found: String },
    #[error("element {element} does not contain what it must")]
    Misshapen { element: &'static str },
    #[error("not an XML-RPC {wanted}")]
    WrongDocument { wanted: &'static str },
}

/// Whether characters that XML 1.0 forbids are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// As expat: they make the document malformed.
    Strict,
    /// Taken as they are: Supervisor 4.3 sends them when a log contains them.
    Lenient,
}

/// What an element became once it ended.
#[derive(Debug)]
pub(super) enum Item {
    Value(Value),
    Values(Vec<Value>),
    Member(String, Value),
    Name(String),
    MethodName(String),
    Params(Vec<Value>),
    Fault(Value),
    Call { method: Option<String>, params: Vec<Value> },
    Response(Result<Vec<Value>, Value>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Boolean,
    Text,
    Double,
    DateTime,
    Base64,
    Array,
    Data,
    Struct,
    Member,
    Name,
    Value,
    Param,
    Params,
    Fault,
    MethodName,
    MethodCall,
    MethodResponse,
    Other,
}

impl Kind {
    fn of(tag: &str) -> Kind {
        match tag {
            "int" | "i4" => Kind::Int,
            "boolean" => Kind::Boolean,
            "string" => Kind::Text,
            "double" => Kind::Double,
            "dateTime.iso8601" => Kind::DateTime,
            "base64" => Kind::Base64,
            "array" => Kind::Array,
            "data" => Kind::Data,
            "struct" => Kind::Struct,
            "member" => Kind::Member,
            "name" => Kind::Name,
            "value" => Kind::Value,
            "param" => Kind::Param,
            "params" => Kind::Params,
            "fault" => Kind::Fault,
            "methodName" => Kind::MethodName,
            "methodCall" => Kind::MethodCall,
            "methodResponse" => Kind::MethodResponse,
            _ => Kind::Other,
        }
    }
}

/// An element that has begun: the text before its first child, and its finished children.
struct Frame {
    kind: Kind,
    text: String,
    children: Vec<Item>,
}

/// Reads the one document in `bytes`; at most `values_max` values.
pub(super) fn read(bytes: &[u8], values_max: usize, strictness: Strictness) -> Result<Item, XmlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if strictness == Strictness::Strict
        && let Some(illegal) = text.chars().find(|character| !is_xml_char(*character))
    {
        return Err(XmlError::IllegalCharacter(illegal.into()));
    }
    let mut xml = Reader::from_str(text);
    xml.config_mut().expand_empty_elements = true;
    let mut assembly = Assembly { stack: Vec::new(), root: None, values: 0, elements: 0, values_max };
    loop {
        let event = xml.read_event().map_err(|error| malformed(xml.buffer_position(), &error))?;
        match event {
            // Neither a tag nor the declaration has this sign, however quoted; a document type would hide behind it.
            Event::Start(tag) if tag.contains('<') => return Err(malformed(xml.buffer_position(), &LESS_IN_TAG)),
            Event::Decl(declaration) if declaration.contains('<') => {
                return Err(malformed(xml.buffer_position(), &LESS_IN_TAG));
            }
            Event::Start(tag) => assembly.begin(Kind::of(tag.name().as_ref()), xml.buffer_position())?,
            Event::End(_) => assembly.end()?,
            Event::Text(text) => assembly.text(&text.xml10_content(), xml.buffer_position())?,
            Event::CData(text) => assembly.text(&text.xml10_content(), xml.buffer_position())?,
            Event::GeneralRef(name) => {
                let character = resolve(&name, strictness).map_err(|error| match error {
                    XmlError::Malformed { detail, .. } => XmlError::Malformed { at: xml.buffer_position(), detail },
                    other => other,
                })?;
                assembly.text(character.encode_utf8(&mut [0; 4]), xml.buffer_position())?;
            }
            Event::DocType(_) => return Err(XmlError::Doctype),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Empty(_) => return Err(malformed(xml.buffer_position(), &"an element that was not expanded")),
            Event::Eof => break,
        }
    }
    if !assembly.stack.is_empty() {
        return Err(malformed(xml.buffer_position(), &"an element is not closed"));
    }
    assembly.root.ok_or_else(|| malformed(xml.buffer_position(), &"no element found"))
}

fn malformed(at: u64, detail: &dyn std::fmt::Display) -> XmlError {
    XmlError::Malformed { at, detail: clipped(&detail.to_string()) }
}

/// As much of a text as belongs in a message.
fn clipped(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    if text.chars().count() <= SHOWN_MAX {
        text.to_owned()
    } else {
        text.chars().take(SHOWN_MAX).chain(['…']).collect()
    }
}

fn resolve(reference: &BytesRef<'_>, strictness: Strictness) -> Result<char, XmlError> {
    let name: &str = reference;
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => reference
            .resolve_char_ref()
            .map_err(|error| malformed(0, &error))?
            .ok_or_else(|| XmlError::UnknownEntity(clipped(name)))?,
    };
    if strictness == Strictness::Strict && !is_xml_char(character) {
        return Err(XmlError::IllegalCharacter(character.into()));
    }
    Ok(character)
}

/// Whether XML 1.0 (section 2.2) allows the character in a document.
pub(super) fn is_xml_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// The elements that are open, and what became of the outermost one.
struct Assembly {
    stack: Vec<Frame>,
    root: Option<Item>,
    values: usize,
    elements: usize,
    values_max: usize,
}

impl Assembly {
    fn begin(&mut self, kind: Kind, at: u64) -> Result<(), XmlError> {
        if self.stack.is_empty() && self.root.is_some() {
            return Err(malformed(at, &"a second outermost element"));
        }
        self.elements += 1;
        if kind == Kind::Value {
            self.values += 1;
            let depth = self.stack.iter().filter(|frame| frame.kind == Kind::Value).count();
            if depth >= DEPTH_MAX {
                return Err(XmlError::TooDeep);
            }
        }
        if self.values > self.values_max || self.elements / ELEMENTS_PER_VALUE > self.values_max {
            return Err(XmlError::TooManyValues { max: self.values_max });
        }
        if self.stack.len() >= ELEMENTS_DEEP_MAX {
            return Err(XmlError::TooDeep);
        }
        self.stack.push(Frame { kind, text: String::new(), children: Vec::new() });
        Ok(())
    }

    fn text(&mut self, text: &str, at: u64) -> Result<(), XmlError> {
        match self.stack.last_mut() {
            Some(frame) if frame.children.is_empty() => frame.text.push_str(text),
            Some(_) => {}
            None if text.chars().all(|character| matches!(character, ' ' | '\t' | '\r' | '\n')) => {}
            None => return Err(malformed(at, &"text outside of the outermost element")),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), XmlError> {
        // The reader has matched this tag with its start, so a frame is there.
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let item = finish(frame)?;
        match self.stack.last_mut() {
            Some(parent) => parent.children.push(item),
            None => self.root = Some(item),
        }
        Ok(())
    }
}

fn finish(frame: Frame) -> Result<Item, XmlError> {
    let Frame { kind, text, children } = frame;
    let bad = |kind: &'static str| XmlError::BadValue { kind, found: clipped(&text) };
    Ok(match kind {
        Kind::Int => Item::Value(Value::Int(parse_int(&text).ok_or_else(|| bad("int"))?)),
        Kind::Boolean => Item::Value(Value::Bool(text == "1")),
        Kind::Double => Item::Value(Value::Double(text.trim().parse().map_err(|_| bad("double"))?)),
        Kind::Base64 => {
            let bytes = base64::decode(&text).ok_or_else(|| bad("base64"))?;
            Item::Value(Value::String(String::from_utf8(bytes).map_err(|_| bad("base64"))?))
        }
        Kind::DateTime => Item::Value(Value::DateTime(text)),
        Kind::Text | Kind::Other => Item::Value(Value::String(text)),
        Kind::Name => Item::Name(text),
        Kind::MethodName => Item::MethodName(text),
        Kind::Value => match children.into_iter().next() {
            None => Item::Value(Value::String(text)),
            Some(Item::Value(value)) => Item::Value(value),
            Some(_) => return Err(XmlError::Misshapen { element: "value" }),
        },
        Kind::Array => match children.into_iter().next() {
            Some(Item::Values(values)) => Item::Value(Value::Array(values)),
            _ => return Err(XmlError::Misshapen { element: "array" }),
        },
        Kind::Data => Item::Values(values_of(children, "data")?),
        Kind::Struct => Item::Value(Value::Struct(members_of(children)?)),
        Kind::Member => member_of(children)?,
        Kind::Param => Item::Value(first_value(children, "param")?),
        Kind::Params => Item::Params(values_of(children, "params")?),
        Kind::Fault => Item::Fault(first_value(children, "fault")?),
        Kind::MethodCall => call_of(children),
        Kind::MethodResponse => Item::Response(response_of(children)?),
    })
}

fn values_of(children: Vec<Item>, element: &'static str) -> Result<Vec<Value>, XmlError> {
    children
        .into_iter()
        .map(|child| match child {
            Item::Value(value) => Ok(value),
            _ => Err(XmlError::Misshapen { element }),
        })
        .collect()
}

fn first_value(children: Vec<Item>, element: &'static str) -> Result<Value, XmlError> {
    match children.into_iter().next() {
        Some(Item::Value(value)) => Ok(value),
        _ => Err(XmlError::Misshapen { element }),
    }
}

fn members_of(children: Vec<Item>) -> Result<Vec<(Member, Value)>, XmlError> {
    children
        .into_iter()
        .map(|child| match child {
            Item::Member(name, value) => Ok((name.into(), value)),
            _ => Err(XmlError::Misshapen { element: "struct" }),
        })
        .collect()
}

fn member_of(children: Vec<Item>) -> Result<Item, XmlError> {
    let mut children = children.into_iter();
    match (children.next(), children.next(), children.next()) {
        (Some(Item::Name(name)), Some(Item::Value(value)), None) => Ok(Item::Member(name, value)),
        _ => Err(XmlError::Misshapen { element: "member" }),
    }
}

fn call_of(children: Vec<Item>) -> Item {
    let mut method = None;
    let mut params = Vec::new();
    for child in children {
        match child {
            Item::MethodName(name) => method = Some(name),
            Item::Params(values) => params = values,
            _ => {}
        }
    }
    Item::Call { method, params }
}

fn response_of(children: Vec<Item>) -> Result<Result<Vec<Value>, Value>, XmlError> {
    match children.into_iter().next() {
        Some(Item::Params(values)) => Ok(Ok(values)),
        Some(Item::Fault(fault)) => Ok(Err(fault)),
        _ => Err(XmlError::Misshapen { element: "methodResponse" }),
    }
}
