//! Whom the proxy and others ask, and who answers there in which protocol.

use std::path::Path;

use super::names::{address, given, listening};
use crate::config::{Door, HttpCheck, ReadyCheck};
use crate::galaxy::deployment::{Deployment, Location, Program};
use crate::galaxy::finding::Findings;
use crate::galaxy::nginx::{Pass, Protocol, Proxy, ProxyServer};
use crate::galaxy::program::Role;

/// What uWSGI opens for its own protocol, and for HTTP.
const OWN: &[&str] = &["socket", "uwsgi-socket"];
const HTTP: &[&str] = &["http", "https", "http-socket", "https-socket"];

pub(super) fn apply(deployment: &Deployment<'_>, proxy: Option<&Proxy>, findings: &mut Findings) {
    let listeners: Vec<_> = deployment.programs.iter().flat_map(listeners).collect();
    for program in &deployment.programs {
        let extras = &program.process.extras;
        let ready = extras.ready.as_ref().and_then(|ready| match &ready.check {
            ReadyCheck::Http(check) => Some(("ready", check)),
            _ => None,
        });
        let front = extras.rollout.front.as_ref().map(|front| ("rollout_front", &front.check));
        for (key, check) in ready.into_iter().chain(front) {
            asked(deployment, &listeners, program, key, check, findings);
        }
    }
    if let Some(proxy) = proxy {
        for pass in &proxy.passes {
            passed(&listeners, pass, findings);
        }
        forgotten(deployment, &listeners, proxy, findings);
    }
}

/// An address that a program of the configuration opens.
struct Listener<'a> {
    program: &'a Program<'a>,
    address: String,
    /// `None`: not known.
    protocol: Option<Protocol>,
}

impl Listener<'_> {
    /// Whether who asks at `address`, spelled alike, reaches it; of a name of another host the port tells.
    fn is_at(&self, address: &str) -> bool {
        address == self.address || (self.address.starts_with(':') && address.ends_with(&self.address))
    }
}

fn listeners<'a>(program: &'a Program<'a>) -> Vec<Listener<'a>> {
    let mut found = Vec::new();
    let mut add = |text: &str, protocol| {
        let address = address(text).and_then(|address| absolute(program, address));
        found.extend(address.map(|address| Listener { program, address, protocol }));
    };
    let options = program.options();
    let speaks_own = options.is_some_and(|options| !options.has("protocol") && !options.has("socket-protocol"));
    for option in options.iter().flat_map(|options| &options.options) {
        let name = option.name.replace('_', "-");
        let first = option.value.split(',').next().unwrap_or_default();
        match name.as_str() {
            own if OWN.contains(&own) => add(first, speaks_own.then_some(Protocol::Uwsgi)),
            http if HTTP.contains(&http) => add(first, Some(Protocol::Http)),
            "shared-socket" => add(first, None),
            "zerg-pool" => {
                let pooled = option.value.split_once(':').map(|(_, pooled)| pooled).unwrap_or_default();
                for address in pooled.split(',') {
                    add(address, None);
                }
            }
            _ => {}
        }
    }
    if options.is_none() {
        for text in listening(program) {
            add(&text, Some(Protocol::Http));
        }
    }
    if let Some(given) = given(program) {
        add(given, options.is_none().then_some(Protocol::Http));
    }
    found
}

/// A path as the program means it; `None` where it is not known from where.
fn absolute(program: &Program<'_>, address: String) -> Option<String> {
    if address.starts_with(['/', ':', '[']) || address.contains(':') {
        return Some(address);
    }
    let directory = program.process.directory.as_deref()?;
    Some(Path::new(directory).join(address).display().to_string())
}

/// HTTP by a key of a program, to a socket that speaks uWSGI's own protocol.
fn asked(
    deployment: &Deployment<'_>,
    listeners: &[Listener<'_>],
    program: &Program<'_>,
    key: &str,
    check: &HttpCheck,
    findings: &mut Findings,
) {
    let text = match &check.door {
        Door::Unix(path) => path.clone(),
        tcp @ Door::Tcp { .. } => tcp.to_string(),
    };
    let Some(address) = address(&text) else { return };
    let mut at = listeners.iter().filter(|listener| listener.address == address);
    if let Some(listener) = at.find(|listener| listener.protocol == Some(Protocol::Uwsgi)) {
        let text = format!(
            "{key} of {} asks {text} by HTTP, which {} opens as `socket`, for uWSGI's own protocol",
            program.shown(),
            listener.program.shown()
        );
        findings.add("GX074", deployment.place(program, key), text);
    }
}

/// Servers of one pass.
fn passed(listeners: &[Listener<'_>], pass: &Pass, findings: &mut Findings) {
    let found: Vec<_> = pass.servers.iter().filter_map(|server| Some((server, address(&server.address)?))).collect();
    let at = |address: &str| listeners.iter().find(|listener| listener.is_at(address));
    let is_galaxys = found.iter().any(|(_, address)| at(address).is_some());
    for (server, address) in &found {
        match at(address) {
            Some(listener) => spoken(listener, pass.protocol, server, findings),
            // Beside one that is known, a server of this host that nobody is.
            None if is_galaxys && address.starts_with([':', '/']) => {
                let text = format!("no program of this configuration listens at {}", server.address);
                findings.add("GX075", Some(server.place.clone()), text);
            }
            None => {}
        }
    }
}

fn spoken(listener: &Listener<'_>, protocol: Protocol, server: &ProxyServer, findings: &mut Findings) {
    let (passes, opens) = match (protocol, listener.protocol) {
        (Protocol::Http, Some(Protocol::Uwsgi)) => ("proxy_pass speaks HTTP", "as `socket`, for uWSGI's own protocol"),
        (Protocol::Uwsgi, Some(Protocol::Http)) => ("uwsgi_pass speaks uWSGI's own protocol", "for HTTP"),
        _ => return,
    };
    let text = format!("{passes} to {}, which {} opens {opens}", server.address, listener.program.shown());
    findings.add("GX074", Some(server.place.clone()), text);
}

/// Web programs that the proxy passes nothing to.
fn forgotten(deployment: &Deployment<'_>, listeners: &[Listener<'_>], proxy: &Proxy, findings: &mut Findings) {
    let servers: Vec<&ProxyServer> = proxy.passes.iter().flat_map(|pass| &pass.servers).collect();
    if proxy.is_partial || servers.is_empty() {
        return;
    }
    let served: Vec<String> = servers.iter().filter_map(|server| address(&server.address)).collect();
    for program in &deployment.programs {
        let own: Vec<_> = listeners.iter().filter(|listener| std::ptr::eq(listener.program, program)).collect();
        let is_asked = own.iter().any(|listener| served.iter().any(|address| listener.is_at(address)));
        let Some(first) = own.first().filter(|_| matches!(program.role, Role::Gunicorn | Role::Uwsgi) && !is_asked)
        else {
            continue;
        };
        // The server that was meant, if there is one of which nobody knows.
        let unknown = servers.iter().find(|server| {
            let address = address(&server.address).filter(|address| address.starts_with([':', '/']));
            address.is_some_and(|address| !listeners.iter().any(|listener| listener.is_at(&address)))
        });
        let place: Option<Location> =
            unknown.map(|server| server.place.clone()).or_else(|| deployment.place(program, "command"));
        let passes = unknown.map_or(String::new(), |server| format!("; it passes to {}", server.address));
        let text = format!("the proxy passes nothing to {}, which {} opens{passes}", first.address, program.shown());
        findings.add("GX075", place, text);
    }
}
