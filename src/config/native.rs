//! The native dialect, `galaxyd.toml`: the same sections with typed values, unknown names refused.
//!
//! `[program.handler]` is the ini dialect's `[program:handler]`; an interface for `[rpcinterface.x]` is there unless
//! an empty `rpcinterface` table takes it away. Texts are %-expanded as in the ini dialect.

use indexmap::IndexMap;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::nearest::nearest;
use super::problem::Problem;
use super::raw::{Dialect, RawData, RawSection, RawSections, RawValue};
use super::schema::{self, Naming, SectionKind, ValueType};
use super::span::{FileId, Span};

/// The sections of a file, and what is wrong with it; no sections if it is not TOML.
pub(crate) fn read(text: &str, file: FileId, included_from: Option<&str>) -> (Option<RawSections>, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut converter = Converter {
        file,
        included_from,
        sections: RawSections::default(),
        problems: errors.into_iter().map(|error| syntax(&error, file)).collect(),
    };
    if !converter.problems.is_empty() {
        return (None, converter.problems);
    }
    for (key, value) in table.get_ref() {
        converter.top(key, value);
    }
    let has_interface = table.get_ref().keys().any(|key| key.get_ref() == SectionKind::RpcInterface.word());
    if !has_interface && included_from.is_none() {
        converter.add_interface();
    }
    (Some(converter.sections), converter.problems)
}

fn syntax(error: &toml::de::Error, file: FileId) -> Problem {
    let span = error.span().unwrap_or_default();
    Problem::own_error(error.message()).at(Span { file, start: span.start, end: span.end })
}

struct Converter<'f> {
    file: FileId,
    included_from: Option<&'f str>,
    sections: RawSections,
    problems: Vec<Problem>,
}

type Name<'i> = Spanned<std::borrow::Cow<'i, str>>;

impl Converter<'_> {
    fn span<T>(&self, spanned: &Spanned<T>) -> Span {
        let range = spanned.span();
        Span { file: self.file, start: range.start, end: range.end }
    }

    /// Supervisor's own interface, which every configuration wants.
    fn add_interface(&mut self) {
        let span = Span { file: self.file, start: 0, end: 0 };
        self.add_section("rpcinterface:supervisor".to_owned(), span, IndexMap::new());
    }

    fn add_section(&mut self, name: String, span: Span, entries: IndexMap<String, RawValue>) {
        let included_from = self.included_from.map(str::to_owned);
        self.sections.sections.insert(name, RawSection { span, dialect: Dialect::Native, included_from, entries });
    }

    /// A name of the top level.
    fn top(&mut self, key: &Name<'_>, value: &Spanned<DeValue<'_>>) {
        let name = key.get_ref();
        let Some(kind) = SectionKind::ALL.into_iter().find(|kind| kind.word() == name) else {
            let problem = Problem::own_error(format!("`{name}` is not a kind of section")).finding(name.as_ref());
            let words: Vec<_> = SectionKind::ALL.into_iter().map(SectionKind::word).collect();
            let help = match nearest(name, words.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("use one of {}", words.join(", ")),
            };
            self.problems.push(problem.at(self.span(key)).help(help));
            return;
        };
        let DeValue::Table(table) = value.get_ref() else {
            let header = match kind.naming() {
                Naming::Required => format!("[{name}.NAME]"),
                Naming::Single | Naming::Optional => format!("[{name}]"),
            };
            let problem = Problem::own_error(format!("`{name}` must be a section"));
            self.problems.push(problem.at(self.span(value)).help(format!("write {header} on a line of its own")));
            return;
        };
        match kind.naming() {
            Naming::Single => self.section(kind, name.clone().into_owned(), self.span(key), table.iter()),
            Naming::Required => {
                for (bare, value) in table {
                    self.named(kind, bare, value);
                }
            }
            Naming::Optional => {
                let is_named = |(key, value): &(&Name<'_>, &Spanned<DeValue<'_>>)| {
                    matches!(value.get_ref(), DeValue::Table(_)) && schema::key_of(kind, key.get_ref()).is_none()
                };
                let (named, own): (Vec<_>, Vec<_>) = table.iter().partition(is_named);
                if !own.is_empty() || named.is_empty() {
                    self.section(kind, name.clone().into_owned(), self.span(key), own.into_iter());
                }
                for (bare, value) in named {
                    self.named(kind, bare, value);
                }
            }
        }
    }

    /// `[kind.bare]`.
    fn named(&mut self, kind: SectionKind, bare: &Name<'_>, value: &Spanned<DeValue<'_>>) {
        let word = kind.word();
        let DeValue::Table(table) = value.get_ref() else {
            let problem = Problem::own_error(format!("`{}` stands outside of a named section", bare.get_ref()));
            let help = format!("put it below a line [{word}.NAME]");
            self.problems.push(problem.at(self.span(bare)).in_section(word).help(help));
            return;
        };
        self.section(kind, format!("{word}:{}", bare.get_ref()), self.span(bare), table.iter());
    }

    fn section<'t, 'i: 't>(
        &mut self,
        kind: SectionKind,
        name: String,
        span: Span,
        entries: impl Iterator<Item = (&'t Name<'i>, &'t Spanned<DeValue<'i>>)>,
    ) {
        let mut read = IndexMap::new();
        for (key, value) in entries {
            self.entry(kind, &name, (key.get_ref(), self.span(key)), value, &mut read);
        }
        self.add_section(name, span, read);
    }

    fn entry(
        &mut self,
        kind: SectionKind,
        section: &str,
        (key, key_span): (&str, Span),
        value: &Spanned<DeValue<'_>>,
        read: &mut IndexMap<String, RawValue>,
    ) {
        let known = schema::key_of(kind, key);
        if known.is_none() {
            // A dotted key, as in `supervisor.rpcinterface_factory`.
            if let (true, DeValue::Table(inner)) = (schema::takes_any_key(kind), value.get_ref()) {
                for (part, value) in inner {
                    let dotted = format!("{key}.{}", part.get_ref());
                    self.entry(kind, section, (&dotted, key_span), value, read);
                }
                return;
            }
        }
        let wanted = match known {
            Some(known) => known.value,
            None if schema::takes_any_key(kind) => ValueType::Text,
            None => return self.unknown(kind, section, key, key_span),
        };
        match convert(wanted, value.get_ref()) {
            Ok(data) => {
                let span = self.span(value);
                let dialect = Dialect::Native;
                let value = RawValue { data, key_span, span, dialect, cut_comment: None, pieces: Vec::new() };
                read.insert(key.to_owned(), value);
            }
            Err(found) => {
                let text = format!("`{key}` must be {}, this is {found}", spelling(wanted));
                let problem = Problem::own_error(text).at(self.span(value)).in_section(section).with_key(key);
                let help = format!("write {key} = {}", example(wanted));
                self.problems.push(problem.finding(found).help(help));
            }
        }
    }

    fn unknown(&mut self, kind: SectionKind, section: &str, key: &str, span: Span) {
        let problem = Problem::own_error(format!("`{key}` is not a key of [{section}]"));
        let mut problem = problem.at(span).in_section(section).with_key(key).finding(key);
        if let Some(near) = nearest(key, schema::keys_of(kind).map(|key| key.name)) {
            problem = problem.help(format!("did you mean {near}?"));
        }
        self.problems.push(problem);
    }
}

/// The value as the ini dialect would have it, or what it is instead.
fn convert(wanted: ValueType, value: &DeValue<'_>) -> Result<RawData, &'static str> {
    use ValueType as V;
    match (wanted, value) {
        (_, DeValue::String(text)) => Ok(RawData::Text(text.clone().into_owned())),
        (V::Boolean | V::AutoRestart, DeValue::Boolean(flag)) => Ok(RawData::Text(flag.to_string())),
        (V::Octal, DeValue::Integer(number)) => match number.radix() {
            8 => Ok(RawData::Text(number.as_str().to_owned())),
            _ => Err("a number that is not octal"),
        },
        (
            V::Integer
            | V::Retries
            | V::Duration
            | V::Factor
            | V::Bytes
            | V::MemoryLimit
            | V::CountLimit
            | V::Signal
            | V::User
            | V::Owner
            | V::Address
            | V::ExitCodes,
            DeValue::Integer(number),
        ) => decimal(number).map(RawData::Text),
        (V::Factor, DeValue::Float(number)) => Ok(RawData::Text(number.as_str().to_owned())),
        (V::ExitCodes, DeValue::Array(items)) => {
            let items = items.iter().map(|item| match item.get_ref() {
                DeValue::Integer(number) => decimal(number),
                other => Err(kind_of(other)),
            });
            items.collect::<Result<_, _>>().map(RawData::List)
        }
        (V::Names | V::Events | V::Patterns | V::Files | V::Needs | V::Things, DeValue::Array(items)) => {
            let items = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(text.clone().into_owned()),
                other => Err(kind_of(other)),
            });
            items.collect::<Result<_, _>>().map(RawData::List)
        }
        (V::Environment, DeValue::Table(table)) => {
            let pairs = table.iter().map(|(name, value)| {
                let text = match value.get_ref() {
                    DeValue::String(text) => text.clone().into_owned(),
                    DeValue::Integer(number) => decimal(number)?,
                    other => return Err(kind_of(other)),
                };
                Ok((name.get_ref().clone().into_owned(), text))
            });
            pairs.collect::<Result<_, _>>().map(RawData::Pairs)
        }
        (_, other) => Err(kind_of(other)),
    }
}

fn decimal(number: &DeInteger<'_>) -> Result<String, &'static str> {
    let value = i64::from_str_radix(number.as_str(), number.radix());
    value.map(|value| value.to_string()).map_err(|_| "a number out of range")
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn spelling(wanted: ValueType) -> &'static str {
    use ValueType as V;
    match wanted {
        V::Boolean => "true or false",
        V::AutoRestart => "true, false or \"unexpected\"",
        V::Integer => "a whole number",
        V::Bytes => "a number of bytes or a text like \"50MB\"",
        V::Signal => "a signal's name or number",
        V::Octal => "an octal number",
        V::MemoryLimit => "a number of bytes, a text like \"512MB\" or \"max\"",
        V::CountLimit => "a whole number or \"max\"",
        V::Retries => "a whole number or \"unlimited\"",
        V::Duration => "a number of seconds or a text like \"500ms\"",
        V::Factor => "a number",
        V::ExitCodes => "a list of numbers",
        V::Names | V::Events | V::Patterns | V::Files | V::Needs | V::Things => "a list of texts",
        V::Environment => "a table of texts",
        V::User | V::Owner | V::Address => "a text or a number",
        V::Text
        | V::Command
        | V::Level
        | V::AnyPath
        | V::Path
        | V::Directory
        | V::LogPath
        | V::Socket
        | V::Url
        | V::ProgramType
        | V::StartLimit
        | V::CpuLimit
        | V::OnEnd
        | V::Readiness
        | V::Strategy
        | V::FifoCommand
        | V::Front
        | V::Cgroup
        | V::PythonObject => "a text",
    }
}

/// A value of the type, as the native dialect spells it.
pub(crate) fn example(wanted: ValueType) -> &'static str {
    use ValueType as V;
    match wanted {
        V::Boolean | V::AutoRestart => "true",
        V::Integer | V::Retries => "10",
        V::Duration => "\"500ms\"",
        V::Factor => "1.5",
        V::StartLimit => "\"5/10m\"",
        V::MemoryLimit => "\"512MB\"",
        V::CpuLimit => "\"50000 100000\"",
        V::CountLimit => "100",
        V::OnEnd => "\"shutdown\"",
        V::Needs => "[\"db:ready\", \"migrate:exited\"]",
        V::Things => "[\"tcp://db:5432\", \"path:/data\"]",
        V::Readiness => "\"tcp:127.0.0.1:8080\"",
        V::Strategy => "\"rolling\"",
        V::FifoCommand => "\"/run/galaxy/master.fifo:c\"",
        V::Front => "\"http://127.0.0.1:8080/api/version\"",
        V::Bytes => "\"50MB\"",
        V::Signal => "\"TERM\"",
        V::Octal => "0o022 or \"022\"",
        V::ExitCodes => "[0, 2]",
        V::Names => "[\"web\", \"handler\"]",
        V::Events => "[\"PROCESS_STATE\"]",
        V::Patterns => "[\"conf.d/*.toml\"]",
        V::Files => "[\"/etc/galaxy.env\", \"-/etc/local.env\"]",
        V::ProgramType => "\"oneshot\"",
        V::Environment => "{ PATH = \"/usr/bin:/bin\" }",
        V::Address => "\"127.0.0.1:9001\"",
        V::User => "\"galaxy\"",
        V::Owner => "\"galaxy:galaxy\"",
        V::Level => "\"info\"",
        V::PythonObject => "\"package.module:attribute\"",
        V::Socket => "\"unix:///run/socket\"",
        V::Url => "\"unix:///run/supervisor.sock\"",
        V::Directory => "\"/srv\"",
        V::Cgroup => "\"auto\"",
        V::Text => "\"text\"",
        V::Command => "\"/bin/sh -c 'sleep 1'\"",
        V::AnyPath => "\"/run/supervisor.sock\"",
        V::Path | V::LogPath => "\"/var/log/x.log\"",
    }
}
