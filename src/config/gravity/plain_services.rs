//! The services that have a section each: web server, Celery, uploads, proxy, reports, monitor.

use super::command::CommandLine;
use super::instance::Instance;
use super::keys::{CELERY, GUNICORN, GX_IT_PROXY, Key, REPORTS, SSE_MONITOR, TUSD};
use super::node::Part;
use super::reading::Reading;
use super::service::{Member, Service, StopGoesTo, Workshop};
use super::settings::{Section, Sourced, Variables};
use super::stop_time;
use crate::config::path;
use crate::config::shlex;

/// Since this version gunicorn has a control socket, whose usual place all gunicorns of an account would share.
const CONTROL_SOCKET_SINCE: (u32, u32) = (25, 1);

/// All of them, in Gravity's order.
pub(super) fn services(reading: &mut Reading<'_>, shop: &Workshop<'_>) -> Vec<Service> {
    let mut made = Vec::new();
    made.extend(gunicorns(reading, shop));
    made.extend(celery(reading, shop));
    made.extend(tusds(reading, shop));
    made.extend(proxy(reading, shop));
    made.extend(reports(reading, shop));
    made.extend(monitor(reading, shop));
    made
}

/// The section of this name, or the sections of a list.
fn sections(reading: &mut Reading<'_>, instance: &Instance, name: &str, keys: &'static [Key]) -> Vec<Section> {
    let path = format!("{}.{name}", instance.gravity.path);
    let begin = instance.gravity.span;
    let part = instance.gravity.below(name);
    match part.as_ref().and_then(Part::items) {
        Some(entries) => entries
            .iter()
            .enumerate()
            .map(|(at, entry)| Section::read(reading, &format!("{path}[{at}]"), keys, Some(entry), begin))
            .collect(),
        None => vec![Section::read(reading, &path, keys, part.as_ref(), begin)],
    }
}

/// The section of this name, which cannot be a list.
fn section(reading: &mut Reading<'_>, instance: &Instance, name: &str, keys: &'static [Key]) -> Section {
    let path = format!("{}.{name}", instance.gravity.path);
    Section::read(reading, &path, keys, instance.gravity.below(name).as_ref(), instance.gravity.span)
}

/// One service of all members, or one of each: Gravity numbers both kinds, and by the place in the list in the second.
fn several(
    instance: &Instance,
    kind: &'static str,
    members: Vec<(usize, Section, Member)>,
    is_list: bool,
) -> Vec<Service> {
    let name_alone = |number: usize| if is_list { format!("{kind}{number}") } else { kind.to_owned() };
    if instance.uses_service_instances() {
        let Some(span) = members.first().map(|(_, section, _)| section.span) else { return Vec::new() };
        let members = members.into_iter().map(|(_, _, member)| member).collect();
        return vec![Service { kind, name: kind.to_owned(), span, members, count: None }];
    }
    let alone = members.into_iter().map(|(number, section, member)| Service {
        kind,
        name: name_alone(number),
        span: section.span,
        members: vec![member],
        count: None,
    });
    alone.collect()
}

/// The variables with which Galaxy's own code finds itself.
fn galaxys(instance: &Instance) -> [(&'static str, &str); 2] {
    [("PYTHONPATH", "lib"), ("GALAXY_CONFIG_FILE", instance.galaxy_file.as_str())]
}

fn is_list(instance: &Instance, name: &str) -> bool {
    instance.gravity.below(name).is_some_and(|part| part.items().is_some())
}

/// The sections of a service that may have several, each with its place among them all, that are not switched off.
fn enabled(reading: &mut Reading<'_>, instance: &Instance, name: &str, keys: &'static [Key]) -> Vec<(usize, Section)> {
    let sections = sections(reading, instance, name, keys).into_iter().enumerate();
    sections.filter(|(_, section)| section.is_on("enable")).collect()
}

fn gunicorns(reading: &mut Reading<'_>, shop: &Workshop<'_>) -> Vec<Service> {
    let instance = shop.instance;
    let sections = enabled(reading, instance, "gunicorn", GUNICORN);
    let is_one_of_several = sections.len() > 1;
    let members = sections.into_iter().map(|(number, section)| {
        let member = gunicorn(reading, shop, &section, is_one_of_several.then_some(number));
        (number, section, member)
    });
    let members = members.collect();
    several(instance, "gunicorn", members, is_list(instance, "gunicorn"))
}

/// A web server; the `number` of one of several is part of its server name, unless that is set.
fn gunicorn(reading: &mut Reading<'_>, shop: &Workshop<'_>, section: &Section, number: Option<usize>) -> Member {
    const SERVER_NAME: &str = "GALAXY_CONFIG_SERVER_NAME";
    let instance = shop.instance;
    let extra = extra_arguments(reading, section);
    let mut line = CommandLine::new(instance.virtualenv.as_ref(), "gunicorn", section.span)
        .fixed("'galaxy.webapps.galaxy.fast_factory:factory()'")
        .option("--timeout", &section.int("timeout"))
        .fixed("--pythonpath lib -k galaxy.webapps.galaxy.workers.Worker")
        .option("-b", &section.text("bind"))
        .word("--workers=", &section.int("workers"))
        .fixed("--config python:galaxy.web_stack.gunicorn_config");
    if section.is_on("preload") {
        line = line.fixed("--preload");
    }
    line = line.words(&extra);
    if gunicorn_version(reading, instance).is_some_and(|version| version >= CONTROL_SOCKET_SINCE) {
        line = line.fixed("--no-control-socket");
    }
    let (mut environment, path) = shop.variables(&galaxys(instance), section, "gunicorn");
    let mut server_name = None;
    if let Some(number) = number {
        if !environment.iter().any(|(name, _)| name == SERVER_NAME) {
            let why = "one of several gunicorns: each needs a name of its own";
            environment.push((SERVER_NAME.to_owned(), Sourced::said(format!("web_{number}"), section.span, why)));
        }
        server_name = environment.iter().find(|(name, _)| name == SERVER_NAME).map(|(_, value)| value.clone());
    }
    Member {
        command: line.finish(|span| reading.place(span)),
        environment,
        path,
        umask: shop.umask(section),
        memory: shop.memory(section),
        start: section.int("start_timeout"),
        stop: stop_time::gunicorn(section),
        stop_goes_to: StopGoesTo::Main,
        server_name,
        ready: number.and_then(|_| ready(instance, section)),
    }
}

/// One of several is replaced while the others serve, so it must be known when it does: by Gravity's own question.
fn ready(instance: &Instance, section: &Section) -> Option<(Sourced<String>, Sourced<i64>)> {
    let bind = section.text("bind");
    let prefix = instance.galaxy.text_of("galaxy_url_prefix").unwrap_or_default();
    let path = format!("{}/api/version", prefix.trim_end_matches('/'));
    let question = match bind.value.strip_prefix("unix:") {
        Some(socket) if socket.starts_with('/') => format!("http+unix:{socket}:{path}"),
        None if bind.value.contains(':') && !bind.value.contains("://") => format!("http://{}{path}", bind.value),
        // A descriptor, or a socket whose place depends on the directory: nobody can be asked there.
        _ => return None,
    };
    let why = "one of several gunicorns: `graceful` goes on when it answers, as Gravity does";
    Some((Sourced::said(question, section.span, why), section.int("restart_timeout")))
}

/// The version that will run: the one in the virtualenv, else the one that Galaxy's checkout wants.
fn gunicorn_version(reading: &Reading<'_>, instance: &Instance) -> Option<(u32, u32)> {
    let installed = instance.virtualenv.as_ref().and_then(|virtualenv| {
        let pattern = format!("{}/lib/python3*/site-packages/gunicorn-*.dist-info", virtualenv.value);
        reading.source.glob(&pattern).into_iter().next_back()
    });
    if let Some(found) = installed {
        let name = path::split(&found).1.trim_end_matches(".dist-info");
        return version(name.strip_prefix("gunicorn-")?);
    }
    let requirements = path::join(instance.root.as_deref()?, "requirements.txt");
    let bytes = reading.source.read(std::path::Path::new(&requirements)).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    version(text.lines().find_map(|line| line.strip_prefix("gunicorn=="))?)
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

/// Workers and the one beat.
fn celery(reading: &mut Reading<'_>, shop: &Workshop<'_>) -> Vec<Service> {
    let instance = shop.instance;
    let sections = sections(reading, instance, "celery", CELERY);
    let beat = sections.iter().find(|section| section.is_on("enable_beat")).map(|section| beat(reading, shop, section));
    let enabled: Vec<(usize, Section)> =
        sections.into_iter().enumerate().filter(|(_, section)| section.is_on("enable")).collect();
    let is_one_of_several = enabled.len() > 1;
    let members = enabled.into_iter().map(|(number, section)| {
        let member = worker(reading, shop, &section, is_one_of_several.then_some(number));
        (number, section, member)
    });
    let members = members.collect();
    let mut made = several(instance, "celery", members, is_list(instance, "celery"));
    made.extend(beat);
    made
}

fn worker(reading: &mut Reading<'_>, shop: &Workshop<'_>, section: &Section, number: Option<usize>) -> Member {
    let extra = extra_arguments(reading, section);
    let mut line = CommandLine::new(shop.instance.virtualenv.as_ref(), "celery", section.span)
        .fixed("--app galaxy.celery worker")
        .option("--concurrency", &section.int("concurrency"))
        .option("--loglevel", &section.text("loglevel"))
        .option("--pool", &section.text("pool"))
        .option("--queues", &section.text("queues"));
    if let Some(number) = number.filter(|_| !names_its_node(&extra.value)) {
        line = line.fixed(&format!("--hostname celery{number}@%h"));
    }
    let (environment, path) = shop.variables(&galaxys(shop.instance), section, "celery");
    Member {
        command: line.words(&extra).finish(|span| reading.place(span)),
        environment,
        path,
        umask: shop.umask(section),
        memory: shop.memory(section),
        start: section.int("start_timeout"),
        stop: stop_time::celery(section),
        stop_goes_to: StopGoesTo::Main,
        server_name: None,
        ready: None,
    }
}

/// Whether the arguments say what the worker is called.
fn names_its_node(arguments: &str) -> bool {
    let words = shlex::split(arguments).unwrap_or_default();
    words.iter().any(|word| word == "-n" || word == "--hostname" || word.starts_with("--hostname="))
}

fn beat(reading: &Reading<'_>, shop: &Workshop<'_>, section: &Section) -> Service {
    const NAME: &str = "celery-beat";
    let instance = shop.instance;
    let schedule = instance.data.map(|data| format!("{data}/celerybeat-schedule"));
    let line = CommandLine::new(instance.virtualenv.as_ref(), "celery", section.span)
        .fixed("--app galaxy.celery beat")
        .option("--loglevel", &section.text("loglevel"))
        .option("--schedule", &schedule);
    let (environment, path) = shop.variables(&galaxys(instance), section, NAME);
    alone(
        NAME,
        section,
        Member {
            command: line.finish(|span| reading.place(span)),
            environment,
            path,
            umask: shop.umask(section),
            memory: shop.memory(section),
            start: section.int("start_timeout"),
            stop: stop_time::other(section),
            stop_goes_to: StopGoesTo::Main,
            server_name: None,
            ready: None,
        },
    )
}

fn alone(kind: &'static str, section: &Section, member: Member) -> Service {
    Service { kind, name: kind.to_owned(), span: section.span, members: vec![member], count: None }
}

fn tusds(reading: &mut Reading<'_>, shop: &Workshop<'_>) -> Vec<Service> {
    let instance = shop.instance;
    let members = enabled(reading, instance, "tusd", TUSD).into_iter().map(|(number, section)| {
        let member = tusd(reading, shop, &section);
        (number, section, member)
    });
    let members = members.collect();
    several(instance, "tusd", members, is_list(instance, "tusd"))
}

fn tusd(reading: &mut Reading<'_>, shop: &Workshop<'_>, section: &Section) -> Member {
    let upload = section.text("upload_dir");
    if upload.value.is_empty() {
        let text = "tusd is enabled, but not where uploads go".to_owned();
        let help = "set it to the value of tus_upload_store in the galaxy section";
        reading.error(upload.span, &section.path, "upload_dir", text, help);
    }
    let mut hooks = section.text("hooks_http");
    if hooks.value.starts_with('/') {
        let galaxy = &shop.instance.galaxy;
        if let Some(url) = galaxy.text_of("galaxy_infrastructure_url").filter(|url| !url.is_empty()) {
            hooks.value = format!("{}{}", url.trim_end_matches('/'), hooks.value);
        } else {
            let text = "tusd is enabled, but Galaxy's own address is not known".to_owned();
            let help = "add it to the galaxy section";
            reading.error(section.span, "galaxy", "galaxy_infrastructure_url", text, help);
        }
    }
    let extra = extra_arguments(reading, section);
    let line = program(&section.text("tusd_path"))
        .word("-host=", &section.text("host"))
        .word("-port=", &section.int("port"))
        .word("-upload-dir=", &upload)
        .word("-hooks-http=", &hooks)
        .fixed("-hooks-http-forward-headers=X-Api-Key,Cookie")
        .words(&extra)
        .option("-hooks-enabled-events", &section.text("hooks_enabled_events"));
    service_member(reading, shop, section, line, &[], "tusd", StopGoesTo::Main)
}

/// A command line whose program a person names.
fn program(name: &Sourced<String>) -> CommandLine {
    CommandLine::new(None, &name.value, name.span)
}

/// What is alike for the services that stop at once.
fn service_member(
    reading: &Reading<'_>,
    shop: &Workshop<'_>,
    section: &Section,
    line: CommandLine,
    usual: &[(&str, &str)],
    name: &str,
    stop_goes_to: StopGoesTo,
) -> Member {
    let (environment, path): (Variables, _) = shop.variables(usual, section, name);
    Member {
        command: line.finish(|span| reading.place(span)),
        environment,
        path,
        umask: shop.umask(section),
        memory: shop.memory(section),
        start: section.int("start_timeout"),
        stop: stop_time::other(section),
        stop_goes_to,
        server_name: None,
        ready: None,
    }
}

fn proxy(reading: &mut Reading<'_>, shop: &Workshop<'_>) -> Option<Service> {
    const NAME: &str = "gx-it-proxy";
    let section = section(reading, shop.instance, "gx_it_proxy", GX_IT_PROXY);
    if !section.is_on("enable") {
        return None;
    }
    let galaxy = &shop.instance.galaxy;
    if !galaxy.is_on("interactivetools_enable") {
        let text = "gx-it-proxy is enabled, but Galaxy's interactive tools are not".to_owned();
        let help = "add interactivetools_enable: true to the galaxy section";
        reading.error(section.span, "galaxy", "interactivetools_enable", text, help);
    }
    let mut sessions = section.text("sessions");
    for key in ["interactivetoolsproxy_map", "interactivetools_map"] {
        if let (Some(file), Some(part)) = (galaxy.text_of(key), galaxy.get(key)) {
            let origin = super::settings::Origin::Written(format!("galaxy.{key}"));
            sessions = Sourced { value: file, span: reading.span(&part), origin };
            break;
        }
    }
    let version = section.text("version").map(|version| format!("@galaxyproject/gx-it-proxy@{version}"));
    let mut line = CommandLine::new(shop.instance.virtualenv.as_ref(), "npx", section.span)
        .word("", &version)
        .option("--ip", &section.text("ip"))
        .option("--port", &section.int("port"))
        .option("--sessions", &sessions);
    if section.is_on("verbose") {
        line = line.fixed("--verbose");
    }
    if let Some(ip) = section.optional_text("forward_ip").filter(|ip| !ip.value.is_empty()) {
        line = line.option("--forwardIP", &ip);
    }
    if let Some(port) = section.optional_int("forward_port").filter(|port| port.value != 0) {
        line = line.option("--forwardPort", &port);
    }
    if section.is_on("reverse_proxy") {
        line = line.fixed("--reverseProxy");
    }
    let prefix = Sourced::said(proxy_prefix(galaxy), section.span, "galaxy section");
    let line = line.option("--proxyPathPrefix", &prefix);
    let usual = [("npm_config_yes", "true")];
    // npm hands signals on unreliably.
    let member = service_member(reading, shop, &section, line, &usual, NAME, StopGoesTo::Group);
    Some(alone(NAME, &section, member))
}

fn proxy_prefix(galaxy: &Part) -> String {
    let base = galaxy.text_of("interactivetools_base_path").unwrap_or_default();
    let base = base.trim_matches('/');
    let prefix = galaxy.text_of("interactivetools_prefix").unwrap_or_else(|| "interactivetool".to_owned());
    if base.is_empty() { format!("/{prefix}/ep") } else { format!("/{base}/{prefix}/ep") }
}

fn reports(reading: &mut Reading<'_>, shop: &Workshop<'_>) -> Option<Service> {
    const NAME: &str = "reports";
    let instance = shop.instance;
    let section = section(reading, instance, NAME, REPORTS);
    if !section.is_on("enable") {
        return None;
    }
    let file = section.text("config_file").map(|file| path::join(&instance.config_directory, file));
    if !reading.exists(&file.value) {
        let text = format!("reports are enabled, but there is no {}", file.value);
        reading.error(file.span, &section.path, "config_file", text, "make the file, or name the one that there is");
    }
    let extra = extra_arguments(reading, &section);
    let mut line = CommandLine::new(instance.virtualenv.as_ref(), "gunicorn", section.span)
        .fixed("'galaxy.webapps.reports.fast_factory:factory()'")
        .option("--timeout", &section.int("timeout"))
        .fixed("--pythonpath lib -k uvicorn.workers.UvicornWorker")
        .option("-b", &section.text("bind"))
        .word("--workers=", &section.int("workers"))
        .fixed("--config python:galaxy.web_stack.gunicorn_config");
    if let Some(prefix) = section.optional_text("url_prefix").filter(|prefix| !prefix.value.is_empty()) {
        line = line.fixed("--env").word("SCRIPT_NAME=", &prefix);
    }
    let usual = [("PYTHONPATH", "lib"), ("GALAXY_REPORTS_CONFIG", file.value.as_str())];
    let mut member = service_member(reading, shop, &section, line.words(&extra), &usual, NAME, StopGoesTo::Main);
    member.stop = stop_time::gunicorn(&section);
    Some(alone(NAME, &section, member))
}

/// What sends Galaxy's events to browsers; where it does not run, a web worker does its work. Gravity does not know it.
fn monitor(reading: &mut Reading<'_>, shop: &Workshop<'_>) -> Option<Service> {
    const NAME: &str = "sse-monitor";
    let instance = shop.instance;
    let section = section(reading, instance, "sse_monitor", SSE_MONITOR);
    if !section.switch("enable").unwrap_or_else(|| instance.galaxy.is_on("enable_sse_updates")) {
        return None;
    }
    let virtualenv = instance.virtualenv.as_ref();
    let line = if instance.is_installed {
        CommandLine::new(virtualenv, "galaxy-sse-monitor", section.span)
    } else {
        CommandLine::new(virtualenv, "python", section.span).fixed("-m galaxy.sse_monitor")
    };
    let member = service_member(reading, shop, &section, line, &galaxys(instance), NAME, StopGoesTo::Main);
    Some(alone(NAME, &section, member))
}

/// The arguments that a person added, if they can be split.
fn extra_arguments(reading: &mut Reading<'_>, section: &Section) -> Sourced<String> {
    let extra = section.text("extra_args");
    if let Err(error) = shlex::split(&extra.value) {
        let help = "close every quote";
        reading.error(extra.span, &section.path, "extra_args", format!("it cannot be split: {error}"), help);
    }
    extra
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_first_two_numbers() {
        for (text, wanted) in [("25.1.0", Some((25, 1))), ("23.0", Some((23, 0))), ("26", Some((26, 0))), ("x", None)] {
            assert_eq!(version(text), wanted, "{text}");
        }
    }
}
