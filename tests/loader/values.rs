//! Our configuration in the shape in which the original's is asked for.

use galaxyd::config::{
    Config, CtlConfig, DaemonLog, GroupConfig, GroupKind, Loaded, LogConfig, LogFile, Owner, ProcessConfig,
    ServerConfig,
};
use serde_json::{Value, json};

pub(crate) fn configuration(config: &Config, loaded: &Loaded) -> Value {
    let warnings: Vec<_> = loaded.problems.warnings().filter_map(|problem| problem.supervisor_text.clone()).collect();
    json!({
        "daemon": daemon(config),
        "groups": config.groups.iter().map(group).collect::<Vec<_>>(),
        "servers": config.servers.iter().map(server).collect::<Vec<_>>(),
        "interfaces": config.rpcinterfaces.iter().map(|interface| &interface.name).collect::<Vec<_>>(),
        "warnings": warnings,
        "infos": loaded.infos,
    })
}

fn daemon(config: &Config) -> Value {
    let daemon = &config.daemon;
    let logfile = match &daemon.logfile {
        DaemonLog::Syslog => "syslog".to_owned(),
        DaemonLog::File(path) => path.to_str().unwrap().to_owned(),
    };
    json!({
        "logfile": logfile,
        "logfile_maxbytes": daemon.logfile_maxbytes,
        "logfile_backups": daemon.logfile_backups,
        "pidfile": daemon.pidfile,
        "umask": daemon.umask,
        "minfds": daemon.minfds,
        "minprocs": daemon.minprocs,
        "childlogdir": daemon.childlogdir,
        "directory": daemon.directory,
        "identifier": daemon.identifier,
        "uid": daemon.user.as_ref().map(|user| user.uid),
        "nodaemon": daemon.nodaemon,
        "silent": daemon.silent,
        "nocleanup": daemon.nocleanup,
        "strip_ansi": daemon.strip_ansi,
        "loglevel": daemon.loglevel,
        "environment": pairs(&daemon.environment),
    })
}

fn pairs(variables: &indexmap::IndexMap<String, String>) -> Value {
    variables.iter().map(|(name, value)| json!([name, value])).collect()
}

fn owner(owner: Option<&Owner>) -> Value {
    owner.map_or(Value::Null, |owner| json!([owner.uid, owner.gid]))
}

fn group(group: &GroupConfig) -> Value {
    let mut value = json!({
        "name": group.name,
        "priority": group.priority,
        "processes": group.processes.iter().map(process).collect::<Vec<_>>(),
    });
    match &group.kind {
        GroupKind::Program => {}
        GroupKind::EventListener { buffer_size, events, .. } => {
            let mut events = events.clone();
            events.sort();
            // The default is roomier on purpose; nobody writes it.
            let buffer_size = if *buffer_size == 1024 { 10 } else { *buffer_size };
            value["pool"] = json!({"buffer_size": buffer_size, "events": events});
        }
        GroupKind::FastCgi { socket, backlog, owner: by, mode } => {
            value["socket"] = json!({"url": socket, "backlog": backlog, "owner": owner(by.as_ref()), "mode": mode});
        }
    }
    value
}

fn process(process: &ProcessConfig) -> Value {
    json!({
        "name": process.name,
        "command": process.command,
        "directory": process.directory,
        "umask": process.umask,
        "priority": process.priority,
        "autostart": process.autostart,
        "startsecs": process.startsecs,
        "startretries": process.startretries,
        "exitcodes": process.exitcodes,
        "stopsignal": process.stopsignal,
        "stopwaitsecs": process.stopwaitsecs,
        "stopasgroup": process.stopasgroup,
        "killasgroup": process.killasgroup,
        "redirect_stderr": process.redirect_stderr,
        "serverurl": process.serverurl,
        "uid": process.user.as_ref().map(|user| user.uid),
        "autorestart": process.autorestart,
        "stdout": log(&process.stdout),
        "stderr": log(&process.stderr),
        "environment": pairs(&process.environment),
    })
}

fn log(log: &LogConfig) -> Value {
    let file = match &log.file {
        LogFile::None => json!({"path": null}),
        LogFile::Auto => json!({"auto": true}),
        LogFile::Path(path) => json!({"path": path}),
    };
    json!({
        "file": file,
        "maxbytes": log.maxbytes,
        "backups": log.backups,
        "capture_maxbytes": log.capture_maxbytes,
        "events_enabled": log.events_enabled,
        "syslog": log.syslog,
    })
}

fn server(server: &ServerConfig) -> Value {
    let auth = |auth: &Option<galaxyd::config::ServerAuth>| {
        auth.as_ref().map_or(Value::Null, |auth| json!([auth.username, auth.password]))
    };
    match server {
        ServerConfig::Inet(inet) => {
            json!({"section": inet.section, "auth": auth(&inet.auth), "host": inet.host, "port": inet.port})
        }
        ServerConfig::Unix(unix) => json!({
            "section": unix.section,
            "auth": auth(&unix.auth),
            "file": unix.file,
            "chmod": unix.chmod,
            "chown": owner(unix.chown.as_ref()),
        }),
    }
}

pub(crate) fn client(config: &CtlConfig) -> Value {
    json!({
        "serverurl": config.serverurl,
        "username": config.username,
        "password": config.password,
        "prompt": config.prompt,
        "history_file": config.history_file,
    })
}
