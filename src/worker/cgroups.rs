//! A cgroup for each run of a program, where the daemon has a place for them: whoever is in it came from that run, whatever
//! session, process group or environment it has by now.
//!
//! The place is a cgroup of the daemon's own below the one that was handed over, named by the keeper's pid and start and by
//! the number of the worker that made it, so that neither two daemons nor a reloaded one and its former programs meet. A
//! run's cgroup is named by the process' number and attempt: a successor finds it by what the engine's record says. The
//! daemon itself stays where it was put. All of this is done on side threads, but for the start, when nobody waits yet.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::confinement::{self, WAY_OUT};
use super::ending::FAREWELL_MAX;
use super::scarcity;
use super::spawning::Wanted;
use super::worker::{Done, Worker};
use crate::config::{CgroupChoice, Limits};
use crate::engine::{ProcessId, ProcessState, SpawnError};
use crate::logs::{Level, log};
use crate::sys::{cgroup, proc_table, side};

/// What all our cgroups' names begin with.
const PREFIX: &str = "galaxyd";

/// So much of a program's name is in that of its cgroup, for people: a file's name has 255 bytes for everything.
const NAME_MAX_BYTES: usize = 100;

/// The cgroups of programs.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    /// Below it each run has its own; `None`: there are none.
    directory: Option<PathBuf>,
    /// Why there are none.
    absence: String,
    /// Of runs that are over and were left by some only: removed when the last one ends.
    lingering: BTreeSet<PathBuf>,
    tidying: bool,
    /// Somebody ended meanwhile.
    again: bool,
    warned: Warned,
}

/// Whether it was said that a program got no cgroup: once is enough.
#[derive(Debug, Clone, Default)]
pub(super) struct Warned(Arc<AtomicBool>);

impl Warned {
    pub(super) fn warn(&self, name: &str, why: &dyn std::fmt::Display) {
        if !self.0.swap(true, Ordering::AcqRel) {
            let text = format!(
                "'{name}' runs without a cgroup of its own ({why}), so what it leaves behind may be overlooked; not said again"
            );
            log(Level::Warn, &text);
        }
    }
}

/// Where a run that is about to begin gets its cgroup.
#[derive(Debug)]
pub(super) struct Room {
    /// Or why there is none.
    path: Result<PathBuf, String>,
    name: String,
    limits: Limits,
    warned: Warned,
}

impl Room {
    /// Whether the run must not begin without it.
    pub(super) fn is_required(&self) -> bool {
        !self.limits.is_none()
    }

    /// Makes it. Without it the program runs all the same, unless it has limits. Not for the control loop.
    ///
    /// # Errors
    ///
    /// Its limits cannot be enforced.
    pub(super) fn door(&self) -> Result<Option<OwnedFd>, SpawnError> {
        let refused =
            |why: &dyn std::fmt::Display| format!("{} cannot be enforced for '{}': {why}", self.limits, self.name);
        let path = match &self.path {
            Ok(path) => path,
            Err(_) if !self.is_required() => return Ok(None),
            Err(why) => return Err(SpawnError::Failed(refused(&format!("{why}; {WAY_OUT}")))),
        };
        match make_run(path) {
            Ok(door) if !self.is_required() => Ok(Some(door)),
            Ok(door) => {
                let directory = path.parent().unwrap_or(path);
                confinement::impose(directory, path, &self.limits).map_err(SpawnError::Failed)?;
                Ok(Some(door))
            }
            Err(error) if !self.is_required() => {
                self.warned.warn(&self.name, &error);
                Ok(None)
            }
            Err(error) if error.raw_os_error().is_some_and(scarcity::is_starved) => {
                Err(SpawnError::Starved(refused(&error)))
            }
            Err(error) => Err(SpawnError::Failed(refused(&error))),
        }
    }
}

fn make_run(path: &Path) -> io::Result<OwnedFd> {
    cgroup::create(path).or_else(|error| match path.parent() {
        // Somebody tidied up.
        Some(above) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir(above)?;
            cgroup::create(path)
        }
        _ => Err(error),
    })
}

impl Cgroups {
    /// Finds a place and begins anew there. `keeper` is the daemon's pid, `generation` the worker's number.
    pub(super) fn start(choice: &CgroupChoice, keeper: u32, generation: u64) -> Cgroups {
        let made = match choice {
            CgroupChoice::None => return Cgroups::absent("cgroup=none".to_owned()),
            CgroupChoice::Auto => match cgroup::delegated() {
                Ok(base) => make(&base, keeper, generation),
                Err(why) => {
                    log(Level::Trace, &format!("programs get no cgroups of their own: {why}"));
                    return Cgroups::absent(why);
                }
            },
            CgroupChoice::Below(base) => cgroup::usable(base).and_then(|()| make(base, keeper, generation)),
        };
        match made {
            Ok(directory) => {
                log(Level::Info, &format!("programs get cgroups of their own in {}", directory.display()));
                Cgroups { directory: Some(directory), ..Cgroups::default() }
            }
            Err(why) => {
                log(Level::Warn, &format!("programs get no cgroups of their own: {why}"));
                Cgroups::absent(why)
            }
        }
    }

    fn absent(absence: String) -> Cgroups {
        Cgroups { absence, ..Cgroups::default() }
    }

    /// Goes on where a predecessor was.
    pub(super) fn resume(directory: Option<PathBuf>) -> Cgroups {
        let absence = "the daemon found no cgroup that it may use when it was started".to_owned();
        Cgroups { directory, absence, ..Cgroups::default() }
    }

    /// For a successor.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        self.directory.clone()
    }

    /// How a part of the path of each program's cgroup begins, also of those before a reload.
    pub(super) fn mark(&self) -> Option<String> {
        let name = self.directory.as_ref()?.file_name()?.to_str()?;
        name.rsplit_once('-').map(|(daemon, _)| format!("{daemon}-"))
    }

    /// Why there are none, where there are none.
    pub(super) fn absence(&self) -> String {
        self.absence.clone()
    }

    pub(super) fn warned(&self) -> &Warned {
        &self.warned
    }

    fn path(&self, group: &str, name: &str, run: Wanted) -> Option<PathBuf> {
        let name = format!("{}:{}.{run}", harmless(group), harmless(name));
        Some(self.directory.as_ref()?.join(name))
    }
}

/// Makes the daemon's own cgroup, and removes what daemons that are no more left there.
fn make(base: &Path, keeper: u32, generation: u64) -> Result<PathBuf, String> {
    for path in cgroup::below(base) {
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| is_stale(name, keeper)) {
            clear(&path);
        }
    }
    let me = i32::try_from(keeper).ok().and_then(|pid| proc_table::one(pid).ok()?);
    let start = me.map_or(0, |entry| entry.identity.start);
    let directory = base.join(format!("{PREFIX}-{keeper}-{start}-{generation}"));
    match cgroup::create(&directory) {
        Ok(_) => Ok(directory),
        Err(error) => Err(format!("{}: {error}", directory.display())),
    }
}

/// Whether a name is one of ours, of a daemon that is no more or of our own former life.
fn is_stale(name: &str, keeper: u32) -> bool {
    let mut fields = name.split('-');
    let (Some(PREFIX), Some(pid), Some(start), Some(_), None) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return false;
    };
    let (Ok(pid), Ok(start)) = (pid.parse::<i32>(), start.parse::<u64>()) else { return false };
    // What cannot be found out may live.
    let lives = proc_table::one(pid).map_or(true, |entry| entry.is_some_and(|entry| entry.identity.start == start));
    !lives || u32::try_from(pid) == Ok(keeper)
}

/// Removes all that nobody is in. Who is in one is somebody who was left alone.
fn clear(directory: &Path) {
    for run in cgroup::below(directory) {
        let _ = cgroup::remove(&run);
    }
    let _ = std::fs::remove_dir(directory);
}

/// A name as part of a file's name: other characters than these become `_`; what tells runs apart are their numbers.
fn harmless(name: &str) -> String {
    let keep = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    name.chars().map(|character| if keep(character) { character } else { '_' }).take(NAME_MAX_BYTES).collect()
}

impl Worker {
    /// The cgroup of a run; `None` where there are none. It may be gone, or never have been.
    pub(super) fn cgroup(&self, process: ProcessId, attempt: u32) -> Option<PathBuf> {
        let view = self.engine.process(process)?;
        let name = &self.process_config(process)?.name;
        self.cgroups.path(view.group, name, Wanted { process, attempt })
    }

    /// The cgroup of the latest run.
    pub(super) fn present_cgroup(&self, process: ProcessId) -> Option<PathBuf> {
        self.cgroup(process, self.engine.process(process)?.attempt)
    }

    /// Where the next run of a process is to live.
    pub(super) fn room(&self, wanted: Wanted) -> Option<Room> {
        let limits = self.process_config(wanted.process)?.extras.limits;
        let path = self.cgroup(wanted.process, wanted.attempt).ok_or_else(|| self.cgroups.absence());
        Some(Room { path, name: self.bare_name(wanted.process), limits, warned: self.cgroups.warned().clone() })
    }

    /// A run is over and its cgroup still there: it goes when nobody is in it any more.
    pub(super) fn linger(&mut self, cgroup: PathBuf) {
        self.cgroups.lingering.insert(cgroup);
        self.tidy_cgroups();
    }

    /// Goes on with the cgroups of a predecessor's runs.
    pub(super) fn resume_cgroups(&mut self) {
        self.find_lingering();
        self.confine_all();
    }

    /// The cgroups of former runs that a predecessor did not remove.
    fn find_lingering(&mut self) {
        let Some(directory) = self.cgroups.directory() else { return };
        let in_use: BTreeSet<PathBuf> = self
            .engine
            .everybody()
            .filter(|view| view.pid.is_some() || matches!(view.state, ProcessState::Starting | ProcessState::Stopping))
            .filter_map(|view| self.cgroup(view.process, view.attempt))
            .collect();
        self.cgroups.lingering = cgroup::below(&directory).into_iter().filter(|path| !in_use.contains(path)).collect();
        self.tidy_cgroups();
    }

    /// Somebody ended: perhaps a cgroup is empty now.
    pub(super) fn tidy_cgroups(&mut self) {
        if self.cgroups.lingering.is_empty() {
            return;
        }
        self.cgroups.again = self.cgroups.tidying;
        if self.cgroups.tidying {
            return;
        }
        self.cgroups.tidying = true;
        let lingering = self.cgroups.lingering.clone();
        let done = self.done_sender.clone();
        side::run(move || {
            let gone = lingering.into_iter().filter(|path| cgroup::remove(path).is_ok()).collect();
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::Tidied(gone));
        });
    }

    pub(super) fn tidied(&mut self, gone: &[PathBuf]) {
        self.cgroups.tidying = false;
        for path in gone {
            self.cgroups.lingering.remove(path);
        }
        if std::mem::take(&mut self.cgroups.again) {
            self.tidy_cgroups();
        }
    }

    /// Everything is stopped: what is empty is removed.
    pub(super) async fn leave_cgroups(&mut self) {
        let Some(directory) = self.cgroups.directory.take() else { return };
        let clearing = side::run(move || clear(&directory));
        if tokio::time::timeout(FAREWELL_MAX, clearing).await.is_err() {
            log(Level::Warn, "the cgroups of the programs were not removed in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_lead_elsewhere() {
        let cgroups = Cgroups::resume(Some("/d".into()));
        let run = Wanted { process: ProcessId(3), attempt: 4 };
        for (group, name, wanted) in [
            ("web", "web_1-a", "/d/web:web_1-a.3.4"),
            ("..", "../../x", "/d/__:______x.3.4"),
            ("", "a b\nü\0", "/d/:a_b___.3.4"),
        ] {
            assert_eq!(cgroups.path(group, name, run), Some(wanted.into()), "{name:?}");
        }
        let long = cgroups.path(&"g".repeat(999), &"p".repeat(999), run).unwrap();
        assert!(long.file_name().unwrap().len() < 255);
        assert_eq!(Cgroups::default().path("a", "b", run), None);
    }

    #[test]
    fn only_cgroups_of_daemons_that_are_no_more_are_stale() {
        let me = std::process::id();
        let start = proc_table::one(i32::try_from(me).unwrap()).unwrap().unwrap().identity.start;
        assert!(!is_stale(&format!("galaxyd-{me}-{start}-1"), me + 1), "somebody else's who lives");
        assert!(is_stale(&format!("galaxyd-{me}-{start}-1"), me), "our own of before a reload");
        assert!(is_stale(&format!("galaxyd-{me}-{}-1", start + 1), me + 1), "whose pid is another's now");
        for other in ["galaxyd", "galaxyd-1", "galaxyd-a-b-c", "galaxyd-1-2-3-4", "system.slice", ""] {
            assert!(!is_stale(other, me), "{other}");
        }
    }
}
