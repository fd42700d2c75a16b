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
        assert!(text.chunks(2).all(|line| line == b"y\n" || line == b"y"), "program {at}");
    }
    world.end();
}
