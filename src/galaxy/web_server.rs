//! Which web server a program is, and where it tells of its workers. Any application's, not Galaxy's alone.

use super::deployment::{Galaxy, absolute, uwsgi_options};
use super::program::{Invocation, Role};
use crate::config::{Door, HttpCheck, Passing, ProcessConfig, ReadyCheck, Source, shlex};

/// A server with workers of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebServer {
    /// `stats`: where its stats server listens, if it has one that is known.
    Uwsgi {
        stats: Option<Door>,
    },
    Gunicorn,
}

impl WebServer {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            WebServer::Uwsgi { .. } => "uwsgi",
            WebServer::Gunicorn => "gunicorn",
        }
    }
}

/// Reads a uWSGI's file: not for the control loop. `None` for other programs.
#[must_use]
pub fn web_server(process: &ProcessConfig, source: &dyn Source) -> Option<WebServer> {
    let Some(invocation) = Invocation::of(&process.command).filter(|found| found.role != Role::Handler) else {
        let words = shlex::split(&process.command).unwrap_or_default();
        let mut names = words.iter().take(2).filter_map(|word| word.rsplit('/').next());
        return names.any(|name| name == "gunicorn").then_some(WebServer::Gunicorn);
    };
    match invocation.role {
        Role::Gunicorn | Role::Reports => Some(WebServer::Gunicorn),
        role if role.is_uwsgi() => {
            let options = uwsgi_options(&invocation, process, source).unwrap_or_else(|| invocation.uwsgi());
            let stats = options.last("stats").or_else(|| options.last("stats-server"));
            Some(WebServer::Uwsgi { stats: stats.and_then(|stats| door(&stats.value, process, source)) })
        }
        _ => None,
    }
}

/// The question by which a web process of Galaxy says its release; `None`: nobody knows where it answers HTTP. Reads the
/// files that it names.
#[must_use]
pub fn version_check(process: &ProcessConfig, source: &dyn Source) -> Option<HttpCheck> {
    const PATH: &str = "/api/version";
    let invocation = Invocation::of(&process.command).filter(|found| found.role.is_web())?;
    if let Some(ReadyCheck::Http(check)) = process.extras.ready.as_ref().map(|ready| &ready.check)
        && check.path.ends_with(PATH)
    {
        return Some(HttpCheck { statuses: (200, 200), body: None, ..check.clone() });
    }
    let address = if let Some(socket) = process.socket.as_ref().filter(|socket| socket.passing == Passing::Listen) {
        socket.url.replacen("tcp://", "", 1).replacen("unix://", "", 1)
    } else if invocation.role == Role::Gunicorn {
        invocation.option(&["-b", "--bind"]).unwrap_or(GUNICORN_BIND).replacen("unix:", "", 1)
    } else {
        let options = uwsgi_options(&invocation, process, source)?;
        let own = options.last("http-socket").or_else(|| options.last("http"))?;
        own.value.split(',').next().unwrap_or_default().to_owned()
    };
    let file = invocation.configuration(process).map(|path| absolute(path, process, source));
    let prefix = file.and_then(|file| Galaxy::read(&file, source).text("galaxy_url_prefix").map(str::to_owned));
    let path = format!("{}{PATH}", prefix.unwrap_or_default().trim_end_matches('/'));
    Some(HttpCheck { door: door(&address, process, source)?, path, statuses: (200, 200), body: None })
}

/// Where gunicorn listens if nothing says it.
const GUNICORN_BIND: &str = "127.0.0.1:8000";

/// A value of uWSGI's with the variables of its environment, `$(NAME)`; `None` where that is not known.
pub(super) fn filled_in(text: &str, process: &ProcessConfig) -> Option<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$(") {
        let (name, behind) = after.split_once(')')?;
        filled.push_str(before);
        filled.push_str(process.environment.get(name)?);
        rest = behind;
    }
    filled.push_str(rest);
    // Other placeholders of uWSGI.
    (!filled.contains(['%', '$'])).then_some(filled)
}

/// As uWSGI takes an address: a port of any host or of this one, or the path of a socket.
pub(super) fn door(text: &str, process: &ProcessConfig, source: &dyn Source) -> Option<Door> {
    // Sockets without a file are not known.
    let text = filled_in(text, process).filter(|text| !text.starts_with('@'))?;
    let text = text.as_str();
    match text.rsplit_once(':') {
        Some((host, port)) if !text.contains('/') => {
            let host = if matches!(host, "" | "0.0.0.0" | "*") { "127.0.0.1" } else { host };
            Some(Door::Tcp { host: host.to_owned(), port: port.parse().ok()? })
        }
        _ => Some(Door::Unix(absolute(text, process, source).display().to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, load};

    #[test]
    fn a_servers_release_is_asked_where_it_answers() {
        const GALAXY: &str = "gunicorn galaxy.webapps.galaxy.fast_factory:factory()";
        let asked = |keys: &str| {
            let text = format!("[supervisord]\n[program:a]\n{keys}\n");
            let source = MadeUp::new()
                .file("/etc/a.conf", &text)
                .file("/g.yml", "uwsgi:\n  http-socket: :81\ngalaxy:\n  galaxy_url_prefix: /galaxy\n")
                .file("/own.yml", "uwsgi:\n  socket: :81\n");
            let loaded = load(Path::new("/etc/a.conf"), &Overrides::default(), &source);
            let config = loaded.config.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.problems));
            let check = version_check(&config.groups[0].processes[0], &source)?;
            Some(format!("{}{}", check.door, check.path))
        };
        for (keys, wanted) in [
            (format!("command={GALAXY}"), Some("127.0.0.1:8000/api/version")),
            (format!("command={GALAXY} -b unix:/run/g.sock"), Some("/run/g.sock/api/version")),
            (format!("command={GALAXY} -b localhost:80\nready=http://h:1/x/api/version"), Some("h:1/x/api/version")),
            (format!("command={GALAXY}\nsocket=tcp::82"), Some("127.0.0.1:82/api/version")),
            ("command=uwsgi --yaml /g.yml".to_owned(), Some("127.0.0.1:81/galaxy/api/version")),
            ("command=uwsgi --yaml /own.yml".to_owned(), None),
            ("command=galaxy-main -c /g.yml".to_owned(), None),
            ("command=gunicorn app:app".to_owned(), None),
        ] {
            assert_eq!(asked(&keys).as_deref(), wanted, "{keys}");
        }
    }
}
