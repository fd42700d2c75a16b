//! `scale [--deadline=TIME] GROUP:PROGRAM N`

use std::io::{self, Write as _};
use std::path::Path;

use super::{start, update};
use crate::config::NUMPROCS_MAX;
use crate::ctl::draining::{After, Subject, Terms, Until, possessions};
use crate::ctl::exit::ExitCode;
use crate::ctl::handlers::reach;
use crate::ctl::name;
use crate::ctl::run::host;
use crate::ctl::scalable::Scalable;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;
use crate::database::Owner;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let taken = Terms::take(&words).and_then(|(terms, names)| match names.as_slice() {
        _ if terms.force => Err("scale has no --force: reassign what would be stranded".to_owned()),
        [program, count] => Ok((terms, (*program).to_owned(), number(count)?)),
        _ => Err("scale wants a program and a number of processes".to_owned()),
    });
    let (terms, word, count) = match taken {
        Ok(taken) => taken,
        Err(text) => {
            shell.usage(&format!("Error: {text}"), "scale", ExitCode::Usage);
            return Ok(Flow::Continue);
        }
    };
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let Some(path) = shell.session.configuration.clone() else {
        shell.refuse("Error: no configuration file was found; name it with -c");
        return Ok(Flow::Continue);
    };
    let outcome = Scalable::read(&path, &word, &host()).and_then(|now| {
        let then = Scalable::read(&path, &word, &host().with_file(&now.file, format!("{count}\n")))?;
        Ok((now, then))
    });
    match outcome {
        Ok((now, then)) => scale(shell, &now, &then, count, terms)?,
        Err(text) => shell.refuse(&format!("Error: {text}")),
    }
    Ok(Flow::Continue)
}

fn number(text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| (1..=NUMPROCS_MAX).contains(number));
    number.ok_or_else(|| {
        format!("'{text}' is no number of processes: 1 to {NUMPROCS_MAX}; `stop` stops all of a program")
    })
}

fn scale(shell: &mut Shell, now: &Scalable, then: &Scalable, count: i64, terms: Terms) -> Result<(), Trouble> {
    if now.processes == then.processes {
        shell.line(format!("{} has {count} processes already", now.name));
        return Ok(());
    }
    let leaving: Vec<String> = now.processes.iter().filter(|one| !then.processes.contains(one)).cloned().collect();
    if !leaving.is_empty() && !is_empty_of_jobs(shell, &leaving, terms)? {
        return Ok(());
    }
    let before = std::fs::read(&now.file).ok();
    if let Err(error) = write(&now.file, format!("{count}\n").as_bytes()) {
        shell.refuse(&format!("Error: {} cannot be written: {error}; nothing was changed", now.file.display()));
        return Ok(());
    }
    shell.set_exit(ExitCode::Success);
    let mut groups = now.groups.clone();
    groups.extend(then.groups.iter().filter(|group| !now.groups.contains(group)).cloned());
    update::run(shell, &groups.join(" "))?;
    if shell.exit() == ExitCode::Success {
        return Ok(());
    }
    // The daemon did not take it: what the file said before stays true.
    let restored = match before {
        Some(bytes) => write(&now.file, &bytes),
        None => std::fs::remove_file(&now.file),
    };
    if let Err(error) = restored {
        shell.refuse(&format!("Error: {} cannot be put back: {error}", now.file.display()));
    }
    Ok(())
}

/// Waits until those that go own nothing, and stops them. `false`: they stay, which was told.
fn is_empty_of_jobs(shell: &mut Shell, leaving: &[String], terms: Terms) -> Result<bool, Trouble> {
    let Some(systems) = shell.handling_systems() else { return Ok(false) };
    let subjects = || {
        let all = systems.iter().flat_map(|system| system.handlers.iter().map(move |handler| (system, handler)));
        let leave = all.filter(|(_, handler)| leaving.contains(&name::join(&handler.group, &handler.process)));
        leave.map(|(system, handler)| Subject { system: system.clone(), handler: handler.clone() })
    };
    if !shell.drain(subjects().collect(), terms, Until::Empty, After::Nothing)? {
        return Ok(false);
    }
    for subject in subjects() {
        let process = name::join(&subject.handler.group, &subject.handler.process);
        let owner = Owner::from(&subject.handler.name);
        let left = reach(&subject.system)
            .and_then(|database| possessions(&database, &owner).map_err(|error| error.to_string()));
        let why = match left {
            Ok((0, 0)) => continue,
            Ok((jobs, invocations)) => format!("owns {jobs} jobs and {invocations} invocations by now"),
            Err(why) => format!("may own jobs: {why}"),
        };
        shell.refuse(&format!("{process} {why}: it is started again, and there are as many processes as before"));
        start::start_named(shell, &leaving.join(" "))?;
        shell.set_exit(ExitCode::Generic);
        return Ok(false);
    }
    Ok(true)
}

/// Whole or not at all.
fn write(file: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    let written = std::fs::OpenOptions::new().write(true).create_new(true).open(&new).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| std::fs::rename(&new, file));
    if placed.is_err() {
        // The error that counts is the one above.
        let _ = std::fs::remove_file(&new);
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_processes_is_one_or_more() {
        assert_eq!(number("5"), Ok(5));
        for wrong in ["0", "-1", "five", "10001", ""] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("n");
        write(&file, b"3\n").unwrap();
        write(&file, b"4\n").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"4\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("none/n"), b"5\n").is_err());
    }
}
