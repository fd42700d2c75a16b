//! Stop and start times.

use crate::config::is_galaxy_yml;
use crate::engine::AutoRestart;
use crate::galaxy::deployment::{Deployment, Galaxy, Program};
use crate::galaxy::finding::Findings;
use crate::galaxy::jobconf::{JobConf, Plugin};
use crate::galaxy::program::Role;
use crate::galaxy::uwsgi::UwsgiOptions;

/// uWSGI's mercies where they are not set, seconds.
const MERCY: i64 = 60;

/// gunicorn's `graceful_timeout` and `timeout` where they are not set, seconds.
const GUNICORN_TIMEOUT: i64 = 30;

/// No Galaxy was seen to load faster on a machine with other work, seconds.
const BOOT: i64 = 60;

pub(super) fn apply(deployment: &Deployment<'_>, findings: &mut Findings) {
    for program in &deployment.programs {
        let is_given = deployment.is_written(program, "stopwaitsecs");
        let is_asked = program.role.is_web() || program.role == Role::Handler;
        if is_asked && !is_given {
            let text = format!("{} has no stopwaitsecs", program.shown());
            findings.add("GX005", deployment.place(program, "stopwaitsecs"), text);
        }
        match program.role {
            Role::Uwsgi | Role::Zergling => uwsgi(deployment, program, is_given, findings),
            Role::Handler => {
                handler(deployment, program, is_given, findings);
                local_jobs(deployment, program, findings);
            }
            Role::Gunicorn if !program.has_own_file() => gunicorn(deployment, program, is_given, findings),
            Role::CeleryWorker => celery(deployment, program, findings),
            _ => {}
        }
        if is_asked && program.process.startsecs <= 0 {
            let text = format!("{} has startsecs = {}", program.shown(), program.process.startsecs);
            findings.add("GX013", deployment.place(program, "startsecs"), text);
        }
        if program.role == Role::Zergling && program.process.autorestart == AutoRestart::Always {
            let text = format!("{} is a zergling with autorestart = true", program.shown());
            findings.add("GX014", deployment.place(program, "autorestart"), text);
        }
    }
    for galaxy in &deployment.galaxies {
        let is_clustered = galaxy.jobs.as_ref().is_some_and(|jobs| !jobs.plugins.iter().all(Plugin::is_local));
        if galaxy.join_timeout() == Some(0) && is_clustered {
            let text = "monitor_thread_join_timeout is 0, and jobs run on a cluster".to_owned();
            findings.add("GX008", Some(galaxy.place("monitor_thread_join_timeout")), text);
        }
    }
}

fn mercy(options: &UwsgiOptions, name: &str) -> i64 {
    options.number(name).unwrap_or(MERCY)
}

fn uwsgi(deployment: &Deployment<'_>, program: &Program<'_>, is_given: bool, findings: &mut Findings) {
    let Some(options) = program.options() else { return };
    let [any, workers, mules] =
        ["reload-mercy", "worker-reload-mercy", "mule-reload-mercy"].map(|name| mercy(options, name));
    let has_mules = options.has("mule");
    let (least, most) = (any.min(workers).min(mules), if has_mules { workers.max(mules) } else { workers });
    let seconds = program.process.stopwaitsecs;
    let place = || deployment.place(program, "stopwaitsecs");
    if is_given && seconds < least {
        let text = format!("{} has stopwaitsecs = {seconds}, its children are given {least} seconds", program.shown());
        findings.add("GX001", place(), text);
    } else if is_given && seconds < most {
        let text =
            format!("{} has stopwaitsecs = {seconds}, the slowest child is given {most} seconds", program.shown());
        findings.add("GX002", place(), text);
    }
    let Some((timeout, jobs)) = known_jobs(deployment, program) else { return };
    let needed = timeout * count(jobs.plugins.len());
    let complain = |findings: &mut Findings, code, name: &str, given| {
        let text = format!("{name} is {given}, job threads may take {needed} seconds");
        let line = options.last(name).map_or(1, |option| option.line);
        let place = crate::galaxy::Location { file: program.uwsgi_file.clone(), line: line.max(1) };
        findings.add(code, Some(place), text);
    };
    if !has_mules && !jobs.has_handlers() && workers <= needed {
        complain(findings, "GX006", "worker-reload-mercy", workers);
    }
    if has_mules && mules <= needed {
        complain(findings, "GX007", "mule-reload-mercy", mules);
    }
}

/// The seconds that a thread may take, and the job configuration, where both are known.
fn known_jobs<'a>(deployment: &'a Deployment<'_>, program: &Program<'_>) -> Option<(i64, &'a JobConf)> {
    let galaxy = deployment.galaxy_of(program)?;
    Some((galaxy.join_timeout()?, galaxy.jobs.as_ref()?))
}

fn handler(deployment: &Deployment<'_>, program: &Program<'_>, is_given: bool, findings: &mut Findings) {
    let Some(galaxy) = deployment.galaxy_of(program).filter(|_| is_given) else { return };
    let (Some(timeout), Some(jobs)) = (galaxy.join_timeout(), &galaxy.jobs) else { return };
    let plugins = loaded_by(program, jobs);
    let seconds = program.process.stopwaitsecs;
    let place = || deployment.place(program, "stopwaitsecs");
    let least = timeout * count(plugins.len());
    let most = longest_stop(deployment, program, galaxy, &plugins, timeout);
    if seconds < least {
        let text = format!(
            "{} has stopwaitsecs = {seconds}, {} runner plugins of {timeout} seconds each need {least}",
            program.shown(),
            plugins.len()
        );
        findings.add("GX003", place(), text);
    } else if seconds < most {
        let text = format!("{} has stopwaitsecs = {seconds}, its threads may take {most} seconds", program.shown());
        findings.add("GX004", place(), text);
    }
}

/// `killasgroup` of a handler whose jobs have groups of their own. Of a galaxy.yml nobody chooses it.
fn local_jobs(deployment: &Deployment<'_>, program: &Program<'_>, findings: &mut Findings) {
    if !program.process.killasgroup || program.process.extras.killtree || !runs_local_jobs(deployment, program) {
        return;
    }
    let place = deployment.place(program, "killasgroup");
    if !place.as_ref().is_some_and(|place| is_galaxy_yml(&place.file)) {
        let text = format!("{} runs local jobs, each in a process group of its own", program.shown());
        findings.add("GX030", place, text);
    }
}

/// Whether a handler loads the runner whose jobs are its children.
pub(super) fn runs_local_jobs(deployment: &Deployment<'_>, program: &Program<'_>) -> bool {
    let jobs = deployment.galaxy_of(program).and_then(|galaxy| galaxy.jobs.as_ref());
    jobs.is_some_and(|jobs| loaded_by(program, jobs).into_iter().any(Plugin::is_local))
}

/// The plugins that a handler loads.
fn loaded_by<'a>(program: &Program<'_>, jobs: &'a JobConf) -> Vec<&'a Plugin> {
    let name = program.invocation.option(&["--server-name"]).unwrap_or_default();
    let own = jobs.handlers.iter().find(|handler| handler.id.text == name && !handler.plugins.is_empty());
    let is_loaded = |plugin: &&Plugin| own.is_none_or(|own| own.plugins.contains(&plugin.id.text));
    jobs.plugins.iter().filter(is_loaded).collect()
}

/// The bound of a handler's stop, seconds: one timeout for each thread that is waited for in turn.
///
/// Source: Galaxy 26.1, `JobManager.shutdown` and the runners' `shutdown`.
fn longest_stop(
    deployment: &Deployment<'_>,
    program: &Program<'_>,
    galaxy: &Galaxy,
    plugins: &[&Plugin],
    timeout: i64,
) -> i64 {
    let pools = program.invocation.options(&["--attach-to-pool"]);
    let others = deployment.programs.iter().filter(|other| other.galaxy == program.galaxy);
    let mut attached = others.flat_map(|other| other.invocation.options(&["--attach-to-pool"]));
    let is_apart = attached.any(|pool| pool == "workflow-schedulers") || !galaxy.schedulers.is_empty();
    let is_scheduler = !is_apart || pools.contains(&"workflow-schedulers");
    let local = plugins.iter().filter(|plugin| plugin.is_local()).count();
    let threads = 2 * (plugins.len() - local) + local + if is_scheduler { 4 } else { 2 };
    timeout * count(threads)
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX / 1_000_000)
}

fn gunicorn(deployment: &Deployment<'_>, program: &Program<'_>, is_given: bool, findings: &mut Findings) {
    let number = |name: &str| program.invocation.option(&[name]).and_then(|text| text.parse::<i64>().ok());
    let graceful = number("--graceful-timeout").unwrap_or(GUNICORN_TIMEOUT);
    let timeout = program.invocation.option(&["--timeout", "-t"]).and_then(|text| text.parse::<i64>().ok());
    let timeout = timeout.unwrap_or(GUNICORN_TIMEOUT);
    let seconds = program.process.stopwaitsecs;
    if is_given && seconds <= graceful {
        let text =
            format!("{} has stopwaitsecs = {seconds}, its workers are given {graceful} seconds", program.shown());
        findings.add("GX009", deployment.place(program, "stopwaitsecs"), text);
    }
    let place = || deployment.place(program, "command");
    // Zero is no timeout.
    if timeout > 0 && graceful * 2 >= timeout {
        let text = format!("{} has a graceful timeout of {graceful} and a timeout of {timeout}", program.shown());
        findings.add("GX010", place(), text);
    }
    if (1..BOOT).contains(&timeout) && !program.invocation.has(&["--preload"]) {
        let text = format!("{} has a timeout of {timeout} seconds and loads Galaxy in its workers", program.shown());
        findings.add("GX015", place(), text);
    }
}

fn celery(deployment: &Deployment<'_>, program: &Program<'_>, findings: &mut Findings) {
    let seconds = program.process.stopwaitsecs;
    if seconds <= 10 {
        let text = format!("{} has stopwaitsecs = {seconds}", program.shown());
        findings.add("GX011", deployment.place(program, "stopwaitsecs"), text);
    }
}
