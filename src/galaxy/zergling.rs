//! What a uWSGI that takes its socket from a pool does at a hand-over to another one.

use super::deployment::absolute;
use super::uwsgi::UwsgiOptions;
use super::web_server::{door, filled_in};
use crate::config::{Door, Leaving, ProcessConfig, ReadyCheck, Source, Zergling};
use crate::engine::AutoRestart;

/// The function of uWSGI's that ends it when its requests are done.
const GRACEFUL: &str = "gracefully_kill_them_all";

/// How a zergling takes turns; `None` if this uWSGI is none.
///
/// # Errors
/// Why no other one can take its turn without a request's failing, or without anybody's seeing that it does.
pub(super) fn zergling(
    options: &UwsgiOptions,
    wrapper: Option<&str>,
    process: &ProcessConfig,
    source: &dyn Source,
) -> Option<Result<Zergling, String>> {
    let pool = options.last("zerg").or_else(|| options.last("zerg-server"))?;
    let path = |text: &str| path_of(text, options, process, source);
    let pool = path(&pool.value).unwrap_or_else(|| pool.value.clone());
    let fifos: Option<Vec<String>> = options.all("master-fifo").map(|fifo| path(&fifo.value)).collect();
    let fifos = fifos.unwrap_or_default();
    Some(leaving(options, wrapper, process, !fifos.is_empty()).and_then(|leaving| {
        let stats = stats(options, process, source)?;
        Ok(Zergling { pool, leaving, fifos, stats })
    }))
}

/// What makes it leave.
fn leaving(
    options: &UwsgiOptions,
    wrapper: Option<&str>,
    process: &ProcessConfig,
    has_fifo: bool,
) -> Result<Leaving, String> {
    let stop_is_graceful =
        wrapper.is_none() && options.hook(process.stopsignal).is_some_and(|(_, function)| function == GRACEFUL);
    let comes_back = match process.autorestart {
        AutoRestart::Always => true,
        AutoRestart::Unexpected => !process.exitcodes.contains(&0),
        AutoRestart::Never => false,
    };
    let is_told_by_hook = options.all("hook-accepting1-once").any(|hook| tells_to_end(&hook.value));
    if is_told_by_hook && !comes_back {
        Ok(Leaving::ByHook)
    } else if is_told_by_hook {
        Err("it would come back when it has given way, and take over again; write autorestart=unexpected and exitcodes=0"
            .to_owned())
    } else if has_fifo && wrapper.is_none() && !comes_back {
        Ok(Leaving::ByFifo)
    } else if stop_is_graceful {
        Ok(Leaving::ByStop)
    } else if has_fifo && wrapper.is_none() {
        Err("it would come back when it has given way; write autorestart=unexpected and exitcodes=0".to_owned())
    } else {
        let text = "nothing makes it leave when its requests are done; give it a master-fifo, or hook-master-start";
        Err(format!("{text}: unix_signal:{} {GRACEFUL}", process.stopsignal))
    }
}

/// Whether a hook writes `q` to a FIFO: `writefifo:PATH 2q`.
fn tells_to_end(hook: &str) -> bool {
    let command = hook.split_once(':').filter(|(name, _)| matches!(*name, "writefifo" | "spinningfifo"));
    command.and_then(|(_, rest)| rest.trim_end().rsplit_once(' ')).is_some_and(|(_, letters)| letters.contains('q'))
}

/// Where it is asked whether it accepts; `None` where its `ready` key tells of it alone.
fn stats(options: &UwsgiOptions, process: &ProcessConfig, source: &dyn Source) -> Result<Option<Door>, String> {
    match process.extras.ready.as_ref().map(|ready| &ready.check) {
        Some(ReadyCheck::Log(_) | ReadyCheck::Notify) => return Ok(None),
        Some(ReadyCheck::UwsgiStats(door)) => return Ok(Some(door.clone())),
        Some(ReadyCheck::Http(_) | ReadyCheck::Connect(_) | ReadyCheck::Command(_)) | None => {}
    }
    let own = options.last("stats").or_else(|| options.last("stats-server"));
    let found = own.and_then(|own| door(&own.value, process, source));
    let remedy = "give it a stats server (stats: /PATH) that is known, or ready=log:...";
    found.map(Some).ok_or_else(|| format!("nothing tells of it alone that it accepts requests; {remedy}"))
}

/// A path as it has it; `None` where that is not known.
fn path_of(text: &str, options: &UwsgiOptions, process: &ProcessConfig, source: &dyn Source) -> Option<String> {
    let text = filled_in(text, process)?;
    if !text.starts_with('/') && (options.has("chdir") || options.has("chdir2")) {
        return None;
    }
    Some(absolute(&text, process, source).display().to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, load};

    fn of(keys: &str, settings: &str) -> Option<Result<Zergling, String>> {
        let text = format!("[supervisord]\n[program:a]\ncommand=uwsgi --yaml /g.yml\ndirectory=/srv\n{keys}\n");
        let source = MadeUp::new().file("/etc/a.conf", &text);
        let loaded = load(Path::new("/etc/a.conf"), &Overrides::default(), &source);
        let config = loaded.config.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.problems));
        let options = UwsgiOptions::from_yaml(&format!("uwsgi:\n  master: true\n{settings}")).unwrap();
        zergling(&options, None, &config.groups[0].processes[0], &source)
    }

    const FIFOS: &str = "  zerg: run/pool.sock\n  master-fifo: new\n  master-fifo: $(WHO).run\n";
    const STATS: &str = "  stats: s\n";
    const HOOK: &str = "  hook-accepting1-once: writefifo:run 2q\n";
    const GRACEFULLY: &str = "  hook-master-start: unix_signal:2 gracefully_kill_them_all\n";
    const KEYS: &str = "stopsignal=INT\nenvironment=WHO=\"me\"\n";

    #[test]
    fn what_makes_a_zergling_leave_is_read_from_its_options() {
        assert_eq!(of(KEYS, STATS), None);
        let plain = of(KEYS, &format!("{FIFOS}{STATS}")).unwrap().unwrap();
        let wanted = Zergling {
            pool: "/srv/run/pool.sock".to_owned(),
            leaving: Leaving::ByFifo,
            fifos: vec!["/srv/new".to_owned(), "/srv/me.run".to_owned()],
            stats: Some(Door::Unix("/srv/s".to_owned())),
        };
        assert_eq!(plain, wanted);
        let leaving = |keys: &str, settings: &str| of(keys, settings).unwrap().map(|zergling| zergling.leaving);
        assert_eq!(leaving(KEYS, &format!("{FIFOS}{HOOK}{STATS}")), Ok(Leaving::ByHook));
        let restarted = format!("{KEYS}autorestart=true\n");
        assert_eq!(leaving(&restarted, &format!("{FIFOS}{GRACEFULLY}{STATS}")), Ok(Leaving::ByStop));
        assert_eq!(leaving(KEYS, &format!("  zerg: p\n{GRACEFULLY}{STATS}")), Ok(Leaving::ByStop));
    }

    #[test]
    fn without_a_way_to_leave_or_to_be_seen_there_is_no_turn() {
        let why = |keys: &str, settings: &str| of(keys, settings).unwrap().unwrap_err();
        assert!(why(KEYS, &format!("  zerg: p\n{STATS}")).contains("unix_signal:2 gracefully_kill_them_all"));
        assert!(why(KEYS, FIFOS).contains("nothing tells of it alone"));
        assert!(why(&format!("{KEYS}ready=tcp:h:80"), FIFOS).contains("nothing tells of it alone"));
        assert!(why(&format!("{KEYS}autorestart=true"), &format!("{FIFOS}{STATS}")).contains("exitcodes=0"));
        assert!(why(&format!("{KEYS}exitcodes=3"), &format!("{FIFOS}{HOOK}{STATS}")).contains("take over again"));
        assert!(of(&format!("{KEYS}ready=log:up"), FIFOS).unwrap().unwrap().stats.is_none());
    }

    #[test]
    fn a_hook_that_ends_another_is_known_by_what_it_writes() {
        for (hook, wanted) in [
            ("writefifo:/srv/run.fifo 2q", true),
            ("spinningfifo:/srv/run.fifo 2q", true),
            ("spinningfifo:/srv/queue.fifo 1", false),
            ("exec:echo q", false),
            ("writefifo", false),
        ] {
            assert_eq!(tells_to_end(hook), wanted, "{hook}");
        }
    }
}
