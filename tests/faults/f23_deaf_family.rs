//! F23: a child ignores SIGTERM and has children of its own.

use std::time::{Duration, Instant};

use crate::wait::until;
use crate::world::World;

const STOPWAITSECS: u64 = 2;

fn program(name: &str, keys: &str) -> String {
    format!(
        "[program:{name}]\ncommand=sh -c 'trap \"\" TERM; sleep 10001 & sleep 10002 & echo ready; while :; do wait; done'\n\
         autostart=false\nstartsecs=0\nstopwaitsecs={STOPWAITSECS}\nstdout_logfile=%(here)s/{name}.log\n{keys}\n"
    )
}

/// Processes of the test that sleep for one of its times.
fn sleepers(world: &World) -> Vec<i32> {
    let is_one = |pid: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        ["10001", "10002"].contains(&line.trim_start_matches("sleep").trim_matches('\0'))
    };
    world.living().into_iter().filter(is_one).collect()
}

#[test]
fn f23_a_deaf_family_is_killed_in_time_and_survivors_are_named() {
    let world = World::new(&format!(
        "{}{}{}",
        program("group", "killasgroup=true"),
        program("tree", "killtree=true"),
        program("alone", "")
    ));
    for name in ["group", "tree", "alone"] {
        world.start(name);
        world.wait_text(&format!("{name}.log"), "ready");
        let begin = Instant::now();
        world.stop(name);
        let taken = begin.elapsed();
        eprintln!("F23: {name} was gone after {taken:?}");
        assert!(
            taken >= Duration::from_secs(STOPWAITSECS) && taken < Duration::from_secs(STOPWAITSECS + 5),
            "{taken:?}"
        );
        if name == "alone" {
            // Nobody asked for more than the one: who survives is named, and the test's to end.
            world.wait_text("main.log", "left something behind");
            let told = world.ctl(&["why", name]).stdout;
            assert!(told.contains("left behind: ") && told.contains("sleep 10001"), "{told}");
            for pid in sleepers(&world) {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
            }
        }
        until("the family to be gone", || {
            let left = sleepers(&world);
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }
    world.end();
}
