//! `help [COMMAND]`

use crate::cli::commands::{COMMANDS, Origin, command};
use crate::ctl::commands::find;
use crate::ctl::render::Form;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

/// How wide the list of commands may be.
const WIDTH: usize = 79;

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if rest.is_empty() {
        topics(shell);
        return Ok(Flow::Continue);
    }
    match command(rest).filter(|line| find(line.name, shell.session.personality).is_some()) {
        Some(line) => line.help_lines().into_iter().for_each(|text| shell.line(text)),
        None => shell.problem(format!("*** No help on {rest}"), Some(rest)),
    }
    Ok(Flow::Continue)
}

fn topics(shell: &mut Shell) {
    // Python's list leaves out `help` itself.
    let named = |origin| {
        COMMANDS.iter().filter(|line| line.origin == origin && line.name != "help").map(|line| line.name).collect()
    };
    let originals: Vec<&str> = named(Origin::Supervisor);
    shell.line("");
    list(shell, "default", &originals);
    // Scripts are shown what supervisorctl shows them.
    if shell.is_galaxyctl() && shell.screen.form() != Form::Plain {
        let ours: Vec<&str> = named(Origin::Galaxyd);
        list(shell, "galaxyctl", &ours);
    }
}

fn list(shell: &mut Shell, whose: &str, names: &[&str]) {
    let head = format!("{whose} commands (type help <topic>):");
    let ruler = "=".repeat(head.len());
    shell.line(head);
    shell.line(ruler);
    for line in columns(names) {
        shell.line(line);
    }
    shell.line("");
}

/// The names in columns, filled downwards, in as few rows as fit.
/// Source: Python's `cmd.Cmd.columnize`.
fn columns(names: &[&str]) -> Vec<String> {
    for rows in 1..=names.len() {
        let columns: Vec<&[&str]> = names.chunks(rows).collect();
        let widths: Vec<usize> =
            columns.iter().map(|column| column.iter().map(|name| name.len()).max().unwrap_or(0)).collect();
        let total: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        if total > WIDTH && rows < names.len() {
            continue;
        }
        let line = |row: usize| {
            let cells = columns.iter().zip(&widths);
            let texts: Vec<String> =
                cells.filter_map(|(column, width)| column.get(row).map(|name| format!("{name:width$}"))).collect();
            texts.join("  ")
        };
        return (0..rows).map(line).collect();
    }
    Vec::new()
}
