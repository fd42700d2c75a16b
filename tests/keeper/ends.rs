//! How children end, and whom signals reach.

use galaxyd::engine::Exit;
use galaxyd::keeper::{FromKeeper, ToKeeper};

use crate::rig::{Rig, read_all, read_line, shell, status_field, until};

#[test]
fn a_signal_reaches_the_child_and_its_death_is_told() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    for (id, signal) in (1..).zip([libc::SIGTERM, libc::SIGKILL, libc::SIGPIPE, libc::SIGRTMIN() + 3]) {
        rig.spawn(&worker, id, &shell("exec sleep 1000"));
        assert_eq!(worker.signal(id, signal, false), 0);
        assert_eq!(worker.exited(id), Exit::Signal { number: signal, core_dumped: false });
        // Reaped, so the pid may be another's: nobody is signalled.
        assert_eq!(worker.signal(id, libc::SIGKILL, false), libc::ESRCH);
        assert_eq!(worker.signal(id, libc::SIGKILL, true), libc::ESRCH);
        worker.say(&ToKeeper::Forget { id });
        assert_eq!(worker.signal(id, libc::SIGKILL, false), libc::ESRCH);
    }
    rig.end(&mut worker, 0);
}

#[test]
fn who_starts_the_daemon_cannot_make_it_deaf_by_ignoring_signals() {
    // SIGCHLD, SIGTERM
    let (rig, mut worker) = Rig::start("ignored=17 ignored=15");
    worker.come_up();
    let (_, _, exit) = rig.run(&worker, 1, &shell("exit 4"));
    assert_eq!(exit, Exit::Code(4));
    rig.spawn(&worker, 2, &shell("exec sleep 1000"));
    assert_eq!(worker.signal(2, libc::SIGTERM, false), 0);
    assert_eq!(worker.exited(2), Exit::Signal { number: libc::SIGTERM, core_dumped: false });
    galaxyd::sys::signals::send(rig.pid(), libc::SIGTERM).unwrap();
    worker.expect(|message| matches!(message, FromKeeper::Signal { signal: libc::SIGTERM, .. }));
    rig.end(&mut worker, 0);
}

#[test]
fn a_signal_that_does_not_exist_is_refused() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    rig.spawn(&worker, 1, &shell("exec sleep 1000"));
    assert_eq!(worker.signal(1, 4711, false), libc::EINVAL);
    assert_eq!(worker.signal(1, libc::SIGKILL, false), 0);
    worker.exited(1);
    rig.end(&mut worker, 0);
}

#[test]
fn a_signal_that_the_keeper_ignores_kills_a_child_in_the_instant_after_the_fork() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    for id in 1..50 {
        // Sent together: the child has hardly begun, and all it has of its own is a copy of the keeper.
        worker.spawn(id, &shell("exec sleep 1000"));
        assert_eq!(worker.signal(id, libc::SIGUSR1, false), 0);
        assert_eq!(worker.exited(id), Exit::Signal { number: libc::SIGUSR1, core_dumped: false });
    }
    rig.end(&mut worker, 0);
}

#[test]
fn a_group_gets_its_signal_even_in_the_instant_after_the_fork() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    for id in 1..50 {
        // Sent together: the child has hardly begun.
        worker.spawn(id, &shell("exec sleep 1000"));
        assert_eq!(worker.signal(id, libc::SIGTERM, true), 0);
        assert_eq!(worker.exited(id), Exit::Signal { number: libc::SIGTERM, core_dumped: false });
    }
    let (_, pipes) = rig.spawn(&worker, 100, &shell("sleep 1000 & echo $!; wait"));
    let grandchild: i32 = read_line(&pipes[1]).parse().unwrap();
    assert_eq!(worker.signal(100, libc::SIGKILL, true), 0);
    worker.exited(100);
    worker.expect(|message| matches!(message, FromKeeper::OrphanReaped { pid, .. } if *pid == grandchild));
    rig.end(&mut worker, 0);
}

#[test]
fn orphans_are_adopted_reaped_and_told() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let (_, pipes) = rig.spawn(&worker, 1, &shell("exec 3<&0; (read line <&3; exit 3) & echo $!"));
    let orphan: i32 = read_line(&pipes[1]).parse().unwrap();
    assert_eq!(worker.exited(1), Exit::Code(0));
    assert_eq!(status_field(orphan, "PPid"), Some(rig.pid().to_string()));
    nix::unistd::write(&pipes[0], b"go\n").unwrap();
    let reaped = FromKeeper::OrphanReaped { pid: orphan, exit: Exit::Code(3) };
    worker.expect(|message| *message == reaped);
    rig.end(&mut worker, 0);
}

#[test]
fn a_child_that_a_signal_stops_is_told_and_stays() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    worker.spawn(1, &shell("exec sleep 1000"));
    for _ in 0..2 {
        assert_eq!(worker.signal(1, libc::SIGSTOP, false), 0);
        worker.expect(|message| matches!(message, FromKeeper::Stopped { id: 1, signal: libc::SIGSTOP, .. }));
        assert_eq!(worker.signal(1, libc::SIGCONT, false), 0);
    }
    assert_eq!(worker.signal(1, libc::SIGKILL, false), 0);
    assert_eq!(worker.exited(1), Exit::Signal { number: libc::SIGKILL, core_dumped: false });
    rig.end(&mut worker, 0);
}

#[test]
fn many_ends_at_once_are_all_told() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let count = 60;
    for id in 0..count {
        worker.spawn(id, &shell(&format!("exit {id}")));
    }
    for id in 0..count {
        assert_eq!(worker.exited(id), Exit::Code(i32::try_from(id).unwrap()));
        worker.say(&ToKeeper::Forget { id });
    }
    worker.settle();
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", rig.pid())).unwrap();
    assert_eq!(children.split_whitespace().collect::<Vec<_>>(), [worker.pid.to_string()]);
    rig.end(&mut worker, 0);
}

#[test]
fn a_living_child_cannot_be_forgotten() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    rig.spawn(&worker, 1, &shell("exec sleep 1000"));
    worker.say(&ToKeeper::Forget { id: 1 });
    assert_eq!(worker.signal(1, libc::SIGTERM, false), 0);
    worker.exited(1);
    rig.end(&mut worker, 0);
}

#[test]
fn programs_write_on_when_keeper_and_worker_are_dead() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("done");
    let script = format!("read line <&4; echo out; echo err >&2; echo $? > {}", file.to_str().unwrap());
    let fifo = directory.path().join("go");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("exec 4<>{}; echo up; {script}", fifo.to_str().unwrap());

    let (rig, worker) = Rig::start("");
    worker.come_up();
    let (_, pipes) = rig.spawn(&worker, 1, &shell(&script));
    read_line(&pipes[1]);
    galaxyd::sys::signals::send(rig.pid(), libc::SIGKILL).unwrap();
    worker.kill();
    until("both to be dead", || {
        let dead = |pid| status_field(pid, "State").is_none_or(|state| state.starts_with('Z'));
        (dead(rig.pid()) && dead(worker.pid)).then_some(())
    });
    drop((pipes, worker));
    std::fs::write(&fifo, "go\n").unwrap();
    // Neither SIGPIPE nor EPIPE: the shell got to its last command, and echo succeeded.
    let result =
        until("the program's last word", || std::fs::read_to_string(&file).ok().filter(|text| !text.is_empty()));
    assert_eq!(result, "0\n");
    drop(rig);
}

#[test]
fn output_left_in_the_pipe_outlives_the_program() {
    let (rig, worker) = Rig::start("");
    worker.come_up();
    let (_, pipes) = rig.spawn(&worker, 1, &shell("echo last words"));
    drop(pipes);
    worker.exited(1);
    worker.kill();
    let mut next = rig.next_worker();
    let inventory = next.come_up();
    let (program, pipes) = &inventory.programs[0];
    assert_eq!(program.ended.unwrap().exit, Exit::Code(0));
    assert_eq!(read_all(&pipes[1]), "last words\n");
    rig.end(&mut next, 0);
}
