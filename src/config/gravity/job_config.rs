//! What the job configuration says about handlers: which there are, how jobs are assigned, which runners they load.
//!
//! Source: Gravity 1.2.4, `config_manager.py`, `create_static_handler_services()`; the runners, Galaxy's own reader.

use std::path::Path;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader as XmlReader, XmlVersion};

use super::instance::Instance;
use super::node::Part;
use super::reading::Reading;
use super::settings::{Variables, variables_of};
use crate::config::path;
use crate::config::span::{FileId, Span};
use crate::yaml::Meaning;

const SECTION: &str = "galaxy";
const KEY: &str = "job_config_file";

/// The job configuration of one Galaxy.
#[derive(Debug, Default)]
pub(super) struct JobConfig {
    pub(super) handlers: Vec<StaticHandler>,
    /// The assignment methods, in order.
    pub(super) assign: Vec<String>,
    /// `None`: it names none, so there is the local one.
    runners: Option<Runners>,
}

/// A handler that the job configuration names.
#[derive(Debug)]
pub(super) struct StaticHandler {
    pub(super) id: String,
    pub(super) span: Span,
    pub(super) environment: Variables,
}

/// How many runner plugins a handler loads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Runners {
    pub(super) local: i64,
    pub(super) asynchronous: i64,
}

impl Runners {
    fn count(&mut self, load: &str) {
        if load.contains("LocalJobRunner") { self.local += 1 } else { self.asynchronous += 1 }
    }
}

impl JobConfig {
    pub(super) fn runners(&self) -> Runners {
        self.runners.unwrap_or(Runners { local: 1, asynchronous: 0 })
    }

    /// Whether handlers that nobody named in advance take jobs.
    pub(super) fn assigns_dynamically(&self) -> bool {
        self.assign.iter().any(|method| method == "db-skip-locked" || method == "db-transaction-isolation")
    }

    /// Reads it: written into galaxy.yml, in the file that this names, or in the usual one beside it.
    pub(super) fn read(reading: &mut Reading<'_>, instance: &Instance) -> Self {
        let galaxy = &instance.galaxy;
        let named = galaxy.text_of(KEY).filter(|name| !name.is_empty());
        if let (None, Some(inline)) = (&named, galaxy.get("job_config").filter(|part| !part.is_null())) {
            return from_yaml(reading, &inline, "galaxy.job_config");
        }
        let in_config = |name: &str| path::normalize(&path::join(&instance.config_directory, name));
        let (name, span) = if let (Some(name), Some(part)) = (named, galaxy.get(KEY)) {
            let (is_relative, name) = (!name.starts_with('/'), in_config(&name));
            if is_relative && !reading.exists(&name) {
                return Self::default();
            }
            (name, reading.span(&part))
        } else {
            let usual = ["job_conf.yml", "job_conf.xml"].map(in_config);
            match usual.into_iter().find(|name| reading.exists(name)) {
                Some(name) => (name, instance.gravity.span),
                None => return Self::default(),
            }
        };
        match Path::new(&name).extension().and_then(|extension| extension.to_str()) {
            Some("xml") => {
                let read = reading.open(&name, (span, SECTION, KEY));
                return read.map(|(file, text)| from_xml(reading, file, &text)).unwrap_or_default();
            }
            Some("yml" | "yaml") => {
                let document = reading.open_yaml(&name, (span, SECTION, KEY));
                return document.map(|document| from_yaml(reading, &document, "job_conf")).unwrap_or_default();
            }
            _ => {}
        }
        let text = format!("{name} is neither .xml nor .yml");
        reading.error(span, SECTION, KEY, text, "name a file that ends in .yml, .yaml or .xml");
        Self::default()
    }
}

fn from_yaml(reading: &mut Reading<'_>, document: &Part, path: &str) -> JobConfig {
    let mut read = JobConfig::default();
    if let Some(runners) = document.get("runners").filter(Part::is_mapping) {
        let mut counted = Runners::default();
        for runner in runners.pairs() {
            counted.count(&runner.value.text_of("load").unwrap_or_default());
        }
        read.runners = Some(counted);
    }
    let Some(handling) = document.get("handling").filter(Part::is_mapping) else { return read };
    if let Some(methods) = handling.get("assign").and_then(|part| part.items()) {
        let methods = methods.iter().filter_map(|method| match method.meaning() {
            Some(Meaning::Text(text)) => Some(text),
            _ => None,
        });
        read.assign = methods.collect();
    }
    for pair in handling.get("processes").map(|part| part.pairs()).unwrap_or_default() {
        let span = reading.at(pair.value.file, pair.key_mark);
        let environment = match pair.value.get("environment").filter(|part| !part.is_null()) {
            Some(part) => {
                let path = format!("{path}.handling.processes.{}.environment", pair.key);
                variables_of(reading, &path, &part)
            }
            None => Variables::new(),
        };
        read.handlers.push(StaticHandler { id: pair.key, span, environment });
    }
    read
}

fn from_xml(reading: &mut Reading<'_>, file: FileId, text: &str) -> JobConfig {
    let mut read = JobConfig::default();
    let mut xml = XmlReader::from_str(text);
    // The elements that are open, the root first.
    let mut open: Vec<String> = Vec::new();
    loop {
        let before = usize::try_from(xml.buffer_position()).unwrap_or(usize::MAX);
        let span = Span { file, start: before, end: before };
        match xml.read_event() {
            Ok(Event::Start(element)) => {
                take(reading, &mut read, &open, &element, span);
                open.push(name_of(&element));
            }
            Ok(Event::Empty(element)) => take(reading, &mut read, &open, &element, span),
            Ok(Event::End(_)) => {
                open.pop();
            }
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => {
                let help = "correct the XML";
                reading.error(span, "job_conf", "", format!("this is no XML that can be read: {error}"), help);
                break;
            }
        }
    }
    read
}

fn name_of(element: &BytesStart<'_>) -> String {
    element.name().as_ref().to_owned()
}

/// One element below the elements `open`.
fn take(reading: &mut Reading<'_>, read: &mut JobConfig, open: &[String], element: &BytesStart<'_>, span: Span) {
    let attribute = |name: &str| {
        let found = element.attributes().flatten().find(|attribute| attribute.key.as_ref() == name)?;
        Some(
            found
                .normalized_value(XmlVersion::Implicit1_0)
                .map_or_else(|_| found.value.to_string(), std::borrow::Cow::into_owned),
        )
    };
    let above: Vec<&str> = open.iter().map(String::as_str).collect();
    match (above.as_slice(), name_of(element).as_str()) {
        ([_], "handlers") => {
            let methods = attribute("assign_with").unwrap_or_default();
            read.assign = methods.split(',').map(|method| method.trim().to_owned()).filter(|m| !m.is_empty()).collect();
        }
        ([_], "plugins") => {
            read.runners.get_or_insert_default();
        }
        ([_, "plugins"], "plugin") => {
            let load = attribute("load").unwrap_or_default();
            read.runners.get_or_insert_default().count(&load);
        }
        ([_, "handlers"], "handler") => match attribute("id") {
            Some(id) => read.handlers.push(StaticHandler { id, span, environment: Variables::new() }),
            None => reading.error(span, "job_conf", "handler", "the handler has no id".to_owned(), "add id=\"...\""),
        },
        _ => {}
    }
}
