//! F07: a child is stopped by SIGSTOP, or waits in the kernel where no signal reaches it.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::household::worker_of;
use crate::hung::Hung;
use crate::mount::own_namespace;
use crate::wait::until;
use crate::world::World;

fn why(world: &World, process: &str) -> String {
    world.ctl(&["why", process]).stdout
}

#[test]
fn f07_a_stopped_child_is_shown_as_such_and_acts_on_its_stop_signal() {
    let world = World::new(
        "[program:held]\ncommand=sh -c 'trap \"echo asked; exit 0\" TERM; echo ready; while :; do sleep 0.05; done'\n\
         autostart=false\nstartsecs=0\nstopwaitsecs=30\nstdout_logfile=%(here)s/held.log\n",
    );
    world.start("held");
    world.wait_text("held.log", "ready");
    kill(Pid::from_raw(world.process_pid("held")), Signal::SIGSTOP).unwrap();
    until("the stop to be shown, with its signal and how long ago it was", || {
        let told = why(&world, "held");
        // Time passes: it is the subject.
        let seconds = told.split("stopped by signal 19 for ").nth(1).and_then(|rest| rest.split(" s; ").next());
        let is_told =
            seconds.and_then(|seconds| seconds.parse().ok()).is_some_and(|seconds: u64| (2..100).contains(&seconds));
        if is_told && told.contains("`galaxyctl signal CONT held` lets it go on") { Ok(()) } else { Err(told) }
    });
    // A successor was not told which signal it was.
    kill(Pid::from_raw(worker_of(world.bars.keeper)), Signal::SIGKILL).unwrap();
    until("the stop to be shown by a successor", || {
        let told = why(&world, "held");
        if told.contains("stopped by a signal; ") { Ok(()) } else { Err(told) }
    });
    let begin = Instant::now();
    world.stop("held");
    eprintln!("F07: stopped after {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(20), "it was not waited for until SIGKILL");
    world.wait_text("held.log", "asked");
    assert_eq!(world.info("held", "exitstatus").unwrap(), "0");
    world.end_with_another_worker();
}

#[test]
fn f07_a_child_that_no_signal_reaches_is_named_and_holds_up_nobody() {
    if !own_namespace("F07") {
        return;
    }
    let folder = World::folder(
        "",
        "[program:stuck]\ncommand=cat %(here)s/hung/file\nautostart=false\nstartsecs=0\nstopwaitsecs=1\n\
         [program:other]\ncommand=sleep 10000\nautostart=false\nstartsecs=0\n",
    );
    let Some(mut hung) = Hung::mount(&folder.path("hung"), "F07") else { return };
    let world = World::in_folder(folder);
    world.start("stuck");
    until("its question", || hung.take().ok_or_else(|| "none yet".to_owned()));
    let answer = world.call(
        "supervisor.stopProcess",
        &format!("{}<param><value><boolean>0</boolean></value></param>", World::named("stuck")),
    );
    assert!(!answer.unwrap().contains("faultCode"));
    world.wait_text("main.log", "killing 'stuck'");
    until("the wait to be shown", || {
        let told = why(&world, "stuck");
        if told.contains("no signal reaches it while it waits in ") { Ok(()) } else { Err(told) }
    });
    let begin = Instant::now();
    world.start("other");
    world.stop("other");
    assert!(begin.elapsed() < Duration::from_secs(10), "others are not held up");
    hung.release();
    world.wait_state("stuck", "STOPPED");
    world.end();
}
