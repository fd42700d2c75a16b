//! `galaxyctl check` and `explain` as they are run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use serde_json::Value;

use crate::wait::{until, until_true};
use crate::{copy, made};

pub(crate) fn galaxyctl(words: &[&str], file: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_galaxyctl"));
    command.args(words).args(file).env_clear().env("HOME", "/tmp").env("PATH", "/usr/bin:/bin");
    command.output().unwrap()
}

fn broken(from: &str, to: &str) -> tempfile::TempDir {
    made("allinone", &[("supervisord.conf", from, to)])
}

#[test]
fn the_worst_finding_is_the_exit_code() {
    let good = copy("allinone");
    let cases = [
        (good, 0, "good"),
        (broken("stopsignal = INT", "stopsignal = INT\nstopasgroup = true"), 3, "warning[GX023]"),
        (broken("stopwaitsecs = 65", "stopwaitsecs = 20"), 1, "error[GX001]"),
        (broken("startsecs = 10", "startsecs = soon"), 2, "refused"),
        (broken("startsecs = 10", "startsecs = 0"), 0, "advice[GX013]"),
        (broken("umask = 022", "umask = 022\nautorestar = true"), 0, "warning[GX105]"),
        (broken("environment = ", "environment = A=x?y=z,"), 3, "warning[GX104]"),
        (broken("environment = ", "environment = A=a,b,"), 2, "error[GX104]"),
        (broken("environment = ", "environment = A=\"5%\","), 2, "error[GX104]"),
    ];
    for (folder, code, text) in cases {
        let output = galaxyctl(&["check"], Some(&folder.path().join("supervisord.conf")));
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(text), "{told}");
    }
}

#[test]
fn findings_are_in_the_json_document_and_in_sarif() {
    let folder = broken("stopwaitsecs = 65", "stopwaitsecs = 20");
    let file = folder.path().join("supervisord.conf");
    let output = galaxyctl(&["check", "--json"], Some(&file));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding = &document["findings"][0];
    assert_eq!(
        (finding["code"].as_str(), finding["severity"].as_str()),
        (Some("GX001"), Some("error")),
        "{document:#}"
    );
    assert_eq!(finding["line"], 17, "{document:#}");
    assert_eq!((&document["errors"], document["problems"].as_array().map(Vec::len)), (&Value::from(0), Some(0)));

    let output = galaxyctl(&["check", "--sarif"], Some(&file));
    assert_eq!(output.status.code(), Some(1));
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&Value::from("GX001"), &Value::from("error")));
    let location = &result["locations"][0]["physicalLocation"];
    assert_eq!(location["region"]["startLine"], 17);
    let slip = broken("umask = 022", "umask = 022\nautorestar = true");
    let output = galaxyctl(&["check", "--sarif"], Some(&slip.path().join("supervisord.conf")));
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "GX105", "{log:#}");
    let uri = location["artifactLocation"]["uri"].as_str().unwrap();
    assert!(uri.starts_with("file:///") && uri.ends_with("supervisord.conf"), "{uri}");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["id"] == "GX001"));
}

#[test]
fn rules_are_explained() {
    let output = galaxyctl(&["explain", "gx031"], None);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("GX031 (error): ") && told.contains("Remedy: "), "{told}");
    let output = galaxyctl(&["explain"], None);
    assert!(String::from_utf8(output.stdout).unwrap().lines().count() > 80);
    let output = galaxyctl(&["--json", "explain", "GX031"], None);
    let rule: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rule["code"], "GX031");
    assert_eq!(galaxyctl(&["explain", "GX999"], None).status.code(), Some(2));
    let output = galaxyctl(&["explain", "gx067"], None);
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("GX067") && told.contains("is not checked: it is harmless"), "{told}");
}

/// A daemon that is ended whatever becomes of the test.
pub(crate) struct Running(Child);

impl Running {
    /// Starts the daemon of a folder's supervisord.conf.
    pub(crate) fn start(folder: &Path) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_galaxyd"));
        command.args(["-n", "-c"]).arg(folder.join("supervisord.conf")).env_clear();
        command.env("HOME", "/tmp").env("PATH", "/usr/bin:/bin");
        let daemon = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Running(daemon.unwrap())
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        // One that has ended is a zombie until it is waited for: the number is its own.
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().unwrap().is_none() {
            self.end();
        }
    }
}

/// A program that can be executed.
pub(crate) fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_daemon_logs_what_it_finds_at_its_start() {
    let folder = broken("stopwaitsecs = 65", "stopwaitsecs = 20");
    script(&folder.path().join("venv/bin/uwsgi"), "#!/bin/sh\nexec sleep 1000\n");
    let mut daemon = Running::start(folder.path());
    let log = folder.path().join("supervisord.log");
    let told = || fs::read_to_string(&log).unwrap_or_default();
    until_true("the program to run", || told().contains("spawned: 'web'"));
    let told = until("the findings", || if told().contains("GX001: ") { Ok(told()) } else { Err(told()) });
    assert!(daemon.end().success(), "{told}");
}
