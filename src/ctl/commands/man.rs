//! `man [galaxyctl|galaxyd]`

use crate::cli::manual;
use crate::ctl::exit::ExitCode;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let page = match rest {
        "" | "galaxyctl" => manual::galaxyctl_page()?,
        "galaxyd" => manual::galaxyd_page()?,
        _ => {
            shell.usage("Error: man knows galaxyctl and galaxyd", "man", ExitCode::Usage);
            return Ok(Flow::Continue);
        }
    };
    shell.screen.write_text(&page);
    Ok(Flow::Continue)
}
