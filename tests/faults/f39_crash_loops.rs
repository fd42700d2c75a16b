//! F39: many programs end at once as soon as they are started, again and again: what they all need is down.

use std::fs;
use std::time::{Duration, Instant};

use crate::bars::Bars;
use crate::household::activity;
use crate::probe::Probe;
use crate::wait::{until, until_true};
use crate::world::{World, is_long};

/// `restart_rate`, automatic starts a second, and how many seconds' worth may come at once.
const RATE: usize = 20;
const BURST_SECS: usize = 5;

/// Ticks of CPU, 10 ms each, that the daemon's two processes may spend in a second: the bar is 10 % of two cores for an
/// optimised one.
const TICKS_A_SECOND_MAX: f64 = if cfg!(debug_assertions) { 60.0 } else { 20.0 };

#[test]
fn f39_a_storm_of_crash_loops_is_paced_explained_as_one_and_got_over() {
    let (programs, lasting) = if is_long() { (500, Duration::from_secs(60)) } else { (60, Duration::from_secs(5)) };
    let folder = World::folder(
        "",
        &format!(
            "[program:client]\ncommand=sh -c 'test -e %(here)s/database && exec sleep 10000; exit 1'\n\
             process_name=c%(process_num)03d\nnumprocs={programs}\nautostart=false\nstartretries=unlimited\n\
             restart_delay=1\nrestart_factor=2\nrestart_delay_max=4\nrestart_jitter=50\n\
             stdout_logfile=NONE\nstderr_logfile=NONE\n"
        ),
    );
    fs::write(folder.path("database"), "").unwrap();
    let mut world = World::in_folder(folder);
    // What is known of an end is kept for each of them; that much is there from the first end on.
    for method in ["supervisor.startProcessGroup", "supervisor.stopProcessGroup"] {
        let answer = world.call(method, &World::named("client")).unwrap();
        assert!(!answer.contains("faultCode"), "{answer}");
    }
    world.bars = Bars::before(&world);
    fs::remove_file(world.path("database")).unwrap();
    let ticks = || activity(world.bars.keeper).0 + activity(world.bars.worker).0;
    let probe = Probe::begin(&world);
    let answer = world.call(
        "supervisor.startProcessGroup",
        &format!("{}<param><value><boolean>0</boolean></value></param>", World::named("client")),
    );
    assert!(!answer.unwrap().contains("faultCode"));
    let states = |wanted: &str| world.ctl(&["status", "client:*"]).stdout.matches(wanted).count();
    until("everybody to have failed", || {
        let failing = states(" BACKOFF ");
        if failing > programs * 3 / 4 { Ok(()) } else { Err(format!("{failing} in BACKOFF")) }
    });
    probe.end("F39");
    let spawned = || world.log_lines(&["spawned: 'c"]).len();
    let (begin, spent, before) = (Instant::now(), ticks(), spawned());
    until_true("the storm to last", || begin.elapsed() > lasting);
    let seconds = begin.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let share = (ticks() - spent) as f64 / seconds;
    let starts = spawned() - before;
    eprintln!("F39: {starts} starts and {share:.1} ticks of CPU a second in {seconds:.1} s");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a test")]
    let most = RATE * (seconds as usize + 1 + BURST_SECS);
    assert!(starts > 0 && starts <= most, "{starts} starts, at most {most} are due");
    assert!(share < TICKS_A_SECOND_MAX, "{share} ticks a second");
    let told = until("one line for all", || {
        let told = world.ctl(&["status"]).stderr;
        let is_told = told.contains(" processes fail for the same reason, ended too quickly: exit status 1: client:c0");
        if is_told { Ok(told) } else { Err(told) }
    });
    assert_eq!(told.matches("for the same reason").count(), 1, "{told}");
    fs::write(world.path("database"), "").unwrap();
    until("everybody to run", || {
        let running = states(" RUNNING ");
        if running == programs { Ok(()) } else { Err(format!("{running} of {programs}")) }
    });
    let answer = world.call("supervisor.stopProcessGroup", &World::named("client")).unwrap();
    assert!(!answer.contains("faultCode"), "{answer}");
    world.end();
}
