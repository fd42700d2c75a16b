//! `galaxyd.succeed`: another child of a running process takes its place.

use super::reply::Reply;
use super::worker::{Shape, Waiting, Worker};
use crate::config::ReadyCheck;
use crate::engine::{ProcessId, Request, Target};
use crate::rpc::{Fault, FaultCode};

impl Worker {
    pub(super) fn succeed(&mut self, name: String, reply: Reply) {
        let process = match self.target(&name) {
            Ok(Target::One(process)) => process,
            Ok(_) => return reply.send(Err(Fault::with(FaultCode::BadName, name))),
            Err(fault) => return reply.send(Err(fault)),
        };
        if let Some(text) = self.undecided_readiness(process) {
            return reply.send(Err(Fault::with(FaultCode::Failed, format!("{name}: {text}"))));
        }
        self.request_for(Request::Succeed { process }, Waiting { reply, shape: Shape::Single { name } });
    }

    /// Why nobody could tell whether a successor is ready: where it is asked, the present child answers too.
    pub(super) fn undecided_readiness(&self, process: ProcessId) -> Option<&'static str> {
        match self.process_config(process)?.extras.ready.as_ref()?.check {
            ReadyCheck::Http(_) | ReadyCheck::Connect(_) | ReadyCheck::UwsgiStats(_) => Some(
                "its ready key asks at an address where the present process answers as well; use ready=log:... or \
                 ready=notify, which tell of the successor alone",
            ),
            ReadyCheck::Log(_) | ReadyCheck::Notify => None,
        }
    }
}
