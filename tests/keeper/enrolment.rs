//! The roll: who is on it when, and what it means for whoever comes next.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use galaxyd::engine::Pid;
use galaxyd::keeper::{FromKeeper, ROLL_HELD_NAME, ToKeeper, read_roll};
use galaxyd::sys::signals;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::double::UNABLE;
use crate::rig::{Rig, Worker, shell, status_field, until};

/// Children there is room for before the roll grows.
const ROOM: u64 = 63;

fn hold_roll(worker: &Worker, roll: &impl AsFd) {
    worker.say_with(&ToKeeper::Hold { name: ROLL_HELD_NAME.to_owned() }, &[roll.as_fd()]);
}

/// A child that nobody is in charge of; it ends with the test.
struct Stray(Pid);

impl Drop for Stray {
    fn drop(&mut self) {
        let _ = signals::send(self.0, libc::SIGKILL);
    }
}

/// A roll in a file, with a child that lives and whose keeper and worker were killed.
fn left_behind() -> (tempfile::NamedTempFile, Stray) {
    let roll = tempfile::NamedTempFile::new().unwrap();
    let (rig, worker) = Rig::start("");
    worker.come_up();
    hold_roll(&worker, roll.as_file());
    let (pid, pipes) = rig.spawn(&worker, 1, &shell("exec sleep 1000"));
    signals::send(rig.pid(), libc::SIGSTOP).unwrap();
    worker.kill();
    signals::send(rig.pid(), libc::SIGKILL).unwrap();
    rig.leave();
    drop(pipes);
    (roll, Stray(pid))
}

fn lives(pid: Pid) -> bool {
    status_field(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

#[test]
fn nobody_begins_afresh_over_programs_that_live() {
    let (roll, stray) = left_behind();
    let rig = Rig::launch(&format!("roll={}", roll.path().display()));
    assert!(rig.ended_without_a_worker());
    assert_eq!(rig.wait(), UNABLE);
    assert!(lives(stray.0));
    // Once it has ended, collected or not, there is nothing to take over.
    signals::send(stray.0, libc::SIGKILL).unwrap();
    until("its end", || (!lives(stray.0)).then_some(()));
    let (rig, mut worker) = Rig::start(&format!("roll={}", roll.path().display()));
    assert!(worker.come_up().fresh);
    rig.end(&mut worker, 0);
}

#[test]
fn a_hand_over_that_was_cut_short_behind_the_roll_is_gone_on_with() {
    let (roll, stray) = left_behind();
    let (rig, mut worker) = Rig::start(&format!("held=journal roll={} cut", roll.path().display()));
    assert_eq!(rig.wait(), 0, "the sender ended");
    let inventory = worker.come_up();
    assert!(!inventory.fresh);
    assert_eq!(inventory.programs.iter().map(|(program, _)| program.pid).collect::<Vec<_>>(), [stray.0]);
    assert_eq!(worker.signal(1, libc::SIGKILL, false), 0);
    worker.exited(1);
    let keeper = status_field(worker.pid, "PPid").unwrap().parse().unwrap();
    worker.say(&ToKeeper::Exit { code: 0 });
    worker.exit(0);
    until("the keeper's end", || (!lives(keeper)).then_some(()));
}

#[test]
fn a_hand_over_that_was_cut_short_before_the_roll_ends_the_keeper() {
    let rig = Rig::launch("held=journal cut");
    assert!(rig.ended_without_a_worker());
    assert_eq!(rig.wait(), 0);
}

#[test]
fn every_child_is_entered_with_its_start_however_few_descriptors_are_left() {
    // Each child takes four: with one of these limits the last one that fits leaves none to look at it.
    for files in 40..44 {
        let (rig, worker) = Rig::start(&format!("files={files}"));
        worker.come_up();
        let roll = tempfile::tempfile().unwrap();
        hold_roll(&worker, &roll);
        let mut spawned = 0;
        for id in 1..50 {
            worker.spawn(id, &shell("exec sleep 1000"));
            let answer = |m: &FromKeeper| matches!(m, FromKeeper::Spawned { .. } | FromKeeper::SpawnFailed { .. });
            spawned += usize::from(matches!(worker.expect(answer).0, FromKeeper::Spawned { .. }));
        }
        let entries = read_roll(&roll).unwrap().unwrap();
        assert_eq!(entries.len(), spawned);
        assert!(entries.iter().all(|entry| entry.start > 0), "with {files} descriptors: {entries:?}");
        end_all(rig, worker, &(1..50).collect::<Vec<_>>());
    }
}

#[test]
fn a_child_that_can_be_entered_nowhere_does_not_begin() {
    let folder = tempfile::tempdir().unwrap();
    // As large as the roll is at first, which then can grow neither in its file nor in memory.
    let (rig, worker) = Rig::start(&format!("length={}", (ROOM + 1) * 256));
    worker.come_up();
    let roll = File::create_new(folder.path().join("roll")).unwrap();
    hold_roll(&worker, &roll);
    for id in 1..=ROOM {
        rig.spawn(&worker, id, &shell("exec sleep 1000"));
    }
    let began = folder.path().join("began");
    let late = shell(&format!("mkdir {}; exec sleep 1000", began.display()));
    for id in ROOM + 1..ROOM + 5 {
        worker.spawn(id, &late);
        worker.expect(|message| matches!(message, FromKeeper::SpawnFailed { errno: libc::EFBIG, .. }));
    }
    assert!(!began.exists());
    // With room again all are entered again, in memory.
    worker.signal(1, libc::SIGKILL, false);
    worker.exited(1);
    worker.say(&ToKeeper::Forget { id: 1 });
    rig.spawn(&worker, ROOM + 5, &shell("exec sleep 1000"));
    assert!(worker.unexpected().iter().all(|message| !matches!(message, FromKeeper::OrphanReaped { .. })));
    end_all(rig, worker, &(2..=ROOM).chain([ROOM + 5]).collect::<Vec<_>>());
}

#[test]
fn a_roll_that_cannot_grow_goes_on_in_memory_and_whoever_comes_next_is_told() {
    let (rig, worker) = Rig::start("");
    worker.come_up();
    let file = memfd_create(c"roll", MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC).unwrap();
    hold_roll(&worker, &file);
    worker.settle();
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).unwrap();
    for id in 1..=ROOM + 1 {
        rig.spawn(&worker, id, &shell("exec sleep 1000"));
    }
    let (_, roll) = worker.expect(|message| matches!(message, FromKeeper::Held { name } if name == ROLL_HELD_NAME));
    worker.expect(|message| matches!(message, FromKeeper::Unrecorded { errno: libc::EPERM }));
    assert_eq!(entered(&roll[0]), (1..=ROOM + 1).collect::<Vec<_>>());
    // The file stays the place to return to.
    let mut worker = worker;
    worker.exit(0);
    let mut next = rig.next_worker();
    let inventory = next.come_up();
    assert_eq!(inventory.unrecorded, libc::EPERM);
    assert!(inventory.held.iter().any(|(name, _)| name == "roll-file"));
    // Also by a keeper that got the roll from another one.
    let program = File::open("/proc/self/exe").unwrap();
    next.say_with(&ToKeeper::Upgrade, &[program.as_fd()]);
    next.exit(0);
    let next = rig.next_worker();
    let inventory = next.come_up();
    assert_eq!((inventory.unrecorded, inventory.programs.len() as u64), (libc::EPERM, ROOM + 1));
    end_all(rig, next, &(1..=ROOM + 1).collect::<Vec<_>>());
}

/// The ids on a roll, sorted.
fn entered(roll: &OwnedFd) -> Vec<u64> {
    let entries = read_roll(&File::from(roll.try_clone().unwrap())).unwrap().unwrap();
    let mut ids: Vec<u64> = entries.iter().map(|entry| entry.program.id).collect();
    ids.sort_unstable();
    ids
}

/// Ends those of these children that there are, and the keeper.
fn end_all(rig: Rig, mut worker: Worker, ids: &[u64]) {
    for id in ids {
        if worker.signal(*id, libc::SIGKILL, false) == 0 {
            worker.exited(*id);
        }
    }
    rig.end(&mut worker, 0);
}
