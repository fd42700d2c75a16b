//! F05: the clock jumps, both ways, and the machine is suspended.
//!
//! A real jump would hit the whole machine, and a time namespace cannot jump; so the C library's clock is replaced for
//! the daemon by one that adds what a file says. A suspension is played by stopping all of the daemon at once.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::notice::tell;
use crate::wait::{until, until_true};
use crate::world::World;

/// `clock_gettime` with an offset, seconds, of the wall clock.
const CLOCK: &str = r"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *at) {
    int answer = (int)syscall(SYS_clock_gettime, id, at);
    int file = id == CLOCK_REALTIME ? open(OFFSET_FILE, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        char text[32] = {0};
        if (read(file, text, sizeof text - 1) > 0) at->tv_sec += atol(text);
        close(file);
    }
    return answer;
}
";

const HOUR: i64 = 3600;
const JUMPS: [i64; 3] = [-HOUR, HOUR, 87_600 * HOUR];

const PROGRAMS: &str = "[program:steady]\ncommand=sleep 10000\nstartsecs=0\nstdout_logfile=NONE\n\
     [program:slow]\ncommand=sleep 10000\nautostart=false\nstartsecs=2\nstdout_logfile=NONE\n\
     [program:deaf]\ncommand=sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.1; done'\nautostart=false\n\
     startsecs=0\nstopwaitsecs=2\nkillasgroup=true\nstdout_logfile=%(here)s/deaf.log\n";

/// A world whose wall clock is moved by writing to `offset`.
fn world() -> Option<World> {
    let folder = World::folder("", PROGRAMS);
    let (source, library) = (folder.path("clock.c"), folder.path("clock.so"));
    fs::write(&source, CLOCK).unwrap();
    let offset = format!("-DOFFSET_FILE=\"{}\"", folder.path("offset").display());
    let built = Command::new("cc").args(["-shared", "-fPIC", &offset, "-o"]).arg(&library).arg(&source).output();
    if !built.is_ok_and(|built| built.status.success()) {
        tell("could not run: F05 needs a C compiler for its clock");
        return None;
    }
    let wrapper = folder.path("galaxyd.sh");
    let galaxyd = env!("CARGO_BIN_EXE_galaxyd");
    fs::write(&wrapper, format!("#!/bin/sh\nLD_PRELOAD={} exec {galaxyd} \"$@\"\n", library.display())).unwrap();
    fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    Some(World::in_folder(folder.with_supervisord(&wrapper)))
}

fn between(what: &str, taken: Duration, from: u64, to: u64) {
    eprintln!("F05: {what} after {taken:?}");
    assert!(taken >= Duration::from_secs(from) && taken < Duration::from_secs(to), "{what} after {taken:?}");
}

#[test]
fn f05_jumps_of_the_clock_move_no_deadline() {
    let Some(world) = world() else { return };
    world.wait_state("steady", "RUNNING");
    let steady = world.process_pid("steady");
    let wall = |world: &World| world.info("steady", "now").unwrap().parse::<i64>().unwrap();
    for jump in JUMPS {
        let begin = Instant::now();
        let answer = world.call(
            "supervisor.startProcess",
            &format!("{}<param><value><boolean>0</boolean></value></param>", World::named("slow")),
        );
        assert!(!answer.unwrap().contains("faultCode"));
        world.start("deaf");
        world.wait_text("deaf.log", "ready");
        let stopped = Instant::now();
        let answer = world.call(
            "supervisor.stopProcess",
            &format!("{}<param><value><boolean>0</boolean></value></param>", World::named("deaf")),
        );
        assert!(!answer.unwrap().contains("faultCode"));
        let before = wall(&world);
        fs::write(world.path("offset"), jump.to_string()).unwrap();
        assert!((wall(&world) - before - jump).abs() < 60, "the daemon's clock did not jump by {jump}");
        world.wait_state("slow", "RUNNING");
        between("startsecs=2 was over", begin.elapsed(), 2, 20);
        world.wait_state("deaf", "STOPPED");
        between("stopwaitsecs=2 was over", stopped.elapsed(), 2, 20);
        world.stop("slow");
        let shown = world.info("steady", "description").unwrap();
        assert!(shown.contains("uptime 0:0"), "after a jump of {jump} s: {shown}");
        let told = until("the step to be told", || steps(&world).last().copied().ok_or("no line".to_owned()));
        assert!((told - jump).abs() < 3, "a jump of {jump} s was told as one of {told} s");
        fs::remove_file(world.path("offset")).unwrap();
        let back = |told: &Vec<i64>| told.last().is_some_and(|told| (told + jump).abs() < 3);
        until("the way back to be told", || Some(steps(&world)).filter(back).ok_or(format!("{:?}", steps(&world))));
        fs::remove_file(world.path("deaf.log")).unwrap();
        assert_eq!(world.process_pid("steady"), steady);
    }
    assert_eq!(world.log_lines(&["spawned: 'steady'"]).len(), 1, "no storm of restarts");
    assert_eq!(steps(&world).len(), 2 * JUMPS.len(), "each step is told once: {:?}", steps(&world));
    world.end();
}

/// The steps of the clock that the activity log tells of, s. Asks the daemon something first: nothing wakes it to look.
fn steps(world: &World) -> Vec<i64> {
    world.call("supervisor.getState", "").unwrap();
    let lines = world.log_lines(&["the clock was set "]);
    let step = |line: &String| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let place = words.iter().position(|word| *word == "by").unwrap();
        let seconds: i64 = words[place + 1].parse().unwrap();
        if words[place - 1] == "back" { -seconds } else { seconds }
    };
    lines.iter().map(step).collect()
}

#[test]
fn f05_a_suspension_kills_nobody_early_and_restarts_nobody_twice() {
    let world = World::new("[program:brief]\ncommand=sleep 0.2\nautorestart=true\nstartsecs=0\nstdout_logfile=NONE\n");
    let frozen = [world.bars.keeper, world.bars.worker];
    for signal in [Signal::SIGSTOP, Signal::SIGCONT] {
        for pid in frozen {
            kill(Pid::from_raw(pid), signal).unwrap();
        }
        if signal == Signal::SIGSTOP {
            // Its program ends, and longer than any wait between two starts of it passes.
            let begin = Instant::now();
            until_true("the suspension to have lasted", || begin.elapsed() > Duration::from_secs(3));
        }
    }
    let spawned = || world.log_lines(&["spawned: 'brief'"]).len();
    let before = spawned();
    until("the next restarts", || if spawned() > before + 2 { Ok(()) } else { Err(spawned().to_string()) });
    let exits = world.log_lines(&["exited: brief"]).len();
    assert!(spawned() <= exits + 1, "{} starts and {exits} ends", spawned());
    world.stop("brief");
    world.end();
}
