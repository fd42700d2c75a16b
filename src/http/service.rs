//! One request: who asks, what for, and the answer.

use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::{Method as Verb, Request, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::admission::{Admission, Role};
use super::follow::follow;
use super::incoming::{Answer, Incoming, NO_MEMORY, Peer};
use super::limits::{BODY_MAX, BODY_READ_FACTOR};
use super::pages::{self, Site};
use super::phase::{Phase, Phases};
use super::refusals::Refusals;
use super::reply::{self, Reply};
use super::route::Route;
use crate::engine::Channel;
use crate::rpc::{self, Call, CallError, Dispatch, Fault, FaultCode, Interfaces, Method};
use crate::sys::heap;

/// Bytes of an unreadable request that the log looks at.
const LOGGED_MAX: usize = 200;

/// An answer of more bytes was made of so many small values that what they took is worth giving back.
const LARGE_BYTES: usize = 256 * 1024;

/// Bodies of so many bytes are read without asking for memory first.
const SMALL_BYTES: usize = 16 * 1024;

/// Tells nginx not to hold back a stream.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What all requests of a connection share.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) admission: Arc<Admission>,
    pub(super) refusals: Arc<Refusals>,
    /// What the client's account allows; its credentials may allow less.
    pub(super) role: Role,
    pub(super) control: mpsc::Sender<Incoming>,
    /// The methods there are.
    pub(super) interfaces: Arc<Interfaces>,
    /// Without the user: he may be another one with each request.
    pub(super) peer: Peer,
    pub(super) phases: Arc<Phases>,
    pub(super) site: Arc<Site>,
}

impl Service {
    /// Answers one request. Never fails: what goes wrong is a status.
    pub(super) async fn respond(self, request: Request<hyper::body::Incoming>) -> Reply {
        self.phases.enter(Phase::Working);
        let head = *request.method() == Verb::HEAD;
        let reply = self.route(request).await;
        let streams = matches!(reply.body(), http_body_util::Either::Right(_)) && !head;
        self.phases.enter(if streams { Phase::Following } else { Phase::Writing });
        reply
    }

    async fn route(&self, request: Request<hyper::body::Incoming>) -> Reply {
        if self.role == Role::Stranger {
            return reply::final_error(StatusCode::FORBIDDEN);
        }
        let credentials = request.headers().get(AUTHORIZATION);
        let Some((user, role)) = self.admission.user_of(credentials) else {
            // Browsers ask without any at first.
            if credentials.is_some() {
                self.refusals.tell("wrong credentials", &self.peer);
            }
            return reply::unauthorized();
        };
        let visitor = Visitor { user, role: role.min(self.role) };
        let verb = request.method();
        let reads = *verb == Verb::GET || *verb == Verb::HEAD;
        let route = Route::of(request.uri().path());
        if heap::is_short() {
            return self.refuse_for_memory(&route).await;
        }
        match route {
            Route::Rpc if *verb == Verb::POST => {
                if !self.site.gate.admits_call(&pages::claims(request.headers())) {
                    return reply::final_error(StatusCode::FORBIDDEN);
                }
                self.rpc(request, visitor).await
            }
            Route::Page(page) if reads || *verb == Verb::POST => self.page(page, request, visitor).await,
            Route::Asset(asset) if reads => self.asset(asset, request.headers()),
            Route::Folder(path) if reads => pages::folder(&path, request.headers()),
            Route::LogTail { .. } | Route::MainLogTail
                if *verb == Verb::GET && !self.site.gate.admits_reader(&pages::claims(request.headers())) =>
            {
                reply::error(StatusCode::FORBIDDEN)
            }
            Route::LogTail { name, channel } if *verb == Verb::GET => {
                let mut reply = self.follow(Some((name, channel))).await;
                if reply.status().is_success() {
                    reply.headers_mut().insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
                }
                reply
            }
            Route::MainLogTail if *verb == Verb::GET => self.follow(None).await,
            Route::Nothing if reads => reply::error(StatusCode::NOT_FOUND),
            Route::Rpc
            | Route::LogTail { .. }
            | Route::MainLogTail
            | Route::Page(_)
            | Route::Asset(_)
            | Route::Folder(_)
            | Route::Nothing => reply::error(StatusCode::BAD_REQUEST),
        }
    }

    async fn rpc(&self, request: Request<hyper::body::Incoming>, visitor: Visitor) -> Reply {
        let body = match self.body(request, BODY_MAX).await {
            Ok(body) => body,
            Err(reply) => return reply,
        };
        if body.len() > SMALL_BYTES && !heap::has_room(body.len() * BODY_READ_FACTOR) {
            return self.refuse_for_memory(&Route::Rpc).await;
        }
        match rpc::parse_call(&body) {
            Ok(call) => {
                let answer = self.caller(visitor).answer(call).await;
                let text = rpc::write_response(&answer);
                drop(answer);
                if text.len() > LARGE_BYTES {
                    heap::give_back();
                }
                reply::xml(text)
            }
            Err(error) => {
                log_unreadable(&body, &error);
                reply::error(StatusCode::BAD_REQUEST)
            }
        }
    }

    /// Begins nothing, and has the loop find out that there is no memory.
    async fn refuse_for_memory(&self, route: &Route) -> Reply {
        // Without it the daemon ends.
        let _ = self.control.send(Incoming::Refused).await;
        if *route == Route::Rpc {
            // In the words of the protocol: its clients show a fault, and of a status only the number.
            let fault = Fault::with(FaultCode::Failed, NO_MEMORY);
            reply::ending(reply::xml(rpc::write_response(&Err(fault))))
        } else {
            reply::no_memory()
        }
    }

    /// The whole body, if it has a length of at most `max` bytes and comes in time; else what to answer.
    pub(super) async fn body(&self, request: Request<hyper::body::Incoming>, max: usize) -> Result<Vec<u8>, Reply> {
        let Some(length) = request.headers().get(CONTENT_LENGTH) else {
            return Err(reply::final_error(StatusCode::LENGTH_REQUIRED));
        };
        // hyper has refused what is no number.
        let length: Option<usize> = length.to_str().ok().and_then(|length| length.parse().ok());
        if length.is_none_or(|length| length > max) {
            return Err(reply::final_error(StatusCode::PAYLOAD_TOO_LARGE));
        }
        match timeout(self.phases.times.body, whole(Limited::new(request.into_body(), max))).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(Broken::Memory)) => Err(reply::no_memory()),
            Ok(Err(Broken::Body)) => Err(reply::final_error(StatusCode::BAD_REQUEST)),
            Err(_) => Err(reply::final_error(StatusCode::REQUEST_TIMEOUT)),
        }
    }

    pub(super) fn caller(&self, visitor: Visitor) -> Caller {
        let Visitor { user, role } = visitor;
        let (control, interfaces) = (self.control.clone(), Arc::clone(&self.interfaces));
        let refusals = Arc::clone(&self.refusals);
        Caller { control, interfaces, peer: self.peer.as_user(user), role, refusals }
    }

    async fn follow(&self, process: Option<(String, Channel)>) -> Reply {
        let (reply, file) = oneshot::channel();
        if self.control.send(Incoming::Follow { process, reply }).await.is_err() {
            return reply::error(StatusCode::SERVICE_UNAVAILABLE);
        }
        let Ok(Some(file)) = file.await else { return reply::error(StatusCode::NOT_FOUND) };
        match follow(file, Arc::clone(&self.phases)).await {
            Ok((body, modified)) => reply::follow(body, &http_date(modified)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => reply::error(StatusCode::NOT_FOUND),
            Err(error) => {
                tracing::error!("a log cannot be followed: {error}");
                reply::error(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// Why a body is not to be had.
enum Broken {
    /// The client's doing: cut short, too long, damaged.
    Body,
    Memory,
}

/// All of a body, piece by piece: while there is no memory nobody fills the reserve with one.
async fn whole(mut body: Limited<hyper::body::Incoming>) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Broken::Body)?.into_data() else { continue };
        if heap::is_short() || bytes.try_reserve(data.len()).is_err() {
            return Err(Broken::Memory);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Who makes one request.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// The authenticated name, if any.
    pub(super) user: Option<String>,
    pub(super) role: Role,
}

/// Makes the method calls of one request.
pub(super) struct Caller {
    control: mpsc::Sender<Incoming>,
    interfaces: Arc<Interfaces>,
    peer: Peer,
    role: Role,
    refusals: Arc<Refusals>,
}

impl Caller {
    async fn answer(&self, call: Call) -> Answer {
        let Call { method, params } = call;
        if method == rpc::MULTICALL {
            rpc::multicall(&params, self).await
        } else {
            self.dispatch(&method, &params).await
        }
    }

    /// Hands the call to the control loop and waits for its answer; a client that goes away ends the wait, which the
    /// loop sees by the closed reply.
    /// Whoever may only look is refused here, by whatever way he asks, what does more.
    pub(super) async fn ask(&self, method: Method) -> Answer {
        if self.role < Role::Admin && !method.only_looks() {
            let call = format!("{} {}", method.name(), method.argument());
            self.refusals.tell(call.trim_end(), &self.peer);
            let detail = format_args!("{} is not for who may only look ({})", method.name(), self.peer);
            return Err(Fault::with(FaultCode::Failed, detail));
        }
        let (reply, answer) = oneshot::channel();
        let call = Incoming::Call { peer: self.peer.clone(), method, reply };
        if self.control.send(call).await.is_err() {
            return Err(Fault::new(FaultCode::ShutdownState));
        }
        answer.await.unwrap_or_else(|_| Err(Fault::with(FaultCode::Failed, "the daemon gave no answer")))
    }

    /// One after the other.
    pub(super) async fn ask_all(&self, methods: Vec<Method>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(methods.len());
        for method in methods {
            answers.push(self.ask(method).await);
        }
        answers
    }
}

impl Dispatch for Caller {
    async fn dispatch(&self, name: &str, params: &[rpc::Value]) -> Answer {
        let shown = rpc::printable(name);
        tracing::trace!("XML-RPC method called: {shown}()");
        let answer = match self.interfaces.introspect(name, params) {
            Some(answer) => answer,
            None => match self.interfaces.method(name, params) {
                Ok(method) => self.ask(method).await,
                Err(fault) => Err(fault),
            },
        };
        match &answer {
            Ok(_) => tracing::trace!("XML-RPC method {shown}() returned successfully"),
            Err(fault) => {
                let text = rpc::printable(&fault.text);
                tracing::trace!("XML-RPC method {shown}() returned fault: [{}] {text}", fault.code);
            }
        }
        answer
    }
}

/// Seconds since 1970 as HTTP writes them.
pub(super) fn http_date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map(|time| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}

fn log_unreadable(body: &[u8], error: &CallError) {
    let shown = rpc::printable(&String::from_utf8_lossy(body.get(..LOGGED_MAX).unwrap_or(body)));
    match error {
        CallError::NoMethodName => tracing::error!("XML-RPC request data '{shown}' is invalid: no method name"),
        CallError::Xml(why) => {
            let why = rpc::printable(&why.to_string());
            tracing::error!("XML-RPC request data '{shown}' is invalid: unmarshallable ({why})");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
