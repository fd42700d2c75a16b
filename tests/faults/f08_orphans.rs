//! F08: a storm of orphans, which the keeper has to reap as their new parent.

use crate::probe::Probe;
use crate::wait::until;
use crate::world::{World, is_long};

#[test]
fn f08_a_storm_of_orphans_is_reaped_and_counts_against_nobody() {
    let count = if is_long() { 20_000 } else { 2000 };
    let world = World::new(&format!(
        "[program:storm]\ncommand=sh -c 'i=0; while [ $i -lt {count} ]; do (true &); i=$((i+1)); done; echo done; exec \
         sleep 10000'\nautostart=false\nstartsecs=0\nstdout_logfile=%(here)s/storm.log\n"
    ));
    let probe = Probe::begin(&world);
    world.start("storm");
    let storm = world.process_pid("storm");
    until("the storm", || {
        let text = world.text("storm.log");
        if text.contains("done") { Ok(()) } else { Err(text) }
    });
    probe.end("F08");
    assert_eq!(world.process_pid("storm"), storm);
    assert!(!world.text("main.log").contains("exited:"), "none counts as a program");
    let told = world.log_lines(&["unknown pid"]).len();
    assert!(told > 0 && told < 100, "{told} lines about {count} orphans");
    world.stop("storm");
    world.end();
}
