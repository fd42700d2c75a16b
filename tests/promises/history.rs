//! What happened is kept, with who asked for it, over the death of the worker and of the daemon.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::Daemon;
use crate::household::{galaxyd, worker_of};
use crate::subject::Subject;
use crate::wait::{until, until_true};

const KEYS: &str = "history_file=%(here)s/history";

#[test]
fn the_history_tells_causes_and_who_asked_for_what_also_after_the_workers_death_and_without_a_daemon() {
    let mut daemon = galaxyd(
        KEYS,
        "[program:bad]\ncommand=sh -c 'exit 3'\nautostart=false\nstartretries=1\n\
         [program:good]\ncommand=sleep 1000\nstartsecs=0\n",
    );
    daemon.wait_state("good", "RUNNING");
    daemon.ctl(&["start", "bad"]);
    daemon.wait_state("bad", "FATAL");
    let keeper = daemon.pid();
    let told = |name: &str| daemon.ctl(&["history", name]).stdout;
    let text = until("the end of the story", || {
        let text = told("bad");
        if text.contains("FATAL: given up") { Ok(text) } else { Err(text) }
    });
    let uid = nix::unistd::getuid();
    assert!(text.contains(&format!("supervisor.startProcess bad by uid {uid}, pid ")), "{text}");
    assert!(text.contains("BACKOFF: exit status 3; ended too quickly (2 times since "), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");

    let old = worker_of(keeper);
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    until_true("a successor", || worker_of(keeper) != old && daemon.call("supervisor.getState", "").is_ok());
    daemon.ctl(&["stop", "good"]);
    let all = until("the stop", || {
        let all = daemon.ctl(&["history"]).stdout;
        if all.contains("good  STOPPED: terminated by SIGTERM") { Ok(all) } else { Err(all) }
    });
    assert!(all.contains("galaxyd  a new worker took over") && all.contains(text.lines().last().unwrap()), "{all}");

    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    let shown = daemon.ctl(&["history", "--json"]).stdout;
    assert!(shown.contains("FATAL: given up") && shown.contains("\"ends\""), "{shown}");
}

#[test]
fn a_history_that_cannot_be_written_hinders_nobody_and_goes_on_when_it_can() {
    let program = "[program:p]\ncommand=sleep 1000\nstartsecs=0\n";
    let mut daemon = Daemon::folder_with(Subject::GALAXYD, KEYS, "", program);
    std::fs::create_dir(daemon.path("history")).unwrap();
    daemon.run();
    daemon.wait_state("p", "RUNNING");
    daemon.wait_text("main.log", "cannot write the history ");
    std::fs::remove_dir(daemon.path("history")).unwrap();
    until("entries, and that some are missing", || {
        daemon.ctl(&["restart", "p"]);
        let text = daemon.ctl(&["history"]).stdout;
        if text.contains("could not be written") { Ok(()) } else { Err(text) }
    });
    assert_eq!(daemon.log_lines(&["cannot write the history "]).len(), 1);
}

#[test]
fn a_history_is_kept_beside_the_state_files_unless_it_is_not_wanted() {
    let program = "[program:p]\ncommand=sleep 1000\nstartsecs=0\n";
    let mut daemon = galaxyd("", program);
    daemon.wait_state("p", "RUNNING");
    let pidfile = daemon.path("main.pid");
    let file = until("a history beside the pidfile", || {
        let found: Vec<_> =
            std::fs::read_dir(pidfile.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let history =
            found.iter().find(|path| path.extension().is_some_and(|extension| extension == "history")).cloned();
        history.ok_or(format!("{found:?}"))
    });
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(daemon.ctl(&["history", "p:"]).stdout.contains("p  RUNNING"));
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    assert!(file.exists(), "an orderly end leaves the history alone");

    let daemon = galaxyd("history_file=none", program);
    daemon.wait_state("p", "RUNNING");
    let told = format!("{:?}", daemon.ctl(&["history"]));
    assert!(told.contains("this daemon keeps no history: history_file"), "{told}");
    assert!(
        std::fs::read_dir(daemon.path(""))
            .unwrap()
            .all(|entry| { entry.unwrap().path().extension().is_none_or(|extension| extension != "history") })
    );
}

#[test]
fn names_mean_processes_groups_and_patterns_and_counts_are_up_to_date() {
    let daemon = galaxyd(
        "",
        "[program:web]\ncommand=sleep 1000\nstartsecs=0\n\
         [program:loop]\ncommand=sh -c 'exit 3'\nstartsecs=0\nautorestart=true\n\
         [group:galaxy]\nprograms=web,loop\n[program:other]\ncommand=sleep 1000\nstartsecs=0\n",
    );
    daemon.wait_state("galaxy:web", "RUNNING");
    daemon.wait_state("other", "RUNNING");
    daemon.ctl(&["stop", "galaxy:web"]);
    for names in [&["galaxy:*"][..], &["galaxy:"], &["galaxy"], &["other", "galaxy:web"], &["gal*:web"]] {
        let text = daemon.ctl(&[&["history"], names].concat()).stdout;
        assert!(text.contains("galaxy:web  STOPPED"), "{names:?}: {text}");
        assert_eq!(text.contains("  other  "), names.contains(&"other"), "{names:?}: {text}");
    }
    // Neither 3 nor 5, 6 or 7 times is written at once.
    until("a count that is in no file yet", || {
        let text = daemon.ctl(&["history", "galaxy:loop"]).stdout;
        let counts =
            [3, 5, 6, 7].map(|count| text.contains(&format!("EXITED: exit status 3; not expected ({count} times")));
        if counts.contains(&true) { Ok(()) } else { Err(text) }
    });
    let missing = daemon.ctl(&["history", "galaxi"]);
    assert!(missing.stdout.is_empty() && missing.stderr.contains("nothing is known about galaxi"), "{missing:?}");
}
