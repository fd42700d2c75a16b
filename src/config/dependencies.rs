//! `depends_on`: which processes a process waits for. Read with the process, resolved when all groups are known.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::expansion::Scope;
use super::lookup::Complaint;
use super::model::{GroupConfig, ProcessConfig};
use super::nearest::nearest;
use super::reader::{Level, Place, Reader};
use super::schema::SectionKind;
use crate::engine::{AutoRestart, Condition, Need, namespec};

const KEY: &str = "depends_on";

/// More entries than this are refused for one program.
const ENTRIES_MAX: usize = 64;

/// What is written, and the processes that it means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependsOn {
    /// The entries, as they were written.
    pub written: Vec<String>,
    pub needs: Vec<Need>,
}

/// Reads the entries for one process. Whom they name is found out by [`resolve`].
pub(super) fn depends_on(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> DependsOn {
    let written = reader.names(place, KEY, scope);
    if written.len() > ENTRIES_MAX {
        let text = format!("{} entries are more than the {ENTRIES_MAX} that one program may have", written.len());
        reader.complain(place, KEY, Complaint::new(text, "put them into a group and name that"));
    }
    DependsOn { written, needs: Vec::new() }
}

/// Finds the processes that are meant. What cannot be meant is refused: unknown names, circles, ends that never come.
pub(super) fn resolve(reader: &mut Reader<'_>, groups: &mut [GroupConfig]) {
    let known = Known::new(groups);
    let mut told = BTreeSet::new();
    for (at, group) in groups.iter_mut().enumerate() {
        for process in &mut group.processes {
            for entry in process.extras.depends_on.written.clone() {
                match known.needs(&entry) {
                    Ok(needs) => process.extras.depends_on.needs.extend(needs),
                    Err(complaint) => {
                        // Each process of a program says the same.
                        if told.insert((at, process.section.clone(), entry)) {
                            complain(reader, &process.section, complaint);
                        }
                    }
                }
            }
        }
    }
    if let Some((section, names)) = circle(groups) {
        let text = format!("{KEY} goes in a circle: {}", names.join(" -> "));
        complain(reader, &section, Complaint::new(text, "remove one of them: each would wait for the other for ever"));
    }
}

fn complain(reader: &mut Reader<'_>, section: &str, complaint: Complaint) {
    let kind = SectionKind::of(section).unwrap_or(SectionKind::Program);
    reader.complain(Place { section, kind, level: Level::Process }, KEY, complaint);
}

/// One process that can be named.
struct Target {
    group: String,
    name: String,
    section: String,
    autorestart: AutoRestart,
}

/// Everything that can be named.
struct Known(Vec<Target>);

impl Known {
    fn new(groups: &[GroupConfig]) -> Known {
        let target = |group: &GroupConfig, process: &ProcessConfig| Target {
            group: group.name.clone(),
            name: process.name.clone(),
            section: process.section.clone(),
            autorestart: process.autorestart,
        };
        Known(groups.iter().flat_map(|group| group.processes.iter().map(move |one| target(group, one))).collect())
    }

    /// The processes that an entry means, each with its condition.
    fn needs(&self, entry: &str) -> Result<Vec<Need>, Complaint> {
        let (name, condition) = match entry.rsplit_once(':') {
            Some((name, word)) if Condition::named(word).is_some() => (name, Condition::named(word)),
            _ => (entry, None),
        };
        let condition = condition.unwrap_or(Condition::Ready);
        let meant = self.meant(name);
        if meant.is_empty() {
            return Err(self.unknown(entry, name));
        }
        if condition == Condition::Exited
            && let Some(target) = meant.iter().find(|target| target.autorestart == AutoRestart::Always)
        {
            let name = namespec(&target.group, &target.name);
            let text = format!("'{entry}' never comes true: {name} has autorestart=true and is always started again");
            return Err(Complaint::new(text, "set autorestart=false or unexpected there, or wait for ready"));
        }
        let need = |target: &&Target| Need { group: target.group.clone(), name: target.name.clone(), condition };
        Ok(meant.iter().map(need).collect())
    }

    /// `group:process`, `group:*`, a group, or a program wherever its processes are.
    fn meant(&self, name: &str) -> Vec<&Target> {
        let of = |fits: &dyn Fn(&Target) -> bool| self.0.iter().filter(|target| fits(target)).collect::<Vec<_>>();
        if let Some((group, process)) = name.split_once(':') {
            return of(&|target| target.group == group && (process == "*" || target.name == process));
        }
        let group = of(&|target| target.group == name);
        if !group.is_empty() {
            return group;
        }
        of(&|target| target.section.split_once(':').is_some_and(|(_, program)| program == name))
    }

    fn unknown(&self, entry: &str, name: &str) -> Complaint {
        let words = Condition::ALL.map(Condition::word);
        let slip = entry.rsplit_once(':').and_then(|(before, word)| Some((before, nearest(word, words)?)));
        if let Some((before, word)) = slip.filter(|(before, _)| !self.meant(before).is_empty()) {
            return Complaint::new(format!("'{entry}' names no process"), format!("did you mean {before}:{word}?"));
        }
        let names = self.0.iter().flat_map(|target| {
            let program = target.section.split_once(':').map_or("", |(_, program)| program).to_owned();
            [namespec(&target.group, &target.name), target.group.clone(), program]
        });
        let names: BTreeSet<String> = names.collect();
        let help = match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None if name.is_empty() => "remove the empty entry between the commas".to_owned(),
            None => "name a program, a group or group:process, with :started, :running, :ready or :exited behind it"
                .to_owned(),
        };
        Complaint::new(format!("'{entry}' names no program, group or process"), help)
    }
}

/// The section of a process that waits for itself, and the way round.
fn circle(groups: &[GroupConfig]) -> Option<(String, Vec<String>)> {
    let all: Vec<(&GroupConfig, &ProcessConfig)> =
        groups.iter().flat_map(|group| group.processes.iter().map(move |process| (group, process))).collect();
    let places: BTreeMap<(&str, &str), usize> =
        all.iter().enumerate().map(|(at, (group, one))| ((group.name.as_str(), one.name.as_str()), at)).collect();
    let place = |need: &Need| places.get(&(need.group.as_str(), need.name.as_str())).copied();
    let needs: Vec<Vec<usize>> =
        all.iter().map(|(_, one)| one.extras.depends_on.needs.iter().filter_map(place).collect()).collect();
    let mut left: BTreeSet<usize> = (0..all.len()).collect();
    let next = |at: usize, left: &BTreeSet<usize>| needs.get(at)?.iter().find(|need| left.contains(need)).copied();
    loop {
        // Who waits for nobody that is left is in no circle.
        let free: Vec<usize> = left.iter().copied().filter(|at| next(*at, &left).is_none()).collect();
        if free.is_empty() {
            break;
        }
        left.retain(|at| !free.contains(at));
    }
    let mut way = vec![*left.first()?];
    loop {
        let at = next(*way.last()?, &left)?;
        if let Some(begin) = way.iter().position(|one| *one == at) {
            let round = way.iter().skip(begin).chain([&at]).filter_map(|at| all.get(*at));
            let names = round.map(|(group, process)| namespec(&group.name, &process.name)).collect();
            return Some((all.get(at)?.1.section.clone(), names));
        }
        way.push(at);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Loaded, Overrides, load};

    fn loaded(text: &str) -> Loaded {
        let text = format!("[supervisord]\n{text}");
        load(Path::new("/etc/a.conf"), &Overrides::default(), &MadeUp::new().file("/etc/a.conf", &text))
    }

    /// The needs of process `web`.
    fn needs(entries: &str) -> Vec<String> {
        let text = format!(
            "[program:db]\ncommand=a\n[program:migrate]\ncommand=a\ntype=oneshot\n\
             [program:handler]\ncommand=a\nnumprocs=2\nprocess_name=h%(process_num)d\n\
             [group:galaxy]\nprograms=handler\n[program:web]\ncommand=a\ndepends_on={entries}\n"
        );
        let loaded = loaded(&text);
        let config = loaded.config.unwrap_or_else(|| panic!("{entries}: {:?}", loaded.problems));
        let web = config.groups.iter().find(|group| group.name == "web").unwrap();
        let policy = web.processes[0].policy();
        let shown = |need: &Need| format!("{}:{}:{}", need.group, need.name, need.condition.word());
        policy.needs.processes.iter().map(shown).collect()
    }

    #[test]
    fn names_mean_programs_groups_and_processes() {
        assert_eq!(needs("db"), ["db:db:ready"]);
        assert_eq!(needs("db:running, migrate:exited"), ["db:db:running", "migrate:migrate:exited"]);
        assert_eq!(needs("db:db:started"), ["db:db:started"]);
        assert_eq!(needs("galaxy"), ["galaxy:h0:ready", "galaxy:h1:ready"]);
        assert_eq!(needs("galaxy:*:running"), ["galaxy:h0:running", "galaxy:h1:running"]);
        assert_eq!(needs("galaxy:h1"), ["galaxy:h1:ready"]);
        assert_eq!(needs("handler:running"), ["galaxy:h0:running", "galaxy:h1:running"]);
        assert_eq!(needs(""), [""; 0]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        for (keys, wanted, help) in [
            ("depends_on=dbb", "'dbb' names no program, group or process", "did you mean db?"),
            ("depends_on=db:redy", "'db:redy' names no process", "did you mean db:ready?"),
            ("depends_on=db,,b", "'' names no program, group or process", "remove the empty entry"),
            ("depends_on=a", "depends_on goes in a circle: a -> a", "remove one of them"),
            ("depends_on=b", "depends_on goes in a circle: a -> b -> a", "remove one of them"),
            (
                "depends_on=always:exited",
                "'always:exited' never comes true: always has autorestart=true",
                "wait for ready",
            ),
        ] {
            let text = format!(
                "[program:db]\ncommand=a\n[program:always]\ncommand=a\nautorestart=true\n\
                 [program:b]\ncommand=a\ndepends_on=a:running\n[program:a]\ncommand=a\n{keys}\n"
            );
            let loaded = loaded(&text);
            assert!(loaded.config.is_none(), "{keys}");
            let problem = loaded.problems.errors().find(|problem| problem.message.contains(wanted));
            let problem = problem.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.problems));
            assert!(problem.help.as_ref().is_some_and(|found| found.contains(help)), "{problem:?}");
            let place = problem.place.as_ref().unwrap();
            assert_eq!((place.file.as_path(), place.line), (Path::new("/etc/a.conf"), 12), "{keys}");
        }
    }

    #[test]
    fn a_mistake_of_many_processes_is_told_once() {
        let loaded = loaded("[program:a]\ncommand=a\nnumprocs=9\nprocess_name=a%(process_num)d\ndepends_on=b\n");
        assert_eq!(loaded.problems.errors().count(), 1, "{:?}", loaded.problems);
    }
}
