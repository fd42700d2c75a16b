//! As process 1 of a PID namespace, which is what a container is to it (`docs/container.md`, `examples/container`).

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::notice;
use crate::wait::{until, until_true};

/// Says why there is none.
fn has_namespaces() -> bool {
    let tried = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).output();
    let works = tried.is_ok_and(|output| output.status.success());
    if !works {
        notice::tell("could not run: process 1 of a PID namespace: unshare --pid --mount-proc is not permitted here");
    }
    works
}

/// A galaxyd that is process 1, and whoever it started: all of it ends with this value.
struct Container {
    folder: tempfile::TempDir,
    unshare: Child,
}

impl Container {
    /// In a folder that is `%(here)s`. Its standard output goes to the file `out` there.
    fn start(sections: &str) -> Container {
        let folder = tempfile::tempdir().unwrap();
        let head = "[supervisord]\nlogfile=/dev/stdout\nlogfile_maxbytes=0\npidfile=%(here)s/pid\n\
                    [unix_http_server]\nfile=%(here)s/s\n[supervisorctl]\nserverurl=unix://%(here)s/s\n";
        let conf = folder.path().join("supervisord.conf");
        fs::write(&conf, format!("{head}{sections}")).unwrap();
        Self::run(folder, &format!("exec {} -n -s -c {}", env!("CARGO_BIN_EXE_galaxyd"), conf.display()))
    }

    fn run(folder: tempfile::TempDir, script: &str) -> Container {
        let out = fs::File::create(folder.path().join("out")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "/bin/sh", "-c", script]);
        let unshare = command.current_dir(folder.path()).stdin(Stdio::null()).stdout(out).spawn().unwrap();
        Container { folder, unshare }
    }

    /// The number of its process 1 out here.
    fn pid(&self) -> i32 {
        let unshare = self.unshare.id();
        until("process 1", || {
            let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap_or_default();
            children.trim().parse().map_err(|_| format!("{children:?}"))
        })
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn wait_text(&self, name: &str, wanted: &str) {
        until(wanted, || {
            let text = self.text(name);
            if text.contains(wanted) { Ok(()) } else { Err(text) }
        });
    }

    fn end(&mut self) -> ExitStatus {
        until("the container to end", || self.unshare.try_wait().unwrap().ok_or_else(|| self.text("out")))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.unshare.try_wait().is_ok_and(|ended| ended.is_none()) {
            // With its process 1 the kernel ends everybody in it.
            let _ = kill(Pid::from_raw(self.pid()), Signal::SIGKILL);
            let _ = self.unshare.wait();
        }
    }
}

fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn as_process_1_it_reaps_orphans_and_stops_in_order_with_code_0() {
    if !has_namespaces() {
        return;
    }
    let program = |name: &str, priority: u32| {
        format!(
            "[program:{name}]\npriority={priority}\nstartsecs=0\n\
             command=sh -c 'trap \"echo {name} >> order; exit 0\" TERM; echo {name} >> ready; while :; do sleep 0.1; done'\n"
        )
    };
    let storm = "[program:storm]\ncommand=sh -c 'i=0; while [ $i -lt 300 ]; do (setsid sleep 0.01 &); i=$((i+1)); done; \
                 echo done > storm; exec sleep 1000'\nstartsecs=0\npriority=3\n";
    let mut container = Container::start(&format!("{}{}{storm}", program("first", 1), program("second", 2)));
    container.wait_text("ready", "first");
    container.wait_text("ready", "second");
    container.wait_text("storm", "done");
    let init = container.pid();
    // The worker and three programs: whoever else became its child was an orphan, and is collected.
    until("the orphans to be collected", || {
        let children = children(init);
        if children.len() == 4 { Ok(()) } else { Err(format!("{children:?}")) }
    });
    let out = container.text("out");
    assert!(!out.contains("exited:"), "orphans counted as exits of programs: {out}");
    container.signal(Signal::SIGTERM);
    let ended = container.end();
    assert_eq!((ended.code(), ended.signal()), (Some(0), None), "{}", container.text("out"));
    assert_eq!(container.text("order"), "second\nfirst\n");
}

#[test]
fn a_container_ends_with_the_code_of_the_program_that_it_is_for() {
    if !has_namespaces() {
        return;
    }
    let bystander = "[program:other]\ncommand=sh -c 'trap \"echo stopped > other; exit 0\" TERM; echo > ready; while :; do sleep \
                     0.1; done'\nstartsecs=0\n";
    for (key, fate) in [("on_fatal", "exit 7"), ("on_exit", "sleep 0.2; exit 7")] {
        let main = format!(
            "[program:main]\ncommand=sh -c 'while [ ! -e ready ]; do sleep 0.1; done; {fate}'\nstartretries=0\n\
             autorestart=false\n{key}=shutdown\n{}",
            if key == "on_exit" { "startsecs=0\n" } else { "startsecs=30\n" }
        );
        let mut container = Container::start(&format!("{main}{bystander}"));
        let ended = container.end();
        assert_eq!(ended.code(), Some(7), "{key}: {}", container.text("out"));
        assert_eq!(container.text("other"), "stopped\n", "{key}");
    }
}

#[test]
fn the_example_of_a_container_runs_and_ends_with_0() {
    if !has_namespaces() {
        return;
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/container/supervisord.conf");
    // A `/run` of its own, as a container has it.
    let script =
        format!("mount -t tmpfs run /run && exec {} -n -s -c {}", env!("CARGO_BIN_EXE_galaxyd"), example.display());
    let mut container = Container::run(tempfile::tempdir().unwrap(), &script);
    container.wait_text("out", "success: main entered RUNNING state");
    // The image's health check.
    let healthy = || {
        let pid = container.pid().to_string();
        let mut check = Command::new("nsenter");
        check.args(["-t", &pid, "-m", "-p", env!("CARGO_BIN_EXE_galaxyctl"), "-c"]).arg(&example);
        check.args(["--quiet", "status"]).output().unwrap().status.success()
    };
    until_true("the health check", healthy);
    container.signal(Signal::SIGTERM);
    assert_eq!(container.end().code(), Some(0), "{}", container.text("out"));
}
