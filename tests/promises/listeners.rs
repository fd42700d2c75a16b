//! kill -9 of the worker with listeners at work: each event arrives once, in order, whole.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::process::Command;
use std::time::Instant;

use galaxyd::sys::pipe;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::daemon::Daemon;
use crate::household::worker_of;
use crate::notice::tell;
use crate::subject::Subject;
use crate::wait::until;

const SCRIPT: &str = include_str!("../fixture/listener.py");

const KILLS: usize = 30;

const EVENTS: usize = 10_000;

/// However long the kills take, the buffer of 20,000 holds what comes meanwhile.
const BUFFERED_MAX: usize = 15_000;

/// A daemon with a listener that writes down what it is told; `None` without Python.
fn daemon(listener_keys: &str, sections: &str) -> Option<Daemon> {
    daemon_with("", listener_keys, sections)
}

/// The same with a listener that gives these answers first.
fn daemon_with(answers: &str, listener_keys: &str, sections: &str) -> Option<Daemon> {
    if !Command::new("python3").arg("--version").status().is_ok_and(|status| status.success()) {
        tell("could not run: no python3 for a listener");
        return None;
    }
    let listener = format!(
        "[eventlistener:l]\ncommand=python3 %(here)s/listener.py %(here)s/events.txt {answers}\nstartsecs=0\n{listener_keys}"
    );
    let mut daemon = Daemon::folder(Subject::GALAXYD, &(listener + sections));
    fs::write(daemon.path("listener.py"), SCRIPT).unwrap();
    daemon.run();
    // Until it executes its command, a new child looks like a worker to those who want to kill one.
    let names: Vec<&str> = ["l", "talker", "p", "flood", "slow", "p0", "p1", "p2", "p3", "p4"]
        .into_iter()
        .filter(|name| daemon.info(name, "pid").is_ok())
        .collect();
    for name in names {
        daemon.wait_state(name, "RUNNING");
        until("its command", || {
            let pid = daemon.process_pid(name);
            let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            if command.starts_with("galaxyd") { Err(command) } else { Ok(()) }
        });
    }
    Some(daemon)
}

/// A program that says numbered blocks until it is told that it is enough, or as many as it is told.
fn talker(times: usize, pause: &str) -> String {
    let mut script = String::from("i=0; ");
    write!(script, "while [ ! -e %(here)s/enough ] && [ $i -lt {times} ]; do i=$((i+1)); ").unwrap();
    write!(script, "printf \"<!--XSUPERVISOR:BEGIN-->block $i<!--XSUPERVISOR:END-->\"; {pause} done; ").unwrap();
    script += "echo $i > %(here)s/count.tmp; mv %(here)s/count.tmp %(here)s/count; exec sleep 1000";
    format!(
        "[program:talker]\ncommand=sh -c '{}'\nstartsecs=0\nstdout_capture_maxbytes=1MB\nstdout_logfile=%(here)s/talker.log\n",
        script.replace('%', "%%").replace("%%(here)s", "%(here)s")
    )
}

/// Waits for the last block; every one must have come once, in order.
fn assert_all_blocks(daemon: &Daemon) -> usize {
    let count: usize =
        until("the program", || daemon.text("count").trim().parse().map_err(|_| "it still talks".to_string()));
    let last = format!("block {count}'\n");
    let mut seen = 0;
    let mut text = String::new();
    // As long as events come, they are waited for: how many there are depends on how long the kills took.
    while !text.ends_with(&last) {
        text = until("a further event", || {
            let length = fs::metadata(daemon.path("events.txt")).map_or(0, |file| file.len());
            if length > seen {
                Ok(daemon.text("events.txt"))
            } else {
                Err(format!("{length} bytes, {count} events are to come"))
            }
        });
        seen = text.len() as u64;
    }
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        assert!(line.contains(&format!(" serial:{at} pool:l poolserial:{at} ")), "{number}: {line}");
        assert!(line.ends_with(&format!("\\nblock {number}'")), "{number}: {line}");
    }
    assert_eq!(text.lines().count(), count);
    count
}

fn kill_worker(daemon: &Daemon) {
    let keeper = daemon.pid();
    let worker = worker_of(keeper);
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    until("a successor", || {
        if worker_of(keeper) == worker {
            return Err("the old worker".to_string());
        }
        daemon.call("supervisor.getState", "").map(drop)
    });
}

#[test]
fn kills_of_the_worker_neither_lose_nor_double_an_event() {
    let Some(daemon) = daemon(
        "events=PROCESS_COMMUNICATION\nbuffer_size=20000\n",
        &talker(BUFFERED_MAX, "[ $((i % 20)) != 0 ] || sleep 0.01;"),
    ) else {
        return;
    };
    daemon.wait_state("talker", "RUNNING");
    let listener = daemon.process_pid("l");
    for _ in 0..KILLS {
        kill_worker(&daemon);
    }
    fs::write(daemon.path("enough"), "").unwrap();
    let count = assert_all_blocks(&daemon);
    assert_eq!(daemon.process_pid("l"), listener, "the listener goes on");
    let complaints = daemon.log_lines(&["UNKNOWN", "waiting for an answer", "were lost", "bug:"]);
    assert!(complaints.is_empty(), "{complaints:?}");
    eprintln!("{count} events through {KILLS} kills");
}

#[test]
fn an_event_larger_than_any_pipe_arrives_whole_over_kills_of_the_worker() {
    let size = 3_000_000;
    let program = format!(
        "[program:p]\ncommand=python3 -c 'import sys; sys.stdout.write(\"<!--XSUPERVISOR:BEGIN-->\" + \"x\" * {size} + \
         \"<!--XSUPERVISOR:END-->\"); sys.stdout.flush(); input()'\nstartsecs=0\nstdout_capture_maxbytes=5MB\n"
    );
    let Some(daemon) = daemon("events=PROCESS_COMMUNICATION\nbuffer_size=20000\n", &program) else { return };
    let listener = daemon.process_pid("l");
    // The listener is held while its pipe is full.
    kill(Pid::from_raw(listener), Signal::SIGSTOP).unwrap();
    for _ in 0..5 {
        kill_worker(&daemon);
    }
    kill(Pid::from_raw(listener), Signal::SIGCONT).unwrap();
    let text = until("the event", || {
        let text = daemon.text("events.txt");
        if text.ends_with('\n') { Ok(text) } else { Err(format!("{} bytes", text.len())) }
    });
    assert_eq!(text.matches('x').count(), size);
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn ten_thousand_events_go_through_one_listener() {
    let Some(daemon) = daemon("events=PROCESS_COMMUNICATION\nbuffer_size=20000\n", &talker(EVENTS, "")) else { return };
    let begin = Instant::now();
    let count = assert_all_blocks(&daemon);
    assert_eq!(count, EVENTS);
    eprintln!("{count} events in {:?}", begin.elapsed());
}

#[test]
fn a_program_that_floods_the_listeners_delays_no_answer() {
    let flood = "[program:flood]\ncommand=sh -c 'exec yes'\nstdout_events_enabled=true\nstartsecs=0\n\
                 stdout_logfile=%(here)s/flood.log\n";
    let Some(daemon) = daemon("events=PROCESS_LOG\nbuffer_size=10\n", flood) else { return };
    daemon.wait_text("events.txt", "PROCESS_LOG");
    let begin = Instant::now();
    for _ in 0..20 {
        daemon.call("supervisor.getState", "").unwrap();
    }
    eprintln!("20 answers in {:?}", begin.elapsed());
    assert!(begin.elapsed().as_secs() < 20);
}

#[test]
fn a_shutdown_tells_a_listener_under_the_successor() {
    let slow = "[program:slow]\ncommand=sh -c 'trap \"\" TERM; touch %(here)s/ready; while [ ! -e %(here)s/enough ]; do sleep 0.02; done'\n\
                startsecs=0\nstopwaitsecs=1000\n";
    let Some(mut daemon) = daemon("events=SUPERVISOR_STATE_CHANGE,PROCESS_STATE_STOPPED\n", slow) else { return };
    until("the program", || if daemon.path("ready").exists() { Ok(()) } else { Err("not ready".to_string()) });
    daemon.call("supervisor.shutdown", "").unwrap();
    kill_worker(&daemon);
    daemon.wait_text("events.txt", "SUPERVISOR_STATE_CHANGE_STOPPING");
    fs::write(daemon.path("enough"), "").unwrap();
    assert_eq!(daemon.wait_end().code(), Some(0));
    assert_eq!(daemon.text("events.txt").matches("SUPERVISOR_STATE_CHANGE_STOPPING").count(), 1);
}

/// Programs in groups of their own, so that they are stopped one after the other.
fn programs(count: usize) -> String {
    let section = |at| format!("[program:p{at}]\ncommand=sleep 1000\nstartsecs=0\npriority={at}\n");
    (0..count).map(section).collect::<Vec<_>>().concat()
}

const STOPS: &str = "events=PROCESS_STATE_STOPPING,PROCESS_STATE_STOPPED\n";

#[test]
fn the_last_events_reach_their_listener() {
    let Some(mut daemon) = daemon(STOPS, &programs(5)) else { return };
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end().code(), Some(0));
    let events = daemon.text("events.txt");
    for at in 0..5 {
        for event in ["STOPPING", "STOPPED"] {
            let told = |line: &&str| {
                line.contains(&format!("eventname:PROCESS_STATE_{event} "))
                    && line.contains(&format!("processname:p{at} "))
            };
            assert_eq!(events.lines().filter(told).count(), 1, "p{at} {event}:\n{events}");
        }
    }
}

#[test]
fn what_waits_for_a_listener_at_the_end_is_heard_while_it_answers() {
    let Some(mut daemon) = daemon_with("until:%(here)s/enough", STOPS, &programs(3)) else { return };
    daemon.call("supervisor.stopProcess", "<param><value><string>p0</string></value></param>").unwrap();
    daemon.wait_text("events.txt", "STOPPING");
    daemon.signal(Signal::SIGTERM);
    daemon.wait_text("main.log", "stopped: p1");
    fs::write(daemon.path("enough"), "").unwrap();
    assert_eq!(daemon.wait_end().code(), Some(0));
    let events = daemon.text("events.txt");
    for at in 0..3 {
        assert!(events.contains(&format!("processname:p{at} ")), "{events}");
    }
    assert!(events.lines().count() >= 6, "{events}");
}

#[test]
fn a_listener_that_does_not_answer_delays_the_end_by_a_second() {
    let Some(mut daemon) = daemon_with("until:%(here)s/never", STOPS, &programs(2)) else { return };
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end().code(), Some(0));
    let lines = daemon.log_lines(&["stopped: "]);
    let names: Vec<&str> = lines.iter().filter_map(|line| line.split("stopped: ").nth(1)).collect();
    assert_eq!(names.len(), 3, "{lines:?}");
    assert!(names[2].starts_with("l "), "the listener is the last: {lines:?}");
}

/// A listener that is told of what the program `p` says, and `p` with these keys.
fn heard(keys: &str) -> Option<Daemon> {
    let interface = "[rpcinterface:twiddler]\nsupervisor.rpcinterface_factory = supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface\n";
    daemon("events=PROCESS_LOG,PROCESS_COMMUNICATION\n", &format!("[program:p]\nstartsecs=0\n{keys}{interface}"))
}

#[test]
fn output_of_added_programs_is_told() {
    let Some(daemon) = heard("command=sleep 1000\n") else { return };
    let options = "<struct><member><name>command</name><value>sh -c 'echo added; exec sleep 1000'</value></member>\
                   <member><name>stdout_events_enabled</name><value>true</value></member></struct>";
    let parameters = format!(
        "<param><value>p</value></param><param><value>x</value></param><param><value>{options}</value></param>"
    );
    daemon.call("twiddler.addProgramToGroup", &parameters).unwrap();
    daemon.wait_text("events.txt", "processname:x groupname:p");
}

#[test]
fn a_block_that_a_former_child_left_open_swallows_no_output_of_a_later_one() {
    let later = "[program:later]\ncommand=sh -c 'echo all is well; exec sleep 1000'\nautostart=false\n\
                 stdout_capture_maxbytes=1000\nstdout_logfile=%(here)s/later.log\n";
    let Some(daemon) = heard(&format!(
        "command=sh -c 'echo \"<!--XSUPERVISOR:BEGIN-->\"; sleep 0.2; printf \"%%0200d\" 1; touch %(here)s/said; exec sleep 1000'\n\
         autorestart=false\nstdout_capture_maxbytes=1000\nstdout_events_enabled=true\n{later}"
    )) else {
        return;
    };
    daemon.wait_text("events.txt", "0001");
    kill(Pid::from_raw(daemon.process_pid("p")), Signal::SIGKILL).unwrap();
    daemon.wait_state("p", "EXITED");
    // The keeper has forgotten that child, so the successor gives its number to the next.
    daemon.wait_text("main.log", "terminated by SIGKILL");
    kill_worker(&daemon);
    daemon.ctl(&["start", "later"]);
    daemon.wait_text("later.log", "all is well");
}

#[test]
fn kills_of_the_worker_lose_no_output_that_the_log_has_no_room_for() {
    let Some(daemon) = heard(
        "command=sleep 1000\n[program:late]\ncommand=sh -c 'seq 1 60000; exec sleep 1000'\nautostart=false\n\
         startsecs=0\nstdout_events_enabled=true\nstdout_logfile=%(here)s/fifo\nstdout_logfile_maxbytes=0\n",
    ) else {
        return;
    };
    mkfifo(&daemon.path("fifo"), Mode::S_IRWXU).unwrap();
    let mut fifo = File::options().read(true).write(true).open(daemon.path("fifo")).unwrap();
    daemon.ctl(&["start", "late"]);
    until("a log that is full", || match pipe::unread(&fifo).unwrap() {
        65_000.. => Ok(()),
        bytes => Err(format!("{bytes} bytes")),
    });
    for _ in 0..3 {
        kill_worker(&daemon);
    }
    let mut text = String::new();
    while !text.ends_with("\n60000\n") {
        let mut piece = [0; 4096];
        let count = fifo.read(&mut piece).unwrap();
        text.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
    let said: BTreeSet<&str> = text.lines().collect();
    let lost: Vec<u32> = (1..=60_000).filter(|number| !said.contains(number.to_string().as_str())).take(3).collect();
    assert!(lost.is_empty(), "lost {lost:?} and more");
}
