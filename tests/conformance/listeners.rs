//! Events as a listener gets them, and what becomes of its answers.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::daemon::{Daemon, finish};
use crate::subject::{Side, Subject};
use crate::transcript::Transcript;
use crate::wait::until;

daemons![
    changes_of_processes_groups_and_the_daemon_are_told,
    output_is_told,
    blocks_between_tags_are_told,
    what_is_not_ascii_is_counted_in_characters,
    remote_events_are_told,
    remote_events_need_be_no_text,
    ticks_are_told_with_the_slice_that_begins,
    a_rejected_event_is_sent_again,
    an_event_in_the_hand_of_a_dead_listener_is_sent_again,
    who_breaks_the_protocol_gets_no_more_events,
    who_is_not_ready_gets_no_events,
    a_full_buffer_loses_its_oldest_events,
    listeners_of_a_pool_share_the_work,
    listeners_hear_of_the_end_and_go_last,
    a_listener_may_end_the_daemon,
    a_listener_may_not_redirect_its_errors,
    what_listeners_say_is_in_their_log,
    a_pool_is_changed_by_update,
    the_numbers_go_on_over_a_reload,
];

ours_alone![
    len_counts_bytes_where_it_is_asked_for,
    drops_are_counted_and_told_in_few_lines,
    a_rejected_event_stays_in_its_pool,
    an_event_is_told_once_however_often_it_is_subscribed_to,
    the_last_output_is_logged_with_capture_on,
    a_short_line_is_logged_at_once_with_capture_on,
    the_buffer_is_roomy_unless_it_is_set,
    a_program_added_at_run_time_is_heard,
];

/// The script of [`listener`].
const SCRIPT: &str = include_str!("../fixture/listener.py");

/// A section with a listener that writes down what it is told in `events.txt`.
pub(crate) fn listener(name: &str, events: &str, answers: &str, keys: &str) -> String {
    let python = Side::Original.bin().join("python").display().to_string();
    format!(
        "[eventlistener:{name}]\ncommand={python} %(here)s/listener.py %(here)s/events.txt {answers}\nevents={events}\n\
         startsecs=0\n{keys}\n"
    )
}

pub(crate) fn folder(subject: Subject, daemon_keys: &str, sections: &str) -> Daemon {
    let daemon = Daemon::folder_with(subject, daemon_keys, "", sections);
    write_script(daemon.dir());
    daemon
}

pub(crate) fn write_script(folder: &Path) {
    fs::write(folder.join("listener.py"), SCRIPT).unwrap();
}

pub(crate) fn start(subject: Subject, sections: &str) -> Daemon {
    let mut daemon = folder(subject, "", sections);
    daemon.run();
    daemon
}

/// Waits until the listener was told this, so many times.
fn wait_told(daemon: &Daemon, wanted: &str, times: usize) {
    until(&format!("{wanted} {times} times"), || {
        let told = daemon.text("events.txt");
        if told.matches(wanted).count() >= times { Ok(()) } else { Err(told) }
    });
}

/// What the listener was told, pids taken out.
fn told(daemon: &Daemon) -> String {
    let text = daemon.text("events.txt");
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut out = line.to_owned();
        if let Some(at) = out.find("pid:") {
            let digits = out[at + 4..].chars().take_while(char::is_ascii_digit).count();
            let zero = &out[at + 4..at + 4 + digits] == "0";
            // The length of the payload depends on that of the pid.
            let length = out.find(" len:").unwrap();
            let value: usize = out[length + 5..].split(' ').next().unwrap().parse().unwrap();
            let value_end = length + 5 + value.to_string().len();
            out.replace_range(at + 4..at + 4 + digits, if zero { "0" } else { "PID" });
            if !zero {
                out.replace_range(length + 5..value_end, &format!("{}+pid", value - digits));
            }
        }
        lines.push(out);
    }
    lines.join("\n")
}

fn remote(daemon: &Daemon, kind: &str, data: &str) {
    let params = format!(
        "<param><value><string>{kind}</string></value></param><param><value><string>{data}</string></value></param>"
    );
    let answer = daemon.call("supervisor.sendRemoteCommEvent", &params).unwrap();
    assert!(answer.contains("<boolean>1</boolean>"), "{answer}");
}

fn changes_of_processes_groups_and_the_daemon_are_told(subject: Subject) {
    let events = "PROCESS_STATE,PROCESS_GROUP,SUPERVISOR_STATE_CHANGE";
    let sections = listener("l", events, "", "buffer_size=100")
        + "[program:steady]\ncommand=/bin/cat\nstartsecs=0\nautostart=false\n\
           [program:good]\ncommand=/bin/sh -c 'exit 0'\nstartsecs=0\nautostart=false\nautorestart=false\n\
           [program:bad]\ncommand=/bin/sh -c 'exit 3'\nstartsecs=0\nautostart=false\nautorestart=false\n\
           [program:hasty]\ncommand=/bin/sh -c 'exit 0'\nstartsecs=1\nstartretries=1\nautostart=false\n\
           [program:missing]\ncommand=/no/such/file\nautostart=false\nstartretries=0\n\
           [program:a]\ncommand=/bin/cat\nautostart=false\n[program:b]\ncommand=/bin/cat\nautostart=false\n\
           [group:g]\nprograms=a,b\n";
    let daemon = start(subject, &sections);
    wait_told(&daemon, "processname:l groupname:l from_state:STARTING", 1);
    for (words, wanted, times) in [
        (&["start", "steady"][..], "processname:steady groupname:steady from_state:STARTING", 1),
        (&["stop", "steady"], "processname:steady groupname:steady from_state:STOPPING", 1),
        (&["start", "good"], "processname:good groupname:good from_state:RUNNING", 1),
        (&["start", "bad"], "processname:bad groupname:bad from_state:RUNNING", 1),
        (&["start", "hasty"], "processname:hasty groupname:hasty from_state:BACKOFF", 2),
        (&["start", "missing"], "processname:missing groupname:missing", 0),
        (&["remove", "g"], "PROCESS_GROUP_REMOVED", 1),
        (&["add", "g"], "PROCESS_GROUP_ADDED len:12 | 'groupname:g", 2),
    ] {
        daemon.ctl(words);
        wait_told(&daemon, wanted, times);
    }
    Transcript::of(&daemon).note(told(&daemon)).check("listeners_changes");
}

fn output_is_told(subject: Subject) {
    let program = "/bin/sh -c 'while read word; do printf \"%s\\n\" \"$word\"; printf \"not %s\" \"$word\" >&2; done'";
    let sections = listener("l", "PROCESS_LOG", "", "")
        + &format!(
            "[program:p]\ncommand={}\nstartsecs=0\nstdout_events_enabled=true\nstderr_events_enabled=true\n\
             stdout_logfile=%(here)s/p.log\n\
             [program:silent]\ncommand=/bin/sh -c 'echo nobody hears this; exec cat'\nstartsecs=0\n",
            program.replace('%', "%%")
        );
    let daemon = start(subject, &sections);
    daemon.wait_running(&["l", "p"]);
    for (at, word) in ["one", "two"].into_iter().enumerate() {
        let params = format!(
            "<param><value><string>p</string></value></param><param><value><string>{word}\n</string></value></param>"
        );
        daemon.call("supervisor.sendProcessStdin", &params).unwrap();
        wait_told(&daemon, "PROCESS_LOG_STDERR", at + 1);
        wait_told(&daemon, "PROCESS_LOG_STDOUT", at + 1);
    }
    daemon.wait_text("p.log", "two\n");
    let mut lines: Vec<_> =
        told(&daemon).lines().map(|line| line.split(" eventname:").nth(1).unwrap().to_owned()).collect();
    lines.sort();
    Transcript::of(&daemon).note(lines.join("\n")).note(daemon.text("p.log")).check("listeners_output");
}

fn blocks_between_tags_are_told(subject: Subject) {
    let program = "before the block <!--XSUPERVISOR:BEGIN-->inside of the block<!--XSUPERVISOR:END--> behind the block, in the log\\n";
    let sections = listener("l", "PROCESS_COMMUNICATION", "", "")
        + &format!(
            "[program:p]\ncommand=/bin/sh -c 'printf \"{program}\"; printf \"{program}\" >&2; exec cat'\nstartsecs=0\n\
             stdout_capture_maxbytes=1MB\nstderr_capture_maxbytes=10\nstdout_logfile=%(here)s/p.log\n\
             stderr_logfile=%(here)s/p.err\n"
        );
    let daemon = start(subject, &sections);
    wait_told(&daemon, "PROCESS_COMMUNICATION_STDOUT", 1);
    wait_told(&daemon, "PROCESS_COMMUNICATION_STDERR", 1);
    daemon.wait_text("p.log", "in the log\n");
    daemon.wait_text("p.err", "in the log\n");
    let mut lines: Vec<_> =
        told(&daemon).lines().map(|line| line.split(" eventname:").nth(1).unwrap().to_owned()).collect();
    lines.sort();
    Transcript::of(&daemon)
        .note(lines.join("\n"))
        .note(daemon.text("p.log"))
        .note(daemon.text("p.err"))
        .check("listeners_blocks");
}

fn what_is_not_ascii_is_counted_in_characters(subject: Subject) {
    let sections = listener("l", "PROCESS_LOG_STDOUT,REMOTE_COMMUNICATION", "", "")
        + "[program:p]\ncommand=/bin/sh -c 'printf \"\\303\\251t\\303\\251 \\342\\202\\254\\n\"; read go; printf \"\\377\\376x\\n\"; exec cat'\n\
           startsecs=0\nstdout_events_enabled=true\nstdout_logfile=%(here)s/p.log\n";
    let daemon = start(subject, &sections);
    wait_told(&daemon, "PROCESS_LOG_STDOUT", 1);
    let params = "<param><value><string>p</string></value></param><param><value><string>go\n</string></value></param>";
    daemon.call("supervisor.sendProcessStdin", params).unwrap();
    wait_told(&daemon, "PROCESS_LOG_STDOUT", 2);
    remote(&daemon, "größe", "naïve ☃");
    wait_told(&daemon, "REMOTE_COMMUNICATION", 1);
    Transcript::of(&daemon).note(told(&daemon)).check("listeners_characters");
}

fn remote_events_are_told(subject: Subject) {
    let daemon = start(subject, &listener("l", "REMOTE_COMMUNICATION", "", ""));
    daemon.wait_running(&["l"]);
    remote(&daemon, "kind", "data of it");
    remote(&daemon, "", "");
    let lines = "two\nlines";
    remote(&daemon, "kind", lines);
    wait_told(&daemon, "REMOTE_COMMUNICATION", 3);
    Transcript::of(&daemon).note(told(&daemon)).check("listeners_remote");
}

fn remote_events_need_be_no_text(subject: Subject) {
    let daemon = start(subject, &listener("l", "REMOTE_COMMUNICATION", "", "buffer_size=100"));
    let values = [
        "<int>-5</int>",
        "<boolean>1</boolean>",
        "<double>1e20</double>",
        "<double>2</double>",
        "<dateTime.iso8601>20240102T03:04:05</dateTime.iso8601>",
        "<array><data><value><string>it's</string></value><value><double>0.1</double></value></data></array>",
        "<struct><member><name>a</name><value><boolean>0</boolean></value></member></struct>",
    ];
    for value in values {
        let param = format!("<param><value>{value}</value></param>");
        let answer = daemon.call("supervisor.sendRemoteCommEvent", &format!("{param}{param}")).unwrap();
        assert!(answer.contains("<boolean>1</boolean>"), "{answer}");
    }
    wait_told(&daemon, "REMOTE_COMMUNICATION", values.len());
    Transcript::of(&daemon).note(told(&daemon)).check("listeners_remote_values");
}

fn ticks_are_told_with_the_slice_that_begins(subject: Subject) {
    let daemon = start(subject, &listener("l", "TICK", "", ""));
    wait_told(&daemon, "TICK_5", 2);
    let text = daemon.text("events.txt");
    let whens: Vec<u64> = text
        .lines()
        .filter(|line| line.contains("eventname:TICK_5 len:15 | 'when:"))
        .map(|line| line.rsplit(':').next().unwrap().trim_end_matches('\'').parse().unwrap())
        .collect();
    assert_eq!((whens[0] % 5, whens[1]), (0, whens[0] + 5), "{text}");
}

fn a_rejected_event_is_sent_again(subject: Subject) {
    let daemon = start(subject, &listener("l", "REMOTE_COMMUNICATION", "fail fail", ""));
    daemon.wait_running(&["l"]);
    remote(&daemon, "first", "");
    wait_told(&daemon, "first", 3);
    remote(&daemon, "second", "");
    wait_told(&daemon, "second", 1);
    Transcript::of(&daemon).note(told(&daemon)).log(&daemon, &["event was"]).check("listeners_rejected");
}

fn an_event_in_the_hand_of_a_dead_listener_is_sent_again(subject: Subject) {
    // Each incarnation dies once it has noted the file that the one before left.
    let sections = listener("l", "REMOTE_COMMUNICATION", "die", "autorestart=true");
    let daemon = start(subject, &sections);
    daemon.wait_running(&["l"]);
    remote(&daemon, "once more", "");
    wait_told(&daemon, "once more", 3);
    let lines = told(&daemon);
    let first: Vec<&str> = lines.lines().take(3).collect();
    Transcript::of(&daemon).note(first.join("\n")).check("listeners_dead");
}

fn who_breaks_the_protocol_gets_no_more_events(subject: Subject) {
    let sections = listener("l", "REMOTE_COMMUNICATION", "ok garbage", "")
        + &listener("chatty", "REMOTE_COMMUNICATION", "chatter", "").replace("events.txt", "chatty.txt");
    let daemon = start(subject, &sections);
    daemon.wait_running(&["l", "chatty"]);
    for kind in ["first", "second", "third"] {
        remote(&daemon, kind, "");
        let wanted = if kind == "third" { "second" } else { kind };
        wait_told(&daemon, wanted, 1);
    }
    daemon.wait_text("main.log", "l: has entered the UNKNOWN state");
    daemon.wait_text("main.log", "chatty: has entered the UNKNOWN state");
    let mut log = daemon.log_lines(&["UNKNOWN", "bad result"]);
    log.sort();
    daemon.wait_running(&["l", "chatty"]);
    Transcript::of(&daemon)
        .note(told(&daemon))
        .note(daemon.text("chatty.txt"))
        .note(log.join("\n"))
        .check("listeners_unknown");
}

fn who_is_not_ready_gets_no_events(subject: Subject) {
    let daemon = start(subject, &listener("l", "REMOTE_COMMUNICATION", "mute:%(here)s/go", ""));
    daemon.wait_running(&["l"]);
    remote(&daemon, "early", "");
    assert_eq!(daemon.text("events.txt"), "");
    fs::write(daemon.path("go"), "").unwrap();
    wait_told(&daemon, "early", 1);
    Transcript::of(&daemon).note(told(&daemon)).check("listeners_mute");
}

fn a_full_buffer_loses_its_oldest_events(subject: Subject) {
    let daemon = start(subject, &listener("l", "REMOTE_COMMUNICATION", "mute:%(here)s/go", "buffer_size=3"));
    daemon.wait_running(&["l"]);
    for number in 0..10 {
        remote(&daemon, &format!("number {number}"), "");
    }
    daemon.wait_text("main.log", "pool l event buffer overflowed, discarding event 0");
    fs::write(daemon.path("go"), "").unwrap();
    wait_told(&daemon, "number 9", 1);
    Transcript::of(&daemon).note(told(&daemon)).check("listeners_overflow");
}

fn listeners_of_a_pool_share_the_work(subject: Subject) {
    let answers = "until:%(here)s/go";
    let keys = "numprocs=2\nprocess_name=%(program_name)s%(process_num)d\n";
    let daemon = start(subject, &listener("l", "REMOTE_COMMUNICATION", answers, keys));
    daemon.wait_running(&["l:l0", "l:l1"]);
    for kind in ["first", "second", "third"] {
        remote(&daemon, kind, "");
    }
    wait_told(&daemon, "second", 1);
    wait_told(&daemon, "first", 1);
    assert!(!daemon.text("events.txt").contains("third"), "both are busy");
    fs::write(daemon.path("go"), "").unwrap();
    wait_told(&daemon, "third", 1);
    let text = told(&daemon);
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    Transcript::of(&daemon).note(lines.join("\n")).check("listeners_shared");
}

fn listeners_hear_of_the_end_and_go_last(subject: Subject) {
    let slow = "/bin/sh -c 'trap \"while [ ! -e go ]; do sleep 0.05; done; exit 0\" TERM; touch ready; while :; do sleep 0.05; done'";
    let sections = listener("l", "SUPERVISOR_STATE_CHANGE,PROCESS_STATE_STOPPING", "", "")
        + &format!("[program:slow]\ncommand={slow}\ndirectory=%(here)s\nstartsecs=0\nstopwaitsecs=60\n");
    let mut daemon = start(subject, &sections);
    daemon.wait_text("events.txt", "SUPERVISOR_STATE_CHANGE_RUNNING");
    until("the program", || if daemon.path("ready").exists() { Ok(()) } else { Err("not ready".to_owned()) });
    daemon.signal(Signal::SIGTERM);
    daemon.wait_text("events.txt", "processname:slow");
    let text = told(&daemon);
    fs::write(daemon.path("go"), "").unwrap();
    daemon.wait_end();
    Transcript::of(&daemon).note(text).log(&daemon, &["stopped:"]).check("listeners_end");
}

fn a_listener_may_end_the_daemon(subject: Subject) {
    // The recipe of many container images.
    let script = "while echo READY; do read line; kill -15 $PPID; printf 'RESULT 2\\nOK'; done\n";
    let sections = "[eventlistener:fatal]\ncommand=/bin/sh %(here)s/fatal.sh\nevents=PROCESS_STATE_FATAL\n\
        [program:p]\ncommand=/bin/cat\nstartsecs=0\n\
        [program:missing]\ncommand=/bin/sh -c 'exit 1'\nstartretries=0\n";
    let mut daemon = Daemon::folder(subject, sections);
    fs::write(daemon.path("fatal.sh"), script).unwrap();
    daemon.launch();
    let status = daemon.wait_end();
    assert_eq!(status.code(), Some(0));
    daemon.wait_nothing_left();
    let log = daemon.log_lines(&["SIGTERM indicating", "stopped: p"]);
    assert_eq!(log.len(), 2, "{log:?}");
}

fn a_listener_may_not_redirect_its_errors(subject: Subject) {
    let daemon = folder(subject, "", &listener("l", "TICK_5", "", "redirect_stderr=true"));
    let refusal = daemon.refusal(&daemon.path("supervisord.conf")).unwrap();
    assert_eq!(refusal.code, Some(2));
    assert!(refusal.stderr.contains("redirect_stderr=true but this is not allowed"), "{refusal:?}");
}

fn what_listeners_say_is_in_their_log(subject: Subject) {
    let daemon = start(subject, &listener("l", "REMOTE_COMMUNICATION", "", "stdout_logfile=%(here)s/l.log"));
    daemon.wait_running(&["l"]);
    remote(&daemon, "kind", "");
    daemon.wait_text("l.log", "READY\nRESULT 2\nOKREADY\n");
    assert_eq!(daemon.text("l.log"), "READY\nRESULT 2\nOKREADY\n");
    let tail = daemon.ctl(&["tail", "l"]);
    assert_eq!(tail.stdout.trim_end(), "READY\nRESULT 2\nOKREADY", "{tail:?}");
}

fn a_pool_is_changed_by_update(subject: Subject) {
    let daemon = start(subject, &listener("l", "REMOTE_COMMUNICATION", "", ""));
    daemon.wait_running(&["l"]);
    let mut transcript = Transcript::of(&daemon);
    let other = "[program:p]\ncommand=/bin/cat\nstartsecs=0\n";
    for (round, sections) in [
        listener("l", "REMOTE_COMMUNICATION", "", "buffer_size=7"),
        listener("l", "REMOTE_COMMUNICATION,TICK_3600", "", "buffer_size=7") + other,
        other.to_owned() + &listener("m", "REMOTE_COMMUNICATION", "", ""),
        other.to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        daemon.rewrite(&sections);
        transcript.ctl(&daemon, &["reread"]).ctl(&daemon, &["update"]);
        let listener = if sections.contains(":m]") { "m" } else { "l" };
        if sections.contains("eventlistener") {
            daemon.wait_running(&[listener]);
            remote(&daemon, &format!("round {round} for {listener}"), "");
            // What waits for a pool goes with it, and the next round may remove it.
            wait_told(&daemon, &format!("round {round} for {listener}"), 1);
        }
    }
    transcript.check("listeners_update");
}

fn the_numbers_go_on_over_a_reload(subject: Subject) {
    let daemon = start(subject, &listener("l", "SUPERVISOR_STATE_CHANGE_RUNNING,REMOTE_COMMUNICATION", "", ""));
    wait_told(&daemon, "SUPERVISOR_STATE_CHANGE_RUNNING", 1);
    remote(&daemon, "kind", "");
    wait_told(&daemon, "REMOTE_COMMUNICATION", 1);
    daemon.ctl(&["reload"]);
    wait_told(&daemon, "SUPERVISOR_STATE_CHANGE_RUNNING", 2);
    Transcript::of(&daemon).note(told(&daemon)).check("listeners_reload");
}

fn len_counts_bytes_where_it_is_asked_for(subject: Subject) {
    let sections = listener("l", "REMOTE_COMMUNICATION", "bytes", "len_in_bytes=true");
    let daemon = start(subject, &sections);
    daemon.wait_running(&["l"]);
    remote(&daemon, "größe", "☃");
    remote(&daemon, "second", "");
    wait_told(&daemon, "second", 1);
    assert!(daemon.text("events.txt").contains("len:16 | 'type:größe\\n☃'"), "{}", daemon.text("events.txt"));
}

fn drops_are_counted_and_told_in_few_lines(subject: Subject) {
    let daemon = start(subject, &listener("l", "REMOTE_COMMUNICATION", "mute:%(here)s/go", "buffer_size=3"));
    daemon.wait_running(&["l"]);
    for number in 0..10 {
        remote(&daemon, &format!("number {number}"), "");
    }
    let galaxyctl = |words: &[&str]| {
        let socket = format!("unix://{}", daemon.path("s.sock").display());
        let mut command = daemon.command(Path::new(env!("CARGO_BIN_EXE_galaxyctl")));
        finish(command.args(["-s", &socket]).args(words), daemon.dir(), None)
    };
    let hint = "galaxyctl: l: 7 events were dropped; its listeners are too slow, or buffer_size=3 is too small\n";
    assert_eq!(galaxyctl(&["status"]).stderr, hint);
    let document: serde_json::Value = serde_json::from_str(&galaxyctl(&["status", "--json"]).stdout).unwrap();
    let pool = serde_json::json!({
        "name": "l", "buffer_size": 3, "waiting": 3, "dropped": 7, "processed": 0, "requeued": 0, "renewed": 0
    });
    assert_eq!(document["listener_pools"], serde_json::json!([pool]));
    assert_eq!(daemon.ctl(&["status"]).stderr, "", "scripts written for supervisorctl see what they know");
    daemon.wait_text("main.log", "discarded 6 more events in the last 10 seconds (serials 1 to 6)");
    assert_eq!(daemon.log_lines(&["overflowed"]).len(), 2);
}

fn a_rejected_event_stays_in_its_pool(subject: Subject) {
    let sections = listener("l", "REMOTE_COMMUNICATION", "fail", "")
        + &listener("other", "TICK_3600", "", "").replace("events.txt", "other.txt");
    let daemon = start(subject, &sections);
    daemon.wait_running(&["l", "other"]);
    remote(&daemon, "first", "");
    remote(&daemon, "second", "");
    wait_told(&daemon, "second", 1);
    assert_eq!(daemon.text("other.txt"), "");
}

fn an_event_is_told_once_however_often_it_is_subscribed_to(subject: Subject) {
    let daemon = start(subject, &listener("l", "EVENT,REMOTE_COMMUNICATION", "", ""));
    daemon.wait_running(&["l"]);
    remote(&daemon, "first", "");
    remote(&daemon, "second", "");
    wait_told(&daemon, "second", 1);
    assert_eq!(daemon.text("events.txt").matches("first").count(), 1);
}

fn the_last_output_is_logged_with_capture_on(subject: Subject) {
    let sections = "[program:p]\ncommand=/bin/sh -c 'printf end'\nstartsecs=0\nautorestart=false\n\
        stdout_capture_maxbytes=1MB\nstdout_logfile=%(here)s/p.log\n\
        [program:open]\ncommand=/bin/sh -c 'printf \"<!--XSUPERVISOR:BEGIN-->never closed\"'\nstartsecs=0\n\
        autorestart=false\nstdout_capture_maxbytes=1MB\nstdout_logfile=%(here)s/open.log\n";
    let daemon = start(subject, sections);
    daemon.wait_text("p.log", "end");
    daemon.wait_text("open.log", "never closed");
}

fn a_short_line_is_logged_at_once_with_capture_on(subject: Subject) {
    let sections = "[program:p]\ncommand=/bin/sh -c 'echo short; exec cat'\nstartsecs=0\n\
        stdout_capture_maxbytes=1MB\nstdout_logfile=%(here)s/p.log\n";
    let daemon = start(subject, sections);
    daemon.wait_text("p.log", "short\n");
}

fn the_buffer_is_roomy_unless_it_is_set(subject: Subject) {
    let daemon = start(subject, &listener("l", "REMOTE_COMMUNICATION", "mute:%(here)s/go", ""));
    daemon.wait_running(&["l"]);
    for number in 0..100 {
        remote(&daemon, &format!("number {number}"), "");
    }
    fs::write(daemon.path("go"), "").unwrap();
    wait_told(&daemon, "number 99", 1);
    assert_eq!(daemon.text("events.txt").lines().count(), 100);
}

fn a_program_added_at_run_time_is_heard(subject: Subject) {
    let sections = listener("l", "PROCESS_LOG", "", "")
        + "[rpcinterface:twiddler]\nsupervisor.rpcinterface_factory = supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface\n\
           [program:p]\ncommand=/bin/cat\nautostart=false\n[group:g]\nprograms=p\n";
    let daemon = start(subject, &sections);
    daemon.wait_running(&["l"]);
    let string = |text: &str| format!("<param><value><string>{text}</string></value></param>");
    let member = |name: &str, value: &str| {
        format!("<member><name>{name}</name><value><string>{value}</string></value></member>")
    };
    let options =
        [("command", "/bin/sh -c 'echo heard; exec cat'"), ("stdout_events_enabled", "true"), ("startsecs", "0")];
    let options: String = options.iter().map(|(name, value)| member(name, value)).collect();
    let options = format!("<param><value><struct>{options}</struct></value></param>");
    let answer = daemon.call("twiddler.addProgramToGroup", &(string("g") + &string("new") + &options)).unwrap();
    assert!(answer.contains("<boolean>1</boolean>"), "{answer}");
    wait_told(&daemon, "channel:stdout\\nheard", 1);
}
