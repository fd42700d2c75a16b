//! Automatic starts: storms, retries, keys that hold at once, and the daemon's end with a program.

use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::household::galaxyd;
use crate::wait::until_true;

#[test]
fn a_retry_starts_what_is_fatal_and_leaves_alone_what_was_stopped() {
    let daemon = galaxyd(
        "",
        "[program:fatal]\ncommand=sh -c 'test -e %(here)s/there && exec sleep 1000'\nstartretries=0\n\
         [program:stopped]\ncommand=sleep 1000\nautostart=false\n",
    );
    daemon.wait_state("fatal", "FATAL");
    std::fs::write(daemon.path("there"), "").unwrap();
    let told = format!("{:?}", daemon.ctl(&["retry"]));
    assert!(told.contains("fatal: started") && !told.contains("stopped"), "{told}");
    daemon.wait_state("fatal", "RUNNING");
    daemon.wait_state("stopped", "STOPPED");
    let unknown = format!("{:?}", daemon.ctl(&["retry", "nobody"]));
    assert!(unknown.contains("nobody: ERROR (no such"), "{unknown}");
}

#[test]
fn a_limit_and_its_reason_hold_at_once_after_an_update() {
    let program = |keys: &str| {
        format!("[program:loop]\ncommand=sh -c 'sleep 0.1; exit 3'\nstartsecs=0\nautorestart=true\n{keys}")
    };
    let daemon = galaxyd("", &program(""));
    until_true("a restart", || daemon.text("main.log").matches("exited: loop").count() >= 2);
    daemon.rewrite(&program("restart_limit=2/1h\n"));
    daemon.ctl(&["update"]);
    daemon.wait_state("loop", "FATAL");
    let why = format!("{:?}", daemon.ctl(&["why", "loop"]));
    assert!(why.contains("started again 2 times in 3600 seconds (restart_limit)"), "{why}");
}

#[test]
fn a_crash_loop_of_many_programs_stays_under_the_rate() {
    let program = "[program:p]\ncommand=false\nstartsecs=0\nautorestart=true\nnumprocs=60\n\
                   process_name=p%(process_num)02d\nstdout_logfile=NONE\nstderr_logfile=NONE\n";
    let daemon = galaxyd("restart_rate=4", program);
    let spawned = |daemon: &Daemon| daemon.text("main.log").matches("spawned: 'p").count();
    // The first start and the first restart of each are free, then there are 20 at once.
    until_true("the free starts", || spawned(&daemon) >= 60 * 2 + 20);
    let (begun, before) = (Instant::now(), spawned(&daemon));
    until_true("ten more", || spawned(&daemon) >= before + 10);
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn the_daemon_ends_with_the_code_of_its_program() {
    for keys in
        ["startsecs=1000\nstartretries=0\non_fatal=shutdown", "startsecs=0\nautorestart=false\non_exit=shutdown"]
    {
        let program = "command=sh -c 'while ! test -e %(here)s/go; do sleep 0.05; done; exit 3'";
        let mut daemon =
            galaxyd("", &format!("[program:main]\n{program}\n{keys}\n[program:other]\ncommand=sleep 1000\n"));
        daemon.wait_state("other", "RUNNING");
        std::fs::write(daemon.path("go"), "").unwrap();
        assert_eq!(daemon.wait_end().code(), Some(3), "{keys}: {}", daemon.text("main.log"));
        assert!(daemon.text("main.log").contains("stopped: other"), "{keys}");
    }
}
