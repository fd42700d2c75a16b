//! Everything that goes wrong at once.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bars::BYSTANDER;
use crate::daemon::Daemon;
use crate::dice::Dice;
use crate::household::{kill_both, kill_worker, worker_of};
use crate::subject::Subject;
use crate::wait::{until, until_true};

/// Hostile connections that are held open, fewer than an endpoint takes.
const HELD_MAX: usize = 40;

/// An answer may take so long in the worst of moments, among them the death of the worker.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// The programs: quiet ones, talkers among them, floods that are stopped, and so many that come and go.
pub(crate) fn sections(count: usize, passing: usize) -> String {
    let mut text = format!(
        "[program:many]\ncommand=sh -c 'echo begins; exec sleep 10000'\nprocess_name=m%(process_num)03d\nnumprocs={count}\n\
         startsecs=0\nautorestart=true\nstdout_logfile=%(here)s/many.log\nstdout_logfile_maxbytes=100KB\n\
         stdout_logfile_backups=1\nstderr_logfile=NONE\n\
         [program:flood]\ncommand=yes\nprocess_name=f%(process_num)d\nnumprocs=2\nautostart=false\nstartsecs=0\n\
         stdout_logfile=%(here)s/flood%(process_num)d.log\nstdout_logfile_maxbytes=1MB\nstdout_logfile_backups=1\n\
         stderr_logfile=NONE\n"
    );
    if passing > 0 {
        text += "[program:passing]\ncommand=sleep 10000\nprocess_name=p%(process_num)d\nstartsecs=0\nstdout_logfile=NONE\n\
                 stderr_logfile=NONE\nnumprocs=";
        text += &passing.to_string();
        text += "\n";
    }
    text
}

pub(crate) struct Havoc<'a> {
    daemon: &'a Daemon,
    dice: Dice,
    count: usize,
    held: Vec<UnixStream>,
    /// Copies of the daemon's program, to be upgraded to in turn.
    programs: [PathBuf; 2],
    /// What was started in the place of a daemon whose two processes were killed.
    next: Option<Child>,
    told: BTreeMap<&'static str, u32>,
}

impl<'a> Havoc<'a> {
    pub(crate) fn new(daemon: &'a Daemon, dice: Dice, count: usize) -> Havoc<'a> {
        let programs = ["one", "two"].map(|name| {
            let path = daemon.path(name);
            fs::copy(Subject::GALAXYD.daemon.supervisord(), &path).unwrap();
            path
        });
        Havoc { daemon, dice, count, held: Vec::new(), programs, next: None, told: BTreeMap::new() }
    }

    /// One thing more.
    pub(crate) fn wreak(&mut self) {
        let what = match self.dice.throw(100) {
            0..40 => self.kill_one(),
            40..60 => self.ask(),
            60..85 => self.annoy(),
            85..91 => self.flood(),
            91..94 => self.update(),
            94..97 => self.kill_the_worker(),
            97 => self.kill_the_keeper(),
            98 => self.kill_the_daemon(),
            _ => self.upgrade(),
        };
        *self.told.entry(what).or_default() += 1;
        let begin = Instant::now();
        // The worker may be dying in this moment.
        while self.daemon.call("supervisor.getState", "").is_err() {
            assert!(begin.elapsed() < ANSWER_MAX, "no answer after {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(begin.elapsed() < ANSWER_MAX, "{:?} for an answer after {what}", begin.elapsed());
    }

    /// Quiet again. Gives the daemon that is left, if it is not the first one, and what there was.
    pub(crate) fn end(mut self) -> (Option<Child>, String) {
        self.held.clear();
        self.daemon.ctl(&["stop", "flood:*"]);
        self.rewrite(0);
        self.daemon.ctl(&["update"]);
        let told = self.told.iter().map(|(what, times)| format!("{times} {what}")).collect::<Vec<_>>().join(", ");
        (self.next.take(), told)
    }

    fn one(&mut self) -> String {
        format!("many:m{:03}", self.dice.throw(self.count))
    }

    fn kill_one(&mut self) -> &'static str {
        let name = self.one();
        let signal = if self.dice.one_in(2) { Signal::SIGKILL } else { Signal::SIGTERM };
        let pid = self.daemon.info(&name, "pid").ok().and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0);
        if let Some(pid) = pid {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), signal);
        }
        "deaths of programs"
    }

    fn kill_the_worker(&mut self) -> &'static str {
        if self.dice.one_in(2) {
            kill_worker(self.daemon, self.daemon.pid());
        } else {
            // And the next one before it is in control.
            for _ in 0..2 {
                let _ = kill(Pid::from_raw(worker_of(self.daemon.pid())), Signal::SIGKILL);
            }
        }
        "deaths of the worker"
    }

    /// The worker starts another one. A daemon of before may be ours to collect.
    fn kill_the_keeper(&mut self) -> &'static str {
        let keeper = self.daemon.pid();
        let _ = kill(Pid::from_raw(keeper), Signal::SIGKILL);
        self.collect();
        until("another keeper", || {
            let text = self.daemon.text("main.pid");
            if text.trim() == keeper.to_string() { Err(text) } else { Ok(()) }
        });
        "deaths of the keeper"
    }

    fn kill_the_daemon(&mut self) -> &'static str {
        kill_both(self.daemon);
        self.collect();
        let mut command = self.daemon.command(&Subject::GALAXYD.daemon.supervisord());
        command.args(["-n", "-c"]).arg(self.daemon.path("supervisord.conf"));
        self.next = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        "deaths of both"
    }

    fn collect(&mut self) {
        if let Some(mut former) = self.next.take() {
            until_true("the end of the former daemon", || former.try_wait().unwrap().is_some());
        }
    }

    fn upgrade(&mut self) -> &'static str {
        let program = self.programs[self.dice.throw(2)].display().to_string();
        let outcome = self.daemon.ctl(&["upgrade", &program]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        "upgrades"
    }

    fn ask(&mut self) -> &'static str {
        let name = self.one();
        let method = self.dice.pick(&["startProcess", "stopProcess", "getProcessInfo", "tailProcessStdoutLog"]);
        let span = "<param><value><int>0</int></value></param><param><value><int>9</int></value></param>";
        let more = if method == "tailProcessStdoutLog" { span } else { "" };
        let parameters = format!("<param><value><string>{name}</string></value></param>{more}");
        let _ = self.daemon.call(&format!("supervisor.{method}"), &parameters);
        "requests"
    }

    /// Half a request, none at all, or nonsense; some hang on.
    fn annoy(&mut self) -> &'static str {
        let Ok(mut stream) = UnixStream::connect(self.daemon.path("s.sock")) else { return "refused connections" };
        let mut bytes = b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<methodCall>".to_vec();
        self.dice.damage(&mut bytes, &[b"\0", b"\r\n\r\n", b"<!DOCTYPE x>", b"Content-Length: 99999999999\r\n"]);
        let _ = stream.write_all(&bytes);
        if self.held.len() == HELD_MAX {
            self.held.swap_remove(self.dice.throw(HELD_MAX));
        }
        self.held.push(stream);
        "hostile connections"
    }

    fn flood(&mut self) -> &'static str {
        let verb = if self.dice.one_in(2) { "start" } else { "stop" };
        self.daemon.ctl(&["--timeout", "10", verb, "flood:*"]);
        "floods begun or ended"
    }

    fn update(&mut self) -> &'static str {
        let passing = self.dice.throw(6);
        self.rewrite(passing);
        self.daemon.ctl(&["--timeout", "10", "update"]);
        "updates"
    }

    fn rewrite(&self, passing: usize) {
        self.daemon.rewrite(&format!("{BYSTANDER}{}", sections(self.count, passing)));
    }
}
