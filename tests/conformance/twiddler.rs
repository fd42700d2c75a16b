//! The methods of `supervisor_twiddler`: the original with the real package, ours with what is built in.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::daemon::Daemon;
use crate::notice::tell;
use crate::subject::{Side, Subject};
use crate::transcript::{Transcript, rpc};
use crate::venv::environment;
use crate::wait::until;

daemons![the_interface_is_described, programs_come_and_go, wrong_programs_are_refused, messages_are_logged];

ours_alone![
    added_programs_outlive_the_worker,
    pools_take_no_programs,
    plug_ins_are_refused_with_what_replaces_them,
    plug_ins_are_ignored_when_told_to,
];

const SECTIONS: &str = "\
[rpcinterface:twiddler]
supervisor.rpcinterface_factory = supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface
[rpcinterface:narrow]
supervisor.rpcinterface_factory = supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface
whitelist = getGroupNames, log
[program:a]
command=/bin/cat
startsecs=0
[group:g]
programs=a
[program:b]
command=/bin/cat
autostart=false
";

/// The `supervisord` of an environment with the real package beside Supervisor; the reason where there is none.
fn original() -> &'static Result<PathBuf, String> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // The package's own set-up wants the tools that newer Pythons do not bring.
        let requirement = "setuptools<81 wheel supervisor==4.3.0 supervisor_twiddler==1.0.0";
        environment("venv-twiddler", requirement, "supervisord").map(|venv| venv.join("bin/supervisord"))
    })
}

/// The daemon, or `None` where the real package cannot be had.
fn start(subject: Subject, more: &str) -> Option<Daemon> {
    let mut daemon = Daemon::folder_with(subject, "environment=GALAXY=\"yes\"", "", &format!("{SECTIONS}{more}"));
    if subject.daemon == Side::Original {
        match original() {
            Ok(program) => daemon = daemon.with_supervisord(program),
            Err(why) => {
                tell(&format!("could not run: no supervisor_twiddler to compare with: {why}"));
                return None;
            }
        }
    }
    daemon.run();
    daemon.wait_running(&["g:a"]);
    Some(daemon)
}

fn the_interface_is_described(subject: Subject) {
    let Some(daemon) = start(subject, "") else { return };
    let mut transcript = Transcript::of(&daemon);
    let mut calls = vec![json!(["system.listMethods", []])];
    for method in ["addProgramToGroup", "getAPIVersion", "getGroupNames", "log", "removeProcessFromGroup", "_update"] {
        calls.push(json!(["system.methodSignature", [format!("twiddler.{method}")]]));
    }
    calls.push(json!(["twiddler.getAPIVersion", []]));
    calls.push(json!(["twiddler.getAPIVersion", [1]]));
    calls.push(json!(["twiddler.getGroupNames", []]));
    calls.push(json!(["twiddler.nothing", []]));
    calls.push(json!(["narrow.getAPIVersion", []]));
    calls.push(json!(["narrow.getGroupNames", []]));
    calls.push(json!(["narrow.addProgramToGroup", ["g", "x", {}]]));
    calls.push(json!(["narrow.removeProcessFromGroup", ["g"]]));
    transcript.rpc(&daemon, json!(calls));
    transcript.log(&daemon, &["RPC interface"]).check("twiddler_interface");
}

fn programs_come_and_go(subject: Subject) {
    const ADD: &str = "twiddler.addProgramToGroup";
    const REMOVE: &str = "twiddler.removeProcessFromGroup";
    let Some(daemon) = start(subject, "") else { return };
    let mut transcript = Transcript::of(&daemon);
    let many = json!({"command": "/bin/cat", "numprocs": "2", "process_name": "n%(process_num)d", "STARTSECS": "0"});
    let told = json!({"command": "/bin/sh -c 'echo %(group_name)s %(program_name)s %(ENV_GALAXY)s x${GALAXY}x; exec cat'",
                      "startsecs": "0", "stdout_logfile": "%(here)s/told.log"});
    transcript.rpc(
        &daemon,
        json!([
            [ADD, ["g", "n", many]],
            [ADD, ["g", "told", told]],
            [ADD, ["g", "later", {"command": "/bin/cat", "autostart": false, "startsecs": 0}]],
            [ADD, ["b", "gone", {"command": "/no/such/file", "autostart": "false"}]],
        ]),
    );
    daemon.wait_running(&["g:n0", "g:n1", "g:told"]);
    daemon.wait_text("told.log", "g told");
    transcript.note(daemon.text("told.log"));
    transcript.rpc(
        &daemon,
        json!([
            ["supervisor.startProcess", ["g:later"]],
            ["supervisor.startProcess", ["b:gone"]],
            [REMOVE, ["g", "n0"]],
            ["supervisor.stopProcess", ["g:n0"]],
            [REMOVE, ["g", "n0"]],
            [REMOVE, ["g", "n0"]],
            [REMOVE, ["b", "b"]],
            [REMOVE, ["b", "gone"]],
            [REMOVE, ["no", "b"]],
            ["twiddler.getGroupNames", []],
            ["supervisor.startProcess", ["b:b"]],
            // The file knows nothing of what was added.
            ["supervisor.reloadConfig", []],
        ]),
    );
    transcript.ctl(&daemon, &["status"]).ctl(&daemon, &["avail"]).ctl(&daemon, &["update"]);
    daemon.wait_running(&["g:a"]);
    transcript.ctl(&daemon, &["status"]).check("twiddler_programs");
}

fn wrong_programs_are_refused(subject: Subject) {
    const ADD: &str = "twiddler.addProgramToGroup";
    let Some(daemon) = start(subject, "") else { return };
    let mut transcript = Transcript::of(&daemon);
    transcript.rpc(
        &daemon,
        json!([
            [ADD, ["no", "x", {}]],
            [ADD, ["", "x", {}]],
            [ADD, [5, "x", {}]],
            [ADD, ["g", "x", {}]],
            [ADD, ["g", "x", []]],
            [ADD, ["g", "x", 5]],
            [ADD, ["g", "x", "ab"]],
            [ADD, ["g", "x:y", {"command": "/bin/true"}]],
            [ADD, ["g", "a", {"command": "/bin/true"}]],
            [ADD, ["g", "x", {"command": "/bin/cat", "startsecs": "zz"}]],
            [ADD, ["g", "x", {"command": "/bin/cat", "umask": 18}]],
            [ADD, ["g", "x", {"command": "/bin/cat", "exitcodes": "x"}]],
            [ADD, ["g", "x", {"command": "/bin/cat", "user": "no-such-user"}]],
            [ADD, ["g", "x", {"command": "/bin/cat", "numprocs": 2}]],
            [ADD, ["g", "x", {"command": "/bin/cat", "environment": "A"}]],
            [ADD, ["g", "x", {"nonsense": "1"}]],
            [ADD, ["g", "x"]],
        ]),
    );
    transcript.ctl(&daemon, &["status"]).check("twiddler_refusals");
}

fn messages_are_logged(subject: Subject) {
    const LOG: &str = "twiddler.log";
    let Some(daemon) = start(subject, "") else { return };
    let mut transcript = Transcript::of(&daemon);
    transcript.rpc(
        &daemon,
        json!([
            [LOG, ["TWIDDLED plain"]],
            [LOG, ["TWIDDLED by name", "warn"]],
            [LOG, ["TWIDDLED by number", 50]],
            [LOG, ["TWIDDLED too low", "DEBG"]],
            [LOG, ["TWIDDLED é 100% %s"]],
            [LOG, ["TWIDDLED x", "WARNING"]],
            [LOG, ["TWIDDLED x", "30"]],
            [LOG, ["TWIDDLED x", 31]],
            [LOG, ["TWIDDLED x", []]],
            [LOG, []],
            ["narrow.log", ["TWIDDLED narrowly"]],
        ]),
    );
    transcript.log(&daemon, &["TWIDDLED"]).check("twiddler_log");
}

/// The worker of our daemon: the keeper's only child that runs its program.
fn worker(daemon: &Daemon) -> i32 {
    let keeper = daemon.pid();
    let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap_or_default();
    let of_keeper = |pid: &i32| {
        let exe = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        exe(*pid).is_some() && exe(*pid) == exe(keeper)
    };
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(of_keeper).unwrap_or_default()
}

fn added_programs_outlive_the_worker(subject: Subject) {
    let Some(daemon) = start(subject, "") else { return };
    let add = json!([["twiddler.addProgramToGroup", ["g", "n", {"command": "/bin/cat", "startsecs": "0"}]]]);
    assert_eq!(rpc(&daemon, &add), ["true"]);
    daemon.wait_running(&["g:n"]);
    let (pid, old) = (daemon.process_pid("g:n"), worker(&daemon));
    assert!(old > 0);
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    until("a successor that knows the program", || {
        if worker(&daemon) == old { Err("the old worker".to_owned()) } else { daemon.info("g:n", "pid") }
    });
    assert_eq!(daemon.process_pid("g:n"), pid);
    let calls = json!([
        ["twiddler.getGroupNames", []],
        ["supervisor.stopProcess", ["g:n"]],
        ["twiddler.removeProcessFromGroup", ["g", "n"]],
        ["twiddler.addProgramToGroup", ["g", "n", {"command": "/bin/cat", "startsecs": "0"}]],
    ]);
    assert_eq!(rpc(&daemon, &calls), [r#"["b", "g"]"#, "true", "true", "true"]);
    daemon.wait_running(&["g:n"]);
}

fn pools_take_no_programs(subject: Subject) {
    let pool = "[eventlistener:l]\ncommand=/bin/cat\nevents=TICK_60\nautostart=false\n";
    let Some(daemon) = start(subject, pool) else { return };
    let answer = rpc(&daemon, &json!([["twiddler.addProgramToGroup", ["l", "n", {"command": "/bin/cat"}]]]));
    // Until pools are served there is no such group at all.
    assert!(answer[0].contains("FAILED: l is a pool") || answer[0].contains("BAD_NAME: group: l"), "{answer:?}");
}

const PLUGINS: [(&str, &str, &str); 3] = [
    (
        "[rpcinterface:cache]\nsupervisor.rpcinterface_factory = supervisor_cache.rpcinterface:make_cache_rpcinterface\n",
        "supervisor.rpcinterface_factory",
        "database",
    ),
    (
        "[rpcinterface:x]\nsupervisor.rpcinterface_factory = mr.laforge.rpcinterface:make_laforge_rpcinterface\nkey = x\n",
        "supervisor.rpcinterface_factory",
        "galaxyctl signal",
    ),
    (
        "[eventlistener:l]\ncommand=/bin/cat\nevents=EVENT\nautostart=false\nresult_handler=my.handlers:handle\n",
        "result_handler",
        "--ignore-plugins",
    ),
];

fn plug_ins_are_refused_with_what_replaces_them(subject: Subject) {
    for (section, key, instead) in PLUGINS {
        let daemon = Daemon::folder(subject, section);
        let refusal = daemon.refusal(&daemon.path("supervisord.conf")).unwrap();
        assert_eq!(refusal.code, Some(2), "{refusal:?}");
        let header = section.lines().next().unwrap();
        let place = format!("{}:", daemon.path("supervisord.conf").display());
        for part in [place.as_str(), header, key, instead, "cannot be resolved within"] {
            assert!(refusal.stderr.contains(part), "{part}: {refusal:?}");
        }
    }
    let client = "[ctlplugin:wildcards]\n\
                  supervisor.ctl_factory = supervisorwildcards.controllerplugin:make_wildcards_controllerplugin\n";
    let daemon = Daemon::start(subject, client);
    let outcome = daemon.ctl(&["status"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(
        outcome.stderr.contains("takes patterns") && outcome.stderr.contains("[ctlplugin:wildcards]"),
        "{outcome:?}"
    );
    let outcome = daemon.ctl(&["--ignore-plugins", "pid"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stderr.matches("is ignored").count(), 1, "{outcome:?}");
    let mut galaxyctl = daemon.command(Path::new(env!("CARGO_BIN_EXE_galaxyctl")));
    let output = galaxyctl.args(["-c", "supervisord.conf", "--ignore-plugins", "pid"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr).matches("is ignored").count(), 1, "{output:?}");
}

fn plug_ins_are_ignored_when_told_to(subject: Subject) {
    let sections: String = PLUGINS.iter().map(|(section, _, _)| *section).collect();
    let sections = format!("{sections}[program:p]\ncommand=/bin/cat\nstartsecs=0\n");
    let mut daemon = Daemon::folder(subject, &sections).arguments(&["--ignore-plugins"]);
    daemon.run();
    daemon.wait_running(&["p"]);
    let warnings = daemon.log_lines(&["is ignored, as --ignore-plugins says"]);
    assert_eq!(warnings.len(), PLUGINS.len(), "{warnings:?}");
    // The option holds for as long as the daemon does: reread, another worker, reload.
    assert_eq!(daemon.ctl(&["reread"]).stdout, "No config updates to processes\n");
    let old = worker(&daemon);
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    until("a successor", || {
        if worker(&daemon) == old { Err("the old worker".to_owned()) } else { daemon.info("p", "pid") }
    });
    assert_eq!(daemon.ctl(&["reread"]).stdout, "No config updates to processes\n");
    daemon.signal(Signal::SIGHUP);
    until("a fresh start", || {
        let count = daemon.log_lines(&["supervisord started with pid"]).len();
        if count == 2 { Ok(()) } else { Err(count.to_string()) }
    });
    daemon.wait_ready();
    daemon.wait_running(&["p"]);
}
