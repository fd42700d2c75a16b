//! Where galaxyd differs from 4.3.0 on purpose. Each test is named in `docs/compatibility.md`.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::rpc;
use crate::wait::until_true;

ours_alone![
    a_literal_percent_may_be_written_in_two_ways,
    a_byte_order_mark_is_skipped,
    a_conversion_without_a_name_is_refused,
    an_empty_socket_path_is_refused,
    sigusr1_is_ignored,
    undecodable_bytes_in_a_log_are_replaced,
    control_characters_do_not_break_an_answer,
    logs_of_a_stopped_program_are_cleared,
    text_for_a_full_pipe_is_queued,
    malformed_credentials_are_wrong_credentials,
    parameters_of_a_wrong_type_are_a_fault,
    a_second_daemon_leaves_the_logs_of_the_first,
    a_file_in_the_place_of_the_socket_is_kept,
    children_have_default_signal_dispositions,
    a_shutdown_spends_no_second_on_each_group,
    a_stop_right_after_the_start_is_not_lost,
    a_quick_exit_is_never_a_success,
    a_split_ansi_sequence_is_stripped,
    the_identifier_stands_for_itself_when_old_logs_are_removed,
];

fn a_literal_percent_may_be_written_in_two_ways(subject: Subject) {
    for percent in ["%%", "%%%%"] {
        let sections = format!(
            "[program:p]\ncommand=/bin/sh -c 'echo \"$RATE\"; exec cat'\nstartsecs=0\nstdout_logfile=%(here)s/100{percent}.log\n"
        );
        let daemon = Daemon::start_with(subject, &format!("environment=RATE=\"50{percent}\""), "", &sections);
        daemon.wait_text("100%.log", "50%\n");
    }
}

fn a_byte_order_mark_is_skipped(subject: Subject) {
    let daemon = Daemon::folder_raw(subject, "\u{feff}[supervisord]\n");
    let refusal = daemon.refusal(&daemon.path("supervisord.conf"));
    assert!(refusal.is_none(), "{refusal:?}");
}

fn a_conversion_without_a_name_is_refused(subject: Subject) {
    let daemon = Daemon::folder_raw(subject, "[supervisord]\n[program:p]\ncommand=/bin/date +%s\n");
    let refusal = daemon.refusal(&daemon.path("supervisord.conf")).unwrap();
    assert_eq!(refusal.code, Some(2), "{refusal:?}");
    assert!(refusal.stderr.contains("+%s"), "{refusal:?}");
}

fn an_empty_socket_path_is_refused(subject: Subject) {
    let daemon = Daemon::folder_raw(subject, "[supervisord]\n[unix_http_server]\nfile=\n");
    let refusal = daemon.refusal(&daemon.path("supervisord.conf")).unwrap();
    assert_eq!(refusal.code, Some(2), "{refusal:?}");
}

fn sigusr1_is_ignored(subject: Subject) {
    let mut daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    let pid = daemon.process_pid("p");
    daemon.signal(Signal::SIGUSR1);
    // A signal that is handled after it shows that this one is over.
    daemon.signal(Signal::SIGUSR2);
    daemon.wait_text("main.log", "SIGUSR2");
    daemon.wait_ready();
    assert_eq!(daemon.process_pid("p"), pid);
}

fn undecodable_bytes_in_a_log_are_replaced(subject: Subject) {
    let daemon = Daemon::start(subject, "");
    daemon.wait_text("main.log", "supervisord started");
    fs::write(daemon.path("main.log"), b"a\xff\xc3").unwrap();
    let answer = rpc(&daemon, &json!([["supervisor.readLog", [0, 0]]]));
    let text: String = serde_json::from_str(&answer[0]).unwrap();
    assert!(text.starts_with("a\u{fffd}"), "{text:?}");
}

fn control_characters_do_not_break_an_answer(subject: Subject) {
    let daemon = Daemon::start(subject, "");
    daemon.wait_text("main.log", "supervisord started");
    fs::write(daemon.path("main.log"), b"a\x1b[31mred\x00\x07\n").unwrap();
    let answer = rpc(&daemon, &json!([["supervisor.readLog", [0, 0]]]));
    let text: String = serde_json::from_str(&answer[0]).unwrap();
    assert!(text.starts_with('a') && text.contains("[31mred") && text.ends_with('\n'), "{text:?}");
}

fn logs_of_a_stopped_program_are_cleared(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/sh -c 'echo hello; exec cat'\nstartsecs=0\nstdout_logfile=%(here)s/p.log\n",
    );
    daemon.wait_text("p.log", "hello");
    assert_eq!(daemon.ctl(&["stop", "p"]).code, Some(0));
    assert_eq!(daemon.ctl(&["clear", "p"]).stdout, "p: cleared\n");
    until_true("the log to be empty", || daemon.text("p.log").is_empty());
}

fn text_for_a_full_pipe_is_queued(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/sh -c 'while [ ! -e go ]; do sleep 0.05; done; exec wc -c'\ndirectory=%(here)s\nstartsecs=0\nstdout_logfile=%(here)s/p.log\n",
    );
    daemon.wait_running(&["p"]);
    // A pipe takes 64 KiB; this is more.
    let text = "x".repeat(50_000);
    let calls: Vec<Value> = (0..3).map(|_| json!(["supervisor.sendProcessStdin", ["p", text]])).collect();
    assert_eq!(rpc(&daemon, &json!(calls)), ["true", "true", "true"]);
    fs::write(daemon.path("go"), "").unwrap();
    let pid = daemon.process_pid("p");
    until_true("the queued text to be read", || {
        // wc reads on until its input ends; what it has read shows in its file offset's place, /proc/PID/io.
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")).and_then(|text| text.parse::<u64>().ok());
        read.is_some_and(|count| count >= 150_000)
    });
}

fn malformed_credentials_are_wrong_credentials(subject: Subject) {
    let mut daemon = Daemon::folder_with(subject, "", "username=a\npassword=b", "");
    daemon.launch();
    daemon.wait_text("main.log", "supervisord started");
    for credentials in ["Basic !!!", "Basic YQ==", "Basic", "Bearer x", ""] {
        let answer = daemon.http(&format!("GET /nonsense HTTP/1.0\r\nAuthorization: {credentials}\r\n\r\n")).unwrap();
        assert!(answer.lines().next().unwrap().contains(" 401 "), "{credentials}: {answer}");
    }
}

fn parameters_of_a_wrong_type_are_a_fault(subject: Subject) {
    let daemon = Daemon::start(subject, "");
    let calls = json!([
        ["supervisor.getProcessInfo", [5]],
        ["supervisor.readLog", ["x", 0]],
        ["supervisor.startProcess", [["a"]]],
        ["system.multicall", ["nonsense"]],
        ["supervisor.reloadConfig", ["x"]],
    ]);
    for answer in rpc(&daemon, &calls) {
        assert!(answer.starts_with(r#"{"fault": [2, "INCORRECT_PARAMETERS"#), "{answer}");
    }
}

fn auto_logs(daemon: &Daemon) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(daemon.dir()).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.retain(|name| name.contains("---"));
    names.sort_unstable();
    names
}

fn a_second_daemon_leaves_the_logs_of_the_first(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    let before = auto_logs(&daemon);
    assert_eq!(before.len(), 2);
    let configuration = daemon.path("supervisord.conf").display().to_string();
    assert_eq!(daemon.supervisord(&["-n", "-c", &configuration]).code, Some(2));
    assert_eq!(auto_logs(&daemon), before);
}

fn a_file_in_the_place_of_the_socket_is_kept(subject: Subject) {
    let daemon = Daemon::folder(subject, "");
    fs::write(daemon.path("s.sock"), "precious").unwrap();
    let configuration = daemon.path("supervisord.conf").display().to_string();
    let outcome = daemon.supervisord(&["-n", "-c", &configuration]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("s.sock"), "{outcome:?}");
    assert_eq!(daemon.text("s.sock"), "precious");
}

fn children_have_default_signal_dispositions(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/sleep 1000\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    let pid = daemon.process_pid("p");
    until_true("no ignored signal", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.contains("Name:\tsleep") && status.lines().any(|line| line == "SigIgn:\t0000000000000000")
    });
}

/// A section for each number.
fn sections(numbers: std::ops::Range<u32>, section: impl Fn(u32) -> String) -> String {
    numbers.map(section).collect::<Vec<_>>().concat()
}

fn a_shutdown_spends_no_second_on_each_group(subject: Subject) {
    let sections =
        sections(0..10, |number| format!("[program:p{number}]\ncommand=/bin/cat\nstartsecs=0\npriority={number}\n"));
    let mut daemon = Daemon::start(subject, &sections);
    for number in 0..10 {
        daemon.wait_state(&format!("p{number}"), "RUNNING");
    }
    let begin = Instant::now();
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    // The original needs ten seconds for ten groups.
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

fn a_stop_right_after_the_start_is_not_lost(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/sleep 1000\nstartsecs=0\nautostart=false\nstopwaitsecs=1000\n",
    );
    // A lost signal would make a stop wait for its thousand seconds.
    let calls: Vec<Value> = (0..40)
        .map(|number| {
            json!([if number % 2 == 0 { "supervisor.startProcess" } else { "supervisor.stopProcess" }, ["p"]])
        })
        .collect();
    assert_eq!(rpc(&daemon, &json!(calls)), vec!["true"; 40]);
}

fn a_quick_exit_is_never_a_success(subject: Subject) {
    let sections = sections(0..8, |number| {
        format!(
            "[program:p{number}]\ncommand=/bin/sh -c 'sleep 0.{number}'\nstartsecs=1\nstartretries=0\nautorestart=false\n"
        )
    });
    let daemon = Daemon::start(subject, &sections);
    for number in 0..8 {
        daemon.wait_state(&format!("p{number}"), "FATAL");
    }
    assert!(daemon.log_lines(&["success:"]).is_empty());
}

fn a_split_ansi_sequence_is_stripped(subject: Subject) {
    let daemon = Daemon::start_with(
        subject,
        "strip_ansi=true",
        "",
        "[program:p]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=%(here)s/p.log\n",
    );
    daemon.wait_running(&["p"]);
    // The program copies what it is told; two calls are two writes.
    let params =
        |text: &str| format!("<param><value>p</value></param><param><value><base64>{text}</base64></value></param>");
    daemon.call("supervisor.sendProcessStdin", &params("YRtbMw==")).unwrap(); // a ESC [ 3
    daemon.wait_text("p.log", "a");
    daemon.call("supervisor.sendProcessStdin", &params("MW1iCg==")).unwrap(); // 1 m b LF
    daemon.wait_text("p.log", "b\n");
    assert_eq!(daemon.text("p.log"), "ab\n");
}

fn the_identifier_stands_for_itself_when_old_logs_are_removed(subject: Subject) {
    let mut daemon = Daemon::folder_with(subject, "identifier=a.b", "", "");
    for name in ["p-stdout---a.b-12345678.log", "p-stdout---axb-12345678.log"] {
        fs::write(daemon.path(name), "").unwrap();
    }
    daemon.run();
    assert!(!daemon.path("p-stdout---a.b-12345678.log").exists());
    assert!(daemon.path("p-stdout---axb-12345678.log").exists());
}
