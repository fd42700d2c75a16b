//! F02: the disk is full under the daemon's own log.
//!
//! Its state lies on no disk: the journal is a memory file that the keeper holds. So what is at stake is the log alone.

use std::fs;
use std::time::{Duration, Instant};

use nix::mount::MsFlags;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::household::{activity, kill_worker};
use crate::mount::{Mount, own_namespace};
use crate::wait::{until, until_true};
use crate::world::World;

const PROGRAM: &str = "[program:p]\ncommand=sleep 10000\nstartsecs=0\nautorestart=true\nstdout_logfile=NONE\n\
                       stderr_logfile=NONE\n";

/// Ticks of CPU (10 ms each) that a second without work may cost; a busy loop costs a hundred.
const IDLE_TICKS_MAX: u64 = 20;

/// Kills the program and waits for the next one.
fn dies_and_comes_back(world: &World) {
    let former = world.process_pid("p");
    kill(Pid::from_raw(former), Signal::SIGKILL).unwrap();
    until("the restart", || {
        let now = world.info("p", "pid")?;
        if now != former.to_string() && world.info("p", "statename")? == "RUNNING" { Ok(()) } else { Err(now) }
    });
}

#[test]
fn f02_states_and_restarts_go_on_without_room_for_the_activity_log() {
    if !own_namespace("F02") {
        return;
    }
    let folder = World::folder("", PROGRAM);
    let disk = Mount::tmpfs(&folder.path("disk"), 64 << 10);
    let conf = fs::read_to_string(folder.path("supervisord.conf")).unwrap();
    fs::write(folder.path("supervisord.conf"), conf.replace("/main.log", "/disk/main.log")).unwrap();
    let world = World::in_folder(folder);
    world.wait_state("p", "RUNNING");
    let filler = disk.fill();
    for _ in 0..5 {
        dies_and_comes_back(&world);
    }
    // The file's last page has room for some lines more; each request leaves one.
    until("the trouble on standard error", || {
        world.call("supervisor.startProcess", &World::named("p"))?;
        let told = world.text("daemon.out").contains("disk/main.log: No space left on device");
        if told { Ok(()) } else { Err("not yet".to_owned()) }
    });
    let told = world.ctl(&["status"]).stderr;
    let notice = "the daemon is running without its own log: cannot write the activity log ";
    assert!(told.contains(notice) && told.contains("disk/main.log: No space left on device"), "{told}");
    let told = world.ctl(&["status", "--json"]).stdout;
    assert!(told.contains("\"notices\"") && told.contains("running without its own log: "), "{told}");
    // A successor of the worker knows all of it, though no line could be written.
    let program = world.process_pid("p");
    kill_worker(&world, world.bars.keeper);
    assert_eq!(world.process_pid("p"), program);
    let worker = crate::household::worker_of(world.bars.keeper);
    // How much a second costs in which nothing can be done is the subject.
    let (before, begin) = (activity(worker).0, Instant::now());
    until_true("a second", || begin.elapsed() > Duration::from_secs(1));
    let spent = activity(worker).0 - before;
    assert!(spent < IDLE_TICKS_MAX, "{spent} ticks in a second: a busy loop");
    let before = fs::metadata(disk.path.join("main.log")).unwrap().len();
    fs::remove_file(filler).unwrap();
    disk.remount(MsFlags::empty(), "size=1M");
    until("the log to go on", || {
        dies_and_comes_back(&world);
        let now = fs::metadata(disk.path.join("main.log")).map_err(|error| error.to_string())?.len();
        if now > before + 100 { Ok(()) } else { Err(format!("{now} bytes")) }
    });
    let told = world.ctl(&["status"]).stderr;
    assert!(!told.contains("without its own log"), "{told}");
    world.end_with_another_worker();
}
