//! The deployment that `examples/galaxy/run` makes, and what the test does with it.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::notice::tell;
use crate::postgres::Postgres;

#[path = "../fixture/tagged.rs"]
mod tagged;

/// In the environment of everything that this test starts.
const TAG: &str = "GALAXYD_TEST_TAG";

/// Seconds for a job that a handler took in the instant before it was told to stop: on a busy machine one takes longer than
/// Galaxy's own 30.
const JOB_PATIENCE: &str = "300";

/// How long one step may take. Galaxy's boot is pure computing: half a minute alone, many on a busy machine.
const BOUND: Duration = Duration::from_secs(900);

pub(crate) struct Deployment {
    folder: PathBuf,
    tag: String,
    port: u16,
    /// Kept for its end: the server stops after everything else.
    postgres: Option<Postgres>,
}

impl Deployment {
    /// Sets Galaxy up in `target/galaxy` and starts it with the example's one command.
    pub(crate) fn start() -> Deployment {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tag = format!("galaxy-{}", std::process::id());
        let postgres = if std::env::var_os("GALAXY_DATABASE").is_none() { Postgres::start() } else { None };
        let deployment = Deployment { folder: target.join("galaxy"), tag, port, postgres };
        // Jobs and handlers of a run that was broken off must not count for this one.
        for left in ["var/universe.sqlite", "var/handler.numprocs"] {
            let _ = fs::remove_file(deployment.path(left));
        }
        let tool = include_str!("tally.xml").replace("@LEDGER@", &deployment.ledger().display().to_string());
        fs::create_dir_all(deployment.path("tools")).unwrap();
        fs::write(deployment.path("tools/tally.xml"), tool).unwrap();
        let mut command = deployment.command(&root.join("examples/galaxy/run"));
        command.arg(&deployment.folder).args([
            "--port",
            &port.to_string(),
            "--galaxyd",
            env!("CARGO_BIN_EXE_galaxyd"),
            "--boot-wait",
            "900",
            "--job-patience",
            JOB_PATIENCE,
        ]);
        let database =
            std::env::var("GALAXY_DATABASE").ok().or_else(|| deployment.postgres.as_ref().map(Postgres::url));
        if let Some(url) = &database {
            command.args(["--database", url]);
        }
        tell(&format!(
            "a real Galaxy on {}",
            database.as_deref().unwrap_or("SQLite").split(':').next().unwrap_or_default()
        ));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains(&format!("http://127.0.0.1:{port}")), "{text}");
        deployment
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env(TAG, &self.tag).stdin(Stdio::null());
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The port of the web server.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where the tool `tally` leaves a line whenever it runs.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.path("var/ledger")
    }

    fn call(&self, words: &[&str]) -> (bool, String) {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_galaxyctl")));
        let output = command.arg("-c").arg(self.path("galaxyd.conf")).args(words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), told)
    }

    /// What galaxyctl prints.
    pub(crate) fn ctl(&self, words: &[&str]) -> String {
        self.call(words).1
    }

    /// What galaxyctl prints, of a command that has to go well.
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let begin = Instant::now();
        let (is_done, told) = self.call(words);
        tell(&format!("{} s: {words:?}: {told}", begin.elapsed().as_secs()));
        assert!(is_done, "{words:?}: {told}");
        told
    }

    pub(crate) fn pid(&self, process: &str) -> String {
        self.ctl(&["pid", process]).trim().to_owned()
    }

    /// The pids of web and handlers, in the order of the table.
    pub(crate) fn pids(&self) -> Vec<String> {
        self.ctl(&["pid", "all"]).lines().map(String::from).collect()
    }

    /// The client that submits jobs, without its options.
    pub(crate) fn jobs(&self) -> Command {
        let mut command = self.command(Path::new("python3"));
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/galaxy/jobs.py"))
            .arg(format!("http://127.0.0.1:{}", self.port))
            .arg(self.path("config/admin-api-key"));
        command
    }

    /// As many jobs at once.
    fn batch(&self, count: u32, seconds: u32) -> Command {
        let mut command = self.jobs();
        command
            .args(["--count", &count.to_string(), "--seconds", &seconds.to_string(), "--running"])
            .arg(self.running_mark());
        command
    }

    fn running_mark(&self) -> PathBuf {
        self.path("var/a-job-runs")
    }

    /// Runs jobs to their end, which must be `ok`; the handlers that had them.
    pub(crate) fn run_jobs(&self, count: u32, seconds: u32) -> Vec<String> {
        let output = self.batch(count, seconds).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text.lines().filter_map(|line| line.split(' ').nth(2)).map(String::from).collect()
    }

    /// Submits one job and returns the waiting helper.
    pub(crate) fn submit_job_of_seconds(&self, seconds: u32) -> Child {
        let _ = fs::remove_file(self.running_mark());
        self.batch(1, seconds).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until the job is running.
    pub(crate) fn wait_for_running_job(&self, jobs: &mut Child) {
        until("the job to run", || self.running_mark().exists() || jobs.try_wait().unwrap().is_some());
        assert!(self.running_mark().exists(), "the job ended before it was seen running");
    }

    fn keeper(&self) -> i32 {
        fs::read_to_string(self.path("run/galaxyd.pid")).unwrap().trim().parse().unwrap()
    }

    /// The keeper's child of the same binary.
    fn worker(&self) -> Option<i32> {
        let keeper = self.keeper();
        let binary = fs::read_link(format!("/proc/{keeper}/exe")).ok()?;
        self.living().into_iter().find(|pid| {
            *pid != keeper
                && parent(*pid) == Some(keeper)
                && fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == binary)
        })
    }

    /// kill -9 of the worker; returns when its successor answers.
    pub(crate) fn kill_worker(&self) {
        let old = self.worker().unwrap();
        kill(old);
        until("the successor", || self.worker().is_some_and(|pid| pid != old));
        until("its answer", || self.ctl(&["status"]).contains("RUNNING"));
    }

    /// kill -9 of the handler that has a job; returns when what the job consists of was named, and has ended.
    pub(crate) fn kill_handler_at_work(&self) {
        let jobs: serde_json::Value = serde_json::from_str(&self.ctl(&["--json", "jobs"])).unwrap();
        let handlers = jobs["handlers"].as_array().unwrap();
        let at_work = handlers.iter().find(|handler| handler["jobs"]["running"] == 1);
        let handler = at_work.unwrap_or_else(|| panic!("{jobs:#}"))["process"].as_str().unwrap();
        kill(self.pid(handler).parse().unwrap());
        let mut left: Vec<i32> = Vec::new();
        until("what is left of the job to be named", || {
            let why = self.ctl(&["why", handler]);
            let lines = why.lines().filter_map(|line| line.trim().strip_prefix("left behind: "));
            left = lines.filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
            why.contains("sleep 600")
        });
        left.into_iter().for_each(kill);
    }

    /// Waits until the API answers.
    pub(crate) fn wait_for_answer(&self) {
        until("Galaxy's answer", || {
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
            let mut answer = String::new();
            let asked = stream.write_all(b"GET /api/version HTTP/1.0\r\nHost: localhost\r\n\r\n");
            asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.contains(" 200 ")
        });
    }

    /// Everything that this test started and that lives.
    fn living(&self) -> Vec<i32> {
        tagged::living(&self.variable())
    }

    fn variable(&self) -> String {
        format!("{TAG}={}", self.tag)
    }

    /// After `stop all`: keeper and worker, and nothing of Galaxy.
    pub(crate) fn assert_only_the_daemon_is_left(&self) {
        let ours = [Some(self.keeper()), self.worker()];
        let left: Vec<i32> = self.living().into_iter().filter(|pid| !ours.contains(&Some(*pid))).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Ends the daemon; nothing may be left.
    pub(crate) fn shut_down(&self) {
        assert_eq!(self.ctl(&["shutdown"]).trim(), "Shut down");
        until("the end of the daemon", || self.living().is_empty());
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.ctl(&["status"]).lines().for_each(tell);
        }
        until("the end of what the test started", || tagged::kill_all(&self.variable()));
    }
}

/// Waits for the end of the submitted job, which must be `ok`.
pub(crate) fn wait_for_jobs(jobs: Child) {
    let output = jobs.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains(" ok handler"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// SIGKILL, for one who may have ended meanwhile.
fn kill(pid: i32) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// Waits for a condition, within the bound.
pub(crate) fn until(what: &str, mut probe: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !probe() {
        assert!(begin.elapsed() < BOUND, "waited {} s for {what}", BOUND.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
}
