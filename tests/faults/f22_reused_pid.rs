//! F22: the number of a program that ended is given to a stranger, while the daemon is dead and while a stop is under way.
//!
//! Each test runs once more in a PID namespace of its own, where it is process 1 and says which number comes next.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::daemon::Daemon;
use crate::household::{galaxyd, is_there, kill_both, kill_pid, worker_of};
use crate::notice::tell;
use crate::subject::Subject;
use crate::wait::{until, until_true};
use crate::world::World;

/// Set inside of the namespace.
const INSIDE: &str = "GALAXYD_TEST_INSIDE";

/// The number that the kernel gave last.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// Whether this is the test itself. Outside it is run inside, and that is all.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).args(words).env(INSIDE, "yes");
        command
    };
    let try_out = format!("echo 300 >{LAST_PID}");
    match unshare(&["sh", "-c", &try_out]).stderr(Stdio::piped()).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            tell(&format!("could not run: F22 needs a PID namespace of its own: {why}"));
            return false;
        }
        Err(error) => {
            tell(&format!("could not run: F22 needs unshare: {error}"));
            return false;
        }
    }
    let program = std::env::current_exe().unwrap();
    let name = format!("f22_reused_pid::{test}");
    let output = unshare(&[program.to_str().unwrap(), "--exact", &name, "--nocapture"]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// Somebody with this number who is no program of the daemon's.
struct Stranger(Child);

impl Stranger {
    fn with_number(pid: i32) -> Stranger {
        until("the number to be given again", || {
            fs::write(LAST_PID, (pid - 1).to_string()).unwrap();
            let mut child = Command::new("sleep").arg("20000").process_group(0).spawn().unwrap();
            if child.id().cast_signed() == pid {
                return Ok(Stranger(child));
            }
            // Some thread was quicker.
            child.kill().unwrap();
            child.wait().unwrap();
            Err(format!("{} was given", child.id()))
        })
    }

    fn is_unharmed(&mut self) -> bool {
        let ended = self.0.try_wait().unwrap().is_some();
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        !ended && stat.contains(") S ")
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends a program whose daemon was killed, with its group, which has its number; and collects them: they are children of
/// process 1, which we are.
fn end_orphan(pid: i32) {
    let group = Pid::from_raw(-pid);
    kill(group, Signal::SIGKILL).unwrap();
    while waitpid(group, None).is_ok() {}
}

fn again(daemon: &Daemon) -> Child {
    let mut command = daemon.command(&Subject::GALAXYD.daemon.supervisord());
    command.args(["-n", "-c"]).arg(daemon.path("supervisord.conf")).stdout(Stdio::null());
    let child = command.spawn().unwrap();
    until("the next daemon", || {
        let text = daemon.text("main.pid");
        if text.trim() != child.id().to_string() {
            return Err(text);
        }
        daemon.call("supervisor.getState", "").map(drop)
    });
    child
}

fn shut_down(daemon: &Daemon, mut child: Child) {
    daemon.call("supervisor.shutdown", "").unwrap();
    until_true("the daemon's end", || child.try_wait().unwrap().is_some());
}

#[test]
fn f22_a_stranger_with_the_number_of_a_program_is_neither_taken_over_nor_signalled() {
    if !is_inside("f22_a_stranger_with_the_number_of_a_program_is_neither_taken_over_nor_signalled") {
        return;
    }
    let daemon = galaxyd("", "[program:p]\ncommand=sleep 10000\nstartsecs=0\nstopasgroup=true\n");
    daemon.wait_running(&["p"]);
    let pid = daemon.process_pid("p");
    kill_both(&daemon);
    end_orphan(pid);
    let mut stranger = Stranger::with_number(pid);
    let child = again(&daemon);
    daemon.wait_text("main.log", "0 programs that it left running are taken over, 1 ended meanwhile");
    until_true("another one", || daemon.process_pid("p") > 0 && daemon.process_pid("p") != pid);
    let next = daemon.process_pid("p");
    daemon.call("supervisor.stopProcess", &World::named("p")).unwrap();
    assert!(!is_there(next));
    assert!(stranger.is_unharmed());
    shut_down(&daemon, child);
    assert!(stranger.is_unharmed());
}

#[test]
fn f22_a_stranger_who_gets_the_number_between_stop_and_kill_is_not_killed() {
    if !is_inside("f22_a_stranger_who_gets_the_number_between_stop_and_kill_is_not_killed") {
        return;
    }
    let daemon = galaxyd(
        "",
        "[program:p]\ncommand=sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'\nstartsecs=0\nstopwaitsecs=1\n\
         killasgroup=true\n",
    );
    daemon.wait_running(&["p"]);
    let pid = daemon.process_pid("p");
    kill_both(&daemon);
    let child = again(&daemon);
    assert_eq!(daemon.process_pid("p"), pid);
    let without_waiting = format!("{}<param><value><boolean>0</boolean></value></param>", World::named("p"));
    daemon.call("supervisor.stopProcess", &without_waiting).unwrap();
    daemon.wait_state("p", "STOPPING");
    let keeper = daemon.pid();
    let both = [keeper, worker_of(keeper)];
    // They see nothing of the end until it is time to insist.
    for pid in both {
        kill_pid(pid, Signal::SIGSTOP);
    }
    end_orphan(pid);
    let mut stranger = Stranger::with_number(pid);
    // Time itself is meant: stopwaitsecs is over, and nobody was there to see it.
    thread::sleep(Duration::from_millis(1200));
    for pid in both {
        kill_pid(pid, Signal::SIGCONT);
    }
    daemon.wait_state("p", "STOPPED");
    assert!(stranger.is_unharmed());
    shut_down(&daemon, child);
    assert!(stranger.is_unharmed());
}
