//! The engine's answers in the words of XML-RPC.

use super::worker::Shape;
use crate::engine::{Answer, Outcome, Refusal, namespec};
use crate::rpc::{Fault, FaultCode, Value};

/// What the client gets. A single process' refusal names it as the client did.
pub(super) fn value(shape: &Shape, answer: Answer) -> Result<Value, Fault> {
    match (shape, answer) {
        (Shape::Update(report), Answer::Processes(outcomes)) => Ok(report.value(&outcomes)),
        (_, Answer::Done) => Ok(Value::Bool(true)),
        (Shape::Single { name }, Answer::Refused(refusal)) => Err(Fault::refused(refusal, name)),
        (Shape::List | Shape::Update(_), Answer::Refused(refusal)) => Err(Fault::from(refusal)),
        (Shape::Single { name }, Answer::Processes(outcomes)) => match outcomes.into_iter().next() {
            Some(Outcome { result: Err(refusal), .. }) => Err(Fault::refused(refusal, name)),
            Some(Outcome { result: Ok(()), .. }) | None => Ok(Value::Bool(true)),
        },
        (Shape::List, Answer::Processes(outcomes)) => Ok(Value::Array(outcomes.iter().map(result).collect())),
    }
}

/// One struct of an array of results.
fn result(one: &Outcome) -> Value {
    let (status, description) = outcome(&one.group, &one.name, &one.result);
    outcome_struct(&one.name, &one.group, status, &description)
}

/// A result's code and text.
pub(super) fn outcome(group: &str, name: &str, result: &Result<(), Refusal>) -> (i64, String) {
    match result {
        Ok(()) => (FaultCode::Success as i64, "OK".to_owned()),
        Err(refusal) => {
            let fault = Fault::refused(refusal.clone(), &namespec(group, name));
            (fault.code, fault.text)
        }
    }
}

/// `{name, group, status, description}`.
pub(super) fn outcome_struct(name: &str, group: &str, status: i64, description: &str) -> Value {
    Value::object([
        ("name", name.into()),
        ("group", group.into()),
        ("status", status.into()),
        ("description", description.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, result: Result<(), Refusal>) -> Outcome {
        Outcome { process: crate::engine::ProcessId(1), group: "galaxy".to_owned(), name: name.to_owned(), result }
    }

    #[test]
    fn one_process_is_answered_by_true_or_its_fault_under_the_clients_name_for_it() {
        let single = Shape::Single { name: "galaxy:web".to_owned() };
        let answers = [
            (Answer::Done, Ok(Value::Bool(true))),
            (Answer::Processes(vec![outcome("web", Ok(()))]), Ok(Value::Bool(true))),
            (
                Answer::Processes(vec![outcome("web", Err(Refusal::NotRunning))]),
                Err(Fault::with(FaultCode::NotRunning, "galaxy:web")),
            ),
            (Answer::Refused(Refusal::StillRunning), Err(Fault::with(FaultCode::StillRunning, "galaxy:web"))),
            (Answer::Refused(Refusal::ShutdownState), Err(Fault::new(FaultCode::ShutdownState))),
        ];
        for (answer, expected) in answers {
            assert_eq!(value(&single, answer), expected);
        }
    }

    #[test]
    fn several_processes_are_answered_by_a_struct_each_in_their_order() {
        let outcomes = vec![outcome("web", Ok(())), outcome("handler0", Err(Refusal::AlreadyStarted))];
        assert_eq!(
            value(&Shape::List, Answer::Processes(outcomes)),
            Ok(Value::Array(vec![
                outcome_struct("web", "galaxy", 80, "OK"),
                outcome_struct("handler0", "galaxy", 60, "ALREADY_STARTED: galaxy:handler0"),
            ]))
        );
        assert_eq!(value(&Shape::List, Answer::Processes(Vec::new())), Ok(Value::Array(Vec::new())));
    }
}
