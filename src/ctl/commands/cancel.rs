//! `cancel [ID]`

use super::operations;
use crate::ctl::fact::Fact;
use crate::ctl::operation::OperationInfo;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(id) = operations::id(shell, rest, "cancel") else { return Ok(Flow::Continue) };
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let Some(value) = shell.call_operations("galaxyd.cancelOperation", &[id.into()])? else {
        return Ok(Flow::Continue);
    };
    let operation = OperationInfo::read(&value)?;
    let text = format!("operation {}: no further process is begun with", operation.id);
    shell.screen.show(&Fact::Detail { list: "operations", value: operation.json(), text });
    Ok(Flow::Continue)
}
