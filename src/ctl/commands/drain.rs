//! `drain [--deadline=TIME] [--force] HANDLER...`

use crate::ctl::draining::{After, Subject, Terms, Until};
use crate::ctl::exit::ExitCode;
use crate::ctl::handlers::is_named;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (terms, names) = match Terms::take(&words) {
        Ok((_, names)) if names.is_empty() => Err("drain requires the name of a handler".to_owned()),
        Ok((_, names)) if names.iter().any(|name| name.starts_with('-')) => {
            Err(format!("drain has --deadline=TIME and --force, not {}", names.join(" ")))
        }
        taken => taken,
    }
    .map_err(|text| shell.usage(&format!("Error: {text}"), "drain", ExitCode::Usage))
    .unwrap_or_default();
    if names.is_empty() || shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let Some(systems) = shell.job_systems() else { return Ok(Flow::Continue) };
    let mut subjects: Vec<Subject> = Vec::new();
    for name in names {
        let before = subjects.len();
        for system in &systems {
            let meant = system.handlers.iter().filter(|handler| is_named(handler, name));
            subjects.extend(meant.map(|handler| Subject { system: system.clone(), handler: handler.clone() }));
        }
        if subjects.len() == before {
            shell.problem(format!("{name}: ERROR (no handler of Galaxy's jobs)"), Some(name));
            shell.set_exit(ExitCode::Generic);
            shell.suggest(name);
            return Ok(Flow::Continue);
        }
    }
    shell.drain(subjects, terms, Until::Harmless, After::Nothing)?;
    Ok(Flow::Continue)
}
