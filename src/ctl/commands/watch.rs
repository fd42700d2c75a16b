//! `watch [ID]`

use super::operations;
use crate::ctl::operation::OperationInfo;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(id) = operations::id(shell, rest, "watch") else { return Ok(Flow::Continue) };
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let Some(value) = shell.call_operations("galaxyd.getOperation", &[id.into()])? else { return Ok(Flow::Continue) };
    shell.follow_operation(OperationInfo::read(&value)?)?;
    Ok(Flow::Continue)
}
