//! `apply [--dry-run] NAME...`

use super::update::{self, Deed};
use crate::ctl::exit::ExitCode;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let selection = shell.selection(rest, &["--dry-run"]);
    if selection.is_empty() {
        shell.usage("Error: apply requires a process name", "apply", ExitCode::Usage);
        return Ok(Flow::Continue);
    }
    let names = if selection.is_all() {
        let mut groups: Vec<String> = shell.known()?.into_iter().map(|one| one.group).collect();
        groups.dedup();
        Some(groups)
    } else {
        shell.chosen_names(&selection)?
    };
    if let Some(names) = names {
        update::by_process(shell, names, Deed::Apply, selection.has("--dry-run"))?;
    }
    Ok(Flow::Continue)
}
