//! What a session is told: the configuration, and the command line over it.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use super::exit::ExitCode;
use super::run::{host, refuse};
use super::shell::AddressOrigin;
use crate::cli::commands::{self, Origin};
use crate::cli::supervisorctl::CtlOptions;
use crate::cli::{Personality, UsageError};
use crate::config::{self, CtlConfig, CtlLoaded, Overrides, Plugins, Rendering, ServerAuth, ServerConfig};

/// What holds once the command line stands over the configuration.
pub(super) struct Settings {
    pub(super) ctl: CtlConfig,
    pub(super) address_origin: AddressOrigin,
    pub(super) configuration: Option<PathBuf>,
}

impl Settings {
    /// Tells what is wrong itself; the error is the exit code.
    pub(super) fn read(personality: Personality, argv0: &str, options: &CtlOptions) -> Result<Self, u8> {
        let named = options.configuration.clone().filter(|path| !path.as_os_str().is_empty());
        let found = || match options.configuration {
            // An empty name is Supervisor's way of doing without a file.
            Some(_) => None,
            None if personality == Personality::Galaxyctl => config::find_with_galaxy_yml(argv0, &host()).ok(),
            None => config::find(argv0, &host()).ok(),
        };
        let configuration = named.or_else(found);
        let mut ctl = CtlConfig::default();
        let mut address_origin = AddressOrigin::Default;
        if let Some(path) = configuration.as_deref().filter(|_| !is_local(personality, options)) {
            (ctl, address_origin) = match personality {
                Personality::Galaxyctl => daemon_of(path, options.plugins)?,
                _ => read_file(personality, argv0, path, options.plugins)?,
            };
        }
        if let Some(url) = &options.serverurl {
            ctl.serverurl.clone_from(url);
            address_origin = AddressOrigin::CommandLine;
        }
        ctl.username = options.username.clone().or(ctl.username);
        ctl.password = options.password.clone().or(ctl.password);
        ctl.history_file = options.history_file.clone().or(ctl.history_file);
        Ok(Self { ctl, address_origin, configuration })
    }
}

/// Commands that work on files, also on such that are no good for talking to a daemon.
fn is_local(personality: Personality, options: &CtlOptions) -> bool {
    personality == Personality::Galaxyctl
        && options.words.first().and_then(|name| commands::command(name)).is_some_and(|line| {
            line.name == "help" || (line.origin == Origin::Galaxyd && !line.words.are_for_a_daemon())
        })
}

/// How galaxyctl reaches the daemon of this configuration. Tells what is wrong itself; the error is the exit code.
pub(super) fn daemon_of(path: &Path, plugins: Plugins) -> Result<(CtlConfig, AddressOrigin), u8> {
    let read = || read_file(Personality::Galaxyctl, "galaxyctl", path, plugins);
    server_of(path, plugins).map_or_else(read, Ok)
}

fn read_file(
    personality: Personality,
    argv0: &str,
    path: &Path,
    plugins: Plugins,
) -> Result<(CtlConfig, AddressOrigin), u8> {
    let loaded = config::load_ctl(path, plugins, &host());
    warn(&loaded);
    if let Some(config) = loaded.config {
        return Ok((config, AddressOrigin::File(path.to_owned())));
    }
    if personality == Personality::Galaxyctl {
        let is_terminal = io::stderr().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").map(|value| value.to_string_lossy().into_owned());
        let rendering = Rendering::for_terminal(is_terminal, no_color.as_deref());
        return Err(refuse(&config::render(&loaded.problems, &loaded.files, rendering)));
    }
    let message = loaded.problems.first_told().unwrap_or_else(|| "the configuration cannot be used".to_owned());
    refuse(&UsageError::new(message).text(argv0));
    let is_unparsable =
        loaded.files.first().is_some_and(|(_, text)| config::ini::parse(text, config::FileId(0)).is_err());
    // Supervisor's client does not expect a file that is no configuration at all.
    Err(if is_unparsable { ExitCode::Generic.code() } else { ExitCode::Usage.code() })
}

/// Says what was ignored, as far as anything was.
fn warn(loaded: &CtlLoaded) {
    for problem in loaded.ignored_plugins() {
        refuse(&format!("{problem}\n"));
    }
}

/// galaxyctl does without a `serverurl` where the file tells the daemon's own sockets: the first unix socket, else the first
/// inet one. `None` if there is a `serverurl`, or no such socket.
fn server_of(path: &Path, plugins: Plugins) -> Option<(CtlConfig, AddressOrigin)> {
    let source = host();
    let ctl = config::load_ctl(path, plugins, &source);
    if ctl.has_refused_plugin() {
        return None;
    }
    let client = ctl.config.clone().unwrap_or_default();
    if client.serverurl != CtlConfig::default().serverurl {
        return None;
    }
    // The daemon has judged its own plugins; only its address is wanted here.
    let overrides = Overrides { ignore_plugins: true, ..Overrides::default() };
    let servers = config::load(path, &overrides, &source).config?.servers;
    let unix = servers.iter().find(|server| matches!(server, ServerConfig::Unix(_)));
    let (section, serverurl, auth) = match unix.or(servers.first())? {
        ServerConfig::Unix(server) => {
            (&server.section, format!("unix://{}", server.file.display()), server.auth.as_ref())
        }
        ServerConfig::Inet(server) => {
            let host = if server.host.is_empty() { "localhost" } else { &server.host };
            (&server.section, format!("http://{host}:{}", server.port), server.auth.as_ref())
        }
    };
    let origin = AddressOrigin::Server { file: path.to_owned(), section: section.clone() };
    // A digest cannot be sent; then the login has to come from elsewhere.
    let usable = auth.filter(|auth| !auth.password.starts_with("{SHA}"));
    let (username, password) =
        usable.map(|ServerAuth { username, password }| (username.clone(), password.clone())).unzip();
    // Only here: whoever is told nothing reads the file once more.
    warn(&ctl);
    let settings = CtlConfig {
        serverurl,
        username: client.username.clone().or(username),
        password: client.password.clone().or(password),
        ..client
    };
    Some((settings, origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, options: CtlOptions) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.conf");
        std::fs::write(&path, text).unwrap();
        let options = CtlOptions { configuration: Some(path), ..options };
        Settings::read(Personality::Galaxyctl, "galaxyctl", &options).unwrap_or_else(|exit| panic!("{exit}"))
    }

    #[test]
    fn the_client_section_is_used_where_it_has_an_address() {
        let text =
            "[supervisord]\n[unix_http_server]\nfile=/run/a.sock\n[supervisorctl]\nserverurl=unix:///run/b.sock\n";
        assert_eq!(read(text, CtlOptions::default()).ctl.serverurl, "unix:///run/b.sock");
        let given = CtlOptions { serverurl: Some("http://h:1".to_owned()), ..CtlOptions::default() };
        let settings = read(text, given);
        assert_eq!(
            (settings.ctl.serverurl.as_str(), settings.address_origin),
            ("http://h:1", AddressOrigin::CommandLine)
        );
    }

    #[test]
    fn the_daemons_own_socket_is_used_where_the_client_has_none() {
        let text = "[supervisord]\n[inet_http_server]\nport=127.0.0.1:9\n[unix_http_server]\nfile=/run/a.sock\nusername=u\npassword=p\n";
        for more in ["", "[supervisorctl]\nprompt=x\n"] {
            let settings = read(&format!("{text}{more}"), CtlOptions::default());
            assert_eq!(settings.ctl.serverurl, "unix:///run/a.sock");
            assert_eq!(settings.ctl.password.as_deref(), Some("p"));
        }
        let inet =
            read("[supervisord]\n[inet_http_server]\nport=9001\nallow_unauthenticated=true\n", CtlOptions::default());
        assert_eq!(inet.ctl.serverurl, "http://localhost:9001");
    }
}
