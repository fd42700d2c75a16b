//! Every method of the RPC interface, called through Supervisor's own Python transport.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;

daemons![
    the_methods_are_listed_with_their_signatures,
    the_daemon_describes_itself,
    process_information_is_complete,
    configuration_information_is_complete,
    start_and_stop_answer_for_one_and_for_many,
    starting_without_waiting_answers_at_once,
    logs_are_read_by_offset_and_length,
    logs_are_tailed_by_offset,
    the_activity_log_is_read_and_cleared,
    logs_are_cleared,
    groups_are_added_and_removed,
    reload_config_tells_three_lists,
    multicall_answers_call_by_call,
];

const SECTIONS: &str = "\
[program:web]
command = /bin/cat
startsecs = 0
[program:handler]
command = /bin/cat
process_name = handler%(process_num)s
numprocs = 2
startsecs = 0
[group:galaxy]
programs = web, handler
priority = 5
[program:idle]
command = /bin/cat
autostart = false
startsecs = 0
[program:gone]
command = /nonexistent
startretries = 0
";

fn daemon(subject: Subject) -> Daemon {
    let daemon = Daemon::start(subject, SECTIONS);
    daemon.wait_running(&["galaxy:web", "galaxy:handler0", "galaxy:handler1"]);
    daemon.wait_state("gone", "FATAL");
    daemon
}

fn the_methods_are_listed_with_their_signatures(subject: Subject) {
    let daemon = Daemon::start(subject, "");
    let listed = crate::transcript::rpc(&daemon, &json!([["system.listMethods", []]]));
    let names: Vec<String> = serde_json::from_str(&listed[0]).unwrap();
    let calls: Vec<_> = names.iter().map(|name| json!(["system.methodSignature", [name]])).collect();
    let mut transcript = Transcript::of(&daemon);
    transcript.note(names.join("\n")).rpc(&daemon, json!(calls)).check("rpc_methods");
    let helps: Vec<_> = names.iter().map(|name| json!(["system.methodHelp", [name]])).collect();
    for (name, help) in names.iter().zip(crate::transcript::rpc(&daemon, &json!(helps))) {
        assert!(help.len() > 10, "{name}: {help}");
    }
}

fn the_daemon_describes_itself(subject: Subject) {
    let daemon = Daemon::start_with(subject, "identifier=galaxy-host", "", "");
    Transcript::of(&daemon)
        .rpc(
            &daemon,
            json!([
                ["supervisor.getAPIVersion", []],
                ["supervisor.getVersion", []],
                ["supervisor.getSupervisorVersion", []],
                ["supervisor.getIdentification", []],
                ["supervisor.getState", []],
                ["supervisor.getAllProcessInfo", []],
                ["supervisor.getAllConfigInfo", []],
                ["supervisor.startAllProcesses", []],
                ["supervisor.stopAllProcesses", []],
                ["supervisor.clearAllProcessLogs", []],
                ["supervisor.sendRemoteCommEvent", ["type", "data"]],
            ]),
        )
        .check("rpc_daemon");
    let pid = crate::transcript::rpc(&daemon, &json!([["supervisor.getPID", []]]));
    assert_eq!(pid[0], daemon.pid().to_string());
}

fn process_information_is_complete(subject: Subject) {
    let daemon = daemon(subject);
    Transcript::of(&daemon)
        .rpc(
            &daemon,
            json!([
                ["supervisor.getAllProcessInfo", []],
                ["supervisor.getProcessInfo", ["galaxy:web"]],
                ["supervisor.getProcessInfo", ["idle"]],
                ["supervisor.getProcessInfo", ["idle:idle"]],
                ["supervisor.getProcessInfo", ["web"]],
                ["supervisor.getProcessInfo", ["galaxy:*"]],
                ["supervisor.getProcessInfo", ["galaxy:"]],
                ["supervisor.getProcessInfo", [""]],
            ]),
        )
        .check("rpc_process_info");
}

fn configuration_information_is_complete(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:plain]\ncommand=/bin/cat\nautostart=false\n\
         [program:full]\ncommand=/bin/cat %(program_name)s\nautostart=false\ndirectory=/\npriority=3\nstartsecs=4\nstartretries=5\n\
         exitcodes=1,2\nstopsignal=INT\nstopwaitsecs=6\nkillasgroup=true\nredirect_stderr=true\nstdout_logfile=%(here)s/x.log\n\
         stdout_logfile_maxbytes=1KB\nstdout_logfile_backups=7\nstdout_capture_maxbytes=2MB\nstdout_events_enabled=true\nstdout_syslog=true\n\
         serverurl=http://x:1\nuser=0\n\
         [program:none]\ncommand=/bin/cat\nautostart=false\nstdout_logfile=NONE\nstderr_logfile=NONE\nserverurl=AUTO\n",
    );
    Transcript::of(&daemon).rpc(&daemon, json!([["supervisor.getAllConfigInfo", []]])).check("rpc_config_info");
}

fn start_and_stop_answer_for_one_and_for_many(subject: Subject) {
    let daemon = daemon(subject);
    Transcript::of(&daemon)
        .rpc(
            &daemon,
            json!([
                ["supervisor.startProcess", ["idle"]],
                ["supervisor.startProcess", ["idle"]],
                ["supervisor.stopProcess", ["idle"]],
                ["supervisor.stopProcess", ["idle"]],
                ["supervisor.startProcess", ["nobody"]],
                ["supervisor.stopProcess", ["galaxy:nobody"]],
                ["supervisor.startProcess", ["gone"]],
                ["supervisor.stopProcess", ["gone"]],
                ["supervisor.startProcessGroup", ["nobody"]],
                ["supervisor.stopProcessGroup", ["nobody"]],
                ["supervisor.startProcessGroup", ["galaxy"]],
                ["supervisor.startProcess", ["galaxy:*"]],
                ["supervisor.signalProcess", ["galaxy:web", "CONT"]],
                ["supervisor.signalProcess", ["galaxy:web", 18]],
                ["supervisor.signalProcess", ["galaxy:web", "NONSENSE"]],
                ["supervisor.signalProcess", ["idle", "CONT"]],
                ["supervisor.signalProcess", ["idle", "NONSENSE"]],
                ["supervisor.signalProcessGroup", ["galaxy", "CONT"]],
                ["supervisor.signalProcessGroup", ["galaxy", "NONSENSE"]],
                ["supervisor.signalProcessGroup", ["nobody", "CONT"]],
                ["supervisor.signalProcess", ["galaxy:", "0"]],
                ["supervisor.signalAllProcesses", ["CONT"]],
                ["supervisor.stopProcess", ["galaxy:web", true]],
                ["supervisor.stopProcess", ["galaxy:*", false]],
            ]),
        )
        .check("rpc_start_stop");
}

fn starting_without_waiting_answers_at_once(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:slow]\ncommand=/bin/cat\nstartsecs=1000\nautostart=false\n\
        [program:deaf]\ncommand=/bin/sh -c 'trap \"\" TERM; echo up; while :; do read x; done'\nstartsecs=0\nstopwaitsecs=1000\nstdout_logfile=%(here)s/deaf.out\n",
    );
    daemon.wait_text("deaf.out", "up");
    Transcript::of(&daemon)
        .rpc(
            &daemon,
            json!([
                ["supervisor.startProcess", ["slow", false]],
                ["supervisor.getProcessInfo", ["slow"]],
                ["supervisor.startProcess", ["slow", false]],
                ["supervisor.stopProcess", ["slow", false]],
                ["supervisor.stopProcess", ["deaf", false]],
                ["supervisor.getProcessInfo", ["deaf"]],
                ["supervisor.stopProcess", ["deaf", false]],
                ["supervisor.startProcess", ["deaf", false]],
                ["supervisor.signalProcess", ["deaf", "KILL"]],
            ]),
        )
        .check("rpc_no_wait");
    daemon.wait_state("deaf", "STOPPED");
}

/// A program that has written nine bytes to stdout and six to stderr.
fn written(subject: Subject) -> Daemon {
    let daemon = Daemon::start(
        subject,
        "[program:w]\ncommand=/bin/sh -c 'printf 123456789; printf abcdef >&2; exec cat'\nstartsecs=0\nstdout_logfile=%(here)s/w.out\nstderr_logfile=%(here)s/w.err\n\
         [program:none]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=NONE\nredirect_stderr=true\n[program:idle]\ncommand=/bin/cat\nautostart=false\n",
    );
    daemon.wait_text("w.out", "123456789");
    daemon.wait_text("w.err", "abcdef");
    daemon.wait_running(&["none"]);
    daemon
}

fn logs_are_read_by_offset_and_length(subject: Subject) {
    let daemon = written(subject);
    let mut calls = Vec::new();
    for (offset, length) in
        [(0, 0), (0, 4), (4, 0), (4, 3), (4, 100), (9, 3), (100, 1), (-3, 0), (-100, 0), (-3, 1), (0, -1), (4, -1)]
    {
        calls.push(json!(["supervisor.readProcessStdoutLog", ["w", offset, length]]));
    }
    calls.extend([
        json!(["supervisor.readProcessStderrLog", ["w", 0, 0]]),
        json!(["supervisor.readProcessLog", ["w", 0, 0]]),
        json!(["supervisor.readProcessStdoutLog", ["none", 0, 0]]),
        json!(["supervisor.readProcessStderrLog", ["none", 0, 0]]),
        json!(["supervisor.readProcessStdoutLog", ["nobody", 0, 0]]),
        json!(["supervisor.readProcessStdoutLog", ["idle", 0, 0]]),
        json!(["supervisor.readProcessStdoutLog", ["w", "2", "3"]]),
    ]);
    Transcript::of(&daemon).rpc(&daemon, json!(calls)).check("rpc_read_logs");
}

fn logs_are_tailed_by_offset(subject: Subject) {
    let daemon = written(subject);
    let mut calls = Vec::new();
    for (offset, length) in [(0, 4), (0, 100), (9, 3), (5, 0), (0, 9), (3, 3), (8, 5), (20, 5), (0, -5), (-3, 3)] {
        calls.push(json!(["supervisor.tailProcessStdoutLog", ["w", offset, length]]));
    }
    calls.extend([
        json!(["supervisor.tailProcessStderrLog", ["w", 0, 100]]),
        json!(["supervisor.tailProcessLog", ["w", 0, 100]]),
        json!(["supervisor.tailProcessStdoutLog", ["none", 0, 100]]),
        json!(["supervisor.tailProcessStderrLog", ["none", 0, 100]]),
        json!(["supervisor.tailProcessStdoutLog", ["nobody", 0, 100]]),
    ]);
    Transcript::of(&daemon).rpc(&daemon, json!(calls)).check("rpc_tail_logs");
}

fn the_activity_log_is_read_and_cleared(subject: Subject) {
    let daemon = Daemon::start(subject, "");
    daemon.wait_text("main.log", "supervisord started");
    std::fs::write(daemon.path("main.log"), "0123456789\n").unwrap();
    let mut transcript = Transcript::of(&daemon);
    transcript.rpc(
        &daemon,
        json!([
            ["supervisor.readLog", [0, 0]],
            ["supervisor.readLog", [-4, 0]],
            ["supervisor.readMainLog", [2, 3]],
            ["supervisor.readLog", [-4, 4]],
            ["supervisor.readLog", [0, -1]],
            ["supervisor.clearLog", []],
        ]),
    );
    crate::wait::until_true("the new file", || daemon.path("main.log").exists());
    assert!(!daemon.text("main.log").contains("0123456789"));
    std::fs::remove_file(daemon.path("main.log")).unwrap();
    transcript.rpc(&daemon, json!([["supervisor.readLog", [0, 0]], ["supervisor.clearLog", []]])).check("rpc_main_log");
}

fn logs_are_cleared(subject: Subject) {
    let daemon = written(subject);
    let mut transcript = Transcript::of(&daemon);
    transcript.rpc(
        &daemon,
        json!([
            ["supervisor.clearProcessLogs", ["w"]],
            ["supervisor.readProcessStdoutLog", ["w", 0, 0]],
            ["supervisor.readProcessStderrLog", ["w", 0, 0]],
            ["supervisor.clearProcessLog", ["w"]],
            ["supervisor.clearProcessLogs", ["nobody"]],
            ["supervisor.clearProcessLogs", ["none"]],
            ["supervisor.sendProcessStdin", ["w", "after"]],
        ]),
    );
    daemon.wait_text("w.out", "after");
    transcript.note(daemon.text("w.out"));
    transcript.rpc(&daemon, json!([["supervisor.clearAllProcessLogs", []]])).check("rpc_clear_logs");
    assert_eq!(std::fs::metadata(daemon.path("w.out")).unwrap().permissions().mode() & 0o777, 0o644);
}

fn groups_are_added_and_removed(subject: Subject) {
    let daemon = daemon(subject);
    let mut transcript = Transcript::of(&daemon);
    transcript.rpc(
        &daemon,
        json!([
            ["supervisor.addProcessGroup", ["galaxy"]],
            ["supervisor.addProcessGroup", ["nobody"]],
            ["supervisor.removeProcessGroup", ["galaxy"]],
            ["supervisor.removeProcessGroup", ["nobody"]],
            ["supervisor.removeProcessGroup", ["gone"]],
            ["supervisor.removeProcessGroup", ["idle"]],
            ["supervisor.getProcessInfo", ["idle"]],
            ["supervisor.addProcessGroup", ["idle"]],
            ["supervisor.getProcessInfo", ["idle"]],
            ["supervisor.stopProcessGroup", ["galaxy"]],
            ["supervisor.removeProcessGroup", ["galaxy"]],
            ["supervisor.getProcessInfo", ["galaxy:web"]],
        ]),
    );
    transcript.check("rpc_groups");
}

fn reload_config_tells_three_lists(subject: Subject) {
    let daemon = daemon(subject);
    daemon.rewrite(&SECTIONS.replace("priority = 5", "priority = 6").replace("program:gone", "program:new"));
    Transcript::of(&daemon)
        .rpc(
            &daemon,
            json!([
                ["supervisor.reloadConfig", []],
                ["supervisor.reloadConfig", []],
                ["supervisor.addProcessGroup", ["new"]]
            ]),
        )
        .check("rpc_reload_config");
}

fn multicall_answers_call_by_call(subject: Subject) {
    let daemon = daemon(subject);
    let call = |name: &str, params: serde_json::Value| json!({"methodName": name, "params": params});
    Transcript::of(&daemon)
        .rpc(
            &daemon,
            json!([
                ["system.multicall", [[
                    call("supervisor.getState", json!([])),
                    call("supervisor.stopProcess", json!(["galaxy:web"])),
                    call("supervisor.startProcess", json!(["galaxy:web"])),
                    call("supervisor.startProcess", json!(["nobody"])),
                    call("nonsense", json!([])),
                    call("supervisor.getState", json!([1])),
                    call("system.multicall", json!([[]])),
                    {"params": []},
                    {"methodName": "supervisor.getAPIVersion"},
                ]]],
                ["system.multicall", [[]]],
                ["system.multicall", []],
            ]),
        )
        .check("rpc_multicall");
}
