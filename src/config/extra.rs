//! The keys of a program that Supervisor does not have: what kind it is, where its environment comes from, what happens
//! to the processes it leaves behind.

use super::dependencies::DependsOn;
use super::expansion::Scope;
use super::limits;
use super::lookup::Complaint;
use super::model::{EnvironmentFile, Extras};
use super::reader::{Place, Reader};
use super::restarts;
use super::rollout::Rollout;
use super::schema::SectionKind;
use super::value;
use crate::engine::Kind;

/// More files than this are refused for one program: each is read at every start.
const ENVIRONMENT_FILES_MAX: usize = 16;

/// Reads them for all processes of a section.
pub(super) fn extras(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> Extras {
    let kind = reader.typed(place, "type", scope, |text, _| kind_of(text)).unwrap_or_default();
    if place.kind == SectionKind::EventListener {
        let refused = match kind {
            Kind::Service => None,
            Kind::Oneshot => Some(("an event listener cannot be a oneshot", "a listener runs until it is stopped")),
            Kind::Forking => Some(("an event listener cannot be forking", "a listener is asked where it was started")),
        };
        if let Some((text, why)) = refused {
            reader.complain(place, "type", Complaint::new(text, format!("leave out type: {why}")));
        }
    }
    Extras {
        kind,
        killtree: reader.boolean(place, "killtree", scope),
        // This too differs from process to process.
        pidfile: None,
        // Read with `numprocs`.
        numprocs_file: None,
        restarts: restarts::restarts(reader, place, scope),
        // These differ from process to process.
        ready: None,
        depends_on: DependsOn::default(),
        wait_for: Vec::new(),
        rollout: Rollout::default(),
        output_rate_max: reader.typed(place, "output_rate_max", scope, |text, _| rate(text)),
        limits: limits::limits(reader, place, scope),
        clear_environment: reader.boolean(place, "clear_environment", scope),
        user_environment: reader.boolean(place, "user_environment", scope),
        environment_files: reader
            .typed(place, "environment_file", scope, |text, _| environment_files(text))
            .unwrap_or_default(),
    }
}

/// The `pidfile` of one process, whose number the scope knows. Without `type=forking` it has no meaning, as in Supervisor.
pub(super) fn pidfile(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope, kind: Kind) -> Option<String> {
    if kind != Kind::Forking {
        return None;
    }
    reader.typed(place, "pidfile", scope, |text, _| absolute(text.trim()).map(str::to_owned))
}

fn absolute(path: &str) -> Result<&str, Complaint> {
    if path.starts_with('/') {
        return Ok(path);
    }
    let text = format!("'{path}' is not an absolute path");
    Err(Complaint::new(text, "begin it with / or, for a path beside the configuration, with %(here)s/"))
}

fn kind_of(text: &str) -> Result<Kind, Complaint> {
    match text.trim() {
        "service" => Ok(Kind::Service),
        "oneshot" => Ok(Kind::Oneshot),
        "forking" => Ok(Kind::Forking),
        other => {
            Err(Complaint::new(format!("'{other}' is not a type of program"), "write service, oneshot or forking"))
        }
    }
}

/// At least what one line of a traceback needs, so that something is seen of each second.
const RATE_MIN: u64 = 1024;

fn rate(text: &str) -> Result<u64, Complaint> {
    let bytes = value::byte_size(text)?;
    u64::try_from(bytes).ok().filter(|bytes| *bytes >= RATE_MIN).ok_or_else(|| {
        Complaint::new(
            format!("output_rate_max={text} is less than {RATE_MIN} bytes a second"),
            "write 1KB or more, or leave it out for no limit",
        )
    })
}

fn environment_files(text: &str) -> Result<Vec<EnvironmentFile>, Complaint> {
    let files: Vec<EnvironmentFile> = value::list_of_strings(text)
        .iter()
        .map(|part| match part.strip_prefix('-') {
            Some(path) => EnvironmentFile { path: path.trim().to_owned(), optional: true },
            None => EnvironmentFile { path: part.clone(), optional: false },
        })
        .collect();
    if files.len() > ENVIRONMENT_FILES_MAX {
        let text = format!("{} files are more than the {ENVIRONMENT_FILES_MAX} that one program may have", files.len());
        return Err(Complaint::new(text, "join them"));
    }
    files.iter().try_for_each(|file| absolute(&file.path).map(drop))?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Loaded, Overrides, load};

    fn loaded(section: &str, keys: &str) -> Loaded {
        let text = format!("[supervisord]\n[{section}]\ncommand=a\n{keys}\n");
        load(Path::new("/etc/a.conf"), &Overrides::default(), &MadeUp::new().file("/etc/a.conf", &text))
    }

    fn read(keys: &str) -> Extras {
        let loaded = loaded("program:a", keys);
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
        config.groups[0].processes[0].extras.clone()
    }

    #[test]
    fn without_them_nothing_is_different_from_supervisor() {
        assert_eq!(read(""), Extras::default());
    }

    #[test]
    fn each_is_read() {
        let file = |path: &str, optional| EnvironmentFile { path: path.to_owned(), optional };
        assert_eq!(read("type=oneshot").kind, Kind::Oneshot);
        assert_eq!(read("type=forking").kind, Kind::Forking);
        assert_eq!(read("type=service").kind, Kind::Service);
        assert_eq!(read("type=forking\npidfile=/run/%(program_name)s.pid").pidfile.as_deref(), Some("/run/a.pid"));
        assert_eq!(read("pidfile=none of ours").pidfile, None, "Supervisor ignores it");
        assert!(read("killtree=true").killtree);
        assert!(read("user_environment=yes").user_environment);
        assert!(read("clear_environment=on").clear_environment);
        assert_eq!(
            read("environment_file=/etc/%(program_name)s.env, -%(here)s/b.env").environment_files,
            [file("/etc/a.env", false), file("/etc/b.env", true)]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (section, keys, wanted) in [
            ("program:a", "type=daemon", "'daemon' is not a type of program"),
            ("program:a", "killtree=perhaps", "not a valid boolean value: 'perhaps'"),
            ("program:a", "environment_file=a.env", "'a.env' is not an absolute path"),
            ("program:a", "type=forking\npidfile=a.pid", "'a.pid' is not an absolute path"),
            ("program:a", "environment_file=/a,,/b", "'' is not an absolute path"),
            ("eventlistener:a", "events=TICK_5\ntype=oneshot", "an event listener cannot be a oneshot"),
            ("eventlistener:a", "events=TICK_5\ntype=forking", "an event listener cannot be forking"),
        ] {
            let loaded = loaded(section, keys);
            assert!(loaded.config.is_none(), "{keys}");
            assert!(format!("{:?}", loaded.problems).contains(wanted), "{:?}", loaded.problems);
        }
        let many: Vec<String> = (0..=ENVIRONMENT_FILES_MAX).map(|number| format!("/{number}")).collect();
        assert!(loaded("program:a", &format!("environment_file={}", many.join(","))).config.is_none());
    }
}
