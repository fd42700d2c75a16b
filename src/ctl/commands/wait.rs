//! `wait [--for=CONDITION] [--within=TIME] NAME...`

use std::time::Duration;

use crate::config::value;
use crate::ctl::exit::ExitCode;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;
use crate::engine::Condition;

/// The command's own options.
struct Wish {
    condition: Condition,
    within: Option<Duration>,
}

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let (options, names): (Vec<&str>, Vec<&str>) =
        rest.split_whitespace().partition(|word| word.starts_with("--for") || word.starts_with("--within"));
    let names = names.join(" ");
    let wish = match read(&options) {
        Ok(wish) => wish,
        Err(text) => {
            shell.usage(&format!("Error: {text}"), "wait", ExitCode::Usage);
            return Ok(Flow::Continue);
        }
    };
    let selection = shell.selection(&names, &[]);
    if selection.is_empty() {
        shell.usage("Error: wait requires a process name", "wait", ExitCode::Usage);
        return Ok(Flow::Continue);
    }
    let Some(names) = shell.called_names(&selection)? else { return Ok(Flow::Continue) };
    // The daemon counts whole seconds.
    let seconds = wish.within.map_or(0, |within| within.as_millis().div_ceil(1000));
    shell.wait_for(names, wish.condition, i64::try_from(seconds).unwrap_or(i64::MAX))?;
    Ok(Flow::Continue)
}

fn read(options: &[&str]) -> Result<Wish, String> {
    let mut wish = Wish { condition: Condition::Ready, within: None };
    for option in options {
        if let Some(word) = option.strip_prefix("--for=") {
            let words = Condition::ALL.map(Condition::word).join(", ");
            wish.condition = Condition::named(word).ok_or_else(|| format!("'{word}' is none of {words}"))?;
        } else if let Some(time) = option.strip_prefix("--within=") {
            let time = value::duration(time).map_err(|error| format!("{error}; expected {}", error.wanted()))?;
            wish.within = Some(time).filter(|time| !time.is_zero());
        } else {
            return Err(format!("write --for=ready or --within=90, not {option}"));
        }
    }
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let wish = read(&["--for=exited", "--within=2m"]).unwrap();
        assert_eq!((wish.condition, wish.within), (Condition::Exited, Some(Duration::from_secs(120))));
        let wish = read(&["--within=0"]).unwrap();
        assert_eq!((wish.condition, wish.within), (Condition::Ready, None));
        for (option, wanted) in [
            ("--for=healthy", "'healthy' is none of started, running, ready, exited"),
            ("--for", "write --for=ready or --within=90, not --for"),
            ("--within=soon", "not a length of time: 'soon'"),
        ] {
            assert!(read(&[option]).err().unwrap().contains(wanted), "{option}");
        }
    }
}
