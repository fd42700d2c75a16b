//! The real daemon, over HTTP.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::daemon::{Call, CallError, Daemon, Follower};
use crate::cli::supervisorctl::DEFAULT_TIMEOUT;
use crate::config::CtlConfig;
use crate::http::client::{BlockingClient, Client, ClientError, Credentials};
use crate::rpc::Value;

/// A call that takes longer leaves time for other things, and so does each further time of this length.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many calls are made at the same time.
const TOGETHER_MAX: usize = 16;

/// Where the daemon is and who asks. Every call has a connection of its own.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    serverurl: String,
    username: Option<String>,
    password: Option<String>,
    ca_file: Option<PathBuf>,
    /// `--timeout`: holds for every call.
    timeout: Option<Duration>,
}

impl Connection {
    /// `timeout` is what was asked for explicitly.
    #[must_use]
    pub(super) fn new(config: &CtlConfig, timeout: Option<Duration>) -> Self {
        Self {
            serverurl: config.serverurl.clone(),
            username: config.username.clone(),
            password: config.password.clone(),
            ca_file: config.ca_file.clone(),
            timeout,
        }
    }

    fn client(&self) -> Result<Client, CallError> {
        // As for Supervisor, half a login is none.
        let credentials = self.username.clone().zip(self.password.clone());
        let credentials = credentials.map(|(username, password)| Credentials { username, password });
        let client = Client::new(&self.serverurl, credentials, Some(self.timeout.unwrap_or(DEFAULT_TIMEOUT)))?;
        Ok(client.trusting(self.ca_file.clone()))
    }

    fn blocking(&self) -> Result<BlockingClient, CallError> {
        BlockingClient::new(self.client()?).map_err(|error| CallError::Io(error.to_string()))
    }

    /// Calls that wait for processes take as long as these need, unless a limit was asked for: an `upcheck` before them has
    /// shown that the daemon answers.
    fn limit(&self, method: &str) -> Option<Duration> {
        let waits = ["supervisor.start", "supervisor.stop", "galaxyd.update", "galaxyd.stop", "galaxyd.wait"]
            .iter()
            .any(|start| method.starts_with(start));
        if waits { self.timeout } else { Some(self.timeout.unwrap_or(DEFAULT_TIMEOUT)) }
    }
}

impl Daemon for Connection {
    fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        Ok(self.blocking()?.call_within(self.limit(method), method, params)?)
    }

    fn call_together(&mut self, calls: &[Call]) -> Vec<Result<Value, CallError>> {
        let client = match self.blocking() {
            Ok(client) => client,
            Err(error) => return calls.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut answers = Vec::with_capacity(calls.len());
        for some in calls.chunks(TOGETHER_MAX) {
            answers.extend(client.block_on(async {
                let start = |(method, params): &Call| {
                    let (client, limit) = (client.client().clone(), self.limit(method));
                    let (method, params) = (method.clone(), params.clone());
                    tokio::spawn(async move { client.call_within(limit, &method, &params).await })
                };
                let under_way: Vec<_> = some.iter().map(start).collect();
                let mut done = Vec::with_capacity(under_way.len());
                for call in under_way {
                    done.push(match call.await {
                        Ok(answer) => answer.map_err(CallError::from),
                        Err(error) => Err(CallError::Io(error.to_string())),
                    });
                }
                done
            }));
        }
        answers
    }

    fn call_patiently(
        &mut self,
        calls: &[Call],
        meanwhile: &mut dyn FnMut(&mut dyn Daemon),
    ) -> Vec<Result<Value, CallError>> {
        let (sender, answers) = mpsc::channel();
        let (mut other, own) = (self.clone(), calls.to_vec());
        let asking = thread::Builder::new().spawn(move || {
            // Nobody waits any more only where this process ends.
            let _ = sender.send(other.call_together(&own));
        });
        if asking.is_err() {
            return self.call_together(calls);
        }
        loop {
            match answers.recv_timeout(PATIENCE) {
                Ok(answers) => return answers,
                Err(RecvTimeoutError::Timeout) => meanwhile(self),
                Err(RecvTimeoutError::Disconnected) => {
                    let lost = CallError::Io("the answer was lost".to_owned());
                    return calls.iter().map(|_| Err(lost.clone())).collect();
                }
            }
        }
    }

    fn another(&self) -> Box<dyn Daemon> {
        Box::new(self.clone())
    }

    fn follower(&self) -> Box<dyn Follower> {
        Box::new(self.clone())
    }

    fn turn_to(&mut self, url: &str) {
        url.clone_into(&mut self.serverurl);
    }

    fn log_in(&mut self, username: String, password: String) {
        (self.username, self.password) = (Some(username), Some(password));
    }
}

impl Follower for Connection {
    fn follow(
        self: Box<Self>,
        path: &str,
        on_bytes: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), CallError> {
        Ok(self.blocking()?.follow(path, on_bytes)?)
    }
}

impl From<ClientError> for CallError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::UnknownProtocol(url) => CallError::UnknownProtocol(url),
            ClientError::Refused => CallError::Refused,
            ClientError::NoSuchFile => CallError::NoSuchFile,
            ClientError::PermissionDenied => CallError::PermissionDenied,
            ClientError::ConnectTimeout(_) | ClientError::Timeout(_) => CallError::TimedOut,
            ClientError::Unauthorized => CallError::Unauthorized,
            ClientError::Status { code, reason } => CallError::Status { code, reason },
            ClientError::Fault(fault) => CallError::Fault(fault),
            error @ (ClientError::Connect(_) | ClientError::Tls(_) | ClientError::Broken(_)) => {
                CallError::Io(error.to_string())
            }
            error @ (ClientError::BadAnswer(_) | ClientError::AnswerTooLong) => CallError::BadAnswer(error.to_string()),
        }
    }
}
