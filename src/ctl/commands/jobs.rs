//! `jobs [HANDLER...]`

use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::job_report;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let words: Vec<&str> = rest.split_whitespace().filter(|word| *word != "all").collect();
    if let Some(option) = words.iter().find(|word| word.starts_with('-')) {
        shell.usage(&format!("Error: jobs has no option {option}"), "jobs", ExitCode::Usage);
        return Ok(Flow::Continue);
    }
    let Some(systems) = shell.job_systems() else { return Ok(Flow::Continue) };
    // That there is no daemon is no failure: the database is there all the same.
    let known = shell.known().ok();
    let is_single = systems.len() == 1;
    let mut is_found = false;
    for system in systems {
        let Some(database) = shell.database(&system) else { continue };
        let census = match database.census() {
            Ok(census) => census,
            Err(error) => {
                shell.refuse(&format!("Error: the database of {} gives no answer: {error}", system.file.display()));
                continue;
            }
        };
        let mut report = job_report::report(&system, &census, known.as_deref());
        if !words.is_empty() {
            report.retain(&words);
        }
        is_found |= !report.is_empty();
        if shell.screen.form() == crate::ctl::render::Form::Json {
            for (list, value) in report.json() {
                shell.screen.show(&Fact::Detail { list, value, text: String::new() });
            }
        } else if !report.is_empty() {
            if !is_single {
                shell.line(format!("{}:", system.file.display()));
            }
            shell.line(report.text().trim_end());
        }
    }
    if !is_found && shell.exit() == ExitCode::Success {
        shell.refuse(&format!("Error: no handler is called {}", words.join(" or ")));
    }
    Ok(Flow::Continue)
}
