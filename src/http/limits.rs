//! What a client may ask of an endpoint: sizes, counts, times.

use std::time::Duration;

/// Connections of one endpoint, at most. One more closes the connection that has been idle longest; if none is idle it
/// is answered 503.
pub const CONNECTIONS_MAX: usize = 64;

/// Connections above [`CONNECTIONS_MAX`] for root and the daemon's own user on a unix socket, so that an administrator
/// gets in however many clients hang.
pub const CONNECTIONS_RESERVED: usize = 8;

/// Connections of one endpoint while there is no memory; one more closes an idle one, or is answered 503.
pub const CONNECTIONS_SHORT_MAX: usize = 8;

/// A request's body may take so many times its bytes when it is read: whether there is memory for that is asked before.
pub const BODY_READ_FACTOR: usize = 32;

/// Connections of clients whose account is not served at all; one more is closed without an answer.
pub const STRANGERS_MAX: usize = 8;

/// Audit lines about refusals of one endpoint in a [`REFUSALS_WINDOW`]; more are counted, and their number told later.
pub const REFUSALS_TOLD_MAX: usize = 20;

/// See [`REFUSALS_TOLD_MAX`].
pub const REFUSALS_WINDOW: Duration = Duration::from_secs(60);

/// Bytes of request line and headers together; above: 431.
pub const HEADER_MAX: usize = 64 * 1024;

/// Bytes of a request's body; above: 413 before any of it is read.
pub const BODY_MAX: usize = 1024 * 1024;

/// Bytes of a form's body; above: 413. Ours have a token and a filter.
pub const FORM_MAX: usize = 64 * 1024;

/// Restarts from the status page of one endpoint that are under way; above: 503. They go on without their clients, so
/// connections do not bound their number.
pub const RESTARTS_MAX: usize = CONNECTIONS_MAX;

/// From a request's first byte to the end of its headers; above, the connection is closed.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// For the whole body; above: 408.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Without a request, before the first as well as between two; above, the connection is closed.
///
/// Long, because Supervisor's own transport keeps its connection and does not connect again: event listeners and the
/// interactive prompt call on the same connection after minutes. Source: supervisor 4.3, medusa, `zombie_timeout`.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Without the client taking a byte of an answer; above, the connection is closed. Not for streams: a paused `tail -f`
/// is in order.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// So long an endpoint that closes waits for the first byte of those whom it has just let in.
pub const FIRST_REQUEST_WAIT: Duration = Duration::from_millis(50);

/// After an answer that ends the connection, for the client to stop sending, so that it gets to read the answer.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes a client may send while it follows a log, before the stream is ended; they are thrown away.
pub const FOLLOW_JUNK_MAX: usize = 64 * 1024;

/// Bytes of the log's end with which a stream begins. Source: supervisor 4.3, http.py.
pub const FOLLOW_HEAD: u64 = 1024;

/// Bytes of a log read at once, and held for a client that is slow.
pub const FOLLOW_CHUNK_MAX: usize = 64 * 1024;

/// Between two looks at a followed log that is written to all the time.
pub const FOLLOW_PAUSE: Duration = Duration::from_millis(20);

/// Between two looks at a followed log when the kernel does not report every write.
pub const FOLLOW_RECHECK: Duration = Duration::from_millis(500);

/// After a failure to accept (no descriptors left, no memory), before the next try.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Handshakes of one endpoint under way at the same time; one more ends the one that has gone on longest.
pub const HANDSHAKES_MAX: usize = 16;

/// Handshakes that one endpoint begins in a [`HANDSHAKES_WINDOW`], as each takes up to a millisecond of the daemon's only
/// thread; more wait until it is over.
pub const HANDSHAKES_BEGUN_MAX: usize = 50;

/// See [`HANDSHAKES_BEGUN_MAX`].
pub const HANDSHAKES_WINDOW: Duration = Duration::from_secs(1);

/// So old what was read of a certificate may be when somebody connects; it is then read again for those who come later.
pub const CERTIFICATE_REFRESH: Duration = Duration::from_secs(60);

/// Connections the kernel may hold for us. Source: supervisor 4.3, http.py.
pub const BACKLOG: i32 = 1024;

/// The times among the limits, so that a test need not wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    pub header: Duration,
    pub body: Duration,
    pub idle: Duration,
    pub write: Duration,
    pub linger: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            header: HEADER_TIMEOUT,
            body: BODY_TIMEOUT,
            idle: IDLE_TIMEOUT,
            write: WRITE_TIMEOUT,
            linger: LINGER_TIMEOUT,
        }
    }
}
