//! `env NAME [--reveal]`

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;
use crate::rpc::{FaultCode, Value, printable};

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let (options, names): (Vec<&str>, Vec<&str>) = rest.split_whitespace().partition(|word| word.starts_with('-'));
    let unknown = options.iter().find(|option| **option != "--reveal");
    if names.is_empty() || unknown.is_some() {
        let text = unknown.map_or_else(
            || "Error: env requires a process name".to_owned(),
            |word| format!("Error: bad option {word}"),
        );
        shell.usage(&text, "env", ExitCode::Usage);
        return Ok(Flow::Continue);
    }
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    for name in shell.single_names(&names)? {
        one(shell, &name, options.is_empty())?;
    }
    Ok(Flow::Continue)
}

fn one(shell: &mut Shell, name: &str, redacted: bool) -> Result<(), Trouble> {
    match shell.daemon.call("galaxyd.getProcessPlan", &[name.into(), redacted.into()]) {
        Ok(value) => {
            let plan = json(&value);
            let text = text(&plan);
            shell.screen.show(&Fact::Detail { list: "plans", value: plan, text });
        }
        Err(CallError::Fault(fault)) if fault.code == FaultCode::BadName as i64 => {
            shell.problem(format!("No such process {name}"), Some(name));
            shell.set_exit(ExitCode::Generic);
            shell.suggest(name);
        }
        Err(CallError::Fault(fault)) if fault.code == FaultCode::UnknownMethod as i64 => {
            shell.problem("Error: this daemon is no galaxyd and does not tell environments", Some(name));
            shell.set_exit(ExitCode::Generic);
        }
        Err(CallError::Fault(fault)) if fault.code == FaultCode::Failed as i64 => {
            shell.problem(format!("{name}: could not be started: {}", fault.text), Some(name));
            shell.set_exit(ExitCode::Generic);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// The answer as it stands.
fn json(value: &Value) -> Json {
    match value {
        Value::Int(number) => json!(number),
        Value::Bool(truth) => json!(truth),
        Value::Array(values) => values.iter().map(json).collect(),
        Value::Struct(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.to_string(), json(value))).collect::<Map<_, _>>())
        }
        other => other.as_str().map_or(Json::Null, |text| json!(text)),
    }
}

/// As a person reads it; control characters as escapes, so that one line is one fact.
fn text(plan: &Json) -> String {
    let word = |member: &Json| match member {
        Json::String(text) => text.chars().flat_map(|letter| escaped(letter).collect::<Vec<_>>()).collect(),
        other => other.to_string(),
    };
    let list = |member: &Json| -> Vec<Json> { member.as_array().cloned().unwrap_or_default() };
    let member = |name: &str| plan.get(name).cloned().unwrap_or(Json::Null);
    let joined = |name: &str| list(&member(name)).iter().map(word).collect::<Vec<String>>().join(" ");
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# {}", printable(&word(&member("name"))));
    let _ = writeln!(text, "# executes {}: {}", word(&member("file")), joined("argv"));
    let _ = writeln!(text, "# in {}, umask {}", word(&member("directory")), word(&member("umask")));
    let groups = joined("groups");
    let _ = writeln!(text, "# as uid {}, gid {}, groups {groups}", word(&member("uid")), word(&member("gid")));
    for limit in list(&member("limits")) {
        let [name, soft, hard, unit] =
            ["name", "soft", "hard", "unit"].map(|name| limit.get(name).map(&word).unwrap_or_default());
        let _ = writeln!(text, "# limit: {name} {soft} (hard {hard}) {unit}");
    }
    for variable in list(&member("environment")) {
        let [name, value] = ["name", "value"].map(|name| variable.get(name).map(&word).unwrap_or_default());
        let _ = writeln!(text, "{name}={value}");
    }
    text.trim_end_matches('\n').to_owned()
}

fn escaped(letter: char) -> impl Iterator<Item = char> {
    let escape = letter.is_control();
    let plain = (!escape).then_some(letter);
    let escapes = escape.then(|| letter.escape_default());
    plain.into_iter().chain(escapes.into_iter().flatten())
}
