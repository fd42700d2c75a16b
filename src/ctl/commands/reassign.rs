//! `reassign FROM TO [--yes]`

use std::path::Path;

use serde_json::json;

use crate::config::nearest;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::handlers::process_of;
use crate::ctl::job_report::time;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::database::{FRESH_SECONDS, Owner, Reassignment};
use crate::galaxy::{DEFAULT_TAG, Intake, JobHandler, JobSystem, ServerIdentity, ServerName};
use crate::sys::proc_table;

/// Who gets the jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heir<'a> {
    /// This handler.
    Handler(&'a JobHandler),
    /// Any handler that takes jobs of the tag.
    Tag,
}

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let (options, names): (Vec<&str>, Vec<&str>) = rest.split_whitespace().partition(|word| word.starts_with('-'));
    let is_known = |option: &&str| matches!(*option, "--yes" | "--apply" | "--dry-run");
    let ([old, new], true) = (names.as_slice(), options.iter().all(is_known)) else {
        shell.usage("Error: reassign wants the old handler and the new one", "reassign", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let is_for_real = options.iter().any(|option| *option != "--dry-run");
    let Some(systems) = shell.job_systems() else { return Ok(Flow::Continue) };
    let Some((system, name, heir)) = systems.iter().find_map(|system| heir(system, new)) else {
        let known: Vec<String> = systems.iter().flat_map(names_of).collect();
        let near = nearest(new, known.iter().map(String::as_str)).map(|near| format!("; did you mean {near}?"));
        shell.refuse(&format!(
            "Error: {new} is neither a handler of this configuration nor a tag that one takes jobs of{}",
            near.unwrap_or_default()
        ));
        return Ok(Flow::Continue);
    };
    let old = server_name(system, old);
    if old == name {
        shell.refuse(&format!("Error: {old} has these jobs already"));
        return Ok(Flow::Continue);
    }
    if let Some(why) = lives_here(shell, system, &old) {
        shell.refuse(&format!("Error: {why}: two handlers of the same jobs run them twice"));
        return Ok(Flow::Continue);
    }
    let Some(database) = shell.database(system) else { return Ok(Flow::Continue) };
    let is_tag = heir == Heir::Tag;
    let answer =
        if is_for_real { database.reassign(&old, &name, is_tag) } else { database.rehearse(&old, &name, is_tag) };
    match answer {
        Ok(found) => tell(shell, system, (&old, &name, &heir), &found, is_for_real),
        Err(error) => {
            let what = if is_for_real { "; whether anything was changed, `galaxyctl jobs` tells" } else { "" };
            shell.refuse(&format!("Error: the database of {} gives no answer: {error}{what}", system.file.display()));
        }
    }
    Ok(Flow::Continue)
}

/// The server name that a word means: of a process, or itself.
fn server_name(system: &JobSystem, word: &str) -> String {
    let named = system.handlers.iter().find(|handler| process_of(handler) == word);
    match named.map(|handler| &handler.name) {
        Some(ServerName::One(name)) => name.clone(),
        _ => word.to_owned(),
    }
}

fn heir<'a>(system: &'a JobSystem, word: &str) -> Option<(&'a JobSystem, String, Heir<'a>)> {
    let name = server_name(system, word);
    if let Some(handler) = system.handlers.iter().find(|handler| Owner::from(&handler.name).is(&name)) {
        return Some((system, name, Heir::Handler(handler)));
    }
    tags(system).any(|tag| tag == name).then_some((system, name, Heir::Tag))
}

fn tags(system: &JobSystem) -> impl Iterator<Item = &str> {
    let grabbed = system.handlers.iter().filter_map(|handler| match &handler.intake {
        Intake::Grabs { tags } => Some(tags),
        _ => None,
    });
    grabbed.flatten().map(String::as_str)
}

fn names_of(system: &JobSystem) -> Vec<String> {
    let own = system.handlers.iter().filter_map(|handler| match &handler.name {
        ServerName::One(name) => Some(name.clone()),
        ServerName::Numbered(_) => None,
    });
    own.chain(tags(system).map(str::to_owned)).collect()
}

/// Who runs under this name on this host, by the daemon and by the table of processes.
fn lives_here(shell: &mut Shell, system: &JobSystem, old: &str) -> Option<String> {
    let process = system.handlers.iter().find(|handler| Owner::from(&handler.name).is(old)).map(process_of);
    let known = shell.known().unwrap_or_default();
    let info = process.and_then(|process| known.into_iter().find(|info| info.namespec() == process));
    if let Some(info) = info.filter(|info| !info.is_stopped()) {
        return Some(format!("{} is {}; `galaxyctl drain {}` first", info.namespec(), info.statename, info.namespec()));
    }
    // What cannot be read is no proof of life, and the heartbeat is judged, too.
    let mut running = proc_table::commands().ok()?;
    let own = ServerIdentity { name: old.to_owned(), configuration: Some(system.file.clone()) };
    let follow = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let found = running.find(|one| {
        let variable = || proc_table::variable(one.pid, "GALAXY_CONFIG_FILE");
        own.is_run_by(&one.arguments, variable, &one.directory, follow)
    })?;
    Some(format!("process {} runs as {old} ({})", found.pid, found.arguments.join(" ")))
}

fn tell(
    shell: &mut Shell,
    system: &JobSystem,
    parties: (&str, &str, &Heir<'_>),
    found: &Reassignment,
    is_for_real: bool,
) {
    let (old, new, heir) = parties;
    let value = json!({
        "from": old,
        "to": new,
        "jobs": found.jobs.iter().map(|left| json!({"state": left.state, "runner": left.runner, "submitted": left.is_submitted, "count": left.count})).collect::<Vec<_>>(),
        "invocations": found.invocations.iter().map(|some| json!({"state": some.state, "count": some.count})).collect::<Vec<_>>(),
        "risks": risks(system, new, heir, found),
        "moved": found.moved.map(|moved| json!({"jobs": moved.jobs, "invocations": moved.invocations})),
    });
    shell.screen.show(&Fact::Detail { list: "reassignments", value, text: text(system, parties, found) });
    if let Some(beat) = found.alive.first() {
        let host = beat.hostname.as_deref().unwrap_or("a host without a name");
        shell.refuse(&format!(
            "Error: {old} showed life on {host} {} ago, so nothing was changed: stop it; one that was killed counts as dead {} s after its last heartbeat",
            time(beat.age_seconds),
            FRESH_SECONDS
        ));
    } else if let Some(moved) = found.moved {
        shell.line(format!("{} jobs and {} invocations of {old} belong to {new} now", moved.jobs, moved.invocations));
    } else if !is_for_real {
        shell.line("nothing was changed; --yes does it");
    }
}

fn text(system: &JobSystem, (old, new, heir): (&str, &str, &Heir<'_>), found: &Reassignment) -> String {
    let mut lines = Vec::new();
    for left in &found.jobs {
        let runner = left.runner.as_deref().map_or(String::new(), |runner| format!(", runner {runner}"));
        let submitted = if left.state == "queued" && !left.is_submitted { ", not handed over yet" } else { "" };
        lines.push(format!("{old} -> {new}: {} jobs {}{runner}{submitted}", left.count, left.state));
    }
    lines.extend(
        found.invocations.iter().map(|some| format!("{old} -> {new}: {} invocations {}", some.count, some.state)),
    );
    if lines.is_empty() {
        lines.push(format!("{old} has nothing that {new} could take over"));
    }
    lines.extend(risks(system, new, heir, found).into_iter().map(|risk| format!("risk: {risk}")));
    lines.join("\n")
}

/// What can go wrong, as far as it can be said for these jobs.
fn risks(system: &JobSystem, new: &str, heir: &Heir<'_>, found: &Reassignment) -> Vec<String> {
    if found.jobs.is_empty() && found.invocations.is_empty() {
        return Vec::new();
    }
    let mut risks = vec![
        "a process of the old name that lives on another host and cannot reach the database runs the jobs a second time".to_owned(),
    ];
    let Heir::Handler(handler) = heir else { return risks };
    let count = |is_meant: &dyn Fn(&crate::database::Left) -> bool| -> u64 {
        found.jobs.iter().filter(|left| is_meant(left)).map(|left| left.count).sum()
    };
    let is_under_way = |left: &crate::database::Left| matches!(left.state.as_str(), "queued" | "running" | "stopped");
    let is_local = |left: &crate::database::Left| is_under_way(left) && system.is_local(left.runner.as_deref());
    let under_way = count(&is_under_way);
    if under_way > 0 {
        risks.push(format!("{new} takes {under_way} queued, running or stopped jobs up only at its next start: galaxyctl restart --drain {}", process_of(handler)));
    }
    let local = count(&is_local);
    if local > 0 {
        risks.push(format!("{local} jobs ran on the old handler's host: they cannot go on, {new} makes them errors, and what they started may still run there"));
    }
    let lost = count(&|left| left.state == "queued" && !left.is_submitted && !is_local(left));
    if lost > 0 {
        risks.push(format!("{lost} jobs were not known to have reached their runner: {new} hands them over again, and they run twice if they had"));
    }
    let mut runners: Vec<&str> =
        found.jobs.iter().filter(|left| !is_local(left)).filter_map(|left| left.runner.as_deref()).collect();
    runners.dedup();
    for runner in runners {
        if handler.plugins.is_empty() || handler.plugins.iter().any(|plugin| plugin == runner) {
            risks.push(format!("{new} must reach what the old handler reached by the runner {runner}"));
        } else {
            risks.push(format!("{new} does not load the runner {runner}: these jobs fail with `Invalid job runner`"));
        }
    }
    if system.handlers.len() > 1 && tags(system).any(|tag| tag == DEFAULT_TAG) && count(&|left| left.state == "new") > 0
    {
        risks.push(format!(
            "new jobs may go to any handler: galaxyctl reassign OLD {DEFAULT_TAG} gives back these alone"
        ));
    }
    risks
}
