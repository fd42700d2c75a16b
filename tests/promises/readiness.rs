//! Ready, not merely running: every way to show it, against real programs, and over the worker's death.

use std::fs;
use std::net::TcpListener;

use crate::daemon::Daemon;
use crate::household::{galaxyd, is_there, kill_worker};
use crate::notice::tell;
use crate::subject::Subject;
use crate::wait::{until, until_true};

/// A port that nobody has.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until `go` exists.
const GATE: &str = "while ! test -e %(here)s/go; do sleep 0.02; done";

const WEB: &str = r#"
import http.server, sys
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"version": "26.1"}' if self.path == "/api/version" else b"starting"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Web).serve_forever()
"#;

const UNIX: &str = r"
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
answer = sys.argv[2].encode()
while True:
    connection, _ = listener.accept()
    try:
        connection.sendall(answer)
    except OSError:
        pass  # Whoever only connects is gone by now.
    connection.close()
";

const NOTIFIES: &str = r#"
import os, socket, sys, time
name = os.environ["NOTIFY_SOCKET"]
to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
to.connect("\0" + name[1:])
to.send(b"STATUS=loading")
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
to.send(b"STATUS=up\nREADY=1")
time.sleep(1000)
"#;

/// A daemon with these sections that is not started yet, and the scripts beside its configuration.
fn folder(sections: &str) -> Daemon {
    let daemon = Daemon::folder_with(Subject::GALAXYD, "", "", sections);
    for (name, text) in [("web.py", WEB), ("unix.py", UNIX), ("notify.py", NOTIFIES)] {
        fs::write(daemon.path(name), text).unwrap();
    }
    daemon
}

#[test]
fn each_way_to_show_readiness_is_understood() {
    let port = free_port();
    let document = r#"{"workers":[{"id":1,"pid":7,"status":"idle","accepting":1,"apps":[{"id":0}]}]}"#;
    let mut daemon = folder(&format!(
        "[program:web]\ncommand=sh -c '{GATE}; exec python3 %(here)s/web.py {port}'\n\
             ready=http://127.0.0.1:{port}/api/version status=200 body=\"version\": \"26\nready_interval=100ms\nready_successes=2\n\
             [program:tcp]\ncommand=sleep 1000\nready=tcp:localhost:{port}\nready_interval=100ms\n\
             [program:unix]\ncommand=sh -c '{GATE}; exec python3 %(here)s/unix.py %(here)s/u.sock x'\n\
             ready=unix:%(here)s/u.sock\nready_interval=100ms\n\
             [program:stats]\ncommand=sh -c '{GATE}; exec python3 %(here)s/unix.py %(here)s/st.sock \"$(cat %(here)s/stats)\"'\n\
             ready=uwsgi-stats:%(here)s/st.sock\nready_interval=100ms\n\
             [program:log]\ncommand=sh -c 'echo loading; {GATE}; echo app 7 ready >&2; exec sleep 1000'\n\
             ready=log:^app \\d+ ready$\nready_interval=100ms\nready_settle=100ms\n\
             [program:notify]\ncommand=python3 %(here)s/notify.py %(here)s/go\nready=notify\n\
             [program:plain]\ncommand=sleep 1000\n"
    ));
    fs::write(daemon.path("stats"), document).unwrap();
    daemon.run();
    let asked = ["web", "tcp", "unix", "stats", "log", "notify"];
    daemon.wait_running(&asked);
    let status = daemon.ctl(&["status", "--json"]).stdout;
    assert_eq!(status.matches("\"readiness\": \"waiting\"").count(), asked.len(), "{status}");
    assert_eq!(status.matches("\"readiness\": null").count(), 1, "{status}");
    let impatient = daemon.ctl(&["wait", "--within=1", "web"]);
    assert_eq!((impatient.stdout.as_str(), impatient.code), ("web is not ready in time\n", Some(1)), "{impatient:?}");
    assert!(impatient.stderr.contains("connection refused"), "{impatient:?}");

    fs::write(daemon.path("go"), "").unwrap();
    let mut words = vec!["wait", "--for=ready"];
    words.extend(asked);
    let waited = daemon.ctl(&words);
    assert_eq!(waited.code, Some(0), "{waited:?}");
    assert!(asked.iter().all(|name| waited.stdout.contains(&format!("{name}: ready\n"))), "{waited:?}");
    let status = daemon.ctl(&["status", "--json"]).stdout;
    assert_eq!(status.matches("\"readiness\": \"ready\"").count(), asked.len(), "{status}");
    // The words of Supervisor stay as they are.
    let plain = daemon.ctl(&["status"]).stdout;
    assert!(plain.lines().all(|line| line.contains("RUNNING   pid ")), "{plain}");
}

#[test]
fn a_start_waits_for_readiness_and_says_what_was_said_last_when_it_fails() {
    let daemon = galaxyd(
        "",
        "[program:slow]\ncommand=sh -c 'echo the database is locked >&2; test -e %(here)s/go && echo up; exec sleep 1000'\n\
         autostart=false\nready=log:^up$\nready_timeout=1\nready_interval=100ms\n\
         [program:broken]\ncommand=sh -c 'echo no such module: galaxy; exit 1'\nautostart=false\nstartretries=0\nready=log:up\n",
    );
    let late = daemon.ctl(&["start", "slow"]);
    assert_eq!(late.code, Some(1), "{late:?}");
    assert_eq!(late.stdout, "slow: started\nslow has not become ready in 1 seconds (ready_timeout)\n", "{late:?}");
    assert!(late.stderr.contains("log: the database is locked"), "{late:?}");
    daemon.wait_state("slow", "RUNNING");
    let broken = daemon.ctl(&["start", "broken"]);
    assert_eq!(broken.code, Some(7), "{broken:?}");
    assert!(broken.stdout.starts_with("broken: ERROR (spawn error)\n"), "{broken:?}");
    assert!(broken.stderr.contains("log: no such module: galaxy"), "{broken:?}");
    fs::write(daemon.path("go"), "").unwrap();
    let good = daemon.ctl(&["restart", "slow"]);
    assert_eq!((good.stdout.as_str(), good.code), ("slow: stopped\nslow: started\nslow: ready\n", Some(0)), "{good:?}");
}

/// The pids in a file that has two lines for each: a script and its child.
fn pids(daemon: &Daemon, name: &str) -> Vec<i32> {
    let text = fs::read_to_string(daemon.path(name)).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Waits for the question after the first `before` pids; gives the pids of that one.
fn asked_anew(daemon: &Daemon, name: &str, before: usize) -> Vec<i32> {
    until("another question", || match pids(daemon, name).get(before..before + 2) {
        Some(both) => Ok(both.to_vec()),
        None => Err(format!("{:?}", pids(daemon, name))),
    })
}

fn until_gone(pids: &[i32]) {
    until_true("the end of the command and its child", || !pids.iter().any(|pid| is_there(*pid)));
}

#[test]
fn a_command_tells_of_readiness_as_the_programs_user_and_never_outlives_its_question() {
    let nobody = nix::unistd::User::from_name("nobody").ok().flatten().is_some();
    let user = if nix::unistd::geteuid().is_root() && nobody { "nobody" } else { "" };
    if user.is_empty() {
        tell("could not run: only root can have readiness asked for as the account nobody");
    }
    let key = if user.is_empty() { String::new() } else { format!("user={user}\n") };
    let daemon = galaxyd(
        "",
        &format!(
            "[program:gate]\ncommand=sleep 1000\nready_interval=100ms\nready=command:test -e %(here)s/go\n\
             [program:missing]\ncommand=sleep 1000\nready=command:/no/such/command\n\
             [program:who]\ncommand=sleep 1000\n{key}directory=/\numask=037\nenvironment=MARK=\"mine\"\nready_interval=100ms\n\
             ready=command:sh -c 'cat; echo as $(id -un) $(umask) $(pwd) $MARK >&2; exit 3'\n\
             [program:hangs]\ncommand=sleep 1000\nready_interval=100ms\n\
             ready=command:sh -c 'sleep 1000 & echo $$ >> %(here)s/hung; echo $! >> %(here)s/hung; wait'\n"
        ),
    );
    daemon.wait_running(&["gate", "missing", "who", "hangs"]);
    let why = |name: &str, wanted: &str| {
        until("the reason", || {
            let told = daemon.ctl(&["why", name]).stdout;
            if told.contains(wanted) { Ok(()) } else { Err(told) }
        });
    };
    why("gate", "its command ended with exit code 1");
    why("missing", "can't find command '/no/such/command'");
    let account = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    let account = if user.is_empty() { &account } else { user };
    why("who", &format!("its command ended with exit code 3: as {account} 0037 / mine"));
    fs::write(daemon.path("go"), "").unwrap();
    let waited = daemon.ctl(&["wait", "gate"]);
    assert_eq!((waited.stdout.as_str(), waited.code), ("gate: ready\n", Some(0)), "{waited:?}");

    let first = asked_anew(&daemon, "hung", 0);
    why("hangs", "no answer within 5 seconds");
    until_gone(&first);
    let second = asked_anew(&daemon, "hung", 2);
    kill_worker(&daemon, daemon.pid());
    until_gone(&second);
    let third = asked_anew(&daemon, "hung", 4);
    daemon.ctl(&["stop", "hangs"]);
    until_gone(&third);
    let report = daemon.ctl(&["status", "gate", "--json"]).stdout;
    assert!(report.contains("\"readiness\": \"ready\""), "{report}");
}

#[test]
fn readiness_survives_the_workers_death() {
    let mut daemon = folder(&format!(
        "[program:log]\ncommand=sh -c 'echo loading; {GATE}; echo app ready; exec sleep 1000'\n\
             ready=log:^app ready$\nready_interval=100ms\n\
             [program:notify]\ncommand=python3 %(here)s/notify.py %(here)s/go\nready=notify\n"
    ));
    daemon.run();
    daemon.wait_running(&["log", "notify"]);
    let keeper = daemon.pid();
    kill_worker(&daemon, keeper);
    fs::write(daemon.path("go"), "").unwrap();
    let waited = daemon.ctl(&["wait", "log", "notify"]);
    assert_eq!(waited.code, Some(0), "{waited:?}");
    // What showed it does not come again.
    kill_worker(&daemon, keeper);
    let waited = daemon.ctl(&["wait", "--within=1", "log", "notify"]);
    assert_eq!(waited.code, Some(0), "{waited:?}");
}
