//! A daemon in a temporary folder, which never outlives its test.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::subject::Subject;
use crate::wait::{until, until_true};

#[path = "../fixture/tagged.rs"]
mod tagged;

/// Names the processes of one test: it is in the environment of all of them.
const TAG: &str = "GALAXYD_TEST_TAG";

const HEAD: &str = "\
[supervisord]
logfile = %(here)s/main.log
pidfile = %(here)s/main.pid
childlogdir = %(here)s
DAEMON_KEYS
[unix_http_server]
file = %(here)s/s.sock
SERVER_KEYS
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://%(here)s/s.sock
";

/// A folder with a configuration, and the daemon that runs it, if it was started.
pub(crate) struct Daemon {
    pub(crate) subject: Subject,
    child: Option<Child>,
    folder: TempDir,
    arguments: Vec<String>,
    /// Another daemon's program than the subject's.
    program: Option<PathBuf>,
}

/// What a finished program left.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// Lines of the activity log that galaxyd adds to Supervisor's (`docs/compatibility.md`); tests of their own hold them.
const OURS: [&str; 2] = [" ended too quickly: ", " left something behind, "];

impl Daemon {
    /// A folder with the usual head and these sections, nothing started.
    pub(crate) fn folder(subject: Subject, sections: &str) -> Daemon {
        Self::folder_with(subject, "", "", sections)
    }

    /// As [`Daemon::folder`], with keys for `[supervisord]` and `[unix_http_server]`.
    pub(crate) fn folder_with(subject: Subject, daemon_keys: &str, server_keys: &str, sections: &str) -> Daemon {
        let head = HEAD.replace("DAEMON_KEYS", daemon_keys).replace("SERVER_KEYS", server_keys);
        Self::folder_raw(subject, format!("{head}{sections}"))
    }

    /// A folder with exactly this configuration.
    pub(crate) fn folder_raw(subject: Subject, configuration: impl AsRef<[u8]>) -> Daemon {
        let folder = tempfile::Builder::new().prefix("conf").tempdir().unwrap();
        fs::write(folder.path().join("supervisord.conf"), configuration).unwrap();
        let arguments = ["-n", "-c", "supervisord.conf"].map(String::from).to_vec();
        let arguments = arguments
            .into_iter()
            .map(|word| if word == "supervisord.conf" { folder.path().join(word).display().to_string() } else { word })
            .collect();
        Daemon { subject, child: None, folder, arguments, program: None }
    }

    /// The folder made and the daemon started and answering.
    pub(crate) fn start(subject: Subject, sections: &str) -> Daemon {
        let mut daemon = Self::folder(subject, sections);
        daemon.run();
        daemon
    }

    /// As [`Daemon::start`], with keys for `[supervisord]` and `[unix_http_server]`.
    pub(crate) fn start_with(subject: Subject, daemon_keys: &str, server_keys: &str, sections: &str) -> Daemon {
        let mut daemon = Self::folder_with(subject, daemon_keys, server_keys, sections);
        daemon.run();
        daemon
    }

    /// The same run by this program.
    pub(crate) fn with_supervisord(mut self, program: &Path) -> Daemon {
        self.program = Some(program.to_owned());
        self
    }

    /// More words for the daemon's command line.
    pub(crate) fn arguments(mut self, words: &[&str]) -> Daemon {
        self.arguments.extend(words.iter().map(|word| (*word).to_string()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the daemon in the foreground and waits until it answers.
    pub(crate) fn run(&mut self) {
        self.launch();
        self.wait_ready();
    }

    /// Starts the daemon in the foreground without waiting.
    pub(crate) fn launch(&mut self) {
        let output = fs::OpenOptions::new().create(true).append(true).open(self.path("daemon.out")).unwrap();
        let child = self
            .command(&self.program.clone().unwrap_or_else(|| self.subject.daemon.supervisord()))
            .args(&self.arguments)
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Waits until the control socket answers a call.
    pub(crate) fn wait_ready(&mut self) {
        let out = self.path("daemon.out");
        until("the daemon's answer", || {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("the daemon ended ({status}): {}", fs::read_to_string(&out).unwrap_or_default());
            }
            let answer = self.call("supervisor.getState", "")?;
            if answer.contains("RUNNING") { Ok(()) } else { Err(answer) }
        });
    }

    /// A command in this folder with the environment of the tests, tagged.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.dir())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.dir())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("COLUMNS", "80")
            .env("NO_COLOR", "1")
            .env(TAG, self.dir())
            .stdin(Stdio::null());
        command
    }

    /// Runs the subject's daemon with these words until it ends by itself.
    pub(crate) fn supervisord(&self, words: &[&str]) -> Outcome {
        finish(self.command(&self.subject.daemon.supervisord()).args(words), self.dir(), None)
    }

    /// Runs the subject's daemon on a configuration that it should refuse. `None` when it
    /// accepts it: then its pidfile appears in the folder, and it is ended.
    pub(crate) fn refusal(&self, configuration: &Path) -> Option<Outcome> {
        let scratch = tempfile::tempdir_in(self.dir()).unwrap();
        let file = |name: &str| scratch.path().join(name);
        let mut child = self
            .command(&self.subject.daemon.supervisord())
            .args(["-n", "-s", "-c"])
            .arg(configuration)
            .stdout(fs::File::create(file("out")).unwrap())
            .stderr(fs::File::create(file("err")).unwrap())
            .spawn()
            .unwrap();
        let pidfile = self.path("supervisord.pid");
        let status = until("the daemon to refuse or to accept", || {
            if let Some(status) = child.try_wait().unwrap() {
                return Ok(Some(status));
            }
            if pidfile.exists() { Ok(None) } else { Err("neither".to_string()) }
        });
        let text = |name: &str| String::from_utf8_lossy(&fs::read(file(name)).unwrap()).into_owned();
        let outcome = status.map(|status| Outcome { stdout: text("out"), stderr: text("err"), code: status.code() });
        if outcome.is_none() {
            // In good order: after kill -9 galaxyd would go on.
            nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(child.id().cast_signed()),
                nix::sys::signal::Signal::SIGTERM,
            )
            .unwrap();
            child.wait().unwrap();
            let _ = fs::remove_file(&pidfile);
            let _ = fs::remove_file(self.path("supervisord.log"));
        }
        outcome
    }

    /// Runs the subject's client on this folder's configuration.
    pub(crate) fn ctl(&self, words: &[&str]) -> Outcome {
        self.ctl_with_input(words, None)
    }

    /// As [`Daemon::ctl`] with text on its standard input.
    pub(crate) fn ctl_with_input(&self, words: &[&str], input: Option<&str>) -> Outcome {
        let mut all = vec!["-c".to_string(), self.path("supervisord.conf").display().to_string()];
        all.extend(words.iter().map(|word| (*word).to_string()));
        finish(self.command(&self.subject.client.supervisorctl()).args(all), self.dir(), input)
    }

    /// Runs the subject's client with exactly these words.
    pub(crate) fn ctl_plain(&self, words: &[&str]) -> Outcome {
        finish(self.command(&self.subject.client.supervisorctl()).args(words), self.dir(), None)
    }

    /// A client that goes on (a follower), its output in `NAME.out` of the folder.
    pub(crate) fn ctl_follow(&self, words: &[&str], name: &str, stdin: Stdio) -> Child {
        let output = fs::File::create(self.path(&format!("{name}.out"))).unwrap();
        self.command(&self.subject.client.supervisorctl())
            .arg("-c")
            .arg(self.path("supervisord.conf"))
            .args(words)
            // Python buffers what it writes into a file; a person at a terminal sees it at once.
            .env("PYTHONUNBUFFERED", "1")
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .stdin(stdin)
            .spawn()
            .unwrap()
    }

    /// The answer to one HTTP request, head and body, over this folder's socket.
    pub(crate) fn http(&self, request: &str) -> Result<String, String> {
        let mut stream = UnixStream::connect(self.path("s.sock")).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The answer to an XML-RPC call whose parameters are given as XML.
    pub(crate) fn call(&self, method: &str, params: &str) -> Result<String, String> {
        let body = format!(
            "<?xml version='1.0'?>\n<methodCall>\n<methodName>{method}</methodName>\n<params>{params}</params>\n</methodCall>\n"
        );
        self.http(&format!(
            "POST /RPC2 HTTP/1.0\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// One field of a process's information, as text.
    pub(crate) fn info(&self, process: &str, field: &str) -> Result<String, String> {
        self.field("supervisor.getProcessInfo", process, field)
    }

    /// One field of what a method answers about a process, as text.
    pub(crate) fn field(&self, method: &str, process: &str, field: &str) -> Result<String, String> {
        let answer = self.call(method, &format!("<param><value><string>{process}</string></value></param>"))?;
        let after = answer.split(&format!("<name>{field}</name>")).nth(1).ok_or_else(|| answer.clone())?;
        let value = after.split("<value>").nth(1).and_then(|rest| rest.split("</value>").next()).ok_or("no value")?;
        Ok(value.split_once('>').and_then(|(_, rest)| rest.rsplit_once("</")).map_or("", |(text, _)| text).to_string())
    }

    /// Waits until the process is in the state.
    pub(crate) fn wait_state(&self, process: &str, state: &str) {
        until(&format!("{process} to be {state}"), || {
            let seen = self.info(process, "statename")?;
            if seen == state { Ok(()) } else { Err(seen) }
        });
    }

    /// Waits until the process is in one of the states.
    pub(crate) fn wait_running(&self, processes: &[&str]) {
        for process in processes {
            self.wait_state(process, "RUNNING");
        }
    }

    /// Until a process that was forked is its program: before that the original's child obeys no signal.
    pub(crate) fn wait_executed(&self, process: &str) {
        let words = |pid: i32| fs::read(format!("/proc/{pid}/cmdline"));
        let (daemon, child) = (words(self.pid()).unwrap(), self.process_pid(process));
        until_true("the execution of the program", || words(child).is_ok_and(|words| words != daemon));
    }

    /// The process id of a process of the configuration.
    pub(crate) fn process_pid(&self, process: &str) -> i32 {
        self.info(process, "pid").unwrap().parse().unwrap()
    }

    /// The process id that the pidfile names.
    pub(crate) fn pid(&self) -> i32 {
        until("the pidfile", || {
            let text = fs::read_to_string(self.path("main.pid")).map_err(|error| error.to_string())?;
            text.trim().parse().map_err(|_| text)
        })
    }

    /// Sends a signal to the daemon, by the pid in its pidfile.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for the end of a daemon in the foreground.
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        let child = self.child.as_mut().unwrap();
        until("the daemon's end", || child.try_wait().unwrap().ok_or_else(|| "it still runs".to_string()))
    }

    /// A file of the folder as text; empty when it is not there.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read(self.path(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until a file of the folder holds the text.
    pub(crate) fn wait_text(&self, name: &str, wanted: &str) {
        until(&format!("{wanted:?} in {name}"), || {
            let text = self.text(name);
            if text.contains(wanted) { Ok(()) } else { Err(text) }
        });
    }

    /// Waits until a file of the folder has this many lines.
    pub(crate) fn wait_lines(&self, name: &str, count: usize) {
        until(&format!("{count} lines in {name}"), || {
            let text = self.text(name);
            if text.lines().count() >= count { Ok(()) } else { Err(text) }
        });
    }

    /// Writes the usual configuration again with other sections.
    pub(crate) fn rewrite(&self, sections: &str) {
        let head = HEAD.replace("DAEMON_KEYS", "").replace("SERVER_KEYS", "");
        fs::write(self.path("supervisord.conf"), format!("{head}{sections}")).unwrap();
    }

    /// The activity log without its time stamps, lines that hold one of the needles, but none of [`OURS`].
    pub(crate) fn log_lines(&self, needles: &[&str]) -> Vec<String> {
        self.text("main.log")
            .lines()
            .filter_map(|line| line.get(24..))
            .filter(|line| needles.iter().any(|needle| line.contains(needle)))
            .filter(|line| !OURS.iter().any(|ours| line.contains(ours)))
            .map(String::from)
            .collect()
    }

    /// The pids of all processes of this test that live.
    pub(crate) fn living(&self) -> Vec<i32> {
        tagged::living(&self.tag())
    }

    fn tag(&self) -> String {
        format!("{TAG}={}", self.dir().display())
    }

    /// Waits until no process of this test lives.
    pub(crate) fn wait_nothing_left(&self) {
        until("all processes to end", || {
            let living = self.living();
            if living.is_empty() { Ok(()) } else { Err(format!("{living:?}")) }
        });
    }

    fn kill_all(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        until_true("the end of what the test started", || tagged::kill_all(&self.tag()));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- daemon.out\n{}--- main.log\n{}", self.text("daemon.out"), self.text("main.log"));
        }
        self.kill_all();
    }
}

/// Runs a command to its end, within the bound.
pub(crate) fn finish(command: &mut Command, folder: &Path, input: Option<&str>) -> Outcome {
    let scratch = tempfile::tempdir_in(folder).unwrap();
    let file = |name: &str| scratch.path().join(name);
    if let Some(text) = input {
        fs::write(file("in"), text).unwrap();
        command.stdin(fs::File::open(file("in")).unwrap());
    }
    command.stdout(fs::File::create(file("out")).unwrap()).stderr(fs::File::create(file("err")).unwrap());
    let mut child = command.spawn().unwrap();
    let status = until_ended(&mut child, command);
    let text = |name: &str| String::from_utf8_lossy(&fs::read(file(name)).unwrap()).into_owned();
    Outcome { stdout: text("out"), stderr: text("err"), code: status.code() }
}

fn until_ended(child: &mut Child, command: &Command) -> ExitStatus {
    let begin = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begin.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
