//! A galaxy.yml of the time of uWSGI (Galaxy 18.01 to 21.09): a `uwsgi:` section and no `gravity:` gives the web server, its mules
//! included. Job handlers outside it are those that the job configuration names, or as many as a strategy asks for.

use super::command::CommandLine;
use super::handlers::{self, webless};
use super::instance::Instance;
use super::reading::Reading;
use super::service::{Member, Service, StopGoesTo, Workshop};
use super::settings::Sourced;
use crate::config::numprocs::NUMPROCS_MAX;
use crate::config::path;
use crate::config::span::{FileId, Span};
use crate::config::uwsgi::{UwsgiOption, UwsgiOptions};
use crate::yaml::Mark;

/// `--strategy` of the command line, and what says the same to the client.
const STRATEGY: &str = "GALAXYD_STRATEGY";

const SECTION: &str = "uwsgi";

/// Seconds that the web server must live to count as started.
const START: i64 = 15;

/// uWSGI's own: seconds that a worker, or a mule, has to end.
const MERCY: i64 = 60;

/// What the master needs after that, seconds.
const AFTER_MERCY: i64 = 5;

/// The section of one file.
#[derive(Debug, Clone)]
pub(super) struct UwsgiSection {
    options: UwsgiOptions,
    file: FileId,
}

impl UwsgiSection {
    /// `None`: the file has none.
    pub(super) fn read(text: &str, file: FileId) -> Option<Self> {
        UwsgiOptions::from_yaml(text).map(|options| Self { options, file })
    }

    fn place(&self, reading: &Reading<'_>, option: &UwsgiOption) -> Span {
        reading.at(self.file, Mark { line: option.line, column: 1 })
    }

    /// The virtual environment that uWSGI is told to use.
    pub(super) fn virtualenv(&self, reading: &Reading<'_>, base: &str) -> Option<Sourced<String>> {
        let names = ["virtualenv", "venv", "home", "pyhome"];
        let option = names.into_iter().find_map(|name| self.options.last(name))?;
        let name = path::normalize(&path::join(base, &option.value));
        Some(Sourced::said(name, self.place(reading, option), format!("{SECTION}.{}", option.name)))
    }
}

/// The web server, and the handlers of a strategy.
pub(super) fn services(reading: &mut Reading<'_>, shop: &Workshop<'_>, section: &UwsgiSection) -> Vec<Service> {
    refuse(reading, section);
    let span = shop.instance.gravity.span;
    let members = vec![web(reading, shop, section)];
    let mut services = vec![Service { kind: "uwsgi", name: "web".to_owned(), span, members, count: None }];
    services.extend(of_strategy(reading, shop, span));
    services
}

/// What one supervised master cannot be.
fn refuse(reading: &mut Reading<'_>, section: &UwsgiSection) {
    let zerg = section.options.last("zerg").or_else(|| section.options.last("zerg-pool"));
    if let Some(option) = zerg {
        let help = "zerg mode is a pool and two zerglings: begin with examples/supervisor-confs/zerg.conf";
        let text = "one program cannot be this".to_owned();
        reading.error(section.place(reading, option), SECTION, &option.name, text, help);
    }
    let daemonize = section.options.last("daemonize").or_else(|| section.options.last("daemonize2"));
    if let Some(option) = daemonize {
        let text = "uWSGI would go into the background, where nobody supervises it".to_owned();
        reading.error(section.place(reading, option), SECTION, &option.name, text, "remove the line");
    }
}

fn web(reading: &Reading<'_>, shop: &Workshop<'_>, section: &UwsgiSection) -> Member {
    let instance = shop.instance;
    let span = instance.gravity.span;
    let file = Sourced::said(instance.galaxy_file.clone(), span, "");
    let line = CommandLine::new(instance.virtualenv.as_ref(), "uwsgi", span).option("--yaml", &file);
    let (environment, path) = shop.with_own(&[], span, Vec::new(), "web");
    Member {
        command: line.finish(|span| reading.place(span)),
        environment,
        path,
        umask: instance.gravity.text("umask"),
        memory: shop.memory(&instance.gravity),
        start: Sourced::said(START, span, "as for every uWSGI"),
        stop: stop(reading, section, span),
        stop_goes_to: StopGoesTo::Master,
        server_name: None,
        ready: None,
    }
}

/// Longer than the longest mercy, or the master is killed while its children end.
fn stop(reading: &Reading<'_>, section: &UwsgiSection, span: Span) -> Sourced<i64> {
    let mercies = ["worker-reload-mercy", "mule-reload-mercy", "reload-mercy"];
    let written = mercies.into_iter().filter_map(|name| section.options.last(name));
    let longest = written
        .filter_map(|option| Some((option.value.parse::<i64>().ok()?, option)))
        .max_by_key(|(seconds, _)| *seconds);
    match longest.filter(|(seconds, _)| *seconds >= MERCY) {
        Some((seconds, option)) => {
            let place = reading.place(section.place(reading, option));
            let why = format!("computed: {place} uwsgi.{} {seconds} s and {AFTER_MERCY} s", option.name);
            Sourced::said(seconds.saturating_add(AFTER_MERCY), span, why)
        }
        None => Sourced::said(
            MERCY + AFTER_MERCY,
            span,
            format!("computed: uWSGI's {MERCY} s of mercy and {AFTER_MERCY} s"),
        ),
    }
}

/// `webless:N`: N handlers that take jobs from the database.
fn of_strategy(reading: &mut Reading<'_>, shop: &Workshop<'_>, span: Span) -> Vec<Service> {
    let Some(text) = reading.source.variable(STRATEGY).filter(|text| !text.is_empty()).map(str::to_owned) else {
        return Vec::new();
    };
    let count = text.strip_prefix("webless:").and_then(|count| count.parse::<i64>().ok());
    let Some(count) = count.filter(|count| (1..=NUMPROCS_MAX).contains(count)) else {
        let help = "write webless:N, N being the number of handlers beside uWSGI";
        reading.error(span, SECTION, "--strategy", format!("there is no strategy `{text}`"), help);
        return Vec::new();
    };
    if !shop.jobs.handlers.is_empty() {
        let text = "the job configuration names its handlers, and they are started".to_owned();
        reading.error(span, SECTION, "--strategy", text, "leave --strategy out, or remove the handlers there");
        return Vec::new();
    }
    handlers::warn_unless_dynamic(reading, shop, span, SECTION);
    webless(reading, shop, count, span)
}

/// A strategy is no question where `gravity: handlers:` answers it.
pub(super) fn refuse_strategy(reading: &mut Reading<'_>, instance: &Instance) {
    if reading.source.variable(STRATEGY).is_some_and(|text| !text.is_empty()) {
        let text = "a strategy is for a galaxy.yml with a uwsgi section and no gravity section".to_owned();
        let help = "say which handlers there are in gravity: handlers:";
        reading.error(instance.gravity.span, &instance.gravity.path, "--strategy", text, help);
    }
}
