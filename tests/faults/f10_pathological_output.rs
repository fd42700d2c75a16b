//! F10: a line without an end, NULs, bytes that are no text; and a disk that takes nothing for a while.

use std::fs;

use crate::household::pss_kb;
use crate::mount::{Mount, own_namespace};
use crate::probe::Probe;
use crate::wait::until;
use crate::world::{World, is_long};

/// The worker may grow by so much, kB, however long the line is.
const GROWTH_KB_MAX: u64 = 8192;

#[test]
fn f10_a_line_without_end_is_written_as_it_is_in_bounded_memory() {
    let bytes: u64 = if is_long() { 2 << 30 } else { 64 << 20 };
    let world = World::new(&format!(
        "[program:line]\ncommand=sh -c 'head -c {bytes} /dev/zero; printf \"\\377\\376\\n\"; exec sleep 10000'\n\
         autostart=false\nstartsecs=0\nstdout_logfile=%(here)s/line.log\nstdout_logfile_maxbytes=0\n"
    ));
    let before = pss_kb(world.bars.worker);
    let probe = Probe::begin(&world);
    world.start("line");
    let log = world.path("line.log");
    let mut most = 0;
    until("the whole line", || {
        most = most.max(pss_kb(world.bars.worker));
        let size = fs::metadata(&log).map_err(|error| error.to_string())?.len();
        if size == bytes + 3 { Ok(()) } else { Err(format!("{size} bytes")) }
    });
    probe.end("F10");
    eprintln!("F10: a line of {bytes} bytes: the worker grew from {before} to at most {most} kB");
    assert!(most < before + GROWTH_KB_MAX, "{before} became {most} kB");
    if !is_long() {
        let text = fs::read(&log).unwrap();
        assert!(text.ends_with(b"\0\xff\xfe\n") && text[..text.len() - 3].iter().all(|byte| *byte == 0));
    }
    // What is no text is shown all the same, in well-formed XML.
    let answer = world.call(
        "supervisor.tailProcessStdoutLog",
        &format!(
            "{}<param><value><int>0</int></value></param><param><value><int>64</int></value></param>",
            World::named("line")
        ),
    );
    let answer = answer.unwrap();
    assert!(answer.contains("</methodResponse>") && !answer.contains('\0'), "{answer}");
    world.stop("line");
    world.end();
}

#[test]
fn f10_a_disk_that_takes_nothing_stalls_its_own_log_alone() {
    if !own_namespace("F10") {
        return;
    }
    let folder = World::folder(
        "",
        "[program:slow]\ncommand=sh -c 'while :; do echo 0123456789012345678901234567890123456789; done'\nautostart=false\n\
         startsecs=0\nstdout_logfile=%(here)s/disk/slow.log\nstdout_logfile_maxbytes=1MB\nstdout_logfile_backups=1\n\
         stderr_logfile=NONE\n\
         [program:well]\ncommand=sh -c 'while :; do echo line; sleep 0.02; done'\nautostart=false\nstartsecs=0\n\
         stdout_logfile=%(here)s/well.log\n",
    );
    let Some(disk) = Mount::ext4(&folder.path("disk"), "F10") else { return };
    let world = World::in_folder(folder);
    world.start("slow");
    world.start("well");
    until("the log", || fs::metadata(disk.path.join("slow.log")).map_err(|error| error.to_string()));
    disk.freeze();
    let probe = Probe::begin(&world);
    world.wait_text("main.log", "does not answer");
    let size = || fs::metadata(world.path("well.log")).map_or(0, |found| found.len());
    let before = size();
    until("the other log to go on", || if size() > before + 50 { Ok(()) } else { Err(size().to_string()) });
    let told = world.ctl(&["why", "slow"]).stdout;
    assert!(told.contains("slow.log does not answer, for "), "{told}");
    probe.end("F10");
    disk.thaw();
    world.wait_text("main.log", "can be written again");
    let told = world.ctl(&["why", "slow"]).stdout;
    let is_past = |line: &str| line.trim_start().starts_with("before: ");
    assert!(!told.lines().any(|line| line.contains("does not answer") && !is_past(line)), "{told}");
    world.stop("slow");
    world.stop("well");
    world.end();
}
