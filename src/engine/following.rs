//! Programs that go into the background (`type=forking`): their first child ends well, and what it left behind is the
//! program from then on.
//!
//! Whether something was left, and what, the worker finds out before it tells an exit: [`Engine::may_go_on`] says of which
//! exits that is to be asked.

use super::engine::Engine;
use super::input::{Exit, LogLine, Pid, ProcessId};
use super::policy::Kind;
use super::process::{Context, Process, log};
use super::record::State;
use super::time::Now;

impl Engine {
    /// Whether this end of a process's child may mean that the program goes on in the background. One of which something
    /// goes on is told by `Input::Followed`, any other by `Input::Exited`.
    #[must_use]
    pub fn may_go_on(&self, process: ProcessId, pid: Pid, exit: Exit) -> bool {
        self.slots.get(&process).is_some_and(|slot| slot.process.may_go_on(pid, exit))
    }
}

impl Process {
    fn may_go_on(&self, pid: Pid, exit: Exit) -> bool {
        let record = &self.record;
        // Who forks twice has one in between, which ends before the start window does.
        let is_launching = match record.state {
            State::Starting { .. } => true,
            State::Running { .. } | State::Stopping { .. } => !record.in_background,
            _ => false,
        };
        let ended_well = matches!(exit, Exit::Code(0) | Exit::Unknown);
        let is_present = record.state.pid() == Some(pid) && record.sweeping.is_none();
        self.rules().kind == Kind::Forking && is_launching && ended_well && is_present
    }

    /// The program goes on as `heir`. Its start window begins when it is in the background; a stop that its first child was
    /// told reaches it now.
    pub(super) fn followed(&mut self, cx: &mut Context<'_>, heir: Pid, at: Now) {
        let Some(pid) = self.record.state.pid() else { return };
        log(cx, LogLine::followed(&self.record.name, pid, heir));
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
