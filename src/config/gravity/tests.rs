//! By table: what is refused and how that reads, and what Gravity does not have.

use std::path::Path;

use super::keys::SECTIONS;
use crate::config::made_up::MadeUp;
use crate::config::model::{Config, ProcessConfig};
use crate::config::{Loaded, Overrides, load};

const FILE: &str = "/srv/galaxy/config/galaxy.yml";

fn host() -> MadeUp {
    MadeUp::new()
        .account("galaxy", 1001, 1001, "/srv/galaxy")
        .account("other", 1002, 1002, "/srv/other")
        .variable("PATH", "/bin")
        .variable("GRAVITY_SKIP_SYSTEMD", "1")
        .directory("/srv/galaxy/lib/galaxy")
}

fn loaded_on(host: MadeUp, text: &str) -> Loaded {
    load(Path::new(FILE), &Overrides::default(), &host.file(FILE, text))
}

fn config_on(host: MadeUp, text: &str) -> Config {
    let loaded = loaded_on(host, text);
    loaded.config.unwrap_or_else(|| panic!("{text}: {:#?}", loaded.problems))
}

fn process(config: &Config, name: &str) -> ProcessConfig {
    let all = config.groups.iter().flat_map(|group| &group.processes);
    all.clone().find(|process| process.name == name).cloned().unwrap_or_else(|| {
        panic!("no {name} in {:?}", all.map(|process| &process.name).collect::<Vec<_>>());
    })
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_would_be_right() {
    for (text, wanted) in [
        (
            "gravity:\n  gunicorn:\n    bnd: x\ngalaxy:\n",
            "3:5: [gravity.gunicorn] bnd: there is no such key; did you mean bind?",
        ),
        (
            "gravity:\n  umask: 022\ngalaxy:\n",
            "2:10: [gravity] umask: this is a number: YAML takes a leading zero for octal; write octal digits in quotes, like \"022\"",
        ),
        (
            "gravity:\n  gunicorn:\n  - {}\n  - {workers: none}\ngalaxy:\n",
            "4:15: [gravity.gunicorn[1]] workers: this is a text; write a whole number, 1 or more",
        ),
        (
            "gravity: {celery: {pool: fork}}\ngalaxy:\n",
            "1:26: [gravity.celery] pool: this is `fork`; write prefork or eventlet or gevent or solo or processes or threads",
        ),
        (
            "gravity:\n  gunicorn: {environment: {A: 4}}\ngalaxy:\n",
            "2:31: [gravity.gunicorn.environment] A: this is a whole number; a variable is a text: write A: \"4\"",
        ),
        (
            "gravity: {handlers: {h: {name_template: '{nme}'}}}\ngalaxy:\n",
            "1:41: [gravity.handlers.h] name_template: `{nme}` cannot be filled in; use {name}, {process}, {process:02d} and {instance_name}; write {{ for a brace",
        ),
        (
            "gravity: {gunicorn: {extra_args: \"'x\"}}\ngalaxy:\n",
            "1:34: [gravity.gunicorn] extra_args: it cannot be split: No closing quotation; close every quote",
        ),
        (
            "gravity:\n  handlers: {a: {name_template: x}, b: {name_template: x}}\ngalaxy:\n",
            "2:37: [gravity] server name x: two processes have the server name `x`, see /srv/galaxy/config/galaxy.yml:2; both would take the same jobs: give each a name of its own",
        ),
        (
            "gravity: {handlers: {celery: {}}}\ngalaxy:\n",
            "1:22: [gravity] celery: there is another service `celery`, from /srv/galaxy/config/galaxy.yml:1; rename one of them",
        ),
        ("gravity: [\n", "2:1: "),
        (
            "gravity: {gunicorn: [{bind: a}, {bind: b}], celery: 3}\ngalaxy:\n",
            "1:53: [gravity.celery] this is a whole number, not a mapping; write",
        ),
    ] {
        let loaded = loaded_on(host(), text);
        assert!(loaded.config.is_none(), "{text}");
        let errors: Vec<_> = loaded.problems.errors().map(ToString::to_string).collect();
        let wanted = format!("error: {FILE}:{wanted}");
        assert!(errors.iter().any(|error| error.starts_with(&wanted)), "{wanted}\n{errors:#?}");
    }
}

#[test]
fn several_celery_workers_have_names_of_their_own_and_one_beat() {
    let text = "gravity:\n  celery:\n  - {queues: galaxy.internal}\n  - {queues: galaxy.external, extra_args: -n mine@%h}\ngalaxy:\n";
    let config = config_on(host(), text);
    assert!(process(&config, "celery_0").command.ends_with("--queues galaxy.internal --hostname celery0@%h"));
    assert!(process(&config, "celery_1").command.ends_with("--queues galaxy.external -n mine@%h"));
    let beats = config.groups.iter().flat_map(|group| &group.processes).filter(|p| p.command.contains(" beat "));
    assert_eq!(beats.count(), 1);
}

#[test]
fn the_monitor_of_events_runs_where_galaxy_wants_it() {
    for (text, runs) in [
        ("gravity: {}\ngalaxy: {enable_sse_updates: true}\n", true),
        ("gravity: {}\ngalaxy: {}\n", false),
        ("gravity: {sse_monitor: {enable: false}}\ngalaxy: {enable_sse_updates: true}\n", false),
        ("gravity: {sse_monitor: {enable: true}}\ngalaxy: {}\n", true),
    ] {
        let config = config_on(host(), text);
        let found = config.groups.iter().any(|group| group.name == "sse-monitor");
        assert_eq!(found, runs, "{text}");
    }
}

#[test]
fn stop_times_are_computed_unless_they_are_set() {
    const RUNNERS: &str = "runners: {a: {load: 'x:LocalJobRunner'}, b: {load: 'x:SlurmJobRunner'}, c: {load: 'x:DRMAAJobRunner'}}\n\
        handling: {processes: {h0: {}}}\n";
    let check = |text: &str, name: &str, wanted: i64| {
        let host = host().file("/srv/galaxy/config/job_conf.yml", RUNNERS);
        assert_eq!(process(&config_on(host, text), name).stopwaitsecs, wanted, "{text}: {name}");
    };
    check("gravity: {}\ngalaxy: {}\n", "gunicorn", 65);
    check("gravity: {gunicorn: {extra_args: --graceful-timeout 60}}\ngalaxy: {}\n", "gunicorn", 95);
    check("gravity: {gunicorn: {stop_timeout: 5}}\ngalaxy: {}\n", "gunicorn", 5);
    check("gravity: {}\ngalaxy: {}\n", "celery", 300);
    check("gravity: {}\ngalaxy: {}\n", "celery-beat", 10);
    // One local runner and two with a monitor.
    check("gravity: {}\ngalaxy: {}\n", "h0", 30 * (2 * 2 + 1 + 4) + 15);
    check("gravity: {}\ngalaxy: {monitor_thread_join_timeout: 10}\n", "h0", 10 * (2 * 2 + 1 + 4) + 15);
    check("gravity: {handlers: {x1: {stop_timeout: 7}}}\ngalaxy: {}\n", "x1", 7);
}

#[test]
fn only_the_proxys_group_gets_the_stop_signal_and_nobody_is_left() {
    let text = "gravity: {gx_it_proxy: {enable: true}}\ngalaxy: {interactivetools_enable: true}\n";
    let config = config_on(host(), text);
    for process in config.groups.iter().flat_map(|group| &group.processes) {
        let wanted = (process.name == "gx-it-proxy", true);
        assert_eq!((process.stopasgroup, process.killasgroup), wanted, "{}", process.name);
    }
}

#[test]
fn variables_fill_in_what_the_file_leaves_out() {
    let host = || host().variable("GRAVITY_VIRTUALENV", "/v").variable("GRAVITY_GUNICORN.BIND", "there:1");
    let config = config_on(host(), "gravity: {}\ngalaxy:\n");
    let gunicorn = process(&config, "gunicorn");
    assert!(gunicorn.command.starts_with("/v/bin/gunicorn ") && gunicorn.command.contains(" -b there:1 "));
    assert_eq!(gunicorn.environment["PATH"], "/v/bin/:/bin");
    let config = config_on(host(), "gravity: {virtualenv: /w, gunicorn: {bind: here}}\ngalaxy:\n");
    assert!(process(&config, "gunicorn").command.contains(" -b here "));
    assert_eq!(process(&config, "gunicorn").environment["VIRTUAL_ENV"], "/w");
    let state = host().variable("GRAVITY_STATE_DIR", "/state");
    let config = config_on(state, "gravity: {}\ngalaxy:\n");
    assert_eq!(config.daemon.pidfile, Path::new("/state/supervisor/supervisord.pid"));
}

#[test]
fn an_installed_galaxy_needs_no_checkout() {
    const TEXT: &str = "gravity: {virtualenv: /v, handlers: {x1: {}}}\ngalaxy: {enable_sse_updates: true}\n";
    let bare = || MadeUp::new().variable("GRAVITY_SKIP_SYSTEMD", "1");
    let told = loaded_on(bare(), TEXT).problems.errors().map(ToString::to_string).collect::<Vec<_>>();
    assert!(told.first().is_some_and(|told| told.contains("Galaxy's root directory is not known")), "{told:?}");
    let config = config_on(bare().file("/v/bin/galaxy-main", ""), TEXT);
    let handler = process(&config, "x1");
    assert_eq!(handler.command, format!("/v/bin/galaxy-main -c {FILE} --server-name=x1"));
    assert_eq!(handler.directory.as_deref(), Some("/srv/galaxy/config"));
    assert_eq!(process(&config, "sse-monitor").command, "/v/bin/galaxy-sse-monitor");
    assert_eq!(config.daemon.pidfile, Path::new("/srv/galaxy/config/data/gravity/supervisor/supervisord.pid"));
}

#[test]
fn root_runs_galaxy_as_galaxys_account() {
    let root = || {
        let host = MadeUp::new().account("galaxy", 1001, 1001, "/srv/galaxy").account("other", 1002, 1002, "/");
        host.directory("/srv/galaxy/lib/galaxy").file("/srv/galaxy/config/a.yml", "galaxy: {}\n")
    };
    let config = config_on(root(), "gravity: {galaxy_user: galaxy, galaxy_group: galaxy}\ngalaxy:\n");
    assert_eq!(config.daemon.user.map(|user| user.uid), Some(1001));
    for (text, wanted) in [
        ("gravity: {}\ngalaxy:\n", "root does not run Galaxy"),
        ("gravity: {galaxy_user: galaxy, galaxy_group: other}\ngalaxy:\n", "other is not the primary group of galaxy"),
        (
            "gravity:\n- {instance_name: a, galaxy_user: galaxy, galaxy_config_file: a.yml}\n- {instance_name: b, galaxy_user: other, galaxy_config_file: a.yml}\n",
            "the instances of one daemon run as one account",
        ),
    ] {
        let told = loaded_on(root(), text).problems.errors().map(ToString::to_string).collect::<Vec<_>>();
        assert!(told.iter().any(|told| told.contains(wanted)), "{text}: {told:?}");
    }
}

#[test]
fn what_the_command_line_of_a_program_contains_means_itself() {
    let text = "gravity:\n  gunicorn: {bind: 'unix:/run/100% x.sock', environment: {A: '50% {', B: '{\"a\": \"%(here)s\"}'}}\ngalaxy:\n";
    let gunicorn = process(&config_on(host(), text), "gunicorn");
    assert!(gunicorn.command.contains(" -b 'unix:/run/100% x.sock' "), "{}", gunicorn.command);
    assert_eq!(gunicorn.environment["A"], "50% {");
    assert_eq!(gunicorn.environment["B"], "{\"a\": \"%(here)s\"}");
}

/// A galaxy.yml of the time of uWSGI, as uWSGI reads it.
const UWSGI: &str = "uwsgi:\n  module: galaxy.webapps.galaxy.buildapp:uwsgi_app()\n  virtualenv: .venv\n  master: true\n  \
    mule: lib/galaxy/main.py\n  mule: lib/galaxy/main.py\n  farm: job-handlers:1,2\n  mule-reload-mercy: 120\n\ngalaxy:\n  brand: x\n";

#[test]
fn a_uwsgi_section_gives_the_master_and_the_handlers_that_are_named() {
    const JOBS: &str = "<job_conf><handlers><handler id=\"handler0\"/><handler id=\"special\"/></handlers></job_conf>";
    let loaded = loaded_on(host().file("/srv/galaxy/config/job_conf.xml", JOBS), UWSGI);
    assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
    let config = loaded.config.unwrap();
    let names: Vec<&str> = config.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["handler0", "special", "web"]);
    let web = process(&config, "web");
    assert_eq!(web.command, format!("/srv/galaxy/.venv/bin/uwsgi --yaml {FILE}"));
    assert_eq!((web.stopsignal, web.stopwaitsecs, web.killasgroup, web.stopasgroup), (2, 125, true, false));
    assert_eq!(web.environment["VIRTUAL_ENV"], "/srv/galaxy/.venv");
    let handler = process(&config, "special");
    assert!(handler.command.ends_with("galaxy-main -c /srv/galaxy/config/galaxy.yml --server-name=special"));
    assert!(handler.command.starts_with("/srv/galaxy/.venv/bin/python "));
}

#[test]
fn a_strategy_adds_webless_handlers_to_uwsgi_alone() {
    let with = |strategy: &str| host().variable("GALAXYD_STRATEGY", strategy);
    let assigned = |host: MadeUp| {
        host.file("/srv/galaxy/config/job_conf.yml", "handling: {assign: [db-skip-locked]}\nrunners: {}\n")
    };
    let loaded = loaded_on(assigned(with("webless:2")), UWSGI);
    assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
    let handler = process(&loaded.config.unwrap(), "handler1");
    let wanted = "--server-name=handler1 --attach-to-pool=job-handlers --attach-to-pool=workflow-schedulers";
    assert!(handler.command.ends_with(wanted), "{}", handler.command);
    let unassigned = loaded_on(with("webless:1"), UWSGI);
    assert!(unassigned.config.is_some() && !unassigned.problems.is_empty());
    let named =
        |host: MadeUp| host.file("/srv/galaxy/config/job_conf.yml", "handling: {processes: {h: {}}}\nrunners: {}\n");
    for (host, text, wanted) in [
        (with("mules"), UWSGI, "there is no strategy `mules`"),
        (with("webless:0"), UWSGI, "there is no strategy `webless:0`"),
        (named(with("webless:1")), UWSGI, "the job configuration names its handlers"),
        (with("webless:1"), "gravity: {}\ngalaxy: {}\n", "a strategy is for a galaxy.yml with a uwsgi section"),
        (host(), "uwsgi:\n  zerg: /s\n\ngalaxy: {}\n", "one program cannot be this"),
        (host(), "uwsgi:\n  daemonize: /l\n\ngalaxy: {}\n", "uWSGI would go into the background"),
    ] {
        let loaded = loaded_on(host, text);
        let told = loaded.problems.errors().map(ToString::to_string).collect::<Vec<_>>();
        assert!(loaded.config.is_none() && told.iter().any(|told| told.contains(wanted)), "{wanted}: {told:?}");
    }
}

#[test]
fn limits_of_memory_are_those_of_each_program() {
    let text =
        "gravity: {memory_limit: 2, memory_high: 1.5, gunicorn: {memory_limit: 0.5}, handlers: {h1: {}}}\ngalaxy:\n";
    let config = config_on(host(), text);
    let limits = |name: &str| {
        let limits = process(&config, name).extras.limits;
        (limits.memory_max, limits.memory_high)
    };
    assert_eq!(limits("gunicorn"), (Some(512 << 20), Some(1536 << 20)));
    assert_eq!(limits("h1"), (Some(2 << 30), Some(1536 << 20)));
}

#[test]
fn several_files_are_instances_of_one_daemon() {
    let host = |second: &str| {
        let host = host().directory("/srv/other/lib/galaxy").file(FILE, "gravity: {instance_name: a}\ngalaxy: {}\n");
        host.file("/srv/other/config/galaxy.yml", second)
    };
    let files = format!("{FILE}:/srv/other/config/galaxy.yml");
    let load = |second: &str| load(Path::new(&files), &Overrides::default(), &host(second));
    let config = load("gravity: {instance_name: b}\ngalaxy: {}\n").config.unwrap();
    let names: Vec<&str> = config.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.groups[1].processes[0].directory.as_deref(), Some("/srv/other"));
    let twins = load("gravity: {instance_name: a}\ngalaxy: {}\n");
    let told = twins.problems.errors().map(ToString::to_string).collect::<Vec<_>>();
    assert!(told.iter().any(|told| told.contains("the instance `a` has been read from")), "{told:?}");
    let bad = load("gravity: {instanc_name: b}\ngalaxy: {}\n");
    let told = bad.problems.errors().map(ToString::to_string).collect::<Vec<_>>();
    assert!(told.iter().any(|told| told.contains("/srv/other/config/galaxy.yml:1:")), "{told:?}");
}

#[test]
fn the_page_names_every_key() {
    let page = include_str!("../../../docs/galaxy-yml.md");
    for (section, keys) in SECTIONS {
        assert!(page.contains(&format!("`{section}`")), "{section}");
        for key in *keys {
            assert!(page.contains(&format!("`{}`", key.name)), "{section}: {}", key.name);
        }
    }
}

#[test]
fn several_gunicorns_are_asked_whether_they_are_ready_and_one_is_not() {
    let text = "gravity:\n  gunicorn:\n  - {bind: 'localhost:8081', restart_timeout: 90}\n  - {bind: 'unix:/run/g.sock'}\n  \
                - {bind: 'fd://3'}\ngalaxy: {galaxy_url_prefix: /galaxy/}\n";
    let config = config_on(host(), text);
    let ready =
        |name: &str| process(&config, name).extras.ready.map(|ready| (ready.text, ready.rule.timeout.as_secs()));
    assert_eq!(ready("gunicorn_0"), Some(("http://localhost:8081/galaxy/api/version".to_owned(), 90)));
    assert_eq!(ready("gunicorn_1"), Some(("http+unix:/run/g.sock:/galaxy/api/version".to_owned(), 300)));
    assert_eq!(ready("gunicorn_2"), None);
    let alone = config_on(host(), "gravity: {gunicorn: {bind: 'localhost:8081'}}\ngalaxy:\n");
    assert_eq!(process(&alone, "gunicorn").extras.ready, None);
}
