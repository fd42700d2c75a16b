//! What a configuration needs of this host and the loader does not look at: commands, directories, addresses, limits.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{AccessFlags, Uid, access};
use serde::Serialize;

use crate::config::{Config, DaemonLog, LogFile, ProcessConfig, ServerConfig, find_command};

/// Open files that the keeper and the worker need for each process: both ends' worth of three pipes, transit pipes, logs.
const DESCRIPTORS_PER_PROCESS: u64 = 12;

/// Open files of the daemon itself.
const DESCRIPTORS_OF_THE_DAEMON: u64 = 128;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    Good,
    /// Works, but somebody should know.
    Note,
    /// galaxyd, or a program, will not start as things are.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub finding: Finding,
    pub text: String,
}

impl Check {
    fn new(finding: Finding, text: impl Into<String>) -> Self {
        Self { finding, text: text.into() }
    }
}

/// Looks at everything, in the order: accounts, paths, addresses, limits. `path` is the daemon's `PATH`.
#[must_use]
pub(super) fn checks(config: &Config, path: Option<&str>) -> Vec<Check> {
    let mut checks = accounts(config);
    checks.extend(commands(config, path));
    checks.extend(directories(config));
    checks.extend(config.servers.iter().map(address));
    checks.extend(limits(config));
    checks
}

fn processes(config: &Config) -> impl Iterator<Item = &ProcessConfig> {
    config.groups.iter().flat_map(|group| &group.processes)
}

fn accounts(config: &Config) -> Vec<Check> {
    let accounts = processes(config).filter_map(|process| process.user.as_ref()).chain(&config.daemon.user);
    let users: BTreeSet<(&str, u32)> = accounts.map(|user| (user.text.as_str(), user.uid)).collect();
    let mut checks = Vec::new();
    for (name, uid) in users {
        let other = Uid::from_raw(uid) != Uid::effective();
        checks.push(if other && !Uid::effective().is_root() {
            Check::new(Finding::Note, format!("account {name} exists; only a daemon started by root can switch to it"))
        } else {
            Check::new(Finding::Good, format!("account {name} exists"))
        });
    }
    checks
}

fn commands(config: &Config, path: Option<&str>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut found = 0;
    let mut seen = BTreeSet::new();
    for process in processes(config) {
        match find_command(process, path) {
            Ok(_) => found += 1,
            Err(error) if seen.insert((&process.section, error.to_string())) => {
                checks.push(Check::new(Finding::Bad, format!("[{}] {error}", process.section)));
            }
            Err(_) => {}
        }
    }
    if found > 0 {
        let text = match found {
            1 => "the command of 1 process exists and can be executed".to_owned(),
            found => format!("the commands of {found} processes exist and can be executed"),
        };
        checks.push(Check::new(Finding::Good, text));
    }
    checks
}

/// Where something is written, and where programs are started.
fn directories(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut written: BTreeSet<String> = BTreeSet::new();
    let mut add = |path: &Path| {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            written.insert(folder.to_string_lossy().into_owned());
        }
    };
    add(&config.daemon.pidfile);
    if let DaemonLog::File(file) = &config.daemon.logfile {
        add(file);
    }
    for server in &config.servers {
        if let ServerConfig::Unix(unix) = server {
            add(&unix.file);
        }
    }
    for process in processes(config) {
        for log in [&process.stdout, &process.stderr] {
            if let LogFile::Path(path) = &log.file {
                add(Path::new(path));
            }
        }
    }
    for folder in &written {
        if !Path::new(folder).is_dir() {
            checks.push(Check::new(Finding::Bad, format!("{folder} is not there; make it before the daemon starts")));
        } else if access(folder.as_str(), AccessFlags::W_OK).is_err() {
            checks.push(Check::new(Finding::Note, format!("{folder} cannot be written by this user")));
        }
    }
    let started_in: BTreeSet<(&String, &String)> =
        processes(config).filter_map(|process| Some((&process.section, process.directory.as_ref()?))).collect();
    for (section, directory) in started_in {
        if !Path::new(directory).is_dir() {
            let text = format!("[{section}] directory {directory} is not there: the start will fail");
            checks.push(Check::new(Finding::Bad, text));
        }
    }
    if !checks.iter().any(|check| check.finding == Finding::Bad) {
        let text = match written.len() {
            1 => "the directory that is written to exists".to_owned(),
            number => format!("the {number} directories that are written to exist"),
        };
        checks.push(Check::new(Finding::Good, text));
    }
    checks
}

fn address(server: &ServerConfig) -> Check {
    match server {
        ServerConfig::Unix(unix) => {
            let path = unix.file.display();
            match UnixStream::connect(&unix.file) {
                Ok(_) => Check::new(Finding::Note, format!("{path} is served now: stop that daemon before the change")),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    Check::new(Finding::Good, format!("{path} is free"))
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => Check::new(
                    Finding::Good,
                    format!("{path} is left over from a daemon that is gone; it will be replaced"),
                ),
                Err(error) => Check::new(Finding::Note, format!("{path}: {error}")),
            }
        }
        ServerConfig::Inet(inet) => {
            let host = if inet.host.is_empty() { "0.0.0.0" } else { &inet.host };
            let place = format!("{host}:{}", inet.port);
            let resolved = (host, inet.port).to_socket_addrs().map(|mut all| all.next());
            let Ok(Some(address)) = resolved else {
                return Check::new(Finding::Bad, format!("{place}: the host has no address"));
            };
            match TcpListener::bind(address) {
                Ok(_) => Check::new(Finding::Good, format!("{place} is free")),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {
                    Check::new(Finding::Note, format!("{place} is in use now: stop that daemon before the change"))
                }
                Err(error) => Check::new(Finding::Bad, format!("{place} cannot be listened on: {error}")),
            }
        }
    }
}

fn limits(config: &Config) -> Vec<Check> {
    let count = u64::try_from(processes(config).count()).unwrap_or(u64::MAX);
    let files = count.saturating_mul(DESCRIPTORS_PER_PROCESS).saturating_add(DESCRIPTORS_OF_THE_DAEMON);
    let wanted = [
        (Resource::RLIMIT_NOFILE, "open files", files, config.daemon.minfds, "minfds"),
        (Resource::RLIMIT_NPROC, "processes", count, config.daemon.minprocs, "minprocs"),
    ];
    let mut checks = Vec::new();
    for (resource, what, needed, configured, key) in wanted {
        let configured = u64::try_from(configured).unwrap_or(0);
        let Ok((_, hard)) = getrlimit(resource) else { continue };
        let root = Uid::effective().is_root();
        checks.push(if hard < configured && !root {
            let text =
                format!("{key}={configured}, but this user may have {hard} {what} at most: the start is refused");
            Check::new(Finding::Bad, text)
        } else if hard < needed && !root {
            let text = format!("{count} programs need about {needed} {what}; the limit is {hard}: raise it");
            Check::new(Finding::Bad, text)
        } else {
            Check::new(Finding::Good, format!("{what}: {key}={configured}, about {needed} needed, {hard} allowed here"))
        });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HostSource, Overrides, load};

    #[test]
    fn what_is_missing_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display();
        let file = folder.path().join("s.conf");
        let text = format!(
            "[supervisord]\nlogfile={here}/l\npidfile={here}/p\n[unix_http_server]\nfile={here}/none/s\n\
             [program:a]\ncommand=/no/such/program\ndirectory={here}/missing\n[program:b]\ncommand=sh -c true\n"
        );
        std::fs::write(&file, text).unwrap();
        let loaded = load(&file, &Overrides::default(), &HostSource::new(Vec::new()));
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
        let checks = checks(&config, None);
        let bad: Vec<&str> =
            checks.iter().filter(|check| check.finding == Finding::Bad).map(|check| check.text.as_str()).collect();
        assert!(
            bad.iter().any(|text| text.starts_with("[program:a] can't find command '/no/such/program'")),
            "{bad:?}"
        );
        assert!(bad.iter().any(|text| text.starts_with("[program:a] directory ")), "{bad:?}");
        assert!(bad.iter().any(|text| text.contains("none is not there")), "{bad:?}");
        assert!(!bad.iter().any(|text| text.contains("program:b")), "{bad:?}");
    }

    #[test]
    fn an_address_that_is_taken_is_noted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = |port| {
            ServerConfig::Inet(crate::config::InetServer {
                section: "inet_http_server".into(),
                host: "127.0.0.1".into(),
                port,
                auth: None,
                access: crate::config::Access::default(),
                allow_unauthenticated: false,
                tls: None,
                page: crate::config::PageConfig::default(),
            })
        };
        assert_eq!(address(&server(port)).finding, Finding::Note);
        drop(listener);
        assert_eq!(address(&server(port)).finding, Finding::Good);
    }
}
