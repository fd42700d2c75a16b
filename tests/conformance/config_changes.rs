//! What counts as a change of a group, key by key.

use std::fmt::Write as _;
use std::fs;

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;

daemons![
    of_two_groups_with_one_name_that_of_the_lower_priority_runs,
    every_key_of_a_program_is_a_change_or_is_none,
    groups_change_with_their_members,
    a_changed_program_is_restarted_and_others_are_left_alone,
    an_include_is_read_again,
    a_broken_configuration_changes_nothing,
];

const BASE: &str = "command=/bin/cat\nstartsecs=0\n";

fn every_key_of_a_program_is_a_change_or_is_none(subject: Subject) {
    let changes = [
        ("nothing", ""),
        ("comment", "; a comment\n"),
        ("unknown-key", "nonsense=1\n"),
        ("command", "command=/bin/cat -u\n"),
        ("priority", "priority=998\n"),
        ("same-priority", "priority=999\n"),
        ("autostart", "autostart=false\n"),
        ("autorestart", "autorestart=true\n"),
        ("same-autorestart", "autorestart=unexpected\n"),
        ("startsecs", "startsecs=1\n"),
        ("startretries", "startretries=9\n"),
        ("exitcodes", "exitcodes=0,3\n"),
        ("stopsignal", "stopsignal=INT\n"),
        ("same-stopsignal", "stopsignal=15\n"),
        ("stopwaitsecs", "stopwaitsecs=9\n"),
        ("stopasgroup", "stopasgroup=true\n"),
        ("killasgroup", "killasgroup=true\n"),
        ("redirect_stderr", "redirect_stderr=true\n"),
        ("stdout_logfile", "stdout_logfile=%(here)s/x.log\n"),
        ("stdout_logfile-none", "stdout_logfile=NONE\n"),
        ("stdout_logfile_maxbytes", "stdout_logfile_maxbytes=1MB\n"),
        ("stdout_logfile_backups", "stdout_logfile_backups=3\n"),
        ("stdout_capture_maxbytes", "stdout_capture_maxbytes=1KB\n"),
        ("stdout_events_enabled", "stdout_events_enabled=true\n"),
        ("stdout_syslog", "stdout_syslog=true\n"),
        ("environment", "environment=A=\"1\"\n"),
        ("directory", "directory=/\n"),
        ("umask", "umask=077\n"),
        ("serverurl", "serverurl=http://x:1\n"),
        ("process_name", "process_name=another\n"),
        ("numprocs", "numprocs=2\nprocess_name=%(program_name)s%(process_num)d\n"),
    ];
    let name = |label: &str| label.replace('_', "-");
    let before: String = changes.iter().fold(String::new(), |mut text, (label, _)| {
        write!(text, "[program:{}]\n{BASE}autostart=true\n", name(label)).unwrap();
        text
    });
    // The programs need not run for this: nothing is started.
    let before = before.replace("autostart=true", "autostart=no");
    let daemon = Daemon::start(subject, &before);
    let after: String = changes.iter().fold(String::new(), |mut text, (label, lines)| {
        let autostart = if *label == "autostart" { "autostart=true" } else { "autostart=no" };
        write!(text, "[program:{}]\n{BASE}{autostart}\n{}", name(label), lines.replace("autostart=false\n", ""))
            .unwrap();
        text
    });
    daemon.rewrite(&after);
    Transcript::of(&daemon).ctl(&daemon, &["reread"]).check("changes_of_programs");
}

fn groups_change_with_their_members(subject: Subject) {
    let program = |name: &str| format!("[program:{name}]\n{BASE}autostart=false\n");
    let all: String = ["a", "b", "c", "d", "e", "f", "g", "h"].iter().map(|name| program(name)).collect();
    let daemon = Daemon::start(
        subject,
        &format!(
            "{all}[group:same]\nprograms=a,b\n[group:order]\nprograms=c,d\n[group:prio]\nprograms=e\n[group:grow]\nprograms=f\n"
        ),
    );
    let mut transcript = Transcript::of(&daemon);
    daemon.rewrite(&format!(
        "{all}[group:same]\nprograms=a,  b\n[group:order]\nprograms=d,c\n[group:prio]\nprograms=e\npriority=1\n[group:grow]\nprograms=f,g\n[group:fresh]\nprograms=h\n"
    ));
    transcript.ctl(&daemon, &["reread"]).ctl(&daemon, &["update"]).ctl(&daemon, &["status"]);
    transcript.check("changes_of_groups");
}

fn a_changed_program_is_restarted_and_others_are_left_alone(subject: Subject) {
    let program = |name: &str, more: &str| format!("[program:{name}]\n{BASE}{more}");
    let daemon =
        Daemon::start(subject, &format!("{}{}{}", program("keep", ""), program("change", ""), program("leave", "")));
    daemon.wait_running(&["keep", "change", "leave"]);
    let (keep, change) = (daemon.process_pid("keep"), daemon.process_pid("change"));
    daemon.rewrite(&format!(
        "{}{}{}",
        program("keep", ""),
        program("change", "stopwaitsecs=3\n"),
        program("fresh", "")
    ));
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["update"]);
    daemon.wait_running(&["keep", "change", "fresh"]);
    assert_eq!(daemon.process_pid("keep"), keep);
    assert_ne!(daemon.process_pid("change"), change);
    transcript.ctl(&daemon, &["status"]).check("update_in_effect");
}

fn an_include_is_read_again(subject: Subject) {
    let mut daemon = Daemon::folder(subject, "[include]\nfiles = conf.d/*.ini conf.d/%(here)s nothing-here.ini\n");
    fs::create_dir(daemon.path("conf.d")).unwrap();
    for name in ["b", "a", "c"] {
        fs::write(daemon.path(&format!("conf.d/{name}.ini")), format!("[program:{name}]\n{BASE}directory=%(here)s\n"))
            .unwrap();
    }
    fs::write(daemon.path("conf.d/.hidden.ini"), format!("[program:hidden]\n{BASE}")).unwrap();
    daemon.run();
    daemon.wait_running(&["a", "b", "c"]);
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["status"]);
    fs::remove_file(daemon.path("conf.d/a.ini")).unwrap();
    fs::write(daemon.path("conf.d/d.ini"), format!("[program:d]\n{BASE}")).unwrap();
    fs::write(daemon.path("conf.d/z.ini"), "[program:c]\nstopwaitsecs=3\n").unwrap();
    transcript.ctl(&daemon, &["update"]);
    daemon.wait_running(&["b", "c", "d"]);
    transcript.ctl(&daemon, &["status"]).check("include");
}

fn a_broken_configuration_changes_nothing(subject: Subject) {
    let daemon = Daemon::start(subject, &format!("[program:p]\n{BASE}"));
    daemon.wait_running(&["p"]);
    let pid = daemon.process_pid("p");
    let mut transcript = Transcript::of(&daemon);
    for broken in ["[program:p]\ncommand=/bin/cat\nstartsecs=x\n", "[program:q]\n", "[group:g]\nprograms=nobody\n"] {
        daemon.rewrite(broken);
        transcript.note(broken).ctl(&daemon, &["reread"]);
        transcript.rpc(&daemon, serde_json::json!([["supervisor.reloadConfig", []]]));
    }
    daemon.rewrite("");
    fs::write(daemon.path("supervisord.conf"), "nonsense\n").unwrap();
    transcript.rpc(&daemon, serde_json::json!([["supervisor.reloadConfig", []]]));
    fs::remove_file(daemon.path("supervisord.conf")).unwrap();
    transcript
        .rpc(&daemon, serde_json::json!([["supervisor.reloadConfig", []], ["supervisor.addProcessGroup", ["q"]]]));
    assert_eq!(daemon.process_pid("p"), pid);
    transcript.check("reread_broken");
}

fn of_two_groups_with_one_name_that_of_the_lower_priority_runs(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:a]\ncommand=/bin/cat\n[program:g]\ncommand=/bin/cat\npriority=5\n\
         [group:g]\nprograms=a\npriority=1\n",
    );
    daemon.wait_running(&["g:a"]);
    let status = daemon.ctl(&["status"]);
    assert_eq!(status.stdout.lines().count(), 1, "{status:?}");
}
