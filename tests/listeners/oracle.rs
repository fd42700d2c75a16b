//! The same histories, played by Supervisor 4.3.0's own classes.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::history::{History, histories};
use crate::notice::tell;

/// What the original logs for each drop, and ours sums up: compared as numbers.
const OVERFLOW: &str = " event buffer overflowed, ";

#[test]
fn histories_go_as_the_originals_do() {
    let (seed, histories) = histories(200);
    let Some(answers) = ask(histories.iter().map(History::question)) else { return };
    let (mut writes, mut lines, mut drops) = (0, 0, 0);
    for (case, (history, original)) in histories.iter().zip(answers).enumerate() {
        let mut stage = history.play(|_| ());
        let mut ours = stage.trace();
        ours.retain(|line| !line.contains(OVERFLOW));
        let theirs: Vec<String> = serde_json::from_value(original["trace"].clone()).unwrap();
        let (dropped, theirs): (Vec<_>, Vec<_>) = theirs.into_iter().partition(|line| line.contains(OVERFLOW));
        let at = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
        assert_eq!(
            ours.get(at..),
            theirs.get(at..),
            "case {case} of LISTENERS_SEED={seed} after {:#?}\n{history:?}",
            &ours[at.saturating_sub(5)..at]
        );
        for pool in stage.events.pools() {
            let prefix = format!("ERRO pool {}{OVERFLOW}", pool.name);
            let expected = dropped.iter().filter(|line| line.starts_with(&prefix)).count();
            assert_eq!(pool.dropped, expected as u64, "case {case} of LISTENERS_SEED={seed}: {}", pool.name);
            drops += expected;
        }
        writes += ours.iter().filter(|line| line.starts_with("write")).count();
        lines += ours.len();
    }
    report(format_args!(
        "{} histories: {writes} writes, {lines} lines, {drops} drops alike, seed {seed}",
        histories.len()
    ));
}

/// The seed and the number of cases that the environment asks for.
pub(crate) fn seed_and_cases(default: usize) -> (u64, usize) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = number("LISTENERS_CASES").map_or(default, |cases| usize::try_from(cases).unwrap());
    (number("LISTENERS_SEED").unwrap_or(20_240_817), cases)
}

/// The original's answers; `None`, with the reason on stderr, where it cannot be had.
pub(crate) fn ask(questions: impl Iterator<Item = Value>) -> Option<Vec<Value>> {
    let venv = match crate::venv::supervisor_venv() {
        Ok(venv) => venv,
        Err(reason) => {
            assert!(std::env::var_os("LISTENERS_REQUIRED").is_none(), "NOT COMPARED: {reason}");
            tell(&format!("NOT COMPARED with Supervisor: {reason}"));
            return None;
        }
    };
    let questions: Vec<String> = questions.map(|question| format!("{question}\n")).collect();
    let mut child = Command::new(venv.join("bin/python"))
        .args(["-c", include_str!("oracle.py")])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = questions.concat();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(text.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "the original's side fell over");
    let answers: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), questions.len(), "an answer for each question");
    Some(answers)
}

#[expect(clippy::print_stderr, reason = "what a comparison covered belongs into the test's output")]
pub(crate) fn report(text: std::fmt::Arguments<'_>) {
    eprintln!("{text}");
}
