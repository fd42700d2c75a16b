//! Every command of supervisorctl: its lines and its exit code.

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;

clients![
    status_shows_the_table_of_the_scaling_page,
    restart_of_a_group_prints_the_eight_lines_of_the_scaling_page,
    start_and_stop_say_how_it_went,
    groups_and_all_are_started_and_stopped_in_one_call,
    signal_says_how_it_went,
    pid_prints_numbers,
    clear_says_how_it_went,
    tail_prints_the_end_of_a_log,
    maintail_prints_the_end_of_the_activity_log,
    commands_with_wrong_arguments_explain_themselves,
    the_configuration_commands_tell_what_changed,
    avail_lists_the_configured_processes,
    shutdown_says_so_once_and_then_nothing_listens,
    reload_restarts_the_daemon,
    version_and_open,
    help_lists_the_commands,
];

const GALAXY: &str = "\
[program:web]
command = /bin/sleep 1000
startsecs = 0
[program:handler]
command = /bin/sleep 1000
process_name = handler%(process_num)s
numprocs = 3
startsecs = 0
[group:galaxy]
programs = web, handler
";

const MIXED: &str = "\
[program:cat]
command = /bin/cat
startsecs = 0
[program:idle]
command = /bin/sleep 1000
autostart = false
[program:gone]
command = /nonexistent/program
startretries = 0
[program:done]
command = /bin/sh -c 'exit 3'
startsecs = 0
autorestart = false
";

fn mixed(subject: Subject) -> Daemon {
    let daemon = Daemon::start(subject, MIXED);
    daemon.wait_state("cat", "RUNNING");
    daemon.wait_state("gone", "FATAL");
    daemon.wait_state("done", "EXITED");
    daemon
}

fn status_shows_the_table_of_the_scaling_page(subject: Subject) {
    let daemon = Daemon::start(subject, &format!("{GALAXY}{MIXED}"));
    daemon.wait_running(&["galaxy:web", "galaxy:handler0", "galaxy:handler1", "galaxy:handler2", "cat"]);
    daemon.wait_state("gone", "FATAL");
    daemon.wait_state("done", "EXITED");
    Transcript::of(&daemon)
        .ctl(&daemon, &["status"])
        .ctl(&daemon, &["status", "all"])
        .ctl(&daemon, &["status", "galaxy:"])
        .ctl(&daemon, &["status", "galaxy:*"])
        .ctl(&daemon, &["status", "galaxy:web", "galaxy:handler1", "galaxy:web"])
        .ctl(&daemon, &["status", "web", "galaxy", "nobody:", "nobody:*", "galaxy:nobody", "cat"])
        .ctl(&daemon, &["status", "idle", "nobody"])
        .ctl(&daemon, &["status", "gone"])
        .ctl(&daemon, &["status", "cat", "all"])
        .check("status");
}

fn restart_of_a_group_prints_the_eight_lines_of_the_scaling_page(subject: Subject) {
    let daemon = Daemon::start(subject, GALAXY);
    daemon.wait_running(&["galaxy:web", "galaxy:handler0", "galaxy:handler1", "galaxy:handler2"]);
    let mut transcript = Transcript::of(&daemon);
    // The order in which the four end is the kernel's, so the lines of each half are sorted.
    let outcome = daemon.ctl(&["restart", "galaxy:"]);
    let mut lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 8, "{outcome:?}");
    assert!(lines[..4].iter().all(|line| line.ends_with(": stopped")), "{outcome:?}");
    lines[..4].sort_unstable();
    lines[4..].sort_unstable();
    transcript.note(lines.join("\n")).note(format!("[{:?}]", outcome.code));
    transcript.ctl(&daemon, &["status", "galaxy:*"]);
    transcript.check("restart_group");
}

fn start_and_stop_say_how_it_went(subject: Subject) {
    let daemon = mixed(subject);
    Transcript::of(&daemon)
        .ctl(&daemon, &["start", "cat"])
        .ctl(&daemon, &["stop", "cat"])
        .ctl(&daemon, &["stop", "cat"])
        .ctl(&daemon, &["start", "cat"])
        .ctl(&daemon, &["restart", "cat"])
        .ctl(&daemon, &["start", "gone"])
        .ctl(&daemon, &["restart", "idle"])
        .ctl(&daemon, &["stop", "idle", "nobody", "cat"])
        .ctl(&daemon, &["start", "nobody", "cat", "nobody:", "nobody:*"])
        .ctl(&daemon, &["stop", "nobody:", "nobody:nobody"])
        .ctl(&daemon, &["restart", "nobody"])
        .ctl(&daemon, &["start", "done"])
        .check("start_stop");
}

fn groups_and_all_are_started_and_stopped_in_one_call(subject: Subject) {
    let daemon =
        Daemon::start(subject, &format!("{GALAXY}[program:a]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\n"));
    daemon.wait_running(&["galaxy:web", "galaxy:handler2"]);
    let mut transcript = Transcript::of(&daemon);
    for words in [
        &["stop", "galaxy:*"][..],
        &["stop", "galaxy:*"],
        &["start", "galaxy:handler1"],
        &["start", "galaxy:"],
        &["stop", "all"],
        &["start", "all"],
        &["restart", "all"],
        &["stop", "a", "galaxy:web", "all"],
    ] {
        let outcome = daemon.ctl(words);
        let mut lines: Vec<&str> = outcome.stdout.lines().collect();
        if words[0] == "restart" {
            let middle = lines.iter().position(|line| line.ends_with(": started")).unwrap();
            lines[..middle].sort_unstable();
            lines[middle..].sort_unstable();
        } else {
            lines.sort_unstable();
        }
        transcript.note(format!("$ {} (lines sorted)", words.join(" ")));
        transcript.note(lines.join("\n")).note(format!("[{:?}]", outcome.code));
    }
    transcript.check("groups_and_all");
}

fn signal_says_how_it_went(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:trap]\ncommand = /bin/sh -c 'trap \"echo got >>trap.out\" USR1; echo up >>trap.out; while :; do read x; done'\n\
         directory = %(here)s\nstartsecs = 0\n[program:idle]\ncommand = /bin/cat\nautostart = false\n\
         [program:x]\ncommand=/bin/cat\nstartsecs=0\n[program:y]\ncommand=/bin/cat\nstartsecs=0\nautostart=false\n[group:g]\nprograms=x,y\n",
    );
    daemon.wait_text("trap.out", "up");
    daemon.wait_running(&["trap", "g:x"]);
    Transcript::of(&daemon)
        .ctl(&daemon, &["signal", "0", "trap"])
        .ctl(&daemon, &["signal", "SIGCONT", "trap", "idle", "nobody"])
        .ctl(&daemon, &["signal", "CONT", "g:*"])
        .ctl(&daemon, &["signal", "18", "all"])
        .ctl(&daemon, &["signal", "nonsense", "trap"])
        .ctl(&daemon, &["signal", "nonsense", "g:*"])
        .ctl(&daemon, &["signal", "usr1", "trap"])
        .ctl(&daemon, &["signal", "999", "trap"])
        .ctl(&daemon, &["signal", "CONT", "nobody:"])
        .ctl(&daemon, &["signal", "CONT", "g:y"])
        .check("signal");
    daemon.wait_text("trap.out", "got");
}

fn pid_prints_numbers(subject: Subject) {
    let daemon = mixed(subject);
    let outcome = daemon.ctl(&["pid"]);
    assert_eq!((outcome.stdout.trim(), outcome.code), (daemon.pid().to_string().as_str(), Some(0)));
    let outcome = daemon.ctl(&["pid", "cat"]);
    assert_eq!((outcome.stdout.trim(), outcome.code), (daemon.process_pid("cat").to_string().as_str(), Some(0)));
    let outcome = daemon.ctl(&["pid", "all"]);
    let expected = format!("{}\n0\n0\n0\n", daemon.process_pid("cat"));
    assert_eq!((outcome.stdout, outcome.code), (expected, Some(0)));
    Transcript::of(&daemon)
        .ctl(&daemon, &["pid", "idle"])
        .ctl(&daemon, &["pid", "nobody"])
        .ctl(&daemon, &["pid", "nobody", "idle"])
        .ctl(&daemon, &["pid", "cat:*"])
        .check("pid");
}

fn clear_says_how_it_went(subject: Subject) {
    let daemon = mixed(subject);
    Transcript::of(&daemon)
        .ctl(&daemon, &["clear", "cat"])
        .ctl(&daemon, &["clear", "cat", "nobody"])
        .ctl(&daemon, &["clear", "all"])
        .ctl(&daemon, &["clear", "cat:*"])
        .check("clear");
}

const TALKERS: &str = "\
[program:talk]
command = /bin/sh -c 'echo one; echo two; echo three; echo four >&2; exec cat'
startsecs = 0
[program:long]
command = /bin/sh -c 'i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done; exec cat'
startsecs = 0
[program:mute]
command = /bin/cat
startsecs = 0
stdout_logfile = NONE
stderr_logfile = NONE
[program:joined]
command = /bin/sh -c 'echo out; echo err >&2; exec cat'
startsecs = 0
redirect_stderr = true
";

fn talkers(subject: Subject) -> Daemon {
    let daemon = Daemon::start(subject, TALKERS);
    for (process, wanted) in [("talk", "three"), ("long", "line 399"), ("joined", "err")] {
        let params = format!(
            "<param><value>{process}</value></param><param><value><int>0</int></value></param>\
                              <param><value><int>0</int></value></param>"
        );
        crate::wait::until_true("the output to arrive", || {
            daemon.call("supervisor.readProcessStdoutLog", &params).is_ok_and(|answer| answer.contains(wanted))
        });
    }
    let params = "<param><value>talk</value></param><param><value><int>0</int></value></param><param><value><int>0</int></value></param>";
    crate::wait::until_true("the error output to arrive", || {
        daemon.call("supervisor.readProcessStderrLog", params).is_ok_and(|answer| answer.contains("four"))
    });
    daemon
}

fn tail_prints_the_end_of_a_log(subject: Subject) {
    let daemon = talkers(subject);
    Transcript::of(&daemon)
        .ctl(&daemon, &["tail", "talk"])
        .ctl(&daemon, &["tail", "talk", "stdout"])
        .ctl(&daemon, &["tail", "talk", "stderr"])
        .ctl(&daemon, &["tail", "talk", "STDERR"])
        .ctl(&daemon, &["tail", "-6", "talk"])
        .ctl(&daemon, &["tail", "-0", "talk"])
        .ctl(&daemon, &["tail", "-9999", "talk", "stdout"])
        .ctl(&daemon, &["tail", "long"])
        .ctl(&daemon, &["tail", "talk", "nonsense"])
        .ctl(&daemon, &["tail", "-nonsense", "talk"])
        .ctl(&daemon, &["tail", "nobody"])
        .ctl(&daemon, &["tail", "talk:*"])
        .ctl(&daemon, &["tail", "mute"])
        .ctl(&daemon, &["tail", "mute", "stderr"])
        .ctl(&daemon, &["tail", "joined"])
        .ctl(&daemon, &["tail", "joined", "stderr"])
        .check("tail");
}

fn maintail_prints_the_end_of_the_activity_log(subject: Subject) {
    let daemon = Daemon::start(subject, "");
    daemon.wait_text("main.log", "supervisord started");
    let log = format!("{}0123456789\nthe last line\n", "x".repeat(3000));
    std::fs::write(daemon.path("main.log"), log).unwrap();
    Transcript::of(&daemon)
        .ctl(&daemon, &["maintail"])
        .ctl(&daemon, &["maintail", "-14"])
        .ctl(&daemon, &["maintail", "-nonsense"])
        .ctl(&daemon, &["maintail", "nonsense"])
        .check("maintail");
    std::fs::remove_file(daemon.path("main.log")).unwrap();
    Transcript::of(&daemon).ctl(&daemon, &["maintail"]).check("maintail_without_file");
}

fn commands_with_wrong_arguments_explain_themselves(subject: Subject) {
    let daemon = mixed(subject);
    let mut transcript = Transcript::of(&daemon);
    for words in [
        &["start"][..],
        &["stop"],
        &["restart"],
        &["signal"],
        &["signal", "HUP"],
        &["clear"],
        &["tail"],
        &["tail", "-f"],
        &["tail", "a", "b", "c", "d"],
        &["maintail", "a", "b"],
        &["reread", "x"],
        &["avail", "x"],
        &["shutdown", "x"],
        &["reload", "x"],
        &["version", "x"],
        &["fg"],
        &["fg", "cat", "idle"],
        &["fg", "nobody"],
        &["fg", "idle"],
        &["nonsense"],
        &["nonsense", "with", "words"],
        &["add"],
        &["remove"],
        &[""],
        &["!"],
        &["?", "nonsense"],
    ] {
        let outcome = daemon.ctl(words);
        // The help text below the error is free in its wording; its first line is not.
        let first = outcome.stdout.lines().next().unwrap_or_default();
        transcript.note(format!("$ {}\n{first}\n[{:?}]", words.join(" "), outcome.code));
    }
    transcript.check("wrong_arguments");
}

fn the_configuration_commands_tell_what_changed(subject: Subject) {
    let cat = |name: &str, more: &str| format!("[program:{name}]\ncommand=/bin/cat\nstartsecs=0\n{more}\n");
    let daemon = Daemon::start(subject, &format!("{}{}{}", cat("keep", ""), cat("change", ""), cat("leave", "")));
    daemon.wait_running(&["keep", "change", "leave"]);
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["reread"]).ctl(&daemon, &["update"]);
    daemon.rewrite(&format!("{}{}{}", cat("keep", ""), cat("change", "priority=5"), cat("fresh", "")));
    transcript
        .ctl(&daemon, &["reread"])
        .ctl(&daemon, &["reread"])
        .ctl(&daemon, &["add", "keep", "nobody", "fresh", "fresh"])
        .ctl(&daemon, &["remove", "leave", "nobody"])
        .ctl(&daemon, &["stop", "leave"])
        .ctl(&daemon, &["remove", "leave"])
        .ctl(&daemon, &["reread"])
        .ctl(&daemon, &["update", "nobody", "keep"])
        .ctl(&daemon, &["update", "change"])
        .ctl(&daemon, &["reread"]);
    daemon.rewrite(&format!("{}{}{}", cat("keep", "priority=1"), cat("another", "autostart=false"), cat("third", "")));
    transcript.ctl(&daemon, &["update"]);
    daemon.wait_running(&["keep", "third"]);
    transcript.ctl(&daemon, &["status"]);
    daemon.rewrite("[program:broken]\ncommand=/bin/cat\nstartsecs=soon\n");
    transcript.ctl(&daemon, &["reread"]).ctl(&daemon, &["update"]).ctl(&daemon, &["status", "keep"]);
    transcript.check("configuration_commands");
}

fn avail_lists_the_configured_processes(subject: Subject) {
    let daemon = Daemon::start(subject, &format!("{GALAXY}{MIXED}[program:prio]\ncommand=/bin/cat\npriority=7\n"));
    daemon.wait_running(&["galaxy:web"]);
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["avail"]);
    daemon.rewrite(&format!("{GALAXY}[program:fresh-with-a-very-long-name-indeed-longer]\ncommand=/bin/cat\n"));
    transcript.ctl(&daemon, &["reread"]).ctl(&daemon, &["avail"]).check("avail");
}

fn shutdown_says_so_once_and_then_nothing_listens(subject: Subject) {
    let mut daemon = Daemon::start(
        subject,
        "[program:slow]\ncommand=/bin/sh -c 'trap \"\" TERM; echo up >>slow.out; while :; do read x; done'\n\
         directory=%(here)s\nstopwaitsecs=1000\nstartsecs=0\n",
    );
    daemon.wait_text("slow.out", "up");
    let slow = daemon.process_pid("slow");
    let mut transcript = Transcript::of(&daemon);
    transcript
        .ctl(&daemon, &["shutdown"])
        .ctl(&daemon, &["shutdown"])
        .ctl(&daemon, &["reload"])
        .ctl(&daemon, &["status"])
        .ctl(&daemon, &["avail"])
        .ctl(&daemon, &["reread"])
        .ctl(&daemon, &["update"])
        .ctl(&daemon, &["add", "slow"]);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(slow), nix::sys::signal::Signal::SIGKILL).unwrap();
    let status = daemon.wait_end();
    transcript.note(format!("the daemon ended: {status}"));
    transcript
        .ctl(&daemon, &["status"])
        .ctl(&daemon, &["start", "slow"])
        .ctl(&daemon, &["pid"])
        .ctl(&daemon, &["shutdown"])
        .ctl(&daemon, &["reload"])
        .ctl(&daemon, &["avail"])
        .ctl(&daemon, &["version"])
        .ctl(&daemon, &["fg", "slow"])
        .ctl(&daemon, &["tail", "slow"])
        .ctl(&daemon, &["maintail"]);
    // A socket file that nobody listens on.
    drop(std::os::unix::net::UnixListener::bind(daemon.path("s.sock")).unwrap());
    transcript
        .ctl(&daemon, &["status"])
        .ctl(&daemon, &["stop", "slow"])
        .ctl(&daemon, &["shutdown"])
        .ctl(&daemon, &["version"])
        .check("shutdown");
}

fn reload_restarts_the_daemon(subject: Subject) {
    let mut daemon = mixed(subject);
    let (before, cat) = (daemon.pid(), daemon.process_pid("cat"));
    let mut transcript = Transcript::of(&daemon);
    daemon.rewrite("[program:cat]\ncommand=/bin/cat\nstartsecs=0\n[program:fresh]\ncommand=/bin/cat\nstartsecs=0\n");
    transcript.ctl(&daemon, &["reload"]);
    crate::wait::until_true("the daemon to start anew", || daemon.info("fresh", "statename").is_ok());
    daemon.wait_ready();
    daemon.wait_running(&["cat", "fresh"]);
    assert_eq!(daemon.pid(), before);
    assert_ne!(daemon.process_pid("cat"), cat);
    transcript.ctl(&daemon, &["status"]).check("reload");
}

fn version_and_open(subject: Subject) {
    let daemon = mixed(subject);
    let url = format!("unix://{}", daemon.path("s.sock").display());
    Transcript::of(&daemon)
        .ctl(&daemon, &["version"])
        .ctl(&daemon, &["open", &url])
        .ctl(&daemon, &["open", "nonsense"])
        .ctl(&daemon, &["open", "unix:///nonexistent/s.sock"])
        .ctl(&daemon, &["-s", &url, "version"])
        .ctl(&daemon, &["-s", "unix:///nonexistent/s.sock", "version"])
        .ctl(&daemon, &["-s", "unix:///nonexistent/s.sock", "status"])
        .ctl(&daemon, &["-s", "http://127.0.0.1:1", "status"])
        .ctl(&daemon, &["-s", "http://127.0.0.1:1", "version"])
        .check("version_open");
}

fn help_lists_the_commands(subject: Subject) {
    let daemon = Daemon::folder(subject, "");
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["help"]).ctl(&daemon, &["?"]).ctl(&daemon, &["help", "nonsense"]);
    for command in [
        "add", "avail", "clear", "exit", "fg", "maintail", "open", "pid", "quit", "reload", "remove", "reread",
        "restart", "shutdown", "signal", "start", "status", "stop", "tail", "update", "version", "help",
    ] {
        // The text is free in its wording, but begins with the command.
        let outcome = daemon.ctl(&["help", command]);
        assert!(outcome.stdout.starts_with(command) && outcome.code == Some(0), "{outcome:?}");
    }
    transcript.check("help");
}
