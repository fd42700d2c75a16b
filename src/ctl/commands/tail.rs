//! `tail [-f|-N] NAME [stdout|stderr]`

use crate::config::literal;
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::{Channel, Fact};
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::stream;
use crate::ctl::trouble::Trouble;
use crate::rpc::{Fault, FaultCode, Value};

/// How many bytes are shown when nobody says.
pub(super) const DEFAULT_BYTES: i64 = 1600;

/// How much of a log is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Bytes(i64),
    Follow,
}

impl Extent {
    /// Reads what follows the dash of `-f` or `-N`.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text == "f" { Some(Extent::Follow) } else { python_int(text).map(Extent::Bytes) }
    }
}

/// The whole number that Python's `int` reads: a sign and single underscores between digits are fine. Beyond 64 bits the
/// nearest one is as good, as XML-RPC cannot carry it.
fn python_int(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let well_formed = digits.split('_').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()));
    if !well_formed {
        return None;
    }
    let number: i64 = digits.replace('_', "").parse().unwrap_or(i64::MAX);
    Some(if negative { -number } else { number })
}

/// The offset that asks for the last `bytes` of a log.
pub(super) fn offset(bytes: i64) -> Result<Value, Trouble> {
    let offset = i32::try_from(-bytes).map_err(|_| Trouble::NumberTooLarge)?;
    Ok(Value::Int(offset.into()))
}

/// The text of a log answer.
pub(super) fn log_text(value: &Value) -> Result<String, CallError> {
    value.as_str().map(str::to_owned).ok_or_else(|| CallError::BadAnswer(format!("a log is a {}", value.type_name())))
}

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let mut words: Vec<&str> = rest.split_whitespace().collect();
    if words.is_empty() || words.len() > 3 {
        let many = if words.is_empty() { "few" } else { "many" };
        shell.usage(&format!("Error: too {many} arguments"), "tail", ExitCode::Generic);
        return Ok(Flow::Continue);
    }
    let modifier = words.first().and_then(|word| word.strip_prefix('-'));
    if modifier.is_some() {
        words.remove(0);
    }
    let (name, channel) = match words.as_slice() {
        [] => return refuse(shell, "Error: tail requires process name"),
        [name] => (*name, Channel::Stdout),
        [name, .., channel] => match channel.to_lowercase().as_str() {
            "stdout" => (*name, Channel::Stdout),
            "stderr" => (*name, Channel::Stderr),
            other => return refuse(shell, &format!("Error: bad channel {}", literal(other))),
        },
    };
    let Some(name) = shell.one_name(name)? else { return Ok(Flow::Continue) };
    let name = name.as_str();
    let extent = match modifier {
        None => Extent::Bytes(DEFAULT_BYTES),
        Some(text) => match Extent::read(text) {
            Some(extent) => extent,
            None => return refuse(shell, &format!("Error: bad argument -{text}")),
        },
    };
    match extent {
        Extent::Follow => stream::tail(shell, &format!("/logtail/{name}/{}", channel.word()))?,
        Extent::Bytes(bytes) => show(shell, name, channel, bytes)?,
    }
    Ok(Flow::Continue)
}

#[expect(clippy::unnecessary_wraps, reason = "the end of a command, in its signature")]
fn refuse(shell: &mut Shell, text: &str) -> Result<Flow, Trouble> {
    shell.problem(text, None);
    shell.set_exit(ExitCode::Generic);
    Ok(Flow::Continue)
}

fn show(shell: &mut Shell, name: &str, channel: Channel, bytes: i64) -> Result<(), Trouble> {
    let method = if channel == Channel::Stderr { "readProcessStderrLog" } else { "readProcessStdoutLog" };
    match shell.call(method, &[name.into(), offset(bytes)?, Value::Int(0)]) {
        Ok(value) => {
            let text = log_text(&value)?;
            shell.screen.show(&Fact::Log { name: name.to_owned(), channel, text });
            Ok(())
        }
        Err(CallError::Fault(fault)) => {
            shell.set_exit(ExitCode::Generic);
            let Some(what) = words_for(&fault) else { return Err(CallError::Fault(fault).into()) };
            shell.problem(format!("{name}: ERROR ({what})"), Some(name));
            if fault.code == FaultCode::BadName as i64 {
                shell.suggest(name);
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn words_for(fault: &Fault) -> Option<&'static str> {
    let is = |code: FaultCode| code as i64 == fault.code;
    if is(FaultCode::NoFile) {
        Some("no log file")
    } else if is(FaultCode::Failed) {
        Some("unknown error reading log")
    } else if is(FaultCode::BadName) {
        Some("no such process name")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        for (text, expected) in [
            ("100", Some(100)),
            ("0", Some(0)),
            ("-5", Some(-5)),
            ("+5", Some(5)),
            ("1_000", Some(1000)),
            ("", None),
            ("_1", None),
            ("1__0", None),
            ("1.5", None),
            ("--5", None),
            ("x", None),
            ("99999999999999999999", Some(i64::MAX)),
        ] {
            assert_eq!(python_int(text), expected, "{text}");
        }
    }
}
