//! An original daemon in a folder of its own, and both clients to drive it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Original,
    Ours,
}

/// A finished client.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) line: String,
    /// `argv[0]`.
    pub(crate) program: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// `None`: ended by a signal.
    pub(crate) exit: Option<i32>,
}

impl Ran {
    pub(crate) fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// The daemon. Ended when dropped, with everything it started.
pub(crate) struct Daemon {
    folder: TempDir,
    original: PathBuf,
    ours: PathBuf,
    child: Child,
    login: String,
}

const PROGRAMS: &str = "
[program:cat]
command=/bin/cat
autostart=false
startsecs=0
[program:short]
command=/bin/head -n 1
autostart=false
autorestart=false
startsecs=0
[program:missing]
command=/no/such/program
autostart=false
startretries=0
[program:unexecutable]
command=/etc/passwd
autostart=false
startretries=0
[program:crashing]
command=/bin/false
autostart=false
startretries=0
[program:silent]
command=/bin/cat
autostart=false
stdout_logfile=NONE
[program:stubborn]
command=/bin/sh -c \"trap '' TERM; while :; do sleep 1000; done\"
autostart=false
startsecs=0
stopwaitsecs=1000
[program:handler]
command=/bin/sh -c 'echo hello from %(process_num)d; exec sleep 1000'
process_name=handler%(process_num)d
numprocs=2
startsecs=0
[program:web]
command=/bin/sleep 1000
startsecs=0
priority=5
[group:galaxy]
programs=handler,web
";

impl Daemon {
    /// `login` are further lines of the server's and the client's sections.
    pub(crate) fn start(venv: &Path, login: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display();
        let conf = format!(
            "[unix_http_server]\nfile={here}/s.sock\n{login}\n[supervisord]\nlogfile={here}/s.log\npidfile={here}/s.pid\n\
             childlogdir={here}\nuser=root\n[rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [supervisorctl]\nserverurl=unix://{here}/s.sock\n[include]\nfiles={here}/more.ini\n{PROGRAMS}"
        );
        let conf = if nix::unistd::geteuid().is_root() { conf } else { conf.replace("user=root\n", "") };
        fs::write(folder.path().join("s.conf"), conf).unwrap();
        fs::write(folder.path().join("more.ini"), "").unwrap();
        let ours = folder.path().join("bin/supervisorctl");
        fs::create_dir(folder.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_galaxyctl"), &ours).unwrap();
        let child = Command::new(venv.join("bin/supervisord"))
            .args(["-n", "-s", "-c"])
            .arg(folder.path().join("s.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let daemon =
            Self { original: venv.join("bin/supervisorctl"), ours, folder, child, login: login.replace('\n', " ") };
        daemon.wait("the socket", |daemon| UnixStream::connect(daemon.path("s.sock")).is_ok());
        daemon.wait("web and the handlers", |daemon| {
            let log = fs::read_to_string(daemon.path("s.log")).unwrap_or_default();
            log.matches("entered RUNNING").count() == 3
        });
        daemon.wait("the handlers' greeting", |daemon| {
            fs::read_dir(daemon.folder.path()).unwrap().filter_map(Result::ok).any(|entry| {
                entry.file_name().to_string_lossy().starts_with("handler0-stdout")
                    && fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("hello"))
            })
        });
        daemon
    }

    /// Polls a level; the daemon offers no event for it.
    fn wait(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "waited in vain for {what}: {}",
                fs::read_to_string(self.path("s.log")).unwrap_or_default()
            );
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Sets the content of the included file.
    pub(crate) fn include(&self, text: &str) {
        fs::write(self.folder.path().join("more.ini"), text).unwrap();
    }

    /// Runs a client with the words of `line`, and `typed` as its whole input.
    pub(crate) fn run(&self, which: Which, line: &str, typed: &str) -> Ran {
        let mut child = self.spawn(which, line);
        let mut input = child.stdin.take().unwrap();
        // A client may end without reading all of it.
        let _ = input.write_all(typed.as_bytes());
        drop(input);
        let output = child.wait_with_output().unwrap();
        Ran {
            line: line.to_owned(),
            program: self.client(which).display().to_string(),
            stdout: output.stdout,
            stderr: output.stderr,
            exit: output.status.code(),
        }
    }

    /// Runs a client until `shown` appears in its output, then presses Ctrl-C.
    pub(crate) fn interrupted(&self, which: Which, line: &str, shown: &str) -> Ran {
        let mut child = self.spawn(which, line);
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut ended = false;
        while !ended && !String::from_utf8_lossy(&stdout).contains(shown) {
            let mut bytes = [0; 4096];
            let count = out.read(&mut bytes).unwrap();
            stdout.extend_from_slice(&bytes[..count]);
            ended = count == 0;
        }
        if !ended {
            kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
        }
        out.read_to_end(&mut stdout).unwrap();
        err.read_to_end(&mut stderr).unwrap();
        let exit = child.wait().unwrap().code();
        Ran { line: line.to_owned(), program: self.client(which).display().to_string(), stdout, stderr, exit }
    }

    fn client(&self, which: Which) -> &Path {
        if which == Which::Original { &self.original } else { &self.ours }
    }

    fn spawn(&self, which: Which, line: &str) -> Child {
        let mut command = Command::new(self.client(which));
        if !line.contains("-c ") {
            command.arg("-c").arg(self.path("s.conf"));
        }
        command
            .args(line.split(' ').filter(|word| !word.is_empty()))
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Kills a child of the daemon, given its id.
    pub(crate) fn kill(pid: &str) {
        // It may have gone by itself.
        let _ = kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let login = self.login.replace("username=", "-u ").replace("password=", "-p ");
        self.run(Which::Original, &format!("{login} shutdown"), "");
        let begin = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if begin.elapsed() > Duration::from_secs(30) {
                // Its children are left over; that is a failure of the test in itself.
                let _ = self.child.kill();
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}
