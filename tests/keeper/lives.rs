//! Workers come and go; nothing else does.

use std::io::{Read, Seek};
use std::os::fd::{AsFd, OwnedFd};

use galaxyd::engine::Exit;
use galaxyd::keeper::{DONE_HELD_NAME, FromKeeper, PROTOCOL_VERSION, ROLL_HELD_NAME, Stage, ToKeeper};
use galaxyd::sys::{clock, signals, splice};

use crate::notice::tell;
use crate::rig::{Inventory, Rig, Worker, plan, read_line, shell, status_field, until};

fn signal_told(worker: &Worker, signal: i32) -> (i32, u32) {
    match worker.expect(|message| matches!(message, FromKeeper::Signal { signal: its, .. } if *its == signal)) {
        (FromKeeper::Signal { pid, uid, .. }, _) => (pid, uid),
        _ => unreachable!(),
    }
}

#[test]
fn the_first_inventory_holds_what_the_launcher_left() {
    let (rig, mut worker) = Rig::start("held=http held=other");
    let inventory = worker.greet();
    assert_eq!((inventory.generation, inventory.fresh), (1, true));
    let names: Vec<&str> = inventory.held.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["http", "other"]);
    assert!(inventory.programs.is_empty());
    assert_eq!(rig.end(&mut worker, 3), 3);
}

#[test]
fn a_worker_that_fails_before_it_is_ready_ends_the_keeper_with_its_code() {
    let (rig, mut worker) = Rig::start("");
    worker.greet();
    worker.exit(2);
    assert_eq!(rig.wait(), 2);
    let (rig, worker) = Rig::start("");
    worker.kill();
    assert_eq!(rig.wait(), 128 + 9);
}

#[test]
fn a_worker_that_ends_is_replaced_and_its_successor_told_everything() {
    let (rig, mut worker) = Rig::start("held=http");
    worker.come_up();
    let (sleeper, _) = rig.spawn(&worker, 1, &shell("exec sleep 1000"));
    rig.spawn(&worker, 2, &shell("exit 9"));
    worker.exited(2);
    rig.spawn(&worker, 3, &plan("/nonexistent", &["x"]));
    worker.exited(3);
    rig.spawn(&worker, 4, &shell("true"));
    worker.exited(4);
    worker.say(&ToKeeper::Forget { id: 4 });
    worker.signal(1, libc::SIGCONT, false);
    let (reader, _writer) = std::io::pipe().unwrap();
    worker.say_with(&ToKeeper::Hold { name: "more".to_owned() }, &[reader.as_fd()]);
    worker.say(&ToKeeper::Release { name: "http".to_owned() });
    worker.settle();
    worker.exit(0);

    let mut next = rig.next_worker();
    assert_eq!((next.open_files, next.leaked_variables), (5, false));
    let inventory = next.come_up();
    assert_eq!((inventory.generation, inventory.fresh), (2, false));
    assert_eq!(inventory.held.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["more"]);
    let programs: Vec<_> = inventory.programs.iter().map(|(program, _)| program).collect();
    assert_eq!(programs.iter().map(|program| program.id).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((programs[0].pid, programs[0].last_signal), (sleeper, libc::SIGCONT));
    assert_eq!((programs[0].tag.as_str(), programs[0].ended), ("tag 1", None));
    assert_eq!(programs[1].ended.unwrap().exit, Exit::Code(9));
    assert_eq!(programs[2].ended.unwrap().exit, Exit::Code(127));
    assert_eq!(programs[2].exec_failed, Some((Stage::Exec, libc::ENOENT)));
    assert!(programs[0].started.mono <= programs[1].started.mono);
    next.signal(1, libc::SIGKILL, false);
    assert_eq!(next.exited(1), Exit::Signal { number: libc::SIGKILL, core_dumped: false });
    rig.end(&mut next, 0);
}

#[test]
fn what_a_worker_asked_for_last_is_done() {
    let (rig, worker) = Rig::start("");
    worker.come_up();
    // Stopped, the keeper finds question and death at the same time.
    signals::send(rig.pid(), libc::SIGSTOP).unwrap();
    worker.spawn(1, &shell("exec sleep 1000"));
    worker.kill();
    signals::send(rig.pid(), libc::SIGCONT).unwrap();
    let mut next = rig.next_worker();
    let inventory = next.come_up();
    assert_eq!(inventory.programs.len(), 1);
    assert_eq!(next.signal(1, libc::SIGKILL, false), 0);
    next.exited(1);
    rig.end(&mut next, 0);
}

#[test]
fn starting_afresh_and_ending_are_the_workers_word() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    worker.say(&ToKeeper::StartAfresh);
    worker.exit(0);
    let mut next = rig.next_worker();
    let inventory = next.greet();
    assert_eq!((inventory.generation, inventory.fresh), (2, true));
    // It is the second worker: its failure is not the daemon's.
    next.exit(1);
    let mut third = rig.next_worker();
    assert!(third.come_up().fresh);
    third.settle();
    third.exit(1);
    let mut fourth = rig.next_worker();
    assert!(!fourth.come_up().fresh);
    assert_eq!(rig.end(&mut fourth, 200), 200);
}

#[test]
fn signals_to_the_keeper_are_told_until_one_takes_them() {
    let (rig, worker) = Rig::start("");
    worker.come_up();
    let sender = (std::process::id().cast_signed(), nix::unistd::getuid().as_raw());
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR2] {
        signals::send(rig.pid(), signal).unwrap();
        assert_eq!(signal_told(&worker, signal), sender);
    }
    // Ignored ones, which would end it.
    for signal in [libc::SIGUSR1, libc::SIGALRM, libc::SIGPIPE, libc::SIGRTMIN(), libc::SIGXCPU] {
        signals::send(rig.pid(), signal).unwrap();
    }
    worker.say(&ToKeeper::SignalTaken { signal: libc::SIGHUP });
    worker.say(&ToKeeper::SignalTaken { signal: libc::SIGUSR2 });
    worker.settle();
    worker.kill();
    let mut next = rig.next_worker();
    next.come_up();
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        signal_told(&next, signal);
        next.say(&ToKeeper::SignalTaken { signal });
    }
    next.settle();
    assert_eq!(next.unexpected(), []);
    // Taken, the same signal is news again.
    signals::send(rig.pid(), libc::SIGTERM).unwrap();
    signal_told(&next, libc::SIGTERM);
    next.say(&ToKeeper::SignalTaken { signal: libc::SIGTERM });
    rig.end(&mut next, 0);
}

#[test]
fn signals_for_the_daemon_do_not_end_its_worker() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2] {
        signals::send(worker.pid, signal).unwrap();
    }
    worker.settle();
    assert_eq!(rig.end(&mut worker, 0), 0);
}

#[test]
fn another_version_is_told_so_and_nothing_more() {
    let (rig, mut worker) = Rig::start("held=http");
    worker.say(&ToKeeper::Hello { version: PROTOCOL_VERSION + 1 });
    worker.expect(|message| matches!(message, FromKeeper::Welcome { version: PROTOCOL_VERSION, .. }));
    worker.say(&ToKeeper::Signal { id: 1, signal: 0, group: false });
    let inventory = worker.greet();
    assert_eq!(inventory.held.len(), 1);
    rig.end(&mut worker, 0);
}

#[test]
fn a_worker_that_talks_nonsense_is_replaced() {
    let (rig, worker) = Rig::start("");
    worker.come_up();
    rig.spawn(&worker, 1, &shell("exec sleep 1000"));
    worker.say_bytes(b"\x02nonsense", &[]);
    let mut next = rig.next_worker();
    assert_eq!(next.come_up().programs.len(), 1);
    next.signal(1, libc::SIGKILL, false);
    next.exited(1);
    rig.end(&mut next, 0);
}

#[test]
fn a_worker_that_does_not_listen_makes_nobody_wait_and_nothing_grow() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let (_, pipes) = rig.spawn(&worker, 1, &shell("while read line; do echo $line; done"));
    let question = ToKeeper::Signal { id: u64::MAX, signal: 0, group: false };
    // As many questions as go: when its outbox is long the keeper reads no more.
    let mut asked = 0u32;
    let mut ask = || {
        let sent = worker.try_say(&question);
        asked += u32::from(sent);
        assert!(asked < 100_000);
        sent
    };
    let keeper_waits = || status_field(rig.pid(), "State").is_some_and(|state| state.starts_with('S'));
    while ask() || !keeper_waits() || ask() {}
    // Programs do not notice.
    nix::unistd::write(&pipes[0], b"alive\n").unwrap();
    assert_eq!(read_line(&pipes[1]), "alive");
    for _ in 0..asked {
        worker.expect(|message| matches!(message, FromKeeper::Signalled { errno: libc::ESRCH, .. }));
    }
    worker.settle();
    worker.signal(1, libc::SIGKILL, false);
    worker.exited(1);
    rig.end(&mut worker, 0);
}

#[test]
fn an_idle_keeper_waits_without_a_limit() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    rig.spawn(&worker, 1, &shell("exec sleep 1000"));
    worker.settle();
    // epoll_wait(fd, events, count, timeout): minus one as the timeout means that only an event wakes it.
    let path = format!("/proc/{}/syscall", rig.pid());
    if std::fs::read_to_string(&path).is_ok() {
        until("the keeper to wait for ever", || {
            let call = std::fs::read_to_string(&path).ok()?;
            let words: Vec<&str> = call.split(' ').collect();
            let timeout = words.get(4)?.trim_start_matches("0x");
            (words[0].parse() == Ok(libc::SYS_epoll_wait) && timeout.ends_with("ffffffff")).then_some(())
        });
    } else {
        tell("could not run: the kernel does not show the keeper's system call");
    }
    worker.signal(1, libc::SIGKILL, false);
    worker.exited(1);
    rig.end(&mut worker, 0);
}

/// Moves what is in the pipe into the file, without a moment at which a death would lose or repeat a byte.
fn move_output(inventory: &Inventory, file: &std::fs::File) -> bool {
    let pipe = &inventory.programs[0].1[1];
    loop {
        match splice::splice(pipe, file, 65536) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_hundred_deaths_lose_no_line_and_no_exit() {
    let (rig, worker) = Rig::start("");
    worker.come_up();
    let lines = 60_000;
    let script = format!("i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; done; read end; exit 42");
    let (_, pipes) = rig.spawn(&worker, 1, &shell(&script));
    let stdin = pipes[0].try_clone().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    rig.spawn(&worker, 2, &shell("exit 17"));
    worker.kill();
    let mut last = (worker, pipes);
    let mut pauses = Vec::new();
    for death in 0..100 {
        let died = clock::monotonic();
        // The dead worker's ends of socket and pipes go only now.
        let next = rig.next_worker();
        drop(last);
        let inventory = next.come_up();
        pauses.push(clock::monotonic().saturating_sub(died));
        assert_eq!(inventory.programs.len(), 2, "after {death} deaths");
        move_output(&inventory, &file);
        // Before it is killed it has to be ready, or it would count as one that cannot start.
        next.settle();
        next.kill();
        last = (next, inventory.programs.into_iter().flat_map(|(_, pipes)| pipes).collect::<Vec<OwnedFd>>());
    }
    pauses.sort();
    eprintln!("from SIGKILL to the next worker's inventory: median {:?}, longest {:?}", pauses[50], pauses[99]);
    print_memory(rig.pid());
    let mut next = rig.next_worker();
    let inventory = next.come_up();
    assert_eq!(inventory.generation, 102);
    nix::unistd::write(&stdin, b"end\n").unwrap();
    drop(stdin);
    until("the end of the output", || move_output(&inventory, &file).then_some(()));
    assert_eq!(next.exited(1), Exit::Code(42));
    let second = inventory.programs[1].0.ended.map(|ended| ended.exit);
    assert_eq!(second, Some(Exit::Code(17)));
    let mut written = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut written).unwrap();
    let mut number = 0;
    for line in written.lines() {
        number += 1;
        assert_eq!(line, format!("line {number}"));
    }
    assert_eq!(number, lines);
    assert!(!rig.has_next_worker());
    rig.end(&mut next, 0);
}

fn print_memory(pid: i32) {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let wanted = ["Rss:", "Pss:", "Private_Dirty:", "Anonymous:"];
    let lines = rollup.lines().filter(|line| wanted.iter().any(|field| line.starts_with(field)));
    eprintln!(
        "keeper: {}",
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
    );
    assert_eq!(status_field(pid, "Threads").as_deref(), Some("1"));
}

#[test]
fn keeper_and_worker_keep_the_programs_name() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let expected: String = std::env::current_exe().unwrap().file_name().unwrap().to_str().unwrap()[..15].to_owned();
    for pid in [rig.pid(), worker.pid] {
        assert_eq!(status_field(pid, "Name").as_ref(), Some(&expected));
    }
    rig.end(&mut worker, 0);
}

#[test]
fn a_worker_that_hangs_up_but_lives_is_replaced() {
    let (rig, worker) = Rig::start("");
    worker.come_up();
    rig.spawn(&worker, 1, &shell("exec sleep 1000"));
    worker.settle();
    let pid = worker.pid;
    let lifeline = worker.hang_up();
    let mut next = rig.next_worker();
    drop(lifeline);
    assert_ne!(next.pid, pid);
    assert_eq!(next.come_up().programs.len(), 1);
    next.signal(1, libc::SIGKILL, false);
    next.exited(1);
    rig.end(&mut next, 0);
}

#[test]
fn without_a_keeper_process_the_loop_does_the_same_on_a_thread() {
    let (rig, worker) = Rig::start("thread");
    let inventory = worker.come_up();
    assert_eq!((inventory.generation, inventory.fresh), (1, true));
    let (output, _, exit) = rig.run(&worker, 1, &shell("ls /proc/self/fd; exit 5"));
    assert_eq!((output.as_str(), exit), ("0\n1\n2\n3\n", Exit::Code(5)));
    let (output, _, _) = rig.run(&worker, 2, &plan("/bin/cat", &["cat", "/proc/self/status"]));
    assert!(output.contains("SigIgn:\t0000000000000000\n") && output.contains("SigBlk:\t0000000000000000\n"));
    signals::send(rig.pid(), libc::SIGTERM).unwrap();
    signal_told(&worker, libc::SIGTERM);
    worker.say(&ToKeeper::Exit { code: 6 });
    worker.settle();
    drop(worker.hang_up());
    assert_eq!(rig.wait(), 6);
}

#[test]
#[ignore = "takes the twenty seconds that a worker is given"]
fn a_worker_that_does_not_answer_a_signal_is_replaced() {
    let (rig, worker) = Rig::start("");
    worker.come_up();
    rig.spawn(&worker, 1, &shell("exec sleep 1000"));
    signals::send(rig.pid(), libc::SIGTERM).unwrap();
    let mut next = rig.next_worker();
    assert_ne!(next.pid, worker.pid);
    assert_eq!(next.come_up().programs.len(), 1);
    signal_told(&next, libc::SIGTERM);
    next.say(&ToKeeper::SignalTaken { signal: libc::SIGTERM });
    next.signal(1, libc::SIGKILL, false);
    next.exited(1);
    rig.end(&mut next, 0);
}

#[test]
fn a_full_table_of_open_files_does_not_keep_the_next_worker_out() {
    let (rig, worker) = Rig::start("files=24");
    worker.come_up();
    let spawned = (1..100)
        .take_while(|id| {
            worker.spawn(*id, &shell("read forever"));
            let fits = |m: &FromKeeper| matches!(m, FromKeeper::Spawned { .. } | FromKeeper::SpawnFailed { .. });
            matches!(worker.expect(fits), (FromKeeper::Spawned { .. }, _))
        })
        .count();
    // Take what is left, too.
    for name in 0..30 {
        let (reader, _writer) = std::io::pipe().unwrap();
        worker.say_with(&ToKeeper::Hold { name: name.to_string() }, &[reader.as_fd()]);
    }
    worker.settle();
    worker.kill();
    let mut next = rig.next_worker();
    let inventory = next.come_up();
    assert_eq!(inventory.programs.len(), spawned);
    assert!(inventory.held.len() < 30);
    for (program, _) in &inventory.programs {
        assert_eq!(next.signal(program.id, libc::SIGKILL, false), 0);
        next.exited(program.id);
    }
    rig.end(&mut next, 0);
}

#[test]
fn workers_that_fail_at_once_are_tried_again_while_programs_run() {
    let (rig, worker) = Rig::start("");
    worker.come_up();
    rig.spawn(&worker, 1, &shell("exec sleep 1000"));
    worker.settle();
    let mut worker = worker;
    for _ in 0..7 {
        worker.exit(1);
        worker = rig.next_worker();
    }
    assert_eq!(worker.come_up().generation, 8);
    assert_eq!(worker.signal(1, libc::SIGKILL, false), 0);
    worker.exited(1);
    rig.end(&mut worker, 0);
}

#[test]
fn a_daemon_that_can_do_nothing_any_more_ends_when_asked() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    signals::send(rig.pid(), libc::SIGTERM).unwrap();
    signal_told(&worker, libc::SIGTERM);
    for _ in 0..4 {
        worker.exit(3);
        worker = rig.next_worker();
    }
    worker.exit(3);
    assert_eq!(rig.wait(), 3);
}

#[test]
fn what_a_worker_said_last_counts_though_it_left_messages_unread() {
    let (rig, worker) = Rig::start("");
    worker.come_up();
    // With this answer unread, the end of the worker's socket is an error on the keeper's.
    worker.say(&ToKeeper::Signal { id: u64::MAX, signal: 0, group: false });
    worker.turn_a_deaf_ear();
    let state = |pid, wanted| {
        until("the state of a process", || status_field(pid, "State").filter(|state| state.starts_with(wanted)));
    };
    signals::send(rig.pid(), libc::SIGSTOP).unwrap();
    state(rig.pid(), 'T');
    worker.say(&ToKeeper::Exit { code: 5 });
    let pid = worker.pid;
    drop(worker.hang_up());
    state(pid, 'Z');
    signals::send(rig.pid(), libc::SIGCONT).unwrap();
    assert_eq!(rig.wait(), 5);
}

/// Asks the keeper to execute this very program, as it was asked to execute it before.
fn upgrade(worker: &mut Worker) {
    let program = std::fs::File::open("/proc/self/exe").unwrap();
    worker.say_with(&ToKeeper::Upgrade, &[program.as_fd()]);
    worker.exit(0);
}

#[test]
fn another_program_in_the_keepers_place_has_everything_that_it_had() {
    let (rig, mut worker) = Rig::start("held=http");
    worker.come_up();
    let (sleeper, pipes) = rig.spawn(&worker, 1, &shell("echo before; read line; echo $line; exec sleep 1000"));
    rig.spawn(&worker, 2, &shell("exit 9"));
    worker.exited(2);
    let roll =
        std::fs::File::from(nix::sys::memfd::memfd_create(c"roll", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap());
    worker.say_with(&ToKeeper::Hold { name: ROLL_HELD_NAME.to_owned() }, &[roll.as_fd()]);
    signals::send(rig.pid(), libc::SIGHUP).unwrap();
    signal_told(&worker, libc::SIGHUP);
    drop(pipes);
    upgrade(&mut worker);

    let mut next = rig.next_worker();
    assert!(!next.leaked_variables);
    let inventory = next.come_up();
    assert!(!inventory.fresh);
    let names: Vec<&str> = inventory.held.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["http", ROLL_HELD_NAME, DONE_HELD_NAME]);
    let mut programs = inventory.programs;
    programs.sort_by_key(|(program, _)| program.id);
    assert_eq!(programs.len(), 2);
    let (program, pipes) = &programs[0];
    assert_eq!((program.pid, program.tag.as_str(), program.ended), (sleeper, "tag 1", None));
    assert_eq!(programs[1].0.ended.unwrap().exit, Exit::Code(9));
    // No worker had taken it in hand.
    signal_told(&next, libc::SIGHUP);
    let [stdin, stdout, _] = &pipes[..] else { panic!("{} pipes", pipes.len()) };
    nix::unistd::write(stdin, b"after\n").unwrap();
    assert_eq!((read_line(stdout), read_line(stdout)), ("before".to_owned(), "after".to_owned()));
    next.signal(1, libc::SIGTERM, false);
    assert_eq!(next.exited(1), Exit::Signal { number: libc::SIGTERM, core_dumped: false });
    rig.end(&mut next, 0);
}

#[test]
fn a_program_of_which_no_worker_gets_ready_is_replaced_by_the_former_one() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let roll =
        std::fs::File::from(nix::sys::memfd::memfd_create(c"roll", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap());
    worker.say_with(&ToKeeper::Hold { name: ROLL_HELD_NAME.to_owned() }, &[roll.as_fd()]);
    let (sleeper, _) = rig.spawn(&worker, 1, &shell("exec sleep 1000"));
    upgrade(&mut worker);
    for _ in 0..3 {
        let mut failing = rig.next_worker();
        let inventory = failing.greet();
        assert!(inventory.held.iter().any(|(name, _)| name == DONE_HELD_NAME));
        failing.exit(1);
    }
    let mut next = rig.next_worker();
    let inventory = next.come_up();
    assert_eq!((inventory.generation, inventory.fresh), (1, false));
    assert!(inventory.held.iter().all(|(name, _)| name != DONE_HELD_NAME));
    assert_eq!(inventory.programs[0].0.pid, sleeper);
    next.signal(1, libc::SIGKILL, false);
    next.exited(1);
    rig.end(&mut next, 0);
}

#[test]
fn a_program_that_cannot_be_executed_leaves_the_keeper_as_it_was() {
    let (rig, mut worker) = Rig::start("held=http");
    worker.come_up();
    let text = tempfile::tempfile().unwrap();
    worker.say_with(&ToKeeper::Upgrade, &[text.as_fd()]);
    worker.exit(0);
    let mut next = rig.next_worker();
    let inventory = next.come_up();
    assert_eq!((inventory.generation, inventory.fresh), (2, false));
    let names: Vec<&str> = inventory.held.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["http"]);
    rig.end(&mut next, 0);
}
