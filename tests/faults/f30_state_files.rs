//! F30, with a disk under the state files that is full for a while: what is kept in memory meanwhile returns to them, under
//! another worker too, so that the next daemon finds the programs.

use std::fs;
use std::process::Child;

use crate::household::{is_there, kill_both, kill_pid, kill_worker};
use crate::mount::{Mount, own_namespace};
use crate::subject::Subject;
use crate::wait::{until, until_true};
use crate::world::World;
use nix::mount::MsFlags;
use nix::sys::signal::Signal;

/// More than the roll has room for at first.
const PROGRAMS: usize = 70;

const SECTIONS: &str = "[program:many]\ncommand=sleep 10000\nprocess_name=m%(process_num)02d\nnumprocs=70\nstartsecs=0\n\
                        autostart=false\nstdout_logfile=NONE\nstderr_logfile=NONE\n";

/// The next daemon, which ends with the test.
struct Next(Child);

impl Next {
    fn start(world: &World) -> Next {
        let mut command = world.command(&Subject::GALAXYD.daemon.supervisord());
        command.args(["-n", "-c"]).arg(world.path("supervisord.conf"));
        let next = Next(command.spawn().unwrap());
        until("the next daemon", || world.call("supervisor.getState", "").map(drop));
        next
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        kill_pid(self.0.id().cast_signed(), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

#[test]
fn f30_state_files_return_to_a_disk_that_was_full_under_another_worker_too() {
    if !own_namespace("F30, state files on a full disk") {
        return;
    }
    let folder = World::folder("runtime_directory=%(here)s/state\n", SECTIONS);
    let disk = Mount::tmpfs(&folder.path("state"), 4 << 20);
    let world = World::in_folder(folder);
    let keeper = world.pid();
    let filler = disk.fill();
    world.call("supervisor.startAllProcesses", "").unwrap();
    world.wait_text("main.log", "running without persistence");
    until_true("all to run", || running(&world) == PROGRAMS + 1);
    let pids = pids(&world);
    kill_worker(&world, keeper);
    fs::remove_file(filler).unwrap();
    world.wait_text("main.log", "persistence is back");
    kill_both(&world);
    assert!(pids.iter().all(|pid| is_there(*pid)));
    let _next = Next::start(&world);
    assert_eq!(self::pids(&world), pids, "all are taken over, and none is started twice");
}

#[test]
fn f30_state_files_that_could_not_be_made_at_the_start_are_made_when_they_can_be() {
    if !own_namespace("F30, state files on a disk that is read-only at first") {
        return;
    }
    let keys = "runtime_directory=%(here)s/state\nhistory_file=%(here)s/history\n";
    let folder = World::folder(keys, "[program:p]\ncommand=sleep 10000\nstartsecs=0\n");
    let disk = Mount::tmpfs(&folder.path("state"), 4 << 20);
    disk.remount(MsFlags::MS_RDONLY, "");
    let world = World::in_folder(folder);
    world.wait_running(&["p"]);
    world.wait_text("main.log", "running without persistence");
    let pid = world.process_pid("p");
    disk.remount(MsFlags::empty(), "");
    world.wait_text("main.log", "persistence is back");
    assert_eq!(world.ctl(&["status"]).stderr, "");
    let told = world.ctl(&["history"]).stdout;
    assert!(told.contains("persistence is back"), "{told}");
    kill_both(&world);
    let _next = Next::start(&world);
    assert_eq!(world.process_pid("p"), pid, "it was found, and not started twice");
}

fn running(world: &World) -> usize {
    world.call("supervisor.getAllProcessInfo", "").unwrap().matches("<string>RUNNING</string>").count()
}

fn pids(world: &World) -> Vec<i32> {
    (0..PROGRAMS).map(|number| world.process_pid(&format!("many:m{number:02}"))).collect()
}
