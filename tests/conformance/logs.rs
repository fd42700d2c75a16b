//! The logs of programs and of the daemon: names, modes, contents, rotation.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;
use crate::wait::until_true;

daemons![
    auto_logs_have_names_and_modes,
    auto_logs_of_the_last_run_are_removed,
    none_keeps_nothing,
    standard_error_may_join_standard_output,
    the_last_words_before_the_exit_are_kept,
    a_log_is_rotated_when_it_is_full,
    without_backups_a_full_log_begins_anew,
    every_byte_arrives_in_order,
    ansi_sequences_are_stripped,
    a_log_goes_to_the_daemons_own_output,
    the_activity_log_is_rotated,
    the_log_level_decides_what_is_written,
    logs_are_appended_to,
];

fn names(daemon: &Daemon, beginning: &str) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(daemon.dir()).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with(beginning));
    names.sort_unstable();
    names
}

fn auto_logs_have_names_and_modes(subject: Subject) {
    let sections = "[program:p]\ncommand=/bin/cat\nstartsecs=0\n[program:never]\ncommand=/bin/cat\nautostart=false\n\
        [program:explicit]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=%(here)s/explicit.log\n\
        [program:x]\ncommand=/bin/cat\nprocess_name=%(program_name)s_%(process_num)d\nnumprocs=2\nredirect_stderr=true\nstartsecs=0\n";
    let daemon = Daemon::start_with(subject, "umask=027", "", sections);
    daemon.wait_running(&["p", "explicit", "x:x_0", "x:x_1"]);
    let mut transcript = Transcript::of(&daemon);
    for name in names(&daemon, "").iter().filter(|name| name.contains(".log")) {
        let mode = fs::metadata(daemon.path(name)).unwrap().permissions().mode() & 0o777;
        let random = name.split("---supervisor-").nth(1).map(str::len);
        transcript.note(format!("{name} {mode:o} {random:?}"));
    }
    transcript.check("auto_logs");
    assert!(daemon.info("p", "stdout_logfile").unwrap().contains("/p-stdout---supervisor-"));
}

fn auto_logs_of_the_last_run_are_removed(subject: Subject) {
    let left = [
        "p-stdout---supervisor-abcdefgh.log",
        "p-stdout---supervisor-abcdefgh.log.1",
        "gone-stderr---supervisor-x.log.22",
    ];
    let kept = ["p-stdout---other-abcdefgh.log", "p.log", "supervisor-x.log"];
    let mut daemon = Daemon::folder(subject, "");
    for name in left.iter().chain(&kept) {
        fs::write(daemon.path(name), "").unwrap();
    }
    daemon.run();
    let seen: Vec<bool> = left.iter().chain(&kept).map(|name| daemon.path(name).exists()).collect();
    assert_eq!(seen, [false, false, false, true, true, true]);

    let mut daemon = Daemon::folder_with(subject, "nocleanup=true", "", "");
    fs::write(daemon.path(left[0]), "").unwrap();
    daemon.run();
    assert!(daemon.path(left[0]).exists());
}

fn none_keeps_nothing(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/sh -c 'echo out; echo err >&2; touch done; exec cat'\ndirectory=%(here)s\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=none\n",
    );
    until_true("the program to have written", || daemon.path("done").exists());
    assert!(names(&daemon, "p-").is_empty(), "{:?}", names(&daemon, "p-"));
    assert_eq!(daemon.info("p", "stdout_logfile").unwrap(), "");
}

fn standard_error_may_join_standard_output(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/sh -c 'echo 1; echo 2 >&2; echo 3; echo 4 >&2; exec cat'\nstartsecs=0\nredirect_stderr=true\nstdout_logfile=%(here)s/p.log\nstderr_logfile=%(here)s/never.log\n",
    );
    daemon.wait_lines("p.log", 4);
    assert_eq!(daemon.text("p.log"), "1\n2\n3\n4\n");
    assert!(!daemon.path("never.log").exists());
    assert_eq!(daemon.info("p", "stderr_logfile").unwrap(), "");
    Transcript::of(&daemon).log(&daemon, &["redirect_stderr", "never.log"]).check("redirect_stderr");
}

fn the_last_words_before_the_exit_are_kept(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/sh -c 'i=0; while [ $i -lt 500 ]; do echo line $i; echo err $i >&2; i=$((i+1)); done; echo last; echo last >&2'\nstartsecs=0\nautorestart=false\nstdout_logfile=%(here)s/p.log\nstderr_logfile=%(here)s/p.err\n",
    );
    daemon.wait_state("p", "EXITED");
    daemon.wait_text("p.log", "last");
    daemon.wait_text("p.err", "last");
    assert_eq!(daemon.text("p.log").lines().count(), 501);
    assert_eq!(daemon.text("p.err").lines().count(), 501);
}

/// Sends `count` lines of ten bytes through cat, one call each, so that each is one read.
fn feed(daemon: &Daemon, from: usize, count: usize) {
    for number in from..from + count {
        let params = format!("<param><value>p</value></param><param><value>line {number:04}\n</value></param>");
        assert!(daemon.call("supervisor.sendProcessStdin", &params).unwrap().contains("<boolean>1"));
        let last = format!("line {number:04}\n");
        until_true("the line to be written", || {
            names(daemon, "p.log").iter().any(|name| daemon.text(name).ends_with(&last))
        });
    }
}

fn a_log_is_rotated_when_it_is_full(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=%(here)s/p.log\nstdout_logfile_maxbytes=30\nstdout_logfile_backups=2\n",
    );
    daemon.wait_running(&["p"]);
    feed(&daemon, 0, 14);
    let mut transcript = Transcript::of(&daemon);
    for name in names(&daemon, "p.log") {
        transcript.note(format!("-- {name}")).note(daemon.text(&name));
    }
    transcript.check("rotation");
}

fn without_backups_a_full_log_begins_anew(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=%(here)s/p.log\nstdout_logfile_maxbytes=30\nstdout_logfile_backups=0\n",
    );
    daemon.wait_running(&["p"]);
    feed(&daemon, 0, 2);
    let params = "<param><value>p</value></param><param><value>line 0002\n</value></param>";
    daemon.call("supervisor.sendProcessStdin", params).unwrap();
    until_true("the full log to be emptied", || daemon.text("p.log").is_empty());
    feed(&daemon, 3, 1);
    assert_eq!(names(&daemon, "p.log"), ["p.log"]);
    assert_eq!(daemon.text("p.log"), "line 0003\n");
}

fn every_byte_arrives_in_order(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/sh -c 'seq 1 200000; echo end'\nstartsecs=0\nautorestart=false\nstdout_logfile=%(here)s/p.log\nstdout_logfile_maxbytes=200KB\nstdout_logfile_backups=50\n",
    );
    daemon.wait_state("p", "EXITED");
    until_true("the end to be written", || {
        names(&daemon, "p.log").iter().any(|name| daemon.text(name).ends_with("end\n"))
    });
    let mut files = names(&daemon, "p.log");
    files.sort_by_key(|name| std::cmp::Reverse(name.rsplit('.').next().unwrap().parse::<u32>().unwrap_or(0)));
    let text: String = files.iter().map(|name| daemon.text(name)).collect();
    let expected = (1..=200_000).map(|number| number.to_string()).collect::<Vec<_>>().join("\n") + "\nend\n";
    assert!(text == expected, "{} files, {} bytes instead of {}", files.len(), text.len(), expected.len());
    assert!(files.len() >= 3, "{files:?}");
}

fn ansi_sequences_are_stripped(subject: Subject) {
    let daemon = Daemon::start_with(
        subject,
        "strip_ansi=true",
        "",
        "[program:p]\ncommand=/bin/sh -c 'printf \"\\\\033[31mred\\\\033[0m plain \\\\033[1;2Hx\\\\n\"; exec cat'\nstartsecs=0\nstdout_logfile=%(here)s/p.log\n",
    );
    daemon.wait_lines("p.log", 1);
    Transcript::of(&daemon).note(daemon.text("p.log").escape_debug().to_string()).check("strip_ansi");
}

fn a_log_goes_to_the_daemons_own_output(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/sh -c 'echo through; exec cat'\nstartsecs=0\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n",
    );
    daemon.wait_text("daemon.out", "through\n");
}

fn the_activity_log_is_rotated(subject: Subject) {
    let daemon = Daemon::start_with(
        subject,
        "logfile_maxbytes=300\nlogfile_backups=3",
        "",
        "[program:p]\ncommand=/bin/cat\nstartsecs=0\n",
    );
    daemon.wait_running(&["p"]);
    for _ in 0..6 {
        daemon.ctl(&["restart", "p"]);
    }
    until_true("three backups", || daemon.path("main.log.3").exists());
    assert_eq!(names(&daemon, "main.log"), ["main.log", "main.log.1", "main.log.2", "main.log.3"]);
    for name in ["main.log.1", "main.log.2", "main.log.3"] {
        let size = fs::metadata(daemon.path(name)).unwrap().len();
        assert!((300..600).contains(&size), "{name}: {size}");
    }
}

fn the_log_level_decides_what_is_written(subject: Subject) {
    let mut transcript = None;
    for level in ["debug", "warn", "critical"] {
        let daemon = Daemon::start_with(
            subject,
            &format!("loglevel={level}"),
            "",
            "[program:p]\ncommand=/bin/sh -c 'echo hello; kill -9 $$'\nstartsecs=0\nautorestart=false\n",
        );
        daemon.wait_state("p", "EXITED");
        let transcript = transcript.get_or_insert_with(|| Transcript::of(&daemon));
        transcript
            .note(format!("-- {level}"))
            .log(&daemon, &["spawned", "exited: p", "stdout output", "running without any"]);
    }
    transcript.unwrap().check("log_levels");
}

fn logs_are_appended_to(subject: Subject) {
    let mut daemon = Daemon::folder(
        subject,
        "[program:p]\ncommand=/bin/sh -c 'echo again; exec cat'\nstartsecs=0\nstdout_logfile=%(here)s/p.log\n",
    );
    fs::write(daemon.path("p.log"), "before\n").unwrap();
    fs::write(daemon.path("main.log"), "before\n").unwrap();
    daemon.run();
    daemon.wait_lines("p.log", 2);
    daemon.ctl(&["restart", "p"]);
    daemon.wait_lines("p.log", 3);
    assert_eq!(daemon.text("p.log"), "before\nagain\nagain\n");
    assert!(daemon.text("main.log").starts_with("before\n"));
}
