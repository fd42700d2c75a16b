//! The daemon itself: signals, pidfile, shutdown order, restart, background.

use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;
use crate::wait::until_true;

daemons![
    term_int_and_quit_end_the_daemon_with_all_programs,
    hup_reads_the_configuration_again,
    usr2_reopens_the_logs,
    programs_end_by_descending_priority,
    the_pidfile_and_the_socket_come_and_go,
    a_second_daemon_is_refused,
    a_stale_socket_is_taken_over,
    in_the_background_the_parent_leaves_at_once,
    the_start_is_logged,
    silent_and_loud_foreground,
];

fn term_int_and_quit_end_the_daemon_with_all_programs(subject: Subject) {
    for (signal, name) in [(Signal::SIGTERM, "TERM"), (Signal::SIGINT, "INT"), (Signal::SIGQUIT, "QUIT")] {
        let mut daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\n");
        daemon.wait_running(&["p"]);
        daemon.wait_executed("p");
        daemon.signal(signal);
        let status = daemon.wait_end();
        daemon.wait_nothing_left();
        let mut transcript = Transcript::of(&daemon);
        transcript.note(format!("{status}")).log(&daemon, &["received", "stopped: p"]);
        transcript.note(format!(
            "socket {} pidfile {}",
            daemon.path("s.sock").exists(),
            daemon.path("main.pid").exists()
        ));
        transcript.check(&format!("signal_{name}"));
    }
}

fn hup_reads_the_configuration_again(subject: Subject) {
    let mut daemon = Daemon::start(subject, "[program:old]\ncommand=/bin/cat\nstartsecs=0\n");
    daemon.wait_running(&["old"]);
    let pid = daemon.pid();
    daemon.rewrite("[program:fresh]\ncommand=/bin/cat\nstartsecs=0\n");
    daemon.signal(Signal::SIGHUP);
    until_true("the new program", || daemon.info("fresh", "statename").is_ok());
    daemon.wait_ready();
    daemon.wait_running(&["fresh"]);
    assert_eq!(daemon.pid(), pid);
    Transcript::of(&daemon)
        .ctl(&daemon, &["status"])
        .log(&daemon, &["received", "stopped: old", "spawned", "started with"])
        .check("signal_HUP");
}

fn usr2_reopens_the_logs(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=%(here)s/p.log\n");
    daemon.wait_running(&["p"]);
    let say = |text: &str| {
        let params = format!("<param><value>p</value></param><param><value>{text}\n</value></param>");
        assert!(daemon.call("supervisor.sendProcessStdin", &params).unwrap().contains("<boolean>1"));
    };
    say("before");
    daemon.wait_text("p.log", "before");
    for name in ["p.log", "main.log"] {
        fs::rename(daemon.path(name), daemon.path(&format!("{name}.old"))).unwrap();
    }
    daemon.signal(Signal::SIGUSR2);
    until_true("the new files", || daemon.path("p.log").exists() && daemon.path("main.log").exists());
    say("after");
    daemon.wait_text("p.log", "after");
    assert_eq!(daemon.text("p.log.old"), "before\n");
    let mut lines: Vec<String> = Vec::new();
    for name in ["main.log.old", "main.log"] {
        lines.extend(
            daemon.text(name).lines().filter(|line| line.contains("reopen")).map(|line| line[24..].to_string()),
        );
    }
    Transcript::of(&daemon).note(lines.join("\n")).check("signal_USR2");
}

fn programs_end_by_descending_priority(subject: Subject) {
    let program = |name: &str, priority: i32| {
        format!(
            "[program:{name}]\ncommand=/bin/sh -c 'trap \"echo {name} >>order; exit 0\" TERM; echo {name} up >>ups; while :; do sleep 0.02; done'\n\
             directory=%(here)s\nstartsecs=0\npriority={priority}\n"
        )
    };
    let sections =
        format!("{}{}{}{}", program("first", 1), program("middle", 50), program("another", 50), program("last", 900));
    let mut daemon = Daemon::start(subject, &sections);
    daemon.wait_lines("ups", 4);
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    Transcript::of(&daemon).note(daemon.text("order")).log(&daemon, &["stopped:"]).check("shutdown_order");
}

fn the_pidfile_and_the_socket_come_and_go(subject: Subject) {
    let mut daemon = Daemon::start_with(subject, "", "chmod=0770", "");
    assert!(daemon.path("s.sock").exists());
    assert_eq!(fs::metadata(daemon.path("s.sock")).unwrap().permissions().mode() & 0o777, 0o770);
    let text = daemon.text("main.pid");
    assert_eq!(text, format!("{}\n", daemon.pid()));
    assert!(daemon.living().contains(&daemon.pid()));
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    assert!(!daemon.path("s.sock").exists() && !daemon.path("main.pid").exists());
    let names: Vec<_> = fs::read_dir(daemon.dir()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with("s.sock")), "{names:?}");
}

fn a_second_daemon_is_refused(subject: Subject) {
    let mut daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    let configuration = daemon.path("supervisord.conf").display().to_string();
    let pid = daemon.pid();
    let outcome = daemon.supervisord(&["-n", "-s", "-c", &configuration]);
    let mut transcript = Transcript::of(&daemon);
    transcript.outcome("supervisord -n -s, a second time", &outcome);
    let outcome = daemon.supervisord(&["-c", &configuration]);
    transcript.outcome("supervisord, a second time, in the background", &outcome).check("second_daemon");
    daemon.wait_ready();
    assert_eq!(daemon.pid(), pid);
}

fn a_stale_socket_is_taken_over(subject: Subject) {
    let mut daemon = Daemon::folder(subject, "");
    drop(std::os::unix::net::UnixListener::bind(daemon.path("s.sock")).unwrap());
    daemon.run();
    let output = daemon.text("daemon.out");
    let line = output.lines().find(|line| line.contains("stale")).unwrap_or("no word about it");
    Transcript::of(&daemon).note(line).check("stale_socket");
}

fn in_the_background_the_parent_leaves_at_once(subject: Subject) {
    let daemon = Daemon::folder_with(
        subject,
        "directory=/\numask=026",
        "",
        "[program:p]\ncommand=/bin/sh -c 'pwd; umask; exec cat'\nstartsecs=0\nstdout_logfile=%(here)s/p.log\n",
    );
    let configuration = daemon.path("supervisord.conf").display().to_string();
    let outcome = daemon.supervisord(&["-c", &configuration]);
    let mut transcript = Transcript::of(&daemon);
    // As root the original also warns, on the standard error, that it runs as root.
    transcript.note(format!("stdout {:?} code {:?}", outcome.stdout, outcome.code));
    until_true("the daemon to answer", || {
        daemon.call("supervisor.getState", "").is_ok_and(|answer| answer.contains("RUNNING"))
    });
    daemon.wait_lines("p.log", 2);
    let pid = daemon.pid();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    transcript.note(format!("leads its session: {}", fields[3] == pid.to_string()));
    for fd in 0..3 {
        transcript.note(format!("fd {fd}: {}", fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap().display()));
    }
    transcript.note(format!("works in {}", fs::read_link(format!("/proc/{pid}/cwd")).unwrap().display()));
    transcript.note(daemon.text("p.log")).log(&daemon, &["daemonizing", "set current directory", "started with"]);
    transcript.check("background");
    daemon.signal(Signal::SIGTERM);
    daemon.wait_nothing_left();
}

fn the_start_is_logged(subject: Subject) {
    let daemon = Daemon::start(subject, "");
    Transcript::of(&daemon).log(&daemon, &["RPC interface", "Server ", "started with"]).check("start_logged");
    let stamp = daemon.text("main.log").lines().last().unwrap().chars().take(23).collect::<String>();
    let shape: String = stamp.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(shape, "0000-00-00 00:00:00,000");
}

fn silent_and_loud_foreground(subject: Subject) {
    let mut daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\n");
    daemon.wait_text("daemon.out", "spawned: 'p'");
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    let loud = daemon.text("daemon.out");
    assert!(loud.contains("INFO stopped: p") || loud.contains("WARN stopped: p"), "{loud}");

    let mut daemon = Daemon::folder(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\n").arguments(&["-s"]);
    daemon.run();
    daemon.wait_text("main.log", "spawned: 'p'");
    assert!(!daemon.text("daemon.out").contains("spawned"), "{}", daemon.text("daemon.out"));
}
