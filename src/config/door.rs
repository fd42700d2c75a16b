//! Where something listens, as the keys about readiness and outside needs write it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::value;

/// A TCP port of a host, or a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Door {
    Tcp {
        host: String,
        port: u16,
    },
    /// An absolute path.
    Unix(String),
}

impl Door {
    /// `HOST:PORT`, the host in brackets where it is an IPv6 address; `None` for anything else.
    pub(super) fn tcp(text: &str) -> Option<Door> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inside) => inside.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        let is_host =
            !host.is_empty() && !host.contains(|letter: char| letter.is_whitespace() || "/?#@".contains(letter));
        let port = value::port_number(port).ok()?;
        is_host.then(|| Door::Tcp { host: host.to_owned(), port })
    }

    /// An absolute path; `None` for anything else.
    pub(super) fn unix(text: &str) -> Option<Door> {
        text.starts_with('/').then(|| Door::Unix(text.to_owned()))
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Door::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Door::Tcp { host, port } => write!(f, "{host}:{port}"),
            Door::Unix(path) => f.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_read_as_they_are_shown() {
        for text in ["localhost:80", "127.0.0.1:65535", "[::1]:8080"] {
            assert_eq!(Door::tcp(text).map(|door| door.to_string()).as_deref(), Some(text));
        }
        for text in
            ["", "localhost", ":80", "localhost:", "localhost:0", "localhost:65536", "::1:80", "a b:80", "[::1:80"]
        {
            assert_eq!(Door::tcp(text), None, "{text}");
        }
        assert_eq!(Door::unix("/run/s"), Some(Door::Unix("/run/s".to_owned())));
        assert_eq!(Door::unix("run/s"), None);
    }
}
