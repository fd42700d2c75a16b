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
    let told = format!(
        "error: daemon pid {} does not answer (state T, stopped); `kill -CONT {worker}` lets it go on",
        world.bars.keeper
    );
    for words in [&["status"][..], &["--json", "status"], &["start", "p"], &["reread"], &["tail", "p"]] {
        let begin = Instant::now();
        let outcome = world.ctl(&[&["--timeout", "0.5"], words].concat());
        assert!(begin.elapsed() < Duration::from_secs(10), "{words:?} took {:?}", begin.elapsed());
        assert_eq!(outcome.code, Some(7), "{words:?}: {outcome:?}");
        if words[0] == "--json" {
            let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
            assert_eq!(document["errors"][0]["message"], *told, "{outcome:?}");
            assert_eq!(document["exit_code"], 7, "{outcome:?}");
        } else {
            assert!(outcome.stdout.starts_with(&told), "{words:?}: {outcome:?}");
        }
        assert!(outcome.stderr.contains("no answer in time"), "{words:?}: {outcome:?}");
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
