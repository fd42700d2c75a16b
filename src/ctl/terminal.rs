//! The person at the real terminal, or whatever standard input is.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use signal_hook::SigId;
use signal_hook::consts::SIGINT;

use super::console::{Attention, Console, Typing};
use super::trouble::Trouble;

/// What Ctrl-C does while nothing waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnInterrupt {
    /// The program is ended by the signal.
    Die,
    /// The program exits 0, as Supervisor's prompt does.
    Leave,
}

/// Standard input, read without a buffer beyond the line, so that nothing is lost between its readers.
pub(super) struct Terminal {
    typed: Vec<u8>,
    /// Ctrl-C acts by itself.
    armed: Arc<AtomicBool>,
    on_interrupt: OnInterrupt,
    is_registered: bool,
    caught: Option<(SigId, UnixStream)>,
}

impl Terminal {
    #[must_use]
    pub(super) fn new(on_interrupt: OnInterrupt) -> Self {
        Self {
            typed: Vec::new(),
            armed: Arc::new(AtomicBool::new(true)),
            on_interrupt,
            is_registered: false,
            caught: None,
        }
    }

    /// Prints `prompt` and reads a line; `None` at the end of the input.
    ///
    /// # Errors
    /// The input cannot be read or the prompt not written.
    pub(super) fn line(&mut self, prompt: &str) -> io::Result<Option<String>> {
        let mut out = io::stdout().lock();
        out.write_all(prompt.as_bytes())?;
        out.flush()?;
        drop(out);
        loop {
            if let Some(line) = self.buffered_line() {
                return Ok(Some(line));
            }
            if self.fill()? == 0 {
                return Ok(self.last_line());
            }
        }
    }

    fn buffered_line(&mut self) -> Option<String> {
        let end = self.typed.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.typed.drain(..=end).collect();
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        Some(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned())
    }

    /// What stands before the end of the input without a line feed.
    fn last_line(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.typed);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 4096];
        loop {
            match nix::unistd::read(io::stdin().as_fd(), &mut bytes) {
                Ok(count) => {
                    self.typed.extend_from_slice(bytes.get(..count).unwrap_or_default());
                    return Ok(count);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// One report for all signals that came together.
    fn interrupted(&mut self) -> Attention {
        if let Some((_, pipe)) = &mut self.caught {
            let _ = pipe.read(&mut [0; 64]);
        }
        Attention::Interrupted
    }

    /// Makes Ctrl-C do from now on what this terminal was made for.
    ///
    /// # Errors
    /// The signal cannot be caught.
    pub(super) fn arm(&mut self) -> io::Result<()> {
        self.register()
    }

    /// Registered once: an action that is only switched on and off never leaves a gap.
    fn register(&mut self) -> io::Result<()> {
        if self.is_registered {
            return Ok(());
        }
        let armed = Arc::clone(&self.armed);
        match self.on_interrupt {
            OnInterrupt::Die => signal_hook::flag::register_conditional_default(SIGINT, armed)?,
            OnInterrupt::Leave => signal_hook::flag::register_conditional_shutdown(SIGINT, 0, armed)?,
        };
        self.is_registered = true;
        Ok(())
    }
}

impl Console for Terminal {
    fn ask(&mut self, prompt: &str) -> Result<String, Trouble> {
        self.line(prompt)?.ok_or(Trouble::InputEnded)
    }

    fn ask_hidden(&mut self, prompt: &str) -> Result<String, Trouble> {
        let Ok(mut terminal) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
            // Without a terminal there is no echo to hide.
            return self.ask(prompt);
        };
        let hidden = Hidden::begin(&terminal)?;
        terminal.write_all(prompt.as_bytes())?;
        let mut line = String::new();
        let count = BufReader::new(&terminal).read_line(&mut line)?;
        drop(hidden);
        terminal.write_all(b"\n")?;
        if count == 0 {
            return Err(Trouble::InputEnded);
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn catch_interrupts(&mut self) -> Result<(), Trouble> {
        self.register()?;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let id = signal_hook::low_level::pipe::register(SIGINT, theirs)?;
        self.armed.store(false, Ordering::SeqCst);
        self.caught = Some((id, ours));
        Ok(())
    }

    fn restore_interrupts(&mut self) {
        self.armed.store(true, Ordering::SeqCst);
        if let Some((id, _)) = self.caught.take() {
            signal_hook::low_level::unregister(id);
        }
    }

    fn attend(&mut self, typing: Typing, streams: Option<BorrowedFd<'_>>) -> Result<Attention, Trouble> {
        loop {
            if typing == Typing::Read
                && let Some(line) = self.buffered_line()
            {
                return Ok(Attention::Line(line));
            }
            match wait(self.caught.as_ref().map(|(_, pipe)| pipe), typing, streams, PollTimeout::NONE)? {
                Some(Ready::Interrupt) => return Ok(self.interrupted()),
                Some(Ready::Input) if self.fill()? == 0 => {
                    return Ok(self.last_line().map_or(Attention::InputEnded, Attention::Line));
                }
                Some(Ready::Input) | None => {}
                Some(Ready::Streams) => return Ok(Attention::StreamsEnded),
            }
        }
    }

    fn pause(&mut self, time: Duration) -> Result<Attention, Trouble> {
        let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        match wait(self.caught.as_ref().map(|(_, pipe)| pipe), Typing::LeaveAlone, None, time)? {
            Some(Ready::Interrupt) => Ok(self.interrupted()),
            Some(Ready::Input | Ready::Streams) | None => Ok(Attention::TimeOver),
        }
    }
}

enum Ready {
    Interrupt,
    Input,
    Streams,
}

/// `None`: the time is over.
fn wait(
    caught: Option<&UnixStream>,
    typing: Typing,
    streams: Option<BorrowedFd<'_>>,
    time: PollTimeout,
) -> io::Result<Option<Ready>> {
    let stdin = io::stdin();
    let mut sources = Vec::new();
    if let Some(pipe) = caught {
        sources.push((Ready::Interrupt, pipe.as_fd()));
    }
    if typing == Typing::Read {
        sources.push((Ready::Input, stdin.as_fd()));
    }
    if let Some(streams) = streams {
        sources.push((Ready::Streams, streams));
    }
    loop {
        let mut polled: Vec<PollFd<'_>> = sources.iter().map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match poll(&mut polled, time) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ready = polled.iter().position(|one| one.any() == Some(true));
        if let Some(at) = ready.filter(|at| *at < sources.len()) {
            return Ok(Some(sources.swap_remove(at).0));
        }
    }
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    fn begin(terminal: &File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &hidden)?;
        Ok(Self { terminal: terminal.try_clone()?, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // If the terminal is gone there is nothing left to restore.
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}
