//! kill -9 of the keeper, and of keeper and worker: all programs run on, and the next keeper, or the next daemon, goes on
//! with them.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command};
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::daemon::{Daemon, finish};
use crate::household::{activity, galaxyd, is_there, kill_both, kill_pid, worker_of};
use crate::subject::Subject;
use crate::wait::{until, until_true};

const KEEPER_KILLS: usize = 30;

const TALKERS: usize = 20;

/// Programs that number their lines, fast, until they are told to stop.
pub(crate) fn talkers() -> String {
    format!(
        "[program:talker]\n\
         command=sh -c 'i=0; while [ ! -e %(here)s/enough ]; do i=$((i+1)); echo line $i; done; echo last $i; exit 42'\n\
         process_name=t%(process_num)02d\nnumprocs={TALKERS}\nstartsecs=0\nautorestart=false\nexitcodes=42\n\
         stdout_logfile=%(here)s/t%(process_num)02d.log\nstdout_logfile_maxbytes=0\n"
    )
}

pub(crate) fn pids(daemon: &Daemon) -> Vec<i32> {
    (0..TALKERS).map(|number| daemon.process_pid(&format!("talker:t{number:02}"))).collect()
}

/// Waits until the keeper is another one than `old` and answers; gives its pid.
pub(crate) fn next_keeper(daemon: &Daemon, old: i32) -> i32 {
    until("another keeper", || {
        let text = fs::read_to_string(daemon.path("main.pid")).unwrap_or_default();
        let pid = text.trim().parse().map_err(|_| format!("{text:?}"))?;
        if pid == old {
            return Err("the old one".to_string());
        }
        daemon.call("supervisor.getState", "").map(|_| pid)
    })
}

/// The same daemon again, in the foreground.
pub(crate) fn again(daemon: &Daemon) -> Child {
    let mut command = daemon.command(&Subject::GALAXYD.daemon.supervisord());
    command.args(["-n", "-c"]).arg(daemon.path("supervisord.conf"));
    command.spawn().unwrap()
}

fn reap(mut child: Child) {
    assert!(!child.wait().unwrap().success());
}

pub(crate) fn end(mut child: Child) {
    kill_pid(child.id().cast_signed(), Signal::SIGTERM);
    assert!(child.wait().unwrap().success());
}

/// How often each line came, and the number of the last one.
fn lines(daemon: &Daemon, number: usize) -> (BTreeMap<u64, u64>, u64) {
    let file = format!("t{number:02}.log");
    let text = until("the last line", || {
        let text = daemon.text(&file);
        if text.contains("last") { Ok(text) } else { Err(format!("{} bytes", text.len())) }
    });
    let mut seen = BTreeMap::new();
    let mut last = 0;
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("line", number)) => *seen.entry(number.parse().unwrap()).or_default() += 1,
            Some(("last", number)) => last = number.parse().unwrap(),
            _ => panic!("{line:?}"),
        }
    }
    (seen, last)
}

pub(crate) fn wait_all_ended(daemon: &Daemon) {
    fs::write(daemon.path("enough"), "").unwrap();
    for number in 0..TALKERS {
        let name = format!("talker:t{number:02}");
        daemon.wait_state(&name, "EXITED");
        assert_eq!(daemon.info(&name, "exitstatus").unwrap(), "42", "{name}");
    }
}

/// No line is missing or came twice; gives their number.
pub(crate) fn assert_every_line_once(daemon: &Daemon) -> u64 {
    let check = |number| {
        let (seen, last) = lines(daemon, number);
        assert!(seen.keys().copied().eq(1..=last), "t{number:02}: a line is missing");
        assert!(seen.values().all(|times| *times == 1), "t{number:02}: a line came twice");
        last
    };
    (0..TALKERS).map(check).sum()
}

/// Enough that the keeper is gone before the worker has sent a signal to each.
const CROWD: usize = 150;

/// The first of the crowd kills the keeper when it is signalled.
fn crowd() -> String {
    format!(
        "[program:crowd]\ncommand=sh -c 'if [ %(process_num)d = 0 ]; then trap \"kill -9 $PPID\" HUP; \
         trap \"kill -9 $PPID; exit 0\" TERM; else trap : HUP; trap \"exit 0\" TERM; fi; \
         sleep 1000 & while kill -0 $!; do wait; done'\n\
         process_name=c%(process_num)03d\nnumprocs={CROWD}\nstartsecs=0\nkillasgroup=true\nstopasgroup=true\n\
         stdout_logfile=NONE\nstderr_logfile=NONE\n"
    )
}

#[test]
fn a_keeper_that_dies_while_its_worker_tells_it_of_signals_costs_nobody_his_state() {
    for (method, further, state) in [
        ("supervisor.signalProcessGroup", "<param><value><string>HUP</string></value></param>", "RUNNING"),
        ("supervisor.stopProcessGroup", "", "STOPPED"),
    ] {
        let daemon = galaxyd("", &crowd());
        let names: Vec<String> = (0..CROWD).map(|number| format!("crowd:c{number:03}")).collect();
        daemon.wait_running(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let keeper = daemon.pid();
        // Who asked is not told that all is done, and asks the next worker.
        let group = "<param><value><string>crowd</string></value></param>";
        drop(daemon.call(method, &format!("{group}{further}")));
        next_keeper(&daemon, keeper);
        for name in &names {
            daemon.wait_state(name, state);
        }
    }
}

#[test]
fn a_keepers_death_loses_no_signal_to_the_daemon_that_its_worker_has_not_dealt_with() {
    let sections = "[program:p]\ncommand=sleep 1000\nstartsecs=0\n";
    let daemon = galaxyd("", sections);
    daemon.wait_running(&["p"]);
    let (keeper, pid) = (daemon.pid(), daemon.process_pid("p"));
    // Reading this takes a while.
    fs::write(daemon.path("large.conf"), "; nothing\n".repeat(350_000)).unwrap();
    daemon.rewrite(&format!("{sections}[include]\nfiles=%(here)s/large.conf\n"));
    kill_pid(keeper, Signal::SIGHUP);
    daemon.wait_text("main.log", "received SIGHUP indicating restart request");
    kill_pid(keeper, Signal::SIGKILL);
    next_keeper(&daemon, keeper);
    until("the reload that was asked of the former keeper", || {
        let present = daemon.info("p", "pid")?;
        if daemon.info("p", "statename")? == "RUNNING" && present != pid.to_string() { Ok(()) } else { Err(present) }
    });
}

#[test]
fn kills_of_the_keeper_under_full_output_lose_no_line_and_no_exit_status() {
    let daemon = galaxyd("", &talkers());
    until_true("all to run", || pids(&daemon).iter().all(|pid| *pid > 0));
    let before = pids(&daemon);
    let started = daemon.info("talker:t00", "start").unwrap();
    let mut keeper = daemon.pid();
    for _ in 0..KEEPER_KILLS {
        kill_pid(keeper, Signal::SIGKILL);
        keeper = next_keeper(&daemon, keeper);
    }
    assert_eq!(pids(&daemon), before);
    assert_eq!(daemon.info("talker:t00", "start").unwrap(), started, "the uptime goes on");
    wait_all_ended(&daemon);
    let count = assert_every_line_once(&daemon);
    eprintln!("{count} lines through {KEEPER_KILLS} kills of the keeper");
    daemon.call("supervisor.shutdown", "").unwrap();
    until_true("the end", || !is_there(keeper));
    assert!(!daemon.path("main.roll").exists() && !daemon.path("main.journal").exists());
}

#[test]
fn a_daemon_that_was_killed_is_gone_on_with() {
    let daemon = galaxyd("", &talkers());
    until_true("all to run", || pids(&daemon).iter().all(|pid| *pid > 0));
    let before = pids(&daemon);
    let started = daemon.info("talker:t00", "start").unwrap();
    let keeper = kill_both(&daemon);
    assert!(before.iter().all(|pid| is_there(*pid)));
    let child = again(&daemon);
    next_keeper(&daemon, keeper);
    assert_eq!(pids(&daemon), before, "nothing is started twice");
    assert_eq!(daemon.info("talker:t00", "start").unwrap(), started, "the uptime goes on");
    daemon.wait_text("main.log", &format!("{TALKERS} programs that it left running are taken over, 0 ended"));
    wait_all_ended(&daemon);
    end(child);
}

#[test]
fn a_daemon_that_is_started_while_the_killed_one_is_dying_goes_on_with_it() {
    const ROUNDS: usize = 10;
    // The more it has open, the longer its end takes.
    let daemon =
        galaxyd("", "[program:p]\ncommand=sleep 1000\nprocess_name=p%(process_num)02d\nnumprocs=60\nstartsecs=0\n");
    daemon.wait_running(&["p:p00", "p:p59"]);
    let pids = || ["p:p00", "p:p59"].map(|name| daemon.process_pid(name));
    let before = pids();
    let mut former = None;
    for _ in 0..ROUNDS {
        let keeper = kill_both(&daemon);
        let child = again(&daemon);
        former.replace(child).into_iter().for_each(reap);
        next_keeper(&daemon, keeper);
        assert_eq!(pids(), before);
    }
    former.into_iter().for_each(end);
}

#[test]
fn what_ended_meanwhile_is_unexpected_and_started_anew_and_nothing_else() {
    let daemon = galaxyd(
        "",
        "[program:stays]\ncommand=sleep 1000\nstartsecs=0\n\
         [program:goes]\ncommand=sleep 1000\nstartsecs=0\nautorestart=unexpected\n\
         [program:idle]\ncommand=sleep 1000\nautostart=false\n",
    );
    daemon.wait_running(&["stays", "goes"]);
    let (stays, goes) = (daemon.process_pid("stays"), daemon.process_pid("goes"));
    let keeper = kill_both(&daemon);
    kill_pid(goes, Signal::SIGKILL);
    let standing = || fs::read_to_string(format!("/proc/{goes}/stat")).unwrap_or_default();
    until_true("its end", || standing().is_empty() || standing().contains(") Z "));
    let child = again(&daemon);
    next_keeper(&daemon, keeper);
    // Where process 1 has collected it nobody can tell any more how it ended.
    daemon.wait_text("main.log", "exited: goes (");
    let log = daemon.text("main.log");
    let told =
        ["exit status unknown (ended while nobody watched); not expected)", "terminated by SIGKILL; not expected)"];
    assert!(told.iter().any(|told| log.contains(&format!("exited: goes ({told}"))), "{log}");
    until_true("another one", || daemon.process_pid("goes") > 0 && daemon.process_pid("goes") != goes);
    assert_eq!(daemon.process_pid("stays"), stays);
    assert_eq!(daemon.info("idle", "statename").unwrap(), "STOPPED");
    // An adopted program is signalled and its end is known.
    daemon.call("supervisor.stopProcess", "<param><value><string>stays</string></value></param>").unwrap();
    assert!(!is_there(stays));
    end(child);
}

#[test]
fn a_file_that_changed_or_broke_meanwhile_does_not_matter() {
    let daemon = galaxyd("", "[program:p]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    let pid = daemon.process_pid("p");
    let keeper = kill_both(&daemon);
    let conf = fs::read_to_string(daemon.path("supervisord.conf")).unwrap();
    fs::write(daemon.path("supervisord.conf"), conf.replace("[program:p]", "[program:q]")).unwrap();
    let child = again(&daemon);
    next_keeper(&daemon, keeper);
    assert_eq!(daemon.process_pid("p"), pid);
    daemon.wait_text("main.log", "the configuration file differs from what is in force (q, p)");
    let keeper = kill_both(&daemon);
    reap(child);
    fs::write(daemon.path("supervisord.conf"), conf.replace("startsecs=0", "startsecs=soon")).unwrap();
    let child = again(&daemon);
    next_keeper(&daemon, keeper);
    assert_eq!(daemon.process_pid("p"), pid);
    daemon.wait_text("main.log", "the configuration file is not used, it is broken: ");
    end(child);
}

#[test]
fn a_journal_that_is_no_journal_stops_the_start_while_programs_run() {
    let daemon = galaxyd("", "[program:p]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    let pid = daemon.process_pid("p");
    kill_both(&daemon);
    fs::write(daemon.path("main.journal"), "garbage").unwrap();
    let mut command: Command = daemon.command(&Subject::GALAXYD.daemon.supervisord());
    command.args(["-n", "-c"]).arg(daemon.path("supervisord.conf"));
    let outcome = finish(&mut command, daemon.dir(), None);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    for wanted in [format!("(processes {pid}, known by"), "main.journal cannot be used: it has no header".to_owned()] {
        assert!(outcome.stderr.contains(&wanted), "{wanted}: {outcome:?}");
    }
    assert!(is_there(pid));
    kill_pid(pid, Signal::SIGKILL);
    until_true("its end", || !is_there(pid));
    let child = again(&daemon);
    daemon.wait_running(&["p"]);
    end(child);
}

#[test]
fn a_program_that_reads_its_input_survives_both() {
    let daemon =
        galaxyd("", "[program:cat]\ncommand=cat\nstartsecs=0\nautorestart=false\nstdout_logfile=%(here)s/cat.log\n");
    daemon.wait_running(&["cat"]);
    let pid = daemon.process_pid("cat");
    let keeper = kill_both(&daemon);
    let child = again(&daemon);
    next_keeper(&daemon, keeper);
    assert_eq!(daemon.process_pid("cat"), pid);
    daemon
        .call(
            "supervisor.sendProcessStdin",
            "<param><value><string>cat</string></value></param><param><value><string>hello</string></value></param>",
        )
        .unwrap();
    daemon.wait_text("cat.log", "hello");
    end(child);
}

#[test]
fn three_hundred_programs_are_taken_over_at_once() {
    let daemon =
        galaxyd("", "[program:p]\ncommand=sleep 1000\nprocess_name=p%(process_num)03d\nnumprocs=300\nstartsecs=0\n");
    let running = || {
        let answer = daemon.call("supervisor.getAllProcessInfo", "").unwrap();
        let pids =
            answer.split("<name>pid</name>").skip(1).map(|rest| rest.split("</value>").next().unwrap().to_owned());
        (answer.matches("RUNNING").count(), pids.collect::<Vec<_>>())
    };
    until_true("all to run", || running().0 == 300);
    let before = running();
    let living = daemon.living().len();
    let keeper = kill_both(&daemon);
    let begin = Instant::now();
    let child = again(&daemon);
    let keeper = next_keeper(&daemon, keeper);
    let elapsed = begin.elapsed();
    // In the first answer that anybody gets: nobody is told of a daemon that has not taken over yet.
    assert_eq!(running(), before);
    assert_eq!(daemon.living().len(), living, "nothing is started twice");
    // Whatever else the machine does meanwhile, this is the daemon's own. A debug build needs about twenty.
    let (ticks, worker_ticks) = (activity(keeper).0, activity(worker_of(keeper)).0);
    eprintln!("300 programs taken over, and a client answered, after {elapsed:?}, with {ticks} + {worker_ticks} ticks");
    assert!(ticks + worker_ticks < 100, "{ticks} + {worker_ticks} hundredths of a second of processor time");
    end(child);
}

#[test]
fn without_a_place_for_its_files_a_daemon_says_so_and_runs() {
    let daemon = galaxyd("runtime_directory=/proc/self\n", "[program:p]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    daemon.wait_text("main.log", "running without persistence");
    let told = daemon.ctl(&["status"]).stderr;
    assert!(told.contains("galaxyctl: the daemon is running without persistence: "), "{told}");
    let keeper = daemon.pid();
    let pid = daemon.process_pid("p");
    kill_pid(keeper, Signal::SIGKILL);
    let keeper = next_keeper(&daemon, keeper);
    assert_eq!(daemon.process_pid("p"), pid);
    daemon.call("supervisor.shutdown", "").unwrap();
    until_true("the end", || !is_there(keeper));
}
