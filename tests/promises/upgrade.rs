//! `galaxyctl upgrade`: another program takes the daemon's place and nothing stops; one that cannot leaves everything as it was.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::daemon::Daemon;
use crate::daemon_death::{assert_every_line_once, pids, talkers, wait_all_ended};
use crate::household::{galaxyd, worker_of};
use crate::line::Line;
use crate::subject::Subject;
use crate::wait::until_true;

const UPGRADES: usize = 10;

/// A copy of the program under another name: that it is the same version does not matter to the daemon.
fn copy(daemon: &Daemon, name: &str) -> PathBuf {
    let path = daemon.path(name);
    fs::copy(Subject::GALAXYD.daemon.supervisord(), &path).unwrap();
    path
}

fn executed(pid: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap()
}

fn upgrade(daemon: &Daemon, program: &Path) -> crate::daemon::Outcome {
    daemon.ctl(&["upgrade", program.to_str().unwrap()])
}

#[test]
fn upgrades_under_full_output_lose_nothing_and_refuse_nobody() {
    let daemon = galaxyd("", &talkers());
    until_true("all to run", || pids(&daemon).iter().all(|pid| *pid > 0));
    let (keeper, before) = (daemon.pid(), pids(&daemon));
    let started = daemon.info("talker:t00", "start").unwrap();
    let programs = [copy(&daemon, "one"), copy(&daemon, "two")];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Somebody asks all the time: whom the old worker does not answer any more is told by the new one.
        let asking = scope.spawn(|| {
            let mut answers = 0;
            while !done.load(Ordering::Relaxed) {
                let outcome = daemon.ctl(&["pid"]);
                assert_eq!(outcome.stdout.trim(), keeper.to_string(), "{outcome:?}");
                answers += 1;
            }
            answers
        });
        for number in 0..UPGRADES {
            let worker = worker_of(keeper);
            let program = &programs[number % 2];
            let outcome = upgrade(&daemon, program);
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
            assert!(outcome.stdout.starts_with("upgraded from galaxyd "), "{outcome:?}");
            assert_ne!(worker_of(keeper), worker);
            for pid in [keeper, worker_of(keeper)] {
                assert_eq!(executed(pid), *program);
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(asking.join().unwrap() > 0);
    });
    assert_eq!((daemon.pid(), pids(&daemon)), (keeper, before));
    assert_eq!(daemon.info("talker:t00", "start").unwrap(), started, "the uptime goes on");
    wait_all_ended(&daemon);
    assert_every_line_once(&daemon);
}

#[test]
fn clients_that_are_connected_and_ask_nothing_are_answered_after_upgrades_on_the_same_connection() {
    let daemon = galaxyd("", "[program:p]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    let keeper = daemon.pid();
    let program = copy(&daemon, "next");
    let before = sockets_of(keeper);
    let mut silent = Line::open(&daemon);
    // Clients are let in in their order: when this one is answered, that one was.
    let mut known = Line::open(&daemon);
    known.ask().unwrap();
    for _ in 0..2 {
        let outcome = upgrade(&daemon, &program);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    for (who, line) in [("silent", &mut silent), ("known", &mut known)] {
        let answer = line.ask().unwrap_or_else(|error| panic!("{who}: {error}"));
        assert!(answer.contains(&format!("<int>{keeper}</int>")), "{who}: {answer}");
    }
    // Else nobody would notice when the worker closes them.
    until_true("the keeper to let go of them", || sockets_of(keeper) == before);
}

fn sockets_of(pid: i32) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_str().is_some_and(|target| target.starts_with("socket:"))).count()
}

#[test]
fn who_asks_for_the_outcome_during_an_upgrade_is_told_it_or_asks_the_next_worker() {
    let daemon = galaxyd("", "[program:p]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    let program = copy(&daemon, "next");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answers = Vec::new();
            until_true("the last upgrade", || {
                // One that breaks the connection is asked again.
                answers.extend(daemon.call("galaxyd.getUpgrade", ""));
                done.load(Ordering::Relaxed)
            });
            answers
        });
        let outcomes =
            [program.as_path(), &program, &program, Path::new("/bin/true")].map(|next| upgrade(&daemon, next));
        done.store(true, Ordering::Relaxed);
        let answers = asking.join().unwrap();
        assert_eq!(outcomes.each_ref().map(|outcome| outcome.code), [0, 0, 0, 1].map(Some), "{outcomes:?}");
        let (told, other): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.contains("<name>undone</name>"));
        assert!(!told.is_empty());
        for answer in other {
            assert!(!answer.contains("fault") && !answer.contains("<name>number</name>"), "{answer}");
        }
    });
}

#[test]
fn without_a_name_it_is_the_file_that_the_present_program_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let installed = folder.path().join("galaxyd");
    fs::copy(Subject::GALAXYD.daemon.supervisord(), &installed).unwrap();
    let mut daemon = Daemon::folder_with(Subject::GALAXYD, "", "", "[program:p]\ncommand=sleep 1000\nstartsecs=0\n")
        .with_supervisord(&installed);
    daemon.run();
    daemon.wait_running(&["p"]);
    let (keeper, pid) = (daemon.pid(), daemon.process_pid("p"));
    // As a package manager does it: the old file is gone, another one has its name.
    let next = folder.path().join("next");
    fs::copy(&installed, &next).unwrap();
    fs::rename(&next, &installed).unwrap();
    assert!(executed(keeper).to_str().unwrap().ends_with("(deleted)"));
    let outcome = daemon.ctl(&["upgrade"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!((executed(keeper), daemon.process_pid("p")), (installed, pid));
}

#[test]
fn a_program_that_cannot_go_on_leaves_the_present_one_in_charge() {
    let daemon = galaxyd("", "[program:p]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    let (keeper, pid) = (daemon.pid(), daemon.process_pid("p"));
    let worker = worker_of(keeper);
    let script = |name: &str, text: &str| {
        let path = daemon.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let cut = copy(&daemon, "cut");
    fs::OpenOptions::new().write(true).open(&cut).unwrap().set_len(4096).unwrap();
    let plain = daemon.path("plain");
    fs::write(&plain, "text").unwrap();
    for (program, reason) in [
        (PathBuf::from("/bin/true"), "cannot take the place of galaxyd"),
        (script("liar", "#!/bin/sh\necho galaxyd 9.9 can go on with state 0000000000000000\n"), "it said: galaxyd 9.9"),
        (script("mute", "#!/bin/sh\nexit 0\n"), "it said nothing"),
        (cut, "cannot take the place of galaxyd"),
        (plain, "is no program: it may not be executed"),
        (daemon.dir().to_owned(), "is no program: not a regular file"),
        (daemon.path("missing"), "No such file or directory"),
    ] {
        let outcome = upgrade(&daemon, &program);
        assert_eq!(outcome.code, Some(1), "{program:?}: {outcome:?}");
        assert!(outcome.stdout.contains(reason), "{program:?}: {outcome:?}");
        assert!(outcome.stdout.contains("stays in charge"), "{program:?}: {outcome:?}");
    }
    assert_eq!((daemon.pid(), worker_of(keeper), daemon.process_pid("p")), (keeper, worker, pid));
}

#[test]
fn a_state_that_is_no_state_is_refused_in_rehearsal() {
    let rehearse = |state: &[u8]| {
        let mut child = Command::new(Subject::GALAXYD.daemon.supervisord())
            .arg("--version")
            .env("GALAXYD_STAGE", "rehearsal")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(state).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    for (state, reason) in [
        (b"".as_slice(), "its state is cut short"),
        (&[255; 20], "its state is cut short"),
        (&[0; 8], "its journal: it has no header"),
        (&[4, 0, 0, 0, 0, 0, 0, 0, b'j', b'u', b'n', b'k'], "its journal: it has no header"),
    ] {
        let (code, said) = rehearse(state);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("cannot go on with this daemon") && said.contains(reason), "{said}");
    }
}
