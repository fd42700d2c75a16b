//! Lines to the system's log daemon: RFC 3164 datagrams to its local socket.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;

use jiff::Zoned;

/// Where the log daemon listens.
pub(super) const SOCKET: &str = "/dev/log";

/// Facility user (1), priority info (6).
const PRIORITY: u8 = 8 + 6;

/// A longer line goes out in pieces, each of them a message: what daemons take without cutting.
pub(super) const LINE_BYTES_MAX: usize = 8 * 1024;

/// What a piece begins with that goes on where the one before had to end.
const CONTINUED: &[u8] = b"[continued] ";

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    partial: Vec<u8>,
}

impl LineSplitter {
    /// Appends the lines that `bytes` completes, without their ends.
    pub(super) fn split(&mut self, bytes: &[u8], lines: &mut VecDeque<Vec<u8>>) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, complete) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let mut rest = text;
            while self.partial.len() + rest.len() > LINE_BYTES_MAX {
                let (now, later) = rest.split_at(LINE_BYTES_MAX.saturating_sub(self.partial.len()).min(rest.len()));
                self.partial.extend_from_slice(now);
                lines.push_back(std::mem::replace(&mut self.partial, CONTINUED.to_vec()));
                rest = later;
            }
            self.partial.extend_from_slice(rest);
            if complete {
                lines.push_back(std::mem::take(&mut self.partial));
            }
        }
    }

    /// The stream has ended: a last line without an end counts, too.
    pub(super) fn finish(&mut self, lines: &mut VecDeque<Vec<u8>>) {
        if !self.partial.is_empty() {
            lines.push_back(std::mem::take(&mut self.partial));
        }
    }
}

/// A connection to the log daemon, made when it is first needed and made anew when the daemon was restarted.
#[derive(Debug)]
pub(super) struct Syslog {
    path: Arc<Path>,
    tag: Arc<str>,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    pub(super) fn new(tag: Arc<str>, path: Arc<Path>) -> Syslog {
        Syslog { path, tag, socket: None }
    }

    /// Sends one line. Never waits.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the daemon has not yet taken what was sent before; others if there is none.
    pub(super) fn send(&mut self, prefix: &str, line: &[u8]) -> io::Result<()> {
        let time = Zoned::now().strftime("%b %e %H:%M:%S").to_string();
        let mut message = format!("<{PRIORITY}>{time} {}: {prefix}", self.tag).into_bytes();
        message.extend_from_slice(line);
        let reused = self.socket.is_some();
        match self.connected()?.send(&message) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            Err(error) => {
                self.socket = None;
                if !reused {
                    return Err(error);
                }
                self.connected()?.send(&message).map(|_| ())
            }
        }
    }

    fn connected(&mut self) -> io::Result<&UnixDatagram> {
        if self.socket.is_none() {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            socket.connect(&self.path)?;
            self.socket = Some(socket);
        }
        self.socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut splitter, mut lines) = (LineSplitter::default(), VecDeque::new());
        for piece in pieces {
            splitter.split(piece, &mut lines);
        }
        splitter.finish(&mut lines);
        lines.into()
    }

    #[test]
    fn lines_are_put_together_over_pieces() {
        assert_eq!(lines_of(&[b"one\ntw", b"o\n\nthr", b"ee"]), [&b"one"[..], b"two", b"", b"three"]);
        assert_eq!(lines_of(&[b"", b"\n"]), [b""]);
        assert_eq!(lines_of(&[]), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_line_without_end_goes_out_in_marked_pieces_of_bounded_size() {
        let long = vec![b'x'; LINE_BYTES_MAX * 2 - CONTINUED.len() + 5];
        let lines = lines_of(&[&long[..7], &long[7..], b"y\n"]);
        let sizes: Vec<usize> = lines.iter().map(Vec::len).collect();
        assert_eq!(sizes, [LINE_BYTES_MAX, LINE_BYTES_MAX, CONTINUED.len() + 6]);
        let marked: Vec<bool> = lines.iter().map(|line| line.starts_with(CONTINUED)).collect();
        assert_eq!(marked, [false, true, true]);
        // One that just fits is whole, and the next one begins anew.
        assert_eq!(lines_of(&[&long[..LINE_BYTES_MAX], b"\n", b"y\n"])[1..], [b"y"]);
    }

    #[test]
    fn a_message_has_priority_time_tag_and_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::new("galaxyd".into(), path.into());
        syslog.send("web ", b"hello").unwrap();
        let mut buffer = [0; 200];
        let length = daemon.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("<14>"), "{text}");
        assert!(text.ends_with(" galaxyd: web hello"), "{text}");
        assert_eq!(text.len(), "<14>Nov 22 10:00:00 galaxyd: web hello".len(), "{text}");
    }

    #[test]
    fn a_restarted_daemon_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut syslog = Syslog::new("galaxyd".into(), path.as_path().into());
        assert_eq!(syslog.send("", b"lost").unwrap_err().kind(), io::ErrorKind::NotFound);
        let first = UnixDatagram::bind(&path).unwrap();
        syslog.send("", b"one").unwrap();
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        syslog.send("", b"two").unwrap();
        let mut buffer = [0; 200];
        let length = second.recv(&mut buffer).unwrap();
        assert!(buffer[..length].ends_with(b"two"));
    }

    #[test]
    fn a_daemon_that_does_not_read_makes_nobody_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let _daemon = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::new("galaxyd".into(), path.into());
        let error = (0..100_000).find_map(|_| syslog.send("", b"line").err()).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
