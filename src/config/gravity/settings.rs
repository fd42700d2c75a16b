//! A mapping of the `gravity:` section by its table: every key known, every value of its type, every default filled in.

use std::collections::BTreeMap;

use super::keys::{Key, Kind, Preset};
use super::node::{Part, truth};
use super::reading::Reading;
use crate::config::nearest::nearest;
use crate::config::span::Span;
use crate::yaml::Meaning;

/// A value, where it stands, and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Sourced<T> {
    pub(super) value: T,
    pub(super) span: Span,
    pub(super) origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// The file says it, under this key.
    Written(String),
    /// Anything else, in words.
    Said(String),
}

impl<T> Sourced<T> {
    pub(super) fn said(value: T, span: Span, origin: impl Into<String>) -> Self {
        Self { value, span, origin: Origin::Said(origin.into()) }
    }

    pub(super) fn map<U>(&self, change: impl FnOnce(&T) -> U) -> Sourced<U> {
        Sourced { value: change(&self.value), span: self.span, origin: self.origin.clone() }
    }
}

/// Name and value of a variable.
pub(super) type Variables = Vec<(String, Sourced<String>)>;

/// A value of its key's type.
#[derive(Debug, Clone)]
enum Datum {
    Null,
    Bool(bool),
    Int(i64),
    Number(f64),
    Text(String),
    Variables(Variables),
    Texts(Vec<String>),
    Part(Part),
}

/// The values of one mapping.
#[derive(Debug, Clone)]
pub(super) struct Section {
    /// As messages name it: `gravity.gunicorn`.
    pub(super) path: String,
    /// Where it begins.
    pub(super) span: Span,
    values: BTreeMap<&'static str, Sourced<Datum>>,
}

impl Section {
    /// The mapping `part`, which may be null or missing: then all is as usual. `begin` is where to point if it is.
    pub(super) fn read(
        reading: &mut Reading<'_>,
        path: &str,
        keys: &'static [Key],
        part: Option<&Part>,
        begin: Span,
    ) -> Self {
        let part = part.filter(|part| !part.is_null());
        let span = part.map_or(begin, |part| reading.span(part));
        if let Some(part) = part.filter(|part| !part.is_mapping()) {
            let help = format!("write keys and values below {path}:, each on a line of its own and indented");
            reading.error(span, path, "", format!("this is {}, not a mapping", part.kind()), help);
        }
        let mut values = BTreeMap::new();
        for pair in part.map(Part::pairs).unwrap_or_default() {
            let key_span = reading.at(pair.value.file, pair.key_mark);
            let Some(key) = keys.iter().find(|key| key.name == pair.key) else {
                let near = nearest(&pair.key, keys.iter().map(|key| key.name));
                let help = near.map_or_else(|| known(keys), |near| format!("did you mean {near}?"));
                reading.error(key_span, path, &pair.key, "there is no such key".to_owned(), help);
                continue;
            };
            let value_span = reading.span(&pair.value);
            match convert(reading, path, key, &pair.value) {
                Ok(datum) => {
                    let origin = Origin::Written(format!("{path}.{}", key.name));
                    let value = Sourced { value: datum, span: value_span, origin };
                    if values.insert(key.name, value).is_some() {
                        let text = "the key stands here twice; this is the value that counts".to_owned();
                        reading.warn(key_span, path, key.name, text, "remove the other one");
                    }
                }
                Err(Wrong { found, wanted }) => {
                    reading.error(value_span, path, key.name, format!("this is {found}"), format!("write {wanted}"));
                }
            }
        }
        for key in keys {
            if !values.contains_key(key.name) {
                let value = from_environment(reading, path, key, span).unwrap_or_else(|| preset(path, key, span));
                values.insert(key.name, value);
            }
        }
        Self { path: path.to_owned(), span, values }
    }

    fn value(&self, key: &str) -> Sourced<Datum> {
        let missing = || Sourced::said(Datum::Null, self.span, "");
        self.values.get(key).cloned().unwrap_or_else(missing)
    }

    fn pick<T>(&self, key: &str, pick: impl FnOnce(&Datum) -> Option<T>) -> Option<Sourced<T>> {
        let value = self.value(key);
        let picked = pick(&value.value)?;
        Some(Sourced { value: picked, span: value.span, origin: value.origin })
    }

    /// A text; of an absent one nothing, with the place of the section.
    pub(super) fn text(&self, key: &str) -> Sourced<String> {
        self.optional_text(key).unwrap_or_else(|| self.value(key).map(|_| String::new()))
    }

    /// A text that is set and not empty.
    pub(super) fn optional_text(&self, key: &str) -> Option<Sourced<String>> {
        self.pick(key, |datum| match datum {
            Datum::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// The texts of a list; `None` if it is not set.
    pub(super) fn texts(&self, key: &str) -> Option<Sourced<Vec<String>>> {
        self.pick(key, |datum| match datum {
            Datum::Texts(texts) => Some(texts.clone()),
            _ => None,
        })
    }

    pub(super) fn int(&self, key: &str) -> Sourced<i64> {
        self.optional_int(key).unwrap_or_else(|| self.value(key).map(|_| 0))
    }

    pub(super) fn optional_int(&self, key: &str) -> Option<Sourced<i64>> {
        self.pick(key, |datum| match datum {
            Datum::Int(number) => Some(*number),
            _ => None,
        })
    }

    pub(super) fn number(&self, key: &str) -> Option<Sourced<f64>> {
        self.pick(key, |datum| match datum {
            Datum::Number(number) => Some(*number),
            _ => None,
        })
    }

    /// Whether a switch is on; `None` if it is not set.
    pub(super) fn switch(&self, key: &str) -> Option<bool> {
        match self.value(key).value {
            Datum::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    pub(super) fn is_on(&self, key: &str) -> bool {
        self.switch(key) == Some(true)
    }

    pub(super) fn variables(&self, key: &str) -> Variables {
        match self.value(key).value {
            Datum::Variables(variables) => variables,
            _ => Vec::new(),
        }
    }

    /// A section below this one, not read yet; `None` if it is absent or null.
    pub(super) fn below(&self, key: &str) -> Option<Part> {
        match self.value(key).value {
            Datum::Part(part) => Some(part),
            _ => None,
        }
    }
}

fn known(keys: &[Key]) -> String {
    let names: Vec<_> = keys.iter().map(|key| key.name).collect();
    format!("known are {}", names.join(", "))
}

struct Wrong {
    found: String,
    wanted: String,
}

impl Wrong {
    fn new(part: &Part, wanted: impl Into<String>) -> Self {
        Self { found: part.kind().to_owned(), wanted: wanted.into() }
    }
}

fn convert(reading: &mut Reading<'_>, path: &str, key: &Key, part: &Part) -> Result<Datum, Wrong> {
    if part.is_null() && (key.may_be_null || key.kind == Kind::Section) {
        return Ok(Datum::Null);
    }
    match key.kind {
        Kind::Section => Ok(Datum::Part(part.clone())),
        Kind::Variables => variables(reading, &format!("{path}.{}", key.name), part).map(Datum::Variables),
        Kind::Texts => match part.items() {
            Some(items) => items.iter().map(text_of).collect::<Result<_, _>>().map(Datum::Texts),
            None => Err(Wrong::new(part, "a list, each text on a line after a dash")),
        },
        Kind::Bool | Kind::Int(_) | Kind::Number | Kind::Text | Kind::Octal | Kind::Word(_) => {
            let meaning = part.meaning().ok_or_else(|| Wrong::new(part, wanted(key.kind)))?;
            from_scalar(key.kind, &meaning).map_err(|found| Wrong {
                found: found.unwrap_or_else(|| part.kind().to_owned()),
                wanted: wanted(key.kind),
            })
        }
    }
}

/// The error says what was found if the kind of the value does not tell it.
fn from_scalar(kind: Kind, meaning: &Meaning) -> Result<Datum, Option<String>> {
    let datum = match (kind, meaning) {
        (Kind::Bool, Meaning::Boolean(flag)) => Some(Datum::Bool(*flag)),
        (Kind::Bool, Meaning::Integer(number)) => truth(&number.to_string()).map(Datum::Bool),
        (Kind::Bool, Meaning::Text(text)) => truth(text).map(Datum::Bool),
        (Kind::Int(least), Meaning::Integer(number)) => return at_least(*number, least),
        (Kind::Int(least), Meaning::Text(text)) => match text.trim().parse() {
            Ok(number) => return at_least(number, least),
            Err(_) => None,
        },
        (Kind::Number, Meaning::Integer(number)) => {
            i32::try_from(*number).ok().map(|number| Datum::Number(f64::from(number)))
        }
        (Kind::Number, Meaning::Float(number)) => Some(Datum::Number(*number)),
        (Kind::Number, Meaning::Text(text)) => text.trim().parse().ok().map(Datum::Number),
        (Kind::Text, Meaning::Text(text)) => Some(Datum::Text(text.clone())),
        (Kind::Octal, Meaning::Text(text)) => {
            let is_octal =
                !text.is_empty() && text.len() <= 5 && text.bytes().all(|digit| (b'0'..b'8').contains(&digit));
            is_octal.then(|| Datum::Text(text.clone()))
        }
        (Kind::Octal, Meaning::Integer(_)) => {
            return Err(Some("a number: YAML takes a leading zero for octal".to_owned()));
        }
        (Kind::Word(words), Meaning::Text(text)) if words.contains(&text.as_str()) => Some(Datum::Text(text.clone())),
        (Kind::Word(_), Meaning::Text(text)) => return Err(Some(format!("`{text}`"))),
        _ => None,
    };
    match datum {
        Some(Datum::Number(number)) if !(number > 0.0 && number.is_finite()) => Err(Some(number.to_string())),
        Some(datum) => Ok(datum),
        None => Err(None),
    }
}

fn at_least(number: i64, least: i64) -> Result<Datum, Option<String>> {
    if number >= least { Ok(Datum::Int(number)) } else { Err(Some(number.to_string())) }
}

fn wanted(kind: Kind) -> String {
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Int(least) => format!("a whole number, {least} or more"),
        Kind::Number => "a number above zero".to_owned(),
        Kind::Text => "a text, in quotes if it looks like something else".to_owned(),
        Kind::Octal => "octal digits in quotes, like \"022\"".to_owned(),
        Kind::Word(words) => words.join(" or "),
        Kind::Variables => "a mapping of names to texts".to_owned(),
        Kind::Texts => "a list of texts".to_owned(),
        Kind::Section => "a mapping".to_owned(),
    }
}

fn text_of(part: &Part) -> Result<String, Wrong> {
    match part.meaning() {
        Some(Meaning::Text(text)) => Ok(text),
        _ => Err(Wrong { found: format!("a list with {} in it", part.kind()), wanted: "texts only".to_owned() }),
    }
}

/// The variables of a mapping; each must be a text.
pub(super) fn variables_of(reading: &mut Reading<'_>, path: &str, part: &Part) -> Variables {
    variables(reading, path, part).unwrap_or_else(|Wrong { found, wanted }| {
        reading.error(reading.span(part), path, "", format!("this is {found}"), format!("write {wanted}"));
        Vec::new()
    })
}

fn variables(reading: &mut Reading<'_>, path: &str, part: &Part) -> Result<Variables, Wrong> {
    if !part.is_mapping() {
        return Err(Wrong::new(part, wanted(Kind::Variables)));
    }
    let mut read: Variables = Vec::new();
    for pair in part.pairs() {
        let (name, span) = (pair.key, reading.span(&pair.value));
        if name.is_empty() || name.contains('=') {
            reading.error(span, path, &name, "no variable can have this name".to_owned(), "choose another");
            continue;
        }
        let Some(Meaning::Text(text)) = pair.value.meaning() else {
            let help = match pair.value.node.text() {
                Some(text) => format!("a variable is a text: write {name}: \"{text}\""),
                None => "a variable is a text: write it in quotes".to_owned(),
            };
            reading.error(span, path, &name, format!("this is {}", pair.value.kind()), help);
            continue;
        };
        let origin = Origin::Written(format!("{path}.{name}"));
        read.retain(|(known, _)| *known != name);
        read.push((name, Sourced { value: text, span, origin }));
    }
    Ok(read)
}

/// `GRAVITY_KEY`, or `GRAVITY_SECTION.KEY`, which fill in what the file leaves out; upper and lower case are alike.
fn from_environment(reading: &mut Reading<'_>, path: &str, key: &Key, span: Span) -> Option<Sourced<Datum>> {
    if matches!(key.kind, Kind::Section | Kind::Variables | Kind::Texts) || path.contains(['[', ' ']) {
        return None;
    }
    let below = path.strip_prefix("gravity").unwrap_or_default().trim_start_matches('.');
    let dot = if below.is_empty() { "" } else { "." };
    let name = format!("GRAVITY_{below}{dot}{}", key.name).to_uppercase();
    let variables = reading.source.environment().iter();
    let (_, text) = variables.into_iter().find(|(known, _)| known.to_uppercase() == name)?;
    let text = text.clone();
    let Ok(datum) = from_scalar(key.kind, &Meaning::Text(text.clone())) else {
        let help = format!("the variable {name} has to be {}", wanted(key.kind));
        reading.error(span, path, key.name, format!("the variable {name} is `{text}`"), help);
        return None;
    };
    Some(Sourced::said(datum, span, format!("variable {name}")))
}

fn preset(path: &str, key: &Key, span: Span) -> Sourced<Datum> {
    let datum = match key.preset {
        Preset::Null => Datum::Null,
        Preset::Bool(flag) => Datum::Bool(flag),
        Preset::Int(number) => Datum::Int(number),
        Preset::Text(text) => Datum::Text(text.to_owned()),
    };
    Sourced::said(datum, span, format!("default of {path}.{}", key.name))
}
