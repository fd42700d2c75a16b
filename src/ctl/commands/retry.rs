//! `retry [NAME...]`

use super::start::START;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let selection = shell.selection(rest, &[]);
    let names = if selection.is_empty() || selection.is_all() {
        Vec::new()
    } else {
        let Some(names) = shell.chosen_names(&selection)? else { return Ok(Flow::Continue) };
        // Without a colon it is a group's name here, a process' in the call.
        names.into_iter().map(|name| if name.contains(':') { name } else { format!("{name}:*") }).collect()
    };
    let answer = shell.daemon.call("galaxyd.retry", &[names.into()]);
    shell.show_own(&START, answer, "retry")?;
    shell.follow_up_starts();
    Ok(Flow::Continue)
}
