//! Serves the status page: asks the control loop for what the `web` room shows, and performs its actions as the methods
//! that clients call.

use std::sync::Arc;

use hyper::header::{ACCEPT, ACCEPT_LANGUAGE, HOST, HeaderName, IF_MODIFIED_SINCE, ORIGIN, REFERER};
use hyper::{HeaderMap, Method as Verb, Request, StatusCode};
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use tokio::sync::Semaphore;

use super::admission::Role;
use super::incoming::Answer;
use super::limits::{FORM_MAX, RESTARTS_MAX};
use super::reply::{self, Reply};
use super::service::{Service, Visitor, http_date};
use crate::config::PageConfig;
use crate::rpc::{Fault, Method, Value};
use crate::sys::{clock, random};
use crate::web::{
    Action, ActionStyle, Asset, Claims, Form, Gate, Notice, Snapshot, StatusView, TailRequest, Tokens, live_json,
    notice_page, outcome_json, percent_quoted, status_page, tail_page,
};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const HTML: &str = "text/html;charset=utf-8";
const JSON: &str = "application/json";

/// What all requests to the pages of one endpoint share.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) gate: Gate,
    tokens: Tokens,
    get_actions: bool,
    /// When the assets were last changed, as far as clients can know: when this endpoint was opened.
    since: i64,
    /// Restarts that go on without their clients hold one each.
    restarts: Arc<Semaphore>,
}

/// One of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Index,
    Tail,
    Ok,
    /// For the script of the status page.
    Live,
}

impl Site {
    /// # Errors
    /// When the kernel gives no random bytes.
    pub(super) fn open(page: &PageConfig, has_password: bool) -> std::io::Result<Site> {
        let (_, since) = clock::now();
        let gate = Gate::new(&page.allowed_hosts, has_password);
        let (tokens, restarts) = (Tokens::new(random::bytes()?), Arc::new(Semaphore::new(RESTARTS_MAX)));
        Ok(Site { gate, tokens, get_actions: page.get_actions, since, restarts })
    }
}

/// What the request says about the page it was sent by.
pub(super) fn claims(headers: &HeaderMap) -> Claims<'_> {
    // A header that is no text, or that is there twice, is as good as one that names nobody.
    let text = |name: HeaderName| {
        let mut values = headers.get_all(name).into_iter();
        let first = values.next()?;
        Some(if values.next().is_some() { "" } else { first.to_str().unwrap_or_default() })
    };
    Claims {
        host: text(HOST),
        origin: text(ORIGIN),
        referer: text(REFERER),
        fetch_site: text(FETCH_SITE),
        language: text(ACCEPT_LANGUAGE),
    }
}

/// The parts of a request to a page.
struct Ask {
    verb: Verb,
    headers: HeaderMap,
    form: Form,
    visitor: Visitor,
}

impl Service {
    /// Answers GET, HEAD and POST of a page.
    pub(super) async fn page(&self, page: Page, request: Request<hyper::body::Incoming>, visitor: Visitor) -> Reply {
        if page != Page::Ok && !self.site.gate.admits_host(&claims(request.headers())) {
            return html(StatusCode::FORBIDDEN, notice_page(&Notice::ForeignHost));
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        let (verb, headers) = (request.method().clone(), request.headers().clone());
        let body = if verb == Verb::POST {
            match self.body(request, FORM_MAX).await {
                Ok(body) => body,
                Err(reply) => return reply,
            }
        } else {
            Vec::new()
        };
        let ask = Ask { verb, headers, form: Form::parse(&query, &body), visitor };
        match page {
            Page::Ok => reply::page(StatusCode::OK, "text/plain", "OK"),
            Page::Tail => self.tail(&ask).await,
            Page::Index => self.index(&ask).await,
            Page::Live => match self.snapshot(&ask).await {
                Ok(snapshot) => reply::page(StatusCode::OK, JSON, live_json(&snapshot, &self.token(&ask))),
                Err(reply) => reply,
            },
        }
    }

    /// A file beside the pages.
    pub(super) fn asset(&self, asset: &'static Asset, headers: &HeaderMap) -> Reply {
        let modified = http_date(self.site.since);
        let seen = headers.get(IF_MODIFIED_SINCE).and_then(|since| since.to_str().ok()).and_then(seconds_of);
        if seen.is_some_and(|seen| seen >= self.site.since) {
            return reply::not_modified();
        }
        reply::asset(asset.content_type, asset.bytes, &modified)
    }

    async fn index(&self, ask: &Ask) -> Reply {
        match Action::of(&ask.form) {
            Err(_) => reply::error(StatusCode::INTERNAL_SERVER_ERROR),
            Ok(Some(action)) => self.act(&action, ask).await,
            Ok(None) => {
                let snapshot = match self.snapshot(ask).await {
                    Ok(snapshot) => snapshot,
                    Err(reply) => return reply,
                };
                let view = StatusView {
                    message: ask.form.get("message"),
                    filter: ask.form.get("filter").unwrap_or_default(),
                    token: &self.token(ask),
                    style: if self.site.get_actions { ActionStyle::Links } else { ActionStyle::Buttons },
                };
                html(StatusCode::OK, status_page(&snapshot, &view))
            }
        }
    }

    async fn act(&self, action: &Action, ask: &Ask) -> Reply {
        let (now, _) = clock::now();
        let has_token = self.site.tokens.accepts(ask.form.get("token"), now, ask.visitor.user.as_deref());
        let is_form = ask.verb == Verb::POST && has_token;
        if *action != Action::Refresh {
            if !self.site.gate.admits_origin(&claims(&ask.headers)) {
                return html(StatusCode::FORBIDDEN, notice_page(&Notice::ForeignPage));
            }
            let token = &self.token(ask);
            if ask.verb == Verb::HEAD || (ask.verb == Verb::GET && !self.site.get_actions) {
                let page = notice_page(&Notice::NotByLink { action, token });
                return reply::allowing_post(html(StatusCode::METHOD_NOT_ALLOWED, page));
            }
            if !is_form && !self.site.get_actions {
                return html(StatusCode::FORBIDDEN, notice_page(&Notice::NoToken { action, token }));
            }
        }
        let calls = action.calls();
        if ask.visitor.role < Role::Admin && !calls.iter().all(Method::only_looks) {
            self.refusals
                .tell(format_args!("the action {}", action.label()), self.peer.as_user(ask.visitor.user.clone()));
            return html(StatusCode::FORBIDDEN, notice_page(&Notice::OnlyLooking));
        }
        let Some(answers) = self.perform(calls, ask.visitor.clone()).await else {
            return reply::error(StatusCode::SERVICE_UNAVAILABLE);
        };
        let outcome = action.outcome(&answers, &ctime());
        let wants_json = ask.headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes() == JSON.as_bytes());
        if wants_json {
            return reply::page(StatusCode::OK, JSON, outcome_json(&outcome));
        }
        let filter = ask.form.get("filter").map(|filter| format!("&filter={}", percent_quoted(filter)));
        let place = format!("?message={}{}", percent_quoted(&outcome.text), filter.unwrap_or_default());
        if is_form || !self.site.get_actions {
            // Relative: behind a proxy the page has another scheme, name or folder. Refreshing is a link that needs no token.
            reply::see_other(&format!("./{place}"))
        } else {
            reply::moved(&format!("http://{}/{place}", host(&ask.headers)))
        }
    }

    /// The answers to the calls of one action; `None` if too many restarts are under way.
    ///
    /// Differs: what is stopped to be started again is started although the browser has left meanwhile. A closed tab must
    /// not leave a server down.
    async fn perform(&self, calls: Vec<Method>, visitor: Visitor) -> Option<Vec<Answer>> {
        let caller = self.caller(visitor);
        if calls.len() < 2 {
            return Some(caller.ask_all(calls).await);
        }
        let permit = Arc::clone(&self.site.restarts).try_acquire_owned().ok()?;
        let task = tokio::spawn(async move {
            let answers = caller.ask_all(calls).await;
            drop(permit);
            answers
        });
        // It ends early only with the runtime, and then nobody waits here.
        task.await.ok()
    }

    async fn tail(&self, ask: &Ask) -> Reply {
        let request = TailRequest::of(&ask.form);
        let log = match &request.process {
            None => None,
            Some(name) => {
                let (name, output) = (name.clone(), request.output);
                let method = Method::ReadProcessLog { name, output, offset: -request.limit, length: 0 };
                Some(self.caller(ask.visitor.clone()).ask(method).await)
            }
        };
        html(StatusCode::OK, tail_page(&request, log.as_ref()))
    }

    /// All processes; 503 while the daemon is shutting down.
    async fn snapshot(&self, ask: &Ask) -> Result<Snapshot, Reply> {
        let caller = self.caller(ask.visitor.clone());
        let ask_both = async || -> Result<(Value, Value), Fault> {
            Ok((caller.ask(Method::GetAllProcessInfo).await?, caller.ask(Method::GetIdentification).await?))
        };
        match ask_both().await {
            Ok((processes, identification)) => Ok(Snapshot::new(&processes, &identification)),
            Err(_) => Err(reply::error(StatusCode::SERVICE_UNAVAILABLE)),
        }
    }

    fn token(&self, ask: &Ask) -> String {
        let (now, _) = clock::now();
        self.site.tokens.issue(now, ask.visitor.user.as_deref())
    }
}

/// The URL of a folder without its final slash, with it.
pub(super) fn folder(path: &str, headers: &HeaderMap) -> Reply {
    reply::moved(&format!("http://{}/{path}/", host(headers)))
}

fn html(status: StatusCode, page: String) -> Reply {
    reply::page(status, HTML, page)
}

/// The name that the client used; what it cannot have used is not repeated.
fn host(headers: &HeaderMap) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::trim).unwrap_or_default();
    if host.is_empty() || !host.bytes().all(is_plain) { "localhost" } else { host.strip_suffix(":80").unwrap_or(host) }
}

/// The local time as C's `ctime` writes it: `Sun Nov 22 07:09:05 2026`.
fn ctime() -> String {
    let (_, wall) = clock::now();
    let zoned = Timestamp::from_second(wall).unwrap_or_default().to_zoned(TimeZone::system());
    strtime::format("%a %b %e %H:%M:%S %Y", &zoned).unwrap_or_default()
}

/// Seconds since 1970 of an HTTP date; `; length=N` behind it is passed over.
fn seconds_of(date: &str) -> Option<i64> {
    let date = date.split(';').next()?.trim();
    let parsed = strtime::parse("%a, %d %b %Y %H:%M:%S GMT", date).ok()?;
    Some(parsed.to_datetime().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_understood() {
        assert_eq!(seconds_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds_of("Sun, 06 Nov 1994 08:49:37 GMT; length=12"), Some(784_111_777));
        for wrong in ["", "yesterday", "Sun, 06 Nov 1994"] {
            assert_eq!(seconds_of(wrong), None, "{wrong}");
        }
        assert_eq!(seconds_of(&http_date(1_000_000_000)), Some(1_000_000_000));
    }

    #[test]
    fn only_a_plain_name_is_repeated_in_a_redirection() {
        for (given, told) in [
            ("localhost:9001", "localhost:9001"),
            ("[::1]:9001", "[::1]:9001"),
            ("x:80", "x"),
            ("evil.example/path?", "localhost"),
            ("a b", "localhost"),
            ("", "localhost"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, given.parse().unwrap());
            assert_eq!(host(&headers), told);
        }
    }
}
