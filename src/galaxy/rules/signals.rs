//! Stop signals, and what uWSGI makes of them.

use crate::galaxy::deployment::{Deployment, Location, Program};
use crate::galaxy::finding::Findings;
use crate::galaxy::program::Role;
use crate::galaxy::replacing;
use crate::galaxy::uwsgi::UwsgiOptions;

const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGTERM: i32 = 15;

pub(super) fn apply(deployment: &Deployment<'_>, findings: &mut Findings) {
    for program in &deployment.programs {
        if let Some(why) = replacing::refusal(program) {
            let code = if program.role == Role::Handler { "GX020" } else { "GX021" };
            findings.add(code, deployment.place(program, "rollout"), format!("{}: {why}", program.shown()));
        }
        if let Some(options) = program.options() {
            stop_signal(deployment, program, options, findings);
            quotes(program, options, findings);
        }
        let is_uwsgi_group = program.role.is_uwsgi() && program.process.stopasgroup;
        let is_hasty = program.role == Role::Gunicorn && program.process.stopasgroup;
        if is_uwsgi_group || (is_hasty && program.process.stopsignal == SIGINT) {
            let text = format!("{} sends its stop signal to the whole group", program.shown());
            findings.add("GX023", deployment.place(program, "stopasgroup"), text);
        }
    }
}

fn stop_signal(deployment: &Deployment<'_>, program: &Program<'_>, options: &UwsgiOptions, findings: &mut Findings) {
    let signal = program.process.stopsignal;
    let place = || deployment.place(program, "stopsignal");
    let dies_on_term = options.is_on("die-on-term");
    match options.hook(signal) {
        Some((_, function)) if function == "kill_them_all" || function == "reap_them_all" => {
            let text = format!("{} stops by signal {signal}, which is hooked to {function}", program.shown());
            findings.add("GX018", place(), text);
        }
        None if signal == SIGTERM && !dies_on_term => {
            let text = format!("{} is stopped with TERM, without die-on-term and without a hook", program.shown());
            findings.add("GX016", place(), text);
        }
        None if signal == SIGQUIT && dies_on_term => {
            findings.add("GX017", place(), format!("{} is stopped with QUIT, with die-on-term", program.shown()));
        }
        Some(_) | None => {}
    }
}

fn quotes(program: &Program<'_>, options: &UwsgiOptions, findings: &mut Findings) {
    for option in options.options.iter().filter(|option| option.line > 0 && is_quoted(&option.value)) {
        let code = if option.name.starts_with("hook-") { "GX019" } else { "GX068" };
        let place = Location { file: program.uwsgi_file.clone(), line: option.line };
        findings.add(code, Some(place), format!("the value of {} is {}", option.name, option.value));
    }
}

fn is_quoted(value: &str) -> bool {
    ['"', '\''].iter().any(|mark| value.len() >= 2 && value.starts_with(*mark) && value.ends_with(*mark))
}
