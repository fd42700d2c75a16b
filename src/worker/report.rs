//! What is wrong with a configuration, as text.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::cli::UsageError;
use crate::cli::galaxyd::Report;
use crate::config::{self, Loaded};

/// For the activity log and for clients: complete without colour.
pub(super) fn plain(loaded: &Loaded) -> String {
    config::render_problems(&loaded.problems, &loaded.files, false)
}

/// For standard error.
pub(super) fn for_terminal(loaded: &Loaded) -> String {
    config::render_problems(&loaded.problems, &loaded.files, io::stderr().is_terminal() && colour_wanted())
}

/// `--check`: everything that is wrong, on standard output; exit code 2 if the daemon would refuse to start.
pub(super) fn check(loaded: &Loaded, report: Report) -> ExitCode {
    let coloured = io::stdout().is_terminal() && colour_wanted();
    let text = match report {
        Report::Text => config::render_problems(&loaded.problems, &loaded.files, coloured),
        Report::Json => config::render_problems_json(&loaded.problems, &loaded.files),
    };
    // A reader that closed the pipe has read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    if loaded.problems.has_errors() { ExitCode::from(UsageError::EXIT_CODE) } else { ExitCode::SUCCESS }
}

fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
