//! A small Galaxy for Gravity: its configuration, programs that stand in for Galaxy's, and a virtual environment whose
//! `supervisord` is the subject's.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::daemon::{Daemon, Outcome, finish};
use crate::parcels::{gravity, or_told};
use crate::script::succeed;
use crate::subject::{Side, Subject};
use crate::wait::until;

const STAND_IN: &str = include_str!("stand_in.py");

const HEAD: &str = "\
gravity:
  process_manager: supervisor
  galaxy_root: ROOT
  virtualenv: ROOT/venv
  log_dir: ROOT/log
";

const TAIL: &str = "\
galaxy:
  data_dir: ROOT/database
  galaxy_infrastructure_url: http://localhost
  job_config: {handling: {assign: [db-skip-locked]}}
";

/// What Gravity reads the version from; the stand-in of gunicorn answers with the same.
const VERSION: &str = "VERSION_MAJOR = '26.1'\nVERSION_MINOR = '0'\nVERSION = '26.1.0'\n";

/// A Galaxy root; nothing of it outlives the value.
pub(crate) struct Instance {
    folder: Daemon,
}

impl Instance {
    /// `None` where Gravity cannot be installed, which is said.
    pub(crate) fn new(subject: Subject, services: &str) -> Option<Instance> {
        let gravity = or_told(gravity())?;
        let instance = Instance { folder: Daemon::folder(subject, "") };
        instance.configure(services);
        instance.make_environment(&gravity);
        for program in ["venv/bin/gunicorn", "venv/bin/celery", "venv/bin/tusd", "scripts/galaxy-main"] {
            instance.program(program, STAND_IN);
        }
        fs::create_dir_all(instance.path("lib/galaxy")).unwrap();
        fs::write(instance.path("lib/galaxy/version.py"), VERSION).unwrap();
        Some(instance)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// Writes `galaxy.yml` with these services.
    pub(crate) fn configure(&self, services: &str) {
        let text = format!("{HEAD}{services}{TAIL}").replace("ROOT", &self.folder.dir().display().to_string());
        fs::create_dir_all(self.path("config")).unwrap();
        fs::write(self.path("config/galaxy.yml"), text).unwrap();
    }

    /// An environment of the test's own with Gravity's packages: what it finds beside its Python is the subject.
    fn make_environment(&self, gravity: &Path) {
        let venv = self.path("venv");
        let mut make = self.folder.command(&gravity.join("bin/python"));
        succeed(&self.folder, make.args(["-m", "venv", "--without-pip"]).arg(&venv));
        let packages = site_packages(&venv);
        fs::remove_dir_all(&packages).unwrap();
        symlink(site_packages(gravity), &packages).unwrap();
        let copy = |name: &str| {
            let text = fs::read_to_string(gravity.join("bin").join(name)).unwrap();
            self.program(&format!("venv/bin/{name}"), text.split_once('\n').unwrap().1);
        };
        copy("galaxyctl");
        match self.folder.subject.daemon {
            Side::Original => copy("supervisord"),
            ours @ Side::Galaxyd => symlink(ours.supervisord(), venv.join("bin/supervisord")).unwrap(),
        }
    }

    /// An executable Python script.
    fn program(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!{}\n{text}", self.path("venv/bin/python").display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.folder.command(&self.path("venv/bin/galaxyctl"));
        // Root counts as any account: it would use systemd otherwise.
        command.env("GRAVITY_SKIP_SYSTEMD", "1").env("SUPERVISORD_SOCKET", self.path("s.sock"));
        command.arg("-c").arg(self.path("config/galaxy.yml")).args(words);
        command
    }

    pub(crate) fn galaxyctl(&self, words: &[&str]) -> Outcome {
        finish(&mut self.command(words), self.folder.dir(), None)
    }

    /// `galaxyctl start --foreground` in a process group of its own.
    pub(crate) fn foreground(&self) -> Child {
        let output = fs::File::create(self.path("foreground.out")).unwrap();
        let mut command = self.command(&["start", "--foreground", "--quiet"]);
        command.stdout(output.try_clone().unwrap()).stderr(output).process_group(0).spawn().unwrap()
    }

    /// Waits until all processes run; their names in the order of the table.
    pub(crate) fn wait_running(&self) -> Vec<String> {
        until("all to run", || {
            let rows = self.rows()?;
            if !rows.is_empty() && rows.iter().all(|row| row[1] == "RUNNING") {
                return Ok(rows.into_iter().map(|[name, ..]| name).collect());
            }
            Err(format!("{rows:?}"))
        })
    }

    /// The pid of each process that runs.
    pub(crate) fn pids(&self) -> BTreeMap<String, i32> {
        let rows = self.rows().unwrap().into_iter().filter(|row| row[1] == "RUNNING");
        rows.map(|[name, _, pid]| (name, pid.parse().unwrap())).collect()
    }

    /// Name, state and pid of each process, asked of the daemon itself: Gravity's start takes a second of computing.
    fn rows(&self) -> Result<Vec<[String; 3]>, String> {
        let answer = self.folder.call("supervisor.getAllProcessInfo", "")?;
        let rows = answer.split("<struct>").skip(1).map(|row| {
            let field = |name: &str| {
                let value = row.split(&format!("<name>{name}</name>")).nth(1).unwrap().split("<value>").nth(1).unwrap();
                value.split(['<', '>']).nth(2).unwrap().to_string()
            };
            let (group, name) = (field("group"), field("name"));
            [if group == name { name } else { format!("{group}:{name}") }, field("statename"), field("pid")]
        });
        Ok(rows.collect())
    }

    /// Waits until the stand-in of gunicorn answers at this socket.
    pub(crate) fn wait_answer(&self, socket: &str) {
        until(&format!("{socket} to answer"), || {
            let mut stream = UnixStream::connect(self.path(socket)).map_err(|error| error.to_string())?;
            let mut answer = String::new();
            stream
                .write_all(b"GET /api/version HTTP/1.0\r\n\r\n")
                .and_then(|()| stream.read_to_string(&mut answer))
                .map_err(|error| error.to_string())?;
            if answer.contains("version_major") { Ok(()) } else { Err(answer) }
        });
    }

    /// What a service printed.
    pub(crate) fn log(&self, name: &str) -> String {
        self.folder.text(&format!("log/{name}"))
    }

    /// No process, no socket and no pidfile outlived the daemon.
    pub(crate) fn nothing_is_left(&self) {
        self.folder.wait_nothing_left();
        for name in ["s.sock", "database/gravity/supervisor/supervisord.pid"] {
            assert!(!self.path(name).exists(), "{name}");
        }
    }
}

fn site_packages(venv: &Path) -> PathBuf {
    let versions = fs::read_dir(venv.join("lib")).unwrap().flatten();
    versions.map(|entry| entry.path().join("site-packages")).find(|path| path.exists()).unwrap()
}

impl Drop for Instance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.folder.text("database/gravity/supervisor/supervisord.log");
            eprintln!("--- supervisord.log\n{log}--- foreground.out\n{}", self.folder.text("foreground.out"));
            for name in ["gunicorn_0.log", "gunicorn.log", "main_gunicorn_gunicorn.log"] {
                eprintln!("--- {name}\n{}", self.log(name));
            }
        }
    }
}
