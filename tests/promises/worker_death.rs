//! kill -9 of the worker: all programs run on, nothing they wrote is lost, their exit statuses are known, and a
//! successor is in control at once.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::Daemon;
use crate::household::{galaxyd, worker_of};
use crate::wait::until;

const KILLS: usize = 100;

fn kill_worker(keeper: i32) -> i32 {
    let worker = worker_of(keeper);
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    worker
}

/// Until a call is answered by a worker that is not `old`.
fn wait_successor(daemon: &Daemon, keeper: i32, old: i32) {
    until("a successor", || {
        if worker_of(keeper) == old {
            return Err("the old worker".to_string());
        }
        daemon.call("supervisor.getState", "").map(drop)
    });
}

#[test]
fn a_hundred_kills_under_full_output_lose_no_line_and_no_exit_status() {
    let daemon = galaxyd(
        "",
        "[program:talker]\n\
         command=sh -c 'i=0; while [ ! -e %(here)s/enough ]; do i=$((i+1)); echo line $i; done; echo last $i; exit 42'\n\
         startsecs=0\nautorestart=false\nstdout_logfile=%(here)s/talker.log\nstdout_logfile_maxbytes=0\n\
         [program:brief]\ncommand=sh -c 'exit 7'\nstartsecs=0\nautostart=false\nautorestart=false\n\
         stdout_logfile=NONE\nstderr_logfile=NONE\n",
    );
    daemon.wait_state("talker", "RUNNING");
    let keeper = daemon.pid();
    let pid = daemon.process_pid("talker");
    let started = daemon.info("talker", "start").unwrap();
    for round in 0..KILLS {
        if round % 10 == 0 {
            // Its exit falls into the worker's death or beside it; both must be told.
            daemon.call("supervisor.startProcess", "<param><value><string>brief</string></value></param>").unwrap();
        }
        let old = kill_worker(keeper);
        wait_successor(&daemon, keeper, old);
        assert_eq!(daemon.process_pid("talker"), pid, "kill {round}");
        if round % 10 == 0 {
            daemon.wait_state("brief", "EXITED");
            assert_eq!(daemon.info("brief", "exitstatus").unwrap(), "7", "kill {round}");
        }
    }
    assert_eq!(daemon.info("talker", "start").unwrap(), started, "the uptime goes on");
    std::fs::write(daemon.path("enough"), "").unwrap();
    daemon.wait_state("talker", "EXITED");
    assert_eq!(daemon.info("talker", "exitstatus").unwrap(), "42");
    let mut count = 0_u64;
    let text = until("the last line", || {
        let text = daemon.text("talker.log");
        if text.contains("last") { Ok(text) } else { Err(format!("{} bytes", text.len())) }
    });
    for line in text.lines() {
        if let Some(number) = line.strip_prefix("line ") {
            count += 1;
            assert_eq!(number.parse(), Ok(count), "every line once, in order");
        } else {
            assert_eq!(line, format!("last {count}"));
        }
    }
    eprintln!("{count} lines through {KILLS} kills");
}

#[test]
fn a_successor_is_in_control_within_a_moment() {
    let daemon =
        galaxyd("", "[program:p]\ncommand=sleep 1000\nprocess_name=p%(process_num)s\nnumprocs=20\nstartsecs=0\n");
    daemon.wait_state("p:p19", "RUNNING");
    let keeper = daemon.pid();
    let mut times = Vec::new();
    for _ in 0..10 {
        let old = kill_worker(keeper);
        let begin = Instant::now();
        wait_successor(&daemon, keeper, old);
        times.push(begin.elapsed());
    }
    times.sort();
    eprintln!("time to a successor's first answer: median {:?}, worst {:?}", times[5], times[9]);
    daemon.wait_running(&["p:p0", "p:p19"]);
}

#[test]
fn a_stop_that_was_asked_for_ends_under_the_successor() {
    let daemon = galaxyd(
        "",
        "[program:deaf]\ncommand=sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1; done'\nstartsecs=0\n\
         stopwaitsecs=2\nstopasgroup=false\nkillasgroup=true\nstdout_logfile=%(here)s/deaf.log\n",
    );
    daemon.wait_text("deaf.log", "ready");
    let keeper = daemon.pid();
    daemon
        .call(
            "supervisor.stopProcess",
            "<param><value><string>deaf</string></value></param><param><value><boolean>0</boolean></value></param>",
        )
        .unwrap();
    let old = kill_worker(keeper);
    wait_successor(&daemon, keeper, old);
    daemon.wait_state("deaf", "STOPPED");
    let log = daemon.log_lines(&["stopped:", "killing"]);
    assert!(log.iter().any(|line| line.contains("with SIGKILL")), "{log:?}");
}

#[test]
fn a_shutdown_that_was_asked_for_ends_under_the_successor() {
    let mut daemon = galaxyd(
        "",
        "[program:slow]\ncommand=sh -c 'trap \"\" TERM; echo ready; while [ ! -e %(here)s/enough ]; do sleep 0.02; done'\n\
         startsecs=0\nstopwaitsecs=1000\nstdout_logfile=%(here)s/slow.log\n\
         [program:other]\ncommand=sleep 1000\npriority=1\nstartsecs=0\n",
    );
    daemon.wait_text("slow.log", "ready");
    daemon.wait_state("other", "RUNNING");
    let keeper = daemon.pid();
    daemon.call("supervisor.shutdown", "").unwrap();
    let old = kill_worker(keeper);
    until("a successor", || if worker_of(keeper) == old { Err("the old worker".to_string()) } else { Ok(()) });
    std::fs::write(daemon.path("enough"), "").unwrap();
    assert_eq!(daemon.wait_end().code(), Some(0));
    assert_eq!(daemon.living(), [0; 0]);
}

#[test]
fn the_active_groups_survive_a_configuration_that_was_broken_meanwhile() {
    let daemon = galaxyd("", "[program:p]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("p", "RUNNING");
    std::fs::write(daemon.path("supervisord.conf"), "this is no configuration").unwrap();
    let keeper = daemon.pid();
    let old = kill_worker(keeper);
    wait_successor(&daemon, keeper, old);
    assert_eq!(daemon.info("p", "statename").unwrap(), "RUNNING");
}
