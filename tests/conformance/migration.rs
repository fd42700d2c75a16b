//! `galaxyctl migrate`: the report on a configuration, and the shadow of a running original.

use std::path::Path;

use serde_json::Value;

use crate::daemon::{Daemon, Outcome};
use crate::subject::Subject;

mod the_report_names_every_key {
    #[test]
    fn galaxyd() {
        crate::subject::run(crate::subject::Subject::GALAXYD, super::the_report_names_every_key);
    }
}

mod a_shadow_of_nobody_says_where_it_looked {
    #[test]
    fn galaxyd() {
        crate::subject::run(crate::subject::Subject::GALAXYD, super::a_shadow_of_nobody_says_where_it_looked);
    }
}

mod a_shadow_finds_no_difference_in_an_ordinary_life {
    #[test]
    fn supervisord_driven_by_galaxyctl() {
        crate::subject::run(
            crate::subject::Subject::PYTHON_DAEMON,
            super::a_shadow_finds_no_difference_in_an_ordinary_life,
        );
    }
}

fn galaxyctl(daemon: &Daemon, words: &[&str]) -> Outcome {
    let output = daemon.command(Path::new(env!("CARGO_BIN_EXE_galaxyctl"))).args(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { stdout: text(&output.stdout), stderr: text(&output.stderr), code: output.status.code() }
}

fn the_report_names_every_key(subject: Subject) {
    let sections = "[program:web]\ncommand=/bin/sh -c 'exec sleep 100'\nstartsecs=0\nautorestrat=true\n\
                    [program:gone]\ncommand=/no/such/file\n[circus]\nx=1\n[include]\nfiles=more.conf\n";
    let daemon = Daemon::folder(subject, sections);
    std::fs::write(daemon.path("more.conf"), "[program:web]\nstopwaitsecs=400\nstartsecs=2\n").unwrap();
    let outcome = galaxyctl(&daemon, &["migrate", "supervisord.conf"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for wanted in [
        "  [program:web]\n    same     command\n",
        "ignored  autorestrat (line 16): neither Supervisor nor galaxyd knows it; is autorestart meant?",
        "ignored  startsecs (line 15): ",
        "more.conf:3 says it again, and the last one counts",
        "ignored  x (line 20): no section of Supervisor's",
        "better   logfile: ",
        "SIGPIPE and SIGXFSZ in children: ",
        "BAD   [program:gone] can't find command '/no/such/file'",
        "ok    open files: ",
    ] {
        assert!(outcome.stdout.contains(wanted), "{wanted}\n{}", outcome.stdout);
    }
    let json = galaxyctl(&daemon, &["migrate", "--json", "supervisord.conf"]);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(document["files"].as_array().unwrap().len(), 2, "{document:#}");
    let unit = galaxyctl(&daemon, &["migrate", "--unit", "supervisord.conf"]);
    let path = daemon.path("supervisord.conf");
    assert!(unit.stdout.contains(&format!("-c {}\n", path.display())), "{unit:?}");
    assert!(unit.stdout.contains("\nTimeoutStopSec=440\n"), "{unit:?}");
    std::fs::write(&path, "[supervisord]\n[program:a]\n").unwrap();
    let refused = galaxyctl(&daemon, &["migrate", "supervisord.conf"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stdout.contains("galaxyd refuses this configuration"), "{refused:?}");
    std::fs::write(&path, "[supervisord]\n[rpcinterface:c]\nsupervisor.rpcinterface_factory=my:make\n").unwrap();
    let plugin = galaxyctl(&daemon, &["migrate", "supervisord.conf"]);
    assert!(plugin.stdout.contains("REFUSED  supervisor.rpcinterface_factory (line 3): "), "{plugin:?}");
    let ignored = galaxyctl(&daemon, &["--ignore-plugins", "migrate", "supervisord.conf"]);
    assert!(ignored.stdout.contains("ignored  supervisor.rpcinterface_factory (line 3): "), "{ignored:?}");
}

/// What is said is about the daemon of the file that is named, not about that of the session.
fn a_shadow_of_nobody_says_where_it_looked(subject: Subject) {
    let daemon = Daemon::folder(subject, "[program:a]\ncommand=/bin/cat\n");
    let outcome = galaxyctl(&daemon, &["migrate", "supervisord.conf", "--shadow", "--for", "1"]);
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    let lines = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(lines.contains("no such file") && lines.contains("supervisord.conf"), "{outcome:?}");
    assert!(!lines.contains("localhost:9001") && !lines.contains("<class"), "{outcome:?}");
}

/// Crashes, failed starts, quick and expected ends, stops and starts by hand: the original does with them what galaxyd would.
fn a_shadow_finds_no_difference_in_an_ordinary_life(subject: Subject) {
    let sections = "[program:steady]\ncommand=sleep 1000\n\
                    [program:crashing]\ncommand=/bin/sh -c 'sleep 2; exit 1'\n\
                    [program:failing]\ncommand=/bin/sh -c 'exit 3'\nstartretries=2\n\
                    [program:missing]\ncommand=/no/such/file\nstartretries=1\n\
                    [program:done]\ncommand=/bin/sh -c 'sleep 2; exit 0'\n\
                    [program:stubborn]\ncommand=/bin/sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'\nstopwaitsecs=1\n";
    let daemon = Daemon::start(subject, sections);
    let outcome = std::thread::scope(|scope| {
        let watching =
            scope.spawn(|| galaxyctl(&daemon, &["migrate", "supervisord.conf", "--shadow", "--for", "14", "--json"]));
        for words in [["stop", "steady"], ["start", "steady"], ["restart", "stubborn"], ["start", "failing"]] {
            daemon.ctl(&words);
        }
        watching.join().unwrap()
    });
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    assert_eq!(document["different"], 0, "{document:#}");
    assert!(document["same"].as_u64().unwrap() >= 10, "{document:#}");
    assert_eq!(outcome.code, Some(0));
}
