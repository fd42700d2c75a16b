//! From a command line to an exit code.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex};

use super::client::Connection;
use super::exit::ExitCode;
use super::prompt;
use super::render::{Form, Harmless, Hints, Screen, Sink, colour_for, form_for};
use super::settings::Settings;
use super::shell::{Session, Shell};
use super::terminal::{OnInterrupt, Terminal};
use crate::cli::supervisorctl;
use crate::cli::{Parsed, Personality, UsageError, galaxyctl};
use crate::config::{HostSource, sample};

/// Runs the client: `argv0` as it was typed, `args` without it. Gives the exit code.
#[must_use]
pub fn main(personality: Personality, argv0: &str, args: &[String]) -> u8 {
    let parsed = match personality {
        Personality::Supervisorctl => match supervisorctl::parse(argv0, args) {
            Ok(Parsed::Run(options)) => Ok(Parsed::Run(galaxyctl::Galaxyctl::supervisorctl(options))),
            Ok(Parsed::Print(text)) => Ok(Parsed::Print(text)),
            Err(error) => Err(refuse(&error.text(argv0))),
        },
        // As the original, it looks at no word.
        Personality::EchoSupervisordConf => Ok(Parsed::Print(sample())),
        _ => galaxyctl::parse(args).map_err(|error| refuse(&error.render().ansi().to_string())),
    };
    match parsed {
        Ok(Parsed::Run(line)) => run(personality, argv0, line),
        Ok(Parsed::Print(text)) => print(&text),
        Err(exit) => exit,
    }
}

fn print(text: &str) -> u8 {
    let mut out = io::stdout().lock();
    let exit = if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok() {
        ExitCode::Success
    } else {
        ExitCode::Generic
    };
    exit.code()
}

/// Tells on standard error what is wrong with the command line or the configuration.
pub(super) fn refuse(text: &str) -> u8 {
    // There is no other place to tell it.
    let _ = io::stderr().lock().write_all(text.as_bytes());
    UsageError::EXIT_CODE
}

fn run(personality: Personality, argv0: &str, line: galaxyctl::Galaxyctl) -> u8 {
    let galaxyctl::Galaxyctl { options, format, migration, beside } = line;
    if options.quiet && options.words.is_empty() {
        return refuse("error: --quiet wants a command: nobody could see what the prompt says\n");
    }
    let settings = match Settings::read(personality, argv0, &options) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let is_prompt = options.words.is_empty();
    let connection = Connection::new(&settings.ctl, options.timeout);
    let session = Session {
        personality,
        serverurl: settings.ctl.serverurl,
        address_origin: settings.address_origin,
        interactive: options.interactive || is_prompt,
        prompt: settings.ctl.prompt,
        configuration: settings.configuration,
        format,
        migration,
        beside,
        plugins: options.plugins,
    };
    let (form, hints) = match personality {
        Personality::Galaxyctl if options.quiet => (Form::Plain, Hints::Hidden),
        Personality::Galaxyctl if options.json => (Form::Json, Hints::Shown),
        Personality::Galaxyctl => (form_for(&io::stdout()), Hints::Shown),
        _ => (Form::Plain, Hints::Hidden),
    };
    let (out, err): (Sink, Sink) = if options.quiet {
        (Arc::new(Mutex::new(io::sink())), Arc::new(Mutex::new(io::sink())))
    } else {
        let own = personality == Personality::Galaxyctl;
        let is_shown_to = |terminal: bool| !options.raw && (own || terminal);
        (
            sink(io::stdout(), is_shown_to(io::stdout().is_terminal())),
            sink(io::stderr(), is_shown_to(io::stderr().is_terminal())),
        )
    };
    let screen = Screen::new(form, hints, out, err);
    let mut terminal = Terminal::new(if is_prompt { OnInterrupt::Leave } else { OnInterrupt::Die });
    if is_prompt && let Err(error) = terminal.arm() {
        return refuse(&format!("error: cannot catch signals: {error}\n"));
    }
    let mut shell = Shell::new(session, Box::new(connection), screen, Box::new(terminal));
    if is_prompt {
        if let Err(error) = prompt::run(&mut shell, settings.ctl.history_file.as_deref()) {
            shell.screen.complain(&format!("error: the prompt cannot go on: {error}"));
            return ExitCode::Generic.code();
        }
        shell.set_exit(ExitCode::Success);
    } else {
        shell.run_line(&options.words.join(" "));
    }
    finish(&mut shell)
}

/// What programs printed does nothing to a person's terminal. Under the old name, what is not a terminal gets
/// Supervisor's bytes.
fn sink(stream: impl io::Write + Send + 'static, harmless: bool) -> Sink {
    if harmless {
        Arc::new(Mutex::new(Harmless::new(stream, colour_for(&io::stdout()))))
    } else {
        Arc::new(Mutex::new(stream))
    }
}

/// A reader that went away (`galaxyctl status | head -1`) is no failure; a full disk is.
fn finish(shell: &mut Shell) -> u8 {
    match shell.screen.take_failure() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            shell.screen.complain(&format!("error: cannot write to standard output: {error}"));
            ExitCode::Generic.code()
        }
        _ => shell.exit().code(),
    }
}

/// This machine, with this process's environment.
pub(super) fn host() -> HostSource {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    HostSource::new(std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect())
}
