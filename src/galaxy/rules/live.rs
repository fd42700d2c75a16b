//! What only a running daemon tells: what its processes run, and what an update to this configuration would do to their jobs.

use crate::galaxy::deployment::{Deployment, Program};
use crate::galaxy::finding::Findings;
use crate::galaxy::program::{Invocation, Role};

/// One process of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveProcess {
    pub group: String,
    pub name: String,
    pub is_running: bool,
    /// What it would be started with as the daemon knows it, wrappers and all; empty: not known.
    pub argv: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// `waiting`, `late`, `settling`, `ready`; empty if nobody asks.
    pub readiness: String,
    /// That it runs an older release of Galaxy than lies on disk, in a sentence.
    pub older_release: Option<String>,
}

impl LiveProcess {
    fn invocation(&self) -> Option<Invocation> {
        Invocation::of_words(self.argv.clone())
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn shown(&self) -> String {
        if self.group == self.name { self.name.clone() } else { format!("{}:{}", self.group, self.name) }
    }
}

pub(super) fn apply(deployment: &Deployment<'_>, live: &[LiveProcess], findings: &mut Findings) {
    for process in live.iter().filter(|process| process.is_running) {
        let program =
            deployment.programs.iter().find(|one| one.group == process.group && one.process.name == process.name);
        let Some(invocation) = process.invocation() else { continue };
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
        if let Some(older) = &process.older_release {
            findings.add("GX110", deployment.place(program, "command"), format!("{}: {older}", process.shown()));
        }
    }
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
