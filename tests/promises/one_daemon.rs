//! One daemon for each configuration, and no lock that outlives its daemon.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{Daemon, Outcome, finish};
use crate::household::{galaxyd, kill_both, kill_worker};
use crate::subject::Subject;
use crate::wait::{until, until_true};

const PROGRAM: &str = "[program:p]\ncommand=sleep 1000\nstartsecs=0\n";

/// A second daemon with the configuration of the first, whose socket was given another name meanwhile.
fn second(daemon: &Daemon) -> Command {
    let conf = fs::read_to_string(daemon.path("supervisord.conf")).unwrap();
    fs::write(daemon.path("supervisord.conf"), conf.replace("/s.sock", "/t.sock")).unwrap();
    let mut command = daemon.command(&Subject::GALAXYD.daemon.supervisord());
    command.args(["-n", "-c"]).arg(daemon.path("supervisord.conf"));
    command
}

fn refused(daemon: &Daemon) -> Outcome {
    let outcome = finish(&mut second(daemon), daemon.dir(), None);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(!daemon.path("t.sock").exists());
    outcome
}

/// Starts the second, waits for its first log line, and ends it.
fn accepted(daemon: &Daemon, arguments: &[&str]) {
    let begin = daemon.text("main.log").matches("supervisord started with pid").count();
    let mut child = second(daemon).args(arguments).spawn().unwrap();
    until("the second daemon", || {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("{status}");
        }
        let log = daemon.text("main.log");
        if log.matches("supervisord started with pid").count() > begin { Ok(()) } else { Err(log) }
    });
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_second_daemon_with_the_same_configuration_is_refused_and_told_who_runs() {
    let daemon = galaxyd("", PROGRAM);
    daemon.wait_state("p", "RUNNING");
    let (keeper, program) = (daemon.pid(), daemon.process_pid("p"));
    let outcome = refused(&daemon);
    for wanted in [
        format!("Another daemon (process {keeper}) is already running the configuration"),
        daemon.path("supervisord.conf").display().to_string(),
        format!("pidfile {}", daemon.path("main.pid").display()),
        format!("`kill {keeper}`"),
    ] {
        assert!(outcome.stderr.contains(&wanted), "{wanted}: {outcome:?}");
    }
    kill_worker(&daemon, keeper);
    refused(&daemon);
    kill(Pid::from_raw(keeper), Signal::SIGHUP).unwrap();
    daemon.wait_text("main.log", "received SIGHUP");
    until_true("the reload", || daemon.text("main.log").matches("supervisord started with pid").count() == 2);
    let conf = fs::read_to_string(daemon.path("supervisord.conf")).unwrap();
    fs::write(daemon.path("supervisord.conf"), conf.replace("/t.sock", "/u.sock")).unwrap();
    let outcome = finish(&mut second(&daemon), daemon.dir(), None);
    assert_eq!(outcome.code, Some(2), "after a reload: {outcome:?}");
    assert_eq!(daemon.pid(), keeper);
    assert!(program > 0);
}

#[test]
fn where_the_socket_is_taken_supervisors_text_is_kept() {
    let daemon = galaxyd(
        "",
        &format!("{PROGRAM}[fcgi-program:f]\ncommand=sleep 1000\nsocket=unix://%(here)s/f.sock\nstartsecs=0\n"),
    );
    daemon.wait_running(&["f"]);
    let outcome = daemon.supervisord(&["-n", "-c", &daemon.path("supervisord.conf").display().to_string()]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("Another program is already listening on a port"), "{outcome:?}");
    // The sockets of the first one's programs are untouched.
    std::os::unix::net::UnixStream::connect(daemon.path("f.sock")).unwrap();
}

#[test]
fn another_identifier_pidfile_or_environment_is_another_daemon() {
    let daemon = galaxyd("", &format!("{PROGRAM}environment=X=\"%(ENV_HOME)s\"\n"));
    refused(&daemon);
    accepted(&daemon, &["-i", "other"]);
    accepted(&daemon, &["-j", &daemon.path("other.pid").display().to_string()]);
    // The last one has removed the pidfile that it shared, as under Supervisor; where it is left, the environment tells.
    let daemon = galaxyd("", &format!("{PROGRAM}environment=X=\"%(ENV_HOME)s\"\n"));
    let mut child = second(&daemon).env("HOME", "/").spawn().unwrap();
    daemon.wait_text("main.log", &format!("supervisord started with pid {}", child.id()));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_pidfile_left_behind_stops_nobody_not_even_while_programs_run_on() {
    let daemon = galaxyd("", PROGRAM);
    daemon.wait_state("p", "RUNNING");
    let program = daemon.process_pid("p");
    kill_both(&daemon);
    assert!(daemon.living().contains(&program));
    assert!(daemon.path("main.pid").exists());
    accepted(&daemon, &[]);
}

#[test]
fn in_the_background_and_without_a_keeper_the_lock_is_held_as_well() {
    for words in [&[][..], &["-n", "--no-keeper"]] {
        let daemon = Daemon::folder(Subject::GALAXYD, PROGRAM);
        let mut command = daemon.command(&Subject::GALAXYD.daemon.supervisord());
        command.arg("-c").arg(daemon.path("supervisord.conf")).args(words);
        let mut child = command.spawn().unwrap();
        until("an answer", || daemon.call("supervisor.getState", "").map(drop));
        let pid = daemon.pid();
        refused(&daemon);
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        child.wait().unwrap();
        daemon.wait_nothing_left();
        accepted(&daemon, &[]);
    }
}
