//! The client itself: one request, one connection, one answer.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method as Verb, Request};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::connection::{Connection, broken, unread};
use super::error::ClientError;
use crate::http::tls;
use crate::rpc::{self, Value, base64};

/// Bytes of an answer, at most: a whole log of 50 MB, Supervisor's default for one, fits.
pub const ANSWER_MAX: usize = 256 * 1024 * 1024;

/// Where calls are posted.
const RPC_PATH: &str = "/RPC2";

/// Between two tries to connect to a unix socket whose queue is full.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Name and password for HTTP Basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

/// Without the password.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Talks to one server. Holds no connection between calls.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    address: Address,
    credentials: Option<Credentials>,
    timeout: Option<Duration>,
    /// Whose certificates are trusted; `None`: the authorities of the distribution.
    authorities: Option<PathBuf>,
}

impl Client {
    /// A client for `unix://PATH`, `http://HOST[:PORT]` or, with the feature `tls`, `https://HOST[:PORT]`. `timeout` is for a whole call, and for a stream up to its first
    /// line; `None` waits for ever.
    ///
    /// # Errors
    /// [`ClientError::UnknownProtocol`] for another URL.
    pub fn new(
        serverurl: &str,
        credentials: Option<Credentials>,
        timeout: Option<Duration>,
    ) -> Result<Client, ClientError> {
        let address = Address::parse(serverurl).ok_or_else(|| ClientError::UnknownProtocol(serverurl.to_owned()))?;
        Ok(Client { url: serverurl.to_owned(), address, credentials, timeout, authorities: None })
    }

    /// The same client, which trusts the authorities in this file when it speaks TLS.
    #[must_use]
    pub fn trusting(self, authorities: Option<PathBuf>) -> Client {
        Client { authorities, ..self }
    }

    /// The URL as it was given.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Calls a method and waits for the answer, within the client's timeout.
    ///
    /// # Errors
    /// See [`ClientError`]; a fault is [`ClientError::Fault`].
    pub async fn call(&self, method: &str, params: &[Value]) -> Result<Value, ClientError> {
        self.call_within(self.timeout, method, params).await
    }

    /// The same with a timeout of its own, for calls that wait for processes; `None` waits for ever.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub async fn call_within(
        &self,
        limit: Option<Duration>,
        method: &str,
        params: &[Value],
    ) -> Result<Value, ClientError> {
        let request = self
            .request(Verb::POST, RPC_PATH)
            .header(CONNECTION, "close")
            .header(CONTENT_TYPE, "text/xml")
            .header(ACCEPT, "text/xml")
            .body(Full::new(rpc::write_call(method, params).into()))
            .map_err(broken)?;
        let connection = within(limit, ClientError::ConnectTimeout, self.connect()).await?;
        let answer = async {
            let response = connection.send(request).await?;
            let body = Limited::new(response, ANSWER_MAX).collect().await.map_err(unread)?;
            Ok(rpc::parse_response(&body.to_bytes())??)
        };
        within(limit, ClientError::Timeout, answer).await
    }

    /// Gets a stream (`/mainlogtail`, `/logtail/NAME/stdout`; not percent-encoded) and hands over its bytes as they come,
    /// until `on_bytes` breaks or the server ends it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn follow(
        &self,
        path: &str,
        mut on_bytes: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        // Without `Connection: close`: Supervisor 4.3 would hold the log back until it has 64 KiB of it.
        let request = self
            .request(Verb::GET, &percent_encoded(path))
            .header(ACCEPT, "*/*")
            .body(Full::new(Bytes::new()))
            .map_err(broken)?;
        let connection = within(self.timeout, ClientError::ConnectTimeout, self.connect()).await?;
        let mut response = within(self.timeout, ClientError::Timeout, connection.send(request)).await?;
        while let Some(frame) = response.frame().await {
            if let Some(bytes) = frame.map_err(broken)?.data_ref()
                && on_bytes(bytes).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn request(&self, verb: Verb, path: &str) -> hyper::http::request::Builder {
        let builder = Request::builder()
            .method(verb)
            .uri(path)
            .header(HOST, self.address.host())
            .header(USER_AGENT, concat!("galaxyctl/", env!("CARGO_PKG_VERSION")));
        match &self.credentials {
            None => builder,
            Some(Credentials { username, password }) => {
                let coded = base64::encode(format!("{username}:{password}").as_bytes());
                let mut value = HeaderValue::try_from(format!("Basic {coded}"));
                if let Ok(value) = &mut value {
                    value.set_sensitive(true);
                }
                match value {
                    Ok(value) => builder.header(AUTHORIZATION, value),
                    // Base64 has no letter that a header forbids.
                    Err(_) => builder,
                }
            }
        }
    }

    async fn connect(&self) -> Result<Connection, ClientError> {
        match &self.address {
            Address::Unix(path) => loop {
                match UnixStream::connect(path).await {
                    Ok(stream) => return Connection::open(stream).await,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL_PAUSE).await,
                    Err(error) => return Err(ClientError::connecting(error)),
                }
            },
            Address::Inet { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(ClientError::connecting)?;
                Connection::open(stream).await
            }
            Address::Tls { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(ClientError::connecting)?;
                Connection::open(tls::connect(host, self.authorities.as_deref(), stream).await?).await
            }
        }
    }
}

async fn within<T>(
    limit: Option<Duration>,
    late: impl FnOnce(Duration) -> ClientError,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    match limit {
        None => work.await,
        Some(limit) => timeout(limit, work).await.unwrap_or_else(|_| Err(late(limit))),
    }
}

/// A path as it may stand in a request line.
fn percent_encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            b'/' | b':' | b'-' | b'.' | b'_' | b'~' | b'*' | b'@' | b'+' | b'=' | b',' => {
                encoded.push(char::from(byte));
            }
            _ => {
                encoded.push('%');
                let halves = [byte >> 4, byte & 0xf].into_iter();
                encoded.extend(
                    halves.filter_map(|half| char::from_digit(half.into(), 16)).map(|half| half.to_ascii_uppercase()),
                );
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_where_they_must_be() {
        for (path, encoded) in [
            ("/logtail/galaxy:web_1/stdout", "/logtail/galaxy:web_1/stdout"),
            ("/logtail/a b%41?#;é/stderr", "/logtail/a%20b%2541%3F%23%3B%C3%A9/stderr"),
            ("/mainlogtail", "/mainlogtail"),
        ] {
            assert_eq!(percent_encoded(path), encoded);
        }
    }

    #[test]
    fn other_protocols_are_refused() {
        assert!(matches!(Client::new("ftp://x", None, None), Err(ClientError::UnknownProtocol(_))));
    }

    #[test]
    fn a_password_is_not_shown() {
        let credentials = Credentials { username: "admin".to_owned(), password: "secret".to_owned() };
        assert_eq!(format!("{credentials:?}"), "Credentials { username: \"admin\", .. }");
    }
}
