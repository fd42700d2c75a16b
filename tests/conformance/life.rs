//! The life of a process: start window, retries, exits, restarts, stops.

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;
use crate::wait::until_true;

daemons![
    a_process_is_starting_until_its_start_window_is_over,
    a_program_that_dies_too_early_is_tried_again_and_given_up,
    no_retries_means_fatal_at_once,
    retries_wait_longer_each_time,
    an_unexpected_exit_is_restarted,
    an_expected_exit_is_not_restarted,
    autorestart_true_restarts_every_exit,
    autorestart_false_restarts_nothing,
    exits_are_logged_with_their_cause,
    a_stopped_program_stays_stopped,
    a_program_that_ignores_the_stop_signal_is_killed,
    the_stop_signal_can_be_chosen,
    stopasgroup_reaches_the_grandchildren,
    killasgroup_reaches_the_grandchildren,
    without_them_only_the_child_is_signalled,
    a_start_that_waits_tells_the_end,
    a_program_in_backoff_can_be_stopped,
    a_stop_during_the_start_window_ends_it,
];

fn a_process_is_starting_until_its_start_window_is_over(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:slow]\ncommand=/bin/cat\nstartsecs=2\n[program:at-once]\ncommand=/bin/cat\nstartsecs=0\n",
    );
    daemon.wait_state("slow", "STARTING");
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["status", "slow"]);
    daemon.wait_running(&["slow", "at-once"]);
    transcript.log(&daemon, &["success: slow", "success: at-once"]).check("start_window");
}

fn a_program_that_dies_too_early_is_tried_again_and_given_up(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:short]\ncommand=/bin/sh -c 'echo try >>tries; exit 0'\ndirectory=%(here)s\nstartsecs=20\nstartretries=2\n",
    );
    daemon.wait_state("short", "FATAL");
    Transcript::of(&daemon)
        .note(daemon.text("tries"))
        .ctl(&daemon, &["status"])
        .log(&daemon, &["short"])
        .ctl(&daemon, &["stop", "short"])
        .rpc(&daemon, serde_json::json!([["supervisor.getProcessInfo", ["short"]]]))
        .check("given_up");
}

fn no_retries_means_fatal_at_once(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:gone]\ncommand=/nonexistent\nstartretries=0\n");
    daemon.wait_state("gone", "FATAL");
    Transcript::of(&daemon).ctl(&daemon, &["status"]).log(&daemon, &["gone", "nonexistent"]).check("no_retries");
}

fn retries_wait_longer_each_time(subject: Subject) {
    // %N of date is nanoseconds: three starts, one second and two seconds apart at least.
    let daemon = Daemon::start(
        subject,
        "[program:short]\ncommand=/bin/sh -c 'date +%%s%%N >>tries; exit 1'\ndirectory=%(here)s\nstartsecs=20\nstartretries=2\n",
    );
    daemon.wait_state("short", "FATAL");
    let tries: Vec<u64> = daemon.text("tries").lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(tries.len(), 3);
    let waits: Vec<u64> = tries.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).collect();
    assert!((950..4000).contains(&waits[0]), "{waits:?}");
    assert!((1950..6000).contains(&waits[1]), "{waits:?}");
}

/// Counts its runs in `runs`, then ends as it is told by the words after `case`.
fn counted(ends: &str, keys: &str) -> String {
    format!(
        "[program:p]\ncommand=/bin/sh -c 'echo run >>runs; case $(wc -l <runs) in {ends} esac; exec cat'\n\
         directory=%(here)s\nstartsecs=0\n{keys}\n"
    )
}

fn an_unexpected_exit_is_restarted(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        &counted("1) exit 1;; 2) kill -9 $$;; 3) exit 2;;", "exitcodes=0,2\nautorestart=unexpected"),
    );
    // Between an exit and the restart the state is EXITED too.
    daemon.wait_lines("runs", 3);
    daemon.wait_state("p", "EXITED");
    Transcript::of(&daemon).note(daemon.text("runs")).log(&daemon, &["exited: p"]).check("unexpected_exit");
}

fn an_expected_exit_is_not_restarted(subject: Subject) {
    let daemon = Daemon::start(subject, &counted("1) exit 0;;", ""));
    daemon.wait_state("p", "EXITED");
    Transcript::of(&daemon)
        .note(daemon.text("runs"))
        .rpc(&daemon, serde_json::json!([["supervisor.getProcessInfo", ["p"]]]))
        .check("expected_exit");
}

fn autorestart_true_restarts_every_exit(subject: Subject) {
    let daemon = Daemon::start(subject, &counted("1) exit 0;; 2) exit 5;;", "autorestart=true\nexitcodes=5"));
    daemon.wait_lines("runs", 3);
    daemon.wait_state("p", "RUNNING");
    Transcript::of(&daemon).log(&daemon, &["exited: p"]).check("autorestart_true");
}

fn autorestart_false_restarts_nothing(subject: Subject) {
    let daemon = Daemon::start(subject, &counted("1) exit 9;;", "autorestart=false"));
    daemon.wait_state("p", "EXITED");
    Transcript::of(&daemon)
        .note(daemon.text("runs"))
        .log(&daemon, &["exited: p"])
        .rpc(&daemon, serde_json::json!([["supervisor.getProcessInfo", ["p"]]]))
        .check("autorestart_false");
}

fn exits_are_logged_with_their_cause(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:zero]\ncommand=/bin/sh -c 'exit 0'\nautorestart=false\nstartsecs=0\n\
        [program:seven]\ncommand=/bin/sh -c 'exit 7'\nautorestart=false\nstartsecs=0\n\
        [program:expected]\ncommand=/bin/sh -c 'exit 7'\nexitcodes=7,8\nautorestart=false\nstartsecs=0\n\
        [program:killed]\ncommand=/bin/sh -c 'kill -9 $$'\nautorestart=false\nstartsecs=0\n\
        [program:usr]\ncommand=/bin/sh -c 'kill -USR1 $$'\nautorestart=false\nstartsecs=0\n\
        [program:rt]\ncommand=/bin/sh -c 'kill -34 $$'\nautorestart=false\nstartsecs=0\n\
        [program:early]\ncommand=/bin/sh -c 'exit 0'\nautorestart=false\nstartsecs=30\nstartretries=0\n",
    );
    let mut transcript = Transcript::of(&daemon);
    for name in ["zero", "seven", "expected", "killed", "usr", "rt"] {
        daemon.wait_state(name, "EXITED");
        transcript.log(&daemon, &[&format!("exited: {name} ")]);
    }
    daemon.wait_state("early", "FATAL");
    transcript.log(&daemon, &["exited: early"]).check("exit_causes");
}

fn a_stopped_program_stays_stopped(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nautorestart=true\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    Transcript::of(&daemon)
        .ctl(&daemon, &["stop", "p"])
        .ctl(&daemon, &["status"])
        .log(&daemon, &["stopped: p"])
        .rpc(&daemon, serde_json::json!([["supervisor.getProcessInfo", ["p"]]]))
        .check("stopped");
}

fn a_program_that_ignores_the_stop_signal_is_killed(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:deaf]\ncommand=/bin/sh -c 'trap \"\" TERM; echo up >>deaf.out; while :; do read x; done'\n\
         directory=%(here)s\nstopwaitsecs=1\nstartsecs=0\n",
    );
    daemon.wait_text("deaf.out", "up");
    Transcript::of(&daemon)
        .ctl(&daemon, &["stop", "deaf"])
        .log(&daemon, &["killing 'deaf'", "stopped: deaf"])
        .check("killed");
}

fn the_stop_signal_can_be_chosen(subject: Subject) {
    let mut sections = String::new();
    for (name, signal) in [("int", "INT"), ("quit", "SIGQUIT"), ("usr", "10"), ("hup", "hup")] {
        sections.extend([format!(
            "[program:{name}]\ncommand=/bin/sh -c 'trap \"echo {name} got it >>{name}.out; exit 4\" INT QUIT USR1 HUP TERM; echo up >>{name}.out; while :; do sleep 0.02; done'\n\
             directory=%(here)s\nstopsignal={signal}\nstartsecs=0\nexitcodes=4\n"
        )]);
    }
    let daemon = Daemon::start_with(subject, "loglevel=debug", "", &sections);
    let mut transcript = Transcript::of(&daemon);
    for name in ["int", "quit", "usr", "hup"] {
        daemon.wait_text(&format!("{name}.out"), "up");
        transcript.ctl(&daemon, &["stop", name]).note(daemon.text(&format!("{name}.out")));
        transcript.log(&daemon, &[&format!("stopped: {name}"), &format!("killing {name} ")]);
    }
    transcript.check("stop_signal");
}

/// A child with a grandchild; unless they are deaf, both note a TERM in a file and end.
fn family_folder(subject: Subject, keys: &str, deaf: bool) -> Daemon {
    let sections =
        format!("[program:family]\ncommand=/bin/sh %(here)s/parent.sh\ndirectory=%(here)s\nstartsecs=0\n{keys}\n");
    let mut daemon = Daemon::folder_with(subject, "loglevel=debug", "", &sections);
    let reaction = |name: &str| if deaf { String::new() } else { format!("echo {name} >>family.out; exit 0") };
    let member = |name: &str| {
        format!("trap '{}' TERM\necho {name} up >>family.out\nwhile :; do sleep 0.02; done\n", reaction(name))
    };
    std::fs::write(daemon.path("grandchild.sh"), member("grandchild")).unwrap();
    std::fs::write(
        daemon.path("parent.sh"),
        format!("sh grandchild.sh &\necho $! >grandchild.pid\n{}", member("parent")),
    )
    .unwrap();
    daemon.run();
    daemon.wait_text("family.out", "grandchild up");
    daemon.wait_text("family.out", "parent up");
    daemon
}

fn grandchild_alive(daemon: &Daemon) -> bool {
    let pid: i32 = daemon.text("grandchild.pid").trim().parse().unwrap();
    daemon.living().contains(&pid)
}

fn stopasgroup_reaches_the_grandchildren(subject: Subject) {
    let daemon = family_folder(subject, "stopasgroup=true", false);
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["stop", "family"]);
    daemon.wait_text("family.out", "grandchild\n");
    until_true("the grandchild's end", || !grandchild_alive(&daemon));
    transcript.log(&daemon, &["killing family"]).check("stopasgroup");
}

fn killasgroup_reaches_the_grandchildren(subject: Subject) {
    let daemon = family_folder(subject, "killasgroup=true\nstopwaitsecs=1", true);
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["stop", "family"]);
    until_true("the grandchild's end", || !grandchild_alive(&daemon));
    transcript.log(&daemon, &["killing family", "killing 'family'"]).check("killasgroup");
}

fn without_them_only_the_child_is_signalled(subject: Subject) {
    let daemon = family_folder(subject, "", false);
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["stop", "family"]).note(daemon.text("family.out").lines().last().unwrap());
    assert!(grandchild_alive(&daemon));
    transcript.log(&daemon, &["killing family"]).check("child_only");
}

fn a_start_that_waits_tells_the_end(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:good]\ncommand=/bin/cat\nautostart=false\nstartsecs=1\n\
        [program:bad]\ncommand=/bin/sh -c 'exit 1'\nautostart=false\nstartsecs=1\nstartretries=5\n",
    );
    Transcript::of(&daemon)
        .ctl(&daemon, &["start", "good"])
        .ctl(&daemon, &["start", "bad"])
        .ctl(&daemon, &["start", "bad"])
        .check("start_waits");
}

fn a_program_in_backoff_can_be_stopped(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:bad]\ncommand=/nonexistent\nstartretries=1000\n");
    daemon.wait_state("bad", "BACKOFF");
    Transcript::of(&daemon)
        .ctl(&daemon, &["status", "bad"])
        .ctl(&daemon, &["start", "bad"])
        .ctl(&daemon, &["stop", "bad"])
        .ctl(&daemon, &["stop", "bad"])
        .check("backoff_stopped");
    assert_eq!(daemon.info("bad", "statename").unwrap(), "STOPPED");
}

fn a_stop_during_the_start_window_ends_it(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:slow]\ncommand=/bin/cat\nstartsecs=1000\n");
    daemon.wait_state("slow", "STARTING");
    Transcript::of(&daemon)
        .ctl(&daemon, &["start", "slow"])
        .ctl(&daemon, &["stop", "slow"])
        .ctl(&daemon, &["status", "slow"])
        .log(&daemon, &["stopped: slow", "success: slow"])
        .check("stop_while_starting");
}
