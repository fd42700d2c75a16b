//! Real gunicorn and real uWSGI at a socket that the daemon made.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::daemon::Daemon;
use crate::load::{Load, ask};
use crate::notice::tell;
use crate::subject::Subject;
use crate::venv::environment;
use crate::wait::{until, until_true};

/// Answers with the pid of its master and its version.
const APPLICATION: &str = "\
import os

VERSION = 1


def application(environ, start_response):
    body = b'%d %d\\n' % (os.getppid(), VERSION)
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
";

/// A server and its section, which has neither address nor readiness.
pub(crate) struct Kind {
    package: &'static str,
    program: &'static str,
    arguments: &'static str,
}

pub(crate) const GUNICORN: Kind = Kind {
    package: "gunicorn==27.0.1",
    program: "gunicorn",
    arguments: "--pythonpath %(here)s --workers 2 --no-control-socket app:application",
};

/// TERM is graceful as the scaling page has it.
pub(crate) const UWSGI: Kind = Kind {
    package: "uwsgi==2.0.31",
    program: "uwsgi",
    arguments: "--master --processes 2 --protocol http --pythonpath %(here)s --module app:application --die-on-term \
                --hook-master-start \"unix_signal:15 gracefully_kill_them_all\"",
};

/// A server at a socket of the daemon, and its port; `None` where there is no such server, which is said.
pub(crate) fn start(kind: &Kind) -> Option<(Daemon, u16)> {
    let venv = match environment(&format!("venv-{}", kind.program), kind.package, kind.program) {
        Ok(venv) => venv,
        Err(why) => {
            tell(&format!("could not run: no {}: {why}", kind.program));
            return None;
        }
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut daemon = Daemon::folder(Subject::GALAXYD, &section(kind, &venv, port));
    fs::write(daemon.path("app.py"), APPLICATION).unwrap();
    daemon.run();
    daemon.wait_running(&["web"]);
    Some((daemon, port))
}

fn section(kind: &Kind, venv: &Path, port: u16) -> String {
    let (folder, Kind { program, arguments, .. }) = (venv.display(), kind);
    format!(
        "[program:web]\ncommand={folder}/bin/{program} {arguments}\nsocket=tcp:127.0.0.1:{port}\nready=http://127.0.0.1:{port}/\n\
         ready_interval=100ms\nkillasgroup=true\nstopwaitsecs=60\n"
    )
}

/// The pid of the master that answers.
pub(crate) fn master(port: u16) -> i32 {
    let body = until("an answer", || ask(port));
    body.split(' ').next().unwrap().parse().unwrap()
}

fn a_restart_refuses_nobody(kind: &Kind) {
    let Some((daemon, port)) = start(kind) else { return };
    assert_eq!(master(port), daemon.process_pid("web"));
    let load = Load::start(port);
    until_true("some requests", || load.made() > 50);
    let restart = daemon.ctl(&["restart", "web"]);
    assert_eq!(restart.code, Some(0), "{restart:?}");
    let so_far = load.made();
    until_true("some more requests", || load.made() > so_far + 50);
    let (made, failed) = load.end();
    assert_eq!(failed, [""; 0], "of {made}");
    assert_eq!(master(port), daemon.process_pid("web"));
}

pub(crate) fn gunicorn_is_restarted_at_its_socket_and_nobody_is_refused(_: Subject) {
    a_restart_refuses_nobody(&GUNICORN);
}

pub(crate) fn uwsgi_is_restarted_at_its_socket_and_nobody_is_refused(_: Subject) {
    a_restart_refuses_nobody(&UWSGI);
}
