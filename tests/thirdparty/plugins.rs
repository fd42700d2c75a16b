//! Python that Supervisor loads into itself: on the original it is loaded, on galaxyd the adaptors of `examples/plugins`
//! run it beside the daemon.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::daemon::Daemon;
use crate::parcels::{listeners, or_told};
use crate::script::{free_port, script, succeed};
use crate::subject::{Side, Subject};
use crate::wait::until_true;

daemons![multivisor_watches_and_commands, supervisor_stdout_shows_output_with_names];

const MULTIVISOR: &str = include_str!("multivisor.py");

fn multivisor_watches_and_commands(subject: Subject) {
    let Some(venv) = or_told(listeners()) else { return };
    let python = venv.join("bin/python");
    let port = free_port();
    let section = match subject.daemon {
        Side::Original => format!(
            "[rpcinterface:multivisor]\nsupervisor.rpcinterface_factory = multivisor.rpc:make_rpc_interface\n\
             bind = 127.0.0.1:{port}\n"
        ),
        Side::Galaxyd => format!(
            "[eventlistener:multivisor]\nevents = EVENT\nstderr_logfile = %(here)s/multivisor.log\n\
             command = {} {} 127.0.0.1:{port}\n",
            python.display(),
            adaptor("multivisor_listener.py").display()
        ),
    };
    let mut daemon = Daemon::folder(
        subject,
        &format!(
            "[program:cat]\ncommand = /bin/cat\nstartsecs = 0\n\
             [program:pair]\ncommand = /bin/cat\nprocess_name = pair%(process_num)d\nnumprocs = 2\nstartsecs = 0\n{section}"
        ),
    );
    let child = start(&mut daemon, &venv);
    succeed(&daemon, script(&daemon, &python, "multivisor_client.py", MULTIVISOR).arg(port.to_string()));
    end(&daemon, child);
}

fn supervisor_stdout_shows_output_with_names(subject: Subject) {
    let Some(venv) = or_told(listeners()) else { return };
    let mut daemon = Daemon::folder(subject, "");
    // The released module is Python 2: a print statement keeps it from being imported, and the result is bytes now.
    let module = fs::read_dir(venv.join("lib")).unwrap().flatten().next().unwrap().path();
    let text = fs::read_to_string(module.join("site-packages/supervisor_stdout.py")).unwrap();
    let repaired = text.replace("response.split(", "response.decode().split(").replace(
        "print '%s %s | %s'%(headers['processname'], headers['channel'], data),",
        "print('%s %s | %s'%(headers['processname'], headers['channel'], data), end='', flush=True)",
    );
    assert!(repaired.contains("decode") && repaired.contains("print("), "{repaired}");
    fs::write(daemon.path("supervisor_stdout.py"), repaired).unwrap();
    let listener = format!("{} {}", venv.join("bin/python").display(), daemon.path("supervisor_stdout.py").display());
    let handler = "supervisor_stdout:event_handler";
    let section = match subject.daemon {
        Side::Original => format!("command = {listener}\nresult_handler = {handler}\n"),
        Side::Galaxyd => format!(
            "command = {} {} {handler} {listener}\nstderr_logfile = /dev/stdout\nstderr_logfile_maxbytes = 0\n",
            venv.join("bin/python").display(),
            adaptor("result_handler.py").display()
        ),
    };
    daemon.rewrite(&format!(
        "[program:web]\ncommand = /bin/sh -c 'echo hello; echo trouble >&2; exec cat'\nstartsecs = 0\n\
         stdout_events_enabled = true\nstderr_events_enabled = true\n\
         [eventlistener:stdout]\nevents = PROCESS_LOG\nbuffer_size = 100\nenvironment = PYTHONPATH=\"%(here)s\"\n{section}"
    ));
    let child = start(&mut daemon, &venv);
    daemon.wait_text("daemon.out", "web stdout | hello\n");
    daemon.wait_text("daemon.out", "web stderr | trouble\n");
    end(&daemon, child);
}

fn adaptor(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plugins").join(name)
}

/// Starts the daemon so that the original finds the plug-ins of the environment, and of the folder.
fn start(daemon: &mut Daemon, venv: &Path) -> Child {
    let program = match daemon.subject.daemon {
        Side::Original => venv.join("bin/supervisord"),
        ours @ Side::Galaxyd => ours.supervisord(),
    };
    // Appended to: who opens /dev/stdout has a place of its own in the file.
    let output = fs::OpenOptions::new().create(true).append(true).open(daemon.path("daemon.out")).unwrap();
    let mut command = daemon.command(&program);
    command.args(["-n", "-c"]).arg(daemon.path("supervisord.conf")).env("PYTHONPATH", daemon.dir());
    let child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
    daemon.wait_ready();
    child
}

/// Has the daemon end; nothing of the plug-ins may outlive it.
fn end(daemon: &Daemon, mut child: Child) {
    daemon.call("supervisor.shutdown", "").unwrap();
    until_true("the daemon's end", || child.try_wait().unwrap().is_some());
    daemon.wait_nothing_left();
}
