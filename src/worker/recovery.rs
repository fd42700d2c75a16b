//! A child that the keeper has and this worker did not start: what became of it while there was no worker.

use std::os::fd::OwnedFd;

use super::rehearsal;
use super::spawning::Wanted;
use super::worker::{Worker, now};
use crate::engine::{Input, ProcessState, Request};
use crate::keeper::{HeldProgram, ToKeeper};
use crate::logs::{Level, log};

impl Worker {
    /// Asks for what is left of ordered stops that a predecessor had begun. Who asked for them has lost the connection.
    pub(super) fn resume_ordered_stops(&mut self) {
        for processes in self.engine.interrupted_stops() {
            let views = processes.iter().filter_map(|process| self.engine.process(*process));
            let names: Vec<String> = views.map(|view| view.namespec()).collect();
            log(Level::Info, &format!("the ordered stop goes on that was under way, of {}", names.join(" ")));
            self.request_of_ours(Request::StopOrdered { processes });
        }
    }

    /// Takes back one child from the keeper, and tells the engine what the journal does not know of it.
    pub(super) fn recover(&mut self, program: HeldProgram, descriptors: Vec<OwnedFd>) {
        let HeldProgram { id, tag, pid, started, last_signal, has_stdin, has_stderr, ended, exec_failed } = program;
        let wanted: Option<Wanted> = tag.parse().ok();
        let known = wanted.and_then(|wanted| Some((wanted, self.engine.process(wanted.process)?)));
        let Some((wanted, view)) = known else {
            if tag == rehearsal::TAG && ended.is_none() {
                // Whoever wanted to hear it is gone.
                self.tell_keeper(&ToKeeper::Signal { id, signal: libc::SIGKILL, group: true });
            }
            // Its group was removed, which happens only after its exit was known.
            self.tell_keeper(&ToKeeper::Forget { id });
            return;
        };
        let process = wanted.process;
        // An earlier run's end was handled already; its last output may not have been.
        let current = view.attempt == wanted.attempt;
        let awaited = matches!(view.state, ProcessState::Starting | ProcessState::Stopping) && view.pid.is_none();
        let living = view.pid == Some(pid);
        // It was a predecessor that had the keeper follow it into the background.
        let former = view.pid.filter(|former| *former != pid);
        self.adopt(id, process, pid, [has_stdin, has_stderr], descriptors);
        self.children.inherit(id);
        if last_signal != 0 {
            self.children.note_signal(id, last_signal);
        }
        if current {
            self.enter_socket_again(process);
        }
        if current && awaited {
            self.feed(Input::Spawned { process, pid, at: started });
            if let Some((stage, errno)) = exec_failed {
                self.exec_failed(id, stage, errno);
            }
        } else if let Some(former) = former.filter(|_| current) {
            self.feed(Input::Followed { process, pid: former, heir: pid, at: now() });
        } else if current && living && ended.is_none() {
            self.engine.resume_signalled(now(), process, last_signal, &mut self.effects);
        }
        if let Some(ended) = ended {
            self.ended(id, ended);
        }
    }
}
