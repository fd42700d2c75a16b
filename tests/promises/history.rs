//! What happened is kept, with who asked for it, over the death of the worker and of the daemon.

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
fn without_a_file_there_is_no_history_and_it_is_said_how_to_get_one() {
    let daemon = galaxyd("", "");
    let told = format!("{:?}", daemon.ctl(&["history"]));
    assert!(told.contains("set history_file in section [supervisord]"), "{told}");
}
