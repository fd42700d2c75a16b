//! What a daemon left that was killed together with its worker: found by the launcher before anything is started, so that
//! nothing is started twice.

use std::fs::File;
use std::os::fd::OwnedFd;

use super::journal::{self, Snapshot};
use super::pidfile::{self, Claim, LEAVING_WAIT};
use super::state_files::{self, StateFiles, Unusable};
use crate::config::{self, Config, DaemonConfig};
use crate::keeper::{Entry, ROLL_HELD_NAME, read_roll};
use crate::sys::clock;
use crate::sys::proc_table::{self, Identity, Standing};

/// So many processes are named in a refusal.
const NAMED_MAX: usize = 10;

/// A daemon to go on with.
#[derive(Debug)]
pub(super) struct Estate {
    /// For the keeper: the roll, locked, the journal and their directory.
    pub(super) held: Vec<(String, OwnedFd)>,
    pub(super) snapshot: Snapshot,
    pub(super) living: usize,
    pub(super) ended: usize,
}

/// Whether it is worth looking: a cheap guess, for a daemon that would be refused otherwise.
pub(super) fn is_possible(daemon: &DaemonConfig) -> bool {
    StateFiles::open(daemon).is_ok_and(|files| files.roll_path().exists())
}

/// What is there for a daemon with this configuration.
///
/// # Errors
/// Programs run, or may run, and nobody knows of which configuration they are: the text says so, and what to do.
pub(super) fn find(daemon: &DaemonConfig, claim: &Claim) -> Result<Option<Estate>, String> {
    // Files that cannot be used are told when they are made.
    let Ok(files) = StateFiles::open(daemon) else { return Ok(None) };
    let Some(roll) = free_roll(&files, claim)? else { return Ok(None) };
    let path = files.roll_path();
    let path = path.display();
    let entries = read_roll(&roll).map_err(|error| unusable(&files, &error))?;
    let Some(entries) = entries else { return Ok(None) };
    let living: Vec<&Entry> = entries.iter().filter(|entry| lives(entry)).collect();
    let problem = match inherit(&files, claim) {
        Ok((journal, snapshot)) => {
            let held = held(&files, roll, journal)?;
            let (living, ended) = (living.len(), entries.len() - living.len());
            return Ok(Some(Estate { held, snapshot, living, ended }));
        }
        Err(problem) => problem,
    };
    if living.is_empty() {
        return Ok(None);
    }
    let pids: Vec<String> = living.iter().take(NAMED_MAX).map(|entry| entry.program.pid.to_string()).collect();
    let more = if living.len() > NAMED_MAX { " and others" } else { "" };
    Err(format!(
        "Programs of a daemon that was killed still run (processes {}{more}, known by {path}), but {problem}.  They would be \
         started a second time; end them, remove {path} and start again.",
        pids.join(", ")
    ))
}

/// The roll, if there is one and it is not of a daemon with another configuration that runs. A daemon with ours does not run,
/// or we would have been refused; but what is left of it may not have let go of the roll yet.
fn free_roll(files: &StateFiles, claim: &Claim) -> Result<Option<File>, String> {
    let begin = clock::monotonic();
    loop {
        match files.roll() {
            Ok(roll) => return Ok(roll),
            Err(Unusable::Busy) if is_anothers(files, claim) => return Ok(None),
            Err(Unusable::Busy) if clock::monotonic().saturating_sub(begin) < LEAVING_WAIT => {
                pidfile::pause();
            }
            Err(Unusable::Busy) => {
                return Err(format!(
                    "A process of the former daemon has not ended yet and keeps {}; end it, or wait, and start again.",
                    files.roll_path().display()
                ));
            }
            // Nobody knows whether programs of a former daemon run.
            Err(error) => return Err(unusable(files, &error)),
        }
    }
}

fn unusable(files: &StateFiles, error: &dyn std::fmt::Display) -> String {
    format!(
        "{}, by which the programs of a daemon that was killed are found, cannot be used: {error}.  Make sure \
         that none of its programs runs, then remove the file and start again.",
        files.roll_path().display()
    )
}

fn is_anothers(files: &StateFiles, claim: &Claim) -> bool {
    let journal = files.journal().ok().flatten().and_then(|mut journal| journal::read(&mut journal).ok());
    let former = journal.and_then(|(snapshot, ..)| snapshot.launch.claim);
    former.is_some_and(|former| former != *claim)
}

/// Whether it may live: of what cannot be found out nobody starts a second one.
fn lives(entry: &Entry) -> bool {
    let identity = Identity { pid: entry.program.pid, start: entry.start };
    let is_it = |found: proc_table::Entry| found.identity == identity && found.standing != Standing::Ended;
    entry.program.ended.is_none() && proc_table::one(identity.pid).map_or(true, |found| found.is_some_and(is_it))
}

fn inherit(files: &StateFiles, claim: &Claim) -> Result<(File, Snapshot), String> {
    let path = files.journal_path();
    let path = path.display();
    let mut journal = match files.journal() {
        Ok(Some(journal)) => journal,
        Ok(None) => return Err(format!("there is no {path}")),
        Err(error) => return Err(format!("{path} cannot be used: {error}")),
    };
    let (snapshot, ..) = journal::read(&mut journal).map_err(|error| format!("{path} cannot be used: {error}"))?;
    match &snapshot.launch.claim {
        Some(former) if former.is_akin(claim) => Ok((journal, snapshot)),
        Some(former) => Err(format!("they are of the configuration {}", former.file.display())),
        None => Err(format!("{path} does not say of which configuration they are")),
    }
}

fn held(files: &StateFiles, roll: File, journal: File) -> Result<Vec<(String, OwnedFd)>, String> {
    let directory = files.directory().map_err(|error| error.to_string())?;
    Ok(vec![
        (state_files::HELD_NAME.to_owned(), directory),
        (ROLL_HELD_NAME.to_owned(), roll.into()),
        (journal::HELD_NAME.to_owned(), journal.into()),
    ])
}

impl Estate {
    /// What the new daemon says of it.
    pub(super) fn describe(&self) -> String {
        let Estate { living, ended, .. } = self;
        format!(
            "the daemon before this one was killed; {living} programs that it left running are taken over, {ended} ended \
             meanwhile"
        )
    }

    /// The groups that the file has otherwise, which do not matter now.
    pub(super) fn differing(&self, config: &Config) -> Option<String> {
        let active: Vec<_> = self.snapshot.active.values().cloned().collect();
        let difference = config::difference(&active, &config.groups);
        let names: Vec<String> = [difference.added, difference.changed, difference.removed].concat();
        (!names.is_empty()).then(|| {
            format!(
                "the configuration file differs from what is in force ({}); `galaxyctl update` applies it",
                names.join(", ")
            )
        })
    }
}

/// The files of a daemon that begins: what its keeper holds. Where they cannot be had, its programs are lost should keeper
/// and worker be killed.
///
/// # Errors
/// [`Unusable`], with the file's name.
pub(super) fn found(daemon: &DaemonConfig) -> Result<Vec<(String, OwnedFd)>, String> {
    let described = |path: std::path::PathBuf, error: Unusable| format!("{}: {error}", path.display());
    let files = StateFiles::open(daemon).map_err(|error| error.to_string())?;
    let roll = files.make_roll().map_err(|error| described(files.roll_path(), error))?;
    let directory = files.directory().map_err(|error| error.to_string())?;
    Ok(vec![(state_files::HELD_NAME.to_owned(), directory), (ROLL_HELD_NAME.to_owned(), roll.into())])
}
