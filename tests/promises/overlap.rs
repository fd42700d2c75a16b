//! `galaxyd.succeed`: another child takes the place of a running one, and nobody who connects notices.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::daemon_death::next_keeper;
use crate::household::{is_there, kill_pid, kill_worker};
use crate::subject::Subject;
use crate::wait::until_true;

/// Answers with its pid; at TERM it ends when it has answered whom it accepted. What it does before it is ready, the file `does`
/// says.
const SERVER: &str = "\
import os, select, signal, socket, sys, time
does = open('does').read()
print('begins', flush=True)
if does == 'break': sys.exit(3)
while does == 'hang' and not os.path.exists('go'): time.sleep(0.01)
s = socket.socket(fileno=3)
s.setblocking(False)
told, tells = socket.socketpair()
tells.setblocking(False)
signal.set_wakeup_fd(tells.fileno())
signal.signal(signal.SIGTERM, lambda *_: None)
print('loaded', os.getpid(), flush=True)
while True:
    ready, _, _ = select.select([s, told], [], [])
    if told in ready:
        print('leaves', os.getpid(), flush=True)
        sys.exit(0)
    try: c, _ = s.accept()
    except BlockingIOError: continue
    c.sendall(str(os.getpid()).encode())
    c.close()
";

const WEB: &str = "[program:web]\ncommand=python3 serve.py\ndirectory=%(here)s\nsocket=unix:%(here)s/web.sock\nstartsecs=0\n\
                   stopwaitsecs=5\nstdout_logfile=%(here)s/web.log\nready=log:^loaded\nready_interval=100ms\nready_timeout=60\n";

fn start(sections: &str) -> Daemon {
    let mut daemon = Daemon::folder(Subject::GALAXYD, sections);
    fs::write(daemon.path("serve.py"), SERVER).unwrap();
    fs::write(daemon.path("does"), "serve").unwrap();
    daemon.run();
    daemon.wait_running(&["web"]);
    daemon.wait_text("web.log", "loaded");
    daemon
}

/// The answer of `galaxyd.succeed`.
fn succeed(daemon: &Daemon) -> Result<String, String> {
    let answer = daemon.call("galaxyd.succeed", "<param><value><string>web</string></value></param>")?;
    if answer.contains("<fault>") { Err(answer) } else { Ok(answer) }
}

/// Somebody who connects again and again.
struct Clients {
    enough: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: thread::JoinHandle<Vec<String>>,
}

impl Clients {
    fn begin(socket: PathBuf) -> Clients {
        let (enough, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (over, count) = (Arc::clone(&enough), Arc::clone(&answered));
        let thread = thread::spawn(move || {
            let mut failed = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let mut text = String::new();
                let asked = UnixStream::connect(&socket).and_then(|mut stream| stream.read_to_string(&mut text));
                match asked {
                    Ok(_) if !text.is_empty() => drop(count.fetch_add(1, Ordering::Relaxed)),
                    other => failed.push(format!("{other:?} {text:?}")),
                }
            }
            failed
        });
        Clients { enough, answered, thread }
    }

    /// Until some more were answered.
    fn some_more(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        until_true("some more answers", || self.answered.load(Ordering::Relaxed) > before + 20);
    }

    fn end(self) {
        self.some_more();
        self.enough.store(true, Ordering::Relaxed);
        assert_eq!(self.thread.join().unwrap(), [""; 0]);
    }
}

fn count(daemon: &Daemon, needle: &str) -> usize {
    daemon.text("web.log").lines().filter(|line| line.starts_with(needle)).count()
}

fn history(daemon: &Daemon) -> String {
    daemon.ctl(&["history", "web"]).stdout
}

#[test]
fn a_successor_takes_the_name_when_it_is_ready_and_nobody_is_refused() {
    let daemon = start(WEB);
    let clients = Clients::begin(daemon.path("web.sock"));
    for round in 1..=3 {
        clients.some_more();
        let former = daemon.process_pid("web");
        succeed(&daemon).unwrap();
        let present = daemon.process_pid("web");
        assert!(present != former && !is_there(former), "{former} {present}");
        assert_eq!(daemon.info("web", "statename").unwrap(), "RUNNING");
        // Both wrote to one file, each line once.
        assert_eq!((count(&daemon, "loaded"), count(&daemon, "leaves")), (round + 1, round));
        assert_eq!(count(&daemon, &format!("leaves {former}")), 1);
    }
    clients.end();
    let status = daemon.ctl(&["status"]);
    assert_eq!(status.stdout.lines().count(), 1, "{status:?}");
    let happened = history(&daemon);
    for part in ["succeeding: web, ", "succeeded: web, pid ", "overlapped: web, the former process is gone"] {
        assert!(happened.contains(part), "{part}: {happened}");
    }
    assert_eq!(daemon.log_lines(&["succeeded: web, pid "]).len(), 3);
}

#[test]
fn a_successor_that_breaks_or_is_late_is_ended_and_the_process_stays() {
    let daemon = start(&WEB.replace("ready_timeout=60", "ready_timeout=1"));
    let (clients, pid) = (Clients::begin(daemon.path("web.sock")), daemon.process_pid("web"));
    for (does, why) in [
        ("break", "the successor of web ended: exit status 3"),
        ("hang", "the successor of web has not become ready in 1 seconds (ready_timeout)"),
    ] {
        fs::write(daemon.path("does"), does).unwrap();
        let told = succeed(&daemon).unwrap_err();
        assert!(told.contains(why), "{told}");
        assert_eq!(daemon.process_pid("web"), pid);
    }
    clients.end();
    let happened = history(&daemon);
    let why = "not succeeded: web stays, its successor is ended: the successor of web ended: exit status 3";
    assert!(happened.contains(why), "{happened}");
    assert_eq!((count(&daemon, "loaded"), count(&daemon, "leaves")), (1, 0));
    assert_eq!(daemon.info("web", "statename").unwrap(), "RUNNING");
    // Where it is asked at an address, the process itself would answer.
    daemon.rewrite(&WEB.replace("ready=log:^loaded", "ready=unix:%(here)s/web.sock"));
    assert_eq!(daemon.ctl(&["update"]).code, Some(0));
    let told = succeed(&daemon).unwrap_err();
    assert!(told.contains("the present process answers as well"), "{told}");
}

#[test]
fn a_stop_during_an_overlap_is_for_both() {
    let daemon = start(WEB);
    fs::write(daemon.path("does"), "hang").unwrap();
    let told = thread::scope(|scope| {
        let asked = scope.spawn(|| succeed(&daemon));
        until_true("the successor", || count(&daemon, "begins") == 2);
        let why = daemon.ctl(&["why", "web"]);
        assert!(why.stdout.contains("its successor"), "{why:?}");
        let status: serde_json::Value = serde_json::from_str(&daemon.ctl(&["status", "web", "--json"]).stdout).unwrap();
        let beside = &status["processes"][0]["beside"];
        assert_eq!((beside[0]["role"].as_str(), beside[0]["readiness"].as_str()), (Some("successor"), Some("waiting")));
        assert!(beside[0]["pid"].is_i64() && beside[1].is_null(), "{beside}");
        assert_eq!(daemon.ctl(&["stop", "web"]).code, Some(0));
        asked.join().unwrap().unwrap_err()
    });
    assert!(told.contains("web was told to stop meanwhile"), "{told}");
    assert_eq!(daemon.info("web", "statename").unwrap(), "STOPPED");
    assert_eq!((count(&daemon, "loaded"), count(&daemon, "leaves")), (1, 1));
}

#[test]
fn an_overlap_goes_on_when_worker_or_keeper_are_killed() {
    let daemon = start(WEB);
    let clients = Clients::begin(daemon.path("web.sock"));
    fs::write(daemon.path("does"), "hang").unwrap();
    for (round, dies) in (2..).zip(["worker", "keeper"]) {
        let (former, keeper) = (daemon.process_pid("web"), daemon.pid());
        drop(fs::remove_file(daemon.path("go")));
        thread::scope(|scope| {
            // The connection ends with the worker; what it asked for goes on.
            let asked = scope.spawn(|| succeed(&daemon));
            until_true("the successor", || count(&daemon, "begins") == round);
            if dies == "worker" {
                kill_worker(&daemon, keeper);
            } else {
                kill_pid(keeper, Signal::SIGKILL);
                next_keeper(&daemon, keeper);
            }
            let told = asked.join().unwrap().unwrap_or_default();
            assert!(!told.contains("methodResponse"), "{told}");
        });
        assert_eq!(daemon.process_pid("web"), former);
        fs::write(daemon.path("go"), "").unwrap();
        until_true("the successor to take over", || daemon.process_pid("web") != former);
        until_true("the former one's end", || !is_there(former));
        assert_eq!((count(&daemon, "begins"), count(&daemon, "leaves")), (round, round - 1));
    }
    clients.end();
}
