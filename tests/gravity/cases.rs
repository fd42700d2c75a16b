//! Deployments that Gravity and galaxyd read alike.

/// A deployment: its name, its galaxy.yml, and further files of its `config` directory.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) galaxy_yml: &'static str,
    pub(crate) files: &'static [(&'static str, &'static str)],
}

const fn case(name: &'static str, galaxy_yml: &'static str) -> Case {
    Case { name, galaxy_yml, files: &[] }
}

const fn with(name: &'static str, galaxy_yml: &'static str, files: &'static [(&'static str, &'static str)]) -> Case {
    Case { name, galaxy_yml, files }
}

const JOB_CONF_YML: &str = "runners: {local: {load: 'galaxy.jobs.runners.local:LocalJobRunner'}}\nhandling:\n  assign: [db-skip-locked]\n  processes:\n    handler0:\n    special: {environment: {A: 'x y', B: '{galaxy_conf}'}, tags: [special]}\n";

const JOB_CONF_XML: &str = "<?xml version=\"1.0\"?>\n<job_conf><plugins><plugin id=\"local\" type=\"runner\" load=\"galaxy.jobs.runners.local:LocalJobRunner\"/></plugins>\n<handlers assign_with=\"db-skip-locked, db-preassign\"><handler id=\"main0\"/><!-- c --><handler id=\"main1\" tags=\"a\"><plugin id=\"x\"/></handler></handlers></job_conf>\n";

/// What both accept, and make the same programs of.
pub(crate) const ALIKE: &[Case] = &[
    case("example", include_str!("../../examples/galaxy.yml")),
    case("defaults", "gravity:\ngalaxy:\n"),
    case("galaxy-alone", "galaxy: {data_dir: var}\n"),
    case("gravity-alone", "gravity: {virtualenv: /srv/venv}\n"),
    case("virtualenv", "gravity: {virtualenv: /srv/venv}\ngalaxy: {}\n"),
    case("virtualenv-slash", "gravity: {virtualenv: /srv/ven v}\ngalaxy: {}\n"),
    case("umask", "gravity: {umask: '027', gunicorn: {umask: '002'}, celery: {umask: \"077\"}}\ngalaxy: {}\n"),
    case("log_dir", "gravity: {log_dir: /var/log/galaxy}\ngalaxy: {}\n"),
    case("log_dir-relative", "gravity: {log_dir: logs/x}\ngalaxy: {}\n"),
    case("data_dir", "gravity: {}\ngalaxy: {data_dir: /srv/data}\n"),
    case(
        "ignored",
        "gravity: {process_manager: supervisor, log_namespace: x, app_server: gunicorn, galaxy_user: u, galaxy_group: g, memory_limit: 2, memory_high: 1.5}\ngalaxy: {}\n",
    ),
    case("galaxy_root", "gravity: {galaxy_root: /srv/galaxy}\ngalaxy: {root: /other}\n"),
    case("root", "gravity:\ngalaxy: {root: /srv/galaxy, data_dir: db}\n"),
    case(
        "instance_name",
        "gravity: {instance_name: main, handlers: {h: {processes: 2}, one: {}}}\ngalaxy: {job_config: {handling: {assign: [db-skip-locked]}}}\n",
    ),
    case(
        "gunicorn",
        "gravity:\n  gunicorn:\n    bind: unix:/run/g.sock\n    workers: 4\n    timeout: 60\n    extra_args: --log-level 'de bug' --max-requests=5\n    preload: false\n    start_timeout: 30\n    stop_timeout: 99\n    restart_timeout: 3\n    memory_limit: 3.5\n    environment: {A: b, PATH: /opt/bin, LONG: \"it's, 50% \\\"x\\\"\"}\ngalaxy: {}\n",
    ),
    case(
        "gunicorn-null",
        "gravity: {gunicorn: null, celery: null, tusd: null, reports: null, gx_it_proxy: null}\ngalaxy: {}\n",
    ),
    case("gunicorn-off", "gravity: {gunicorn: {enable: false}}\ngalaxy: {}\n"),
    case("gunicorn-words", "gravity: {gunicorn: {enable: 'yes', workers: '3', preload: null}}\ngalaxy: {}\n"),
    case(
        "gunicorn-list",
        "gravity:\n  gunicorn:\n  - bind: localhost:8081\n  - {bind: 'localhost:8082', workers: 2, environment: {GALAXY_CONFIG_SERVER_NAME: second}}\ngalaxy: {}\n",
    ),
    case(
        "gunicorn-list-off",
        "gravity:\n  gunicorn:\n  - {bind: a, enable: false}\n  - {bind: b}\n  - {bind: c}\ngalaxy: {}\n",
    ),
    case("gunicorn-list-one", "gravity: {gunicorn: [{bind: 'unix:x'}]}\ngalaxy: {}\n"),
    case(
        "gunicorn-list-direct",
        "gravity:\n  service_command_style: direct\n  gunicorn:\n  - {bind: a, enable: false}\n  - {bind: b}\ngalaxy: {}\n",
    ),
    case("gunicorn-list-named", "gravity: {instance_name: x, gunicorn: [{bind: a}, {bind: b}]}\ngalaxy: {}\n"),
    case(
        "celery",
        "gravity:\n  celery: {concurrency: 0, loglevel: WARNING, queues: 'a,b', pool: gevent, extra_args: '-n w@%h', start_timeout: 3, stop_timeout: 77, environment: {C: d}}\ngalaxy: {}\n",
    ),
    case("celery-off", "gravity: {celery: {enable: false}}\ngalaxy: {}\n"),
    case("beat-off", "gravity: {celery: {enable_beat: false}}\ngalaxy: {}\n"),
    case("celery-none", "gravity: {celery: {enable: false, enable_beat: off}}\ngalaxy: {}\n"),
    case("proxy", "gravity: {virtualenv: /v, gx_it_proxy: {enable: true}}\ngalaxy: {interactivetools_enable: true}\n"),
    case(
        "proxy-all",
        "gravity:\n  gx_it_proxy: {enable: true, version: 1.2.3, ip: 0.0.0.0, port: 4003, sessions: s.sqlite, verbose: false, forward_ip: 10.0.0.1, forward_port: 99, reverse_proxy: true, umask: '077', environment: {npm_config_yes: 'false'}}\ngalaxy: {interactivetools_enable: true}\n",
    ),
    case(
        "proxy-galaxy",
        "gravity: {gx_it_proxy: {enable: true, sessions: s}}\ngalaxy: {interactivetools_enable: true, interactivetools_map: m.sqlite, interactivetools_base_path: /its/, interactivetools_prefix: it}\n",
    ),
    case(
        "tusd",
        "gravity: {tusd: {enable: true, upload_dir: /up}}\ngalaxy: {galaxy_infrastructure_url: 'https://g.org/x/'}\n",
    ),
    case(
        "tusd-all",
        "gravity:\n  virtualenv: /v\n  tusd: {enable: true, tusd_path: /opt/tusd, host: 0.0.0.0, port: 1081, upload_dir: /up, hooks_http: 'http://h/x', hooks_enabled_events: 'a,b', extra_args: '-behind-proxy -v', stop_timeout: 44}\ngalaxy: {}\n",
    ),
    case(
        "tusd-list",
        "gravity:\n  tusd:\n  - {enable: true, upload_dir: /a, port: 1}\n  - {enable: true, upload_dir: /b, port: 2}\ngalaxy: {galaxy_infrastructure_url: u}\n",
    ),
    with("reports", "gravity: {reports: {enable: true}}\ngalaxy: {}\n", &[("reports.yml", "")]),
    with(
        "reports-all",
        "gravity:\n  reports: {enable: true, config_file: r.yml, bind: 'unix:/r', workers: 2, timeout: 5, url_prefix: /reports, extra_args: -v, start_timeout: 1, stop_timeout: 88, environment: {R: '1'}}\ngalaxy: {}\n",
        &[("r.yml", "")],
    ),
    case(
        "handlers",
        "gravity:\n  virtualenv: /v\n  handlers:\n    handler: {processes: 3, pools: [job-handlers, workflow-schedulers], environment: {H: '{galaxy_root}'}, start_timeout: 9, stop_timeout: 123, umask: '007'}\n    single: {}\n    named7: {pools: [job-handlers.special]}\n    twice8: {processes: 2}\n    named: {name_template: '  {instance_name}-{name}-{process:02d} '}\ngalaxy: {job_config: {handling: {assign: [db-skip-locked]}}}\n",
    ),
    case(
        "handlers-alone",
        "gravity:\n  use_service_instances: false\n  handlers: {handler: {processes: 2}, x1: {}}\ngalaxy: {job_config: {handling: {assign: [db-transaction-isolation]}}}\n",
    ),
    case(
        "handlers-alone-named",
        "gravity: {use_service_instances: false, instance_name: main, handlers: {handler: {processes: 2}}}\ngalaxy: {job_config: {handling: {assign: [db-skip-locked]}}}\n",
    ),
    case(
        "inline",
        "gravity: {}\ngalaxy: {job_config: {handling: {processes: {one: {}, two: {environment: {T: t}}}}}}\n",
    ),
    with("job_conf.yml", "gravity: {instance_name: m}\ngalaxy: {}\n", &[("job_conf.yml", JOB_CONF_YML)]),
    with("job_conf.xml", "gravity: {}\ngalaxy: {}\n", &[("job_conf.xml", JOB_CONF_XML)]),
    with(
        "yml-before-xml",
        "gravity: {}\ngalaxy: {}\n",
        &[("job_conf.xml", JOB_CONF_XML), ("job_conf.yml", JOB_CONF_YML)],
    ),
    with(
        "job_config_file",
        "gravity: {}\ngalaxy: {job_config_file: jobs.xml}\n",
        &[("jobs.xml", JOB_CONF_XML), ("job_conf.yml", JOB_CONF_YML)],
    ),
    with(
        "job_config_file-missing",
        "gravity: {}\ngalaxy: {job_config_file: none.xml}\n",
        &[("job_conf.yml", JOB_CONF_YML)],
    ),
    with(
        "other-file",
        "gravity: {galaxy_config_file: other.yml, gunicorn: {bind: a}}\n",
        &[("other.yml", "galaxy: {data_dir: d}\n")],
    ),
    with(
        "two-instances",
        "gravity:\n- {instance_name: a, galaxy_config_file: a.yml, handlers: {h: {processes: 2}}}\n- {instance_name: b, galaxy_config_file: b.yml, celery: {enable: false}}\n",
        &[
            ("a.yml", "galaxy: {data_dir: da, job_config: {handling: {assign: [db-skip-locked]}}}\n"),
            ("b.yml", "galaxy: {data_dir: db}\n"),
        ],
    ),
    case(
        "merge-keys",
        "x: &common {umask: '007', start_timeout: 4}\ngravity:\n  gunicorn: {<<: *common, bind: q}\n  celery: *common\ngalaxy: {}\n",
    ),
    case(
        "environment-fields",
        "gravity: {gunicorn: {environment: {A: '{galaxy_root}/x', B: '{{literal}}', C: '{galaxy_conf}'}}}\ngalaxy: {}\n",
    ),
];

/// What both refuse; ours names the place.
pub(crate) const REFUSED: &[Case] = &[
    case("no-mapping", "- a\n"),
    case("nothing-known", "server: {}\n"),
    case("umask-number", "gravity: {umask: 022}\ngalaxy: {}\n"),
    case("bind-number", "gravity: {gunicorn: {bind: 8080}}\ngalaxy: {}\n"),
    case("workers-none", "gravity: {gunicorn: {workers: 0}}\ngalaxy: {}\n"),
    case("workers-text", "gravity: {gunicorn: {workers: many}}\ngalaxy: {}\n"),
    case("timeout-negative", "gravity: {gunicorn: {timeout: -1}}\ngalaxy: {}\n"),
    case("loglevel", "gravity: {celery: {loglevel: debug}}\ngalaxy: {}\n"),
    case("pool", "gravity: {celery: {pool: forks}}\ngalaxy: {}\n"),
    case("app_server", "gravity: {app_server: unicornherder}\ngalaxy: {}\n"),
    case("process_manager", "gravity: {process_manager: runit}\ngalaxy: {}\n"),
    case("style", "gravity: {service_command_style: indirect}\ngalaxy: {}\n"),
    case("enable", "gravity: {gunicorn: {enable: perhaps}}\ngalaxy: {}\n"),
    case("environment-number", "gravity: {gunicorn: {environment: {A: 1}}}\ngalaxy: {}\n"),
    case("handler-null", "gravity: {handlers: {h: }}\ngalaxy: {}\n"),
    case("handlers-list", "gravity: {handlers: [h]}\ngalaxy: {}\n"),
    case("tusd-without-directory", "gravity: {tusd: {enable: true}}\ngalaxy: {galaxy_infrastructure_url: u}\n"),
    case("tusd-without-url", "gravity: {tusd: {enable: true, upload_dir: u}}\ngalaxy: {}\n"),
    case("proxy-without-tools", "gravity: {gx_it_proxy: {enable: true}}\ngalaxy: {}\n"),
    case("reports-without-file", "gravity: {reports: {enable: true}}\ngalaxy: {}\n"),
    case("list-and-galaxy", "gravity: [{galaxy_config_file: a.yml}]\ngalaxy: {}\n"),
    case("list-without-file", "gravity: [{instance_name: a}]\n"),
    case("no-other-file", "gravity: {galaxy_config_file: none.yml}\n"),
    with(
        "same-names",
        "gravity: [{galaxy_config_file: a.yml}, {galaxy_config_file: a.yml}]\n",
        &[("a.yml", "galaxy: {}\n")],
    ),
    with("no-galaxy-section", "gravity: {galaxy_config_file: a.yml}\n", &[("a.yml", "other: {}\n")]),
];
