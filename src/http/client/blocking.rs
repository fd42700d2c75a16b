//! The client for programs without a runtime of their own.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{Client, ClientError};
use crate::rpc::Value;

/// A [`Client`] whose calls block the thread.
#[derive(Debug)]
pub struct BlockingClient {
    runtime: Runtime,
    client: Client,
}

impl BlockingClient {
    /// Gives the client a runtime on this thread.
    ///
    /// # Errors
    /// When the runtime gets no descriptors.
    pub fn new(client: Client) -> io::Result<BlockingClient> {
        Ok(BlockingClient { runtime: Builder::new_current_thread().enable_all().build()?, client })
    }

    /// The client, for [`BlockingClient::block_on`].
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a future, such as several calls or streams of [`BlockingClient::client`] at once, to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// See [`Client::call`].
    ///
    /// # Errors
    /// As there.
    pub fn call(&self, method: &str, params: &[Value]) -> Result<Value, ClientError> {
        self.block_on(self.client.call(method, params))
    }

    /// See [`Client::call_within`].
    ///
    /// # Errors
    /// As there.
    pub fn call_within(&self, limit: Option<Duration>, method: &str, params: &[Value]) -> Result<Value, ClientError> {
        self.block_on(self.client.call_within(limit, method, params))
    }

    /// See [`Client::follow`].
    ///
    /// # Errors
    /// As there.
    pub fn follow(&self, path: &str, on_bytes: impl FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), ClientError> {
        self.block_on(self.client.follow(path, on_bytes))
    }
}
