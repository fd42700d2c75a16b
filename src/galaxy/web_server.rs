//! Which web server a program is, and where it tells of its workers. Any application's, not Galaxy's alone.

use super::deployment::{absolute, uwsgi_options};
use super::program::{Invocation, Role};
use crate::config::{Door, ProcessConfig, Source, shlex};

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
