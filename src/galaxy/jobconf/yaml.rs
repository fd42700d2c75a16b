//! `job_conf.yml`.

use super::text::listed;
use super::{Destination, Handler, JobConf, Limit, Mapping, Plugin, Word};
use crate::yaml::{Entry, Node};

pub(super) fn read(root: &Node) -> JobConf {
    let handling = root.get("handling");
    let execution = root.get("execution");
    let runners = entries(root.get("runners")).map(|entry| Plugin { id: key(entry), load: text(&entry.value, "load") });
    let handlers = entries(handling.and_then(|handling| handling.get("processes"))).map(handler);
    let environments = entries(execution.and_then(|execution| execution.get("environments")));
    let tools = root.get("tools").and_then(Node::items).unwrap_or_default();
    JobConf {
        plugins: runners.collect(),
        handlers: handlers.collect(),
        assign: handling.and_then(|handling| handling.get("assign")).map(words).unwrap_or_default(),
        default: handling.and_then(|handling| handling.get("default")).and_then(word),
        mappings: tools.iter().filter_map(mapping).collect(),
        destinations: environments.map(destination).collect(),
        default_destination: execution
            .and_then(|execution| execution.get("default"))
            .and_then(word)
            .map(|word| word.text),
        limits: root.get("limits").and_then(Node::items).unwrap_or_default().iter().filter_map(limit).collect(),
        is_partial: false,
    }
}

fn entries(node: Option<&Node>) -> impl Iterator<Item = &Entry> {
    node.and_then(Node::entries).unwrap_or_default().iter()
}

fn key(entry: &Entry) -> Word {
    Word { text: entry.key.text.clone(), line: entry.key_mark.line }
}

fn word(node: &Node) -> Option<Word> {
    node.text().filter(|_| !node.is_null()).map(|text| Word { text: text.to_owned(), line: node.mark.line })
}

fn text(node: &Node, name: &str) -> String {
    node.get(name).and_then(Node::text).unwrap_or_default().to_owned()
}

/// A list, or one word that lists them with commas.
fn words(node: &Node) -> Vec<Word> {
    match node.items() {
        Some(items) => items.iter().filter_map(word).collect(),
        None => listed(node.text().unwrap_or_default())
            .into_iter()
            .map(|text| Word { text, line: node.mark.line })
            .collect(),
    }
}

fn list(node: &Node, name: &str) -> Vec<String> {
    let items = node.get(name).map(words).unwrap_or_default();
    items.into_iter().map(|word| word.text).collect()
}

fn handler(entry: &Entry) -> Handler {
    Handler { id: key(entry), tags: list(&entry.value, "tags"), plugins: list(&entry.value, "plugins") }
}

fn destination(entry: &Entry) -> Destination {
    let (id, node) = (entry.key.text.clone(), &entry.value);
    Destination { id, runner: text(node, "runner"), tags: list(node, "tags") }
}

fn limit(node: &Node) -> Option<Limit> {
    let named = node.get("id").or_else(|| node.get("tag"));
    Some(Limit { kind: node.get("type").and_then(word)?, destination: named.and_then(word).map(|word| word.text) })
}

fn mapping(node: &Node) -> Option<Mapping> {
    let id = node.get("id").or_else(|| node.get("class"))?;
    let given = |name: &str| node.get(name).and_then(Node::text).map(str::to_owned);
    Some(Mapping {
        tool: word(id)?,
        handler: given("handler"),
        destination: given("environment").or_else(|| given("destination")),
    })
}
