//! `pidproxy PIDFILE COMMAND [ARGS]`: between a supervisor and a program that makes a daemon of itself.
//!
//! Runs the command as a child and hands signals on to the process that the pidfile names. Knows nothing of our daemon.
//!
//! Source: Supervisor 4.3.0, `supervisor.md` section 17. Left behind: the child's end is seen at once instead of within
//! five seconds, and its exit code is handed on.

mod proxy;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use proxy::Proxy;

/// Exit code for a wrong command line, a signal that could not be handed on, or a system that fails us.
const FAILED: u8 = 1;

/// As a shell has it for a command that cannot be run.
const NOT_RUN: u8 = 127;

/// Does it all; `program` is how it was called, `words` what follows.
#[must_use]
pub fn run(program: &str, words: &[String]) -> ExitCode {
    let [pidfile, command, arguments @ ..] = words else {
        let usage = format!(
            "pidproxy -- run a command and hand signals on to the process of a pidfile.\n\n\
             Usage: {program} <pidfile name> <command> [<cmdarg1> ...]\n"
        );
        // Nobody is left to tell when the output is gone.
        let _ = std::io::stdout().write_all(usage.as_bytes());
        return ExitCode::from(FAILED);
    };
    let code = match Proxy::start(pidfile.into(), command, arguments) {
        Ok(proxy) => proxy.wait().unwrap_or_else(|error| complain(&format!("cannot wait: {error}"), FAILED)),
        Err(error) if error.kind() == ErrorKind::NotFound && !command.contains('/') => {
            let text = format!("cannot run {command}: it is not in the current directory; the PATH is not searched");
            complain(&text, NOT_RUN)
        }
        Err(error) => complain(&format!("cannot run {command}: {error}"), NOT_RUN),
    };
    ExitCode::from(code)
}

fn complain(text: &str, code: u8) -> u8 {
    let _ = writeln!(std::io::stderr(), "pidproxy: {text}");
    code
}
