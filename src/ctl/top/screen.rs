//! The terminal while it shows one screen: every key at once, no echo, the former content put back at the end.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};

use super::keys::{Key, keys};
use crate::ctl::render::Colour;

/// Another screen, without the cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// What ended the waiting.
#[derive(Debug)]
pub(in crate::ctl) enum Woken {
    Keys(Vec<Key>),
    /// The terminal has another size.
    Resized,
    /// A signal, or the terminal is gone.
    Ended,
    TimeOver,
}

/// The terminal as it was before comes back when this is dropped.
pub(in crate::ctl) struct LiveScreen {
    before: Termios,
    colour: Colour,
    ends: UnixStream,
    resizes: UnixStream,
    signals: Vec<SigId>,
}

impl LiveScreen {
    /// Whether standard input and output are a terminal that can be drawn on.
    pub(in crate::ctl) fn is_possible() -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
    }

    /// Takes the terminal.
    ///
    /// # Errors
    /// It is none, or signals cannot be caught.
    pub(in crate::ctl) fn begin(colour: Colour) -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut signals = Vec::new();
        let mut caught = |numbers: &[i32]| {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            for number in numbers {
                signals.push(signal_hook::low_level::pipe::register(*number, theirs.try_clone()?)?);
            }
            io::Result::Ok(ours)
        };
        let ends = caught(&[SIGINT, SIGTERM, SIGHUP])?;
        let resizes = caught(&[SIGWINCH])?;
        let screen = Self { before, colour, ends, resizes, signals };
        let mut raw = screen.before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw)?;
        write(ENTER)?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(in crate::ctl) fn size() -> (usize, usize) {
        let size = terminal_size::terminal_size_of(io::stdout());
        // One that does not know its size says zero.
        let size = size.filter(|(width, height)| width.0 > 0 && height.0 > 0);
        size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)))
    }

    /// Draws these lines; the chosen ones stand out.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(in crate::ctl) fn draw(&self, lines: &[(String, bool)]) -> io::Result<()> {
        let mut text = "\x1b[H".to_owned();
        for (at, (line, is_chosen)) in lines.iter().enumerate() {
            let (begin, end) = match (is_chosen, self.colour) {
                (true, Colour::On) => ("\x1b[7m", "\x1b[0m"),
                _ => ("", ""),
            };
            let feed = if at == 0 { "" } else { "\r\n" };
            for part in [feed, begin, line, end, "\x1b[K"] {
                text.push_str(part);
            }
        }
        text.push_str("\x1b[J");
        write(&text)
    }

    /// Waits for a key or a signal, no longer than `time`.
    ///
    /// # Errors
    /// Waiting failed.
    pub(in crate::ctl) fn wait(&self, time: Duration) -> io::Result<Woken> {
        let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        let stdin = io::stdin();
        let mut polled =
            [self.ends.as_fd(), self.resizes.as_fd(), stdin.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut polled, time) {
            Ok(0) => return Ok(Woken::TimeOver),
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Woken::Resized),
            Err(errno) => return Err(errno.into()),
        }
        let [ended, resized, typed] = polled.map(|one| one.any() == Some(true));
        if ended {
            return Ok(Woken::Ended);
        }
        if resized {
            let _ = (&self.resizes).read(&mut [0; 64]);
            return Ok(Woken::Resized);
        }
        let mut bytes = [0; 256];
        match nix::unistd::read(&stdin, &mut bytes) {
            _ if !typed => Ok(Woken::TimeOver),
            Ok(0) | Err(Errno::EIO) => Ok(Woken::Ended),
            Ok(count) => Ok(Woken::Keys(keys(bytes.get(..count).unwrap_or_default()))),
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(Woken::TimeOver),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for LiveScreen {
    fn drop(&mut self) {
        // If the terminal is gone there is nothing left to restore.
        let _ = write(LEAVE);
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
        for signal in self.signals.drain(..) {
            signal_hook::low_level::unregister(signal);
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
