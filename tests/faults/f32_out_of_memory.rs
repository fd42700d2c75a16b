//! F32: the daemon itself gets no more memory. (Limits, and a machine without memory, are in `tests/systemd/limits.rs`.)

use std::fs;

use crate::household::worker_of;
use crate::wait::until;
use crate::world::World;

/// A log of which an answer about all of it needs more than is left.
const LOG_BYTES: u64 = 60 << 20;

/// So much address space is left to the worker: for all that it does, but not for such an answer.
const LEFT_BYTES: u64 = 64 << 20;

fn address_space(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn limit(pid: i32, bytes: &str) {
    let words = [format!("--pid={pid}"), format!("--as={bytes}:")];
    assert!(std::process::Command::new("prlimit").args(words).status().unwrap().success());
}

#[test]
fn f32_an_answer_for_which_there_is_no_memory_is_refused_alone() {
    let world = World::new(
        "[program:p]\ncommand=sleep 10000\nautostart=false\nstartsecs=0\nstdout_logfile=%(here)s/p.log\nstderr_logfile=NONE\n",
    );
    world.start("p");
    fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(world.path("p.log"))
        .unwrap()
        .set_len(LOG_BYTES)
        .unwrap();
    let ask = |length: u64| {
        world.call(
            "supervisor.readProcessStdoutLog",
            &format!(
                "{}<param><value><int>0</int></value></param><param><value><int>{length}</int></value></param>",
                World::named("p")
            ),
        )
    };
    let worker = world.bars.worker;
    limit(worker, &(address_space(worker) + LEFT_BYTES).to_string());
    for _ in 0..3 {
        let refused = ask(LOG_BYTES);
        assert!(refused.as_ref().is_ok_and(|answer| answer.contains("FAILED")), "{refused:?}");
        // What there is memory for is answered as ever.
        assert!(ask(1000).is_ok_and(|answer| !answer.contains("faultCode")));
    }
    world.stop("p");
    limit(worker, "unlimited");
    world.end();
}

#[test]
fn f32_a_worker_that_gets_no_memory_at_all_costs_no_program() {
    let world = World::new("[program:p]\ncommand=sleep 10000\nautostart=false\nstartsecs=0\n");
    world.start("p");
    let pid = world.process_pid("p");
    let worker = world.bars.worker;
    limit(worker, &address_space(worker).to_string());
    // It answers as long as it can, and is replaced when it cannot.
    for _ in 0..50 {
        let _ = world.call("supervisor.getAllProcessInfo", "");
    }
    until("an answer", || world.call("supervisor.getState", ""));
    assert_eq!(world.process_pid("p"), pid);
    if worker_of(world.bars.keeper) == worker {
        limit(worker, "unlimited");
    }
    world.stop("p");
    world.end_with_another_worker();
}
