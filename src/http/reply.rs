//! What goes back: headers and error pages as Medusa, Supervisor's server, sends them.

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, LAST_MODIFIED, SERVER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use super::auth::CHALLENGE;
use super::follow::FollowBody;

/// A whole answer, or a log as it grows.
pub(super) type Reply = Response<Either<Full<Bytes>, FollowBody>>;

/// What clients of Supervisor 4.3 see as the server's name.
const SERVER_NAME: HeaderValue = HeaderValue::from_static("Medusa/1.12");

fn reply(status: StatusCode, content_type: &'static str, body: Either<Full<Bytes>, FollowBody>) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(SERVER, SERVER_NAME);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(reason) = medusas_reason(status) {
        reply.extensions_mut().insert(ReasonPhrase::from_static(reason.as_bytes()));
    }
    reply
}

/// The answer to a method call, fault or not.
pub(super) fn xml(body: Vec<u8>) -> Reply {
    reply(StatusCode::OK, "text/xml", Either::Left(Full::new(body.into())))
}

/// A page that says no.
pub(super) fn error(status: StatusCode) -> Reply {
    reply(status, "text/html", Either::Left(Full::new(page(status).into())))
}

/// The same, and the connection ends: the rest of the request is not read.
pub(super) fn final_error(status: StatusCode) -> Reply {
    let mut reply = error(status);
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}

/// The page that makes a browser ask for name and password.
pub(super) fn unauthorized() -> Reply {
    let mut reply = final_error(StatusCode::UNAUTHORIZED);
    reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    reply
}

/// A log from its end onwards. `modified` is an HTTP date.
pub(super) fn follow(body: FollowBody, modified: &str) -> Reply {
    let mut reply = reply(StatusCode::OK, "text/plain;charset=utf-8", Either::Right(body));
    if let Ok(modified) = HeaderValue::from_str(modified) {
        reply.headers_mut().insert(LAST_MODIFIED, modified);
    }
    reply
}

/// The raw answer to a client that has no connection left.
pub(super) fn refusal() -> Vec<u8> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let page = page(status);
    format!(
        "HTTP/1.1 503 {}\r\nServer: Medusa/1.12\r\nConnection: close\r\nContent-Type: text/html\r\n\
         Content-Length: {}\r\n\r\n{page}",
        reason(status),
        page.len()
    )
    .into_bytes()
}

fn page(status: StatusCode) -> String {
    [
        "<head>".to_owned(),
        "<title>Error response</title>".to_owned(),
        "</head>".to_owned(),
        "<body>".to_owned(),
        "<h1>Error response</h1>".to_owned(),
        format!("<p>Error code {}.", status.as_u16()),
        format!("<p>Message: {}.", reason(status)),
        "</body>".to_owned(),
        String::new(),
    ]
    .join("\r\n")
}

fn reason(status: StatusCode) -> &'static str {
    medusas_reason(status).or(status.canonical_reason()).unwrap_or("Unknown")
}

/// Where Medusa's words are not today's.
fn medusas_reason(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::REQUEST_TIMEOUT => Some("Request Time-out"),
        StatusCode::PAYLOAD_TOO_LARGE => Some("Request Entity Too Large"),
        _ => None,
    }
}
