//! Replacing processes one after the other: over the worker's death, with a person who changes their mind.

use std::fs;

use crate::daemon::Daemon;
use crate::household::{galaxyd, kill_worker};
use crate::wait::{until, until_true};

/// Each is ready when a file of its name is there, and says when it begins.
const GATED: &str = "[program:web]\n\
    command=sh -c 'echo begun >>%(here)s/%(program_name)s_%(process_num)d; exec sleep 1000'\n\
    numprocs=3\nprocess_name=web_%(process_num)d\nstartsecs=0\nready=log:never\nready_interval=100ms\n";

fn begun(daemon: &Daemon, process: &str) -> usize {
    fs::read_to_string(daemon.path(process)).unwrap_or_default().lines().count()
}

/// Programs whose log says that they are ready as soon as `go` exists.
fn gated(more: &str) -> Daemon {
    let sections =
        GATED.replace("; exec sleep", "; while ! test -e %(here)s/go; do sleep 0.02; done; echo up; exec sleep");
    galaxyd("", &format!("{}{more}", sections.replace("log:never", "log:^up$")))
}

fn pids(daemon: &Daemon) -> Vec<i32> {
    (0..3).map(|number| daemon.process_pid(&format!("web:web_{number}"))).collect()
}

#[test]
fn an_operation_goes_on_after_the_workers_death_and_touches_one_at_a_time() {
    let daemon = gated("");
    fs::write(daemon.path("go"), "").unwrap();
    assert_eq!(daemon.ctl(&["wait", "web:*"]).code, Some(0));
    let before = pids(&daemon);
    fs::remove_file(daemon.path("go")).unwrap();
    let begin = daemon.ctl(&["restart", "--rolling", "--detach", "web:*"]);
    assert_eq!((begin.stdout.as_str(), begin.code), ("operation 1: begun\n", Some(0)), "{begin:?}");
    until_true("the first to begin anew", || begun(&daemon, "web_0") == 2);
    kill_worker(&daemon, daemon.pid());
    let shown = daemon.ctl(&["operations", "--json"]);
    assert!(
        shown.stdout.contains("\"state\": \"active\"") && shown.stdout.contains("\"phase\": \"waiting\""),
        "{shown:?}"
    );
    let now = pids(&daemon);
    assert!(now[0] != before[0] && now[1..] == before[1..], "{before:?} {now:?}");
    // Whoever is being replaced cannot be in a second operation.
    let refused = daemon.ctl(&["graceful", "web:web_2"]);
    let why = "ERROR: web:web_2 is in operation 1 already\n";
    assert_eq!((refused.stdout.as_str(), refused.code), (why, Some(1)), "{refused:?}");
    fs::write(daemon.path("go"), "").unwrap();
    let watched = daemon.ctl(&["watch"]);
    assert_eq!(watched.code, Some(0), "{watched:?}");
    assert!(watched.stdout.contains("web:web_2: done by rolling in "), "{watched:?}");
    assert!(watched.stdout.contains("Rolled 3 of 3 in "), "{watched:?}");
    for name in ["web_0", "web_1", "web_2"] {
        assert_eq!(begun(&daemon, name), 2, "{name}");
    }
    until("the history to tell", || {
        let history = daemon.ctl(&["history"]).stdout;
        let told = [
            "operation 1 begins: restart --rolling",
            "operation 1: web:web_1 is done",
            "operation 1 is done: Rolled 3",
        ];
        if told.iter().all(|text| history.contains(text)) { Ok(()) } else { Err(history) }
    });
}

#[test]
fn what_ends_again_and_again_before_it_is_ready_is_not_waited_for_without_end() {
    let daemon = galaxyd(
        "",
        "[program:web]\ncommand=sh -c 'test %(process_num)d = 1 || { echo up; exec sleep 1000; }; echo begun >>%(here)s/loop; \
         test $(wc -l <%(here)s/loop) != 4 || exec sleep 1000; exit 3'\nnumprocs=2\nprocess_name=web_%(process_num)d\n\
         startsecs=0\nautorestart=true\nready=log:^up$\nready_timeout=1h\n",
    );
    until_true("it to end three times and live once", || begun(&daemon, "loop") == 4);
    daemon.wait_state("web:web_1", "RUNNING");
    assert_eq!(daemon.ctl(&["wait", "web:web_0"]).code, Some(0));
    let pid = daemon.process_pid("web:web_0");
    let outcome = daemon.ctl(&["restart", "--rolling", "web:*"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains("web:web_1: failed by rolling in "), "{outcome:?}");
    assert_eq!(daemon.process_pid("web:web_0"), pid, "{outcome:?}");
}

#[test]
fn a_cancelled_operation_finishes_the_process_that_it_has_begun_with() {
    let daemon = gated("");
    fs::write(daemon.path("go"), "").unwrap();
    assert_eq!(daemon.ctl(&["wait", "web:*"]).code, Some(0));
    let before = pids(&daemon);
    fs::remove_file(daemon.path("go")).unwrap();
    assert_eq!(daemon.ctl(&["graceful", "--detach", "web:*"]).code, Some(0));
    until_true("the first to begin anew", || begun(&daemon, "web_0") == 2);
    let cancelled = daemon.ctl(&["cancel"]);
    assert_eq!(cancelled.stdout, "operation 1: no further process is begun with\n", "{cancelled:?}");
    fs::write(daemon.path("go"), "").unwrap();
    let watched = daemon.ctl(&["watch", "1"]);
    assert_eq!(watched.code, Some(1), "{watched:?}");
    assert!(watched.stdout.contains("web:web_0: done by rolling in "), "{watched:?}");
    assert!(watched.stdout.contains("web:web_1: not reached\n"), "{watched:?}");
    assert!(watched.stdout.contains("Cancelled after 1 of 3 in "), "{watched:?}");
    assert_eq!(pids(&daemon)[1..], before[1..]);
    let over = daemon.ctl(&["cancel", "1"]);
    assert_eq!((over.stdout.as_str(), over.code), ("ERROR: operation 1 is cancelled already\n", Some(1)), "{over:?}");
}

#[test]
fn who_is_kept_is_left_alone_and_who_was_stopped_stays_stopped() {
    let daemon = galaxyd(
        "",
        "[program:uploads]\ncommand=sleep 1000\nrollout=keep\nstartsecs=0\n\
         [program:worker]\ncommand=sleep 1000\nstartsecs=0\n\
         [program:stopped]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\n",
    );
    daemon.wait_running(&["uploads", "worker"]);
    let pid = daemon.process_pid("uploads");
    let rolled = daemon.ctl(&["graceful"]);
    assert_eq!(rolled.code, Some(0), "{rolled:?}");
    assert!(rolled.stdout.contains("uploads: left alone: it runs and is kept\n"), "{rolled:?}");
    assert!(rolled.stdout.contains("stopped: left alone: it does not run\n"), "{rolled:?}");
    assert!(rolled.stdout.contains("worker: done by rolling in "), "{rolled:?}");
    assert!(rolled.stdout.contains("Rolled 1 of 1 in "), "{rolled:?}");
    assert_eq!(daemon.process_pid("uploads"), pid);
    daemon.ctl(&["stop", "uploads"]);
    let rolled = daemon.ctl(&["graceful", "--start-if-stopped", "uploads", "stopped"]);
    assert_eq!(rolled.code, Some(0), "{rolled:?}");
    daemon.wait_running(&["uploads", "stopped"]);
}

#[test]
fn the_first_failure_ends_a_rolling_restart_and_says_why() {
    let daemon = galaxyd(
        "",
        "[program:web]\ncommand=sh -c 'test -e %(here)s/broken && echo no such module && exit 3; exec sleep 1000'\n\
         numprocs=2\nprocess_name=web_%(process_num)d\nstartsecs=1\nstartretries=0\nredirect_stderr=true\n",
    );
    daemon.wait_running(&["web:web_0", "web:web_1"]);
    let pid = daemon.process_pid("web:web_1");
    fs::write(daemon.path("broken"), "").unwrap();
    let rolled = daemon.ctl(&["restart", "--rolling", "web:*"]);
    assert_eq!(rolled.code, Some(1), "{rolled:?}");
    assert!(rolled.stdout.contains("web:web_0: failed by rolling in "), "{rolled:?}");
    assert!(rolled.stdout.contains("exit status 3"), "{rolled:?}");
    assert!(rolled.stdout.contains("web:web_1: not reached\n"), "{rolled:?}");
    assert!(rolled.stderr.contains("no such module"), "{rolled:?}");
    assert_eq!(daemon.process_pid("web:web_1"), pid);
}
