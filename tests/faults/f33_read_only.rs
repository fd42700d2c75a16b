//! F33: a file system becomes read-only under logs.

use std::fs;

use crate::mount::{Mount, own_namespace};
use crate::wait::until;
use crate::world::World;

const TALKER: &str = "[program:talker]\ncommand=sh -c 'while :; do echo line; sleep 0.05; done'\nstartsecs=0\n\
                      stdout_logfile=%(here)s/disk/talker.log\n\
                      [program:other]\ncommand=sleep 10000\nautostart=false\nstartsecs=0\n\
                      stdout_logfile=%(here)s/disk/other.log\n";

fn size(world: &World) -> Result<u64, String> {
    fs::metadata(world.path("disk/talker.log")).map(|found| found.len()).map_err(|error| error.to_string())
}

fn goes_on(world: &World) {
    let before = until("the log", || size(world));
    until("the log to go on", || {
        let now = size(world)?;
        if now > before { Ok(()) } else { Err(format!("{now} bytes")) }
    });
}

#[test]
fn f33_a_read_only_file_system_restarts_nobody_and_is_got_over() {
    if !own_namespace("F33") {
        return;
    }
    let folder = World::folder("", TALKER);
    let Some(disk) = Mount::ext4(&folder.path("disk"), "F33") else { return };
    // The activity log is on it as well.
    let conf = fs::read_to_string(folder.path("supervisord.conf")).unwrap();
    fs::write(folder.path("supervisord.conf"), conf.replace("/main.log", "/disk/main.log")).unwrap();
    let world = World::in_folder(folder);
    goes_on(&world);
    let talker = world.process_pid("talker");
    disk.abort();
    assert!(fs::write(disk.path.join("x"), "x").is_err(), "the file system is read-only");
    until("the mount to be named", || {
        let told = world.ctl(&["why", "talker"]).stdout;
        let mount = format!("Read-only file system (os error 30) (on {})", disk.path.display());
        if told.contains(&mount) { Ok(()) } else { Err(told) }
    });
    // Programs are started and stopped all the same.
    world.start("other");
    world.wait_state("other", "RUNNING");
    world.stop("other");
    assert_eq!(world.process_pid("talker"), talker);
    // A good one in its place.
    let _disk = Mount::tmpfs(&disk.path, 8 << 20);
    goes_on(&world);
    assert_eq!(world.process_pid("talker"), talker);
    world.wait_text("disk/main.log", "can be written again");
    world.end();
}
