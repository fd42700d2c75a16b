//! One connection from accept to close: hyper does the talking, the phases' deadlines do the waiting.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::limits::{BODY_MAX, FOLLOW_JUNK_MAX, HEADER_MAX};
use super::phase::{Phase, Phases};
use super::service::Service;
use super::stream::{Link, Stream};
use super::tls::Identity;

/// How a talk came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// hyper is done: the client closed, or was told that the connection closes.
    Said,
    /// The client was too slow or silent, or its place is needed: nothing was said that it could miss.
    Cut,
    /// The endpoint asked for an end while nothing of a request had come, and nothing of an answer was left to be sent.
    Unasked,
}

/// Serves requests until the client is done, is too slow, or the endpoint asks for an end; gives the connection if somebody
/// else can go on with it.
pub(super) async fn serve(stream: Stream, service: Service) -> Option<OwnedFd> {
    let stream = Arc::new(stream);
    let phases = Arc::clone(&service.phases);
    match talk(Arc::clone(&stream), Arc::clone(&phases), service).await {
        End::Cut => return None,
        End::Unasked => return Arc::into_inner(stream)?.into_descriptor(),
        End::Said => {}
    }
    // Closing now would reset the connection if the client is still sending, and the answer that says why it should stop
    // would be lost.
    phases.enter(Phase::Ending);
    stream.finish();
    let mut allowance = 2 * BODY_MAX;
    let gone = poll_fn(|cx| stream.poll_gone(cx, &mut allowance));
    // A client that goes on all the same loses the answer.
    drop(timeout(phases.times.linger, gone).await);
    None
}

/// The same behind TLS. Who does not come to terms within the time for a request's headers is closed.
pub(super) async fn serve_tls(socket: TcpStream, identity: Arc<Identity>, service: Service) -> Option<OwnedFd> {
    let phases = Arc::clone(&service.phases);
    let agreed = tokio::select! {
        agreed = timeout(phases.times.header, identity.accept(socket)) => agreed,
        () = phases.end.notified() => return None,
    };
    // Whoever talks nonsense, or trusts nobody we know, is told so by TLS itself.
    let Ok(Ok(stream)) = agreed else { return None };
    phases.enter(Phase::Idle);
    serve(Stream::Tls(stream), service).await
}

async fn talk(stream: Arc<Stream>, phases: Arc<Phases>, service: Service) -> End {
    let link = Link { stream: Arc::clone(&stream), phases: Arc::clone(&phases) };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Ours distinguishes a slow client from a silent one.
        .header_read_timeout(None)
        .max_header_size(HEADER_MAX)
        .max_buf_size(2 * HEADER_MAX)
        .title_case_headers(true)
        .serve_connection(
            link,
            service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.respond(request).await) }
            }),
        );
    let mut end = pin!(phases.end.notified());
    let mut ending = false;
    let mut alarm = pin!(sleep_until(Instant::now()));
    let mut allowance = FOLLOW_JUNK_MAX;
    let ended = poll_fn(|cx| {
        if !ending && end.as_mut().poll(cx).is_ready() {
            ending = true;
            if phases.phase() == Phase::Idle {
                return Poll::Ready(End::Unasked);
            }
            Pin::new(&mut connection).graceful_shutdown();
        }
        if ending && matches!(phases.phase(), Phase::Idle | Phase::Following) {
            return Poll::Ready(End::Cut);
        }
        // An error is the client's: it went away or talked nonsense, which hyper has answered.
        if Pin::new(&mut connection).poll(cx).is_ready() {
            return Poll::Ready(End::Said);
        }
        // While it sends a body hyper does not notice that the client is gone if it has sent more than its request, as
        // Supervisor's does: an empty line.
        if phases.phase() == Phase::Following && stream.poll_gone(cx, &mut allowance).is_ready() {
            return Poll::Ready(End::Cut);
        }
        let Some(deadline) = phases.deadline() else { return Poll::Pending };
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        alarm.as_mut().poll(cx).map(|()| End::Cut)
    })
    .await;
    // What came together with the request before would be lost.
    let has_more = ended == End::Unasked && !connection.into_parts().read_buf.is_empty();
    if has_more { End::Cut } else { ended }
}
