//! `open URL`

use super::status;
use crate::ctl::exit::ExitCode;
use crate::ctl::shell::{AddressOrigin, Flow, Shell};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let known = rest
        .split_once(':')
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("unix") || scheme.eq_ignore_ascii_case("http"));
    if !known {
        shell.problem("ERROR: url must be http:// or unix://", None);
        shell.set_exit(ExitCode::Generic);
        return Ok(Flow::Continue);
    }
    rest.clone_into(&mut shell.session.serverurl);
    shell.session.address_origin = AddressOrigin::CommandLine;
    shell.daemon.turn_to(rest);
    let exit = shell.exit();
    let flow = status::run(shell, "")?;
    shell.set_exit(exit);
    Ok(flow)
}
