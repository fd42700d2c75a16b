//! `man [galaxyctl|galaxyd]`

use crate::cli::{galaxyctl, galaxyd, manual};
use crate::ctl::exit::ExitCode;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let definition = match rest {
        "" | "galaxyctl" => galaxyctl::definition(),
        "galaxyd" => galaxyd::definition(),
        _ => {
            shell.usage("Error: man knows galaxyctl and galaxyd", "man", ExitCode::Usage);
            return Ok(Flow::Continue);
        }
    };
    let page = manual::page(definition)?;
    shell.screen.write_instead(&page);
    Ok(Flow::Continue)
}
