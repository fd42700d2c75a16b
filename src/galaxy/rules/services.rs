//! gunicorn, celery, tusd, the proxy of interactive tools, and what all of them stand in.

use std::collections::BTreeSet;

use crate::config::{LogFile, ServerConfig, is_galaxy_yml};
use crate::galaxy::deployment::{Deployment, Galaxy, Location, Program};
use crate::galaxy::finding::Findings;
use crate::galaxy::program::Role;
use crate::yaml::Node;

/// A longer path of a socket some libraries refuse, bytes.
const SOCKET_PATH_MAX: usize = 103;

/// Descriptors of a Galaxy process beside its connections: logs, queues, the files of the tools in hand. An estimate.
const DESCRIPTORS_APART: i64 = 64;

/// Galaxy's connections to its database where nothing is set. Source: Galaxy's configuration schema.
const POOL_SIZE: i64 = 5;
const POOL_OVERFLOW: i64 = 10;

/// What Galaxy sends its tasks to.
const QUEUES: &[&str] = &["celery", "galaxy.internal", "galaxy.external"];

pub(super) fn apply(deployment: &Deployment<'_>, findings: &mut Findings) {
    for program in &deployment.programs {
        match program.role {
            Role::Gunicorn if !program.has_own_file() => gunicorn(deployment, program, findings),
            Role::CeleryWorker | Role::CeleryBeat if program.variable("GALAXY_CONFIG_FILE").is_none() => {
                let text = format!("{} has no GALAXY_CONFIG_FILE", program.shown());
                findings.add("GX091", deployment.place(program, "environment"), text);
            }
            Role::Handler => handler(deployment, program, findings),
            _ => {}
        }
        environment(deployment, program, findings);
    }
    leaks(deployment, findings);
    descriptors(deployment, findings);
    for (index, galaxy) in deployment.galaxies.iter().enumerate() {
        celery(deployment, index, galaxy, findings);
        uploads(deployment, index, galaxy, findings);
        proxy(deployment, index, galaxy, findings);
        together(deployment, index, findings);
    }
    for server in &deployment.config.servers {
        if let ServerConfig::Unix(server) = server {
            let path = server.file.to_string_lossy();
            let place = deployment.loaded.place(&server.section, Some("file"));
            let place = place.map(|place| Location { file: place.file, line: place.line });
            socket_path(&path, place, findings);
        }
    }
}

fn socket_path(path: &str, place: Option<Location>, findings: &mut Findings) {
    if path.len() > SOCKET_PATH_MAX {
        findings.add("GX106", place, format!("the path {path} has {} bytes", path.len()));
    }
}

fn gunicorn(deployment: &Deployment<'_>, program: &Program<'_>, findings: &mut Findings) {
    let command = || deployment.place(program, "command");
    let allowed = program.invocation.option(&["--forwarded-allow-ips"]);
    let trusts_all = allowed.or_else(|| program.variable("FORWARDED_ALLOW_IPS")) == Some("*");
    let binds = program.invocation.options(&["-b", "--bind"]);
    for bind in &binds {
        if let Some(path) = bind.strip_prefix("unix:") {
            socket_path(path, command(), findings);
            if !trusts_all {
                let text = format!("{} listens at a Unix socket without --forwarded-allow-ips=*", program.shown());
                findings.add("GX084", command(), text);
            }
        } else if trusts_all && !bind.starts_with("fd:") && !is_local(bind) {
            let text = format!("{} listens at {bind} with --forwarded-allow-ips=*", program.shown());
            findings.add("GX085", command(), text);
        }
    }
    let class = program.invocation.option(&["-k", "--worker-class"]);
    if class.is_none_or(|class| !class.starts_with("galaxy.")) {
        let text = format!("{} has the worker class {}", program.shown(), class.unwrap_or("sync"));
        findings.add("GX086", command(), text);
    }
}

fn is_local(bind: &str) -> bool {
    ["localhost", "127.", "[::1]"].iter().any(|host| bind.starts_with(host))
}

fn handler(deployment: &Deployment<'_>, program: &Program<'_>, findings: &mut Findings) {
    let named = program.invocation.option(&["-c", "--config-file", "--config"]);
    let inherited = program.variable("GALAXY_CONFIG_FILE");
    if let Some((named, inherited)) = named.zip(inherited)
        && !is_same_file(program, named, inherited)
    {
        let text = format!("{} has -c {named} and GALAXY_CONFIG_FILE {inherited}", program.shown());
        findings.add("GX092", deployment.place(program, "environment"), text);
    }
    let own = program.invocation.option(&["--log-file"]);
    let logs = [&program.process.stdout.file, &program.process.stderr.file];
    let is_shared = |file: &&LogFile| matches!(file, LogFile::Path(path) if Some(path.as_str()) == own);
    if let Some(LogFile::Path(path)) = logs.into_iter().find(is_shared) {
        let text = format!("{} and its supervisor both write {path}", program.shown());
        findings.add("GX102", deployment.place(program, "stdout_logfile"), text);
    }
}

/// Whether two paths of a program name the same file, as far as the texts tell.
fn is_same_file(program: &Program<'_>, one: &str, other: &str) -> bool {
    let directory = std::path::Path::new(program.process.directory.as_deref().unwrap_or("/"));
    directory.join(one).components().eq(directory.join(other).components())
}

/// What Python heeds and every program gets.
fn leaks(deployment: &Deployment<'_>, findings: &mut Findings) {
    let has_galaxy = deployment.programs.iter().any(|program| program.role.is_galaxy());
    let variables = &deployment.config.daemon.environment;
    for name in ["PYTHONHOME", "PYTHONPATH"].into_iter().filter(|name| has_galaxy && variables.contains_key(*name)) {
        let place = deployment.loaded.place("supervisord", Some("environment"));
        let place = place.map(|place| Location { file: place.file, line: place.line });
        findings.add("GX098", place, format!("[supervisord] gives every program {name}"));
    }
}

/// Programs that may have more open than `minfds` gives them.
fn descriptors(deployment: &Deployment<'_>, findings: &mut Findings) {
    let minfds = deployment.config.daemon.minfds;
    for program in deployment.programs.iter().filter(|program| program.role.is_galaxy()) {
        let Some(galaxy) = deployment.galaxy_of(program).filter(|galaxy| galaxy.settings.is_some()) else { continue };
        let number = |name: &str, default| galaxy.setting(name).and_then(Node::integer).unwrap_or(default);
        let database = number("database_engine_option_pool_size", POOL_SIZE)
            + number("database_engine_option_max_overflow", POOL_OVERFLOW);
        let at_once = connections(program);
        let needed = DESCRIPTORS_APART + database.max(0) + at_once;
        if minfds < needed {
            let place = deployment.loaded.place("supervisord", Some("minfds"));
            let place = place.map(|place| Location { file: place.file, line: place.line });
            let text = format!(
                "minfds is {minfds}; {} may have {database} connections to its database and {at_once} of clients",
                program.shown()
            );
            findings.add("GX101", place, text);
        }
    }
}

/// How many clients one process of a web server serves at once, as far as its command and its file tell.
fn connections(program: &Program<'_>) -> i64 {
    let words = match program.role {
        Role::Gunicorn => {
            vec![program.invocation.option(&["--threads"]), program.invocation.option(&["--worker-connections"])]
        }
        role if role.is_uwsgi() => {
            let value =
                |name| program.options().and_then(|options| options.last(name)).map(|option| option.value.as_str());
            ["threads", "async", "gevent"].map(value).to_vec()
        }
        _ => Vec::new(),
    };
    words.into_iter().flatten().filter_map(|word| word.parse::<i64>().ok()).max().unwrap_or_default().max(0)
}

/// Users and the virtual environment.
fn environment(deployment: &Deployment<'_>, program: &Program<'_>, findings: &mut Findings) {
    let daemon = deployment.config.daemon.user.as_ref();
    let own = program.process.user.as_ref();
    let drops = program.options().is_some_and(|options| options.has("uid"));
    let is_part = program.role.is_galaxy() || program.role == Role::RunScript;
    if is_part && own.or(daemon).is_some_and(|user| user.uid == 0) && !drops {
        let text = format!("{} runs as root", program.shown());
        findings.add("GX077", deployment.place(program, "user"), text);
    }
    let first = program.invocation.words.first().map(String::as_str).unwrap_or_default();
    let has_own = program.variable("VIRTUAL_ENV").is_some() || program.variable("PATH").is_some();
    let is_found = first.contains('/') || has_own || !program.process.extras.environment_files.is_empty();
    if program.role.is_galaxy() && !is_found {
        let text = format!("{} runs {first} from whatever PATH the daemon has", program.shown());
        findings.add("GX097", deployment.place(program, "command"), text);
    }
}

fn celery(deployment: &Deployment<'_>, index: usize, galaxy: &Galaxy, findings: &mut Findings) {
    if !galaxy.is_on("enable_celery_tasks") {
        return;
    }
    let place = || Some(galaxy.place("enable_celery_tasks"));
    let workers = deployment.of(index, |role| role == Role::CeleryWorker);
    if workers.is_empty() {
        findings.add("GX088", place(), "no program runs a celery worker".to_owned());
    } else {
        let queues = workers.iter().map(|program| program.invocation.option(&["--queues", "-Q"]).unwrap_or("celery"));
        let consumed: BTreeSet<_> = queues.flat_map(|queues| queues.split(',').map(str::trim)).collect();
        let mut missing = routed(galaxy);
        missing.retain(|queue| !consumed.contains(queue.as_str()));
        if !missing.is_empty() {
            findings.add("GX089", place(), format!("nobody consumes {}", missing.join(", ")));
        }
    }
    let conf = galaxy.setting("celery_conf");
    let written = |name: &str| conf.and_then(|conf| conf.get(name)).and_then(|node| node.text());
    let database = galaxy.text("database_connection").unwrap_or("sqlite");
    let broker = written("broker_url").or_else(|| galaxy.text("amqp_internal_connection")).unwrap_or(database);
    let backend = written("result_backend").unwrap_or("sqlite");
    for (what, url) in [("broker", broker), ("result backend", backend)] {
        if url.contains("sqlite") {
            findings.add("GX090", place(), format!("the {what} of celery is a SQLite file"));
        }
    }
}

/// The queues that tasks are sent to: Galaxy's own, and those of `task_routes`.
fn routed(galaxy: &Galaxy) -> Vec<String> {
    let routes = galaxy.setting("celery_conf").and_then(|conf| conf.get("task_routes"));
    let written = routes.and_then(|routes| routes.entries()).unwrap_or_default();
    let own = written.iter().filter_map(|entry| {
        let queue = entry.value.get("queue").unwrap_or(&entry.value);
        queue.text().map(str::to_owned)
    });
    let mut queues: Vec<String> = own.collect();
    if routes.is_none() {
        queues.extend(QUEUES.iter().map(|queue| (*queue).to_owned()));
    }
    queues.sort();
    queues.dedup();
    queues
}

fn uploads(deployment: &Deployment<'_>, index: usize, galaxy: &Galaxy, findings: &mut Findings) {
    for program in deployment.of(index, |role| role == Role::Tusd) {
        let command = || deployment.place(program, "command");
        let directory = program.invocation.option(&["-upload-dir", "--upload-dir"]);
        let store = galaxy.text("tus_upload_store").or_else(|| galaxy.text("new_file_path"));
        if let Some((directory, store)) = directory.zip(store)
            && !is_same_file(program, directory, store)
        {
            let text = format!("{} stores in {directory}, Galaxy looks in {store}", program.shown());
            findings.add("GX093", command(), text);
        }
        let hook = program.invocation.option(&["-hooks-http", "--hooks-http"]);
        if hook.is_none_or(|hook| !hook.contains("://")) {
            findings.add("GX094", command(), format!("{} has no address of Galaxy in -hooks-http", program.shown()));
        }
    }
}

fn proxy(deployment: &Deployment<'_>, index: usize, galaxy: &Galaxy, findings: &mut Findings) {
    let proxies = deployment.of(index, |role| role == Role::ItProxy);
    let is_enabled = galaxy.is_on("interactivetools_enable");
    if galaxy.settings.is_some() && is_enabled == proxies.is_empty() {
        let (place, text) = match proxies.first() {
            Some(program) => (deployment.place(program, "command"), "interactivetools_enable is off"),
            None => (Some(galaxy.place("interactivetools_enable")), "no program runs gx-it-proxy"),
        };
        findings.add("GX096", place, text.to_owned());
    }
    for program in proxies {
        let sessions = program.invocation.option(&["--sessions"]);
        if let Some((sessions, map)) = sessions.zip(galaxy.text("interactivetools_map"))
            && !is_same_file(program, sessions, map)
        {
            let text = format!("{} reads {sessions}, Galaxy writes {map}", program.shown());
            findings.add("GX095", deployment.place(program, "command"), text);
        }
    }
}

/// What the processes of one Galaxy have in common.
fn together(deployment: &Deployment<'_>, index: usize, findings: &mut Findings) {
    let programs = deployment.of(index, Role::is_galaxy);
    let Some((first, rest)) = programs.split_first() else { return };
    let daemon = &deployment.config.daemon;
    let umask = |program: &Program<'_>| program.process.umask.unwrap_or(daemon.umask);
    let user = |program: &Program<'_>| program.process.user.as_ref().or(daemon.user.as_ref()).map(|user| user.uid);
    // Of a galaxy.yml nobody chooses them, and Gravity's commands without a name mean all of them.
    let has_gravitys_groups = deployment.loaded.files.first().is_some_and(|(path, _)| is_galaxy_yml(path));
    for program in rest {
        if umask(program) != umask(first) {
            let text = format!("{} has another umask than {}", program.shown(), first.shown());
            findings.add("GX099", deployment.place(program, "umask"), text);
        }
        if user(program) != user(first) {
            let text = format!("{} runs as another user than {}", program.shown(), first.shown());
            findings.add("GX100", deployment.place(program, "user"), text);
        }
        if program.group != first.group && !has_gravitys_groups {
            let text =
                format!("{} is in the group {}, {} in {}", program.shown(), program.group, first.shown(), first.group);
            findings.add("GX108", deployment.place(program, "command"), text);
        }
    }
}
