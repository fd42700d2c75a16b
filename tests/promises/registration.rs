//! Galaxy's processes register themselves in its database: who has written its row is ready.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::daemon::Daemon;
use crate::galaxy_database::GalaxyDatabase;
use crate::household::kill_worker;
use crate::subject::Subject;
use crate::wait::until;

/// What `galaxy-main` does for as long as nobody asks it anything.
const HANDLER: &str = "import time\ntime.sleep(1000)\n";

const HANDLERS: &str = "[program:handler0]\n\
    command=python3 %(here)s/galaxy-main -c %(here)s/galaxy.yml --server-name=handler0\n\
    ready=worker_process\nready_interval=100ms\n";

/// A running daemon whose Galaxy has its database in the file `galaxy.sqlite`, which is not there yet.
fn running() -> Daemon {
    let mut daemon = Daemon::folder(Subject::GALAXYD, HANDLERS);
    fs::write(daemon.path("galaxy-main"), HANDLER).unwrap();
    let url = format!("sqlite:///{}", daemon.path("galaxy.sqlite").display());
    fs::write(daemon.path("galaxy.yml"), format!("galaxy:\n  database_connection: {url}\n")).unwrap();
    daemon.run();
    daemon.wait_running(&["handler0"]);
    daemon
}

fn until_why(daemon: &Daemon, wanted: &str) {
    until("the reason", || {
        let told = daemon.ctl(&["why", "handler0"]).stdout;
        if told.contains(wanted) { Ok(()) } else { Err(told) }
    });
}

#[test]
fn a_handler_is_ready_when_it_has_written_its_row_since_its_start() {
    let daemon = running();
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    until_why(&daemon, "the database cannot be asked: there is no file");
    let database = GalaxyDatabase::sqlite(daemon.dir());
    until_why(&daemon, "worker_process has no row of it");
    database.heartbeat(1, "handler0", "elsewhere", 0);
    until_why(&daemon, &format!("worker_process has handler0 on elsewhere only, not on this host, {host}"));
    database.heartbeat(2, "handler0", &host, 600);
    until_why(&daemon, "the row of handler0 in worker_process is from before its start");
    kill_worker(&daemon, daemon.pid());
    until_why(&daemon, "the row of handler0 in worker_process is from before its start");
    // In the second after that of the start, whenever that was.
    database.sql("UPDATE worker_process SET update_time = datetime('now', '+2 seconds') WHERE id = 2");
    let waited = daemon.ctl(&["wait", "handler0"]);
    assert_eq!((waited.stdout.as_str(), waited.code), ("handler0: ready\n", Some(0)), "{waited:?}");
}

#[test]
fn who_has_no_row_to_be_looked_for_is_refused() {
    for (command, wanted) in [
        ("sleep 1000", "ready=worker_process in [program:x], but x has no server name in Galaxy's database"),
        (
            "galaxy-main --server-name=h",
            "ready=worker_process in [program:x], but nothing says which galaxy.yml x reads",
        ),
    ] {
        let text = format!("[program:x]\nready=worker_process\ncommand={command}\n");
        let daemon = Daemon::folder(Subject::GALAXYD, &text);
        let line = daemon.text("supervisord.conf").lines().position(|line| line.starts_with("ready=")).unwrap() + 1;
        let started = daemon.supervisord(&["-n", "-c", "supervisord.conf"]);
        let told = format!("{}{}", started.stdout, started.stderr);
        assert_eq!(started.code, Some(2), "{told}");
        for part in [wanted, &format!("supervisord.conf:{line}")] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let checked = daemon.ctl_plain(&["check", "supervisord.conf"]);
        assert!(checked.code == Some(2) && checked.stdout.contains(wanted), "{checked:?}");
    }
}

#[test]
fn a_start_warns_of_life_on_another_host_and_waits_for_no_database() {
    let sections = "[program:handler0]\nautostart=false\nstartsecs=0\n\
                    command=%(here)s/bin/galaxy-main -c %(here)s/galaxy.yml --server-name=handler0\n\
                    [program:other]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n";
    let mut daemon = Daemon::folder(Subject::GALAXYD, sections);
    fs::create_dir(daemon.path("bin")).unwrap();
    script(&daemon, "bin/galaxy-main", "exec sleep 1000");
    script(&daemon, "bin/python", "exec python3 \"$@\"");
    let database = GalaxyDatabase::sqlite(daemon.dir());
    fs::write(daemon.path("galaxy.yml"), format!("galaxy:\n  database_connection: {}\n", database.url())).unwrap();
    let own = nix::unistd::gethostname().unwrap().into_string().unwrap();
    for (id, host, age) in [(1, own.as_str(), 5), (2, "elsewhere", 5), (3, "former", 500)] {
        database.heartbeat(id, "handler0", host, age);
    }
    daemon.run();
    // A database that takes its time is done without, so that on a busy machine more than one start may be needed.
    for command in ["start", "restart"] {
        let told = until("the warning", || {
            daemon.ctl(&["stop", "handler0"]);
            let done = daemon.ctl(&[command, "handler0"]);
            assert!(done.stdout.ends_with("handler0: started\n"), "{done:?}");
            if done.stderr.is_empty() { Err("no warning".to_owned()) } else { Ok(done.stderr) }
        });
        let is_one = told.lines().count() == 1 && told.starts_with("warning: handler0 showed life on elsewhere ");
        assert!(is_one, "{told}");
    }
    let other = daemon.ctl(&["start", "other"]);
    assert_eq!((other.stdout.as_str(), other.stderr.as_str()), ("other: started\n", ""));

    // Who asks the database does not come back before this test lets it.
    let gate = daemon.path("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    script(&daemon, "bin/python", "read word < gate");
    let restarted = daemon.ctl(&["restart", "handler0"]);
    assert_eq!((restarted.stdout.as_str(), restarted.stderr.as_str()), ("handler0: stopped\nhandler0: started\n", ""));
    fs::write(gate, "go\n").unwrap();
}

/// Replaced as a whole: the one that runs cannot be written.
fn script(daemon: &Daemon, name: &str, text: &str) {
    let new = daemon.path("new");
    fs::write(&new, format!("#!/bin/sh\ncd {}\n{text}\n", daemon.dir().display())).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, daemon.path(name)).unwrap();
}
