//! A server URL: where to connect, and what to call the host.

use std::path::PathBuf;

/// The port of `http://` URLs that name none.
const DEFAULT_PORT: u16 = 80;

/// The port of `https://` URLs that name none.
const DEFAULT_TLS_PORT: u16 = 443;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Unix(PathBuf),
    Inet {
        host: String,
        port: u16,
    },
    /// Behind TLS.
    Tls {
        host: String,
        port: u16,
    },
}

impl Address {
    /// Reads `unix://PATH`, `http://HOST[:PORT]` and `https://HOST[:PORT]`; credentials and a path in the last two are ignored, as by Supervisor.
    /// `None` for another protocol, an empty host or path, or a port that is no port.
    #[must_use]
    pub fn parse(url: &str) -> Option<Address> {
        if let Some(path) = url.strip_prefix("unix://") {
            return (!path.is_empty()).then(|| Address::Unix(path.into()));
        }
        let (rest, default, is_tls) = match url.strip_prefix("https://") {
            Some(rest) => (rest, DEFAULT_TLS_PORT, true),
            None => (url.strip_prefix("http://")?, DEFAULT_PORT, false),
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let (host, port) = match place.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']')?;
                (host, after.strip_prefix(':').filter(|port| !port.is_empty()))
            }
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port).filter(|port| !port.is_empty())),
                None => (place, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None => default,
        };
        if host.is_empty() {
            return None;
        }
        let host = host.to_owned();
        Some(if is_tls { Address::Tls { host, port } } else { Address::Inet { host, port } })
    }

    /// What the Host header says.
    pub(super) fn host(&self) -> String {
        match self {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Inet { host, port } | Address::Tls { host, port } if host.contains(':') => {
                format!("[{host}]:{port}")
            }
            Address::Inet { host, port } | Address::Tls { host, port } => format!("{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_supervisors_client_reads_them() {
        let inet = |host: &str, port| Some(Address::Inet { host: host.to_owned(), port });
        for (url, address) in [
            ("unix:///run/s.sock", Some(Address::Unix("/run/s.sock".into()))),
            ("unix://relative.sock", Some(Address::Unix("relative.sock".into()))),
            ("unix://", None),
            ("http://localhost", inet("localhost", 80)),
            ("http://localhost:", inet("localhost", 80)),
            ("http://127.0.0.1:9001", inet("127.0.0.1", 9001)),
            ("http://127.0.0.1:9001/RPC2", inet("127.0.0.1", 9001)),
            ("http://a:b@host:1/x?y", inet("host", 1)),
            ("http://[::1]:9001", inet("::1", 9001)),
            ("http://[::1]", inet("::1", 80)),
            ("http://host:99999", None),
            ("http://host:x", None),
            ("http://:9001", None),
            ("http://", None),
            ("https://host", Some(Address::Tls { host: "host".to_owned(), port: 443 })),
            ("https://[::1]:9443/RPC2", Some(Address::Tls { host: "::1".to_owned(), port: 9443 })),
            ("https://", None),
            ("ftp://host", None),
            ("/run/s.sock", None),
            ("", None),
        ] {
            assert_eq!(Address::parse(url), address, "{url}");
        }
    }
}
