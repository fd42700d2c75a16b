//! What happened is kept, with who asked for it, over the death of the worker and of the daemon.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::Daemon;
use crate::household::{galaxyd, kill_both, worker_of};
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

/// What the history says of a process when it says this.
fn told(daemon: &Daemon, name: &str, wanted: &str) -> String {
    until(wanted, || {
        let text = daemon.ctl(&["history", name]).stdout;
        if text.contains(wanted) { Ok(text) } else { Err(text) }
    })
}

#[test]
fn each_end_is_told_with_its_cause_and_whose_signal_it_was() {
    let daemon = galaxyd(
        "",
        "[program:killed]\ncommand=sleep 1000\nstartsecs=0\nautorestart=false\n\
         [program:signalled]\ncommand=sleep 1000\nstartsecs=0\nautorestart=false\n\
         [program:deaf]\ncommand=sh -c 'trap \"\" TERM; echo deaf > %(here)s/deaf; while :; do sleep 0.1; done'\nstartsecs=0\n\
         stopwaitsecs=1\nkillasgroup=true\n\
         [program:faulty]\ncommand=sh -c 'ulimit -c 0; kill -SEGV $$'\nstartsecs=0\nautorestart=false\n\
         [program:lost]\ncommand=sleep 1000\ndirectory=%(here)s/gone\nstartretries=0\n\
         [program:missing]\ncommand=%(here)s/nothing\nstartretries=0\n",
    );
    daemon.wait_running(&["killed", "signalled", "deaf"]);
    kill(Pid::from_raw(daemon.process_pid("killed")), Signal::SIGKILL).unwrap();
    told(&daemon, "killed", "EXITED: terminated by SIGKILL (not sent by galaxyd); not expected");
    daemon.ctl(&["signal", "USR1", "signalled"]);
    told(&daemon, "signalled", "EXITED: terminated by SIGUSR1 (sent by galaxyd); not expected");
    daemon.wait_text("deaf", "deaf");
    daemon.ctl(&["stop", "deaf"]);
    told(&daemon, "deaf", "STOPPED: terminated by SIGKILL, sent after stopwaitsecs (1 s) (by request)");
    told(&daemon, "faulty", "EXITED: terminated by SIGSEGV; not expected");
    let text = told(&daemon, "lost", "BACKOFF: couldn't change to its directory: ");
    assert!(text.contains("/gone"), "{text}");
    let text = told(&daemon, "missing", "BACKOFF: can't find command '");
    assert!(text.contains("/nothing'") && text.contains("FATAL: given up after too many failed starts"), "{text}");
}

#[test]
fn each_failed_start_is_told_with_its_own_cause() {
    let sections = "[program:p]\ncommand=%(here)s/run\nstartretries=100\nrestart_delay=100ms\n";
    let mut daemon = Daemon::folder_with(Subject::GALAXYD, "", "", sections);
    std::fs::write(daemon.path("run"), "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(daemon.path("run"), PermissionsExt::from_mode(0o755)).unwrap();
    daemon.run();
    told(&daemon, "p", "BACKOFF: exit status 1; ended too quickly");
    std::fs::remove_file(daemon.path("run")).unwrap();
    told(&daemon, "p", "BACKOFF: can't find command '");
}

#[test]
fn what_is_refused_what_hinders_and_who_died_is_told() {
    let sections = "[program:talker]\ncommand=sh -c 'while :; do echo x; sleep 0.1; done'\nautostart=false\nstartsecs=0\n\
                    stdout_logfile=%(here)s/talk.log\n\
                    [eventlistener:wedged]\ncommand=sleep 1000\nevents=PROCESS_STATE\nbuffer_size=1\n";
    let mut daemon = galaxyd("", sections);
    std::fs::create_dir(daemon.path("talk.log")).unwrap();
    daemon.ctl(&["start", "talker"]);
    told(&daemon, "talker", "talk.log cannot open: ");
    std::fs::remove_dir(daemon.path("talk.log")).unwrap();
    told(&daemon, "talker", "talk.log can be written again, ");
    told(&daemon, "wedged", "events are discarded: more wait than buffer_size");

    daemon.rewrite("[program:talker]\ncommand=sleep 1000\nstartsecs=soon\n");
    daemon.signal(Signal::SIGHUP);
    let me = std::process::id();
    let refused = "the new configuration is refused, nothing was changed: ";
    let asked = format!("reload by SIGHUP; sent by pid {me}, uid ");
    until("the refusal", || {
        let text = daemon.ctl(&["history"]).stdout;
        if text.contains(refused) && text.contains(&asked) { Ok(()) } else { Err(text) }
    });
    daemon.rewrite(sections);
    kill_both(&daemon);
    daemon.wait_end();
    daemon.run();
    until("the take-over", || {
        let text = daemon.ctl(&["history"]).stdout;
        if text.contains("the daemon before this one was killed; ") { Ok(()) } else { Err(text) }
    });
}

#[test]
fn the_evidence_is_of_the_run_that_it_explains() {
    // At the first run only it says something; the second follows at once, within the same second.
    let run = "sh -c 'test -e %(here)s/again || echo first >&2; echo > %(here)s/again; exit 1'";
    let daemon = galaxyd(
        "",
        &format!("[program:p]\ncommand={run}\nstartretries=1\nrestart_delay=0\nstderr_logfile=%(here)s/p.log\n"),
    );
    daemon.wait_state("p", "FATAL");
    daemon.wait_lines("p.log", 1);
    let ends = || -> Vec<String> {
        let text = daemon.text("main.log");
        text.lines().filter(|line| line.contains("ended too quickly: exit status 1")).map(str::to_owned).collect()
    };
    let lines = until("the end of the examination", || {
        let lines = ends();
        if lines.len() == 2 { Ok(lines) } else { Err(format!("{lines:?}")) }
    });
    assert_eq!(lines.iter().filter(|line| line.contains("first")).count(), 1, "{lines:?}");
    let why = daemon.ctl(&["why", "p"]).stdout;
    assert!(why.contains("p (FATAL)") && !why.contains("log: first"), "{why}");
}

#[test]
fn why_leads_from_the_cause_to_the_next_command() {
    let daemon = galaxyd(
        "",
        "[program:fatal]\ncommand=sh -c 'echo no database >&2; exit 3'\nstartretries=1\nrestart_delay=100ms\n\
         [program:aloud]\ncommand=sh -c 'echo no room; exit 3'\nstartretries=0\n\
         [program:later]\ncommand=sh -c 'exit 3'\nstartretries=5\nrestart_delay=30\n",
    );
    daemon.wait_state("fatal", "FATAL");
    daemon.wait_state("aloud", "FATAL");
    daemon.wait_state("later", "BACKOFF");
    let why = until("the whole chain", || {
        let why = daemon.ctl(&["why", "fatal"]).stdout;
        if why.contains("log: no database") && why.contains("FATAL: given up") { Ok(why) } else { Err(why) }
    });
    assert!(why.starts_with("fatal (FATAL): ended too quickly: exit status 3 after "), "{why}");
    assert!(why.contains("BACKOFF: exit status 3; ended too quickly (2 times since "), "{why}");
    assert!(why.ends_with("waits for: somebody to start it\n    next: galaxyctl retry fatal\n"), "{why}");
    until("what it said on standard output", || {
        let why = daemon.ctl(&["why", "aloud"]).stdout;
        if why.contains("log: no room") { Ok(()) } else { Err(why) }
    });
    let why = daemon.ctl(&["why", "later"]).stdout;
    assert!(why.contains("waits for: its next start, until 2"), "{why}");
    assert!(why.ends_with("next: galaxyctl tail later stderr\n"), "{why}");
    let status = daemon.ctl(&["status", "later", "--json"]).stdout;
    assert!(status.contains("\"awaits\": \"its next start\"") && !status.contains("\"until\": null"), "{status}");
}
