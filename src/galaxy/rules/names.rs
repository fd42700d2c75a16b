//! Masters, names and what there must be one of.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Passing, is_galaxy_yml};
use crate::galaxy::deployment::{Deployment, Galaxy, Program};
use crate::galaxy::finding::Findings;
use crate::galaxy::program::Role;

pub(super) fn apply(deployment: &Deployment<'_>, findings: &mut Findings) {
    for (index, galaxy) in deployment.galaxies.iter().enumerate() {
        masters(deployment, index, findings);
        server_names(deployment, index, findings);
        gunicorns(deployment, index, galaxy, findings);
        celery(deployment, index, findings);
    }
    for program in deployment.programs.iter().filter(|program| program.role == Role::Gunicorn) {
        let workers = program.invocation.option(&["-w", "--workers"]).and_then(|text| text.parse::<u32>().ok());
        let is_named = program.invocation.option(&["--config", "-c"]).is_some();
        if workers.is_some_and(|workers| workers > 1) && !is_named {
            let text = format!("{} has several workers and no --config that names them", program.shown());
            findings.add("GX037", deployment.place(program, "command"), text);
        }
    }
    shared_files(deployment, findings);
    addresses(deployment, findings);
}

fn masters(deployment: &Deployment<'_>, index: usize, findings: &mut Findings) {
    let masters = deployment.of(index, |role| matches!(role, Role::Uwsgi | Role::Zergling));
    let has_mules = masters.iter().any(|program| program.options().is_some_and(|options| options.has("mule")));
    if has_mules && let [_, .., last] = masters.as_slice() {
        let text = format!("there are {} uWSGI masters with mules", masters.len());
        findings.add("GX031", deployment.place(last, "command"), text);
    }
}

fn server_names(deployment: &Deployment<'_>, index: usize, findings: &mut Findings) {
    let mut known = BTreeMap::new();
    for program in deployment.of(index, |role| role == Role::Handler) {
        let name = program.server_name();
        if let Some(first) = known.insert(name, program.shown()) {
            let own = program.shown();
            let text = if first == own {
                format!("several processes of {own} have the server name {name}")
            } else {
                format!("{own} has the server name {name}, as {first} has")
            };
            findings.add("GX032", deployment.place(program, "command"), text);
        }
    }
}

fn gunicorns(deployment: &Deployment<'_>, index: usize, galaxy: &Galaxy, findings: &mut Findings) {
    let gunicorns = deployment.of(index, |role| role == Role::Gunicorn);
    let [_, .., last] = gunicorns.as_slice() else { return };
    if galaxy.jobs.as_ref().is_some_and(|jobs| !jobs.has_handlers() && !jobs.is_partial) {
        let text = format!("there are {} gunicorns, and no job handlers are configured", gunicorns.len());
        findings.add("GX035", deployment.place(last, "command"), text);
    }
    if let Some(blind) = gunicorns.iter().find(|program| program.process.extras.ready.is_none()) {
        let place = deployment.place(blind, "ready");
        // A galaxy.yml has no such key.
        if !place.as_ref().is_some_and(|place| is_galaxy_yml(&place.file)) {
            let text = format!("{} is one of several gunicorns and has no `ready`", blind.shown());
            findings.add("GX109", place, text);
        }
    }
    let mut names = BTreeMap::new();
    let mut control = BTreeSet::new();
    for program in gunicorns {
        let set = program.variable("GALAXY_CONFIG_SERVER_NAME");
        let name = set.or_else(|| galaxy.text("server_name")).unwrap_or("main").to_owned();
        if let Some(first) = names.insert(name.clone(), program.shown()) {
            let text = format!("{} is called {name}, as another process of {first} is", program.shown());
            findings.add("GX036", deployment.place(program, "environment"), text);
        }
        let has_own = program.invocation.words.iter().any(|word| word.contains("control-socket"));
        let user = program.process.user.as_ref().map(|user| user.uid);
        let folder = program.variable("XDG_RUNTIME_DIR").map(str::to_owned);
        if !has_own && !control.insert((user, folder)) {
            let text = format!("{} opens the control socket that another gunicorn has", program.shown());
            findings.add("GX087", deployment.place(program, "command"), text);
        }
    }
}

fn celery(deployment: &Deployment<'_>, index: usize, findings: &mut Findings) {
    let beats = deployment.of(index, |role| role == Role::CeleryBeat);
    if let [_, .., last] = beats.as_slice() {
        let text = format!("there are {} celery beats", beats.len());
        findings.add("GX038", deployment.place(last, "command"), text);
    }
    let mut nodes = BTreeMap::new();
    for program in deployment.of(index, |role| role == Role::CeleryWorker) {
        let name = program.invocation.option(&["-n", "--hostname"]).unwrap_or("celery@%h");
        if let Some(first) = nodes.insert(name, program.shown()) {
            let text = format!("{} is the node {name}, as a process of {first} is", program.shown());
            findings.add("GX039", deployment.place(program, "command"), text);
        }
    }
}

/// What processes of one section may not share.
fn shared_files(deployment: &Deployment<'_>, findings: &mut Findings) {
    let mut known = BTreeSet::new();
    for program in &deployment.programs {
        let section = program.process.section.as_str();
        let mut taken = vec![("--pid-file", "GX040"), ("--stats", "GX040"), ("--log-file", "GX103")];
        if program.role == Role::Gunicorn && given(program).is_none() {
            taken.extend([("-b", "GX040"), ("--bind", "GX040")]);
        }
        for (option, code) in taken {
            let Some(value) = program.invocation.option(&[option]) else { continue };
            if !known.insert((section, option, value.to_owned())) {
                let text = format!("several processes of {} have {option} {value}", program.shown());
                findings.add(code, deployment.place(program, "command"), text);
            }
        }
    }
}

/// Where programs of different sections listen. Who is given one socket by the daemon shares it knowingly.
fn addresses(deployment: &Deployment<'_>, findings: &mut Findings) {
    let mut known: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for program in &deployment.programs {
        let given = given(program);
        unused(deployment, program, given, findings);
        let of_daemon = given.and_then(address).map(|address| (address, true));
        for (address, is_given) in listening(program).into_iter().map(|own| (own, false)).chain(of_daemon) {
            let section = &program.process.section;
            let (first, was_given) = known.entry(address.clone()).or_insert_with(|| (section.clone(), is_given));
            if first != section && !(is_given && *was_given) {
                let text = format!("{} listens at {address}, as [{first}] does", program.shown());
                findings.add("GX041", deployment.place(program, "command"), text);
            }
        }
    }
}

/// The address of the socket that the daemon gives to a program.
pub(super) fn given<'a>(program: &Program<'a>) -> Option<&'a str> {
    let socket = program.process.socket.as_ref().filter(|socket| socket.passing == Passing::Listen)?;
    Some(socket.url.strip_prefix("unix://").or(socket.url.strip_prefix("tcp://")).unwrap_or(&socket.url))
}

/// A socket, or an address of the program's own, that is of no use.
fn unused(deployment: &Deployment<'_>, program: &Program<'_>, given: Option<&str>, findings: &mut Findings) {
    let Some(given) = given else { return };
    let bind = program.invocation.options(&["-b", "--bind"]).into_iter().find(|bind| !bind.starts_with("fd:"));
    let text = match (program.role, bind) {
        (Role::Gunicorn | Role::Reports, Some(bind)) => {
            format!("{} is given {given} and does not listen at {bind}", program.shown())
        }
        (Role::Handler | Role::CeleryWorker | Role::CeleryBeat | Role::Tusd | Role::ItProxy, _) => {
            format!("{} accepts nothing at {given}", program.shown())
        }
        _ => return,
    };
    findings.add("GX115", deployment.place(program, "socket"), text);
}

/// The addresses that a program opens itself, spelled alike.
pub(super) fn listening(program: &Program<'_>) -> Vec<String> {
    let words = match program.role {
        Role::Gunicorn | Role::Reports if given(program).is_none() => program.invocation.options(&["-b", "--bind"]),
        Role::Uwsgi => {
            let options = program.options();
            let names = ["socket", "http-socket", "http", "https", "uwsgi-socket", "shared-socket"];
            let found = options.into_iter().flat_map(|options| names.map(|name| options.last(name)));
            found.flatten().map(|option| option.value.split(',').next().unwrap_or_default()).collect()
        }
        _ => Vec::new(),
    };
    let mut found: Vec<_> = words.into_iter().filter_map(address).collect();
    if program.role == Role::Tusd {
        let port = program.invocation.option(&["-port", "--port"]).unwrap_or("1080");
        found.extend(address(&format!("localhost:{port}")));
    }
    if program.role == Role::ItProxy {
        found.extend(program.invocation.option(&["--port"]).and_then(|port| address(&format!("localhost:{port}"))));
    }
    found
}

/// `localhost` is 127.0.0.1, and so is whatever binds all; `=0` and variables are none.
pub(super) fn address(text: &str) -> Option<String> {
    let text = text.strip_prefix("unix:").unwrap_or(text);
    if text.is_empty() || text.contains("$(") || text.starts_with('=') || text.starts_with("fd:") {
        return None;
    }
    let port = text.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    Some(match port {
        Some(("" | "localhost" | "127.0.0.1" | "0.0.0.0" | "*", port)) => format!(":{port}"),
        _ => text.to_owned(),
    })
}
