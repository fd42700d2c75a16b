//! The same facts for a person at a terminal: aligned, and coloured where that is wanted.

use tabled::builder::Builder;
use tabled::settings::object::{Cell, Rows};
use tabled::settings::{Color, Padding, Style};

use super::plain;
use super::screen::Colour;
use crate::ctl::answer::{ConfigInfo, ProcessInfo};
use crate::ctl::fact::{Change, Fact, GroupAct, Outcome};
use crate::ctl::name;
use crate::ctl::staleness::kinds;

/// A fact as a terminal shows it, ended by a line feed.
pub(super) fn text(fact: &Fact, colour: Colour) -> String {
    match fact {
        Fact::Processes(processes) if !processes.is_empty() => statuses(processes, colour),
        Fact::Available(processes) if !processes.is_empty() => available(processes, colour),
        other => match line_colour(other) {
            Some(paint) if colour == Colour::On => {
                let line = plain::lines(other);
                format!("{}\n", paint.colorize(line.trim_end_matches('\n')))
            }
            _ => plain::lines(other),
        },
    }
}

fn line_colour(fact: &Fact) -> Option<Color> {
    match fact {
        Fact::Missing { .. } | Fact::Problem { .. } => Some(Color::FG_RED),
        Fact::Done(done) => Some(if done.outcome == Outcome::Success { Color::FG_GREEN } else { Color::FG_RED }),
        Fact::Change { change, .. } => Some(match change {
            Change::Available => Color::FG_GREEN,
            Change::Changed => Color::FG_YELLOW,
            Change::Disappeared => Color::FG_RED,
        }),
        Fact::Group { act, .. } => Some(match act {
            GroupAct::Added | GroupAct::Updated => Color::FG_GREEN,
            GroupAct::Stopped | GroupAct::Removed => Color::FG_YELLOW,
        }),
        _ => None,
    }
}

fn statuses(processes: &[ProcessInfo], colour: Colour) -> String {
    let mut builder = Builder::default();
    // Only where somebody is asked.
    let has_ready = processes.iter().any(|process| !readiness(process).is_empty());
    let has_stale = processes.iter().any(|process| !kinds(process).is_empty());
    let row = |first: [String; 2], [ready, stale]: [&str; 2], rest: [String; 3]| {
        let ready = has_ready.then(|| ready.to_owned());
        let stale = has_stale.then(|| stale.to_owned());
        first.into_iter().chain(ready).chain(stale).chain(rest).collect::<Vec<_>>()
    };
    let rest = ["PID", "UPTIME", "NOTE"].map(str::to_owned);
    let head = row(["PROCESS", "STATE"].map(str::to_owned), ["READY", "STALE"], rest);
    builder.push_record(head);
    for process in processes {
        let (pid, uptime, note) = columns(process);
        let ready = if readiness(process) == "ready" { "yes" } else { readiness(process) };
        let marks = [ready, &kinds(process)];
        builder.push_record(row([process.namespec(), process.statename.clone()], marks, [pid, uptime, note]));
    }
    let paints = processes.iter().map(|process| state_colour(&process.statename)).collect();
    draw(builder, paints, colour)
}

fn readiness(process: &ProcessInfo) -> &str {
    process.explanation.as_ref().map_or("", |explanation| explanation.readiness.as_str())
}

/// Takes `pid N, uptime T` apart; any other description is a note.
fn columns(process: &ProcessInfo) -> (String, String, String) {
    let description = description(process);
    let note = |first: &str| {
        let parts = std::iter::once(first.to_owned()).chain(remarks(process));
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    };
    match description.strip_prefix("pid ").and_then(|rest| rest.split_once(", uptime ")) {
        Some((pid, uptime)) => (pid.to_owned(), uptime.to_owned(), note("")),
        None if process.pid != 0 => (process.pid.to_string(), String::new(), note(description)),
        None => (String::new(), String::new(), note(description)),
    }
}

/// What galaxyd can say better than `Exited too quickly (process log may have details)`.
fn description(process: &ProcessInfo) -> &str {
    match (&process.explanation, process.statename.as_str()) {
        (Some(explanation), "BACKOFF" | "FATAL") => &explanation.reason,
        // Another start is to come.
        (Some(explanation), "EXITED") if explanation.until != 0 => &explanation.reason,
        _ => &process.description,
    }
}

/// What hinders it, and how many it left behind.
fn remarks(process: &ProcessInfo) -> Vec<String> {
    let Some(explanation) = &process.explanation else { return Vec::new() };
    let mut remarks = explanation.hindrances.clone();
    if !explanation.left_behind.is_empty() {
        remarks.push(format!("left {} behind (see `why`)", explanation.left_behind.len()));
    }
    remarks
}

fn state_colour(state: &str) -> Color {
    match state {
        "RUNNING" => Color::FG_GREEN,
        "STARTING" | "STOPPING" => Color::FG_YELLOW,
        "STOPPED" => Color::FG_BRIGHT_BLACK,
        "EXITED" => Color::FG_CYAN,
        _ => Color::FG_RED,
    }
}

fn available(processes: &[ConfigInfo], colour: Colour) -> String {
    let mut builder = Builder::default();
    builder.push_record(["PROCESS", "IN USE", "START", "PRIORITY"]);
    for process in processes {
        builder.push_record([
            name::join(&process.group, &process.name),
            if process.inuse { "in use" } else { "avail" }.to_owned(),
            if process.autostart { "auto" } else { "manual" }.to_owned(),
            format!("{}:{}", process.group_prio, process.process_prio),
        ]);
    }
    let paints = processes.iter().map(|one| if one.inuse { Color::FG_GREEN } else { Color::FG_YELLOW }).collect();
    draw(builder, paints, colour)
}

/// Draws the records; `paints` are the colours of the second column below the head.
fn draw(builder: Builder, paints: Vec<Color>, colour: Colour) -> String {
    let mut table = builder.build();
    table.with(Style::empty()).with(Padding::new(0, 3, 0, 0));
    if colour == Colour::On {
        table.modify(Rows::first(), Color::BOLD);
        for (row, paint) in paints.into_iter().enumerate() {
            table.modify(Cell::new(row + 1, 1), paint);
        }
    }
    let lines: Vec<String> = table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::explanation::Explanation;
    use crate::ctl::fake::process;
    use crate::ctl::staleness::Reason;

    #[test]
    fn statuses_are_aligned_and_say_everything_without_colour() {
        let mut web = process("galaxy", "web", "RUNNING");
        web.description = "pid 7299, uptime 1 day, 6:32:16".to_owned();
        let mut handler = process("galaxy", "handler0", "FATAL");
        handler.description = "can't find command 'x'".to_owned();
        let shown = text(&Fact::Processes(vec![handler, web]), Colour::Off);
        assert_eq!(
            shown,
            "PROCESS           STATE     PID    UPTIME           NOTE\n\
             galaxy:handler0   FATAL                             can't find command 'x'\n\
             galaxy:web        RUNNING   7299   1 day, 6:32:16\n"
        );
    }

    #[test]
    fn readiness_has_a_column_where_somebody_is_asked() {
        let asked = |name: &str, readiness: &str| {
            let mut asked = process("g", name, "RUNNING");
            asked.description = "pid 7, uptime 0:00:09".to_owned();
            asked.explanation = Some(explanation(readiness));
            asked
        };
        let shown = text(&Fact::Processes(vec![asked("a", "ready"), asked("b", "late"), asked("c", "")]), Colour::Off);
        assert_eq!(
            shown,
            "PROCESS   STATE     READY   PID   UPTIME    NOTE\n\
             g:a       RUNNING   yes     7     0:00:09\n\
             g:b       RUNNING   late    7     0:00:09\n\
             g:c       RUNNING           7     0:00:09\n"
        );
    }

    #[test]
    fn what_is_stale_has_a_column_where_something_is() {
        let running = |name: &str, kinds: &[&str]| {
            let mut running = process("g", name, "RUNNING");
            running.description = "pid 7, uptime 0:00:09".to_owned();
            let reason = |kind: &&str| Reason { kind: (*kind).to_owned(), detail: "x".to_owned() };
            let stale = kinds.iter().map(reason).collect();
            running.explanation = Some(Explanation { stale, ..explanation("") });
            running
        };
        let shown =
            text(&Fact::Processes(vec![running("a", &["file", "file", "galaxy"]), running("b", &[])]), Colour::Off);
        assert_eq!(
            shown,
            "PROCESS   STATE     STALE          PID   UPTIME    NOTE\n\
             g:a       RUNNING   file, galaxy   7     0:00:09\n\
             g:b       RUNNING                  7     0:00:09\n"
        );
    }

    fn explanation(readiness: &str) -> Explanation {
        Explanation { readiness: readiness.to_owned(), ..Explanation::bare("RUNNING", "runs") }
    }

    #[test]
    fn colour_changes_nothing_but_the_colour() {
        let facts = [
            Fact::Processes(vec![process("a", "b", "RUNNING"), process("a", "c", "STOPPED")]),
            Fact::Change { group: "g".to_owned(), change: Change::Changed },
            Fact::Line("plain".to_owned()),
        ];
        for fact in facts {
            let coloured = text(&fact, Colour::On);
            let mut stripped = String::new();
            let mut rest = coloured.as_str();
            while let Some((before, after)) = rest.split_once('\u{1b}') {
                stripped.push_str(before);
                rest = after.split_once('m').map_or("", |(_, rest)| rest);
            }
            stripped.push_str(rest);
            let tidy: Vec<&str> = stripped.lines().map(str::trim_end).collect();
            assert_eq!(tidy.join("\n") + "\n", text(&fact, Colour::Off));
        }
    }
}
