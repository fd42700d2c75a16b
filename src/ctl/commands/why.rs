//! `why [NAME...]`

use crate::ctl::exit::ExitCode;
use crate::ctl::explanation::Explanation;
use crate::ctl::fact::Fact;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let Some(all) = shell.explanations()? else {
        shell.problem("Error: this daemon is no galaxyd and does not explain itself; try status and tail", None);
        shell.set_exit(ExitCode::Generic);
        return Ok(Flow::Continue);
    };
    let words: Vec<&str> = rest.split_whitespace().collect();
    if words.is_empty() || words.contains(&"all") {
        // Unasked, what runs as it should is no news.
        let is_news =
            |one: &&Explanation| !words.is_empty() || one.statename != "RUNNING" || !one.left_behind.is_empty();
        for one in all.iter().filter(is_news) {
            show(shell, one);
        }
        return Ok(Flow::Continue);
    }
    for name in shell.single_names(&words)? {
        let (group, process) = name.split_once(':').unwrap_or((&name, &name));
        if let Some(one) = all.iter().find(|one| one.group == group && one.name == process) {
            show(shell, one);
        } else {
            shell.problem(format!("No such process {name}"), Some(&name));
            shell.set_exit(ExitCode::Generic);
            shell.suggest(&name);
        }
    }
    Ok(Flow::Continue)
}

fn show(shell: &mut Shell, one: &Explanation) {
    shell.screen.show(&Fact::Detail { list: "processes", value: one.json(), text: one.lines() });
}
