//! `socket` of a program: what it listens at, made and kept by the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::expansion::Scope;
use super::groups::{read_socket, wanted};
use super::lookup::Complaint;
use super::model::{Config, Passing, ServerConfig, SocketConfig, User};
use super::problem::Problem;
use super::reader::{Level, Place, Reader};
use super::schema::SectionKind;

/// What counts only beside `socket`.
const BESIDE_SOCKET: [&str; 3] = ["socket_backlog", "socket_owner", "socket_mode"];

/// The socket of one process, whose number the scope knows; a `[fcgi-program:x]` has its own, see `groups`.
pub(super) fn socket(
    reader: &mut Reader<'_>,
    place: Place<'_>,
    scope: &Scope,
    user: Option<&User>,
) -> Option<SocketConfig> {
    if place.kind == SectionKind::FcgiProgram {
        return None;
    }
    if reader.raw_value(place, "socket").is_none() {
        for key in BESIDE_SOCKET {
            if reader.raw_value(place, key).is_some() {
                let text = format!("{key} without socket has no meaning");
                reader.complain(place, key, Complaint::new(text, format!("add socket, or remove {key}")));
            }
        }
        return None;
    }
    let wanted = wanted(reader, place, scope, user);
    let text = reader.written(place, "socket", scope).ok().flatten()?;
    let socket = read_socket(reader, place, &full_url(text.trim()), wanted)?;
    Some(SocketConfig { passing: Passing::Listen, ..socket })
}

/// `unix:/path` and `tcp:host:port` in the long form; without a host, all addresses (IPv4).
fn full_url(text: &str) -> String {
    let Some((scheme @ ("unix" | "tcp"), rest)) = text.split_once(':') else { return text.to_owned() };
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let is_everywhere = scheme == "tcp" && (rest.starts_with(':') || rest.starts_with("*:"));
    match rest.split_once(':') {
        Some((_, port)) if is_everywhere => format!("tcp://0.0.0.0:{port}"),
        _ => format!("{scheme}://{rest}"),
    }
}

/// Adds the errors about addresses that two are to listen at. Programs that say the same of an address share its socket, as
/// those of a `[fcgi-program:x]` do.
pub(crate) fn report(reader: &mut Reader<'_>, config: &Config) {
    let mut known: BTreeMap<&str, (&SocketConfig, &str)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    let users = config.groups.iter().flat_map(|group| &group.processes);
    for (socket, section) in users.filter_map(|user| Some((user.socket.as_ref()?, user.section.as_str()))) {
        let (first, other) = *known.entry(&socket.url).or_insert((socket, section));
        let is_ours = [first, socket].iter().any(|socket| socket.passing == Passing::Listen);
        let problem = if first != socket && is_ours {
            let help = "give them different addresses, or the same socket_backlog, socket_owner and socket_mode to share one \
                        socket";
            (format!("[{other}] listens at {}, too, but not with the same settings", socket.url), help)
        } else if socket.passing == Passing::Listen && config.servers.iter().any(|server| serves(server, &socket.url)) {
            (format!("the daemon itself is served at {}", socket.url), "give the program another address")
        } else {
            continue;
        };
        let Some(kind) = SectionKind::of(section) else { continue };
        if told.insert((section, &socket.url)) {
            let place = Place { section, kind, level: Level::Group };
            reader.report(place, "socket", Problem::own_error(problem.0).help(problem.1));
        }
    }
}

/// Whether an endpoint has the address of a program's socket.
fn serves(server: &ServerConfig, url: &str) -> bool {
    match server {
        ServerConfig::Unix(server) => url.strip_prefix("unix://").is_some_and(|file| Path::new(file) == server.file),
        ServerConfig::Inet(server) => {
            let host = if server.host.is_empty() { "0.0.0.0" } else { &server.host };
            url.strip_prefix("tcp://").is_some_and(|address| address == format!("{host}:{}", server.port))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::model::Owner;
    use crate::config::{Loaded, Overrides, load};

    fn loaded(keys: &str) -> Loaded {
        let text = format!(
            "[supervisord]\n[unix_http_server]\nfile=/run/s\n[inet_http_server]\nport=127.0.0.1:9001\n\
             [program:a]\ncommand=a\n{keys}\n"
        );
        let source = MadeUp::new().account("galaxy", 1001, 1002, "/srv").file("/etc/a.conf", &text);
        load(Path::new("/etc/a.conf"), &Overrides::default(), &source)
    }

    fn read(keys: &str) -> Vec<SocketConfig> {
        let loaded = loaded(keys);
        let config = loaded.config.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.problems));
        config.groups[0].processes.iter().filter_map(|process| process.socket.clone()).collect()
    }

    #[test]
    fn every_form_is_read() {
        for (text, url) in [
            ("unix:/run/g.sock", "unix:///run/g.sock"),
            ("unix:///run/g.sock", "unix:///run/g.sock"),
            ("tcp:127.0.0.1:8080", "tcp://127.0.0.1:8080"),
            ("tcp://LocalHost:8080", "tcp://localhost:8080"),
            ("tcp::80", "tcp://0.0.0.0:80"),
            ("tcp:*:80", "tcp://0.0.0.0:80"),
        ] {
            let [socket] = read(&format!("socket={text}")).try_into().unwrap();
            assert_eq!((socket.url.as_str(), socket.passing), (url, Passing::Listen), "{text}");
        }
        let [socket] = read("socket=unix:/run/g\nuser=galaxy\nsocket_mode=0660\nsocket_backlog=64").try_into().unwrap();
        let owner = Some(Owner { uid: 1001, gid: Some(1002) });
        assert_eq!((socket.backlog, socket.owner, socket.mode), (Some(64), owner, Some(0o660)));
        let each = read("socket=tcp:h:808%(process_num)d\nnumprocs=2\nprocess_name=%(process_num)d");
        assert_eq!(each.iter().map(|socket| socket.url.as_str()).collect::<Vec<_>>(), ["tcp://h:8080", "tcp://h:8081"]);
        assert!(read("").is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (keys, wanted) in [
            ("socket=8080", "Bad socket format"),
            ("socket=unix:run/g", "is not an absolute path"),
            ("socket=tcp:h:0", "0"),
            ("socket=tcp:h:80\nsocket_mode=0600", "should only be used with a Unix domain socket"),
            ("socket_mode=0600", "socket_mode without socket has no meaning"),
        ] {
            let loaded = loaded(keys);
            assert!(loaded.config.is_none(), "{keys}");
            assert!(format!("{:?}", loaded.problems).contains(wanted), "{keys}: {:?}", loaded.problems);
        }
    }

    #[test]
    fn an_address_belongs_to_one_or_is_shared_knowingly() {
        let other = |keys: &str| format!("socket=unix:/run/g\n[program:b]\ncommand=b\n{keys}");
        let shared = other("socket=unix:///run/g");
        assert!(loaded(&shared).config.is_some(), "{:?}", loaded(&shared).problems);
        let not_the_same = "[program:a] listens at unix:///run/g, too, but not with the same settings";
        for (keys, wanted) in [
            (other("socket=unix:/run/g\nsocket_mode=0660").as_str(), not_the_same),
            (other("socket=unix:/run/g\n[program:c]\ncommand=c\nsocket=unix:/run/h\nuser=galaxy").as_str(), ""),
            (other("socket=unix:/run/g\nuser=galaxy").as_str(), not_the_same),
            (other("[fcgi-program:f]\ncommand=f\nsocket=unix:///run/g").as_str(), "listens at unix:///run/g, too"),
            ("socket=unix:/run/s", "the daemon itself is served at unix:///run/s"),
            ("socket=tcp:127.0.0.1:9001", "the daemon itself is served at tcp://127.0.0.1:9001"),
            ("socket=tcp:127.0.0.1:9002", ""),
        ] {
            let loaded = loaded(keys);
            let found = format!("{:?}", loaded.problems.iter().map(|problem| &problem.message).collect::<Vec<_>>());
            assert_eq!(loaded.config.is_none(), !wanted.is_empty(), "{keys}: {found}");
            assert!(found.contains(wanted), "{keys}: {found}");
        }
    }
}
