//! What is wrong with a configuration, as text.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use super::invocation::Call;
use crate::cli::galaxyd::Report;
use crate::config::{self, Loaded, NotFound, Problem, Rendering, Severity};

/// One line for each problem, for the activity log: Supervisor's own line where it logs one.
pub(super) fn log_lines(loaded: &Loaded) -> Vec<String> {
    let line = |problem: &Problem| match (&problem.severity, &problem.supervisor_text) {
        (Severity::Warning, Some(exact)) => exact.clone(),
        _ => problem.to_string(),
    };
    loaded.problems.iter().map(line).collect()
}

/// For clients.
pub(super) fn plain(loaded: &Loaded) -> String {
    config::render(&loaded.problems, &loaded.files, Rendering::Plain)
}

/// For standard error.
pub(super) fn for_terminal(loaded: &Loaded) -> String {
    config::render(&loaded.problems, &loaded.files, rendering(&io::stderr()))
}

/// `--check`: everything that is wrong, on standard output; the exit code says whether the daemon would start.
pub(super) fn check(call: &Call, report: Report) -> Result<ExitCode, NotFound> {
    let rendering = match report {
        Report::Text => rendering(&io::stdout()),
        Report::Json => Rendering::Json,
    };
    let (text, code) = config::check(&call.file()?, &call.options.overrides, &call.source, rendering);
    // A reader that closed the pipe has read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::from(code))
}

fn rendering(stream: &impl IsTerminal) -> Rendering {
    Rendering::for_terminal(stream.is_terminal(), std::env::var("NO_COLOR").ok().as_deref())
}
