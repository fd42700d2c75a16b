//! Sockets that the service manager passed to the launcher: those that it opened itself (socket activation), and those that
//! a former daemon gave it to keep (its descriptor store), by which nobody is refused across a crash.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::launch::LaunchRecord;
use super::program_sockets::{HELD_PREFIX, sockets_of};
use super::startup::listener_name;
use crate::config::{GroupConfig, LogLevelName, ServerConfig};
use crate::http;
use crate::sys::descriptors;
use crate::sys::notify::{self, ServiceManager};

/// What was passed and not taken yet.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Opened by the service manager, by [`listener_name`].
    opened: BTreeMap<String, OwnedFd>,
    /// Kept for a former daemon, by the names under which its keeper held them.
    kept: BTreeMap<String, OwnedFd>,
}

impl Passed {
    /// Which is for which server. Of one that the service manager opened the record says so: its file is not ours.
    pub(super) fn sort(passed: Vec<(String, OwnedFd)>, servers: &[ServerConfig], record: &mut LaunchRecord) -> Passed {
        let mut sorted = Passed::default();
        for (name, descriptor) in passed {
            if let Some(held) = notify::held_name(&name) {
                sorted.kept.insert(held, descriptor);
            } else if let Some(server) = servers.iter().find(|server| http::listens_for(&descriptor, server)) {
                record.passed.insert(listener_name(server));
                sorted.opened.insert(listener_name(server), descriptor);
            } else {
                let text = format!(
                    "the service manager passed a descriptor named '{name}' that is no socket of a server in the \
                     configuration; it is closed (ListenStream= of the socket unit must be the file= of [unix_http_server])"
                );
                record.messages.push((LogLevelName::Warn, text));
            }
        }
        sorted
    }

    /// Whether there is a socket for this server.
    pub(super) fn has(&self, server: &ServerConfig) -> bool {
        let name = listener_name(server);
        self.opened.contains_key(&name) || self.kept.contains_key(&name)
    }

    /// The socket of a server.
    pub(super) fn take(&mut self, server: &ServerConfig) -> Option<OwnedFd> {
        let name = listener_name(server);
        let opened = self.opened.remove(&name);
        // Only the main process can have things kept, so the name is as good as the address.
        opened.or_else(|| self.kept.remove(&name)).filter(descriptors::is_listening)
    }

    /// The sockets of these groups' programs, by the names under which the keeper is to hold them. One whose file is gone
    /// would be reached by nobody.
    pub(super) fn take_programs<'a>(
        &mut self,
        groups: impl Iterator<Item = &'a GroupConfig>,
    ) -> Vec<(String, OwnedFd)> {
        let names = groups.flat_map(sockets_of).filter(|socket| is_reachable(&socket.url));
        let names = names.map(|socket| format!("{HELD_PREFIX}{}", socket.url));
        let taken = names.filter_map(|name| self.kept.remove(&name).map(|descriptor| (name, descriptor)));
        taken.filter(|(_, descriptor)| descriptors::is_listening(descriptor)).collect()
    }

    /// What nobody wants any more is closed, here and in the store.
    pub(super) fn give_up(self) {
        let Some(manager) = ServiceManager::of_environment().filter(|_| !self.kept.is_empty()) else { return };
        for lines in self.kept.keys().filter_map(|name| notify::forget_stored(name)) {
            // One that stays for want of room in its queue is passed to the next daemon, which gives it up.
            let _ = manager.tell(&lines, &[]);
        }
    }
}

fn is_reachable(url: &str) -> bool {
    url.strip_prefix("unix://").is_none_or(|file| Path::new(file).exists())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::worker::sample;

    fn stored(name: &str, descriptor: impl Into<OwnedFd>) -> (String, OwnedFd) {
        (notify::stored_name(name).unwrap(), descriptor.into())
    }

    #[test]
    fn each_finds_its_place_and_what_is_left_belongs_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let url = |name: &str| format!("unix://{}", file(name).display());
        let config = sample::config(&format!(
            "[unix_http_server]\nfile={}\n[inet_http_server]\nport=127.0.0.1:9001\n[fcgi-program:f]\ncommand=f\nsocket={}\n\
             [fcgi-program:gone]\ncommand=f\nsocket={}\n",
            file("control").display(),
            url("f"),
            url("gone"),
        ));
        let [inet, unix] = &config.servers[..] else { panic!("{:?}", config.servers) };
        let listener = |name: &str| UnixListener::bind(file(name)).unwrap();
        let passed = vec![
            // Bound under a name of its own first, as ours are.
            stored(&listener_name(unix), listener("control.17")),
            stored(&listener_name(inet), tempfile::tempfile().unwrap()),
            stored(&format!("{HELD_PREFIX}{}", url("f")), listener("f")),
            stored(&format!("{HELD_PREFIX}{}", url("gone")), TcpListener::bind("127.0.0.1:0").unwrap()),
            ("strange".to_owned(), tempfile::tempfile().unwrap().into()),
        ];
        let mut record = sample::launch();
        let mut passed = Passed::sort(passed, &config.servers, &mut record);
        assert_eq!(record.messages.len(), 1, "{:?}", record.messages);
        assert!(record.passed.is_empty(), "what comes from the store is ours");
        assert!(passed.has(unix) && passed.take(unix).is_some() && !passed.has(unix));
        assert!(passed.take(inet).is_none(), "no socket at all");
        let programs: Vec<String> =
            passed.take_programs(config.groups.iter()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(programs, [format!("{HELD_PREFIX}{}", url("f"))]);
        assert_eq!(passed.kept.len(), 1);
    }

    #[test]
    fn a_socket_that_the_service_manager_opened_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("control");
        let config = sample::config(&format!("[unix_http_server]\nfile={}\n", file.display()));
        let server = &config.servers[0];
        let opened = ("control".to_owned(), UnixListener::bind(&file).unwrap().into());
        let mut record = sample::launch();
        let kept = stored(&listener_name(server), UnixListener::bind(folder.path().join("other")).unwrap());
        let mut passed = Passed::sort(vec![kept, opened], &config.servers, &mut record);
        assert!(record.passed.contains(&listener_name(server)));
        let taken: UnixListener = passed.take(server).unwrap().into();
        assert_eq!(taken.local_addr().unwrap().as_pathname(), Some(file.as_path()));
        assert_eq!(passed.kept.len(), 1);
    }
}
