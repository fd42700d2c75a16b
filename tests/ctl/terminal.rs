//! galaxyctl at a terminal: table and colour, and the prompt with completion and history.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;

use crate::daemon;

/// A program with a terminal of its own.
struct Seat {
    child: Child,
    terminal: File,
    seen: String,
}

impl Seat {
    fn start(mut command: Command, variables: &[(&str, &str)]) -> Self {
        let pty = openpty(None, None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = command
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .envs(variables.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        Self { child, terminal: File::from(pty.master), seen: String::new() }
    }

    /// Waits until `text` has appeared after what was waited for before; gives what came until then.
    fn see(&mut self, text: &str) -> String {
        let begin = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "waited in vain for {text:?}: {:?}", self.seen);
            assert!(self.read(), "ended before {text:?}: {:?}", self.seen);
        }
    }

    /// Whether there may be more.
    fn read(&mut self) -> bool {
        let mut polled = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::from(1000u16)).unwrap();
        if polled[0].any() != Some(true) {
            return true;
        }
        let mut bytes = [0; 4096];
        // The last program on a terminal leaves an error, not an end.
        let count = self.terminal.read(&mut bytes).unwrap_or(0);
        self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }

    fn type_in(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }

    /// Everything not seen yet, and the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        while self.child.try_wait().unwrap().is_none() || !self.seen.is_empty() {
            let before = self.seen.len();
            if !self.read() || (self.seen.len() == before && self.child.try_wait().unwrap().is_some()) {
                break;
            }
        }
        (self.seen, self.child.wait().unwrap().code())
    }
}

fn galaxyctl(daemon: &daemon::Daemon) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_galaxyctl"));
    command.arg("-c").arg(daemon.path("s.conf"));
    command
}

#[test]
fn status_at_a_terminal_is_a_table() {
    let Some(daemon) = crate::daemon("") else { return };
    let show = |variables: &[(&str, &str)]| {
        let mut command = galaxyctl(&daemon);
        command.args(["status", "galaxy:", "cat"]);
        Seat::start(command, variables).end()
    };
    let (coloured, exit) = show(&[]);
    assert!(coloured.contains("\u{1b}[32mRUNNING"), "{coloured:?}");
    assert_eq!(exit, Some(3));
    for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        let (plain, _) = show(&variables);
        assert!(!plain.contains('\u{1b}') && plain.starts_with("PROCESS"), "{plain:?}");
        assert!(plain.lines().any(|line| line.starts_with("galaxy:web        RUNNING   ")), "{plain:?}");
    }
}

#[test]
fn the_prompt_completes_remembers_and_ends() {
    let Some(daemon) = crate::daemon("") else { return };
    let history = daemon.path("history");
    let mut command = galaxyctl(&daemon);
    command.args(["-r", &history]);
    let mut seat = Seat::start(command, &[("NO_COLOR", "1")]);
    assert!(seat.see("supervisor> ").contains("PROCESS"));
    seat.type_in("vers\t\r");
    seat.see("4.3.0");
    seat.see("supervisor> ");
    seat.type_in("pid galaxy:w\t\r");
    seat.see("pid galaxy:web");
    seat.see("\n");
    let pid = seat.see("\n");
    assert!(pid.trim().parse::<u32>().is_ok_and(|pid| pid > 0), "{pid:?}");
    seat.see("supervisor> ");
    seat.type_in("shutdown\r");
    seat.see("y/N? ");
    seat.type_in("n\r");
    seat.see("supervisor> ");
    seat.type_in("tail -f galaxy:handler0\r");
    seat.see("hello from 0");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(seat.child.id().cast_signed()), nix::sys::signal::Signal::SIGINT)
        .unwrap();
    seat.see("supervisor> ");
    seat.type_in("\u{4}");
    let (_, exit) = seat.end();
    assert_eq!(exit, Some(0));
    let kept = std::fs::read_to_string(&history).unwrap();
    assert!(kept.contains("version") && kept.contains("pid galaxy:web") && kept.contains("shutdown"), "{kept}");
}

#[test]
fn ctrl_c_leaves_the_prompt() {
    let Some(daemon) = crate::daemon("") else { return };
    let mut seat = Seat::start(galaxyctl(&daemon), &[("NO_COLOR", "1")]);
    seat.see("supervisor> ");
    seat.type_in("\u{3}");
    assert_eq!(seat.end().1, Some(0));
}
