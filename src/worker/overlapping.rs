//! `galaxyd.succeed`: another child of a running process takes its place.

use super::reply::Reply;
use super::worker::{Shape, Waiting, Worker};
use crate::config::ReadyCheck;
use crate::engine::{ProcessId, ProcessView, Readiness, Request, Target};
use crate::rpc::{Fault, FaultCode, Value};

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

    /// Who stands beside a process, in words.
    pub(super) fn standing_beside(&self, view: &ProcessView<'_>) -> Vec<String> {
        let told = self.beside(view).map(|other| {
            let pid = other.pid.map_or_else(|| "being started".to_owned(), |pid| format!("pid {pid}"));
            match other.role {
                Some("successor") => format!("its successor ({pid}) takes its place when it is ready"),
                Some("retired") => format!("it took the place of a former one ({pid}), which is being stopped"),
                _ => format!("a successor ({pid}) was of no use and is being stopped"),
            }
        });
        told.collect()
    }

    /// The same for programs.
    pub(super) fn beside_values(&self, view: &ProcessView<'_>) -> Value {
        let values = self.beside(view).map(|other| {
            Value::object([
                ("role", other.role.unwrap_or_default().into()),
                ("pid", other.pid.map_or(0, i64::from).into()),
                ("readiness", other.readiness.map_or("", Readiness::word).into()),
            ])
        });
        Value::Array(values.collect())
    }

    fn beside<'a>(&'a self, view: &ProcessView<'a>) -> impl Iterator<Item = ProcessView<'a>> {
        let beside = self.engine.group(view.group).map_or(&[][..], |group| group.beside);
        let name = view.name;
        beside.iter().filter_map(|other| self.engine.process(*other)).filter(move |other| other.name == name)
    }

    /// Why nobody could tell whether a successor is ready: where it is asked, the present child answers too.
    pub(super) fn undecided_readiness(&self, process: ProcessId) -> Option<&'static str> {
        match self.process_config(process)?.extras.ready.as_ref()?.check {
            ReadyCheck::Http(_) | ReadyCheck::Connect(_) | ReadyCheck::UwsgiStats(_) => Some(
                "its ready key asks at an address where the present process answers as well; use ready=log:... or \
                 ready=notify, which tell of the successor alone",
            ),
            ReadyCheck::Command(_) | ReadyCheck::WorkerProcess => Some(
                "its ready key runs a command or looks for a row, and may find the present process as well; use \
                 ready=log:... or ready=notify, which tell of the successor alone",
            ),
            ReadyCheck::Log(_) | ReadyCheck::Notify => None,
        }
    }
}
