//! `config [FILE] [--format ini|toml|json]`, `config --sample`

use super::check::{file, overrides, rendering};
use crate::config::{self, Format};
use crate::ctl::exit::ExitCode;
use crate::ctl::render::Form;
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

/// The format that `--sample` asks for; of the command line only.
const SAMPLE: &str = "sample";

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.session.format == SAMPLE {
        shell.screen.write_text(config::sample().as_bytes());
        return Ok(Flow::Continue);
    }
    let asked = if shell.screen.form() == Form::Json { "json" } else { &shell.session.format };
    let format = match asked {
        "toml" => Format::Toml,
        "json" => Format::Json,
        _ => Format::Ini,
    };
    let Some(path) = file(shell, rest) else {
        shell.usage("Error: no configuration file was found; name one", "config", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let source = host();
    let loaded = config::load(&path, &overrides(shell), &source);
    if !loaded.problems.is_empty() {
        let problems = config::render(&loaded.problems, &loaded.files, rendering(shell));
        shell.screen.complain(problems.trim_end());
    }
    let text = loaded.config.map(|config| match format {
        Format::Ini => {
            config::print_translated(&path, &config, &source).unwrap_or_else(|| config::print(&config, format, &source))
        }
        Format::Toml | Format::Json => config::print(&config, format, &source),
    });
    match text {
        Some(Ok(text)) => shell.screen.write_instead(text.as_bytes()),
        Some(Err(error)) => {
            shell.problem(format!("Error: {}: {error}", path.display()), None);
            shell.set_exit(ExitCode::Generic);
        }
        None => {
            shell.screen.write_instead(b"");
            shell.set_exit(ExitCode::Usage);
        }
    }
    Ok(Flow::Continue)
}
