//! Programs that go into the background (`type=forking`): their first child ends well, and what it left behind is the
//! program from then on. There it may give its place to another process in its turn, as servers do that replace their program.
//!
//! Whether something was left, and what, the worker finds out before it tells an exit: [`Engine::seek`] says of which
//! exits that is to be asked.

use super::engine::Engine;
use super::input::{Exit, LogLine, Pid, ProcessId};
use super::policy::Kind;
use super::process::{Context, Process, log};
use super::record::State;
use super::time::Now;

/// Who of those that a child left behind may go on as its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heir {
    /// The program goes into the background: whoever its pidfile names, else the first of them.
    First,
    /// It was in the background, and its main process ended well: whoever its pidfile names; where it has none, the only one.
    Only,
    /// Its main process ended otherwise: nobody but whom its pidfile names.
    Named,
}

impl Engine {
    /// Whether this end of a process's child may mean that the program goes on in the background, and as whom. If so, no deadline
    /// of the process counts until it is told that something goes on (`Input::Followed`) or that nothing does (`Input::Exited`).
    /// Not part of the record: a successor of the worker is told of the end, too.
    #[must_use]
    pub fn seek(&mut self, process: ProcessId, pid: Pid, exit: Exit) -> Option<Heir> {
        let slot = self.slots.get_mut(&process)?;
        let heir = slot.process.heir(pid, exit);
        slot.process.seeking |= heir.is_some();
        self.file_deadline(process);
        heir
    }
}

impl Process {
    fn heir(&self, pid: Pid, exit: Exit) -> Option<Heir> {
        let record = &self.record;
        let is_present = record.state.pid() == Some(pid) && record.sweeping.is_none();
        if self.rules().kind != Kind::Forking || !is_present {
            return None;
        }
        let ended_well = matches!(exit, Exit::Code(0) | Exit::Unknown);
        match record.state {
            // Who forks twice has one in between, which ends before the start window does.
            State::Starting { .. } => ended_well.then_some(Heir::First),
            State::Running { .. } | State::Stopping { .. } if !record.in_background => {
                ended_well.then_some(Heir::First)
            }
            State::Running { .. } => Some(if ended_well { Heir::Only } else { Heir::Named }),
            _ => None,
        }
    }

    /// The program goes on as `heir`. Its start window begins when it is in the background; a stop that its first child was
    /// told reaches it now. One that is RUNNING stays so, with its uptime: the program did not begin anew.
    pub(super) fn followed(&mut self, cx: &mut Context<'_>, heir: Pid, at: Now) {
        let Some(pid) = self.record.state.pid() else { return };
        let is_there = self.record.in_background && matches!(self.record.state, State::Running { .. });
        let line = if is_there { LogLine::moved } else { LogLine::followed };
        log(cx, line(&self.record.name, pid, heir).noted(Some(self.record.process)));
        self.record.in_background = true;
        match &mut self.record.state {
            State::Starting { pid, up_at } => {
                (*pid, *up_at) = (heir, at.mono + self.policy.startsecs);
                if self.policy.startsecs.is_zero() {
                    self.succeed(cx, heir);
                }
            }
            State::Running { pid } | State::Unknown { pid: Some(pid) } => *pid = heir,
            State::Stopping { pid, insisting, .. } => {
                *pid = heir;
                if *insisting { self.insist(cx, heir) } else { self.send_stop_signal(cx, heir) }
            }
            _ => {}
        }
    }
}
