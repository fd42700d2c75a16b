//! One server name, one process: Galaxy gives each process of a name the same jobs.

use std::fs;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::household::kill_pid;
use crate::left_behind::{Leftover, lives, pid_in};
use crate::subject::Subject;
use crate::wait::until_true;

/// What `galaxy-main` does for as long as nobody asks it anything; a job of its own runs as Galaxy's local jobs do: in a group
/// of its own, with an environment of its own, and its output in files.
const HANDLER: &str = "import os, subprocess, sys, time\n\
    if 'job' in sys.argv:\n    \
        out = open(os.devnull, 'w')\n    \
        env = {'PATH': os.environ['PATH']}\n    \
        job = subprocess.Popen(['sleep', '1234'], preexec_fn=os.setpgrp, env=env, stdout=out, stderr=out)\n    \
        open('job.pid', 'w').write(str(job.pid) + '\\n')\n\
    time.sleep(1000)\n";

fn program(name: &str, keys: &str) -> String {
    format!(
        "[program:{name}]\ncommand=python3 %(here)s/galaxy-main -c %(here)s/galaxy.yml --server-name=handler0\n\
         startsecs=0\nstartretries=0\n{keys}\n"
    )
}

fn folder(sections: &str) -> Daemon {
    // Without a cgroup: there nothing is overlooked anyway.
    let daemon = Daemon::folder_with(Subject::GALAXYD, "cgroup=none", "", sections);
    fs::write(daemon.path("galaxy-main"), HANDLER).unwrap();
    fs::write(daemon.path("galaxy.yml"), "galaxy: {}\n").unwrap();
    daemon
}

#[test]
fn a_configuration_that_starts_two_handlers_of_one_name_is_refused() {
    let daemon = folder(&format!("{}{}", program("first", ""), program("second", "")));
    let text = "second:second has the server name handler0, as first:first has";
    let started = daemon.supervisord(&["-n", "-c", "supervisord.conf"]);
    assert!(started.code == Some(2) && format!("{started:?}").contains(text), "{started:?}");
    let checked = daemon.ctl_plain(&["check", "supervisord.conf"]);
    assert!(checked.code == Some(2) && checked.stdout.contains(text), "{checked:?}");
    assert!(checked.stdout.contains("error[GX032]"), "{checked:?}");
}

#[test]
fn an_update_to_two_handlers_of_one_name_changes_nothing() {
    let mut daemon = folder(&program("first", ""));
    daemon.run();
    daemon.wait_running(&["first"]);
    let pid = daemon.process_pid("first");
    let both = daemon.text("supervisord.conf") + &program("second", "");
    fs::write(daemon.path("supervisord.conf"), both).unwrap();
    let update = daemon.ctl(&["update"]);
    assert!(update.code != Some(0) && format!("{update:?}").contains("has the server name handler0"), "{update:?}");
    assert_eq!(daemon.process_pid("first"), pid);
}

#[test]
fn a_spare_handler_starts_only_when_the_other_is_down() {
    let mut daemon =
        folder(&format!("{}{}", program("first", ""), program("spare", "autostart=false\nautorestart=false")));
    daemon.run();
    daemon.wait_running(&["first"]);
    let refused = daemon.ctl(&["start", "spare"]);
    assert!(refused.stdout.contains("spare: ERROR (spawn error)"), "{refused:?}");
    let why = daemon.ctl(&["why", "spare"]);
    assert!(why.stdout.contains("first:first runs under the server name handler0"), "{why:?}");
    daemon.ctl(&["stop", "first"]);
    assert_eq!(daemon.ctl(&["start", "spare"]).stdout, "spare: started\n");
    let refused = daemon.ctl(&["start", "first"]);
    assert!(refused.stdout.contains("first: ERROR (spawn error)"), "{refused:?}");
}

/// Ended with the value.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_handler_that_somebody_else_runs_on_this_host_is_not_started_a_second_time() {
    let mut daemon = folder(&program("first", "autostart=false"));
    let stranger = |file: &str| {
        let mut command = Command::new("python3");
        command.args(["galaxy-main", "-c", file, "--server-name", "handler0"]).current_dir(daemon.dir());
        let stranger = Stranger(command.stdin(Stdio::null()).spawn().unwrap());
        // Until it is what it is to become, it is a copy of this test.
        until_true("the stranger's program", || {
            let program = fs::read_link(format!("/proc/{}/exe", stranger.0.id())).unwrap_or_default();
            program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"))
        });
        stranger
    };
    // That of another Galaxy is none of ours.
    let other = stranger("other.yml");
    let own = stranger("galaxy.yml");
    daemon.run();
    let refused = daemon.ctl(&["start", "first"]);
    assert!(refused.stdout.contains("first: ERROR (spawn error)"), "{refused:?}");
    let why = daemon.ctl(&["why", "first"]);
    assert!(why.stdout.contains(&format!("process {} (", own.0.id())), "{why:?}");
    drop(own);
    assert_eq!(daemon.ctl(&["start", "first"]).stdout, "first: started\n");
    drop(other);
}

#[test]
fn what_a_killed_handler_leaves_in_other_process_groups_is_named() {
    let mut daemon =
        folder(&program("handler0", "autorestart=false").replace("handler0\nstartsecs", "handler0 job\nstartsecs"));
    daemon.run();
    daemon.wait_running(&["handler0"]);
    let job = pid_in(&daemon, "job.pid");
    let _leftover = Leftover(job);
    let handler = daemon.process_pid("handler0");
    kill_pid(handler, Signal::SIGKILL);
    daemon.wait_text("main.log", &format!("{job} (sleep 1234)"));
    let log = daemon.text("main.log");
    let line = log.lines().find(|line| line.contains(&format!("{job} (sleep 1234)"))).unwrap();
    assert!(line.contains("handler0") && line.contains("left something behind"), "{line}");
    let why = daemon.ctl(&["why", "handler0"]);
    assert!(why.stdout.contains(&format!("left behind: {job} sleep 1234")), "{why:?}");
    assert!(lives(job));
}
