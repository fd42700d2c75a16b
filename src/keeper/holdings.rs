//! Everything the keeper holds, held a second time by the worker: what the next keeper gets should this one be killed.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::enrolment::{ROLL_FILE_HELD_NAME, ROLL_HELD_NAME};
use super::protocol::{FromKeeper, HeldProgram, ToKeeper};

/// The place of a standard stream among a child's.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;

const PIPE_PREFIX: &str = "pipe:";

/// Names a pipe of a child among what is handed from one keeper to the next.
pub(super) fn pipe_name(child: u64, stream: u8) -> String {
    format!("{PIPE_PREFIX}{child}:{stream}")
}

/// The names of standard input, output and error.
pub(super) fn pipe_names(child: u64) -> [String; 3] {
    [STDIN, STDOUT, STDERR].map(|stream| pipe_name(child, stream))
}

pub(super) fn is_pipe_name(name: &str) -> bool {
    name.starts_with(PIPE_PREFIX)
}

/// Descriptors by name. One for which there was no room is missing.
#[derive(Debug, Default)]
pub(super) struct Holdings(BTreeMap<String, OwnedFd>);

impl Holdings {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        self.0.iter().map(|(name, descriptor)| (name.as_str(), descriptor.as_fd()))
    }

    /// What the keeper will have when it has read this.
    pub(super) fn told(&mut self, message: &ToKeeper, carried: &[OwnedFd]) {
        match message {
            ToKeeper::Hold { name } => {
                if name == ROLL_HELD_NAME {
                    self.0.remove(ROLL_FILE_HELD_NAME);
                }
                for descriptor in carried {
                    self.keep(name.clone(), descriptor);
                }
            }
            ToKeeper::Release { name } => drop(self.0.remove(name)),
            ToKeeper::Forget { id } => {
                for name in pipe_names(*id) {
                    self.0.remove(&name);
                }
            }
            ToKeeper::Hello { .. }
            | ToKeeper::Spawn { .. }
            | ToKeeper::Signal { .. }
            | ToKeeper::Follow { .. }
            | ToKeeper::SignalTaken { .. }
            | ToKeeper::Ready
            | ToKeeper::StartAfresh
            | ToKeeper::Upgrade
            | ToKeeper::Announce { .. }
            | ToKeeper::Turns
            | ToKeeper::Exit { .. } => {}
        }
    }

    /// What the keeper has.
    pub(super) fn heard(&mut self, message: &FromKeeper, carried: &[OwnedFd]) {
        match message {
            FromKeeper::Held { name } => carried.iter().for_each(|descriptor| self.keep(name.clone(), descriptor)),
            FromKeeper::Program(HeldProgram { id, has_stdin, has_stderr, .. })
            | FromKeeper::Spawned { id, has_stdin, has_stderr, .. } => {
                let streams = [(STDIN, *has_stdin), (STDOUT, true), (STDERR, *has_stderr)];
                for ((stream, _), descriptor) in streams.into_iter().filter(|(_, has)| *has).zip(carried) {
                    self.keep(pipe_name(*id, stream), descriptor);
                }
            }
            // The roll is in its file again.
            FromKeeper::Unrecorded { errno: 0 } => drop(self.0.remove(ROLL_FILE_HELD_NAME)),
            _ => {}
        }
    }

    fn keep(&mut self, name: String, descriptor: &OwnedFd) {
        match descriptor.try_clone() {
            Ok(copy) => drop(self.0.insert(name, copy)),
            Err(_) => drop(self.0.remove(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Moment, Now};

    #[test]
    fn they_follow_what_the_keeper_has() {
        let mut holdings = Holdings::default();
        let descriptor = || OwnedFd::from(std::io::pipe().unwrap().0);
        let names = |holdings: &Holdings| holdings.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        holdings.heard(&FromKeeper::Held { name: "a".to_owned() }, &[descriptor()]);
        holdings.told(&ToKeeper::Hold { name: "b".to_owned() }, &[descriptor()]);
        let at = Now { mono: Moment(std::time::Duration::ZERO), wall: 0 };
        let spawned = FromKeeper::Spawned { id: 7, pid: 1, at, has_stdin: false, has_stderr: true };
        holdings.heard(&spawned, &[descriptor(), descriptor()]);
        assert_eq!(names(&holdings), ["a", "b", "pipe:7:1", "pipe:7:2"]);
        holdings.told(&ToKeeper::Release { name: "a".to_owned() }, &[]);
        holdings.told(&ToKeeper::Forget { id: 7 }, &[]);
        assert_eq!(names(&holdings), ["b"]);
    }
}
