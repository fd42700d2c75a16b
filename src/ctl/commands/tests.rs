//! The commands against a scripted daemon: Supervisor's lines and exit codes, row by row of its table.

use crate::ctl::answer::ProcessInfo;
use crate::ctl::daemon::CallError;
use crate::ctl::fake::{Shown, Stage, fault, process, result, values_of};
use crate::rpc::Value;

fn galaxy() -> Vec<ProcessInfo> {
    ["handler0", "handler1", "web"].map(|name| process("galaxy", name, "RUNNING")).to_vec()
}

fn check(shown: &Shown, out: &str, exit: u8) {
    assert_eq!((shown.out.as_str(), shown.exit), (out, exit), "{shown:?}");
    assert!(shown.unused.is_empty(), "{shown:?}");
}

/// Only the first line of a usage error is Supervisor's.
fn check_first(line: &str, out: &str, exit: u8) {
    let shown = Stage::supervisorctl().run(line);
    assert_eq!((shown.out.lines().next().unwrap_or_default(), shown.exit), (out, exit), "{line}");
    assert!(shown.out.lines().count() > 1, "{line}");
}

#[test]
fn what_is_wanted_is_said_where_it_is_missing() {
    check_first("start", "Error: start requires a process name", 2);
    check_first("stop", "Error: stop requires a process name", 1);
    check_first("restart", "Error: restart requires a process name", 1);
    check_first("signal HUP", "Error: signal requires a signal name and a process name", 1);
    check_first("clear", "Error: clear requires a process name", 1);
    check_first("tail", "Error: too few arguments", 1);
    check_first("tail a b c d", "Error: too many arguments", 1);
    check_first("maintail a b", "Error: too many arguments", 1);
    check_first("fg", "ERROR: no process name supplied", 1);
    for command in ["reread", "avail", "shutdown", "reload", "version"] {
        check_first(&format!("{command} x"), &format!("Error: {command} accepts no arguments"), 1);
    }
}

#[test]
fn mistakes_without_help_are_one_line() {
    for (line, out) in [
        ("tail -x web", "Error: bad argument -x"),
        ("tail web Log", "Error: bad channel 'log'"),
        ("tail -f", "Error: tail requires process name"),
        ("maintail x", "Error: bad argument x"),
        ("maintail -x", "Error: bad argument -x"),
        ("fg a b", "ERROR: too many process names supplied"),
        ("open ftp://x", "ERROR: url must be http:// or unix://"),
        ("nonsense", "*** Unknown syntax: nonsense"),
        ("!ls", "*** Unknown syntax: !ls"),
        ("-x", "*** Unknown syntax: -x"),
        ("check", "*** Unknown syntax: check"),
    ] {
        check(&Stage::supervisorctl().run(line), &format!("{out}\n"), 1);
    }
    check(&Stage::supervisorctl().run("   "), "", 0);
    check(&Stage::supervisorctl().run("quit"), "\n", 0);
    check(&Stage::supervisorctl().run("EOF"), "\n", 0);
    check(&Stage::supervisorctl().run("help nonsense"), "*** No help on nonsense\n", 0);
}

#[test]
fn help_lists_the_commands_in_columns() {
    let expected = "
default commands (type help <topic>):
=====================================
add    exit      open  reload  restart   start   tail   
avail  fg        pid   remove  shutdown  status  update 
clear  maintail  quit  reread  signal    stop    version

";
    let shown = Stage::supervisorctl().run("help");
    check(&shown, expected, 0);
    assert_eq!(Stage::supervisorctl().run("?").out, expected);
}

#[test]
fn status_tells_unknown_names_first_and_stopped_ones_by_its_code() {
    let mut known = galaxy();
    known.push(process("cat", "cat", "EXITED"));
    let stage = || Stage::supervisorctl().answer("getAllProcessInfo()", Ok(values_of(&known)));
    let cat = "cat                              EXITED    \n";
    let web = "galaxy:web                       RUNNING   \n";
    check(&stage().run("status galaxy:web"), web, 0);
    check(&stage().run("status cat galaxy:web cat"), &format!("{cat}{web}{cat}"), 3);
    check(&stage().run("status nope galaxy:web"), &format!("nope: ERROR (no such process)\n{web}"), 4);
    check(&stage().run("status nope: cat"), &format!("nope: ERROR (no such group)\n{cat}"), 3);
    assert_eq!(stage().run("status galaxy:*").out.lines().count(), 3);
    assert_eq!(stage().run("status galaxy").out, "galaxy: ERROR (no such process)\n");
    assert_eq!(stage().run("status x all").out.lines().count(), 4);
}

#[test]
fn a_daemon_that_is_not_there_has_its_lines_and_codes() {
    let down = |line: &str, error: CallError| Stage::supervisorctl().answer("getVersion()", Err(error)).run(line);
    let refused = "unix:///run/s.sock refused connection\n";
    check(&down("start x", CallError::Refused), refused, 4);
    check(&down("status", CallError::Refused), refused, 4);
    check(&down("pid", CallError::NoSuchFile), "unix:///run/s.sock no such file\n", 7);
    check(&down("status", CallError::NoSuchFile), "unix:///run/s.sock no such file\n", 4);
    let shown = down("status", fault(6, "SHUTDOWN_STATE"));
    assert!(shown.out.starts_with("error: <class 'xmlrpc.client.Fault'>, <Fault 6: 'SHUTDOWN_STATE'>: file: "));
    assert_eq!(shown.exit, 1);
    let shown = down("pid", fault(1, "UNKNOWN_METHOD"));
    assert!(shown.out.starts_with("Sorry, supervisord responded but did not recognize the supervisor namespace"));
    assert_eq!(shown.exit, 3);
    let shown = down("status", CallError::PermissionDenied);
    assert!(shown.out.starts_with("error: <class 'PermissionError'>, [Errno 13] Permission denied: file: "));
    assert_eq!(shown.exit, 1);
    let shown = Stage::supervisorctl().answer("getVersion()", Ok("2.0".into())).run("version");
    let version = "Sorry, this version of supervisorctl expects to talk to a server with API version 3.0, but the remote \
                   version is 2.0.\n";
    check(&shown, version, 5);
    let shown = Stage::supervisorctl().answer("shutdown()", Err(CallError::Refused)).run("shutdown");
    check(&shown, "ERROR: unix:///run/s.sock refused connection (already shut down?)\n", 1);
}

#[test]
fn a_login_is_asked_for_only_of_a_person() {
    let shown = Stage::supervisorctl().answer("getVersion()", Err(CallError::Unauthorized)).run("status");
    let mut lines = shown.out.lines();
    assert_eq!(lines.next(), Some("Server requires authentication"));
    assert!(lines.next().is_some_and(|line| line.starts_with("error: ") && line.contains("401 Unauthorized")));
    assert_eq!(shown.exit, 1);
    let shown = Stage::supervisorctl()
        .interactive()
        .answer("getVersion()", Err(CallError::Unauthorized))
        .typed("me")
        .typed("secret")
        .answer("getPID()", Ok(7.into()))
        .run("pid");
    check(&shown, "Server requires authentication\nUsername:Password:\n7\n", 0);
    let shown = Stage::supervisorctl().interactive().answer("getVersion()", Err(CallError::Unauthorized)).run("pid");
    assert!(shown.out.contains("error: <class 'EOFError'>"), "{shown:?}");
}

#[test]
fn start_has_words_and_codes_for_its_faults() {
    for (code, words, exit) in [
        (10, "no such process", 1),
        (20, "no such file", 1),
        (21, "file is not executable", 1),
        (40, "abnormal termination", 7),
        (50, "spawn error", 7),
        (60, "already started", 0),
    ] {
        let shown = Stage::supervisorctl().answer("startProcess('web')", Err(fault(code, "X: web"))).run("start web");
        check(&shown, &format!("web: ERROR ({words})\n"), exit);
    }
    let shown = Stage::supervisorctl().answer("startProcess('g:web')", Err(fault(6, "X"))).run("start g:web");
    assert!(shown.out.starts_with("error: <class 'ValueError'>, Unknown result code 6 for g:web: file: "), "{shown:?}");
    assert_eq!(shown.exit, 1);
    let stage = Stage::supervisorctl().answer("startProcessGroup('g')", Err(fault(10, "BAD_NAME: g")));
    check(&stage.run("start g:*"), "g: ERROR (no such group)\n", 2);
}

#[test]
fn stop_has_words_and_codes_for_its_faults() {
    for (code, line, exit) in
        [(10, "web: ERROR (no such process)", 1), (70, "web: ERROR (not running)", 0), (30, "FAILED: why", 1)]
    {
        let shown =
            Stage::supervisorctl().answer("stopProcess('web')", Err(fault(code, "FAILED: why"))).run("stop web");
        check(&shown, &format!("{line}\n"), exit);
    }
    let stage = Stage::supervisorctl().answer("stopProcessGroup('g')", Err(fault(10, "BAD_NAME: g")));
    check(&stage.run("stop g:"), "g: ERROR (no such group)\n", 1);
}

#[test]
fn signal_passes_the_signal_on_and_minds_processes_that_do_not_run() {
    let stage = Stage::supervisorctl()
        .answer("signalProcess('web', 'HUP')", Ok(Value::Bool(true)))
        .answer("signalProcess('cat', 'HUP')", Err(fault(70, "NOT_RUNNING: cat")));
    check(&stage.run("signal HUP web cat"), "web: signalled\ncat: ERROR (not running)\n", 7);
    let stage = Stage::supervisorctl().answer("signalProcess('web', 'X')", Err(fault(11, "BAD_SIGNAL: X")));
    check(&stage.run("signal X web"), "web: ERROR (bad signal name)\n", 1);
    let all = Value::Array(vec![result("g", "web", 80, "OK")]);
    let stage = Stage::supervisorctl().answer("signalAllProcesses('1')", Ok(all));
    check(&stage.run("signal 1 all"), "g:web: signalled\n", 0);
}

#[test]
fn restart_galaxy_prints_the_pages_lines_in_the_order_of_the_answers() {
    let results =
        |code| Value::Array(["handler1", "web", "handler0"].map(|name| result("galaxy", name, code, "OK")).to_vec());
    let stage = Stage::galaxyctl()
        .answer("stopProcessGroup('galaxy')", Ok(results(80)))
        .answer("startProcessGroup('galaxy')", Ok(results(80)));
    let expected = "galaxy:handler1: stopped\ngalaxy:web: stopped\ngalaxy:handler0: stopped\n\
                    galaxy:handler1: started\ngalaxy:web: started\ngalaxy:handler0: started\n";
    check(&stage.run("restart galaxy:"), expected, 0);
}

#[test]
fn clear_shows_pythons_none_for_a_group() {
    let stage = Stage::supervisorctl().answer("clearProcessLogs('g:*')", Err(fault(10, "BAD_NAME: g:*")));
    check(&stage.run("clear g:*"), "g:None: ERROR (no such process)\n", 1);
    let stage = Stage::supervisorctl().answer("clearProcessLogs('a')", Err(fault(30, "FAILED: a")));
    check(&stage.run("clear a"), "a: ERROR (failed)\n", 1);
    let stage =
        Stage::supervisorctl().answer("clearAllProcessLogs()", Ok(Value::Array(vec![result("a", "a", 80, "OK")])));
    check(&stage.run("clear all"), "a: cleared\n", 0);
}

#[test]
fn tail_asks_for_the_last_bytes() {
    let log = |call: &str, line: &str| {
        check(&Stage::supervisorctl().answer(call, Ok("text\n".into())).run(line), "text\n\n", 0);
    };
    log("readProcessStdoutLog('web', -1600, 0)", "tail web");
    log("readProcessStderrLog('web', -1600, 0)", "tail web STDERR");
    log("readProcessStdoutLog('web', -100, 0)", "tail -100 web stdout");
    log("readProcessStdoutLog('web', 0, 0)", "tail -0 web");
    log("readProcessStdoutLog('web', 5, 0)", "tail --5 web");
    log("readLog(-1600, 0)", "maintail");
    log("readLog(-7, 0)", "maintail -7");
    for (code, words) in [(20, "no log file"), (30, "unknown error reading log"), (10, "no such process name")] {
        let stage = Stage::supervisorctl().answer("readProcessStdoutLog('x', -1600, 0)", Err(fault(code, "X")));
        check(&stage.run("tail x"), &format!("x: ERROR ({words})\n"), 1);
    }
    let shown = Stage::supervisorctl().run("tail -99999999999 x");
    assert!(shown.out.starts_with("error: <class 'OverflowError'>, int exceeds XML-RPC limits: file: "), "{shown:?}");
}

#[test]
fn pid_has_seven_for_a_process_that_does_not_run() {
    let mut web = process("galaxy", "web", "RUNNING");
    web.pid = 42;
    let value = crate::ctl::fake::value_of;
    let stage = Stage::supervisorctl()
        .answer("getProcessInfo('galaxy:web')", Ok(value(&web)))
        .answer("getProcessInfo('x')", Err(fault(10, "BAD_NAME: x")))
        .answer("getProcessInfo('cat')", Ok(value(&process("cat", "cat", "STOPPED"))));
    check(&stage.run("pid galaxy:web x cat"), "42\nNo such process x\n0\n", 7);
}

fn changes(added: &[&str], changed: &[&str], removed: &[&str]) -> Value {
    let names = |names: &[&str]| Value::Array(names.iter().map(|name| Value::from(*name)).collect());
    Value::Array(vec![Value::Array(vec![names(added), names(changed), names(removed)])])
}

#[test]
fn reread_lists_changes_by_name() {
    let stage = |value| Stage::supervisorctl().answer("reloadConfig()", value);
    check(&stage(Ok(changes(&[], &[], &[]))).run("reread"), "No config updates to processes\n", 0);
    let value = changes(&["new", "a"], &["m"], &["gone"]);
    check(&stage(Ok(value)).run("reread"), "a: available\ngone: disappeared\nm: changed\nnew: available\n", 0);
    check(&stage(Err(fault(92, "CANT_REREAD: why"))).run("reread"), "ERROR: CANT_REREAD: why\n", 1);
    check(&stage(Err(fault(6, "SHUTDOWN_STATE"))).run("reread"), "ERROR: supervisor shutting down\n", 1);
}

#[test]
fn update_removes_changes_and_adds_in_this_order() {
    let stopped = || Ok(Value::Array(vec![result("gone", "gone", 80, "OK")]));
    let done = || Ok(Value::Bool(true));
    let stage = Stage::supervisorctl()
        .answer("reloadConfig()", Ok(changes(&["new"], &["m"], &["gone"])))
        .answer("stopProcessGroup('gone')", stopped())
        .answer("removeProcessGroup('gone')", done())
        .answer("stopProcessGroup('m')", stopped())
        .answer("removeProcessGroup('m')", done())
        .answer("addProcessGroup('m')", done())
        .answer("addProcessGroup('new')", done());
    let expected =
        "gone: stopped\ngone: removed process group\nm: stopped\nm: updated process group\nnew: added process group\n";
    check(&stage.run("update"), expected, 0);
}

#[test]
fn update_of_named_groups_minds_names_and_failures() {
    let failed = Value::Array(vec![result("gone", "gone", 30, "FAILED")]);
    let stage = Stage::supervisorctl()
        .answer("reloadConfig()", Ok(changes(&["new"], &[], &["gone"])))
        .answer("getAllProcessInfo()", Ok(values_of(&[process("gone", "gone", "RUNNING")])))
        .answer("stopProcessGroup('gone')", Ok(failed));
    let expected = "ERROR: no such group: x\ngone: stopped\ngone: has problems; not removing\n";
    check(&stage.run("update x gone"), expected, 1);
    let shown = Stage::supervisorctl().answer("reloadConfig()", Err(fault(92, "CANT_REREAD: it's"))).run("update");
    let expected = "error: <class 'xmlrpc.client.Fault'>, <Fault 92: \"CANT_REREAD: it's\">: file: ";
    assert!(shown.out.starts_with(expected) && shown.exit == 1, "{shown:?}");
}

/// What an update does to `galaxy`, whose `web` cannot be stopped.
fn an_update() -> Value {
    let key = |name: &str, consequence: &str| {
        Value::object([("key", name.into()), ("old", "1".into()), ("consequence", consequence.into())])
    };
    let one = |name: &str, consequence: &str, keys: Vec<Value>, status: i64, description: &str| {
        Value::object([
            ("name", name.into()),
            ("group", "galaxy".into()),
            ("consequence", consequence.into()),
            ("keys", Value::Array(keys)),
            ("status", status.into()),
            ("description", description.into()),
        ])
    };
    let processes = vec![
        one("handler0", "live", vec![key("stopwaitsecs", "live")], 80, "OK"),
        one("web", "restart", vec![key("environment.A", "restart")], 30, "FAILED: no"),
    ];
    let group = |name: &str, change: &str, processes: Vec<Value>| {
        Value::object([
            ("group", name.into()),
            ("change", change.into()),
            ("keys", Value::Array(Vec::new())),
            ("processes", Value::Array(processes)),
        ])
    };
    let groups = vec![group("gone", "removed", Vec::new()), group("galaxy", "changed", processes)];
    Value::object([("groups", Value::Array(groups))])
}

#[test]
fn update_by_process_has_a_line_for_each_and_a_document() {
    let done = "galaxyd.update(Array([]), Bool(false), Bool(false))";
    let planned = "galaxyd.planUpdate(Array([]), Bool(false))";
    check(
        &Stage::galaxyctl().answer(done, Ok(an_update())).run("update"),
        "gone: stopped\ngone: removed process group\n\
         galaxy:handler0: changed without a restart (stopwaitsecs)\n\
         galaxy:web: ERROR (FAILED: no)\ngalaxy: updated process group\n",
        1,
    );
    let document = |words: &str, call: &str, answer| -> serde_json::Value {
        let shown = Stage::json().answer(call, answer).run(words);
        serde_json::from_str(&shown.out).unwrap_or_else(|error| panic!("{error}: {shown:?}"))
    };
    let told = document("update", done, Ok(an_update()));
    assert_eq!((&told["dry_run"], &told["exit_code"]), (&false.into(), &1.into()));
    assert_eq!((&told["changes"][0]["group"], &told["changes"][0]["change"]), (&"gone".into(), &"removed".into()));
    let [handler, web] = told["changes"][1]["processes"].as_array().unwrap().as_slice() else { panic!("{told:#}") };
    assert_eq!((&handler["name"], &handler["error"]), (&"galaxy:handler0".into(), &serde_json::Value::Null));
    assert_eq!(handler["keys"][0]["consequence"], "live");
    assert_eq!((&web["error"], &web["code"]), (&"FAILED: no".into(), &30.into()));
    assert_eq!((&web["keys"][0]["old"], &web["keys"][0]["new"]), (&"1".into(), &serde_json::Value::Null));
    let told = document("update --dry-run", planned, Ok(an_update()));
    assert_eq!((&told["command"], &told["dry_run"]), (&"update".into(), &true.into()));
    let told = document("update", done, Err(fault(30, "FAILED: Could not create FastCGI socket")));
    assert_eq!((told["changes"].as_array().map(Vec::len), &told["exit_code"]), (Some(0), &1.into()));
    assert!(told["errors"][0]["message"].as_str().unwrap().contains("FastCGI"), "{told:#}");
}

#[test]
fn add_and_remove_have_their_lines() {
    let add = |code| Stage::supervisorctl().answer("addProcessGroup('g')", Err(fault(code, "X"))).run("add g");
    check(&add(90), "ERROR: process group already active\n", 0);
    check(&add(10), "ERROR: no such process/group: g\n", 1);
    check(&add(6), "ERROR: shutting down\n", 1);
    let remove = |code| Stage::supervisorctl().answer("removeProcessGroup('g')", Err(fault(code, "X"))).run("remove g");
    check(&remove(91), "ERROR: process/group still running: g\n", 1);
    check(&remove(10), "ERROR: no such process/group: g\n", 1);
    check(&Stage::supervisorctl().run("add"), "", 0);
}

#[test]
fn shutdown_and_reload_ask_first_in_an_interactive_session() {
    let stage = Stage::supervisorctl().interactive().typed("no");
    check(&stage.run("shutdown"), "Really shut the remote supervisord process down y/N? ", 0);
    let stage = Stage::supervisorctl().interactive().typed("Yes").answer("restart()", Ok(Value::Bool(true)));
    check(&stage.run("reload"), "Really restart the remote supervisord process y/N? Restarted supervisord\n", 0);
    let stage = Stage::supervisorctl().answer("shutdown()", Ok(Value::Bool(true)));
    check(&stage.run("shutdown"), "Shut down\n", 0);
    let stage = Stage::supervisorctl().answer("shutdown()", Err(fault(6, "SHUTDOWN_STATE")));
    check(&stage.run("shutdown"), "ERROR: already shutting down\n", 0);
    let stage = Stage::supervisorctl().answer("restart()", Err(fault(6, "SHUTDOWN_STATE")));
    check(&stage.run("reload"), "ERROR: already shutting down\n", 1);
}

#[test]
fn open_shows_the_other_daemon_and_keeps_the_exit_code() {
    let stage = Stage::supervisorctl().answer("getVersion()", Err(CallError::Refused));
    check(&stage.run("open http://localhost:1"), "http://localhost:1 refused connection\n", 0);
}

#[test]
fn galaxyctl_takes_a_bare_group_and_patterns() {
    let done = || Ok(Value::Bool(true));
    let stage = Stage::galaxyctl()
        .answer("getAllProcessInfo()", Ok(values_of(&galaxy())))
        .answer("startProcess('galaxy:handler0')", done())
        .answer("startProcess('galaxy:handler1')", done());
    check(&stage.run("start galaxy:handler*"), "galaxy:handler0: started\ngalaxy:handler1: started\n", 0);
    let stage = Stage::galaxyctl()
        .answer("getAllProcessInfo()", Ok(values_of(&galaxy())))
        .answer("stopProcessGroup('galaxy')", Ok(Value::Array(vec![result("galaxy", "web", 80, "OK")])));
    check(&stage.run("stop galaxy"), "galaxy:web: stopped\n", 0);
    let stage = Stage::galaxyctl().answer("getAllProcessInfo()", Ok(values_of(&galaxy())));
    assert_eq!(stage.run("status galaxy").out.lines().count(), 3);
    let stage = Stage::galaxyctl().answer("getAllProcessInfo()", Ok(values_of(&galaxy())));
    assert_eq!(stage.run("status galaxy:handler?").out.lines().count(), 2);
}

#[test]
fn galaxyctl_suggests_on_standard_error_and_keeps_the_line() {
    let stage = Stage::galaxyctl().answer("getAllProcessInfo()", Ok(values_of(&galaxy())));
    let shown = stage.run("status galaxy:wbe");
    check(&shown, "galaxy:wbe: ERROR (no such process)\n", 4);
    assert_eq!(shown.err, "galaxyctl: did you mean galaxy:web?\n");
    let shown = Stage::galaxyctl().run("statsu");
    check(&shown, "*** Unknown syntax: statsu\n", 1);
    assert_eq!(shown.err, "galaxyctl: there is a command `status`\n");
    let stage = Stage::supervisorctl().answer("getAllProcessInfo()", Ok(values_of(&galaxy())));
    assert_eq!(stage.run("status galaxy:wbe").err, "");
}

#[test]
fn galaxyctl_explains_a_daemon_that_is_not_there() {
    let shown = Stage::galaxyctl().answer("getVersion()", Err(CallError::NoSuchFile)).run("status");
    check(&shown, "unix:///run/s.sock no such file\n", 4);
    for part in ["cannot reach the daemon", "  socket: ", "  daemon: ", "  address: from the command line"] {
        assert!(shown.err.contains(part), "{part}: {}", shown.err);
    }
}

#[test]
fn json_is_one_document_with_the_exit_code() {
    let stage = Stage::json()
        .answer("getAllProcessInfo()", Ok(values_of(&galaxy())))
        .answer("galaxyd.explainAllProcesses()", Err(fault(1, "UNKNOWN_METHOD")));
    let shown = stage.run("status galaxy:web nothing");
    let document: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(document["processes"][0]["name"], "galaxy:web");
    assert_eq!(document["errors"][0]["name"], "nothing");
    assert_eq!((document["exit_code"].as_u64(), shown.exit), (Some(4), 4));
    let stage = Stage::galaxyctl().answer("startProcess('galaxy:web')", Ok(Value::Bool(true)));
    let shown = stage.run("start galaxy:web --json");
    let document: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(document["results"][0]["status"], "started");
}

/// What galaxyd tells of `galaxy:web`.
fn explanation() -> Value {
    let survivor = Value::object([("pid", 77.into()), ("command", "sleep 9".into())]);
    Value::Array(vec![Value::object([
        ("name", "web".into()),
        ("group", "galaxy".into()),
        ("statename", "FATAL".into()),
        ("reason", "ended too quickly".into()),
        ("hindrances", Value::Array(vec!["it was stopped by a signal".into()])),
        ("last_words", Value::Array(vec!["ValueError".into()])),
        ("left_behind", Value::Array(vec![survivor])),
    ])])
}

/// The same, as a newer daemon tells it.
fn waiting() -> Value {
    Value::Array(vec![Value::object([
        ("name", "web".into()),
        ("group", "galaxy".into()),
        ("statename", "BACKOFF".into()),
        ("reason", "ended too quickly".into()),
        ("hindrances", Value::Array(Vec::new())),
        ("last_words", Value::Array(Vec::new())),
        ("left_behind", Value::Array(Vec::new())),
        ("awaits", "its next start".into()),
        ("until", 99.into()),
        ("next", "galaxyctl tail galaxy:web".into()),
    ])])
}

#[test]
fn status_tells_what_is_the_matter_with_the_daemon() {
    let stage = |stage: Stage| {
        stage
            .answer("getAllProcessInfo()", Ok(values_of(&galaxy())))
            .answer("galaxyd.explainAllProcesses()", Err(fault(1, "UNKNOWN_METHOD")))
            .answer("galaxyd.getNotices()", Ok(Value::Array(vec!["running without persistence".into()])))
    };
    let shown = stage(Stage::galaxyctl()).run("status");
    assert_eq!(shown.err, "galaxyctl: the daemon is running without persistence\n");
    let document: serde_json::Value = serde_json::from_str(&stage(Stage::json()).run("status").out).unwrap();
    assert_eq!(document["notices"][0], "running without persistence");
}

#[test]
fn why_tells_reasons_last_words_and_who_was_left_behind() {
    let stage = Stage::galaxyctl().answer("galaxyd.explainAllProcesses()", Ok(explanation()));
    let lines = "galaxy:web (FATAL): ended too quickly; it was stopped by a signal\n    log: ValueError\n    left behind: 77 sleep 9\n";
    check(&stage.run("why"), lines, 0);
    let told =
        || Ok(Value::Array(vec![entry(7, 3, "BACKOFF: exit status 1"), entry(8, 1, "RUNNING"), entry(9, 1, "FATAL")]));
    let stage = Stage::galaxyctl()
        .answer("galaxyd.explainAllProcesses()", Ok(explanation()))
        .answer("galaxyd.getHistory(Array([String(\"galaxy:web\")]), 0, 50)", told());
    let shown = stage.run("why galaxy:web").out;
    let chain: Vec<&str> = shown.lines().filter(|line| line.starts_with("    before: ")).collect();
    assert!(chain.len() == 2 && chain[0].contains("BACKOFF: exit status 1 (3 times since "), "{shown}");
    let stage = Stage::json()
        .answer("galaxyd.explainAllProcesses()", Ok(waiting()))
        .answer("galaxyd.getHistory(Array([String(\"galaxy:web\")]), 0, 50)", told());
    let document: serde_json::Value = serde_json::from_str(&stage.run("why galaxy:web").out).unwrap();
    let web = &document["processes"][0];
    assert_eq!((web["awaits"].as_str(), web["until"].as_i64()), (Some("its next start"), Some(99)));
    assert_eq!(
        (web["next"].as_str(), web["history"][1]["text"].as_str()),
        (Some("galaxyctl tail galaxy:web"), Some("FATAL"))
    );
    let shown = Stage::galaxyctl().answer("galaxyd.explainAllProcesses()", Ok(waiting())).run("why").out;
    assert!(
        shown.contains("waits for: its next start, until ") && shown.ends_with("next: galaxyctl tail galaxy:web\n"),
        "{shown}"
    );
    let stage = Stage::galaxyctl()
        .answer("galaxyd.explainAllProcesses()", Ok(explanation()))
        .answer("getAllProcessInfo()", Ok(values_of(&galaxy())));
    check(&stage.run("why galaxy:nobody"), "No such process galaxy:nobody\n", 1);
    let stage = Stage::galaxyctl().answer("galaxyd.explainAllProcesses()", Err(fault(1, "UNKNOWN_METHOD")));
    let shown = stage.run("why");
    assert!(shown.out.contains("no galaxyd") && shown.exit == 1, "{shown:?}");
}

#[test]
fn status_in_json_tells_why() {
    let stage = Stage::json()
        .answer("getAllProcessInfo()", Ok(values_of(&galaxy())))
        .answer("galaxyd.explainAllProcesses()", Ok(explanation()));
    let document: serde_json::Value = serde_json::from_str(&stage.run("status galaxy:web").out).unwrap();
    let web = &document["processes"][0];
    assert_eq!(web["reason"], "ended too quickly");
    assert_eq!(web["left_behind"][0]["pid"], 77);
    assert_eq!(web["hindrances"][0], "it was stopped by a signal");
    assert_eq!(web["last_words"][0], "ValueError");
}

#[test]
fn env_prints_what_a_start_would_use() {
    let variable = Value::object([("name", "A".into()), ("value", "b\nc".into())]);
    let plan = Value::object([
        ("name", "web".into()),
        ("file", "/bin/sh".into()),
        ("argv", Value::Array(vec!["sh".into(), "-c".into()])),
        ("directory", "/srv".into()),
        ("umask", "0022".into()),
        ("uid", 5.into()),
        ("gid", 6.into()),
        ("groups", Value::Array(vec![6.into(), 7.into()])),
        ("limits", Value::Array(Vec::new())),
        ("environment", Value::Array(vec![variable])),
    ]);
    let known = || values_of(&[process("web", "web", "STOPPED")]);
    let stage = Stage::galaxyctl()
        .answer("getAllProcessInfo()", Ok(known()))
        .answer("galaxyd.getProcessPlan('web', Bool(true))", Ok(plan));
    let lines = "# web\n# executes /bin/sh: sh -c\n# in /srv, umask 0022\n# as uid 5, gid 6, groups 6 7\nA=b\\nc\n";
    check(&stage.run("env web"), lines, 0);
    let stage = Stage::galaxyctl()
        .answer("getAllProcessInfo()", Ok(known()))
        .answer("galaxyd.getProcessPlan('web', Bool(false))", Err(fault(30, "FAILED: x")));
    let shown = stage.run("env web --reveal");
    assert_eq!((shown.out.as_str(), shown.exit), ("web: could not be started: FAILED: x\n", 1));
    assert_eq!(Stage::galaxyctl().run("env").exit, 2);
}

#[test]
fn version_in_json_tells_galaxyds_own() {
    let stage = Stage::json()
        .answer("getSupervisorVersion()", Ok("4.3.0".into()))
        .answer("galaxyd.getVersion()", Err(fault(1, "UNKNOWN_METHOD")));
    let document: serde_json::Value = serde_json::from_str(&stage.run("version").out).unwrap();
    assert_eq!(document["supervisor_version"], "4.3.0");
    assert_eq!(document["galaxyd_version"], serde_json::Value::Null);
    let stage = Stage::supervisorctl().answer("getSupervisorVersion()", Ok("4.3.0".into()));
    check(&stage.run("version"), "4.3.0\n", 0);
}

/// Of the history.
pub(super) fn entry(last: i64, count: i64, text: &str) -> Value {
    Value::object([
        ("first", 5.into()),
        ("last", last.into()),
        ("count", count.into()),
        ("subject", "web".into()),
        ("kind", "state".into()),
        ("text", text.into()),
    ])
}
