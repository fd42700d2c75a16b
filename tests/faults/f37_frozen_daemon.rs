//! F37: the daemon is frozen, and clients ask.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::World;

#[test]
fn f37_clients_of_a_frozen_daemon_give_up_in_time_and_say_why() {
    let world = World::new("[program:p]\ncommand=sleep 10000\nautostart=false\nstartsecs=0\n");
    let worker = Pid::from_raw(world.bars.worker);
    kill(worker, Signal::SIGSTOP).unwrap();
    for words in [&["status"][..], &["--json", "status"], &["start", "p"], &["reread"], &["tail", "p"]] {
        let begin = Instant::now();
        let outcome = world.ctl(&[&["--timeout", "0.5"], words].concat());
        assert!(begin.elapsed() < Duration::from_secs(10), "{words:?} took {:?}", begin.elapsed());
        assert_ne!(outcome.code, Some(0), "{words:?}: {outcome:?}");
        let told = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(told.contains("no answer in time"), "{words:?}: {outcome:?}");
        assert!(told.contains(&world.bars.keeper.to_string()), "{words:?} does not name the daemon: {outcome:?}");
    }
    kill(worker, Signal::SIGCONT).unwrap();
    // The request of a client that gave up is nobody's: it may have been carried out whole or not at all.
    let state = world.info("p", "statename").unwrap();
    assert!(["STOPPED", "STARTING", "RUNNING"].contains(&state.as_str()), "{state}");
    if state != "STOPPED" {
        world.stop("p");
    }
    world.end();
}
