//! What a client printed, made comparable.

use crate::daemon::Ran;

/// How much of the output is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    Everything,
    /// What follows is help, whose wording is free; only that there is some is compared.
    FirstLine,
    /// The daemon tells results as processes end, in no fixed order.
    AnyOrder,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) exit: Option<i32>,
}

impl Outcome {
    pub(crate) fn of(ran: &Ran, whole: Whole) -> Self {
        let mut out: Vec<String> = ran.stdout_text().split_inclusive('\n').map(tidy).collect();
        if whole == Whole::FirstLine && out.len() > 1 {
            out.truncate(1);
            if ran.line.starts_with("help") {
                // Only its first word is the contract.
                out = out.iter().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
            }
            out.push("more".to_owned());
        }
        if whole == Whole::AnyOrder {
            out.sort();
        }
        let err = ran.stderr_text().replace(&ran.program, "PROGRAM");
        Self { out: out.concat(), err, exit: ran.exit }
    }
}

/// Process ids and uptimes differ from run to run, and the place where an error was noticed from program to program.
fn tidy(line: &str) -> String {
    if line.contains("error: <class") {
        return line.split(": file:").next().unwrap_or(line).to_owned();
    }
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in 1..words.len() {
        match words[at - 1] {
            "pid" => words[at] = "N,",
            "uptime" => words[at] = "T\n",
            _ => {}
        }
    }
    words.join(" ")
}
