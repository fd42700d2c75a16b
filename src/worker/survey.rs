//! Who outlived a program: the processes that its main process left behind.
//!
//! The keeper is a child subreaper, so whatever a program leaves behind becomes the keeper's child, with its own
//! descendants below it. Of these orphans a program's are those of its process group, those that still have one of its
//! standard pipes (Galaxy's local jobs have a group of their own and no variable of their handler's, but its standard input),
//! and those whose environment names it. Where the program had a cgroup of its own, everybody in there is one of its own as well, whatever else became of them.
//! An orphan that has none of that, of no program, is a **stray**: see `strays`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::config::ProcessConfig;
use crate::engine::Pid;
use crate::keeper;
use crate::rpc::printable;
use crate::sys::cgroup;
use crate::sys::proc_table::{self, Entry, Identity, Standing};

/// The variable that every program has.
const PROCESS_NAME: &str = "SUPERVISOR_PROCESS_NAME";

/// A command line is shown up to here.
const COMMAND_MAX_CHARS: usize = 200;

/// A process that outlived the program it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Survivor {
    pub(super) identity: Identity,
    /// One line, safe for a terminal.
    pub(super) command: String,
}

/// By what the processes of one run of a program are known.
#[derive(Debug, Clone)]
pub(super) struct Traces {
    /// The main process, which is gone.
    pub(super) pid: Pid,
    /// `NAME=VALUE`; all of them are in the environment.
    marks: Vec<Vec<u8>>,
    /// The inodes of its standard pipes, which no other run has.
    pub(super) pipes: Vec<u64>,
    /// Of this run; it may be gone.
    pub(super) cgroup: Option<PathBuf>,
}

impl Traces {
    /// `serverurl` is what programs find in `SUPERVISOR_SERVER_URL` by default.
    pub(super) fn new(pid: Pid, group: &str, process: &ProcessConfig, serverurl: Option<&str>) -> Traces {
        let url = process.serverurl.as_deref().or(serverurl);
        let marks = [
            (PROCESS_NAME, Some(process.name.as_str())),
            ("SUPERVISOR_GROUP_NAME", Some(group)),
            // Programs of a daemon that itself ran below this one carry another.
            ("SUPERVISOR_SERVER_URL", url),
        ];
        let value = |(name, own): (&str, Option<&str>)| {
            let value = process.environment.get(name).map(String::as_str).or(own)?;
            Some(format!("{name}={value}").into_bytes())
        };
        Traces { pid, marks: marks.into_iter().filter_map(value).collect(), pipes: Vec::new(), cgroup: None }
    }

    fn are_in(&self, environment: &[u8]) -> bool {
        let has = |mark: &Vec<u8>| environment.split(|byte| *byte == 0).any(|variable| variable == mark);
        self.marks.iter().all(has)
    }
}

/// Where orphans are, and who is none, or no stray, though it is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Household {
    /// The keeper first: whose children orphans become.
    pub(super) adopters: Vec<Pid>,
    /// The worker and the main processes of programs.
    pub(super) known: BTreeSet<Pid>,
    /// The inodes of the standard pipes of all programs.
    pub(super) pipes: BTreeSet<u64>,
    /// Who was told already, as left behind by a program or as a stray.
    pub(super) told: BTreeSet<Identity>,
    /// How a part of the path of each program's cgroup begins, where there are any.
    pub(super) cgroups: Option<String>,
}

/// What a look at all processes gives.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// For each of those that were asked for what is left of it.
    pub(super) left: Vec<Vec<Identity>>,
    /// Orphans of the keeper that nothing connects with a program; without their descendants.
    pub(super) strays: Vec<Identity>,
    /// All children of the keeper.
    pub(super) seen: BTreeSet<Pid>,
    /// Who of the household's `told` still lives.
    pub(super) told: BTreeSet<Identity>,
}

/// For each of `wanted` what is left of it, and who else there is. Reads /proc and cgroups: not for the control loop.
///
/// # Errors
///
/// /proc or a cgroup cannot be read.
pub(super) fn survey(household: &Household, wanted: &[&Traces]) -> std::io::Result<Survey> {
    let tokens = Tokens { environment: proc_table::environment, pipes: proc_table::standard_pipes };
    let mut survey = attribute(&proc_table::all()?, household, wanted, &tokens);
    for (one, list) in wanted.iter().zip(&mut survey.left) {
        let Some(cgroup) = &one.cgroup else { continue };
        for pid in cgroup::members(cgroup)? {
            let Some(entry) = proc_table::one(pid)?.filter(|entry| entry.standing != Standing::Ended) else { continue };
            if !household.known.contains(&pid) && !list.contains(&entry.identity) {
                list.push(entry.identity);
            }
        }
    }
    let of_a_cgroup = |pid| household.cgroups.as_deref().is_some_and(|mark| cgroup::is_within(pid, mark));
    survey.strays.retain(|stray| {
        !survey.left.iter().flatten().any(|left| left == stray)
            && !of_a_cgroup(stray.pid)
            // In the middle of an exec it has no environment yet that could tell.
            && proc_table::has_begun(stray.pid)
            && !proc_table::environment(stray.pid).is_some_and(|marks| is_marked(&marks))
    });
    Ok(survey)
}

/// Whether an environment is that of a program of ours, of whatever name, or of one of our own processes.
fn is_marked(environment: &[u8]) -> bool {
    let begins =
        |variable: &[u8], name: &str| variable.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
    let marks = [PROCESS_NAME, keeper::STAGE];
    environment.split(|byte| *byte == 0).any(|variable| marks.iter().any(|name| begins(variable, name)))
}

/// What a person wants to know of a survivor; `None` if it has ended.
pub(super) fn describe(identity: Identity) -> Option<Survivor> {
    let command = proc_table::command(identity.pid)?;
    let command: String = printable(&command).chars().take(COMMAND_MAX_CHARS).collect();
    let entry = proc_table::one(identity.pid).ok()??;
    (entry.identity == identity && entry.standing != Standing::Ended).then_some(Survivor { identity, command })
}

/// What a process has from the program that it comes from.
struct Tokens<E, P> {
    environment: E,
    pipes: P,
}

fn attribute(
    table: &[Entry],
    household: &Household,
    wanted: &[&Traces],
    Tokens { environment, pipes }: &Tokens<impl Fn(Pid) -> Option<Vec<u8>>, impl Fn(Pid) -> Vec<u64>>,
) -> Survey {
    let mut found = vec![Vec::new(); wanted.len()];
    let mut strays = Vec::new();
    let mut children: BTreeMap<Pid, Vec<&Entry>> = BTreeMap::new();
    for entry in table.iter().filter(|entry| entry.standing != Standing::Ended) {
        children.entry(entry.parent).or_default().push(entry);
    }
    // A worker that is the keeper itself has children that are nobody's orphans.
    let keeper = household.adopters.first().filter(|keeper| !household.known.contains(keeper));
    let seen = keeper.and_then(|keeper| children.get(keeper));
    let seen = seen.into_iter().flatten().map(|entry| entry.identity.pid).collect();
    let pids: BTreeSet<Pid> = table.iter().map(|entry| entry.identity.pid).collect();
    let adopted = household.adopters.iter().filter_map(|adopter| children.remove(adopter)).flatten();
    let (mains, orphans): (Vec<&Entry>, Vec<&Entry>) =
        adopted.partition(|entry| household.known.contains(&entry.identity.pid));
    // When the present run of each began, if there is one: later orphans with its marks are its own.
    let mut successors: BTreeMap<usize, Option<u64>> = BTreeMap::new();
    let began = |one: &Traces| {
        let is_next = |main: &&&Entry| environment(main.identity.pid).is_some_and(|marks| one.are_in(&marks));
        mains.iter().find(is_next).map(|main| main.identity.start)
    };
    for orphan in &orphans {
        // A number is not given out again while a group has it: where the leader is back, it is somebody else.
        let by_group = wanted.iter().position(|one| one.pid == orphan.group && !pids.contains(&one.pid));
        let pipes = std::cell::LazyCell::new(|| pipes(orphan.identity.pid));
        let by_pipe = || wanted.iter().position(|one| one.pipes.iter().any(|pipe| pipes.contains(pipe)));
        let marks = std::cell::LazyCell::new(|| environment(orphan.identity.pid));
        let mut by_mark = || {
            let marks = marks.as_ref()?;
            let (place, one) = wanted.iter().enumerate().find(|(_, one)| one.are_in(marks))?;
            let successor = *successors.entry(place).or_insert_with(|| began(one));
            successor.is_none_or(|began| orphan.identity.start < began).then_some(place)
        };
        let Some(list) = by_group.or_else(by_pipe).or_else(&mut by_mark).and_then(|place| found.get_mut(place)) else {
            let is_explained = household.told.contains(&orphan.identity)
                || household.known.contains(&orphan.group)
                || pipes.iter().any(|pipe| household.pipes.contains(pipe))
                || marks.as_ref().is_some_and(|marks| is_marked(marks));
            if !is_explained && Some(&orphan.parent) == keeper {
                strays.push(orphan.identity);
            }
            continue;
        };
        let mut next = vec![*orphan];
        while let Some(entry) = next.pop() {
            list.push(entry.identity);
            // A process is nobody's ancestor twice, unless the table changed under our eyes.
            next.extend(children.remove(&entry.identity.pid).unwrap_or_default());
        }
    }
    let living = table.iter().filter(|entry| entry.standing != Standing::Ended).map(|entry| entry.identity);
    let told = living.filter(|identity| household.told.contains(identity)).collect();
    Survey { left: found, strays, seen, told }
}

/// Some of them in one line: `456 (sleep 1000), 457 (sh) and 3 more`.
pub(super) fn line(survivors: &[Survivor]) -> String {
    /// More would not help.
    const SHOWN_MAX: usize = 5;
    let shown: Vec<String> = survivors
        .iter()
        .take(SHOWN_MAX)
        .map(|survivor| format!("{} ({})", survivor.identity.pid, survivor.command))
        .collect();
    let more = survivors.len().saturating_sub(SHOWN_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::sample;

    const KEEPER: Pid = 10;

    fn entry(pid: Pid, parent: Pid, group: Pid) -> Entry {
        let identity = Identity { pid, start: 1 };
        Entry { identity, parent, group, standing: Standing::Goes, name: "x".to_owned() }
    }

    fn traces(pid: Pid, name: &str) -> Traces {
        let process = sample::process(&format!("command=x\nprocess_name={name}"));
        Traces::new(pid, "g", &process, Some("unix:///s"))
    }

    fn household() -> Household {
        let known = BTreeSet::from([11, 20]);
        Household { adopters: vec![KEEPER], known, pipes: BTreeSet::from([9]), ..Household::default() }
    }

    fn found(table: &[Entry], environment: impl Fn(Pid) -> Option<Vec<u8>>) -> Vec<Vec<Pid>> {
        found_by(table, &Tokens { environment, pipes: |_| Vec::new() })
    }

    fn found_by(
        table: &[Entry],
        tokens: &Tokens<impl Fn(Pid) -> Option<Vec<u8>>, impl Fn(Pid) -> Vec<u64>>,
    ) -> Vec<Vec<Pid>> {
        let (a, b) = (traces(30, "a"), Traces { pipes: vec![7, 8], ..traces(40, "b") });
        let lists = attribute(table, &household(), &[&a, &b], tokens).left;
        lists.iter().map(|list| list.iter().map(|identity| identity.pid).collect()).collect()
    }

    #[test]
    fn orphans_of_the_group_are_found_with_their_descendants() {
        let mut table = vec![entry(11, KEEPER, 10), entry(20, KEEPER, 20), entry(21, 20, 20)];
        table.extend([entry(31, KEEPER, 30), entry(32, 31, 32), entry(33, 32, 33), entry(41, KEEPER, 40)]);
        table.push(Entry { standing: Standing::Ended, ..entry(34, KEEPER, 30) });
        assert_eq!(found(&table, |_| None), [vec![31, 32, 33], vec![41]]);
    }

    #[test]
    fn a_group_whose_leader_is_back_is_somebody_elses() {
        assert_eq!(found(&[entry(30, KEEPER, 30), entry(31, KEEPER, 30)], |_| None), [vec![0; 0], vec![]]);
    }

    #[test]
    fn those_who_left_the_group_are_known_by_their_environment() {
        let environment = |marks: &str| Some(marks.replace(' ', "\0").into_bytes());
        let of_b = "A=1 SUPERVISOR_PROCESS_NAME=b SUPERVISOR_GROUP_NAME=g SUPERVISOR_SERVER_URL=unix:///s B=";
        let table = [entry(50, KEEPER, 50), entry(51, 50, 51), entry(52, 1, 52)];
        assert_eq!(found(&table, |_| environment(of_b)), [vec![], vec![50, 51]]);
        for (was, is) in [("NAME=b", "NAME=bb"), ("GROUP_NAME=g", "GROUP_NAME=h"), ("///s", "///t"), ("_URL", "_X")] {
            let other = of_b.replace(was, is);
            assert_eq!(found(&table, |_| environment(&other)), [vec![0; 0], vec![]], "{other}");
        }
        assert_eq!(found(&table, |_| None), [vec![0; 0], vec![]]);
    }

    #[test]
    fn those_who_left_the_group_and_kept_no_variable_are_known_by_their_pipes() {
        let table = [entry(50, KEEPER, 50), entry(51, 50, 51), entry(52, KEEPER, 52), entry(53, 1, 53)];
        let tokens = Tokens { environment: |_| None, pipes: |pid| if pid == 52 { vec![9] } else { vec![3, 8] } };
        assert_eq!(found_by(&table, &tokens), [vec![], vec![50, 51]]);
    }

    #[test]
    fn orphans_of_the_next_run_are_not_the_last_ones() {
        let mark = "SUPERVISOR_PROCESS_NAME=a\0SUPERVISOR_GROUP_NAME=g\0SUPERVISOR_SERVER_URL=unix:///s";
        let at = |entry: Entry, start| Entry { identity: Identity { start, ..entry.identity }, ..entry };
        let table = [at(entry(20, KEEPER, 20), 5), at(entry(50, KEEPER, 50), 4), at(entry(51, KEEPER, 51), 5)];
        assert_eq!(found(&table, |_| Some(mark.as_bytes().to_vec())), [vec![50], vec![]]);
    }

    #[test]
    fn an_orphan_that_nothing_connects_with_a_program_is_a_stray() {
        let strays = |entry: Entry, environment: &str, pipe: u64, is_told: bool| {
            let told: BTreeSet<Identity> = is_told.then_some(entry.identity).into_iter().collect();
            let environment = |_| Some(environment.as_bytes().to_vec());
            let tokens = Tokens { environment, pipes: |_| vec![pipe] };
            let below = Entry { parent: entry.identity.pid, ..self::entry(51, 50, 51) };
            let survey = attribute(&[entry, below], &Household { told: told.clone(), ..household() }, &[], &tokens);
            assert_eq!(survey.told, told, "it lives");
            survey.strays.iter().map(|stray| stray.pid).collect::<Vec<_>>()
        };
        let alone = || entry(50, KEEPER, 50);
        assert_eq!(strays(alone(), "A=1", 3, false), [50], "and its descendants are not named beside it");
        for (explained, environment, pipe, told) in [
            (entry(50, 1, 50), "", 3, false),
            (entry(50, KEEPER, 20), "", 3, false),
            (entry(20, KEEPER, 50), "", 3, false),
            (alone(), "A=1\0SUPERVISOR_PROCESS_NAME=some", 3, false),
            (alone(), "GALAXYD_STAGE=worker", 3, false),
            (alone(), "", 9, false),
            (alone(), "", 3, true),
            (Entry { standing: Standing::Ended, ..alone() }, "", 3, false),
            (entry(50, 20, 50), "", 3, false),
        ] {
            assert_eq!(strays(explained, environment, pipe, told), [0; 0], "{environment} {pipe} {told}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test needs a child that it does not collect at once")]
    fn who_ended_under_our_eyes_is_nobody() {
        use nix::sys::wait::{Id, WaitPidFlag, waitid};
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::try_from(child.id()).unwrap();
        let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(nix::unistd::Pid::from_raw(pid)), ended).unwrap();
        let identity = proc_table::one(pid).unwrap().unwrap().identity;
        assert_eq!(describe(identity), None);
        child.wait().unwrap();
    }

    #[test]
    fn main_processes_and_the_worker_are_no_survivors_whatever_they_look_like() {
        let mark = "SUPERVISOR_PROCESS_NAME=a\0SUPERVISOR_GROUP_NAME=g\0SUPERVISOR_SERVER_URL=unix:///s";
        let table = [entry(11, KEEPER, 30), entry(20, KEEPER, 20), entry(21, 20, 30)];
        assert_eq!(found(&table, |_| Some(mark.as_bytes().to_vec())), [vec![0; 0], vec![]]);
    }

    #[test]
    fn a_line_names_a_few() {
        let survivor = |pid| Survivor { identity: Identity { pid, start: 0 }, command: "sleep 9".to_owned() };
        assert_eq!(line(&[survivor(1), survivor(2)]), "1 (sleep 9), 2 (sleep 9)");
        let many: Vec<Survivor> = (1..8).map(survivor).collect();
        assert!(line(&many).ends_with("5 (sleep 9) and 2 more"), "{}", line(&many));
    }
}
