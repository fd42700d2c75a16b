//! F24: a program goes into the background by itself.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::until;
use crate::world::World;

fn program(name: &str, keys: &str) -> String {
    format!(
        "[program:{name}]\ncommand=sh -c '(setsid sh -c \"echo \\$\\$ > %(here)s/{name}.pid; exec sleep 10003\" &); \
         while [ ! -s %(here)s/{name}.pid ]; do sleep 0.01; done'\nautostart=false\nstartretries=0\n{keys}\n"
    )
}

#[test]
fn f24_a_program_that_daemonizes_is_fatal_with_a_hint_and_its_stray_is_known() {
    let world = World::new(&format!("{}{}", program("stray", ""), program("tree", "killtree=true")));
    for name in ["stray", "tree"] {
        let answer = world.call("supervisor.startProcess", &World::named(name)).unwrap();
        assert!(answer.contains("ABNORMAL_TERMINATION") || answer.contains("SPAWN_ERROR"), "{answer}");
        world.wait_state(name, "FATAL");
        let pid: i32 = world.text(&format!("{name}.pid")).trim().parse().unwrap();
        if name == "stray" {
            until("the hint", || {
                let told = world.ctl(&["why", name]).stdout;
                let hint = format!(
                    "it left a background process behind: {pid} (sleep 10003): run it in the foreground, or set type=forking"
                );
                if told.contains(&hint) { Ok(()) } else { Err(told) }
            });
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
        until("the stray to be gone", || {
            if std::path::Path::new(&format!("/proc/{pid}")).exists() { Err("it lives".to_owned()) } else { Ok(()) }
        });
    }
    world.end();
}

#[test]
fn f24_a_program_that_daemonizes_and_says_so_is_supervised() {
    let world = World::new(&program("daemon", "type=forking"));
    world.start("daemon");
    world.wait_state("daemon", "RUNNING");
    let pid: i32 = world.text("daemon.pid").trim().parse().unwrap();
    assert_eq!(world.process_pid("daemon"), pid);
    world.stop("daemon");
    until("it to be gone", || {
        if std::path::Path::new(&format!("/proc/{pid}")).exists() { Err("it lives".to_owned()) } else { Ok(()) }
    });
    world.end();
}
