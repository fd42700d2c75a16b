//! What goes back: headers and error pages as Medusa, Supervisor's server, sends them.

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, EXPIRES, HeaderName, HeaderValue,
    LAST_MODIFIED, LOCATION, PRAGMA, REFERRER_POLICY, RETRY_AFTER, SERVER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::auth::CHALLENGE;
use super::follow::FollowBody;

/// A whole answer, or a log as it grows.
pub(super) type Reply = Response<Either<Full<Bytes>, FollowBody>>;

/// What clients of Supervisor 4.3 see as the server's name.
const SERVER_NAME: HeaderValue = HeaderValue::from_static("Medusa/1.12");

/// What a browser may do with our pages: load what we serve, send forms to us, and nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);

/// For browsers that know no policy, and what a policy does not say.
///
/// The referrer policy must not be stricter: with `no-referrer` a browser sends `Origin: null` with our own forms.
const PROTECTIONS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

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
    reply(status, "text/html", Either::Left(Full::new(error_page(status).into())))
}

/// The same, and the connection ends: the rest of the request is not read.
pub(super) fn final_error(status: StatusCode) -> Reply {
    ending(error(status))
}

/// An answer with which the connection ends.
pub(super) fn ending(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}

/// The same for a request that there is no memory for.
pub(super) fn no_memory() -> Reply {
    let mut reply = final_error(StatusCode::SERVICE_UNAVAILABLE);
    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

/// The page that makes a browser ask for name and password.
pub(super) fn unauthorized() -> Reply {
    let mut reply = final_error(StatusCode::UNAUTHORIZED);
    reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    reply
}

/// A page or what its script asks for: asked for anew each time, with the headers that Supervisor sends.
pub(super) fn page(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = reply(status, content_type, Either::Left(Full::new(body.into())));
    do_not_reuse(&mut reply);
    reply.headers_mut().extend(PROTECTIONS);
    reply
}

fn do_not_reuse(reply: &mut Reply) {
    let headers = [
        (PRAGMA, HeaderValue::from_static("no-cache")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT")),
    ];
    reply.headers_mut().extend(headers);
}

/// A file of ours. `modified` is an HTTP date. Browsers ask each time whether it is still the same.
pub(super) fn asset(content_type: &'static str, bytes: &'static [u8], modified: &str) -> Reply {
    let mut reply = reply(StatusCode::OK, content_type, Either::Left(Full::new(Bytes::from_static(bytes))));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply.headers_mut().extend(PROTECTIONS);
    if let Ok(modified) = HeaderValue::from_str(modified) {
        reply.headers_mut().insert(LAST_MODIFIED, modified);
    }
    reply
}

/// The client has the file already.
pub(super) fn not_modified() -> Reply {
    let mut reply = reply(StatusCode::NOT_MODIFIED, "text/html", Either::Left(Full::default()));
    reply.headers_mut().remove(CONTENT_TYPE);
    reply
}

/// What Supervisor answers to an action, and to a folder without its slash.
pub(super) fn moved(location: &str) -> Reply {
    redirection(StatusCode::MOVED_PERMANENTLY, location)
}

/// To be asked for with GET.
pub(super) fn see_other(location: &str) -> Reply {
    redirection(StatusCode::SEE_OTHER, location)
}

fn redirection(status: StatusCode, location: &str) -> Reply {
    let mut reply = error(status);
    do_not_reuse(&mut reply);
    if let Ok(location) = HeaderValue::from_str(location) {
        reply.headers_mut().insert(LOCATION, location);
    }
    reply
}

/// Adds that POST would do.
pub(super) fn allowing_post(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    reply
}

/// A log from its end onwards. `modified` is an HTTP date.
pub(super) fn follow(body: FollowBody, modified: &str) -> Reply {
    let mut reply = reply(StatusCode::OK, "text/plain;charset=utf-8", Either::Right(body));
    // What a program prints is no page, whatever it looks like.
    reply.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(modified) = HeaderValue::from_str(modified) {
        reply.headers_mut().insert(LAST_MODIFIED, modified);
    }
    reply
}

/// The raw answer to a client that has no connection left.
pub(super) fn refusal() -> Vec<u8> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let page = error_page(status);
    format!(
        "HTTP/1.1 503 {}\r\nServer: Medusa/1.12\r\nConnection: close\r\nContent-Type: text/html\r\n\
         Content-Length: {}\r\n\r\n{page}",
        reason(status),
        page.len()
    )
    .into_bytes()
}

fn error_page(status: StatusCode) -> String {
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
