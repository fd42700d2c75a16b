//! F32: the daemon itself gets no more memory. (Limits, and a machine without memory, are in `tests/systemd/limits.rs`.)

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::notice::tell;
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

/// The flags of each part of the program's own file that it executes, as `proc_pid_smaps(5)` tells them.
fn flags_of_code(pid: i32) -> Vec<String> {
    let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap().display().to_string();
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut is_code = false;
    let mut found = Vec::new();
    for line in maps.lines() {
        if line.split_ascii_whitespace().nth(1).is_some_and(|field| field.len() == 4 && field.ends_with('p')) {
            is_code = line.contains(" r-xp ") && line.ends_with(&program);
        } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| is_code) {
            found.push(flags.to_owned());
        }
    }
    found
}

#[test]
fn f32_the_code_of_keeper_and_worker_is_not_dropped_for_want_of_memory() {
    let world = World::new("");
    if !nix::unistd::geteuid().is_root() {
        return tell("could not run: F32: whether code is locked depends on RLIMIT_MEMLOCK where one is not root");
    }
    for pid in [world.bars.keeper, world.bars.worker] {
        let flags = flags_of_code(pid);
        assert!(!flags.is_empty() && flags.iter().all(|flags| flags.contains(" lo")), "{flags:?}");
    }
    let bystander = fs::read_to_string(format!("/proc/{}/status", world.process_pid("bystander"))).unwrap();
    assert!(bystander.contains("VmLck:\t       0 kB"), "programs lock for themselves: {bystander}");
    world.end();
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

/// Bodies that are sent but for their last byte: who reads them holds so much for each, in a piece that is not so large that
/// the daemon would refuse it alone.
const BODY_BYTES: usize = 100_000;

/// What the daemon says of a shortage, and of its end.
const SHORT: &str = "running without memory";
const OVER: &str = "there is memory again";

/// Takes memory until the daemon says that it gets none, and keeps it until the connections are closed.
fn exhaust(world: &World) -> Vec<UnixStream> {
    let head = format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", BODY_BYTES + 1);
    let body = vec![b' '; BODY_BYTES];
    let mut kept = Vec::new();
    until("a shortage", || {
        // Also what threads that have ended gave back.
        limit(world.bars.worker, &address_space(world.bars.worker).to_string());
        let mut stream = UnixStream::connect(world.path("s.sock")).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        kept.push(stream);
        if world.text("main.log").contains(SHORT) { Ok(()) } else { Err(format!("{} bodies are kept", kept.len())) }
    });
    kept
}

#[test]
fn f32_a_worker_that_gets_no_memory_at_all_refuses_supervises_and_goes_on() {
    let world = World::new(
        "[program:p]\ncommand=sleep 10000\nstartsecs=0\nautorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
    );
    world.wait_state("p", "RUNNING");
    let first = world.process_pid("p");
    let worker = world.bars.worker;
    let kept = exhaust(&world);
    let call = "<methodCall><methodName>supervisor.getState</methodName></methodCall>";
    let refused = world.post(call);
    assert!(refused.contains("no memory") || refused.starts_with("HTTP/1.1 503"), "{refused}");
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    until("the exit and a new start in the log", || {
        let log = world.text("main.log");
        let is_seen = log.contains("terminated by SIGKILL") && log.matches("spawned: 'p'").count() == 2;
        if is_seen { Ok(()) } else { Err(log) }
    });
    assert!(!world.text("main.log").contains(OVER), "it lasted all the time");
    limit(worker, "unlimited");
    drop(kept);
    until("the end of the shortage", || {
        let log = world.text("main.log");
        if log.contains(OVER) { Ok(()) } else { Err(log) }
    });
    until("an answer", || {
        let answer = world.call("supervisor.getAllProcessInfo", "")?;
        if answer.contains("faultCode") { Err(answer) } else { Ok(()) }
    });
    assert_ne!(world.process_pid("p"), first);
    world.stop("p");
    world.end();
}

#[test]
fn f32_a_keeper_that_gets_no_memory_at_all_reaps_and_starts_later() {
    let world = World::new(
        "[program:p]\ncommand=sleep 10000\nstartsecs=0\nautorestart=true\nnumprocs=20\nprocess_name=p%(process_num)02d\n\
         stdout_logfile=NONE\nstderr_logfile=NONE\n",
    );
    let names: Vec<String> = (0..20).map(|number| format!("p:p{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.wait_running(&names);
    let keeper = world.bars.keeper;
    limit(keeper, &address_space(keeper).to_string());
    for name in &names {
        kill(Pid::from_raw(world.process_pid(name)), Signal::SIGKILL).unwrap();
    }
    // Where a start finds no memory, that is no failure of the program: it waits.
    until("all exits in the log", || {
        let exits = world.log_lines(&["terminated by SIGKILL"]).len();
        if exits == names.len() { Ok(()) } else { Err(format!("{exits} exits")) }
    });
    assert_eq!(world.log_lines(&["entered FATAL state"]), [""; 0]);
    limit(keeper, "unlimited");
    world.wait_running(&names);
    world.end();
}
