//! F29: many children die in the same instant, and their SIGCHLDs become one.

use std::collections::BTreeSet;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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

#[test]
fn f29_many_deaths_at_once_are_each_seen_once_and_all_run_again() {
    let count = if is_long() { 2000 } else { 300 };
    let world = World::new(&format!(
        "[program:many]\ncommand=sleep 10000\nprocess_name=m%(process_num)04d\nnumprocs={count}\nstartsecs=0\n\
         autorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
    ));
    let all = || {
        until("all to run", || {
            let running = pids(&world);
            if running.len() == count { Ok(running) } else { Err(format!("{} run", running.len())) }
        })
    };
    let before = all();
    let begin = Instant::now();
    for pid in &before {
        kill(Pid::from_raw(*pid), Signal::SIGKILL).unwrap();
    }
    let killed = begin.elapsed();
    let after = until("all to run again", || {
        let running = pids(&world);
        if running.len() == count && running.is_disjoint(&before) {
            Ok(running)
        } else {
            Err(format!("{} run, {} of them from before", running.len(), running.intersection(&before).count()))
        }
    });
    eprintln!("F29: {count} killed within {killed:?}, all ran again after {:?}", begin.elapsed());
    let exits = world.log_lines(&["terminated by SIGKILL"]);
    assert_eq!(exits.len(), count, "each exit is told once");
    assert_eq!(world.log_lines(&["spawned: 'm"]).len(), 2 * count, "nobody was started twice");
    assert_eq!(after.len(), count);
    world.end();
}
