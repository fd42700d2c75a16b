//! The engine's answers in the words of XML-RPC.

use super::worker::Shape;
use crate::engine::{Answer, Outcome, Refusal, SpawnError, namespec};
use crate::rpc::{Fault, FaultCode, Value};

/// What the client gets. A single process' refusal names it as the client did.
pub(super) fn value(shape: &Shape, answer: Answer) -> Result<Value, Fault> {
    match (shape, answer) {
        (_, Answer::Done) => Ok(Value::Bool(true)),
        (Shape::Single { name }, Answer::Refused(refusal)) => Err(fault(refusal, name)),
        (Shape::List, Answer::Refused(refusal)) => Err(fault(refusal, "")),
        (Shape::Single { name }, Answer::Processes(outcomes)) => match outcomes.into_iter().next() {
            Some(Outcome { result: Err(refusal), .. }) => Err(fault(refusal, name)),
            Some(Outcome { result: Ok(()), .. }) | None => Ok(Value::Bool(true)),
        },
        (Shape::List, Answer::Processes(outcomes)) => Ok(Value::Array(outcomes.into_iter().map(result).collect())),
    }
}

/// The fault for a refusal of what the client named `name`.
pub(super) fn fault(refusal: Refusal, name: &str) -> Fault {
    let (code, detail) = match refusal {
        Refusal::BadName => (FaultCode::BadName, name.to_owned()),
        Refusal::Spawn(error @ SpawnError::NotFound(_)) => (FaultCode::NoFile, error.to_string()),
        Refusal::Spawn(error @ SpawnError::NotExecutable(_)) => (FaultCode::NotExecutable, error.to_string()),
        Refusal::Spawn(SpawnError::Failed(_)) | Refusal::SpawnError => (FaultCode::SpawnError, name.to_owned()),
        Refusal::Failed(text) => (FaultCode::Failed, text),
        Refusal::AbnormalTermination => (FaultCode::AbnormalTermination, name.to_owned()),
        Refusal::AlreadyStarted => (FaultCode::AlreadyStarted, name.to_owned()),
        Refusal::NotRunning => (FaultCode::NotRunning, name.to_owned()),
        Refusal::AlreadyAdded => (FaultCode::AlreadyAdded, name.to_owned()),
        Refusal::StillRunning => (FaultCode::StillRunning, name.to_owned()),
        Refusal::ShutdownState => return Fault::new(FaultCode::ShutdownState),
    };
    Fault::with(code, detail)
}

/// One struct of an array of results.
fn result(outcome: Outcome) -> Value {
    let namespec = namespec(&outcome.group, &outcome.name);
    let (status, description) = match outcome.result {
        Ok(()) => (FaultCode::Success as i64, "OK".to_owned()),
        Err(refusal) => {
            let fault = fault(refusal, &namespec);
            (fault.code, fault.text)
        }
    };
    outcome_struct(&outcome.name, &outcome.group, status, &description)
}

/// `{name, group, status, description}`.
pub(super) fn outcome_struct(name: &str, group: &str, status: i64, description: &str) -> Value {
    Value::Struct(vec![
        ("name".to_owned(), name.into()),
        ("group".to_owned(), group.into()),
        ("status".to_owned(), status.into()),
        ("description".to_owned(), description.into()),
    ])
}
