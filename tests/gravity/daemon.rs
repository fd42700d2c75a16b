//! A daemon that is given a galaxy.yml, with stand-ins for Galaxy's programs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::until;

/// Says how it was called, and stays.
const STAND_IN: &str = "#!/bin/sh\necho \"called: $0 $*\"\necho \"in: $(pwd) for $GALAXY_CONFIG_FILE as $GALAXY_CONFIG_SERVER_NAME\"\nexec sleep 1000\n";

/// A checkout with a virtualenv of stand-ins.
pub(crate) struct Checkout {
    root: tempfile::TempDir,
}

impl Checkout {
    pub(crate) fn new(galaxy_yml: &str) -> Checkout {
        let root = tempfile::tempdir().unwrap();
        let checkout = Checkout { root };
        for directory in ["config", "lib/galaxy", "venv/bin"] {
            fs::create_dir_all(checkout.path(directory)).unwrap();
        }
        for name in ["gunicorn", "celery", "python", "tusd"] {
            let program = checkout.path(&format!("venv/bin/{name}"));
            fs::write(&program, STAND_IN).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        checkout.write(galaxy_yml);
        checkout
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// `VENV` in the text is the virtualenv.
    pub(crate) fn write(&self, galaxy_yml: &str) {
        let text = galaxy_yml.replace("VENV", &self.path("venv").display().to_string());
        fs::write(self.path("config/galaxy.yml"), text).unwrap();
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        command.env("GRAVITY_SKIP_SYSTEMD", "1").env_remove("GRAVITY_STATE_DIR").env_remove("SUPERVISORD_SOCKET");
        command.arg("-c").arg(self.path("config/galaxy.yml"));
        command
    }

    pub(crate) fn ctl(&self, words: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_galaxyctl")).args(words).output().unwrap()
    }

    /// What galaxyctl prints on both streams.
    pub(crate) fn told(&self, words: &[&str]) -> String {
        let output = self.ctl(words);
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("database/gravity/log/{name}.log"))).unwrap_or_default()
    }

    /// The state of each process by its name.
    pub(crate) fn states(&self) -> Vec<(String, String)> {
        let text = String::from_utf8(self.ctl(&["status"]).stdout).unwrap();
        let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.filter(|words| words.len() > 1).map(|words| (words[0].to_owned(), words[1].to_owned())).collect()
    }

    pub(crate) fn pid(&self, name: &str) -> String {
        self.told(&["pid", name]).trim().to_owned()
    }

    pub(crate) fn until_all_run(&self, names: &[&str]) {
        until("all to run", || {
            let states = self.states();
            let running: Vec<_> = states.iter().filter(|(_, state)| state == "RUNNING").map(|(name, _)| name).collect();
            if running == names { Ok(()) } else { Err(format!("{states:?}")) }
        });
    }
}

/// A daemon in the foreground, and its end.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn start(checkout: &Checkout) -> Self {
        let mut command = checkout.command(env!("CARGO_BIN_EXE_galaxyd"));
        let log = fs::File::create(checkout.path("daemon.out")).unwrap();
        let child = command.arg("-n").stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Running { child }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

const GALAXY_YML: &str = "gravity:\n  virtualenv: VENV\n  gunicorn:\n  - {bind: 'localhost:8081', start_timeout: 0, restart_timeout: 1}\n  \
    - {bind: 'localhost:8082', start_timeout: 0, restart_timeout: 1}\n  celery: {start_timeout: 0}\n  handlers:\n    \
    handler: {processes: 2, start_timeout: 0, pools: [job-handlers]}\ngalaxy:\n  job_config: {handling: {assign: [db-skip-locked]}}\n";

const NAMES: [&str; 6] =
    ["celery", "celery-beat", "gunicorn:gunicorn_0", "gunicorn:gunicorn_1", "handler:handler_0", "handler:handler_1"];

#[test]
fn a_daemon_runs_what_galaxy_yml_says_under_gravitys_names() {
    let checkout = Checkout::new(GALAXY_YML);
    let _daemon = Running::start(&checkout);
    checkout.until_all_run(&NAMES);
    let root = checkout.path("");
    let root = root.to_str().unwrap().trim_end_matches('/');
    for (log, called) in [
        ("gunicorn_0", "/venv/bin/gunicorn galaxy.webapps.galaxy.fast_factory:factory() --timeout 300 "),
        ("celery-beat", "/venv/bin/celery --app galaxy.celery beat --loglevel DEBUG --schedule "),
        ("handler_1", "/venv/bin/python ./scripts/galaxy-main -c "),
    ] {
        let text =
            until("a log", || Some(checkout.log(log)).filter(|text| text.contains("in: ")).ok_or("empty".to_owned()));
        assert!(text.starts_with(&format!("called: {root}{called}")), "{text}");
        assert!(text.contains(&format!("in: {root} for ")), "{text}");
    }
    assert!(checkout.log("gunicorn_1").contains(&format!("for {root}/config/galaxy.yml as web_1")));
    assert!(checkout.path("database/gravity/supervisor/supervisord.pid").exists());
}

#[test]
fn a_bad_file_leaves_everything_alone_and_a_good_one_restarts_what_changed() {
    let checkout = Checkout::new(GALAXY_YML);
    let _daemon = Running::start(&checkout);
    checkout.until_all_run(&NAMES);
    let pids = NAMES.map(|name| checkout.pid(name));
    checkout.write(&GALAXY_YML.replace("processes", "proceses"));
    let output = checkout.ctl(&["update"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{told}");
    for piece in ["galaxy.yml:8:15", "gravity.handlers.handler", "proceses", "did you mean processes?"] {
        assert!(told.contains(piece), "{piece}: {told}");
    }
    assert_eq!(NAMES.map(|name| checkout.pid(name)), pids);
    checkout.write(&GALAXY_YML.replace("localhost:8082", "localhost:8083").replace("processes: 2", "processes: 3"));
    let told = checkout.told(&["update"]);
    let names: Vec<&str> = NAMES.into_iter().chain(["handler:handler_2"]).collect();
    checkout.until_all_run(&names);
    let after = NAMES.map(|name| checkout.pid(name));
    let kept: Vec<_> =
        NAMES.iter().zip(pids.iter().zip(&after)).filter(|(_, (a, b))| a == b).map(|(name, _)| *name).collect();
    assert_eq!(
        kept,
        ["celery", "celery-beat", "gunicorn:gunicorn_0", "handler:handler_0", "handler:handler_1"],
        "{told}"
    );
}

#[test]
fn what_is_printed_names_its_sources_and_loads_to_the_same_programs() {
    let checkout = Checkout::new(GALAXY_YML);
    let printed = String::from_utf8(checkout.ctl(&["config"]).stdout).unwrap();
    let file = checkout.path("config/galaxy.yml");
    for wanted in [
        format!("with {0}:2 gravity.virtualenv, {0}:4 gravity.gunicorn[0].bind\ncommand = ", file.display()),
        format!("; {}:4 gravity.gunicorn[0].start_timeout\nstartsecs = 0\n", file.display()),
        "; default of gravity.umask\numask = 022\n".to_owned(),
        "; computed: 30 s that gunicorn gives its workers and 35 s for Galaxy to shut down\nstopwaitsecs = 65\n"
            .to_owned(),
        "GALAXY_CONFIG_SERVER_NAME: one of several gunicorns: each needs a name of its own".to_owned(),
    ] {
        assert!(printed.contains(&wanted), "{wanted}\n{printed}");
    }
    let ini = checkout.path("printed.conf");
    fs::write(&ini, &printed).unwrap();
    let groups = |file: &Path| {
        let output = checkout.ctl(&["config", file.to_str().unwrap(), "--format", "json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        config["groups"].clone()
    };
    assert_eq!(groups(&file), groups(&ini));
}

#[test]
fn gravitys_commands_work_on_the_same_file() {
    let checkout = Checkout::new(&GALAXY_YML.replace("gravity:\n", "gravity:\n  instance_name: main\n"));
    let names =
        ["main:celery", "main:celery-beat", "main:gunicorn0", "main:gunicorn1", "main:handler0", "main:handler1"];
    assert!(checkout.ctl(&["update"]).status.success());
    let told = checkout.told(&["start"]);
    assert!(told.contains("galaxyd was started"), "{told}");
    let _end = Ends(&checkout);
    checkout.until_all_run(&names);
    // Names of services, whatever their instance.
    let told = checkout.told(&["stop", "handler"]);
    assert!(told.contains("main:handler0: stopped") && told.contains("main:handler1: stopped"), "{told}");
    let told = checkout.told(&["status", "celery"]);
    assert!(told.contains("main:celery ") && !told.contains("beat"), "{told}");
    let told = checkout.told(&["start"]);
    assert!(told.contains("main:handler0: started"), "{told}");
    checkout.until_all_run(&names);
    let before = checkout.pid("main:gunicorn0");
    checkout.ctl(&["restart", "gunicorn"]);
    checkout.until_all_run(&names);
    assert_ne!(checkout.pid("main:gunicorn0"), before);
    // The stand-ins do not answer.
    let told = checkout.told(&["graceful", "gunicorn"]);
    assert!(told.contains("main:gunicorn0: failed by rolling in ") && told.contains("Rolled 0 of 2 in "), "{told}");
    let told = checkout.told(&["graceful", "handler", "celery"]);
    assert!(told.contains("main:handler1: done by rolling in ") && told.contains("Rolled 3 of 3 in "), "{told}");
    let file = checkout.path("config/galaxy.yml");
    let told = checkout.told(&["list"]);
    assert!(told.ends_with(&format!("main                {}\n", file.display())), "{told}");
    let shown: serde_json::Value = serde_json::from_str(&checkout.told(&["show"])).unwrap();
    assert_eq!(shown["services"][0]["processes"], serde_json::json!(["main:gunicorn0", "main:gunicorn1"]));
    let told = checkout.told(&["exec", "-n", "-i", "1", "handler"]);
    assert!(told.contains("--server-name=handler_1") && told.contains("Working directory: "), "{told}");
    let told = checkout.told(&["pm", "pid", "main:gunicorn1"]);
    assert_eq!(told.trim(), checkout.pid("main:gunicorn1"));
    let told = checkout.told(&["stop"]);
    assert!(told.contains("All processes stopped, galaxyd will exit"), "{told}");
    until("the daemon's end", || {
        let pidfile = checkout.path("database/gravity/supervisor/supervisord.pid");
        if pidfile.exists() { Err("it runs".to_owned()) } else { Ok(()) }
    });
}

/// Ends the daemon that a test started in the background, however the test ends.
struct Ends<'c>(&'c Checkout);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let pidfile = self.0.path("database/gravity/supervisor/supervisord.pid");
        let pid = fs::read_to_string(pidfile).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

#[test]
fn several_files_make_one_daemon_and_gravitys_names_for_commands_work() {
    let first = Checkout::new(
        "gravity: {instance_name: a, virtualenv: VENV, gunicorn: {start_timeout: 0}, celery: {enable: false, enable_beat: false}}\ngalaxy: {}\n",
    );
    let second = Checkout::new(
        "gravity: {instance_name: b, virtualenv: VENV, gunicorn: {start_timeout: 0}, celery: {enable: false, enable_beat: false}}\ngalaxy: {}\n",
    );
    let state = first.path("state");
    let both = |program: &str| {
        let mut command = first.command(program);
        command.arg("-c").arg(second.path("config/galaxy.yml"));
        command
    };
    let log = fs::File::create(first.path("daemon.out")).unwrap();
    let mut daemon = both(env!("CARGO_BIN_EXE_galaxyd"));
    daemon.arg("-n").arg("--state-dir").arg(&state).stdout(log.try_clone().unwrap()).stderr(log);
    let _daemon = Running { child: daemon.spawn().unwrap() };
    let told = |words: &[&str]| {
        let output =
            both(env!("CARGO_BIN_EXE_galaxyctl")).env("GRAVITY_STATE_DIR", &state).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    until("both to run", || {
        let status = told(&["status"]);
        if status.matches("RUNNING").count() == 2 { Ok(()) } else { Err(status) }
    });
    assert!(state.join("supervisor/supervisord.pid").exists());
    let status = told(&["status"]);
    assert!(status.contains("a:gunicorn ") && status.contains("b:gunicorn "), "{status}");
    for (alias, name) in [("configs", "list"), ("get", "show")] {
        assert_eq!(told(&[alias]), told(&[name]), "{alias}");
    }
    let listed = told(&["configs"]);
    assert!(listed.contains(&first.path("config/galaxy.yml").display().to_string()), "{listed}");
    assert!(listed.contains(&second.path("config/galaxy.yml").display().to_string()), "{listed}");
    assert_eq!(told(&["supervisorctl", "pid", "b:gunicorn"]), told(&["pid", "b:gunicorn"]));
    // An edit of the second is an update of the second.
    let before = told(&["pid", "a:gunicorn"]);
    second.write("gravity: {instance_name: b, virtualenv: VENV, gunicorn: {start_timeout: 0, bind: 'localhost:9'}, celery: {enable: false, enable_beat: false}}\ngalaxy: {}\n");
    let updated = told(&["update"]);
    assert!(updated.contains("b:gunicorn: ") && !updated.contains("a:gunicorn"), "{updated}");
    assert_eq!(told(&["pid", "a:gunicorn"]), before);
}

#[test]
fn a_uwsgi_section_runs_uwsgi_and_as_many_handlers_as_a_strategy_says() {
    let checkout = Checkout::new(
        "uwsgi:\n  virtualenv: VENV\n  master: true\n  mule: lib/galaxy/main.py\n\ngalaxy:\n  job_config: {handling: {assign: [db-skip-locked]}}\n",
    );
    let program = checkout.path("venv/bin/uwsgi");
    fs::copy(checkout.path("venv/bin/gunicorn"), &program).unwrap();
    let mut command = checkout.command(env!("CARGO_BIN_EXE_galaxyd"));
    let log = fs::File::create(checkout.path("daemon.out")).unwrap();
    command.args(["-n", "--strategy", "webless:2"]).stdout(log.try_clone().unwrap()).stderr(log);
    let _daemon = Running { child: command.spawn().unwrap() };
    until("the logs of all three", || {
        let web = checkout.log("web").contains("/venv/bin/uwsgi --yaml ");
        let handler = checkout.log("handler1").contains("--server-name=handler1 --attach-to-pool=job-handlers");
        let daemon = || fs::read_to_string(checkout.path("daemon.out")).unwrap();
        if web && handler { Ok(()) } else { Err(daemon()) }
    });
    let names: Vec<String> = checkout.states().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["handler0", "handler1", "web"]);
}

#[test]
fn exec_becomes_the_service() {
    let checkout = Checkout::new(GALAXY_YML);
    fs::write(checkout.path("venv/bin/celery"), "#!/bin/sh\necho \"$PWD $GALAXY_CONFIG_FILE $*\"\n").unwrap();
    let told = checkout.told(&["exec", "celery"]);
    let root = checkout.path("");
    let wanted =
        format!("{0} {0}/config/galaxy.yml --app galaxy.celery worker ", root.to_str().unwrap().trim_end_matches('/'));
    assert!(told.starts_with(&wanted), "{told}");
    let told = checkout.told(&["exec", "handler"]);
    assert!(told.contains("say which one with -i"), "{told}");
}

#[test]
fn follow_shows_the_logs() {
    let checkout = Checkout::new(GALAXY_YML);
    fs::create_dir_all(checkout.path("database/gravity/log")).unwrap();
    fs::write(checkout.path("database/gravity/log/celery.log"), "a line of celery\n").unwrap();
    let mut command = checkout.command(env!("CARGO_BIN_EXE_galaxyctl"));
    let mut child = command.args(["follow", "celery"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut first).unwrap();
    let tails = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
    for tail in tails.split_whitespace() {
        kill(Pid::from_raw(tail.parse().unwrap()), Signal::SIGTERM).unwrap();
    }
    child.wait().unwrap();
    assert_eq!(first, "a line of celery\n");
}
