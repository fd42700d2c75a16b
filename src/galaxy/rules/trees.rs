//! Trees of processes: wrappers, daemons, what a stop leaves behind.

use std::collections::BTreeSet;

use crate::engine::Kind;
use crate::galaxy::deployment::{Deployment, Location, Program};
use crate::galaxy::finding::Findings;
use crate::galaxy::program::Role;

pub(super) fn apply(deployment: &Deployment<'_>, findings: &mut Findings) {
    let mut pid_files = BTreeSet::new();
    for program in &deployment.programs {
        let process = program.process;
        let command = || deployment.place(program, "command");
        let is_left = !process.extras.killtree;
        if program.role == Role::ItProxy && is_npx(program) && !(process.stopasgroup && process.killasgroup) && is_left
        {
            let text = format!("{} runs the proxy through npx and signals npx alone", program.shown());
            findings.add("GX024", command(), text);
        }
        if let Some(wrapper) = &program.invocation.wrapper
            && program.role != Role::RunScript
            && !process.stopasgroup
        {
            findings.add(
                "GX025",
                command(),
                format!("{} is run by {wrapper}, which stays its parent", program.shown()),
            );
        }
        if matches!(program.role, Role::Gunicorn) && !process.killasgroup && !process.stopasgroup && is_left {
            let text = format!("{} leaves its workers behind when it is killed", program.shown());
            findings.add("GX111", deployment.place(program, "killasgroup"), text);
        }
        daemons(deployment, program, findings);
        let is_daemon = program.role == Role::Handler && program.invocation.has(&["-d", "--daemonize"]);
        let pid_file = program.invocation.option(&["--pid-file"]).unwrap_or("galaxy.pid");
        if is_daemon && !pid_files.insert((process.directory.clone(), pid_file.to_owned())) {
            findings.add("GX028", command(), format!("{} writes {pid_file}, as another handler does", program.shown()));
        }
    }
}

fn is_npx(program: &Program<'_>) -> bool {
    let name = program.invocation.words.first().map(String::as_str).unwrap_or_default();
    name.ends_with("npx") || name.ends_with("npm")
}

/// Programs that leave the supervisor.
fn daemons(deployment: &Deployment<'_>, program: &Program<'_>, findings: &mut Findings) {
    // It is followed there.
    let is_meant = program.process.extras.kind == Kind::Forking;
    let own: &[&str] = match program.role {
        Role::Handler => &["-d", "--daemonize"],
        Role::Gunicorn | Role::Reports => &["-D", "--daemon"],
        Role::CeleryWorker | Role::CeleryBeat => &["-D", "--detach"],
        Role::RunScript => &["--daemon", "start"],
        _ => &[],
    };
    if program.invocation.has(own) && !is_meant {
        let text = format!("{} puts itself into the background", program.shown());
        findings.add("GX026", deployment.place(program, "command"), text);
    }
    for name in ["daemonize", "daemonize2"] {
        let option = program.options().and_then(|options| options.last(name)).filter(|_| !is_meant);
        let Some(option) = option else { continue };
        let text = format!("{name} is set, and {} is supervised", program.shown());
        let place = match option.line {
            0 => deployment.place(program, "command"),
            line => Some(Location { file: program.uwsgi_file.clone(), line }),
        };
        findings.add("GX026", place, text);
    }
    // run.sh reads the configuration that everybody else reads.
    let is_script = program.role == Role::RunScript && program.invocation.has(&["--daemon"]);
    let twice = deployment.programs.iter().filter(|_| is_script).find_map(|other| {
        let options = other.options()?;
        let option = options.last("daemonize").or_else(|| options.last("daemonize2"))?;
        Some(Location { file: other.uwsgi_file.clone(), line: option.line.max(1) })
    });
    if let Some(place) = twice {
        findings.add("GX027", Some(place), "run.sh --daemon daemonizes too".to_owned());
    }
}
