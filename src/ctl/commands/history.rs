//! `history [NAME...] [--since TIME] [--limit N] [--follow]`

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::{self, Overrides};
use crate::ctl::answer;
use crate::ctl::console::Attention;
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::happening::Happening;
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::stream;
use crate::ctl::trouble::Trouble;
use crate::history::{self, Entry};
use crate::rpc::FaultCode;
use crate::sys::clock;

/// Entries that are shown unless `--limit` says otherwise.
const LIMIT: i64 = 100;

/// How often something new is asked for.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// New entries that are shown at once at most: as many as the daemon gives.
const FOLLOW_LIMIT: i64 = 1000;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    names: Vec<String>,
    /// Seconds since 1970.
    since: i64,
    limit: i64,
    follows: bool,
}

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let now = i64::try_from(clock::wall().as_secs()).unwrap_or(i64::MAX);
    let mut question = match Question::read(rest, now, &TimeZone::system()) {
        Ok(question) => question,
        Err(text) => {
            shell.usage(&text, "history", ExitCode::Usage);
            return Ok(Flow::Continue);
        }
    };
    if question.follows && stream::refuse_json(shell) {
        return Ok(Flow::Continue);
    }
    let lines = match ask(shell, &question) {
        Ok(lines) => lines,
        Err(CallError::Fault(fault)) => {
            let text = if fault.code == FaultCode::UnknownMethod as i64 {
                "Error: this daemon keeps no history".to_owned()
            } else {
                format!("Error: {}", fault.text)
            };
            shell.problem(text, None);
            shell.set_exit(ExitCode::Generic);
            return Ok(Flow::Continue);
        }
        Err(error) if error.is_about_the_connection() && !question.follows => match from_file(shell, &question) {
            Some(lines) => lines,
            None => return Err(error.into()),
        },
        Err(error) => return Err(error.into()),
    };
    show(shell, &lines);
    if question.follows {
        question.limit = FOLLOW_LIMIT;
        follow(shell, question, lines)?;
    } else if lines.is_empty() {
        for name in &question.names {
            shell.screen.hint(&format!("galaxyctl: nothing is known about {name}"));
            shell.suggest(name);
        }
    }
    Ok(Flow::Continue)
}

fn ask(shell: &mut Shell, question: &Question) -> Result<Vec<Happening>, CallError> {
    let params = [question.names.clone().into(), question.since.into(), question.limit.into()];
    answer::list(&shell.daemon.call("galaxyd.getHistory", &params)?, Happening::read)
}

fn show(shell: &mut Shell, lines: &[Happening]) {
    for line in lines {
        shell.screen.show(&Fact::Detail { list: "entries", value: line.json(), text: line.text(&TimeZone::system()) });
    }
}

/// Asks again and again for what is new, until Ctrl-C.
fn follow(shell: &mut Shell, question: Question, shown: Vec<Happening>) -> Result<(), Trouble> {
    shell.console.catch_interrupts()?;
    let outcome = follow_on(shell, question, shown);
    shell.console.restore_interrupts();
    outcome
}

fn follow_on(shell: &mut Shell, mut question: Question, mut shown: Vec<Happening>) -> Result<(), Trouble> {
    let mut lost = false;
    while !shell.screen.is_broken() {
        if shell.console.pause(FOLLOW_EVERY)? == Attention::Interrupted {
            break;
        }
        let lines = match ask(shell, &question) {
            Ok(lines) => lines,
            Err(error) if error.is_about_the_connection() => {
                if !std::mem::replace(&mut lost, true) {
                    shell.screen.hint(&format!("galaxyctl: the daemon cannot be reached: {error}; trying again"));
                }
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        lost = false;
        let new: Vec<Happening> = lines.iter().filter(|line| !shown.contains(line)).cloned().collect();
        show(shell, &new);
        // Times are whole seconds: more may happen in the last one.
        question.since = lines.iter().map(|line| line.last).max().unwrap_or(question.since);
        shown = lines.into_iter().filter(|line| line.last >= question.since).collect();
    }
    Ok(())
}

/// Without a daemon the file is read that the configuration names; `None` when there is none, or it is not for us.
fn from_file(shell: &mut Shell, question: &Question) -> Option<Vec<Happening>> {
    let configuration = shell.session.configuration.clone()?;
    let path = config::load(&configuration, &Overrides::default(), &host()).config?.daemon.history_file?;
    let entries = history::read(&path).ok()?;
    shell.screen.hint(&format!("the daemon cannot be reached; this is what {} says", path.display()));
    let limit = usize::try_from(question.limit).unwrap_or(0);
    Some(Entry::choose(entries, &question.names, question.since, limit).into_iter().map(Happening::of).collect())
}

impl Question {
    fn read(rest: &str, now: i64, zone: &TimeZone) -> Result<Question, String> {
        let mut question = Question { names: Vec::new(), since: 0, limit: LIMIT, follows: false };
        let mut words = rest.split_whitespace();
        while let Some(word) = words.next() {
            let (option, glued) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
            match option {
                "--since" => {
                    let value = glued.or_else(|| words.next()).unwrap_or_default();
                    question.since = since(value, now, zone).ok_or_else(|| {
                        format!("Error: --since wants a time ago (90s, 30m, 1h, 2d) or a date (2026-11-30T10:00), found '{value}'")
                    })?;
                }
                "--limit" => {
                    let value = glued.or_else(|| words.next()).unwrap_or_default();
                    question.limit =
                        value.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| {
                            format!("Error: --limit wants a number of entries above 0, found '{value}'")
                        })?;
                }
                "--follow" | "-f" if glued.is_none() => question.follows = true,
                _ if option.starts_with('-') => return Err(format!("Error: bad option {word}")),
                "all" => {}
                _ => question.names.push(word.to_owned()),
            }
        }
        Ok(question)
    }
}

/// Seconds since 1970 of a time ago, a date in `zone`, or a date with a zone of its own.
fn since(text: &str, now: i64, zone: &TimeZone) -> Option<i64> {
    let unit = |unit: char| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(86_400),
        _ => None,
    };
    if let Some(unit) = text.chars().last().and_then(unit)
        && let Ok(number) = text.get(..text.len() - 1)?.parse::<u32>()
    {
        return Some(now.saturating_sub(i64::from(number).saturating_mul(unit)));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_second());
    }
    let local = text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?;
    Some(local.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;
    use crate::ctl::fake::Stage;
    use crate::rpc::Value;

    fn read(rest: &str) -> Result<Question, String> {
        Question::read(rest, 1_000_000, &TimeZone::UTC)
    }

    #[test]
    fn times_are_ago_or_dates() {
        for (text, wanted) in [
            ("90s", Some(999_910)),
            ("1h", Some(996_400)),
            ("2d", Some(827_200)),
            ("1970-01-02T00:00", Some(86_400)),
            ("1970-01-02", Some(86_400)),
            ("1970-01-02T00:00:00Z", Some(86_400)),
            ("yesterday", None),
            ("h", None),
            ("-1h", None),
            ("", None),
            ("1é", None),
        ] {
            assert_eq!(since(text, 1_000_000, &TimeZone::UTC), wanted, "{text}");
        }
    }

    #[test]
    fn words_are_names_and_options() {
        let names = vec!["web".to_owned(), "galaxy:*".to_owned()];
        let wanted = Question { names, since: 999_940, limit: 5, follows: true };
        assert_eq!(read("web --since 1m galaxy:* -f --limit=5"), Ok(wanted));
        assert!(read("--limit 0").unwrap_err().contains("above 0"));
        assert!(read("--since").unwrap_err().contains("a time ago"));
        assert!(read("--sinec 1h").unwrap_err().contains("bad option --sinec"));
    }

    #[test]
    fn history_follows_what_is_new_until_ctrl_c() {
        let gone = || Err(CallError::Refused);
        let stage = Stage::galaxyctl()
            .answer(
                "galaxyd.getHistory(Array([String(\"web\")]), 0, 100)",
                Ok(Value::Array(vec![entry(7, 1, "FATAL")])),
            )
            .attention(Attention::TimeOver)
            .answer("galaxyd.getHistory(Array([String(\"web\")]), 0, 1000)", gone())
            .attention(Attention::TimeOver)
            .answer(
                "galaxyd.getHistory(Array([String(\"web\")]), 0, 1000)",
                Ok(Value::Array(vec![entry(7, 1, "FATAL"), entry(9, 1, "RUNNING")])),
            )
            .attention(Attention::TimeOver)
            .answer(
                "galaxyd.getHistory(Array([String(\"web\")]), 9, 1000)",
                Ok(Value::Array(vec![entry(9, 2, "RUNNING")])),
            );
        let shown = stage.run("history web --follow");
        let texts: Vec<&str> =
            shown.out.lines().filter_map(|line| line.split_once("web  ")).map(|(_, text)| text).collect();
        assert_eq!(texts.len(), 3, "{shown:?}");
        assert_eq!(texts[..2], ["FATAL", "RUNNING"]);
        assert!(texts[2].starts_with("RUNNING (2 times since "), "{shown:?}");
        assert!(shown.err.contains("cannot be reached") && shown.unused.is_empty(), "{shown:?}");
        assert_eq!(Stage::json().run("history --follow").exit, 2);
    }
}
