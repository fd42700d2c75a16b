//! `why [NAME...]`

use crate::ctl::answer;
use crate::ctl::exit::ExitCode;
use crate::ctl::explanation::Explanation;
use crate::ctl::fact::Fact;
use crate::ctl::happening::Happening;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::staleness;
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let Some(mut all) = shell.explanations()? else {
        shell.problem("Error: this daemon is no galaxyd and does not explain itself; try status and tail", None);
        shell.set_exit(ExitCode::Generic);
        return Ok(Flow::Continue);
    };
    staleness::attach(&mut all, &shell.stale());
    let words: Vec<&str> = rest.split_whitespace().collect();
    if words.is_empty() || words.contains(&"all") {
        // Unasked, what runs as it should is no news.
        let is_news = |one: &&Explanation| {
            let is_at_rest = one.statename == "RUNNING"
                && one.hindrances.is_empty()
                && one.left_behind.is_empty()
                && one.stale.is_empty();
            !words.is_empty() || !is_at_rest
        };
        for one in all.iter().filter(is_news) {
            show(shell, one);
        }
        return Ok(Flow::Continue);
    }
    for name in shell.single_names(&words)? {
        let (group, process) = name.split_once(':').unwrap_or((&name, &name));
        if let Some(one) = all.iter().find(|one| one.group == group && one.name == process) {
            let history = chain(shell, &one.namespec());
            show(shell, &Explanation { history, ..one.clone() });
        } else {
            shell.problem(format!("No such process {name}"), Some(&name));
            shell.set_exit(ExitCode::Generic);
            shell.suggest(&name);
        }
    }
    Ok(Flow::Continue)
}

/// So many entries of the history lead to the present state, at most.
const CHAIN_MAX: usize = 5;

/// So many are looked at for that.
const ENTRIES_MAX: i64 = 50;

/// What the history says of how it came to this: ends and their causes, who asked for what. That there is no history is no
/// failure of this command.
fn chain(shell: &mut Shell, name: &str) -> Vec<Happening> {
    let names = vec![name.to_owned()];
    let Ok(told) = shell.daemon.call("galaxyd.getHistory", &[names.into(), 0.into(), ENTRIES_MAX.into()]) else {
        return Vec::new();
    };
    let mut happenings = answer::list(&told, Happening::read).unwrap_or_default();
    happenings.retain(|happening| happening.text != "RUNNING");
    happenings.drain(..happenings.len().saturating_sub(CHAIN_MAX));
    happenings
}

fn show(shell: &mut Shell, one: &Explanation) {
    shell.screen.show(&Fact::Detail { list: "processes", value: one.json(), text: one.lines() });
}
