//! The program that asks: how it is called, what it reads, what it prints.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::Beat;
use super::question::{Owner, Question};

/// It ends itself after so many seconds, whatever it waits for.
pub(super) const SECONDS: u64 = 20;

/// Behind the interpreter. -I: neither the directory nor PYTHONPATH put modules of their own in place of those that are wanted.
pub const ARGUMENTS: [&str; 3] = ["-I", "-c", include_str!("ask.py")];

/// It said nothing that is an answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("the process that asks it broke off: {0}")]
    BrokenOff(String),
    #[error("{0}")]
    Refused(String),
}

impl From<serde_json::Error> for Unanswered {
    fn from(error: serde_json::Error) -> Self {
        Unanswered::BrokenOff(error.to_string())
    }
}

/// What it reads from standard input, as the address may hold a password and arguments are for all to see. `now`: seconds
/// since 1970, from which ages are counted.
pub(super) fn document(question: &Question<'_>, url: &str, writes: bool, now: u64) -> Result<String, Unanswered> {
    let mut document = serde_json::to_value(question)?;
    if let Some(members) = document.as_object_mut() {
        members.insert("url".to_owned(), json!(url));
        members.insert("writes".to_owned(), json!(writes));
        members.insert("seconds".to_owned(), json!(SECONDS));
        members.insert("now".to_owned(), json!(now));
    }
    Ok(document.to_string())
}

/// What it answers, which is the last line of its output; `None`: that is no answer.
pub(super) fn answer<T: DeserializeOwned>(output: &[u8]) -> Option<Result<T, Unanswered>> {
    let last = output.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?;
    let answer: Value = serde_json::from_slice(last).ok()?;
    Some(match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(Unanswered::Refused(error.to_owned())),
        None => serde_json::from_value(answer.get("answer").cloned().unwrap_or_default()).map_err(Unanswered::from),
    })
}

/// The last line of what it printed instead.
pub(super) fn last_words(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or_else(|| format!("it ended within {SECONDS} s without an answer"), str::to_owned)
}

/// The question for the signs of life of an owner, for somebody who runs the program in a way of his own.
///
/// # Errors
/// It cannot be written down.
pub fn beats_question(owner: &Owner, url: &str, now: u64) -> Result<String, Unanswered> {
    let (exact, pattern) = owner.columns();
    document(&Question::beats(&[exact], pattern), url, false, now)
}

/// The answer to that question, by the program's whole output.
///
/// # Errors
/// It is none.
pub fn beats_answer(output: &[u8], owner: &Owner) -> Result<Vec<Beat>, Unanswered> {
    let mut beats: Vec<Beat> = answer(output).unwrap_or_else(|| Err(Unanswered::BrokenOff(last_words(output))))?;
    beats.retain(|beat| owner.is(&beat.server_name));
    Ok(beats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_answer() {
        let owner = Owner::Numbered("main".to_owned());
        let row = |name: &str| {
            format!("{{\"server_name\": \"{name}\", \"hostname\": \"h\", \"pid\": 7, \"age_seconds\": 3}}")
        };
        let output = format!("a warning\n\n{{\"answer\": [{}, {}]}}\n", row("main.1"), row("mainly1"));
        let beats = beats_answer(output.as_bytes(), &owner).unwrap();
        assert_eq!(beats.iter().map(|beat| beat.server_name.as_str()).collect::<Vec<_>>(), ["main.1"]);
        for (output, wanted) in [
            ("{\"error\": \"there is no file /x\"}\n", "there is no file /x"),
            ("Traceback\nKeyError: 'x'\n", "the process that asks it broke off: KeyError: 'x'"),
            ("", "the process that asks it broke off: it ended within 20 s without an answer"),
        ] {
            assert_eq!(beats_answer(output.as_bytes(), &owner).unwrap_err().to_string(), wanted);
        }
    }
}
