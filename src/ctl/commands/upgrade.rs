//! `upgrade [BINARY]`

use serde_json::json;

use crate::ctl::answer;
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;
use crate::rpc::{FaultCode, Value};

/// So often the outcome is asked for. A worker that makes way ends the connection instead of an answer, and what is asked
/// meanwhile waits for its successor; a new program that fails has three workers before the former one is back.
const QUESTIONS_MAX: usize = 20;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    if words.len() > 1 {
        shell.usage("Error: upgrade accepts one program", "upgrade", ExitCode::Usage);
        return Ok(Flow::Continue);
    }
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    // The daemon has another directory.
    let path = match words.first().map(std::path::absolute) {
        None => String::new(),
        Some(Ok(path)) => path.display().to_string(),
        Some(Err(error)) => {
            shell.problem(format!("Error: {rest}: {error}"), None);
            shell.set_exit(ExitCode::Generic);
            return Ok(Flow::Continue);
        }
    };
    let agreed = match shell.daemon.call("galaxyd.upgrade", &[path.into()]) {
        Ok(agreed) => agreed,
        Err(CallError::Fault(fault)) => {
            let text = if fault.code == FaultCode::UnknownMethod as i64 {
                "this daemon is no galaxyd and cannot be upgraded in place".to_owned()
            } else {
                fault.text
            };
            shell.problem(format!("Error: {text}"), None);
            shell.set_exit(ExitCode::Generic);
            return Ok(Flow::Continue);
        }
        Err(error) => return Err(error.into()),
    };
    let outcome = outcome(shell, &agreed);
    report(shell, &agreed, outcome)
}

/// Whether the upgrade was undone, as soon as the daemon knows.
fn outcome(shell: &mut Shell, agreed: &Value) -> Result<bool, CallError> {
    let number = answer::text(agreed, "number")?;
    let mut last = CallError::BadAnswer("the daemon does not know of its upgrade".to_owned());
    for _ in 0..QUESTIONS_MAX {
        match shell.daemon.call("galaxyd.getUpgrade", &[]) {
            Ok(past) if answer::text(&past, "number").is_ok_and(|found| found == number) => {
                return Ok(answer::member(&past, "undone")?.is_truthy());
            }
            // The old worker still answers, and knows of an earlier one.
            Ok(_) => {}
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn report(shell: &mut Shell, agreed: &Value, outcome: Result<bool, CallError>) -> Result<Flow, Trouble> {
    let [former, next, path] = ["former", "next", "path"].map(|name| answer::text(agreed, name));
    let (former, next, path) = (former?, next?, path?);
    match outcome {
        Ok(undone) => {
            let text = if undone {
                shell.set_exit(ExitCode::Generic);
                format!("ERROR: galaxyd {next} ({path}) did not get ready; galaxyd {former} is in charge again")
            } else {
                format!("upgraded from galaxyd {former} to galaxyd {next} ({path})")
            };
            let value = json!({ "former": former, "next": next, "path": path, "undone": undone });
            shell.screen.show(&Fact::Detail { list: "upgrades", value, text });
        }
        Err(error) => {
            shell.problem(format!("Error: the upgrade to galaxyd {next} began, but its outcome is not known"), None);
            shell.set_exit(ExitCode::Generic);
            shell.explain(&error);
        }
    }
    Ok(Flow::Continue)
}
