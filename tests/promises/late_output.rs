//! The news of an exit waits a moment for the last output; who asks for something meanwhile does not.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::daemon::Daemon;
use crate::household::galaxyd;
use crate::wait::until_true;

/// The program's name as a parameter of a call.
const P: &str = "<param><value><string>p</string></value></param>";

/// A daemon whose program writes into a pipe that nobody reads, so that its last output never gets there.
fn stuck() -> Daemon {
    let daemon = galaxyd(
        "",
        "[program:p]\ncommand=/bin/sh -c 'echo last words; exec sleep 1000'\nstartsecs=0\nautorestart=false\n\
         autostart=false\nstdout_logfile=%(here)s/fifo\nstdout_logfile_maxbytes=0\n",
    );
    mkfifo(&daemon.path("fifo"), Mode::S_IRWXU).unwrap();
    daemon
}

/// Starts the program, kills it, and waits until it is reaped. Gives its process id.
fn reaped(daemon: &Daemon) -> i32 {
    daemon.call("supervisor.startProcess", P).unwrap();
    let pid = daemon.process_pid("p");
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    until_true("the child to be reaped", || !Path::new(&format!("/proc/{pid}")).exists());
    // The answer comes after the news of the exit was read.
    daemon.call("supervisor.getState", "").unwrap();
    pid
}

#[test]
fn a_child_that_is_gone_is_neither_stopped_nor_signalled_nor_written_to() {
    let daemon = stuck();
    for (method, arguments) in [
        ("stopProcess", ""),
        ("signalProcess", "<param><value><string>HUP</string></value></param>"),
        ("sendProcessStdin", "<param><value><string>x</string></value></param>"),
    ] {
        let pid = reaped(&daemon);
        let answer = daemon.call(&format!("supervisor.{method}"), &format!("{P}{arguments}")).unwrap();
        assert!(answer.contains("NOT_RUNNING: p"), "{method}: {answer}");
        daemon.wait_state("p", "EXITED");
        let log = daemon.text("main.log");
        assert!(!log.contains(&format!("(pid {pid}) with")), "{method}: {log}");
    }
}

#[test]
fn a_start_right_after_the_end_is_a_new_start() {
    let daemon = stuck();
    let former = reaped(&daemon);
    let answer = daemon.call("supervisor.startProcess", P).unwrap();
    assert!(!answer.contains("ALREADY_STARTED"), "{answer}");
    daemon.wait_state("p", "RUNNING");
    assert_ne!(daemon.process_pid("p"), former);
}
