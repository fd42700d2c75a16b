//! Job handlers and workflow schedulers: those that the job configuration names, and those of `gravity: handlers:`.

use super::command::CommandLine;
use super::job_config::StaticHandler;
use super::keys::HANDLER;
use super::reading::Reading;
use super::service::{Count, Member, Service, StopGoesTo, Workshop};
use super::settings::{Section, Sourced, Variables};
use super::stop_time;
use crate::config::numprocs::{self, NUMPROCS_MAX};
use crate::config::path;
use crate::config::span::Span;

const KIND: &str = "standalone";

/// Seconds, as Gravity has it.
const START: i64 = 20;

/// What Gravity calls a process of several.
const NAME_TEMPLATE: &str = "{name}_{process}";

/// One of each handler that the job configuration names.
pub(super) fn static_handlers(reading: &mut Reading<'_>, shop: &Workshop<'_>) -> Vec<Service> {
    let made = shop.jobs.handlers.iter().map(|handler| {
        let StaticHandler { id, span, environment } = handler;
        let name = Sourced::said(id.clone(), *span, "id in the job configuration");
        let start = Sourced::said(START, *span, "default of Gravity for handlers");
        let umask = shop.instance.gravity.text("umask");
        let memory = shop.memory(&shop.instance.gravity);
        let (environment, path) = shop.with_own(&[], *span, environment.clone(), id);
        let wait = stop_time::handler(shop.instance, shop.jobs, None);
        let command = command(reading, shop, &name, &[], *span);
        let stop_goes_to = StopGoesTo::Main;
        let member = Member {
            command,
            environment,
            path,
            umask,
            memory,
            start,
            stop: wait,
            stop_goes_to,
            server_name: Some(name),
            ready: None,
        };
        Service { kind: KIND, name: id.clone(), span: *span, members: vec![member], count: None }
    });
    made.collect()
}

fn command(
    reading: &Reading<'_>,
    shop: &Workshop<'_>,
    server_name: &Sourced<String>,
    pools: &[Sourced<String>],
    span: Span,
) -> Sourced<String> {
    let instance = shop.instance;
    let virtualenv = instance.virtualenv.as_ref();
    let file = Sourced::said(instance.galaxy_file.clone(), span, "");
    let line = if instance.is_installed {
        CommandLine::new(virtualenv, "galaxy-main", span)
    } else {
        CommandLine::new(virtualenv, "python", span).fixed("./scripts/galaxy-main")
    };
    let line = line.option("-c", &file).word("--server-name=", server_name);
    let line = pools.iter().fold(line, |line, pool| line.word("--attach-to-pool=", pool));
    line.finish(|span| reading.place(span))
}

/// The entries of `gravity: handlers:`.
pub(super) fn dynamic_handlers(reading: &mut Reading<'_>, shop: &Workshop<'_>) -> Vec<Service> {
    let instance = shop.instance;
    let path = format!("{}.handlers", instance.gravity.path);
    let Some(entries) = instance.gravity.below("handlers") else { return Vec::new() };
    if !entries.is_mapping() {
        let help = "write a name for each kind of handler, and its keys below";
        reading.error(reading.span(&entries), &path, "", format!("this is {}, not a mapping", entries.kind()), help);
        return Vec::new();
    }
    let mut made = Vec::new();
    for pair in entries.pairs() {
        let span = reading.at(pair.value.file, pair.key_mark);
        let path = format!("{path}.{}", pair.key);
        if pair.value.is_null() {
            reading.error(span, &path, "", "the handler has no keys".to_owned(), "write {} for the defaults");
            continue;
        }
        let section = Section::read(reading, &path, HANDLER, Some(&pair.value), span);
        made.extend(entry(reading, shop, &pair.key, &section, span));
    }
    if !made.is_empty() {
        warn_unless_dynamic(reading, shop, reading.span(&entries), &path);
    }
    made
}

/// Handlers that the job configuration does not name get jobs by some methods only.
pub(super) fn warn_unless_dynamic(reading: &mut Reading<'_>, shop: &Workshop<'_>, span: Span, section: &str) {
    if !shop.jobs.assigns_dynamically() {
        let text = "Galaxy assigns no jobs to handlers that are defined here".to_owned();
        let help = "set handling: assign: [db-skip-locked] in the job configuration";
        reading.warn(span, section, "", text, help);
    }
}

/// So many handlers that take jobs of every pool: `handler0`, `handler1` and so on, as Galaxy's page on scaling names them.
pub(super) fn webless(reading: &mut Reading<'_>, shop: &Workshop<'_>, count: i64, span: Span) -> Vec<Service> {
    let section = Section::read(reading, "uwsgi.handlers", HANDLER, None, span);
    let pool = |name: &str| Sourced::said(name.to_owned(), span, "pool of the strategy");
    let pools = ["job-handlers", "workflow-schedulers"].map(pool);
    let made = (0..count).map(|number| {
        let name = format!("handler{number}");
        let server_name = Sourced::said(name.clone(), span, "number of the strategy");
        let members = vec![member_of(reading, shop, &section, server_name, &pools)];
        Service { kind: KIND, name, span, members, count: None }
    });
    made.collect()
}

fn entry(reading: &mut Reading<'_>, shop: &Workshop<'_>, name: &str, section: &Section, span: Span) -> Vec<Service> {
    let Some((number, count)) = count(reading, shop, name, section) else { return Vec::new() };
    let template = section.optional_text("name_template");
    // A single handler whose name is a number's already has its name.
    let is_alone = number == 1 && count.file.is_none();
    if template.is_none() && is_alone && name.ends_with(|last: char| last.is_ascii_digit()) {
        let name_of = Sourced::said(name.to_owned(), span, "the entry's name");
        let members = vec![member(reading, shop, section, name_of)];
        return vec![Service { kind: KIND, name: name.to_owned(), span, members, count: Some(count) }];
    }
    let pattern = template.as_ref().map_or(NAME_TEMPLATE, |template| template.value.trim());
    let mut members = Vec::new();
    for number in 0..number {
        let Some(text) = expanded(pattern, name, number, &shop.instance.name.value) else {
            let at = template.as_ref().map_or(span, |template| template.span);
            let help = "use {name}, {process}, {process:02d} and {instance_name}; write {{ for a brace";
            let text = format!("`{pattern}` cannot be filled in");
            reading.error(at, &section.path, "name_template", text, help);
            return Vec::new();
        };
        let server_name = Sourced::said(text, span, "the entry's name and the process's number");
        members.push(member(reading, shop, section, server_name));
    }
    if members.is_empty() {
        return Vec::new();
    }
    if shop.instance.uses_service_instances() {
        return vec![Service { kind: KIND, name: name.to_owned(), span, members, count: Some(count) }];
    }
    let alone = members.into_iter().map(|member| {
        let name = member.server_name.as_ref().map_or_else(|| name.to_owned(), |name| name.value.clone());
        Service { kind: KIND, name, span, members: vec![member], count: Some(count.clone()) }
    });
    alone.collect()
}

/// How many processes an entry has, and what says so. `None`: no such number, which was told.
fn count(reading: &mut Reading<'_>, shop: &Workshop<'_>, name: &str, section: &Section) -> Option<(i64, Count)> {
    const FILE: &str = "processes_file";
    let written = section.int("processes");
    if written.value > NUMPROCS_MAX {
        let text = format!("{} processes are more than the {NUMPROCS_MAX} that one entry may have", written.value);
        reading.error(written.span, &section.path, "processes", text, "divide it into several entries");
        return None;
    }
    let absolute = |file: &String| path::normalize(&path::join(&shop.instance.directory.value, file));
    let file = section.optional_text(FILE).map(|file| file.map(absolute));
    let mut number = written.value;
    if let Some(file) = &file {
        match numprocs::number_in(&file.value, reading.source) {
            Ok(Some(other)) if other != number => {
                let (text, help) = numprocs::overruled(&file.value, other, "processes", number);
                reading.warn(file.span, &section.path, FILE, text, help);
                number = other;
            }
            Ok(_) => {}
            Err(complaint) => {
                let help = complaint.help.unwrap_or_default();
                reading.error(file.span, &section.path, FILE, complaint.text, help);
            }
        }
    }
    let file = file.map(|file| file.value);
    let shares_service = shop.instance.uses_service_instances();
    Some((number, Count { entry: name.to_owned(), span: written.span, shares_service, file }))
}

fn member(reading: &Reading<'_>, shop: &Workshop<'_>, section: &Section, server_name: Sourced<String>) -> Member {
    let pools: Vec<Sourced<String>> = match section.texts("pools") {
        Some(pools) => pools.value.iter().map(|pool| pools.map(|_| pool.clone())).collect(),
        None => Vec::new(),
    };
    member_of(reading, shop, section, server_name, &pools)
}

fn member_of(
    reading: &Reading<'_>,
    shop: &Workshop<'_>,
    section: &Section,
    server_name: Sourced<String>,
    pools: &[Sourced<String>],
) -> Member {
    let (environment, path): (Variables, _) = shop.variables(&[], section, &server_name.value);
    Member {
        command: command(reading, shop, &server_name, pools, section.span),
        environment,
        path,
        umask: shop.umask(section),
        memory: shop.memory(section),
        start: section.int("start_timeout"),
        stop: stop_time::handler(shop.instance, shop.jobs, section.optional_int("stop_timeout")),
        stop_goes_to: StopGoesTo::Main,
        server_name: Some(server_name),
        ready: None,
    }
}

/// A template of Python's `str.format` with the fields that Gravity gives; `None` if it has others.
fn expanded(template: &str, name: &str, process: i64, instance_name: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            text.push_str(from.get(..1)?);
            rest = after;
            continue;
        }
        let (field, after) = from.strip_prefix('{')?.split_once('}')?;
        match field {
            "name" => text.push_str(name),
            "instance_name" => text.push_str(instance_name),
            "process" => text.push_str(&process.to_string()),
            _ => text.push_str(&padded(field.strip_prefix("process:")?, process)?),
        }
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

/// `03d`, `3d`, `d`.
fn padded(format: &str, number: i64) -> Option<String> {
    let width = format.strip_suffix('d').unwrap_or(format);
    let fill = if width.starts_with('0') { '0' } else { ' ' };
    let width: usize = if width.is_empty() { 0 } else { width.parse().ok().filter(|width| *width <= 20)? };
    let digits = number.to_string();
    let missing = width.saturating_sub(digits.len());
    Some(std::iter::repeat_n(fill, missing).chain(digits.chars()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_pythons() {
        for (template, wanted) in [
            (NAME_TEMPLATE, Some("handler_3")),
            ("{instance_name}-{name}{process}", Some("main-handler3")),
            ("{name}_{process:02d}", Some("handler_03")),
            ("{name}{process:d}", Some("handler3")),
            ("{{{name}}}", Some("{handler}")),
            ("fixed", Some("fixed")),
            ("{other}", None),
            ("{name", None),
            ("{process:x}", None),
            ("name}", None),
        ] {
            assert_eq!(expanded(template, "handler", 3, "main").as_deref(), wanted, "{template}");
        }
    }
}
