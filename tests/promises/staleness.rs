//! What runs and is not what a restart would give: found when somebody asks, said with its reason, over the worker's death.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::daemon::Daemon;
use crate::household::kill_worker;
use crate::subject::Subject;
use crate::wait::until;

fn processes(daemon: &Daemon) -> Vec<Value> {
    let outcome = daemon.ctl(&["status", "--json"]);
    let status: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    status["processes"].as_array().unwrap().clone()
}

/// `name kind: detail` of all that is stale, but for the folder.
fn stale(daemon: &Daemon) -> Vec<String> {
    let folder = format!("{}/", daemon.path("").display().to_string().trim_end_matches('/'));
    let mut found = Vec::new();
    for process in processes(daemon) {
        for reason in process["stale"].as_array().unwrap() {
            let [kind, detail] = ["kind", "detail"].map(|member| reason[member].as_str().unwrap().to_owned());
            found.push(format!("{} {kind}: {}", process["name"].as_str().unwrap(), detail.replace(&folder, "")));
        }
    }
    found
}

fn until_stale(daemon: &Daemon, wanted: &[&str]) {
    until("the right ones to be stale", || {
        let found = stale(daemon);
        if found == wanted { Ok(()) } else { Err(format!("{found:?} instead of {wanted:?}")) }
    });
}

fn script(path: &Path, text: &str) {
    // Replaced, as an installation does it: the one that runs cannot be written.
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

const SECTIONS: &str = "[program:app]\ncommand=%(here)s/app --config=app.yml --log-file=app.log\ndirectory=%(here)s\n\
     environment_file=%(here)s/app.env\n\
     [program:handler]\ncommand=%(here)s/galaxy-main -c config/galaxy.yml --server-name=h\ndirectory=%(here)s\n\
     [program:plain]\ncommand=sleep 1000\n";

const VERSION: &str = "VERSION_MAJOR = \"26.1\"\nVERSION_MINOR = \"1\"\n";

#[test]
fn what_a_restart_would_change_is_stale_with_its_reason_until_the_restart() {
    let mut daemon = Daemon::folder_with(Subject::GALAXYD, "", "", SECTIONS);
    for directory in ["config", "lib/galaxy"] {
        fs::create_dir_all(daemon.path(directory)).unwrap();
    }
    for program in ["app", "galaxy-main"] {
        script(&daemon.path(program), "#!/bin/sh\nexec sleep 1000\n");
    }
    for (name, text) in [
        ("app.yml", "a: 1\n"),
        ("app.log", ""),
        ("app.env", "A=1\n"),
        ("config/galaxy.yml", "galaxy:\n  brand: x\n"),
        ("config/job_conf.yml", "runners: {}\n"),
        ("lib/galaxy/version.py", VERSION),
    ] {
        fs::write(daemon.path(name), text).unwrap();
    }
    daemon.run();
    daemon.wait_running(&["app", "handler", "plain"]);
    // What they were made from is taken by a side thread after the start, of all of them in order.
    let mut edition = 1;
    until("origins to be known", || {
        edition += 1;
        fs::write(daemon.path("app.yml"), format!("a: {edition}\n")).unwrap();
        fs::write(daemon.path("config/galaxy.yml"), format!("galaxy:\n  brand: {edition}\n")).unwrap();
        let found = stale(&daemon);
        if found.len() == 2 { Ok(()) } else { Err(format!("{found:?}")) }
    });
    until_stale(
        &daemon,
        &[
            "app file: app.yml was changed after its start",
            "handler file: config/galaxy.yml was changed after its start",
        ],
    );

    // What it writes itself does not count, and neither does a file with the same content.
    fs::write(daemon.path("app.log"), "more").unwrap();
    fs::write(daemon.path("config/job_conf.yml"), "runners: {}\n").unwrap();
    fs::write(daemon.path("app.env"), "A=2\n").unwrap();
    script(&daemon.path("app"), "#!/bin/sh\nexec sleep 1001\n");
    fs::write(daemon.path("lib/galaxy/version.py"), VERSION.replace("\"1\"", "\"2\"")).unwrap();
    daemon.rewrite(&SECTIONS.replace("sleep 1000", "sleep 1002\nenvironment=B=1"));
    let wanted = [
        "app environment: a restart would give it another environment",
        "app program: app was replaced after its start",
        "app file: app.env was changed after its start",
        "app file: app.yml was changed after its start",
        "handler file: config/galaxy.yml was changed after its start",
        "handler galaxy: it runs Galaxy 26.1.1, a restart would run 26.1.2",
        "plain configuration: the configuration file has another `command`, `environment.B`",
    ];
    until_stale(&daemon, &wanted);
    kill_worker(&daemon, daemon.pid());
    daemon.wait_running(&["app", "handler", "plain"]);
    until_stale(&daemon, &wanted);

    let why = daemon.ctl(&["why", "handler"]).stdout;
    assert!(why.contains("\n    stale: it runs Galaxy 26.1.1, a restart would run 26.1.2\n"), "{why}");
    assert!(why.contains("next: galaxyctl restart handler"), "{why}");
    let all = daemon.ctl(&["why"]).stdout;
    assert!(all.contains("next: galaxyctl update plain"), "{all}");
    // Supervisor's words stay as they are.
    let plain = daemon.ctl(&["status"]).stdout;
    assert!(plain.lines().count() == 3 && plain.lines().all(|line| line.contains("RUNNING   pid ")), "{plain}");

    assert_eq!(daemon.ctl(&["update", "plain"]).code, Some(0));
    assert_eq!(daemon.ctl(&["restart", "app", "handler"]).code, Some(0));
    until_stale(&daemon, &[]);
}
