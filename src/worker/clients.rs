//! Clients that are connected and await no answer: an upgrade leaves them to the next worker, on the same connection.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use super::startup::listener_name;
use super::worker::Worker;
use crate::config::ServerConfig;
use crate::keeper::ToKeeper;
use crate::logs::{Level, log};

/// The keeper holds a client's connection under this, a number, and the name of the socket by which it came.
const HELD_PREFIX: &str = "client:";

fn held_name(number: usize, listener: &str) -> String {
    format!("{HELD_PREFIX}{number}:{listener}")
}

/// The name of the socket by which the client under this name came.
fn listener_of(name: &str) -> Option<&str> {
    name.strip_prefix(HELD_PREFIX)?.split_once(':').map(|(_, listener)| listener)
}

/// The connections among what the keeper holds, by name.
pub(super) fn take_from(held: &mut BTreeMap<String, OwnedFd>) -> BTreeMap<String, OwnedFd> {
    let (clients, others) = std::mem::take(held).into_iter().partition(|(name, _)| name.starts_with(HELD_PREFIX));
    *held = others;
    clients
}

impl Worker {
    /// For the worker after this one; each with the name of the socket by which it came.
    pub(super) fn leave_clients(&mut self, clients: Vec<(String, OwnedFd)>) {
        for (number, (listener, connection)) in clients.into_iter().enumerate() {
            let name = held_name(number, &listener);
            if let Err(error) = self.keeper.send(&ToKeeper::Hold { name }, vec![connection]) {
                log(Level::Warn, &format!("a connected client has to connect again: {error}"));
            }
        }
    }

    /// Goes on with those whom the worker before this one left. To be called when this one is ready: until then another
    /// one may have to.
    pub(super) fn welcome_clients(&mut self, clients: BTreeMap<String, OwnedFd>) {
        for (name, connection) in clients {
            let came_by = |server: &ServerConfig| listener_of(&name).is_some_and(|name| name == listener_name(server));
            let place = self.config.servers.iter().position(came_by);
            if let Some(endpoint) = place.and_then(|place| self.endpoints.get(place)) {
                endpoint.welcome(connection);
            }
            // Else the client would not notice when this worker closes it.
            self.tell_keeper(&ToKeeper::Release { name });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_found_again_with_the_socket_by_which_it_came() {
        let descriptor = || OwnedFd::from(std::io::pipe().unwrap().0);
        let listeners = ["listener:unix:/run/a:b.sock", "listener:inet:::1:9001"];
        let names = listeners.iter().enumerate().map(|(number, listener)| held_name(number, listener));
        let mut held: BTreeMap<String, OwnedFd> = names.map(|name| (name, descriptor())).collect();
        held.insert(listeners[0].to_owned(), descriptor());
        let clients = take_from(&mut held);
        let found: Vec<_> = clients.keys().filter_map(|name| listener_of(name)).collect();
        assert_eq!((found.as_slice(), held.len()), (listeners.as_slice(), 1));
        assert_eq!(listener_of(listeners[0]), None);
    }
}
