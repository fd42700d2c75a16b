//! A connection to where a program listens.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::side::on_a_side_thread;
use crate::config::Door;

/// A stream of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

/// Connects.
///
/// # Errors
/// Why nobody can be reached there.
pub(super) async fn open(door: &Door) -> Result<Box<dyn Stream>, String> {
    let refused = |error: io::Error| format!("{door}: {}", words(&error));
    match door {
        Door::Unix(path) => Ok(Box::new(UnixStream::connect(path).await.map_err(refused)?)),
        Door::Tcp { host, port } => {
            let mut last = format!("{door}: the host has no address");
            for address in addresses(host, *port).await.map_err(refused)? {
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok(Box::new(stream)),
                    Err(error) => last = refused(error),
                }
            }
            Err(last)
        }
    }
}

async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    let found = on_a_side_thread(move || (host, port).to_socket_addrs().map(Iterator::collect)).await;
    found.unwrap_or_else(|| Err(io::Error::other("the look-up failed")))
}

/// The system's words without the number.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NotFound => "no such socket".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
