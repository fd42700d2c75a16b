//! `system.multicall`: several calls, one after another, in one request.

use super::fault::{Fault, FaultCode};
use super::message::fault_struct;
use super::value::Value;

/// Calls in one multicall, at most; above, the whole multicall is fault 2 and nothing is called.
pub const MULTICALL_MAX: usize = 1000;

/// The name under which a call is one of these.
pub const MULTICALL: &str = "system.multicall";

/// Makes single calls.
pub trait Dispatch {
    /// Makes one call and waits for its answer.
    fn dispatch(&self, name: &str, params: &[Value]) -> impl Future<Output = Result<Value, Fault>> + Send;
}

/// Makes the calls that `params` lists, each after the one before is answered, and returns the array of answers.
///
/// An answer is the bare result, not wrapped in an array as elsewhere, or a fault's struct: Supervisor's form.
/// Differs: an element that is no struct, and a name or parameters of the wrong type, are fault 2 in their place (4.3.0:
/// HTTP 500, fault 30).
///
/// # Errors
/// Fault 2 unless there is one parameter and it is an array of at most [`MULTICALL_MAX`] elements.
pub async fn multicall<D: Dispatch + Sync>(params: &[Value], dispatcher: &D) -> Result<Value, Fault> {
    let [Value::Array(calls)] = params else { return Err(Fault::new(FaultCode::IncorrectParameters)) };
    if calls.len() > MULTICALL_MAX {
        let detail = format_args!("more than {MULTICALL_MAX} calls");
        return Err(Fault::with(FaultCode::IncorrectParameters, detail));
    }
    let mut answers = Vec::with_capacity(calls.len());
    for call in calls {
        let answer = match understood(call) {
            Ok((name, params)) => dispatcher.dispatch(name, params).await,
            Err(fault) => Err(fault),
        };
        answers.push(answer.unwrap_or_else(|fault| fault_struct(&fault)));
    }
    Ok(Value::Array(answers))
}

fn understood(call: &Value) -> Result<(&str, &[Value]), Fault> {
    let wrong = |detail: &str| Err(Fault::with(FaultCode::IncorrectParameters, detail));
    if call.as_struct().is_none() {
        return wrong("a call must be a struct");
    }
    let name = match call.get("methodName") {
        None => return wrong("No methodName"),
        Some(Value::String(name)) => name,
        Some(_) => return wrong("methodName must be a string"),
    };
    if name == MULTICALL {
        return wrong("Recursive system.multicall forbidden");
    }
    match call.get("params") {
        None => Ok((name, &[])),
        Some(Value::Array(params)) => Ok((name, params)),
        Some(_) => wrong("params must be an array"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, params: Vec<Value>) -> Value {
        Value::object([("methodName", name.into()), ("params", Value::Array(params))])
    }

    struct Echo;

    impl Dispatch for Echo {
        async fn dispatch(&self, name: &str, params: &[Value]) -> Result<Value, Fault> {
            if name == "fail" { Err(Fault::with(FaultCode::BadName, "x")) } else { Ok(Value::Array(params.to_vec())) }
        }
    }

    fn run(params: &[Value]) -> Result<Value, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(multicall(params, &Echo))
    }

    fn fault(code: i64, text: &str) -> Value {
        Value::object([("faultCode", code.into()), ("faultString", text.into())])
    }

    #[test]
    fn results_are_bare_and_faults_are_structs() {
        let calls = vec![
            entry("a", vec![1.into()]),
            entry("fail", vec![]),
            Value::object([("methodName", "b".into())]),
            entry("system.multicall", vec![]),
            Value::Struct(vec![]),
            Value::Int(7),
            Value::object([("methodName", 1.into())]),
            Value::object([("methodName", "c".into()), ("params", "x".into())]),
        ];
        let expected = vec![
            vec![1].into(),
            fault(10, "BAD_NAME: x"),
            Value::Array(vec![]),
            fault(2, "INCORRECT_PARAMETERS: Recursive system.multicall forbidden"),
            fault(2, "INCORRECT_PARAMETERS: No methodName"),
            fault(2, "INCORRECT_PARAMETERS: a call must be a struct"),
            fault(2, "INCORRECT_PARAMETERS: methodName must be a string"),
            fault(2, "INCORRECT_PARAMETERS: params must be an array"),
        ];
        assert_eq!(run(&[Value::Array(calls)]), Ok(Value::Array(expected)));
        assert_eq!(run(&[Value::Array(vec![])]), Ok(Value::Array(vec![])));
    }

    #[test]
    fn what_is_no_list_of_calls_is_refused_as_a_whole() {
        assert_eq!(run(&[]).unwrap_err().code, 2);
        assert_eq!(run(&["x".into()]).unwrap_err().code, 2);
        assert_eq!(run(&[Value::Array(vec![]), 1.into()]).unwrap_err().code, 2);
        assert!(run(&[Value::Array(vec![entry("a", vec![]); MULTICALL_MAX])]).is_ok());
        assert_eq!(run(&[Value::Array(vec![entry("a", vec![]); MULTICALL_MAX + 1])]).unwrap_err().code, 2);
    }
}
