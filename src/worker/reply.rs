//! Answers on their way to clients.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::http::Answer;
use crate::logs::Activity;

/// How long an answer waits for the activity log; a disk that is slower delays nobody.
const LOG_PATIENCE: Duration = Duration::from_millis(100);

/// Where one answer goes. What was logged before it can be read when the client has it, as with Supervisor.
#[derive(Debug)]
pub(super) struct Reply {
    client: oneshot::Sender<Answer>,
    activity: Arc<Activity>,
    runtime: Handle,
}

impl Reply {
    /// To be called in the loop; sent it may be from anywhere.
    pub(super) fn new(client: oneshot::Sender<Answer>, activity: Arc<Activity>) -> Reply {
        Reply { client, activity, runtime: Handle::current() }
    }

    /// Whether the client went away.
    pub(super) fn is_unwanted(&self) -> bool {
        self.client.is_closed()
    }

    /// Sends the answer, from any thread. A client that went away needs none.
    pub(super) fn send(self, answer: Answer) {
        let Reply { client, activity, runtime } = self;
        match activity.written() {
            None => drop(client.send(answer)),
            Some(written) => drop(runtime.spawn(async move {
                let _ = tokio::time::timeout(LOG_PATIENCE, written).await;
                let _ = client.send(answer);
            })),
        }
    }
}
