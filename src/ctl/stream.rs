//! Log streams shown as they grow: `tail -f`, `maintail -f`, and `fg`.

use std::ops::ControlFlow;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread;

use super::answer::{ProcessInfo, RUNNING};
use super::console::{Attention, Typing};
use super::daemon::{CallError, Follower, fault_text};
use super::exit::ExitCode;
use super::render::{Form, Sink};
use super::shell::Shell;
use super::trouble::Trouble;
use crate::rpc::{FaultCode, Value};

const GREETING: &str = "==> Press Ctrl-C to exit <==";

/// Shows the stream of `path` until it ends or Ctrl-C.
///
/// # Errors
/// The terminal or a thread could not be used. A stream that cannot be opened is a line on standard error.
pub(super) fn tail(shell: &mut Shell, path: &str) -> Result<(), Trouble> {
    if refuse_json(shell) {
        return Ok(());
    }
    shell.line(GREETING);
    shell.console.catch_interrupts()?;
    let ended = show(shell, &[path.to_owned()])
        .and_then(|streams| shell.console.attend(Typing::LeaveAlone, Some(streams.ended.as_fd())));
    shell.console.restore_interrupts();
    if ended? == Attention::Interrupted {
        shell.line("");
    }
    Ok(())
}

/// Shows both streams of a process and sends it the lines that are typed.
///
/// # Errors
/// The terminal or a thread could not be used, or a call failed without words of its own.
pub(super) fn foreground(shell: &mut Shell, name: &str) -> Result<(), Trouble> {
    if refuse_json(shell) {
        return Ok(());
    }
    shell.line(GREETING);
    shell.console.catch_interrupts()?;
    let paths = [format!("/logtail/{name}/stdout"), format!("/logtail/{name}/stderr")];
    let outcome = show(shell, &paths).and_then(|_streams| converse(shell, name));
    shell.console.restore_interrupts();
    outcome
}

/// Sends typed lines until the person or the process has had enough. As in Supervisor, the end of the process is
/// noticed with the next line.
fn converse(shell: &mut Shell, name: &str) -> Result<(), Trouble> {
    while let Attention::Line(text) = shell.console.attend(Typing::Read, None)? {
        match shell.call("sendProcessStdin", &[name.into(), Value::String(text + "\n")]) {
            Ok(_) => {
                let info = ProcessInfo::read(&shell.call("getProcessInfo", &[name.into()])?)?;
                if info.state == RUNNING {
                    continue;
                }
                shell.line("Process got killed");
            }
            Err(CallError::Fault(fault)) if fault.code == FaultCode::NotRunning as i64 => {
                shell.line("Process got killed");
            }
            Err(CallError::Fault(fault)) => shell.problem(format!("ERROR: {}", fault_text(&fault)), Some(name)),
            Err(error) => return Err(error.into()),
        }
        break;
    }
    shell.line("Exiting foreground");
    Ok(())
}

/// A stream has no end.
pub(super) fn refuse_json(shell: &mut Shell) -> bool {
    let refused = shell.screen.form() == Form::Json;
    if refused {
        shell.problem("Error: a stream has no end, so it cannot be one JSON document", None);
        shell.set_exit(ExitCode::Usage);
    }
    refused
}

/// Threads that copy streams to standard output; they stop with the next bytes once this is dropped.
struct Streams {
    stop: Arc<AtomicBool>,
    /// At its end when all streams are.
    ended: UnixStream,
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn show(shell: &Shell, paths: &[String]) -> Result<Streams, Trouble> {
    let (ended, theirs) = UnixStream::pair()?;
    let stop = Arc::new(AtomicBool::new(false));
    for path in paths {
        let copy = Copy {
            follower: shell.daemon.follower(),
            path: path.clone(),
            url: format!("{}{path}", shell.session.serverurl),
            sinks: shell.screen.sinks(),
            stop: Arc::clone(&stop),
        };
        let mine = theirs.try_clone()?;
        thread::Builder::new().name("stream".to_owned()).spawn(move || {
            copy.run();
            drop(mine);
        })?;
    }
    Ok(Streams { stop, ended })
}

/// One stream on its way.
struct Copy {
    follower: Box<dyn Follower>,
    path: String,
    /// As error messages show it.
    url: String,
    sinks: (Sink, Sink),
    stop: Arc<AtomicBool>,
}

impl Copy {
    fn run(self) {
        let (out, err) = self.sinks;
        let stop = self.stop;
        let outcome = self.follower.follow(&self.path, &mut |bytes| {
            if stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            match out.write_all(bytes).and_then(|()| out.flush()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        let Err(error) = outcome else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let mut err = err.lock().unwrap_or_else(PoisonError::into_inner);
        // There is no third place to tell that the second is gone.
        let _ = writeln!(err, "{} {}", self.url, reason(&error));
    }
}

/// Source: supervisor 4.3.0, `http_client.py`, `status_line`, `handle_error`.
fn reason(error: &CallError) -> String {
    match error {
        CallError::Status { code, .. } => format!("Cannot read, status code {code}"),
        CallError::Unauthorized => "Cannot read, status code 401".to_owned(),
        other => {
            let (class, text) = other.exception();
            format!("Cannot connect, error: <class '{class}'> ({text})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fake::{Stage, fault, process, value_of};

    #[test]
    fn tail_f_copies_the_stream_until_it_ends() {
        let stage = Stage::supervisorctl().stream("/logtail/web/stdout", Ok("one\ntwo\n"));
        let shown = stage.run("tail -f web");
        assert_eq!(shown.out, "==> Press Ctrl-C to exit <==\none\ntwo\n");
        assert_eq!(shown.exit, 0);
    }

    #[test]
    fn ctrl_c_ends_a_stream_with_an_empty_line() {
        let shown = Stage::supervisorctl().attention(Attention::Interrupted).run("maintail -f");
        assert_eq!(shown.out, "==> Press Ctrl-C to exit <==\n\n");
        assert_eq!(shown.exit, 0);
    }

    #[test]
    fn a_stream_that_is_none_is_told_on_standard_error() {
        let error = CallError::Status { code: 404, reason: "Not Found".to_owned() };
        let shown = Stage::supervisorctl().stream("/logtail/x/stderr", Err(error)).run("tail -f x stderr");
        assert_eq!(shown.out, "==> Press Ctrl-C to exit <==\n");
        assert_eq!(shown.err, "unix:///run/s.sock/logtail/x/stderr Cannot read, status code 404\n");
        assert_eq!(shown.exit, 0);
    }

    #[test]
    fn fg_sends_lines_until_the_process_is_gone() {
        let running = value_of(&process("cat", "cat", "RUNNING"));
        let stage = Stage::supervisorctl()
            .answer("getProcessInfo('cat')", Ok(running.clone()))
            .attention(Attention::Line("hello".to_owned()))
            .answer("sendProcessStdin('cat', 'hello\\n')", Ok(Value::Bool(true)))
            .answer("getProcessInfo('cat')", Ok(running))
            .attention(Attention::Line(String::new()))
            .answer("sendProcessStdin('cat', '\\n')", Err(fault(70, "NOT_RUNNING: cat")));
        let shown = stage.run("fg cat");
        assert_eq!(shown.out, "==> Press Ctrl-C to exit <==\nProcess got killed\nExiting foreground\n");
        assert_eq!(shown.exit, 0);
    }

    #[test]
    fn fg_ends_with_the_input() {
        let stage = Stage::supervisorctl()
            .answer("getProcessInfo('cat')", Ok(value_of(&process("cat", "cat", "RUNNING"))))
            .attention(Attention::InputEnded);
        assert_eq!(stage.run("fg cat").out, "==> Press Ctrl-C to exit <==\nExiting foreground\n");
    }
}
