//! `job_conf.xml`, and other files of its kind that list handlers.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::text::listed;
use super::{Destination, Handler, JobConf, Limit, Mapping, Plugin, Word};

/// Elements within elements deeper than this are refused; Galaxy's own files reach five.
const DEPTH_MAX: usize = 64;

/// Where it is no XML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct XmlError {
    pub message: String,
    pub line: usize,
}

/// Reads a document.
pub(super) fn read(text: &str) -> Result<JobConf, XmlError> {
    let mut xml = Reader::from_str(text);
    xml.config_mut().expand_empty_elements = true;
    let (mut found, mut path) = (JobConf::default(), Vec::new());
    let (mut line, mut counted) = (1, 0);
    loop {
        let begin = usize::try_from(xml.buffer_position()).unwrap_or(usize::MAX);
        line += text.get(counted..begin).unwrap_or_default().matches('\n').count();
        counted = begin;
        let error = |message: String| XmlError { message, line };
        match xml.read_event().map_err(|wrong| error(wrong.to_string()))? {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                let within: Vec<&str> = path.iter().map(String::as_str).collect();
                take(&mut found, &within, &name, &Tag::read(&tag, line).map_err(error)?);
                path.push(name);
                if path.len() > DEPTH_MAX {
                    return Err(error(format!("more than {DEPTH_MAX} elements within each other")));
                }
            }
            Event::End(_) => {
                path.pop();
            }
            Event::DocType(_) => return Err(error("a document type declaration is not read".to_owned())),
            Event::Eof if path.is_empty() => return Ok(found),
            Event::Eof => return Err(error(format!("<{}> is not closed", path.pop().unwrap_or_default()))),
            _ => {}
        }
    }
}

/// An element's attributes.
struct Tag {
    attributes: Vec<(String, String)>,
    line: usize,
}

impl Tag {
    fn read(tag: &BytesStart<'_>, line: usize) -> Result<Self, String> {
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            attributes.push((attribute.key.as_ref().to_owned(), attribute.value.into_owned()));
        }
        Ok(Self { attributes, line })
    }

    fn get(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    fn word(&self, name: &str) -> Option<Word> {
        self.get(name).map(|text| Word { text, line: self.line })
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.get(name).map(|text| listed(&text)).unwrap_or_default()
    }
}

/// What an element says, by the elements it stands in; that of the document may have any name.
fn take(found: &mut JobConf, within: &[&str], name: &str, tag: &Tag) {
    found.is_partial |= name.ends_with(":include");
    match (within, name) {
        ([_, "plugins"], "plugin") => {
            found.plugins.extend(tag.word("id").map(|id| Plugin { id, load: tag.get("load").unwrap_or_default() }));
        }
        ([_], "handlers") => {
            let methods = tag.list("assign_with");
            found.assign = methods.into_iter().map(|text| Word { text, line: tag.line }).collect();
            found.default = tag.word("default");
        }
        ([_, "handlers"], "handler") => {
            let handler = |id| Handler { id, tags: tag.list("tags"), plugins: Vec::new() };
            found.handlers.extend(tag.word("id").map(handler));
        }
        ([_, "handlers", "handler"], "plugin") => {
            if let Some(handler) = found.handlers.last_mut() {
                handler.plugins.extend(tag.get("id"));
            }
        }
        ([_], "destinations") => found.default_destination = tag.get("default"),
        ([_, "destinations"], "destination") => {
            let runner = tag.get("runner").unwrap_or_default();
            found.destinations.extend(tag.get("id").map(|id| Destination { id, runner, tags: tag.list("tags") }));
        }
        ([_, "limits"], "limit") => {
            let destination = tag.get("id").or_else(|| tag.get("tag"));
            found.limits.extend(tag.word("type").map(|kind| Limit { kind, destination }));
        }
        ([_, "tools"], "tool") => {
            let mapping = |tool| Mapping { tool, handler: tag.get("handler"), destination: tag.get("destination") };
            found.mappings.extend(tag.word("id").or_else(|| tag.word("class")).map(mapping));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::galaxy::jobconf::JobConf;

    const XML: &str = r#"<?xml version="1.0"?>
<job_conf>
    <plugins>
        <plugin id="local" type="runner" load="galaxy.jobs.runners.local:LocalJobRunner" workers="4"/>
        <plugin id="slurm" type="runner" load="galaxy.jobs.runners.slurm:SlurmJobRunner"/>
    </plugins>
    <handlers assign_with="db-skip-locked, db-preassign" default="handlers">
        <handler id="handler1" tags="handlers,special">
            <plugin id="slurm"/>
        </handler>
        <handler id="handler2"/>
    </handlers>
    <destinations default="local">
        <destination id="local" runner="local" tags="big, near"/>
    </destinations>
    <tools>
        <tool id="test1" handler="special" destination="local"/>
    </tools>
    <limits>
        <limit type="registered_user_concurrent_jobs">2</limit>
        <limit type="destination_total_concurrent_jobs" id="local">16</limit>
        <limit type="destination_user_concurrent_jobs" tag="big">1</limit>
    </limits>
</job_conf>
"#;

    const YAML: &str = "\
runners:
  local: {load: 'galaxy.jobs.runners.local:LocalJobRunner', workers: 4}
  slurm:
    load: galaxy.jobs.runners.slurm:SlurmJobRunner
handling:
  assign: [db-skip-locked, db-preassign]
  default: handlers
  processes:
    handler1: {tags: 'handlers,special', plugins: [slurm]}
    handler2:
execution:
  default: local
  environments:
    local: {runner: local, tags: [big, near]}
tools:
- id: test1
  handler: special
  environment: local
limits:
- {type: registered_user_concurrent_jobs, value: 2}
- {type: destination_total_concurrent_jobs, id: local, value: 16}
- type: destination_user_concurrent_jobs
  tag: big
  value: 1
";

    /// Everything but the lines.
    fn placeless(mut found: JobConf) -> JobConf {
        let words = found.assign.iter_mut().chain(&mut found.default);
        let words = words.chain(found.plugins.iter_mut().map(|plugin| &mut plugin.id));
        let words = words.chain(found.handlers.iter_mut().map(|handler| &mut handler.id));
        let words = words.chain(found.limits.iter_mut().map(|limit| &mut limit.kind));
        words.chain(found.mappings.iter_mut().map(|mapping| &mut mapping.tool)).for_each(|word| word.line = 0);
        found
    }

    #[test]
    fn both_dialects_say_the_same_each_with_its_lines() {
        let (xml, yaml) = (JobConf::from_xml(XML).unwrap(), JobConf::from_yaml(YAML).unwrap());
        assert_eq!((xml.handlers[1].id.line, yaml.handlers[1].id.line), (11, 10));
        assert_eq!((xml.mappings[0].tool.line, yaml.mappings[0].tool.line), (17, 16));
        assert_eq!((xml.assign[0].line, yaml.assign[0].line), (7, 6));
        assert_eq!((xml.limits[2].kind.line, yaml.limits[2].kind.line), (22, 22));
        assert_eq!(xml.limits[1].destination.as_deref(), Some("local"));
        assert_eq!((xml.default_destination.as_deref(), xml.destinations[0].tags.len()), (Some("local"), 2));
        assert_eq!(xml.handlers[0].tags, ["handlers", "special"]);
        assert_eq!(xml.handlers[0].plugins, ["slurm"]);
        assert!(xml.plugins[0].is_local() && !xml.plugins[1].is_local());
        assert!(xml.is_grabbing() && xml.has_handlers() && !xml.is_preassigning());
        assert_eq!(placeless(xml), placeless(yaml));
    }

    #[test]
    fn what_is_no_xml_is_told_with_its_line() {
        for (text, line) in [
            ("<job_conf>\n<plugins>\n", 3),
            ("<job_conf>\n</plugins>\n", 2),
            ("<job_conf>\n<a b=c/>\n</job_conf>", 2),
            ("<!DOCTYPE x>\n<job_conf/>", 1),
        ] {
            let error = JobConf::from_xml(text).unwrap_err();
            assert_eq!(error.line(), line, "{text:?}: {error}");
        }
        assert!(JobConf::from_xml(&"<a>".repeat(100)).unwrap_err().to_string().contains("64"));
    }
}
