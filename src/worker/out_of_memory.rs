//! Whom the kernel's OOM killer ended, and whose memory it was that was used up.
//!
//! The kernel counts both in `memory.events` of cgroups. Where the memory controller is enabled for a run's own cgroup, that
//! says all of the run. Elsewhere the nearest cgroup above counts for everybody who lives below it: there a death by SIGKILL
//! that nobody of us sent, soon after a kill that was counted, is that kill. Without the controller nothing is known.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::AddWatchFlags;

use super::worker::{Done, Worker, now};
use crate::engine::{Exit, Moment, OomScope, Pid, ProcessId, ProcessState};
use crate::logs::{Level, log};
use crate::sys::{cgroup, inotify};

/// So long after the kernel's deed a death counts as it: much memory is given back and the last output read before.
const EXPLAINS: Duration = Duration::from_secs(30);

/// Between two looks: a program that lives at its limit has the kernel count a hundred times a second.
const PAUSE: Duration = Duration::from_secs(1);

/// What the kernel counted for the daemon and its programs together.
#[derive(Debug, Default)]
pub(super) struct OomKills {
    /// Where kills are counted, then each cgroup above it. None: the kernel does not count.
    levels: Vec<PathBuf>,
    /// There are cgroups above which this namespace does not show.
    hidden: bool,
    counts: Counts,
    kills: Option<Kills>,
    /// One of the levels was at its limit since the last kill.
    above: bool,
    /// Something below the first level was, which a limit of its own holds.
    below: bool,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Counts {
    kills: u64,
    /// How often each level was at its own limit.
    at_limit: Vec<u64>,
    /// How often the first level or anything below it was.
    within: u64,
}

#[derive(Debug, Clone, Copy)]
struct Kills {
    at: Moment,
    /// No death is known for them yet.
    count: u64,
    /// Of the last ones.
    whose: OomScope,
}

impl OomKills {
    /// For who lives in `place` or below; what was before is not told.
    pub(super) fn find(place: &Path, mount: &Path) -> OomKills {
        let counts = |path: &&Path| path.starts_with(mount) && cgroup::oom_kills(path).is_some();
        let levels: Vec<PathBuf> = place.ancestors().filter(counts).map(Path::to_owned).collect();
        // The root of all cgroups has no such file.
        let hidden = levels.iter().any(|level| level == mount);
        let mut found = OomKills { levels, hidden, ..OomKills::default() };
        found.counts = found.count().unwrap_or_default();
        found
    }

    fn count(&self) -> Option<Counts> {
        let first = self.levels.first()?;
        Some(Counts {
            kills: cgroup::oom_kills(first)?,
            at_limit: self.levels.iter().map(|level| cgroup::times_at_limit(level).unwrap_or(0)).collect(),
            within: cgroup::times_at_limit_within(first).unwrap_or(0),
        })
    }

    /// Looks again. Answers how many were killed since the last time.
    fn look(&mut self, now: Moment) -> u64 {
        self.count().map_or(0, |counts| self.saw(now, counts))
    }

    fn saw(&mut self, now: Moment, counts: Counts) -> u64 {
        let before = std::mem::replace(&mut self.counts, counts);
        let rose = |(before, after): (&u64, &u64)| after > before;
        self.above |= before.at_limit.iter().zip(&self.counts.at_limit).any(rose);
        let below = |counts: &Counts| counts.within.saturating_sub(counts.at_limit.first().copied().unwrap_or(0));
        self.below |= below(&self.counts) > below(&before);
        let new = self.counts.kills.saturating_sub(before.kills);
        if new > 0 {
            let count = self.recent(now).map_or(0, |kills| kills.count) + new;
            self.kills = Some(Kills { at: now, count, whose: self.whose() });
            (self.above, self.below) = (false, false);
        }
        new
    }

    /// Whose memory was used up, by what was at its limit since the last kill.
    fn whose(&self) -> OomScope {
        match (self.above, self.below, self.hidden) {
            (true, _, _) => OomScope::Above,
            (false, true, _) => OomScope::Program,
            (false, false, true) => OomScope::Unknown,
            (false, false, false) => OomScope::Machine,
        }
    }

    fn recent(&self, now: Moment) -> Option<Kills> {
        self.kills.filter(|kills| now.since(kills.at) < EXPLAINS)
    }

    /// Takes a death for one of the kills, and answers whose memory was used up; `None`: there is no kill left.
    fn explain(&mut self, now: Moment) -> Option<OomScope> {
        let kills = self.recent(now).filter(|kills| kills.count > 0)?;
        self.kills = Some(Kills { count: kills.count - 1, ..kills });
        Some(kills.whose)
    }
}

impl Worker {
    /// Begins to count, and has the loop look whenever the kernel counts on.
    pub(super) fn watch_memory(&mut self) {
        let Ok((mount, own)) = cgroup::own() else { return };
        let place = self.cgroups.directory().unwrap_or(own);
        self.oom_kills = OomKills::find(&place, mount);
        let Some(level) = self.oom_kills.levels.first() else { return };
        let watch = inotify::instance().and_then(|(inotify, events)| {
            inotify.add_watch(&level.join(cgroup::MEMORY_EVENTS), AddWatchFlags::IN_MODIFY)?;
            Ok((inotify, events))
        });
        let (inotify, events) = match watch {
            Ok(watch) => watch,
            Err(error) => {
                let text =
                    format!("ends for want of memory are noticed only when a program has ended: no watch ({error})");
                return log(Level::Info, &text);
            }
        };
        let done = self.done_sender.clone();
        tokio::spawn(async move {
            loop {
                inotify::happened(&events).await;
                if done.send(Done::MemoryCounted).is_err() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            // The watch lives as long as this.
            drop(inotify);
        });
    }

    /// The kernel counted on: a kill is told, whoever it was, as it may have been a program's job.
    pub(super) fn look_for_kills(&mut self) {
        let now = now().mono;
        let killed = self.oom_kills.look(now);
        let Some(level) = self.oom_kills.levels.first().filter(|_| killed > 0) else { return };
        let processes = if killed == 1 { "process" } else { "processes" };
        let whose = match self.oom_kills.kills.map_or(OomScope::Unknown, |kills| kills.whose) {
            OomScope::Program => "a limit of memory below it was reached",
            OomScope::Above => "its own limit of memory, or one above it, was reached",
            OomScope::Machine => "the whole machine was out of memory",
            OomScope::Unknown => "no limit that can be seen from here was reached",
        };
        let text = format!("the kernel OOM killer ended {killed} {processes} in {}: {whose}", level.display());
        log(Level::Warn, &text);
    }

    /// SIGKILL that nobody of us sent, where the OOM killer was: it was that. Some files of the kernel's own are read, and only
    /// then.
    pub(super) fn cause(&mut self, process: ProcessId, pid: Pid, exit: Exit, cgroup: Option<&Path>) -> Exit {
        let Exit::Signal { number: libc::SIGKILL, .. } = exit else { return exit };
        let is_stopping = self.engine.process(process).is_some_and(|view| view.state == ProcessState::Stopping);
        if is_stopping || self.children.last_signal(process, pid) == Some(libc::SIGKILL) {
            return exit;
        }
        let own = cgroup.and_then(cgroup::oom_kills);
        if own == Some(0) {
            return exit;
        }
        self.look_for_kills();
        let explained = self.oom_kills.explain(now().mono);
        let at_limit = own.map(|_| cgroup.and_then(cgroup::times_at_limit).unwrap_or(0));
        let scope = match (at_limit, explained) {
            (Some(times), _) if times > 0 => OomScope::Program,
            // Killed it was, but the last kill was another's, at a limit that is not this one's.
            (Some(_), Some(OomScope::Program) | None) => OomScope::Unknown,
            (_, Some(scope)) => scope,
            (None, None) => return exit,
        };
        let limits = self.process_config(process).map(|config| config.extras.limits);
        let memory_max = limits.and_then(|limits| limits.memory_max).filter(|_| scope == OomScope::Program);
        Exit::OutOfMemory { memory_max, scope }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn counts(kills: u64, at_limit: &[u64], within: u64) -> Counts {
        Counts { kills, at_limit: at_limit.to_vec(), within }
    }

    /// As where two levels count, which had something to count before.
    fn kills() -> OomKills {
        let levels = vec!["/cgroup/slice/unit".into(), "/cgroup/slice".into()];
        OomKills { levels, counts: counts(7, &[3, 0], 9), ..OomKills::default() }
    }

    #[test]
    fn each_kill_is_the_death_of_one() {
        let mut kills = kills();
        assert_eq!(kills.explain(at(1)), None, "what was before is not told");
        assert_eq!(kills.saw(at(2), counts(9, &[3, 0], 9)), 2);
        assert_eq!(kills.saw(at(3), counts(9, &[3, 0], 9)), 0);
        assert_eq!([4, 5, 5].map(|second| kills.explain(at(second)).is_some()), [true, true, false]);
    }

    #[test]
    fn a_kill_of_long_ago_explains_nothing() {
        let mut kills = kills();
        kills.saw(at(2), counts(9, &[3, 0], 9));
        assert_eq!(kills.explain(at(40)), None);
        kills.saw(at(50), counts(10, &[3, 0], 9));
        assert!(kills.explain(at(51)).is_some());
        assert_eq!(kills.explain(at(51)), None, "the two of before are over");
    }

    #[test]
    fn who_was_at_a_limit_is_whose_memory_it_was() {
        for (seen, whose) in [
            (counts(8, &[3, 0], 9), OomScope::Machine),
            (counts(8, &[4, 0], 10), OomScope::Above),
            (counts(8, &[3, 1], 9), OomScope::Above),
            (counts(8, &[3, 0], 10), OomScope::Program),
        ] {
            let mut kills = kills();
            // The kernel counts the limit first, and may be seen in between.
            kills.saw(at(2), Counts { kills: 7, ..seen.clone() });
            kills.saw(at(2), seen.clone());
            assert_eq!(kills.explain(at(3)), Some(whose), "{seen:?}");
            kills.saw(at(4), Counts { kills: 9, ..seen.clone() });
            assert_eq!(kills.explain(at(5)), Some(OomScope::Machine), "{seen:?}: that was the kill before");
        }
    }

    #[test]
    fn where_not_all_cgroups_are_seen_it_is_not_known() {
        let mut kills = OomKills { hidden: true, ..kills() };
        kills.saw(at(2), counts(8, &[3, 0], 9));
        assert_eq!(kills.explain(at(3)), Some(OomScope::Unknown));
    }

    #[test]
    fn what_an_earlier_daemon_noted_is_understood() {
        let noted: Exit = serde_json::from_str(r#"{"OutOfMemory":{"memory_max":4096}}"#).unwrap();
        assert_eq!(noted, Exit::OutOfMemory { memory_max: Some(4096), scope: OomScope::Unknown });
    }

    #[test]
    fn all_levels_that_count_are_found() {
        let mount = tempfile::tempdir().unwrap();
        let run = mount.path().join("slice/unit/run");
        std::fs::create_dir_all(&run).unwrap();
        for level in ["slice", "slice/unit"] {
            let level = mount.path().join(level);
            std::fs::write(level.join("memory.events"), "oom 5\noom_kill 2\n").unwrap();
            std::fs::write(level.join("memory.events.local"), "oom 1\noom_kill 2\n").unwrap();
        }
        let mut found = OomKills::find(&run, mount.path());
        assert_eq!(found.levels, [mount.path().join("slice/unit"), mount.path().join("slice")]);
        assert_eq!((found.hidden, &found.counts), (false, &counts(2, &[1, 1], 5)));
        std::fs::write(mount.path().join("slice/unit/memory.events"), "oom 5\noom_kill 3\n").unwrap();
        assert_eq!(found.look(at(1)), 1);
        std::fs::write(mount.path().join("memory.events"), "oom 0\noom_kill 0\n").unwrap();
        assert!(OomKills::find(&run, mount.path()).hidden);
        assert!(OomKills::find(Path::new("/"), mount.path()).levels.is_empty());
    }
}
