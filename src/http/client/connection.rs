//! One connection that carries one request and its answer.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::{Full, LengthLimitError};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use super::error::ClientError;

/// One connection for one request; it ends when this is dropped.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Driver,
}

/// The task that reads and writes.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A response, and what keeps its body coming.
pub(super) struct Answering {
    body: Incoming,
    _driver: Driver,
}

impl Body for Answering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

impl Connection {
    pub(super) async fn open<S>(stream: S) -> Result<Connection, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            http1::Builder::new().title_case_headers(true).handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // What goes wrong on the connection is told to the request as well.
        let task = tokio::spawn(async { drop(connection.await) });
        Ok(Connection { sender, driver: Driver(task.abort_handle()) })
    }

    /// Sends the request; the response if its status is 200.
    pub(super) async fn send(mut self, request: Request<Full<Bytes>>) -> Result<Answering, ClientError> {
        let response = self.sender.send_request(request).await.map_err(broken)?;
        match response.status() {
            StatusCode::OK => Ok(Answering { body: response.into_body(), _driver: self.driver }),
            StatusCode::UNAUTHORIZED => Err(ClientError::Unauthorized),
            status => Err(ClientError::Status { code: status.as_u16(), reason: reason(&response) }),
        }
    }
}

/// The words after the status code, as the server sent them.
fn reason(response: &Response<Incoming>) -> String {
    match response.extensions().get::<hyper::ext::ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => response.status().canonical_reason().unwrap_or_default().to_owned(),
    }
}

/// The innermost cause says what happened; hyper's own words say only where.
pub(super) fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> ClientError {
    let error = error.into();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    ClientError::Broken(text)
}

pub(super) fn unread(error: Box<dyn Error + Send + Sync>) -> ClientError {
    if error.is::<LengthLimitError>() { ClientError::AnswerTooLong } else { broken(error) }
}
