//! F29: many children die in the same instant, and their SIGCHLDs become one.

use std::collections::BTreeSet;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::household::anonymous_kb;
use crate::wait::until;
use crate::world::{World, is_long};

fn pids(world: &World) -> BTreeSet<i32> {
    let answer = world.call("supervisor.getAllProcessInfo", "").unwrap();
    let mut found = BTreeSet::new();
    for process in answer.split("<struct>").filter(|text| text.contains("<string>many</string>")) {
        if process.contains("<string>RUNNING</string>") {
            let pid = process.split("<name>pid</name>").nth(1).and_then(|rest| rest.split("<int>").nth(1));
            found.insert(pid.and_then(|rest| rest.split('<').next()).unwrap().parse().unwrap());
        }
    }
    found
}

/// After so many mass deaths what is known of each process's last end, and the room that it was made in, are there; the
/// later ones of the long form must find enough of it.
const FIRST_ROUNDS: usize = 3;

#[test]
fn f29_many_deaths_at_once_are_each_seen_once_and_all_run_again() {
    // The memory that one mass death takes must serve the next, which shall not wait for its turns.
    let (count, rounds, keys) = if is_long() { (2000, 6, "restart_rate=0\n") } else { (300, 1, "") };
    let sections = format!(
        "[program:many]\ncommand=sleep 10000\nprocess_name=m%(process_num)04d\nnumprocs={count}\nstartsecs=0\n\
         autorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
    );
    let mut world = World::in_folder(World::folder(keys, &sections));
    let all = || {
        until("all to run", || {
            let running = pids(&world);
            if running.len() == count { Ok(running) } else { Err(format!("{} run", running.len())) }
        })
    };
    let mut before = all();
    for round in 1..=rounds {
        let begin = Instant::now();
        for pid in &before {
            kill(Pid::from_raw(*pid), Signal::SIGKILL).unwrap();
        }
        let killed = begin.elapsed();
        before = until("all to run again", || {
            let running = pids(&world);
            if running.len() == count && running.is_disjoint(&before) {
                Ok(running)
            } else {
                Err(format!("{} run, {} of them from before", running.len(), running.intersection(&before).count()))
            }
        });
        let memory = anonymous_kb(world.bars.worker);
        let took = begin.elapsed();
        eprintln!("F29: {count} killed within {killed:?}, all ran again after {took:?}, the worker has {memory} kB");
        assert_eq!(world.log_lines(&["terminated by SIGKILL"]).len(), round * count, "each exit is told once");
        assert_eq!(world.log_lines(&["spawned: 'm"]).len(), (round + 1) * count, "nobody was started twice");
        if is_long() && round <= FIRST_ROUNDS {
            world.bars.allow_memory_of_now();
        }
    }
    // An answer about thousands takes its time.
    if is_long() { world.bars.hold_but_for_status(&world) } else { world.end() }
}
