//! What only a running daemon tells: what its processes run, and what an update to this configuration would do to their jobs.

use super::stopping::runs_local_jobs;
use super::surroundings::{LiveDatabase, LiveProcess, Surroundings};
use crate::config::Source;
use crate::galaxy::deployment::{Deployment, Program};
use crate::galaxy::finding::Findings;
use crate::galaxy::footing::footing;
use crate::galaxy::program::{Invocation, Role};
use crate::galaxy::replacing;

/// The oldest releases whose databases can skip locked rows, by dialect.
const SKIPS_LOCKED: [(&str, &str, [u32; 2]); 2] = [("postgresql", "PostgreSQL", [9, 5]), ("sqlite", "SQLite", [3, 25])];

pub(super) fn apply(
    deployment: &Deployment<'_>,
    surroundings: &Surroundings,
    source: &dyn Source,
    findings: &mut Findings,
) {
    for process in &surroundings.processes {
        let program =
            deployment.programs.iter().find(|one| one.group == process.group && one.process.name == process.name);
        if let Some(program) = program.filter(|program| program.role == Role::Handler) {
            survivors(deployment, process, program, findings);
        }
        let Some(invocation) = process.invocation().filter(|_| process.is_running) else { continue };
        if invocation.role == Role::Handler {
            handler(deployment, process, &invocation, program, findings);
        }
        let Some(program) = program else { continue };
        if invocation.role == Role::Gunicorn && program.role == Role::Gunicorn {
            workers(deployment, process, &invocation, program, findings);
        }
        if matches!(process.readiness.as_str(), "waiting" | "late")
            && (program.role.is_web() || program.role == Role::Handler)
        {
            let seconds = program.process.startsecs;
            let text = format!("{} is RUNNING after {seconds} seconds and not ready", process.shown());
            findings.add("GX012", deployment.place(program, "startsecs"), text);
        }
        signalled(deployment, process, program, findings);
        release(deployment, process, program, source, findings);
    }
    for database in &surroundings.databases {
        skips_locked(deployment, database, findings);
    }
}

/// What outlived a handler whose jobs are its children.
fn survivors(deployment: &Deployment<'_>, process: &LiveProcess, program: &Program<'_>, findings: &mut Findings) {
    if !process.left_behind.is_empty() && runs_local_jobs(deployment, program) {
        let text = format!("{} left behind: {}", process.shown(), process.left_behind.join("; "));
        findings.add("GX029", deployment.place(program, "command"), text);
    }
}

/// What is replaced by a signal, though the signal would not apply what was changed.
fn signalled(deployment: &Deployment<'_>, process: &LiveProcess, program: &Program<'_>, findings: &mut Findings) {
    let Some(changed) = &process.changed else { return };
    let family = replacing::family(program.process);
    let alike = deployment.programs.iter().filter(|other| other.group == program.group);
    let instances = alike.filter(|other| replacing::family(other.process) == family).count();
    if replacing::is_by_signal(program, instances) {
        findings.add("GX022", deployment.place(program, "command"), format!("{}: {changed}", process.shown()));
    }
}

/// An older Galaxy than lies on disk, by what the daemon noted at the start or by what the server says.
fn release(
    deployment: &Deployment<'_>,
    process: &LiveProcess,
    program: &Program<'_>,
    source: &dyn Source,
    findings: &mut Findings,
) {
    let told = || {
        let told = process.told_release.as_ref()?;
        let lies = footing(program.process, source).version.filter(|version| version != told)?;
        Some(format!("it says that it is Galaxy {told}, a restart would run {lies}"))
    };
    if let Some(older) = process.older_release.clone().or_else(told) {
        findings.add("GX110", deployment.place(program, "command"), format!("{}: {older}", process.shown()));
    }
}

/// Handlers that are to take jobs in a way that their database does not know.
fn skips_locked(deployment: &Deployment<'_>, database: &LiveDatabase, findings: &mut Findings) {
    const METHOD: &str = "db-skip-locked";
    let Some(galaxy) = deployment.galaxies.iter().find(|galaxy| galaxy.path == database.galaxy) else { return };
    let Some(method) = galaxy.jobs.iter().flat_map(|jobs| &jobs.assign).find(|method| method.text == METHOD) else {
        return;
    };
    let known = SKIPS_LOCKED.iter().find(|(dialect, ..)| *dialect == database.dialect);
    let Some(((_, name, oldest), version)) = known.zip(numbers(&database.version)) else { return };
    if version < *oldest {
        let text = format!("the database is {name} {}, and {METHOD} is assigned", database.version);
        findings.add("GX056", Some(galaxy.jobs_line(method.line)), text);
    }
}

/// The first two numbers of a version; `None`: it is none.
fn numbers(version: &str) -> Option<[u32; 2]> {
    let mut parts = version.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u32>);
    Some([parts.next()?.ok()?, parts.next().and_then(Result::ok).unwrap_or_default()])
}

fn server_name(invocation: &Invocation) -> String {
    invocation.option(&["--server-name"]).unwrap_or("main").to_owned()
}

/// A handler that an update would take away, or rename.
fn handler(
    deployment: &Deployment<'_>,
    process: &LiveProcess,
    invocation: &Invocation,
    program: Option<&Program<'_>>,
    findings: &mut Findings,
) {
    let name = server_name(invocation);
    let handlers = deployment.programs.iter().filter(|program| program.role == Role::Handler);
    if handlers.into_iter().any(|program| server_name(&program.invocation) == name) {
        return;
    }
    if let Some(program) = program.filter(|program| program.role == Role::Handler) {
        let now = server_name(&program.invocation);
        let text = format!("{} is the handler {name} and would be {now}", process.shown());
        findings.add("GX052", deployment.place(program, "command"), text);
    } else {
        let text = format!("{} is the handler {name}, which this configuration does not have", process.shown());
        findings.add("GX050", None, text);
    }
}

/// A gunicorn whose workers run jobs under names that an update would take away.
fn workers(
    deployment: &Deployment<'_>,
    process: &LiveProcess,
    invocation: &Invocation,
    program: &Program<'_>,
    findings: &mut Findings,
) {
    let jobs = deployment.galaxy_of(program).and_then(|galaxy| galaxy.jobs.as_ref());
    if jobs.is_none_or(|jobs| jobs.has_handlers() || jobs.is_partial) {
        return;
    }
    let count = |invocation: &Invocation| {
        invocation.option(&["-w", "--workers"]).map_or(Some(1), |text| text.parse::<u32>().ok())
    };
    if let (Some(before), Some(after)) = (count(invocation), count(&program.invocation))
        && after < before
    {
        let text = format!("{} has {before} workers, which run jobs, and would have {after}", process.shown());
        findings.add("GX051", deployment.place(program, "command"), text);
    }
    let name = "GALAXY_CONFIG_SERVER_NAME";
    let (before, after) = (process.variable(name).unwrap_or("main"), program.variable(name).unwrap_or("main"));
    if before != after {
        let text = format!("the workers of {} are {before}.1 and so on and would be {after}.1", process.shown());
        findings.add("GX052", deployment.place(program, "environment"), text);
    }
}
