//! One GET request, and whether the answer is the one that was wanted.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;

use super::connect;
use crate::VERSION;
use crate::config::{Door, HttpCheck, pattern};

/// A body is looked at so far, in bytes.
const BODY_MAX: usize = 256 * 1024;

/// Asks once.
///
/// # Errors
/// There is no answer, or another one.
pub(super) async fn ask(wanted: &HttpCheck) -> Result<(), String> {
    let Some(pattern) = &wanted.body else { return exchange(wanted, Part::Status).await.map(drop) };
    matches(pattern, &exchange(wanted, Part::Body).await?, &wanted.path)
}

/// The body of the answer, whatever was wanted of it.
///
/// # Errors
/// There is no answer, or one with another status.
pub(super) async fn fetch(wanted: &HttpCheck) -> Result<Bytes, String> {
    exchange(wanted, Part::Body).await
}

/// What of an answer is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Status,
    Body,
}

/// The body, empty if it is not waited for.
async fn exchange(wanted: &HttpCheck, part: Part) -> Result<Bytes, String> {
    let stream = connect::open(&wanted.door).await?;
    let broken = |error: hyper::Error| format!("{}: no HTTP answer ({error})", wanted.door);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = request(wanted)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let (low, high) = wanted.statuses;
        if !(low..=high).contains(&status) {
            return Err(format!("{} answers {status}", wanted.path));
        }
        match part {
            Part::Status => Ok(Bytes::new()),
            Part::Body => whole(response.into_body(), &wanted.path).await,
        }
    };
    // Both on this task: with the question its connection ends.
    tokio::select! {
        answer = answer => answer,
        // A connection that ends first has told the request why.
        () = async { drop(connection.await); std::future::pending().await } => Ok(Bytes::new()),
    }
}

fn request(wanted: &HttpCheck) -> Result<Request<Empty<Bytes>>, String> {
    let host = match &wanted.door {
        Door::Unix(_) => "localhost".to_owned(),
        tcp @ Door::Tcp { .. } => tcp.to_string(),
    };
    Request::get(&wanted.path)
        .header(HOST, host)
        .header(USER_AGENT, format!("galaxyd/{VERSION}"))
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| format!("{} cannot be asked for: {error}", wanted.path))
}

async fn whole(incoming: Incoming, path: &str) -> Result<Bytes, String> {
    let read = Limited::new(incoming, BODY_MAX).collect().await;
    Ok(read.map_err(|error| format!("{path}: its body cannot be read: {error}"))?.to_bytes())
}

fn matches(body: &str, bytes: &[u8], path: &str) -> Result<(), String> {
    let wanted = pattern(body)?;
    if wanted.is_match(bytes) { Ok(()) } else { Err(format!("the body of {path} does not match {body}")) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What a server that answers `answer` is taken for.
    async fn asked(answer: &'static str, statuses: (u16, u16), body: Option<&str>) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let door = Door::Tcp { host: "127.0.0.1".to_owned(), port };
        let wanted = HttpCheck { door, path: "/api?x=1".to_owned(), statuses, body: body.map(str::to_owned) };
        let answer = tokio::time::timeout(Duration::from_secs(10), ask(&wanted)).await.unwrap();
        let request = server.await.unwrap().to_lowercase();
        assert!(request.starts_with("get /api?x=1 http/1.1\r\nhost: 127.0.0.1:"), "{request}");
        answer
    }

    #[tokio::test]
    async fn only_the_wanted_answer_counts() {
        const DOWN: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{\"version\": \"26.0\"}\r\n\r\n";
        const CHUNKED: &str =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{\"vers\r\n5\r\nion\":\r\n0\r\n\r\n";
        assert_eq!(asked(OK, (200, 299), None).await, Ok(()));
        assert_eq!(asked(OK, (200, 299), Some("\"version\": \"2\\d")).await, Ok(()));
        assert_eq!(asked(CHUNKED, (200, 200), Some("version")).await, Ok(()));
        assert_eq!(asked(OK, (200, 299), Some("27")).await, Err("the body of /api?x=1 does not match 27".to_owned()));
        assert_eq!(asked(OK, (204, 204), None).await, Err("/api?x=1 answers 200".to_owned()));
        assert_eq!(asked(DOWN, (200, 299), None).await, Err("/api?x=1 answers 503".to_owned()));
        assert!(asked("SSH-2.0\r\n", (200, 299), None).await.unwrap_err().contains("no HTTP answer"));
        assert!(asked("", (200, 299), None).await.unwrap_err().contains("no HTTP answer"));
    }
}
