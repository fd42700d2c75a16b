//! The control endpoints of a worker that begins.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::startup::{Listener, Unable, section};
use crate::config::{ServerConfig, UnixServer};
use crate::http::{self, BoundListener, Endpoint, Incoming, SocketFile};
use crate::rpc::Interfaces;

/// Endpoints that answer.
#[derive(Default)]
pub(super) struct Serving {
    /// In the order of the configuration's servers.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) socket_files: Vec<SocketFile>,
    /// Servers whose socket file is put back when somebody deletes it.
    pub(super) watched: Vec<(UnixServer, Option<SocketFile>)>,
}

/// Answers at all of these.
///
/// # Errors
/// A listener cannot be waited for.
pub(super) fn serve(
    listeners: Vec<Listener>,
    requests: &mpsc::Sender<Incoming>,
    interfaces: &Arc<Interfaces>,
) -> Result<Serving, Unable> {
    let mut serving = Serving::default();
    for (listener, server) in listeners {
        if let (BoundListener::Unix(unix), ServerConfig::Unix(server)) = (&listener, &server) {
            serving.socket_files.extend(unix.socket_file());
            serving.watched.push((server.clone(), unix.socket_file()));
        }
        let (control, interfaces) = (requests.clone(), Arc::clone(interfaces));
        let endpoint = http::serve(listener, &server, control, interfaces)
            .map_err(|error| Unable::System { doing: format!("cannot serve {}", section(&server)), error })?;
        serving.endpoints.push(endpoint);
    }
    Ok(serving)
}
