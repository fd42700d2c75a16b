//! F01: the disk is full under a program's log.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::mount::MsFlags;

use crate::household::activity;
use crate::mount::{Mount, own_namespace};
use crate::probe::Probe;
use crate::wait::until;
use crate::world::World;

const TALKER: &str = "[program:talker]\n\
                      command=sh -c 'while :; do echo 0123456789012345678901234567890123456789; done'\n\
                      autostart=false\nstartsecs=0\nstdout_logfile=%(here)s/disk/talker.log\n\
                      stdout_logfile_maxbytes=0\nstderr_logfile=NONE\n";

const DISK_BYTES: u64 = 1 << 20;

/// The bar is 2 s; the machine may be busy.
const RESUMED_WITHIN: Duration = Duration::from_secs(10);

fn size(log: &Path) -> u64 {
    fs::metadata(log).unwrap().len()
}

#[test]
fn f01_a_full_disk_holds_nobody_up_and_what_was_lost_is_told() {
    if !own_namespace("F01") {
        return;
    }
    let folder = World::folder("", TALKER);
    let disk = Mount::tmpfs(&folder.path("disk"), DISK_BYTES);
    let world = World::in_folder(folder);
    world.start("talker");
    let talker = world.process_pid("talker");
    let log = disk.path.join("talker.log");
    world.wait_text("main.log", "cannot write");
    let probe = Probe::begin(&world);
    // Whoever waits for nobody uses the CPU all the time.
    let (before, _) = activity(talker);
    until("the talker to talk on", || {
        let (now, _) = activity(talker);
        if now > before + 50 { Ok(()) } else { Err(format!("{before}, then {now} ticks")) }
    });
    assert!(size(&log) <= DISK_BYTES);
    until("the loss to be shown", || {
        let shown = world.ctl(&["--json", "status", "talker"]).stdout;
        let is_told =
            shown.contains("talker.log cannot write: No space left on device") && !shown.contains("; 0 bytes lost");
        if is_told { Ok(()) } else { Err(shown) }
    });
    let warnings = world.log_lines(&["bytes of output are lost so far"]);
    assert_eq!(warnings.len(), 1, "at most once a minute: {warnings:?}");
    probe.end("F01");
    disk.remount(MsFlags::empty(), "size=1G");
    let begin = Instant::now();
    until("the log to go on", || if size(&log) > DISK_BYTES { Ok(()) } else { Err(size(&log).to_string()) });
    eprintln!("F01: the log went on {:?} after there was room", begin.elapsed());
    assert!(begin.elapsed() < RESUMED_WITHIN);
    assert_eq!(world.process_pid("talker"), talker);
    world.stop("talker");
    world.wait_text("main.log", "bytes were lost");
    let text = fs::read_to_string(&log).unwrap();
    let markers: Vec<&str> = text.lines().filter(|line| line.starts_with("galaxyd: ")).collect();
    assert!(markers.len() == 1 && markers[0].ends_with(" bytes lost"), "{markers:?}");
    world.end();
}
