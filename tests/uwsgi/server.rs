//! The deployment: uWSGI with the page's settings, and stand-ins for the webless handlers.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::daemon::Daemon;
use crate::notice::tell;
use crate::subject::{Side, Subject};
use crate::venv::environment;
use crate::wait::{until, until_true};

const APPLICATION: &str = "\
import os


def application(environ, start_response):
    body = b'%d\\n' % os.getppid()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
";

/// What the scaling page says about uWSGI, for this application.
const SETTINGS: &str = "\
uwsgi:
  module: app:application
  pythonpath: FOLDER/server
  master: true
  enable-threads: true
  processes: 2
  threads: 2
  offload-threads: 1
  http-socket: 127.0.0.1:PORT
  stats: FOLDER/var/stats.sock
  die-on-term: true
  hook-master-start: unix_signal:2 gracefully_kill_them_all
  hook-master-start: unix_signal:15 gracefully_kill_them_all
";

/// Takes galaxy-main's options, and ends on TERM as it does: in order, with status 0.
const HANDLER: &str = "\
import argparse
import os
import signal

parser = argparse.ArgumentParser()
for option in ('-c', '--server-name', '--pid-file', '--log-file'):
    parser.add_argument(option, required=True)
args = parser.parse_args()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])


def log(text):
    with open(args.log_file, 'a') as out:
        out.write('%s: %s\\n' % (args.server_name, text))


with open(args.pid_file, 'w') as out:
    out.write('%d\\n' % os.getpid())
log('is running in %s' % os.environ['VIRTUAL_ENV'])
signal.sigwait([signal.SIGTERM])
log('shutdown complete')
os.unlink(args.pid_file)
";

/// The running deployment.
pub(crate) struct Server {
    pub(crate) daemon: Daemon,
    port: u16,
}

impl Server {
    /// Everything RUNNING and answering; `None` when there is no uWSGI, which is said.
    pub(crate) fn start(subject: Subject) -> Option<Server> {
        let venv = match environment("venv-uwsgi", "uwsgi==2.0.31", "uwsgi") {
            Ok(venv) => venv,
            Err(why) => {
                assert!(std::env::var_os("UWSGI_REQUIRED").is_none(), "no uWSGI: {why}");
                tell(&format!("could not run: no uWSGI: {why}"));
                return None;
            }
        };
        let page = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/supervisor-confs/galaxy-web-handlers.conf"),
        )
        .unwrap();
        let daemon = Daemon::folder(subject, "");
        let here = daemon.dir().display().to_string();
        for name in ["log", "var", "config", "server", "server/scripts"] {
            fs::create_dir(daemon.path(name)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        symlink(venv, daemon.path("venv")).unwrap();
        fs::write(daemon.path("server/app.py"), APPLICATION).unwrap();
        fs::write(daemon.path("server/scripts/galaxy-main"), HANDLER).unwrap();
        fs::write(
            daemon.path("config/galaxy.yml"),
            SETTINGS.replace("PORT", &port.to_string()).replace("FOLDER", &here),
        )
        .unwrap();
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name;
        let text = page
            .replace("/srv/galaxy/log/supervisord.log", &format!("{here}/main.log"))
            .replace("/srv/galaxy/var/supervisord.pid", &format!("{here}/main.pid"))
            .replace("/srv/galaxy/var/supervisor.sock", &format!("{here}/s.sock"))
            .replace("/srv/galaxy", &here)
            .replace("= galaxy\n", &format!("= {user}\n"));
        fs::write(daemon.path("supervisord.conf"), text).unwrap();
        let mut server = Server { daemon, port };
        server.daemon.run();
        server.daemon.wait_running(&crate::NAMES);
        server.answer();
        Some(server)
    }

    fn ask(&self) -> Result<i32, String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        answer.rsplit("\r\n\r\n").next().and_then(|body| body.trim().parse().ok()).ok_or(answer)
    }

    /// The pid of the uWSGI master that answers.
    pub(crate) fn answer(&self) -> i32 {
        until("an answer of the web server", || self.ask())
    }

    /// Whether nobody answers any more.
    pub(crate) fn refuses(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_err()
    }

    /// KILLs a handler and waits until it is back.
    pub(crate) fn kill_handler_and_wait(&self, name: &str) {
        let old = self.daemon.process_pid(name);
        kill(old);
        until_true("the handler to be back", || {
            self.daemon.info(name, "pid").is_ok_and(|pid| pid != "0" && pid != old.to_string())
        });
        self.daemon.wait_state(name, "RUNNING");
    }
}

pub(crate) fn kill(pid: i32) {
    nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// The living children of a process.
pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        if fields.get(1).is_some_and(|field| *field == parent.to_string()) && fields[0] != "Z" {
            children.push(pid);
        }
    }
    children
}

/// The keeper's child of the same binary; `None` for the original.
pub(crate) fn worker_of(daemon: &Daemon) -> Option<i32> {
    if daemon.subject.daemon == Side::Original {
        return None;
    }
    let binary = fs::read_link(format!("/proc/{}/exe", daemon.pid())).ok()?;
    children_of(daemon.pid())
        .into_iter()
        .find(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == binary))
}
