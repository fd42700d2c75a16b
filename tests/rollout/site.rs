//! A folder with an application that says which version it is, its servers, and users.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use crate::daemon::Daemon;
use crate::load::{Load, ask, requests};
use crate::notice::tell;
use crate::subject::Subject;
use crate::venv::environment;
use crate::wait::until_true;

/// Answers with its version, which is the contents of a file when it was imported. It takes its time as applications do:
/// a uWSGI worker that is told to end in the instant between accepting a request and beginning with it drops that, and one
/// that does nothing but accept would be in that instant often enough to be seen.
const APPLICATION: &str = "\
import os, sys, time
version = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'version')).read().strip()
time.sleep(0.2)
if version == 'broken':
    raise ImportError('no module named galaxy')
print('application loaded', file=sys.stderr, flush=True)


def application(environ, start_response):
    time.sleep(0.02)
    environ['wsgi.input'].read()
    body = version.encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
";

/// The gunicorn that all tests use.
pub(crate) const GUNICORN: &str = "gunicorn==27.0.1";

/// A port that nobody has.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The servers of one test.
pub(crate) struct Site {
    pub(crate) daemon: Daemon,
    pub(crate) ports: Vec<u16>,
}

impl Site {
    /// As [`Site::launch`], and all its programs ready.
    pub(crate) fn start(server: &str, requirement: &str, files: &[(&str, &str)], sections: &str) -> Option<Site> {
        let site = Site::launch(server, requirement, files, sections)?;
        let ready = site.daemon.ctl(&["wait", "all"]);
        assert_eq!(ready.code, Some(0), "{ready:?}");
        Some(site)
    }

    /// A daemon with these sections, in which `BIN` is the folder of the server's programs and `PORT0`, `PORT1` are ports.
    /// `None` when there is no such server, which is said.
    pub(crate) fn launch(server: &str, requirement: &str, files: &[(&str, &str)], sections: &str) -> Option<Site> {
        let venv = match environment(&format!("venv-{server}"), requirement, server) {
            Ok(venv) => venv,
            Err(why) => {
                let required = format!("{}_REQUIRED", server.to_uppercase());
                assert!(std::env::var_os(required).is_none(), "no {server}: {why}");
                tell(&format!("could not run: no {server}: {why}"));
                return None;
            }
        };
        let ports = vec![free_port(), free_port()];
        let filled = |text: &str| {
            text.replace("PORT0", &ports[0].to_string())
                .replace("PORT1", &ports[1].to_string())
                .replace("BIN", "%(here)s/venv/bin")
        };
        let mut daemon = Daemon::folder(Subject::GALAXYD, &filled(sections));
        symlink(venv, daemon.path("venv")).unwrap();
        fs::write(daemon.path("app.py"), APPLICATION).unwrap();
        let here = daemon.dir().display().to_string();
        for (name, text) in files {
            fs::write(daemon.path(name), filled(text).replace("HERE", &here)).unwrap();
        }
        fs::write(daemon.path("version"), "one").unwrap();
        daemon.run();
        Some(Site { daemon, ports })
    }

    /// Two gunicorns, `galaxy:web0` and `galaxy:web1`, with a port each, and what else is wanted.
    pub(crate) fn two_gunicorns(sections: &str) -> Option<Site> {
        let one = |number: u8| {
            format!(
                "[program:web{number}]\ncommand=BIN/gunicorn --no-control-socket --threads 2 --graceful-timeout 30 --bind 127.0.0.1:PORT{number} app:application\n\
                 directory=%(here)s\nready=http://127.0.0.1:PORT{number}/\nready_interval=100ms\nstartsecs=1\nstartretries=0\n\
                 stopwaitsecs=40\nkillasgroup=true\n"
            )
        };
        let sections = format!("{}{}[group:galaxy]\nprograms=web0,web1\n{sections}", one(0), one(1));
        Site::start("gunicorn", GUNICORN, &[], &sections)
    }

    /// What is deployed next.
    pub(crate) fn deploy(&self, version: &str) {
        fs::write(self.daemon.path("version"), version).unwrap();
    }

    /// Runs a command while users are at work, at least as many as are wanted; what it said, its code, and what failed.
    pub(crate) fn under_load(&self, ports: usize, words: &[&str]) -> (String, Option<i32>, Vec<String>) {
        let load = Load::start(&self.ports[..ports]);
        let outcome = self.daemon.ctl(words);
        // A step at a time: each has its own bound.
        while load.made() < requests() {
            load.wait_for((load.made() + 100).min(requests()));
        }
        let (made, failed) = load.end();
        eprintln!("{words:?}: {made} requests, {} failed: {}", failed.len(), outcome.stdout.trim_end());
        (format!("{}{}", outcome.stdout, outcome.stderr), outcome.code, failed)
    }

    /// A server that is told to reload loads the second version under load, and stays the process that it was.
    pub(crate) fn reloads_at_a_signal(&self) {
        let pid = self.daemon.process_pid("web");
        self.deploy("two");
        let (said, code, failed) = self.under_load(1, &["graceful", "web"]);
        assert_eq!((code, failed), (Some(0), Vec::new()), "{said}");
        assert!(said.contains("web: done by signal in "), "{said}");
        assert_eq!(self.daemon.process_pid("web"), pid);
        self.wait_version(1, "two");
    }

    /// Each of the first so many servers answers with this version.
    pub(crate) fn wait_version(&self, ports: usize, version: &str) {
        for port in &self.ports[..ports] {
            until_true(version, || ask(*port).is_ok_and(|found| found == version));
        }
    }
}
