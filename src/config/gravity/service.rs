//! The services of an instance, in Gravity's order. Source: Gravity 1.2.4, `state.py`.

use super::instance::Instance;
use super::job_config::JobConfig;
use super::reading::Reading;
use super::settings::{Section, Sourced, Variables};
use super::{handlers, plain_services, uwsgi_era};
use crate::config::span::Span;

/// One service: a program, or several of a kind that are counted.
#[derive(Debug)]
pub(super) struct Service {
    /// Gravity's type: `standalone` for a handler.
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) members: Vec<Member>,
    /// What says how many of the kind there are; `None` where nothing does.
    pub(super) count: Option<Count>,
}

/// An entry of `handlers:`, by which processes are counted.
#[derive(Debug, Clone)]
pub(super) struct Count {
    pub(super) entry: String,
    /// Where the number is written, or where its entry begins.
    pub(super) span: Span,
    /// Its processes are one service, not one each.
    pub(super) shares_service: bool,
    /// Absolute; its number stands over the written one.
    pub(super) file: Option<String>,
}

impl Service {
    /// Whether its processes have numbers in their names: where the number may change, one alone has, too.
    pub(super) fn is_numbered(&self) -> bool {
        let may_change = self.count.as_ref().is_some_and(|count| count.file.is_some() && count.shares_service);
        self.members.len() > 1 || may_change
    }
}

/// One process of a service.
#[derive(Debug)]
pub(super) struct Member {
    /// Percent signs mean themselves.
    pub(super) command: Sourced<String>,
    /// The same; without `PATH`.
    pub(super) environment: Variables,
    /// What a service's own `PATH` is.
    pub(super) path: Option<Sourced<String>>,
    /// Octal digits.
    pub(super) umask: Sourced<String>,
    pub(super) memory: Memory,
    /// Seconds.
    pub(super) start: Sourced<i64>,
    /// Seconds.
    pub(super) stop: Sourced<i64>,
    pub(super) stop_goes_to: StopGoesTo,
    /// What Galaxy knows the process by, where no other may have the same.
    pub(super) server_name: Option<Sourced<String>>,
    /// What shows that it is ready, and for how many seconds that is awaited.
    pub(super) ready: Option<(Sourced<String>, Sourced<i64>)>,
}

/// Limits of memory, in bytes; `None`: there is none.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) max: Option<Sourced<i64>>,
    pub(super) high: Option<Sourced<i64>>,
}

/// Who gets the stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopGoesTo {
    /// Its workers hear of it from the main process.
    Main,
    /// The main process hands no signal on.
    Group,
    /// uWSGI's master, by INT, which stops it in every setting; TERM may reload it.
    Master,
}

/// What all services of an instance need while they are made.
pub(super) struct Workshop<'i> {
    pub(super) instance: &'i Instance,
    pub(super) jobs: &'i JobConfig,
}

/// All services of an instance.
pub(super) fn services(reading: &mut Reading<'_>, instance: &Instance) -> Vec<Service> {
    let jobs = JobConfig::read(reading, instance);
    let workshop = Workshop { instance, jobs: &jobs };
    let mut services = if let Some(section) = &instance.uwsgi {
        uwsgi_era::services(reading, &workshop, section)
    } else {
        uwsgi_era::refuse_strategy(reading, instance);
        plain_services::services(reading, &workshop)
    };
    services.extend(handlers::static_handlers(reading, &workshop));
    services.extend(handlers::dynamic_handlers(reading, &workshop));
    refuse_twins(reading, instance, &services);
    services
}

/// No two services may have one name, no two processes one server name: both would take the same jobs.
fn refuse_twins(reading: &mut Reading<'_>, instance: &Instance, services: &[Service]) {
    let path = &instance.gravity.path;
    for (at, service) in services.iter().enumerate() {
        let earlier = services.get(..at).unwrap_or_default();
        if let Some(twin) = earlier.iter().find(|other| other.name == service.name) {
            let text = format!("there is another service `{}`, from {}", service.name, reading.place(twin.span));
            reading.error(service.span, path, &service.name, text, "rename one of them");
        }
    }
    let named = services.iter().flat_map(|service| &service.members).filter_map(|member| member.server_name.as_ref());
    let named: Vec<&Sourced<String>> = named.collect();
    for (at, name) in named.iter().enumerate() {
        let earlier = named.get(..at).unwrap_or_default();
        if let Some(twin) = earlier.iter().find(|other| other.value == name.value) {
            let text = format!("two processes have the server name `{}`, see {}", name.value, reading.place(twin.span));
            let help = "both would take the same jobs: give each a name of its own";
            reading.error(name.span, path, &format!("server name {}", name.value), text, help);
        }
    }
}

impl Workshop<'_> {
    /// The variables of a service: its usual ones, the virtualenv, and its own `environment`, whose `PATH` is apart.
    pub(super) fn variables(
        &self,
        usual: &[(&str, &str)],
        section: &Section,
        name: &str,
    ) -> (Variables, Option<Sourced<String>>) {
        self.with_own(usual, section.span, section.variables("environment"), name)
    }

    pub(super) fn with_own(
        &self,
        usual: &[(&str, &str)],
        span: Span,
        own: Variables,
        name: &str,
    ) -> (Variables, Option<Sourced<String>>) {
        let instance = self.instance;
        let gravitys = "Gravity sets it";
        let said = |text: &str| Sourced::said(text.to_owned(), span, gravitys);
        let mut variables: Variables = usual.iter().map(|(key, text)| ((*key).to_owned(), said(text))).collect();
        if let Some(virtualenv) = &instance.virtualenv {
            variables.push(("VIRTUAL_ENV".to_owned(), virtualenv.clone()));
        }
        let fields = [
            ("server_name", name),
            ("galaxy_conf", instance.galaxy_file.as_str()),
            ("galaxy_root", instance.directory.value.as_str()),
            ("gravity_data_dir", instance.data.value.as_str()),
        ];
        let mut path = None;
        for (key, text) in own {
            let text = text.map(|text| super::command::filled_in(text, &fields));
            if key == "PATH" {
                path = Some(text);
                continue;
            }
            variables.retain(|(known, _)| *known != key);
            variables.push((key, text));
        }
        (variables, path)
    }

    /// The service's limits of memory, or those of all; Gravity's unit is the gibibyte, as systemd's `G` is.
    pub(super) fn memory(&self, section: &Section) -> Memory {
        let limit = |key: &str| {
            let written = section.number(key).or_else(|| self.instance.gravity.number(key));
            written.map(|gibibytes| gibibytes.map(|number| bytes(*number)))
        };
        Memory { max: limit("memory_limit"), high: limit("memory_high") }
    }

    /// The service's umask, or that of all.
    pub(super) fn umask(&self, section: &Section) -> Sourced<String> {
        section.optional_text("umask").unwrap_or_else(|| self.instance.gravity.text("umask"))
    }
}

/// At least one: a limit of nothing is none.
#[expect(clippy::cast_possible_truncation, reason = "beyond the largest number it is the largest number")]
fn bytes(gibibytes: f64) -> i64 {
    ((gibibytes * 1_073_741_824.0).round() as i64).max(1)
}
