//! Real gunicorn and real uWSGI at a socket that the daemon made.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::daemon::Daemon;
use crate::load::{Load, ask};
use crate::notice::tell;
use crate::subject::Subject;
use crate::venv::environment;
use crate::wait::until;

/// Answers with the pid of its master, after a time in which an application does its work: a uWSGI that is told to end between
/// accepting a connection and reading from it closes it, whoever tells it, so the fewer connections find it there the better.
const APPLICATION: &str = "\
import os
import time

print('application loaded', flush=True)


def application(environ, start_response):
    time.sleep(0.02)
    body = b'%d\\n' % os.getppid()
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
    arguments: "--master --processes 2 --protocol http --need-app --pythonpath %(here)s --module app:application --die-on-term \
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
        "[program:web]\ncommand={folder}/bin/{program} {arguments}\nsocket=tcp:127.0.0.1:{port}\nready=log:application loaded\n\
         ready_interval=100ms\nkillasgroup=true\nstopwaitsecs=60\n"
    )
}

/// The pid of the master that answers.
pub(crate) fn master(port: u16) -> i32 {
    until("an answer", || ask(port)?.parse().map_err(|_| "no pid".to_owned()))
}

fn a_restart_refuses_nobody(kind: &Kind) {
    let Some((daemon, port)) = start(kind) else { return };
    assert_eq!(master(port), daemon.process_pid("web"));
    let load = Load::start(&[port]);
    load.wait_for(50);
    let restart = daemon.ctl(&["restart", "web"]);
    assert_eq!(restart.code, Some(0), "{restart:?}");
    let so_far = load.made();
    load.wait_for(so_far + 50);
    let (made, failed) = load.end();
    assert_eq!(failed, [""; 0], "of {made}");
    assert_eq!(master(port), daemon.process_pid("web"));
}

/// So many requests are made at least while one server after the other takes the place of the one before.
fn wanted() -> usize {
    let text = std::env::var("GALAXYD_OVERLAP_REQUESTS").ok();
    text.map_or(300, |text| text.parse().expect("GALAXYD_OVERLAP_REQUESTS is a whole number"))
}

fn succeed(daemon: &Daemon) -> String {
    daemon.call("galaxyd.succeed", "<param><value><string>web</string></value></param>").unwrap()
}

fn successors_fail_no_request(kind: &Kind) {
    let Some((daemon, port)) = start(kind) else { return };
    let load = Load::start(&[port]);
    let mut rolls = 0;
    while rolls < 2 || load.made() < wanted() {
        let (former, so_far) = (daemon.process_pid("web"), load.made());
        let told = succeed(&daemon);
        assert!(told.contains("<boolean>1</boolean>"), "{told}");
        assert_ne!(daemon.process_pid("web"), former);
        load.wait_for(so_far + 20);
        rolls += 1;
    }
    // A new version that does not load changes nothing.
    let present = daemon.process_pid("web");
    fs::write(daemon.path("app.py"), "import nothing_of_that_name\n").unwrap();
    let told = succeed(&daemon);
    assert!(told.contains("the successor of web ended: exit status"), "{told}");
    let so_far = load.made();
    load.wait_for(so_far + 20);
    let (made, failed) = load.end();
    eprintln!("{}: {made} requests through {rolls} successors", kind.program);
    assert_eq!(failed, [""; 0], "of {made}");
    assert_eq!((master(port), daemon.process_pid("web")), (present, present));
}

pub(crate) fn successors_of_gunicorn_fail_no_request(_: Subject) {
    successors_fail_no_request(&GUNICORN);
}

pub(crate) fn successors_of_uwsgi_fail_no_request(_: Subject) {
    successors_fail_no_request(&UWSGI);
}

pub(crate) fn gunicorn_is_restarted_at_its_socket_and_nobody_is_refused(_: Subject) {
    a_restart_refuses_nobody(&GUNICORN);
}

pub(crate) fn uwsgi_is_restarted_at_its_socket_and_nobody_is_refused(_: Subject) {
    a_restart_refuses_nobody(&UWSGI);
}
