//! What is known when a daemon cannot be reached: the socket, the daemon's life, and where the address comes from.
//! One line each, for standard error.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use super::daemon::CallError;
use super::run::host;
use super::shell::{AddressOrigin, Session};
use crate::config::{self, Overrides};
use crate::rpc::printable;
use crate::sys::proc_table::{self, Entry, Standing};

/// The lines for this error in this session.
#[must_use]
pub(super) fn connection(error: &CallError, session: &Session) -> Vec<String> {
    let mut lines = vec![format!("galaxyctl: cannot reach the daemon at {}: {error}", session.serverurl)];
    if let Some(path) = session.serverurl.strip_prefix("unix://") {
        lines.push(socket(Path::new(path)));
    }
    lines.push(daemon(session));
    lines.push(address(session));
    lines
}

fn socket(path: &Path) -> String {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Ok(status) => {
            let kind = if status.file_type().is_socket() { "" } else { ", and is no socket" };
            format!(
                "  socket: {shown} belongs to {}:{}, mode {:04o}{kind}; you are {}",
                user(status.uid()),
                group(status.gid()),
                status.mode() & 0o7777,
                user(Uid::effective().as_raw()),
            )
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(parent) if parent.is_dir() => format!("  socket: there is none at {shown}{}", directory(parent)),
            Some(parent) => format!("  socket: there is none at {shown}, nor a directory {}", parent.display()),
            None => format!("  socket: there is none at {shown}"),
        },
        Err(error) => format!("  socket: {shown}: {error}; you are {}", user(Uid::effective().as_raw())),
    }
}

/// Whose directory it is: who may put a socket into it, and who may have taken one away.
fn directory(path: &Path) -> String {
    let Ok(status) = fs::metadata(path) else { return String::new() };
    let (user, group, mode) = (user(status.uid()), group(status.gid()), status.mode() & 0o7777);
    format!("; {} belongs to {user}:{group}, mode {mode:04o}", path.display())
}

fn user(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("{} ({uid})", user.name),
        Ok(None) | Err(_) => uid.to_string(),
    }
}

fn group(gid: u32) -> String {
    match Group::from_gid(Gid::from_raw(gid)) {
        Ok(Some(group)) => format!("{} ({gid})", group.name),
        Ok(None) | Err(_) => gid.to_string(),
    }
}

/// What is said of a daemon that let the time for an answer pass: who it is, what it does, and the next step.
#[must_use]
pub(super) fn unanswered(session: &Session) -> String {
    let Ok((_, pid)) = pid_of_daemon(session) else {
        return format!("error: nobody answers at {}, though somebody listens there", session.serverurl);
    };
    let entries = match entries_of_daemon(pid) {
        Ok(entries) => entries,
        Err(error) => {
            return format!("error: daemon pid {pid} does not answer, and nothing can be found out of it: {error}");
        }
    };
    let are = |standing| entries.iter().filter(move |entry: &&Entry| entry.standing == standing);
    if entries.is_empty() {
        return format!("error: daemon pid {pid} does not answer (it does not live any more); start it again");
    }
    if let Some(way_out) = way_out_of_a_stop(&entries) {
        return format!("error: daemon pid {pid} does not answer (state T, stopped); {way_out}");
    }
    if let Some(waiting) = are(Standing::Waits).next() {
        let place = proc_table::waits_in(waiting.identity.pid).unwrap_or_else(|| "the kernel".to_owned());
        return format!(
            "error: daemon pid {pid} does not answer (state D, waits in {place}); see which disk or mount does not answer"
        );
    }
    format!(
        "error: daemon pid {pid} does not answer (it is not stopped); ask again with a longer --timeout, or see its log"
    )
}

/// Looks for the daemon by the pid file that the configuration names. Gives the file and the number, or why there is none.
fn pid_of_daemon(session: &Session) -> Result<(PathBuf, i32), String> {
    let Some(path) = &session.configuration else {
        return Err("no configuration file was found that would name its pid file".to_owned());
    };
    let Some(config) = config::load(path, &Overrides::default(), &host()).config else {
        let shown = path.display();
        return Err(format!("{shown} has errors, so its pid file is not known; try `galaxyctl check {shown}`"));
    };
    let pidfile = config.daemon.pidfile;
    let shown = pidfile.display();
    match fs::read_to_string(&pidfile) {
        Ok(text) => match text.trim().parse() {
            Ok(pid) => Ok((pidfile, pid)),
            Err(_) => Err(format!("its pid file {shown} holds no process id")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("not running, as far as its pid file tells: there is no {shown}"))
        }
        Err(error) => Err(format!("its pid file {shown} cannot be read: {error}")),
    }
}

fn daemon(session: &Session) -> String {
    let (pidfile, pid) = match pid_of_daemon(session) {
        Ok(found) => found,
        Err(reason) => return format!("  daemon: {reason}"),
    };
    let shown = pidfile.display();
    let entries = match entries_of_daemon(pid) {
        Ok(entries) => entries,
        Err(error) => {
            return format!("  daemon: {shown} names process {pid}, of which nothing can be found out: {error}");
        }
    };
    let Some(keeper) = entries.first() else {
        return format!("  daemon: {shown} names process {pid}, which does not live");
    };
    let stopped = way_out_of_a_stop(&entries)
        .map_or_else(String::new, |way_out| format!("; it was stopped by a signal: {way_out}"));
    format!("  daemon: {shown} names process {pid}, which lives and is called {}{stopped}", printable(&keeper.name))
}

/// The daemon's keeper and its worker, which is the keeper's child of the same name; nobody if the keeper does not live.
fn entries_of_daemon(pid: i32) -> io::Result<Vec<Entry>> {
    let Some(keeper) = proc_table::one(pid)? else { return Ok(Vec::new()) };
    let is_worker = |entry: &Entry| entry.parent == pid && entry.name == keeper.name;
    let table = proc_table::all()?;
    Ok(std::iter::once(keeper.clone()).chain(table.into_iter().filter(is_worker)).collect())
}

/// What to do about a daemon of which processes were stopped by a signal; `None` if none was.
fn way_out_of_a_stop(entries: &[Entry]) -> Option<String> {
    let stopped = entries.iter().filter(|entry| entry.standing == Standing::Stopped);
    let pids: Vec<String> = stopped.map(|entry| entry.identity.pid.to_string()).collect();
    (!pids.is_empty()).then(|| format!("`kill -CONT {}` lets it go on", pids.join(" ")))
}

fn address(session: &Session) -> String {
    match &session.address_origin {
        AddressOrigin::CommandLine => match &session.configuration {
            Some(path) => format!("  address: from the command line; the configuration is {}", path.display()),
            None => "  address: from the command line; no configuration file was found".to_owned(),
        },
        AddressOrigin::File(path) => format!("  address: serverurl of [supervisorctl] in {}", path.display()),
        AddressOrigin::Server { file, section } => format!("  address: section [{section}] of {}", file.display()),
        AddressOrigin::Default => {
            "  address: the default, as no configuration file was found; name one with -c, or the address with -s"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Personality;

    #[test]
    fn a_missing_socket_is_explained_by_its_directory_and_the_pid_file() {
        let folder = tempfile::tempdir().unwrap();
        let (conf, socket) = (folder.path().join("s.conf"), folder.path().join("run/s.sock"));
        let pidfile = folder.path().join("s.pid");
        fs::write(&conf, format!("[supervisord]\npidfile={}\n", pidfile.display())).unwrap();
        let session = Session {
            personality: Personality::Galaxyctl,
            serverurl: format!("unix://{}", socket.display()),
            address_origin: AddressOrigin::File(conf.clone()),
            interactive: false,
            prompt: String::new(),
            configuration: Some(conf),
            format: String::new(),
            migration: crate::cli::galaxyctl::Migration::default(),
            plugins: crate::config::Plugins::Refused,
            beside: crate::cli::galaxyctl::Beside::default(),
        };
        let lines = connection(&CallError::NoSuchFile, &session).join("\n");
        assert!(lines.contains("nor a directory"), "{lines}");
        assert!(lines.contains("not running, as far as its pid file tells"), "{lines}");
        assert!(lines.contains(&format!("in {}", session.configuration.as_ref().unwrap().display())), "{lines}");
        fs::create_dir(folder.path().join("run")).unwrap();
        let lines = connection(&CallError::NoSuchFile, &session).join("\n");
        assert!(lines.contains("run belongs to ") && lines.contains(", mode 07"), "{lines}");
        let given = Session { address_origin: AddressOrigin::CommandLine, ..session.clone() };
        let lines = connection(&CallError::NoSuchFile, &given).join("\n");
        assert!(lines.contains("the configuration is "), "{lines}");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::write(&pidfile, format!("{}\n", std::process::id())).unwrap();
        let lines = connection(&CallError::Refused, &session).join("\n");
        assert!(lines.contains("mode 0") && lines.contains("which lives"), "{lines}");
        fs::write(&pidfile, "4194305\n").unwrap();
        let lines = connection(&CallError::Refused, &session).join("\n");
        assert!(lines.contains("names process 4194305, which does not live"), "{lines}");
    }
}
