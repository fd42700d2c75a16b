//! Programs that go into the background (`type=forking`) are supervised there, through every death of ours.

use std::fs;

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::daemon_death::{again, end, next_keeper};
use crate::household::{galaxyd, is_there, kill_both, kill_pid, kill_worker};
use crate::wait::{until, until_true};

/// A daemon by double fork that leads its own session; its first process ends when the file `go` is there.
fn program(keys: &str) -> String {
    format!(
        "[program:d]\ncommand=sh -c '(setsid sh -c \"echo \\$\\$ > %(here)s/d.pid; exec sleep 10004\" &); \
         while [ ! -s %(here)s/d.pid -o ! -e %(here)s/go ]; do sleep 0.01; done'\ntype=forking\nstartsecs=1\n{keys}\n"
    )
}

/// With a file `go` from the beginning, if so wished.
fn daemon(keys: &str, goes: bool) -> Daemon {
    let mut daemon = Daemon::folder_with(crate::subject::Subject::GALAXYD, "", "", &program(keys));
    if goes {
        go(&daemon);
    }
    daemon.run();
    daemon
}

fn go(daemon: &Daemon) {
    fs::write(daemon.path("go"), "").unwrap();
}

/// The pid that the program wrote.
fn written(daemon: &Daemon) -> i32 {
    until("the pid", || daemon.text("d.pid").trim().parse().map_err(|_| "no pid yet".to_owned()))
}

/// Waits until the one in the background is the process; gives its pid.
fn in_background(daemon: &Daemon) -> i32 {
    daemon.wait_state("d", "RUNNING");
    let pid = written(daemon);
    until("the one in the background to be the process", || {
        let shown = daemon.process_pid("d");
        if shown == pid { Ok(pid) } else { Err(format!("{shown} is shown, {pid} runs")) }
    })
}

#[test]
fn a_program_in_the_background_is_shown_restarted_and_stopped_as_any_other() {
    // Its group is led by another one than the process that was started.
    let daemon = daemon("stopasgroup=true\nkillasgroup=true", true);
    let first = in_background(&daemon);
    daemon.wait_text("main.log", &format!("went into the background and goes on as pid {first}"));
    assert!(!daemon.text("main.log").contains("left something behind"), "{}", daemon.text("main.log"));
    fs::remove_file(daemon.path("d.pid")).unwrap();
    kill_pid(first, Signal::SIGKILL);
    daemon.wait_text("main.log", "exited: d (terminated by SIGKILL; not expected)");
    let second = in_background(&daemon);
    assert_ne!(first, second);
    daemon.call("supervisor.stopProcess", "<param><value><string>d</string></value></param>").unwrap();
    assert!(!is_there(second));
    assert_eq!(daemon.info("d", "statename").unwrap(), "STOPPED");
}

#[test]
fn a_program_in_the_background_outlives_every_death_of_ours() {
    let daemon = daemon("", true);
    let pid = in_background(&daemon);
    let keeper = daemon.pid();
    kill_worker(&daemon, keeper);
    assert_eq!(daemon.process_pid("d"), pid, "after the worker's death");
    kill_pid(keeper, Signal::SIGKILL);
    next_keeper(&daemon, keeper);
    assert_eq!(daemon.process_pid("d"), pid, "after the keeper's death");
    let keeper = kill_both(&daemon);
    let child = again(&daemon);
    next_keeper(&daemon, keeper);
    assert_eq!(daemon.process_pid("d"), pid, "after the death of both");
    assert_eq!(daemon.text("main.log").matches("spawned: 'd'").count(), 1);
    daemon.call("supervisor.stopProcess", "<param><value><string>d</string></value></param>").unwrap();
    assert!(!is_there(pid));
    end(child);
}

#[test]
fn deaths_of_ours_while_a_program_goes_into_the_background_start_it_no_second_time() {
    for victim in ["worker", "keeper", "both"] {
        let daemon = daemon("startretries=0", false);
        let keeper = daemon.pid();
        let pid = written(&daemon);
        // Whoever dies before he has told of the start cannot be asked how often there was one.
        daemon.wait_text("main.log", "spawned: 'd'");
        let child = match victim {
            "worker" => {
                go(&daemon);
                kill_worker(&daemon, keeper);
                None
            }
            "keeper" => {
                kill_pid(keeper, Signal::SIGKILL);
                go(&daemon);
                next_keeper(&daemon, keeper);
                None
            }
            _ => {
                kill_both(&daemon);
                go(&daemon);
                Some(again(&daemon))
            }
        };
        if child.is_some() {
            next_keeper(&daemon, keeper);
        }
        assert_eq!(in_background(&daemon), pid, "{victim}: {}", daemon.text("main.log"));
        assert_eq!(daemon.text("main.log").matches("spawned: 'd'").count(), 1, "{victim}");
        daemon.call("supervisor.stopProcess", "<param><value><string>d</string></value></param>").unwrap();
        until_true("its end", || !is_there(pid));
        child.into_iter().for_each(end);
    }
}

#[test]
fn a_forking_program_that_stays_or_leaves_nothing_behind_is_as_any_other() {
    let daemon = galaxyd(
        "",
        "[program:stays]\ncommand=sleep 10005\ntype=forking\nstartsecs=0\n\
         [program:goes]\ncommand=true\ntype=forking\nstartretries=0\n\
         [program:fails]\ncommand=sh -c 'sleep 10006 & exit 3'\ntype=forking\nstartretries=0\nkilltree=true\n",
    );
    daemon.wait_state("stays", "RUNNING");
    daemon.wait_state("goes", "FATAL");
    daemon.wait_state("fails", "FATAL");
}
