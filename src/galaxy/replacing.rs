//! How a process is replaced by a new version of itself: by what it is, and what its servers do at signals.

use super::deployment::{Program, uwsgi_options};
use super::program::{Invocation, Role, base};
use super::uwsgi::UwsgiOptions;
use super::zergling::zergling;
use crate::config::{Passing, ProcessConfig, ReadyCheck, Source, Strategy, Trigger, Zergling, shlex};

/// How one process is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    pub strategy: Strategy,
    /// With `Strategy::Signal` only.
    pub trigger: Option<Trigger>,
    /// With `Strategy::Zerg` only.
    pub zergling: Option<Zergling>,
    /// Why, as the end of a sentence; empty where it was written.
    pub reason: String,
}

impl Replacement {
    fn of(strategy: Strategy, reason: &str) -> Replacement {
        Replacement { strategy, trigger: None, zergling: None, reason: reason.to_owned() }
    }
}

/// One of the processes that are to be replaced together.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub process: &'a ProcessConfig,
    /// Processes of its group that can stand in for each other, itself included.
    pub instances: usize,
}

/// What is known of a process for this.
enum Kind {
    Gunicorn {
        has_preload: bool,
        /// A file that may say anything, preload too.
        has_own_file: bool,
    },
    Uwsgi {
        options: Option<UwsgiOptions>,
        is_pyuwsgi: bool,
        /// Its workers are known by its stats server.
        has_stats: bool,
    },
    ZergPool,
    Handler,
    CeleryBeat,
    Tusd,
    Other,
}

/// How each is replaced; with `is_rolling` one after the other, but for a zerg mode, which has a way of its own. Reads the
/// files that they name.
///
/// # Errors
/// Of each: what is written makes it load nothing new, or would stop it; the whole sentence.
#[must_use]
pub fn replacements(
    candidates: &[Candidate<'_>],
    is_rolling: bool,
    source: &dyn Source,
) -> Vec<Result<Replacement, String>> {
    let turns: Vec<Option<Result<Zergling, String>>> =
        candidates.iter().map(|candidate| turn(candidate.process, is_rolling, source)).collect();
    let pools: Vec<&str> = turns.iter().flatten().flatten().map(|zergling| zergling.pool.as_str()).collect();
    let each = candidates.iter().zip(&turns).map(|(Candidate { process, instances }, turn)| {
        let is_written = !is_rolling && process.extras.rollout.strategy == Some(Strategy::Zerg);
        let why = match turn {
            Some(Ok(zergling)) if pools.iter().filter(|pool| **pool == zergling.pool).count() > 1 => {
                let reason = if is_written { "" } else { "zerglings take turns at the socket of their pool" };
                return Ok(Replacement { zergling: Some(zergling.clone()), ..Replacement::of(Strategy::Zerg, reason) });
            }
            Some(Ok(zergling)) => Some(format!("no other zergling of the pool {} is named", zergling.pool)),
            Some(Err(why)) => Some(why.clone()),
            None => None,
        };
        if is_written {
            let why = why.unwrap_or_else(|| "it is no uWSGI with zerg=SOCKET".to_owned());
            return Err(format!("[{}] cannot be replaced by rollout=zerg: {why}", process.section));
        }
        if is_rolling {
            let is_pool = !pools.is_empty() && matches!(kind(process, source).0, Kind::ZergPool);
            return Ok(if is_pool {
                Replacement::of(Strategy::Keep, POOL_IS_KEPT)
            } else {
                Replacement::of(Strategy::Rolling, "")
            });
        }
        let mut found = replacement(process, *instances, source)?;
        if let Some(why) = why.filter(|_| process.extras.rollout.strategy.is_none()) {
            found.reason = format!("{}; it takes no turns: {why}", found.reason);
        }
        Ok(found)
    });
    each.collect()
}

/// How a process takes turns with others of its pool, unless it is to be replaced in another way; `None` if it is no
/// zergling.
fn turn(process: &ProcessConfig, is_rolling: bool, source: &dyn Source) -> Option<Result<Zergling, String>> {
    let rollout = &process.extras.rollout;
    let is_meant = is_rolling
        || match rollout.strategy {
            Some(strategy) => strategy == Strategy::Zerg,
            None => rollout.trigger.is_none(),
        };
    let (kind, wrapper) = kind(process, source);
    match kind {
        Kind::Uwsgi { options: Some(options), .. } if is_meant => {
            zergling(&options, wrapper.as_deref(), process, source)
        }
        _ => None,
    }
}

const POOL_IS_KEPT: &str = "the pool holds the socket of its zerglings and runs no application";

/// How this process of a program with so many is replaced by itself. Reads the files that it names.
///
/// # Errors
/// As [`replacements`].
fn replacement(process: &ProcessConfig, instances: usize, source: &dyn Source) -> Result<Replacement, String> {
    let (kind, wrapper) = kind(process, source);
    chosen(&kind, wrapper.as_deref(), process, instances)
}

/// The same of what is known of a process.
fn chosen(
    kind: &Kind,
    wrapper: Option<&str>,
    process: &ProcessConfig,
    instances: usize,
) -> Result<Replacement, String> {
    let rollout = &process.extras.rollout;
    let strategy = rollout.strategy.or(rollout.trigger.as_ref().map(|_| Strategy::Signal));
    let (strategy, reason) = strategy.map_or_else(
        || {
            if cannot_overlap(kind, process).is_none() && process.extras.ready.is_some() {
                let reason = "the daemon has its socket, so a successor can begin beside it";
                return (Strategy::Overlap, reason.to_owned());
            }
            let (strategy, reason) = usual(kind, instances);
            // What cannot be signalled is restarted, where nobody has asked for the signal.
            match refused(kind, wrapper, &Trigger::Signal(libc::SIGHUP)) {
                Some(why) if strategy == Strategy::Signal => (Strategy::Rolling, why),
                _ => (strategy, reason.to_owned()),
            }
        },
        |strategy| (strategy, String::new()),
    );
    if strategy == Strategy::Overlap
        && let Some(why) = cannot_overlap(kind, process)
    {
        return Err(format!("[{}] cannot be replaced by rollout=overlap: {why}", process.section));
    }
    if strategy != Strategy::Signal {
        return Ok(Replacement::of(strategy, &reason));
    }
    let trigger = rollout.trigger.clone().unwrap_or(Trigger::Signal(libc::SIGHUP));
    match refused(kind, wrapper, &trigger) {
        Some(why) => Err(format!("[{}] cannot be replaced by rollout=signal: {why}", process.section)),
        None => Ok(Replacement { trigger: Some(trigger), ..Replacement::of(strategy, &reason) }),
    }
}

/// What processes of one group have in common that can stand in for each other: their section, or of gunicorns, which are
/// often written one by one, the application.
#[must_use]
pub fn family(process: &ProcessConfig) -> String {
    let words = unwrapped(process).map(|(words, _)| words).unwrap_or_default();
    let is_application = |word: &&String| {
        let Some((module, attribute)) = word.split_once(':') else { return false };
        let is_name = |part: &str| part.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        module != "python" && is_name(module) && is_name(attribute) && !attribute.contains('/')
    };
    let application = words.iter().find(is_application).filter(|_| is_gunicorn(&words));
    application.map_or_else(|| process.section.clone(), |application| format!("gunicorn {application}"))
}

fn unwrapped(process: &ProcessConfig) -> Option<(Vec<String>, Option<String>)> {
    Invocation::unwrapped(shlex::split(&process.command).ok()?)
}

/// Any gunicorn, also one that serves something else; `python -m gunicorn` is one too.
fn is_gunicorn(words: &[String]) -> bool {
    let name = words.first().map(|word| base(word)).unwrap_or_default();
    let by_python = || {
        let script = words.iter().skip(1).find(|word| !word.starts_with('-'));
        script.is_some_and(|script| base(script) == "gunicorn")
    };
    name == "gunicorn" || (name.starts_with("python") && by_python())
}

fn kind(process: &ProcessConfig, source: &dyn Source) -> (Kind, Option<String>) {
    let Some((words, wrapper)) = unwrapped(process) else { return (Kind::Other, None) };
    let invocation = Invocation::of(&process.command);
    let role = invocation.as_ref().map(|invocation| invocation.role);
    let uwsgi = invocation.filter(|invocation| invocation.role.is_uwsgi());
    let options = uwsgi.and_then(|invocation| uwsgi_options(&invocation, process, source));
    (kind_of(&words, role, options, process), wrapper)
}

fn kind_of(words: &[String], role: Option<Role>, options: Option<UwsgiOptions>, process: &ProcessConfig) -> Kind {
    if is_gunicorn(words) {
        let has_preload = words.iter().any(|word| word == "--preload" || word == "--preload-app");
        let is_config = |word: &String| word == "-c" || word.starts_with("--config");
        let is_galaxys = words.iter().any(|word| word.ends_with("galaxy.web_stack.gunicorn_config"));
        return Kind::Gunicorn { has_preload, has_own_file: words.iter().any(is_config) && !is_galaxys };
    }
    match role {
        Some(Role::Uwsgi | Role::Zergling) if !options.as_ref().is_some_and(|options| options.has("zerg-pool")) => {
            let check = process.extras.ready.as_ref().map(|ready| &ready.check);
            let has_stats = matches!(check, Some(ReadyCheck::UwsgiStats(_)));
            let is_pyuwsgi = words.first().is_some_and(|word| base(word) == "pyuwsgi");
            Kind::Uwsgi { options, is_pyuwsgi, has_stats }
        }
        Some(Role::Uwsgi | Role::Zergling | Role::ZergPool) => Kind::ZergPool,
        Some(Role::Handler) => Kind::Handler,
        Some(Role::CeleryBeat) => Kind::CeleryBeat,
        Some(Role::Tusd) => Kind::Tusd,
        Some(Role::Gunicorn | Role::Reports | Role::CeleryWorker | Role::ItProxy | Role::RunScript) | None => {
            Kind::Other
        }
    }
}

/// Why what is written about replacing a program puts no new code in force; `None` where nothing is known against it.
pub(super) fn refusal(program: &Program<'_>) -> Option<String> {
    let rollout = &program.process.extras.rollout;
    let is_by_signal = rollout.strategy == Some(Strategy::Signal) || rollout.trigger.is_some();
    let trigger = rollout.trigger.clone().unwrap_or(Trigger::Signal(libc::SIGHUP));
    let Invocation { words, wrapper, .. } = &program.invocation;
    let kind = kind_of(words, Some(program.role), program.uwsgi.clone(), program.process);
    refused(&kind, wrapper.as_deref(), &trigger).filter(|_| is_by_signal)
}

/// Whether a process of this program, of which there are so many, is replaced by a signal or uWSGI's FIFO.
pub(super) fn is_by_signal(program: &Program<'_>, instances: usize) -> bool {
    let Invocation { words, wrapper, .. } = &program.invocation;
    let kind = kind_of(words, Some(program.role), program.uwsgi.clone(), program.process);
    let replacement = chosen(&kind, wrapper.as_deref(), program.process, instances);
    replacement.is_ok_and(|replacement| replacement.strategy == Strategy::Signal)
}

/// What is done where nothing is written.
fn usual(kind: &Kind, instances: usize) -> (Strategy, &'static str) {
    match kind {
        Kind::Gunicorn { has_preload: false, has_own_file: false } if instances == 1 => {
            (Strategy::Signal, "a gunicorn without --preload loads the new code at HUP and keeps its socket")
        }
        Kind::Uwsgi { .. } => (Strategy::Signal, "a uWSGI master reloads itself at HUP and keeps its sockets"),
        Kind::ZergPool => (Strategy::Keep, POOL_IS_KEPT),
        Kind::Tusd => (Strategy::Keep, "a tusd that is stopped breaks the uploads under way"),
        Kind::CeleryBeat => (Strategy::Restart, "there must never be two beats"),
        Kind::Gunicorn { .. } | Kind::Handler | Kind::Other => {
            (Strategy::Rolling, "it is restarted, one process after the other")
        }
    }
}

/// Why no successor can begin beside a process; `None` if one can.
fn cannot_overlap(kind: &Kind, process: &ProcessConfig) -> Option<&'static str> {
    let socket = process.socket.as_ref().filter(|socket| socket.passing == Passing::Listen);
    let check = process.extras.ready.as_ref().map(|ready| &ready.check);
    match (kind, socket, check) {
        (Kind::Handler, ..) => {
            Some("two job handlers of one server name would run the same jobs; write rollout=rolling")
        }
        (Kind::CeleryBeat, ..) => Some("there must never be two beats; write rollout=restart"),
        (_, None, _) => Some(
            "a successor cannot listen where it listens itself; have the daemon listen, by socket=tcp:HOST:PORT or unix:/PATH",
        ),
        (_, _, Some(ReadyCheck::Http(_) | ReadyCheck::Connect(_) | ReadyCheck::UwsgiStats(_))) => Some(
            "its ready key asks at an address where the present process answers as well; use ready=log:... or ready=notify, \
             which tell of the successor alone",
        ),
        (_, _, Some(ReadyCheck::Command(_))) => Some(
            "its ready key runs a command, which may find the present process as well; use ready=log:... or ready=notify, \
             which tell of the successor alone",
        ),
        (_, Some(_), Some(ReadyCheck::Log(_) | ReadyCheck::Notify) | None) => None,
    }
}

/// Why the trigger would not put new code in force; `None` if nothing is known against it.
fn refused(kind: &Kind, wrapper: Option<&str>, trigger: &Trigger) -> Option<String> {
    let is_hup = *trigger == Trigger::Signal(libc::SIGHUP);
    let why = match (kind, trigger) {
        (Kind::Handler, Trigger::Signal(_)) => {
            "galaxy-main ends at every signal that it handles; write rollout=rolling"
        }
        (Kind::Gunicorn { has_preload: true, .. }, Trigger::Signal(_)) if is_hup => {
            "a gunicorn with --preload does not import the application again at HUP; write rollout=rolling"
        }
        (Kind::Gunicorn { .. }, Trigger::Signal(_)) if !is_hup => {
            "a gunicorn replaces its workers in place at HUP alone; write rollout_signal=HUP"
        }
        (Kind::Uwsgi { options, is_pyuwsgi: true, .. }, _)
            if !options.as_ref().is_some_and(|options| options.has("binary-path")) =>
        {
            "pyuwsgi does not find itself again when it reloads; give it binary-path, or write rollout=rolling"
        }
        (Kind::Uwsgi { options: Some(options), .. }, _) if !options.is_on("master") => {
            "a uWSGI without master=true cannot reload; write rollout=rolling"
        }
        (Kind::Uwsgi { .. }, Trigger::Signal(_)) if !is_hup => {
            "a uWSGI reloads gracefully at HUP alone; write rollout_signal=HUP, or rollout_fifo"
        }
        (Kind::Uwsgi { options, has_stats, .. }, Trigger::Fifo { path, command }) => {
            return fifo_refused(options.as_ref(), *has_stats, path, *command);
        }
        (_, Trigger::Fifo { .. }) => "rollout_fifo is for a uWSGI with master-fifo",
        (_, Trigger::Signal(_)) => {
            let wrapper = wrapper?;
            let remedy = "begin its command with exec, or write rollout=rolling";
            return Some(format!("the signal would reach {wrapper} and not the program; {remedy}"));
        }
    };
    Some(why.to_owned())
}

/// Of what cannot be read nothing is held against it.
fn fifo_refused(options: Option<&UwsgiOptions>, has_stats: bool, path: &str, command: char) -> Option<String> {
    let is_for_workers = matches!(command, 'c' | 'w' | 'W');
    if is_for_workers && !has_stats {
        let text = format!("whether the command {command} has replaced every worker, only its stats server tells");
        return Some(format!("{text}; write ready=uwsgi-stats:ADDRESS"));
    }
    let options = options?;
    if !options.has("master-fifo") {
        return Some(format!("its configuration has no master-fifo; write master-fifo: {path}"));
    }
    // Workers that are forked from a master with the application have the old one.
    let is_lazy = options.is_on("lazy-apps") || options.is_on("lazy");
    (is_for_workers && !is_lazy).then(|| {
        let remedy = "write lazy-apps: true, or the command r";
        format!("without lazy-apps the command {command} loads no new code; {remedy}")
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, load};

    /// What is done with a program of these keys, of which there are `instances`.
    fn of(keys: &str, instances: usize) -> Result<Strategy, String> {
        let text = format!("[supervisord]\n[program:a]\n{keys}\n");
        let source = MadeUp::new()
            .file("/etc/a.conf", &text)
            .file("/lazy.yml", "uwsgi:\n  master: true\n  lazy-apps: true\n  master-fifo: /run/f\n")
            .file("/plain.yml", "uwsgi:\n  master: true\n  master-fifo: /run/f\n")
            .file("/bare.yml", "uwsgi:\n  http-socket: :80\n");
        let loaded = load(Path::new("/etc/a.conf"), &Overrides::default(), &source);
        let config = loaded.config.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.problems));
        replacement(&config.groups[0].processes[0], instances, &source).map(|found| found.strategy)
    }

    #[test]
    fn each_program_is_replaced_by_what_it_is() {
        use Strategy as S;
        for (command, instances, wanted) in [
            ("gunicorn app:app", 1, S::Signal),
            ("/v/bin/python -m gunicorn app:app", 1, S::Signal),
            ("gunicorn app:app", 2, S::Rolling),
            ("gunicorn -c own.py app:app", 1, S::Rolling),
            ("gunicorn --config python:galaxy.web_stack.gunicorn_config app:app", 1, S::Signal),
            ("gunicorn --preload app:app", 1, S::Rolling),
            ("sh -c 'gunicorn app:app; true'", 1, S::Rolling),
            ("sh -c 'exec gunicorn app:app'", 1, S::Signal),
            ("uwsgi --yaml /plain.yml", 1, S::Signal),
            ("uwsgi --yaml /plain.yml", 3, S::Signal),
            ("uwsgi --yaml /bare.yml", 1, S::Rolling),
            ("pyuwsgi --yaml /plain.yml", 1, S::Rolling),
            ("uwsgi --master --zerg-pool /a:/b", 1, S::Keep),
            ("galaxy-main -c g.yml", 3, S::Rolling),
            ("celery --app galaxy.celery worker", 1, S::Rolling),
            ("celery --app galaxy.celery beat", 1, S::Restart),
            ("tusd -port 1", 1, S::Keep),
            ("cat", 1, S::Rolling),
        ] {
            assert_eq!(of(&format!("command={command}"), instances), Ok(wanted), "{command}");
        }
    }

    /// What is done with programs of these keys that are named together.
    fn together(sections: &[&str], is_rolling: bool) -> Vec<Result<Strategy, String>> {
        let sections = sections.iter().enumerate().map(|(at, keys)| format!("[program:p{at}]\n{keys}\n"));
        let text = format!("[supervisord]\n{}", sections.collect::<String>());
        let source = MadeUp::new()
            .file("/etc/a.conf", &text)
            .file("/zerg.yml", "uwsgi:\n  master: true\n  zerg: /p.sock\n  master-fifo: /f\n  stats: /s\n")
            .file("/deaf.yml", "uwsgi:\n  master: true\n  zerg: /p.sock\n");
        let loaded = load(Path::new("/etc/a.conf"), &Overrides::default(), &source);
        let config = loaded.config.unwrap_or_else(|| panic!("{text}: {:?}", loaded.problems));
        let processes = config.groups.iter().flat_map(|group| &group.processes);
        let candidates: Vec<Candidate<'_>> = processes.map(|process| Candidate { process, instances: 1 }).collect();
        let found = replacements(&candidates, is_rolling, &source);
        found.into_iter().map(|found| found.map(|found| found.strategy)).collect()
    }

    #[test]
    fn zerglings_of_one_pool_take_turns_and_the_pool_is_kept() {
        use Strategy as S;
        let (zergling, pool) = ("command=uwsgi --yaml /zerg.yml", "command=uwsgi --master --zerg-pool /p.sock::80");
        let deaf = "command=uwsgi --yaml /deaf.yml";
        for is_rolling in [false, true] {
            let wanted = [Ok(S::Keep), Ok(S::Zerg), Ok(S::Zerg), Ok(S::Rolling)];
            assert_eq!(together(&[pool, zergling, zergling, "command=cat"], is_rolling), wanted);
        }
        assert_eq!(together(&[zergling], false), [Ok(S::Signal)]);
        assert_eq!(together(&[zergling, pool], true), [Ok(S::Rolling), Ok(S::Keep)]);
        assert_eq!(together(&[pool], true), [Ok(S::Rolling)]);
        assert_eq!(together(&[deaf, deaf], false), [Ok(S::Signal), Ok(S::Signal)]);
        let by_hup = format!("{zergling}\nrollout=signal");
        assert_eq!(together(&[&by_hup, &by_hup], false), [Ok(S::Signal), Ok(S::Signal)]);
    }

    #[test]
    fn zerg_that_is_written_is_refused_where_nobody_can_take_over() {
        for (keys, why) in [
            ("command=cat", "it is no uWSGI with zerg=SOCKET"),
            ("command=uwsgi --yaml /zerg.yml", "no other zergling of the pool /p.sock is named"),
            ("command=uwsgi --yaml /deaf.yml", "nothing makes it leave"),
        ] {
            let refused = together(&[&format!("{keys}\nrollout=zerg")], false).remove(0).unwrap_err();
            assert!(refused.starts_with("[program:p0] cannot be replaced by rollout=zerg: "), "{refused}");
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn gunicorns_of_one_application_stand_in_for_each_other() {
        let family = |command: &str| {
            let text = format!("[supervisord]\n[program:a]\ncommand={command}\n");
            let source = MadeUp::new().file("/etc/a.conf", &text);
            let loaded = load(Path::new("/etc/a.conf"), &Overrides::default(), &source);
            family(&loaded.config.unwrap().groups[0].processes[0])
        };
        let galaxy = "gunicorn galaxy.webapps.galaxy.fast_factory:factory()";
        assert_eq!(family("/v/bin/gunicorn 'galaxy.webapps.galaxy.fast_factory:factory()' -b localhost:8080"), galaxy);
        assert_eq!(family("python -m gunicorn -b 127.0.0.1:1 app:app"), "gunicorn app:app");
        assert_eq!(family("gunicorn -b h:1"), "program:a");
        assert_eq!(family("uwsgi app:app"), "program:a");
    }

    #[test]
    fn what_is_written_counts_unless_it_loads_nothing_new() {
        assert_eq!(of("command=tusd\nrollout=rolling", 1), Ok(Strategy::Rolling));
        // Whose socket the daemon has, and who can be told from the successor.
        assert_eq!(of("command=gunicorn a:a\nsocket=tcp::81\nready=log:up", 1), Ok(Strategy::Overlap));
        assert_eq!(of("command=uwsgi --master\nsocket=tcp::81\nready=notify", 1), Ok(Strategy::Overlap));
        assert_eq!(of("command=gunicorn a:a\nsocket=tcp::81\nready=tcp:h:81", 1), Ok(Strategy::Signal));
        assert_eq!(of("command=cat\nsocket=tcp::81\nrollout=overlap", 1), Ok(Strategy::Overlap));
        assert_eq!(
            of("command=uwsgi --yaml /lazy.yml\nrollout_fifo=/run/f:c\nready=uwsgi-stats:/s", 1),
            Ok(Strategy::Signal)
        );
        assert_eq!(of("command=uwsgi --yaml /plain.yml\nrollout_fifo=/run/f:r", 1), Ok(Strategy::Signal));
        for (keys, why) in [
            ("command=galaxy-main -c g.yml\nrollout=signal", "galaxy-main ends at every signal"),
            ("command=gunicorn --preload a:a\nrollout=signal", "does not import the application again"),
            ("command=gunicorn a:a\nrollout_signal=USR2", "at HUP alone"),
            ("command=uwsgi --yaml /plain.yml\nrollout_signal=TERM", "at HUP alone"),
            ("command=uwsgi --yaml /bare.yml\nrollout=signal", "without master=true"),
            ("command=uwsgi --yaml /plain.yml\nrollout_fifo=/run/f:c\nready=uwsgi-stats:/s", "without lazy-apps"),
            ("command=uwsgi --yaml /lazy.yml\nrollout_fifo=/run/f:c", "only its stats server tells"),
            ("command=uwsgi --master\nrollout_fifo=/run/f:r", "has no master-fifo"),
            ("command=gunicorn a:a\nrollout_fifo=/run/f:r", "is for a uWSGI"),
            ("command=cat\nrollout_fifo=/run/f:r", "is for a uWSGI"),
            ("command=bash -c 'cat; true'\nrollout=signal", "would reach bash"),
            ("command=cat\nrollout=overlap", "have the daemon listen"),
            (
                "command=cat\nrollout=overlap\nsocket=tcp::81\nready=tcp:h:81",
                "where the present process answers as well",
            ),
            ("command=cat\nrollout=overlap\nsocket=tcp::81\nready=command:up", "may find the present process as well"),
            ("command=galaxy-main -c g.yml\nrollout=overlap\nsocket=tcp::81", "would run the same jobs"),
            ("command=celery --app galaxy.celery beat\nrollout=overlap", "never be two beats"),
        ] {
            let refused = of(keys, 1).unwrap_err();
            assert!(refused.starts_with("[program:a] cannot be replaced by rollout="), "{refused}");
            assert!(refused.contains(why), "{keys}: {refused}");
        }
    }
}
