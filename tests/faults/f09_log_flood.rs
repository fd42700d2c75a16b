//! F09: programs write as fast as they can, with rotation on.

use std::fs;
use std::time::{Duration, Instant};

use crate::household::pss_kb;
use crate::probe::Probe;
use crate::wait::until;
use crate::world::{World, is_long};

/// What one program may cost the daemon, kB, beside what the plane has in any case.
const MEMORY_KB_MAX: u64 = 256;
const PLANE_KB: u64 = 4096;

#[test]
fn f09_a_flood_of_output_takes_little_memory_and_delays_no_answer() {
    let (programs, flood) = if is_long() { (20, Duration::from_secs(30)) } else { (5, Duration::ZERO) };
    let world = World::new(&format!(
        "[program:flood]\ncommand=yes\nprocess_name=f%(process_num)02d\nnumprocs={programs}\nautostart=false\n\
         startsecs=0\nstdout_logfile=%(here)s/%(process_num)02d.log\nstdout_logfile_maxbytes=2MB\n\
         stdout_logfile_backups=1\nstderr_logfile=NONE\n"
    ));
    let before = pss_kb(world.bars.worker);
    let probe = Probe::begin(&world);
    let answer = world.call("supervisor.startProcessGroup", &World::named("flood")).unwrap();
    assert!(!answer.contains("faultCode"), "{answer}");
    let begin = Instant::now();
    let mut most = 0;
    // Everybody has a turn, and rotates.
    let rotated = |at: &u64| world.path(&format!("{at:02}.log.1")).exists();
    until("a rotation of each log", || {
        most = most.max(pss_kb(world.bars.worker));
        let done = (0..programs).filter(rotated).count() as u64;
        if done == programs && begin.elapsed() > flood { Ok(()) } else { Err(format!("{done} of {programs}")) }
    });
    probe.end("F09");
    let answer = world.call("supervisor.stopProcessGroup", &World::named("flood")).unwrap();
    assert!(!answer.contains("faultCode"), "{answer}");
    eprintln!("F09: {programs} programs: the worker grew from {before} to at most {most} kB");
    assert!(most < before + PLANE_KB + MEMORY_KB_MAX * programs, "{before} became {most} kB");
    for at in 0..programs {
        let old = fs::read(world.path(&format!("{at:02}.log.1"))).unwrap();
        let new = fs::read(world.path(&format!("{at:02}.log"))).unwrap();
        // Of two files that follow each other no byte is missing where they meet.
        let text = [old, new].concat();
        let odd = text.chunks(2).position(|line| line != b"y\n" && line != b"y");
        let around =
            odd.map(|line| String::from_utf8_lossy(&text[line * 2..text.len().min(line * 2 + 60)]).into_owned());
        assert_eq!(around, None, "program {at}, byte {:?} of {}", odd.map(|line| line * 2), text.len());
    }
    world.end();
}

/// Bytes that the program writes, and those of them that may go into its log in a second.
const WRITTEN: u64 = 3_000_000;
const RATE: u64 = 100 << 10;

#[test]
fn f09_what_is_beyond_a_programs_rate_is_left_out_counted_and_told() {
    let world = World::new(&format!(
        "[program:talker]\ncommand=sh -c 'yes | head -c {WRITTEN}; echo done >&2; exec sleep 10000'\nautostart=false\nstartsecs=0\n\
         output_rate_max={RATE}\nstdout_logfile=%(here)s/talker.log\nstdout_logfile_maxbytes=0\nstderr_logfile=%(here)s/told.log\n\
         [program:modest]\ncommand=sh -c 'while :; do echo line; sleep 0.05; done'\nautostart=false\nstartsecs=0\n\
         output_rate_max={RATE}\nstdout_logfile=%(here)s/modest.log\n"
    ));
    let probe = Probe::begin(&world);
    world.start("modest");
    let begin = Instant::now();
    world.start("talker");
    world.wait_text("told.log", "done");
    let count =
        |line: &str| line.strip_prefix("galaxyd: ")?.strip_suffix(" bytes lost (output_rate_max)")?.parse::<u64>().ok();
    let (kept, lost) = until("every byte to be in the log or to be counted", || {
        let text = world.text("talker.log");
        let lost: u64 = text.lines().filter_map(count).sum();
        // A marker begins a line of its own, for which it may have ended one that the program had not.
        let kept = text.lines().filter(|line| *line == "y").count() as u64 * 2;
        let is_all = (kept + lost).abs_diff(WRITTEN) <= text.lines().filter_map(count).count() as u64;
        if lost > 0 && is_all { Ok((kept, lost)) } else { Err(format!("{kept} kept, {lost} lost")) }
    });
    let seconds = begin.elapsed().as_secs() + 2;
    assert!(kept <= RATE * seconds, "{kept} bytes in {seconds} s");
    eprintln!("F09: {kept} bytes kept, {lost} left out");
    let told = world.ctl(&["why", "talker"]).stdout;
    assert!(
        told.contains(&format!("{lost} bytes of its output are left out of its log so far (output_rate_max)")),
        "{told}"
    );
    let warnings = world.log_lines(&["writes more than output_rate_max allows"]);
    assert_eq!(warnings.len(), 1, "at most once a minute: {warnings:?}");
    probe.end("F09");
    until("the modest one to be heard", || {
        if world.text("modest.log").len() > 50 { Ok(()) } else { Err("not yet".to_owned()) }
    });
    assert!(!world.text("modest.log").contains("galaxyd: "));
    for name in ["talker", "modest"] {
        world.stop(name);
    }
    world.end();
}
