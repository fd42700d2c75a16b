//! Programs that go into the background (`type=forking`) are supervised there, through every death of ours.

use std::fs;

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::daemon_death::{again, end, next_keeper};
use crate::household::{galaxyd, is_there, kill_both, kill_pid, kill_worker};
use crate::left_behind::{Leftover, lives};
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

/// A main process that, at USR2, starts another one in its place, and ends with `CODE` when that has written its pid.
const SERVER: &str = "replace() {\n\
    kill $idle; wait $idle\n\
    setsid sh \"$0\" &\n\
    while [ \"$(cat d.pid)\" = $$ ]; do sleep 0.01; done\n\
    exit $CODE\n\
    }\n\
    trap replace USR2\n\
    sleep 10007 & idle=$!\n\
    echo $$ > d.new; mv d.new d.pid\n\
    while :; do wait $idle; done\n";

/// A daemon with such a server in the background; gives its pid, too.
fn server(keys: &str, code: u8) -> (Daemon, i32) {
    let mut daemon = Daemon::folder_with(
        crate::subject::Subject::GALAXYD,
        "",
        "",
        &format!(
            "[program:d]\ncommand=sh -c 'setsid sh server.sh & while [ ! -e d.pid ]; do sleep 0.01; done'\n\
             directory=%(here)s\nenvironment=CODE={code}\ntype=forking\nstartsecs=1\nkilltree=true\n{keys}\n"
        ),
    );
    fs::write(daemon.path("server.sh"), SERVER).unwrap();
    daemon.run();
    let pid = in_background(&daemon);
    (daemon, pid)
}

/// Has it replaced; gives the pid of the next one.
fn replaced(daemon: &Daemon, pid: i32) -> i32 {
    kill_pid(pid, Signal::SIGUSR2);
    let next = until("another main process", || {
        let shown = daemon.process_pid("d");
        if shown != pid && shown != 0 { Ok(shown) } else { Err(format!("{shown} is shown")) }
    });
    assert_eq!((next, daemon.info("d", "statename").unwrap()), (written(daemon), "RUNNING".to_owned()));
    next
}

#[test]
fn a_program_in_the_background_gives_its_place_to_whom_its_pidfile_names_through_every_death_of_ours() {
    let (daemon, first) = server("pidfile=%(here)s/d.pid", 3);
    let started = daemon.info("d", "start").unwrap();
    let second = replaced(&daemon, first);
    let told = format!("the main process of 'd' (pid {first}) has ended, and it goes on as pid {second}");
    daemon.wait_text("main.log", &told);
    until_true("its history", || daemon.ctl(&["history", "d"]).stdout.contains(&told));
    let keeper = daemon.pid();
    kill_worker(&daemon, keeper);
    assert_eq!(daemon.process_pid("d"), second, "after the worker's death");
    let third = replaced(&daemon, second);
    kill_pid(keeper, Signal::SIGKILL);
    next_keeper(&daemon, keeper);
    assert_eq!(daemon.process_pid("d"), third, "after the keeper's death");
    let fourth = replaced(&daemon, third);
    let keeper = kill_both(&daemon);
    let child = again(&daemon);
    next_keeper(&daemon, keeper);
    assert_eq!(daemon.process_pid("d"), fourth, "after the death of both");
    let fifth = replaced(&daemon, fourth);
    assert_eq!(daemon.info("d", "start").unwrap(), started, "the uptime is the program's");
    assert_eq!(daemon.text("main.log").matches("spawned: 'd'").count(), 1);
    daemon.call("supervisor.stopProcess", "<param><value><string>d</string></value></param>").unwrap();
    assert!(!is_there(fifth));
    end(child);
}

#[test]
fn without_a_pidfile_the_only_one_that_is_left_goes_on_if_its_predecessor_ended_well() {
    let (daemon, first) = server("", 0);
    let second = replaced(&daemon, first);
    kill_pid(second, Signal::SIGKILL);
    daemon.wait_text("main.log", "exited: d (terminated by SIGKILL; not expected)");
    until_true("another start", || daemon.text("main.log").matches("spawned: 'd'").count() == 2);
    let (daemon, first) = server("", 3);
    kill_pid(first, Signal::SIGUSR2);
    daemon.wait_text("main.log", "exited: d (exit status 3; not expected)");
    assert!(!daemon.text("main.log").contains("it goes on as"), "{}", daemon.text("main.log"));
}

#[test]
fn a_main_process_that_executes_itself_anew_is_the_same() {
    let daemon = galaxyd(
        "",
        "[program:p]\ncommand=sh -c 'echo begun >> %(here)s/begun; trap \"exec sh %(here)s/again.sh\" USR2; while :; do sleep 0.05; done'\n",
    );
    fs::write(daemon.path("again.sh"), "echo begun >> \"${0%/*}/begun\"; exec sleep 10008").unwrap();
    daemon.wait_state("p", "RUNNING");
    let pid = daemon.process_pid("p");
    kill_pid(pid, Signal::SIGUSR2);
    daemon.wait_lines("begun", 2);
    let keeper = daemon.pid();
    kill_pid(keeper, Signal::SIGKILL);
    next_keeper(&daemon, keeper);
    assert_eq!((daemon.process_pid("p"), daemon.info("p", "statename").unwrap()), (pid, "RUNNING".to_owned()));
    let log = daemon.text("main.log");
    assert!(!log.contains("exited: p") && !log.contains("it goes on as"), "{log}");
}

/// Leaves a process that gave up all by which its program could be known.
fn vanishing(name: &str, keys: &str) -> String {
    format!(
        "[program:{name}]\ncommand=sh -c 'env -i setsid sh -c \"echo \\$\\$ > %(here)s/d.pid; exec sleep 10009\" \
         </dev/null >/dev/null 2>&1 & while [ ! -s %(here)s/d.pid ]; do sleep 0.01; done'\nstartretries=0\n{keys}\n"
    )
}

#[test]
fn a_program_that_gives_up_all_marks_on_its_way_into_the_background_is_found_where_only_it_can_be_meant() {
    let alone = galaxyd("cgroup=none", &vanishing("d", "type=forking"));
    let beside = galaxyd(
        "cgroup=none",
        &format!("[program:other]\ncommand=sleep 10010\n{}", vanishing("d", "type=forking\npidfile=%(here)s/d.pid")),
    );
    for daemon in [alone, beside] {
        let pid = in_background(&daemon);
        let _leftover = Leftover(pid);
        daemon.call("supervisor.stopProcess", "<param><value><string>d</string></value></param>").unwrap();
        assert!(!lives(pid));
    }
    // Whom nobody names is not taken where another program may have left it.
    let daemon = galaxyd(
        "cgroup=none",
        &format!(
            "[program:other]\ncommand=sleep 10010\n{}",
            vanishing("d", "type=forking\nautostart=false\nautorestart=false")
        ),
    );
    daemon.wait_state("other", "RUNNING");
    daemon.ctl(&["start", "d"]);
    let leftover = Leftover(written(&daemon));
    daemon.wait_state("d", "FATAL");
    daemon.wait_text("main.log", &format!("unclaimed, and left alone: {} (sleep 10009)", leftover.0));
    assert!(lives(leftover.0));
}
