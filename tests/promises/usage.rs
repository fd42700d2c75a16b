//! What processes use: their trees' time and memory, restarts, and the workers of web servers by whoever knows them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::daemon::Daemon;
use crate::household::galaxyd;
use crate::seat::Seat;
use crate::subject::Subject;
use crate::wait::until;

/// A stats server as uWSGI's is: one document a connection.
const UWSGI: &str = r#"#!/usr/bin/env python3
import json, os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[sys.argv.index("--stats") + 1])
listener.listen()
worker = {"id": 1, "pid": os.getpid(), "status": "busy\u001b[2J", "requests": 12, "exceptions": 1,
          "running_time": 1500000, "avg_rt": 4000, "cores": [{"in_request": 1}]}
while True:
    connection, _ = listener.accept()
    try:
        connection.sendall(json.dumps({"workers": [worker]}).encode())
    except OSError:
        pass  # Whoever only connects is gone by now.
    connection.close()
"#;

const GUNICORN: &str = "#!/bin/sh\nsleep 1000 &\nsleep 1000 &\nwait\n";

const SECTIONS: &str = "[program:web]\ncommand=%(here)s/uwsgi --stats %(here)s/stats\n\
     [program:api]\ncommand=%(here)s/gunicorn app:app\nstopasgroup=true\n\
     [program:deaf]\ncommand=%(here)s/uwsgi-none --stats %(here)s/nobody\n\
     [program:busy]\ncommand=sh -c 'while :; do :; done'\n\
     [program:off]\ncommand=sleep 1000\nautostart=false\n";

fn folder() -> Daemon {
    let daemon = Daemon::folder_with(Subject::GALAXYD, "", "", SECTIONS);
    for (name, text) in [("uwsgi", UWSGI), ("gunicorn", GUNICORN), ("uwsgi-none", "#!/bin/sh\nexec sleep 1000\n")] {
        fs::write(daemon.path(name), text).unwrap();
        fs::set_permissions(daemon.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    daemon
}

fn top(daemon: &Daemon) -> Vec<Value> {
    let outcome = daemon.ctl(&["top", "--json"]);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    document["processes"].as_array().unwrap().clone()
}

#[test]
fn time_memory_restarts_and_workers_are_told() {
    let mut daemon = folder();
    daemon.run();
    daemon.wait_running(&["web", "api", "deaf", "busy"]);
    let first = daemon.process_pid("busy");
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    until("another child", || match daemon.info("busy", "statename") {
        Ok(state) if state == "RUNNING" && daemon.process_pid("busy") != first => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let of = |all: &[Value], name: &str| all.iter().find(|one| one["name"] == name).cloned().unwrap();
    let all = until("workers and used time", || {
        let all = top(&daemon);
        let used = of(&all, "busy")["cpu_percent"].as_f64().unwrap_or(0.0) > 0.0;
        let told = of(&all, "web")["workers"][0]["requests"] == 12;
        let forked = of(&all, "api")["workers"].as_array().unwrap().len() == 2;
        if used && told && forked { Ok(all) } else { Err(format!("{all:#?}")) }
    });
    let names: Vec<&str> = all.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["api", "busy", "deaf", "off", "web"]);
    assert_eq!(of(&all, "busy")["restarts"], 1);
    let api = of(&all, "api");
    assert_eq!((&api["server"], &api["processes"]), (&"gunicorn".into(), &3.into()), "{api}");
    assert!(api["memory_kb"].as_i64().unwrap() > 0 && ["pss", "rss"].contains(&api["memory_kind"].as_str().unwrap()));
    let worker = &of(&all, "web")["workers"][0];
    assert_eq!(
        (&worker["running_ms"], &worker["average_us"], &worker["in_request"]),
        (&1500.into(), &4000.into(), &1.into())
    );
    let deaf = of(&all, "deaf");
    assert!(deaf["trouble"].as_str().unwrap().contains("no such socket"), "{deaf}");
    let off = of(&all, "off");
    assert_eq!((&off["state"], &off["pid"], &off["cpu_percent"]), (&"STOPPED".into(), &Value::Null, &Value::Null));

    // In a pipe it is one table, and what a program says does nothing to a terminal.
    let table = daemon.ctl(&["top", "--sort=name", "web"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("PROCESS") && lines[1].starts_with("web"), "{table}");
    assert!(lines[2].contains(" busy") && !table.contains('\u{1b}'), "{table}");
    assert!(lines[2].contains("12 requests, 1 now, 1 raised, 1.5 s running"), "{table}");
    let wrong = daemon.ctl(&["top", "--sort=size"]);
    assert!(
        wrong.stdout.contains("--sort is one of cpu, memory, restarts, name") && wrong.code != Some(0),
        "{wrong:?}"
    );
    let nobody = daemon.ctl(&["top", "nobody"]);
    assert_ne!(nobody.code, Some(0), "{nobody:?}");
}

#[test]
fn top_is_one_screen_that_keys_sort_filter_restart_and_leave() {
    let daemon = galaxyd(
        "",
        "[program:cat]\ncommand=sh -c 'echo purring; exec cat'\nstartsecs=0\n[program:web]\ncommand=sleep 1000\nstartsecs=0\n",
    );
    daemon.wait_running(&["cat", "web"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_galaxyctl"));
    command.arg("-c").arg(daemon.path("supervisord.conf")).arg("top");
    let mut seat = Seat::start(command, &[("NO_COLOR", "1")]);
    seat.see("\u{1b}[?1049h");
    seat.see("by cpu");
    seat.see("web");
    seat.type_in("n");
    seat.see("by name");
    seat.type_in("/cat\r");
    seat.see("filter: cat");
    seat.see("> cat");
    seat.type_in("R");
    seat.see("restart cat? (y/n)");
    seat.type_in("n");
    seat.see("q quit");
    seat.type_in("Ry");
    seat.see("\u{1b}[?1049l");
    seat.see("cat: started");
    seat.see("Press Enter");
    seat.type_in("\r");
    seat.see("\u{1b}[?1049h");
    // What was filtered stays so.
    seat.see("filter: cat");
    seat.type_in("l");
    seat.see("Press Ctrl-C to exit");
    // The stream begins when Ctrl-C is waited for.
    seat.see("purring");
    kill(Pid::from_raw(i32::try_from(seat.child.id()).unwrap()), Signal::SIGINT).unwrap();
    seat.see("\u{1b}[?1049h");
    seat.see("> cat");
    seat.type_in("q");
    seat.see("\u{1b}[?25h\u{1b}[?1049l");
    assert_eq!(seat.end(), (String::new(), Some(0)));
}
