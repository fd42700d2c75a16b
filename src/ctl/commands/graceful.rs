//! `graceful [NAME...]`, and `restart --rolling NAME...`

use crate::config::value;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::operation::OperationInfo;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;

/// Makes a restart a rolling one.
pub(super) const ROLLING: &str = "--rolling";

/// The switches that both commands know.
const SWITCHES: [&str; 3] = [ROLLING, START_STOPPED, DETACH];
const START_STOPPED: &str = "--start-if-stopped";
const DETACH: &str = "--detach";
const MAX_UNAVAILABLE: &str = "--max-unavailable";

/// Which of the two it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Graceful,
    RollingRestart,
}

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    roll(shell, rest, Deed::Graceful)
}

pub(super) fn restart_rolling(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    roll(shell, rest, Deed::RollingRestart)
}

fn roll(shell: &mut Shell, rest: &str, deed: Deed) -> Result<Flow, Trouble> {
    let command = if deed == Deed::Graceful { "graceful" } else { "restart" };
    let (numbers, words): (Vec<&str>, Vec<&str>) =
        rest.split_whitespace().partition(|word| word.starts_with(MAX_UNAVAILABLE));
    let max_unavailable = match numbers.last().map(|word| max_unavailable(word)).transpose() {
        Ok(number) => number.unwrap_or(0),
        Err(text) => {
            shell.usage(&format!("Error: {text}"), command, ExitCode::Usage);
            return Ok(Flow::Continue);
        }
    };
    let wrong = words.iter().find(|word| word.starts_with("--") && !is_known(word, deed));
    if let Some(wrong) = wrong {
        shell.usage(&format!("Error: bad option {wrong}"), command, ExitCode::Usage);
        return Ok(Flow::Continue);
    }
    if !shell.is_up_to_date()? || shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let rest = shell.names_or_all(&words.join(" "));
    let selection = shell.selection(&rest, &SWITCHES);
    let names = match (selection.is_empty(), deed) {
        (false, _) => shell.called_names(&selection)?,
        (true, Deed::Graceful) => Some(Vec::new()),
        (true, Deed::RollingRestart) => {
            shell.usage("Error: restart requires a process name", command, ExitCode::Usage);
            None
        }
    };
    let Some(names) = names else { return Ok(Flow::Continue) };
    let params = [
        names.into(),
        (deed == Deed::RollingRestart).into(),
        max_unavailable.into(),
        selection.has(START_STOPPED).into(),
    ];
    let detaches = selection.has(DETACH);
    let Some(value) = shell.call_operations("galaxyd.roll", &params)? else { return Ok(Flow::Continue) };
    let operation = OperationInfo::read(&value)?;
    if detaches {
        let text = format!("operation {}: begun", operation.id);
        shell.screen.show(&Fact::Detail { list: "operations", value: operation.json(), text });
    } else {
        shell.follow_operation(operation)?;
    }
    Ok(Flow::Continue)
}

fn is_known(word: &str, deed: Deed) -> bool {
    let is_switch = SWITCHES.contains(&word) && (word != ROLLING || deed == Deed::RollingRestart);
    is_switch || word.starts_with("--exclude")
}

fn max_unavailable(word: &str) -> Result<i64, String> {
    let wanted = format!("write {MAX_UNAVAILABLE}=2 for two processes of a program at once, not {word}");
    let number = word.strip_prefix(MAX_UNAVAILABLE).and_then(|rest| rest.strip_prefix('='));
    let number = number.and_then(|number| value::integer(number).ok());
    number.filter(|number| (1..=i64::from(u32::MAX)).contains(number)).ok_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_read() {
        assert_eq!(max_unavailable("--max-unavailable=2"), Ok(2));
        for word in ["--max-unavailable", "--max-unavailable=", "--max-unavailable=0", "--max-unavailable=half"] {
            assert!(max_unavailable(word).unwrap_err().contains("write --max-unavailable=2"), "{word}");
        }
    }
}
