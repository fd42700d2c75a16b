//! Rules that ask the running daemon: processes as it would tell of them, beside a configuration.

use std::fs;
use std::path::Path;
use std::process::Command;

use galaxyd::config::{self, HostSource, Overrides};
use galaxyd::galaxy::{self, LiveDatabase, LiveProcess, Surroundings};

use super::program::{Running, galaxyctl, script};
use super::wait::until;
use super::{made, notice, shown};

/// The rules that have their samples here.
pub(crate) const CODES: [&str; 8] = ["GX012", "GX022", "GX029", "GX050", "GX051", "GX052", "GX056", "GX110"];

/// The processes of a daemon that runs what a configuration says.
fn as_configured(file: &Path) -> Vec<LiveProcess> {
    let source = HostSource::new(Vec::new());
    let config = config::load(file, &Overrides::default(), &source).config.unwrap();
    let mut live = Vec::new();
    for group in &config.groups {
        for process in &group.processes {
            live.push(LiveProcess {
                group: group.name.clone(),
                name: process.name.clone(),
                is_running: true,
                argv: config::shlex::split(&process.command).unwrap(),
                environment: process.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
                ..LiveProcess::default()
            });
        }
    }
    live
}

fn found(file: &Path, live: &[LiveProcess]) -> Vec<String> {
    found_beside(file, &Surroundings { processes: live.to_vec(), ..Surroundings::default() })
}

fn found_beside(file: &Path, surroundings: &Surroundings) -> Vec<String> {
    let source = HostSource::new(Vec::new());
    let loaded = config::load(file, &Overrides::default(), &source);
    shown(&galaxy::check_beside(&loaded, &source, surroundings))
}

/// What is found when a daemon runs a good deployment and the file is then edited.
fn after(base: &str, edits: &[(&str, &str, &str)]) -> Vec<String> {
    let before = made(base, &[]);
    let live = as_configured(&before.path().join("supervisord.conf"));
    let edited = made(base, edits);
    let text = edited.path().display().to_string();
    let findings = found(&edited.path().join("supervisord.conf"), &live);
    findings.into_iter().map(|finding| finding.replace(&text, "")).collect()
}

const CONF: &str = "supervisord.conf";

/// One gunicorn that runs jobs.
const ALONE: [(&str, &str, &str); 4] = [
    ("galaxy.yml", "    handling:\n      assign: [db-skip-locked]\n", ""),
    (CONF, "[program:handler]", "[program:unused]"),
    (CONF, "programs = web0, web1, handler", "programs = web0, web1"),
    (CONF, "%(here)s/venv/bin/python ./scripts/galaxy-main", "/bin/true"),
];

#[test]
fn a_daemon_that_runs_what_the_file_says_is_good() {
    for base in ["allinone", "dynamic", "mules", "rolling", "static", "zerg"] {
        assert_eq!(after(base, &[]), [""; 0], "{base}");
    }
}

#[test]
fn what_an_update_would_cost_jobs_is_told() {
    let fewer = after("rolling", &[(CONF, "numprocs = 2", "numprocs = 1")]);
    assert_eq!(fewer, ["GX050  galaxy:handler1 is the handler handler1, which this configuration does not have"]);
    assert_eq!(after("rolling", &[(CONF, "numprocs = 2", "numprocs = 3")]), [""; 0]);
    let renamed = after("rolling", &[(CONF, "--server-name=handler%", "--server-name=main_handler%")]);
    assert!(renamed.len() == 2 && renamed.iter().all(|one| one.starts_with("GX052 /supervisord.conf:")), "{renamed:?}");
    assert!(renamed[0].ends_with("galaxy:handler0 is the handler handler0 and would be main_handler0"), "{renamed:?}");

    let base = made("rolling", &ALONE);
    let file = base.path().join(CONF);
    let mut live = as_configured(&file);
    let codes = |live: &[LiveProcess]| {
        let found = found(&file, live).into_iter();
        found.filter(|one| CODES.iter().any(|code| one.starts_with(code))).collect::<Vec<_>>()
    };
    assert_eq!(codes(&live), [""; 0]);
    let web = live.iter_mut().find(|process| process.name == "web1").unwrap();
    for word in web.argv.iter_mut().filter(|word| *word == "--workers=2") {
        "--workers=4".clone_into(word);
    }
    let told = codes(&live);
    assert!(told.len() == 1 && told[0].contains("has 4 workers, which run jobs, and would have 2"), "{told:?}");
    let web = live.iter_mut().find(|process| process.name == "web0").unwrap();
    web.environment.retain(|(name, _)| name != "GALAXY_CONFIG_SERVER_NAME");
    let told = codes(&live);
    let renamed = "are main.1 and so on and would be web_0.1";
    assert!(told.len() == 2 && told.iter().any(|one| one.contains(renamed)), "{told:?}");
}

#[test]
fn what_runs_and_is_not_ready_or_old_is_told() {
    let base = made("rolling", &[]);
    let file = base.path().join(CONF);
    let mut live = as_configured(&file);
    live[0].readiness = "waiting".to_owned();
    live[1].readiness = "ready".to_owned();
    live[2].older_release = Some("it runs Galaxy 26.1.1, a restart would run 26.1.2".to_owned());
    let told = found(&file, &live);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().any(|one| one.starts_with("GX012") && one.contains("is RUNNING after 15 seconds and not ready"))
    );
    assert!(told.iter().any(|one| one.starts_with("GX110") && one.contains("it runs Galaxy 26.1.1")));
    live[0].is_running = false;
    live[2].is_running = false;
    assert_eq!(found(&file, &live), [""; 0]);
}

#[test]
fn a_signal_does_not_put_a_changed_command_in_force() {
    let changed = Some("the configuration file has another command".to_owned());
    // One gunicorn, a uWSGI, a pool of handlers: the first two are replaced by a signal.
    for (base, name, is_told) in [("dynamic", "web", true), ("allinone", "web", true), ("dynamic", "handler0", false)] {
        let folder = made(base, &[]);
        let file = folder.path().join(CONF);
        let mut live = as_configured(&file);
        live.iter_mut().find(|process| process.name == name).unwrap().changed.clone_from(&changed);
        let told = found(&file, &live);
        assert_eq!(told.len(), usize::from(is_told), "{told:?}");
        assert!(told.iter().all(|one| one.starts_with("GX022") && one.ends_with("has another command")), "{told:?}");
    }
    let folder = made("dynamic", &[(CONF, "killasgroup = true", "killasgroup = true\nrollout = rolling")]);
    let file = folder.path().join(CONF);
    let mut live = as_configured(&file);
    live.iter_mut().find(|process| process.name == "web").unwrap().changed.clone_from(&changed);
    assert_eq!(found(&file, &live), [""; 0], "rolling starts it anew");
}

#[test]
fn local_jobs_that_outlive_their_handler_are_told() {
    let survivor = vec!["4711 sh tool_script.sh".to_owned()];
    let left_by = |edits: &[(&str, &str, &str)], name: &str| {
        let folder = made("dynamic", edits);
        let file = folder.path().join(CONF);
        let mut live = as_configured(&file);
        let one = live.iter_mut().find(|process| process.name == name).unwrap();
        (one.is_running, one.left_behind) = (false, survivor.clone());
        found(&file, &live)
    };
    let told = left_by(&[], "handler1");
    assert!(told.len() == 1 && told[0].starts_with("GX029"), "{told:?}");
    assert!(told[0].ends_with("galaxy:handler1 left behind: 4711 sh tool_script.sh"), "{told:?}");
    assert_eq!(left_by(&[], "celery"), [""; 0]);
    let cluster =
        [("job_conf.yml", "galaxy.jobs.runners.local:LocalJobRunner", "galaxy.jobs.runners.slurm:SlurmJobRunner")];
    let told = left_by(&cluster, "handler1");
    assert!(!told.iter().any(|one| one.starts_with("GX029")), "{told:?}");
}

#[test]
fn a_database_that_skips_no_locked_rows_is_told() {
    let folder = made("dynamic", &[]);
    let file = folder.path().join(CONF);
    let told = |dialect: &str, version: &str| {
        let database = LiveDatabase {
            galaxy: folder.path().join("galaxy.yml"),
            dialect: dialect.to_owned(),
            version: version.to_owned(),
        };
        found_beside(&file, &Surroundings { databases: vec![database], ..Surroundings::default() })
    };
    for (dialect, version) in [("postgresql", "9.4.26"), ("sqlite", "3.24.0"), ("postgresql", "8")] {
        let told = told(dialect, version);
        assert!(told.len() == 1 && told[0].starts_with("GX056") && told[0].contains("job_conf.yml:"), "{told:?}");
        assert!(told[0].contains(version), "{told:?}");
    }
    for (dialect, version) in
        [("postgresql", "15.4 (Debian 15.4-1)"), ("postgresql", "9.5"), ("sqlite", "3.40.1"), ("other", "1")]
    {
        assert_eq!(told(dialect, version), [""; 0], "{dialect} {version}");
    }
}

#[test]
fn a_server_that_says_another_release_than_lies_on_disk_is_told() {
    let folder = made("rolling", &[]);
    let file = folder.path().join(CONF);
    let library = folder.path().join("lib/galaxy");
    fs::create_dir_all(&library).unwrap();
    fs::write(library.join("version.py"), "VERSION_MAJOR = \"26.1\"\nVERSION_MINOR = \"2\"\n").unwrap();
    let mut live = as_configured(&file);
    live[0].told_release = Some("26.1.2".to_owned());
    assert_eq!(found(&file, &live), [""; 0]);
    live[1].told_release = Some("26.1.1".to_owned());
    let told = found(&file, &live);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("GX110") && told[0].contains("it says that it is Galaxy 26.1.1, a restart"),
        "{told:?}"
    );
}

/// A server that answers `/api/version` at the socket of its `-b unix:PATH`.
const SERVER: &str = r#"#!/usr/bin/python3
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"version_major": "26.1", "version_minor": "1"}' if self.path == "/api/version" else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
socketserver.UnixStreamServer(sys.argv[sys.argv.index("-b") + 1][5:], Handler).serve_forever()
"#;

#[test]
fn servers_and_the_database_are_asked_what_they_are() {
    if !Path::new("/usr/bin/python3").exists() {
        return notice::tell(
            "could not run: servers_and_the_database_are_asked_what_they_are: there is no /usr/bin/python3",
        );
    }
    let folder = made(
        "rolling",
        &[
            (CONF, "-b 127.0.0.1:8080", "-b unix:%(here)s/w0.sock --forwarded-allow-ips=*"),
            (CONF, "ready = http://127.0.0.1:8080/api/version\n", ""),
            (CONF, "startsecs = 15", "startsecs = 0"),
            (CONF, "startsecs = 15", "startsecs = 0\nautostart = false"),
            (CONF, "startsecs = 15", "startsecs = 0\nautostart = false"),
            ("galaxy.yml", "postgresql:///galaxy", "sqlite:////HERE/g.sqlite"),
        ],
    );
    let here = |name: &str| folder.path().join(name);
    let settings = fs::read_to_string(here("galaxy.yml")).unwrap();
    fs::write(here("galaxy.yml"), settings.replace("/HERE", &folder.path().display().to_string())).unwrap();
    fs::write(here("g.sqlite"), "").unwrap();
    script(&here("venv/bin/gunicorn"), SERVER);
    std::os::unix::fs::symlink("/usr/bin/python3", here("venv/bin/python")).unwrap();
    fs::create_dir_all(here("lib/galaxy")).unwrap();
    fs::write(here("lib/galaxy/version.py"), "VERSION_MAJOR = \"26.1\"\nVERSION_MINOR = \"2\"\n").unwrap();
    let mut daemon = Running::start(folder.path());
    let told = until("the server's answer", || {
        let output = galaxyctl(&["check", "--live"], Some(&here(CONF)));
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if told.contains("GX110") { Ok(told) } else { Err(told) }
    });
    assert!(told.contains("galaxy:web0: it says that it is Galaxy 26.1.1, a restart would run 26.1.2"), "{told}");
    // It was asked, and is new enough.
    assert!(!told.contains("nobody knows") && !told.contains("GX056"), "{told}");
    // A database that cannot be asked is no finding, and said.
    fs::remove_file(here("g.sqlite")).unwrap();
    let output = galaxyctl(&["check", "--live"], Some(&here(CONF)));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("nobody knows what the database of") && told.contains("there is no file"), "{told}");
    daemon.end();
}

#[test]
fn without_a_daemon_nothing_is_pretended() {
    let base = made("rolling", &[]);
    let file = base.path().join(CONF);
    fs::metadata(&file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_galaxyctl"));
    let output = command.args(["check", "--live"]).arg(&file).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("no such file"), "{told}");
}
