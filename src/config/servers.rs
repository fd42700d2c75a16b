//! Endpoints and RPC interfaces. Source: Supervisor 4.3.0, `options.py`, `server_configs_from_parser()` and
//! `get_plugins()`.

use super::access::{self, Credentials};
use super::lookup::Complaint;
use super::model::{InetServer, PageConfig, RpcInterface, ServerConfig, TlsFiles, UnixServer};
use super::path;
use super::plugin::InterfaceKind;
use super::problem::Problem;
use super::raw::{Dialect, RawValue};
use super::reader::{Level, Place, Reader};
use super::schema::{RPC_FACTORY, SectionKind, TWIDDLER_FACTORY};
use super::value;

const FACTORY_KEY: &str = "supervisor.rpcinterface_factory";
const WHITELIST: &str = "whitelist";

fn place(section: &str, kind: SectionKind) -> Place<'_> {
    Place { section, kind, level: Level::Group }
}

/// The interfaces, in the order of the file.
pub(crate) fn rpc_interfaces(reader: &mut Reader<'_>) -> Vec<RpcInterface> {
    let mut made = Vec::new();
    for section in reader.sections(SectionKind::RpcInterface) {
        let here = place(section, SectionKind::RpcInterface);
        let name = section.split_once(':').map_or("", |(_, name)| name);
        let scope = reader.bare_scope();
        let factory = reader.written(here, FACTORY_KEY, &scope);
        let kind = match &factory {
            Ok(Some(text)) => InterfaceKind::of(text),
            Ok(None) | Err(_) => Some(InterfaceKind::Main),
        };
        match &factory {
            Ok(Some(text)) if kind.is_none() => reader.report_plugin(here, FACTORY_KEY, text),
            Ok(None) if !is_native(reader, section) => {
                let text = format!("section [{section}] does not specify a {FACTORY_KEY}");
                reader.complain(here, FACTORY_KEY, Complaint::new(text, format!("add {FACTORY_KEY} = {RPC_FACTORY}")));
            }
            _ => {}
        }
        for key in extra_keys(reader, section) {
            // Supervisor expands the values first.
            let _expanded = reader.written(here, &key, &scope);
        }
        let Some(kind) = kind else { continue };
        let (factory, whitelist) = match kind {
            InterfaceKind::Main => (RPC_FACTORY, Vec::new()),
            InterfaceKind::Twiddler => (TWIDDLER_FACTORY, reader.names(here, WHITELIST, &scope)),
        };
        made.push(RpcInterface { name: name.to_owned(), factory: factory.to_owned(), whitelist });
    }
    made
}

/// Refuses what the factory would refuse when the servers are made: any further key.
pub(crate) fn refuse_extra_keys(reader: &mut Reader<'_>) {
    for section in reader.sections(SectionKind::RpcInterface) {
        let name = section.split_once(':').map_or("", |(_, name)| name);
        let here = place(section, SectionKind::RpcInterface);
        let kind = match reader.raw_value(here, FACTORY_KEY).map(RawValue::shown) {
            // A reference with names in it is not looked through: its interface takes the fewest keys.
            Some(text) => InterfaceKind::of(&text).or(text.contains('%').then_some(InterfaceKind::Main)),
            None => Some(InterfaceKind::Main),
        };
        let refused = |key: &String| match kind {
            Some(InterfaceKind::Main) => true,
            Some(InterfaceKind::Twiddler) => key != WHITELIST,
            // It is not made at all.
            None => false,
        };
        for key in extra_keys(reader, section).into_iter().filter(refused) {
            let problem = Problem::error(format!("Could not make {name} rpc interface"))
                .help(format!("remove `{key}`: the interface does not take it (a key of [DEFAULT] counts as one)"));
            reader.report(here, &key, problem);
        }
    }
}

fn is_native(reader: &Reader<'_>, section: &str) -> bool {
    reader.raw.sections.get(section).is_some_and(|section| section.dialect == Dialect::Native)
}

fn extra_keys(reader: &Reader<'_>, section: &str) -> Vec<String> {
    let own = reader.raw.sections.get(section).into_iter().flat_map(|section| section.entries.keys());
    let mut keys: Vec<String> = own.filter(|key| *key != FACTORY_KEY).cloned().collect();
    for key in reader.raw.defaults.keys().filter(|key| *key != FACTORY_KEY) {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    keys
}

/// The endpoints in Supervisor's order: TCP ports, then Unix sockets, each in the order of the file.
pub(crate) fn servers(reader: &mut Reader<'_>) -> Vec<ServerConfig> {
    let mut made = Vec::new();
    for section in reader.sections(SectionKind::InetHttpServer) {
        made.extend(inet(reader, section).map(ServerConfig::Inet));
    }
    for section in reader.sections(SectionKind::UnixHttpServer) {
        made.extend(unix(reader, section).map(ServerConfig::Unix));
    }
    made
}

fn inet(reader: &mut Reader<'_>, section: &str) -> Option<InetServer> {
    const KEY: &str = "port";
    let here = place(section, SectionKind::InetHttpServer);
    let scope = reader.bare_scope();
    let auth = access::credentials(reader, here, Credentials::Full);
    let access = access::inet(reader, here, auth.as_ref());
    if reader.raw_value(here, KEY).is_none() {
        let text = format!("section [{section}] has no port value");
        reader.complain(here, KEY, Complaint::new(text, "add port=127.0.0.1:9001, or another address"));
    }
    let allow_unauthenticated = reader.boolean(here, "allow_unauthenticated", &scope);
    let tls = tls(reader, here);
    let page = page(reader, here);
    let (host, port) = reader.plain(here, KEY, &scope, value::inet_address)?;
    Some(InetServer { section: section.to_owned(), host, port, auth, access, allow_unauthenticated, tls, page })
}

/// Certificate and key, which come together. What is in them is looked at by whoever speaks TLS.
fn tls(reader: &mut Reader<'_>, here: Place<'_>) -> Option<TlsFiles> {
    const KEYS: [&str; 2] = ["tls_certificate", "tls_key"];
    let scope = reader.scope();
    let [certificate, key] = KEYS.map(|name| match reader.written(here, name, &scope) {
        Ok(Some(text)) => Some(path::resolve(text.trim_matches(super::ini::is_space), reader.lookup.source)),
        Ok(None) | Err(_) => None,
    });
    let refusal = match (&certificate, &key) {
        (None, None) => return None,
        _ if !cfg!(feature = "tls") => Some((
            if certificate.is_some() { KEYS[0] } else { KEYS[1] },
            "this galaxyd was built without TLS",
            "build it with `--features tls`, or let a proxy speak TLS",
        )),
        (Some(_), None) => Some((KEYS[0], "a certificate needs its key", "add tls_key=")),
        (None, Some(_)) => Some((KEYS[1], "a key needs its certificate", "add tls_certificate=")),
        (Some(_), Some(_)) => None,
    };
    if let Some((name, text, help)) = refusal {
        reader.report(here, name, Problem::own_error(text).help(help));
        return None;
    }
    Some(TlsFiles { certificate: certificate?.into(), key: key?.into() })
}

fn unix(reader: &mut Reader<'_>, section: &str) -> Option<UnixServer> {
    const KEY: &str = "file";
    let here = place(section, SectionKind::UnixHttpServer);
    let file = reader.written(here, KEY, &reader.scope());
    if let Ok(None) = file {
        let text = format!("section [{section}] has no file value");
        reader.complain(here, KEY, Complaint::new(text, "add file=/run/supervisor.sock, or another path"));
    }
    let scope = reader.bare_scope();
    let auth = access::credentials(reader, here, Credentials::Full);
    let chown = reader.typed(here, "chown", &scope, |text, lookup| {
        let help = "write user or user:group, both known on this host";
        lookup.owner(text).ok_or_else(|| Complaint::new(format!("Invalid sockchown value {text}"), help))
    });
    let chmod = reader.typed(here, "chmod", &scope, |text, _| {
        value::octal(text)
            .map_err(|_| Complaint::new(format!("Invalid chmod value {text}"), "write octal digits, like 0700"))
    });
    let chmod = chmod.unwrap_or(0o700);
    let access = access::unix(reader, here, auth.as_ref(), chmod);
    let page = page(reader, here);
    let file = path::resolve(file.ok()??.trim_matches(super::ini::is_space), reader.lookup.source).into();
    Some(UnixServer { section: section.to_owned(), file, chmod, chown, auth, access, page })
}

/// The keys of the status page, which Supervisor does not have.
fn page(reader: &mut Reader<'_>, here: Place<'_>) -> PageConfig {
    let scope = reader.bare_scope();
    let allowed_hosts = reader.names(here, "allowed_hosts", &scope);
    PageConfig { allowed_hosts, get_actions: reader.boolean(here, "get_actions", &scope) }
}
