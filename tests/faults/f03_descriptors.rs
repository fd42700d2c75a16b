//! F03: no descriptors, from the start and while programs run.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bars::Bars;
use crate::probe::Probe;
use crate::subject::Subject;
use crate::wait::until;
use crate::world::World;

const PROGRAMS: usize = 200;

/// Too few for so many programs, whose three pipes each the daemon holds.
const FEW: u64 = 128;

const ENOUGH: u64 = 4096;

/// The soft limit of open files of a process that runs.
fn limit_files(pid: i32, soft: u64) {
    let words = [format!("--pid={pid}"), format!("--nofile={soft}:")];
    assert!(Command::new("prlimit").args(words).status().unwrap().success());
}

fn many() -> String {
    format!(
        "[program:many]\ncommand=sleep 10000\nautostart=false\nstartretries=0\nstartsecs=0\nnumprocs={PROGRAMS}\n\
         process_name=m%(process_num)03d\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
    )
}

/// How many processes of the program are in each state.
fn states(world: &World) -> BTreeMap<String, usize> {
    let answer = world.call("supervisor.getAllProcessInfo", "").unwrap();
    let mut counts = BTreeMap::new();
    for process in answer.split("<struct>").filter(|text| text.contains("<string>many</string>")) {
        let state = process.split("<name>statename</name>").nth(1).and_then(|rest| rest.split("<string>").nth(1));
        *counts.entry(state.and_then(|rest| rest.split('<').next()).unwrap().to_owned()).or_default() += 1;
    }
    counts
}

fn wait_all_run(world: &World) {
    until("all to run", || {
        let counts = states(world);
        if counts.get("RUNNING") == Some(&PROGRAMS) { Ok(()) } else { Err(format!("{counts:?}")) }
    });
}

/// Control works whatever is missing: what runs is shown, stopped, and only its new start waits.
fn assert_controlled(world: &World) {
    let begin = Instant::now();
    let runs = world.call("supervisor.getAllProcessInfo", "").unwrap();
    let one = runs.split("<struct>").find(|text| text.contains("many") && text.contains("RUNNING")).unwrap();
    let name = one.split("<name>name</name>").nth(1).and_then(|rest| rest.split("<string>").nth(1)).unwrap();
    let name = format!("many:{}", name.split('<').next().unwrap());
    world.stop(&name);
    assert_eq!(world.info(&name, "statename").unwrap(), "STOPPED");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let told = world.ctl(&["status"]).stdout;
    assert!(told.contains("EMFILE: raise LimitNOFILE, or ulimit -n, to at least "), "{told}");
    // It comes back with the others.
    world.ctl(&["start", &name]);
}

/// Starts them all, of which most have to wait.
fn start_what_can(world: &World) {
    world.ctl(&["start", "many:*"]);
    let counts = states(world);
    assert!(counts.get("BACKOFF").is_some_and(|waiting| *waiting > PROGRAMS / 2), "{counts:?}");
    assert!(counts.contains_key("RUNNING") && !counts.contains_key("FATAL"), "{counts:?}");
    assert_controlled(world);
}

#[test]
fn f03_without_descriptors_programs_wait_uncharged_and_control_goes_on() {
    let mut world = World::in_folder(World::folder("restart_rate=1000", &many()));
    world.ctl(&["start", "many:*"]);
    wait_all_run(&world);
    world.bars = Bars::before(&world);
    let both = [world.bars.keeper, world.bars.worker];
    let limit = |soft| both.iter().for_each(|pid| limit_files(*pid, soft));
    let probe = Probe::begin(&world);

    // Below what is open already, under everybody's feet.
    limit(FEW);
    for number in 0..10 {
        world.ctl(&["restart", &format!("many:m{number:03}")]);
    }
    let counts = states(&world);
    assert!(counts.get("BACKOFF").is_some_and(|waiting| *waiting >= 10), "{counts:?}");
    assert_eq!(counts.get("FATAL"), None, "resource errors use up no retry: {counts:?}");
    assert_controlled(&world);
    limit(ENOUGH);
    wait_all_run(&world);

    world.ctl(&["stop", "many:*"]);
    limit(FEW);
    start_what_can(&world);
    limit(ENOUGH);
    wait_all_run(&world);
    probe.end("F03");
    world.end();
}

#[test]
fn f03_a_limit_that_cannot_be_raised_is_foreseen_with_the_number_that_would_do() {
    let folder = World::folder("minfds=64\nrestart_rate=1000", &many());
    let program = folder.path("galaxyd-with-few");
    let daemon = Subject::GALAXYD.daemon.supervisord();
    fs::write(&program, format!("#!/bin/sh\nexec prlimit --nofile={FEW} {} \"$@\"\n", daemon.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let world = World::in_folder(folder.with_supervisord(&program));
    assert_eq!(world.log_lines(&["201 programs may need 1768 open files, and the limit is 128"]).len(), 1);
    start_what_can(&world);
    world.ctl(&["stop", "many:*"]);
    world.end();
}
