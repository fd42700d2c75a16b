//! Broken deployments: a good one, what was changed, and what is to be found.

/// One of them.
pub(crate) struct Broken {
    /// The good deployment's folder.
    pub(crate) base: &'static str,
    /// File, text, what replaces its first occurrence; an empty text: what is put behind the file.
    pub(crate) edits: &'static [Edit],
    /// The rules that are not kept any more, all of them.
    pub(crate) codes: &'static [&'static str],
}

type Edit = (&'static str, &'static str, &'static str);

const fn broken(codes: &'static [&'static str], base: &'static str, edits: &'static [Edit]) -> Broken {
    Broken { base, edits, codes }
}

const CONF: &str = "supervisord.conf";
const YML: &str = "galaxy.yml";
const XML: &str = "job_conf.xml";
const JOBS: &str = "job_conf.yml";

pub(crate) const BROKEN: &[Broken] = &[
    // Stop and start times.
    broken(&["GX001"], "allinone", &[(CONF, "stopwaitsecs = 65", "stopwaitsecs = 59")]),
    broken(&["GX001"], "mules", &[(CONF, "stopwaitsecs = 125", "stopwaitsecs = 30")]),
    broken(&["GX001"], "zerg", &[(CONF, "stopwaitsecs = 65", "stopwaitsecs = 10")]),
    broken(&["GX001"], "ini", &[(CONF, "stopwaitsecs = 65", "stopwaitsecs = 10")]),
    broken(&["GX002"], "mules", &[(CONF, "stopwaitsecs = 125", "stopwaitsecs = 65")]),
    broken(&["GX002"], "allinone", &[(YML, "processes: 2", "processes: 2\n  worker-reload-mercy: 90")]),
    broken(&["GX003", "GX004"], "static", &[(CONF, "stopwaitsecs = 215", "stopwaitsecs = 35")]),
    broken(&["GX003"], "dynamic", &[(CONF, "stopwaitsecs = 215", "stopwaitsecs = 59")]),
    broken(&["GX004"], "static", &[(CONF, "stopwaitsecs = 215", "stopwaitsecs = 150")]),
    broken(&["GX004"], "rolling", &[(CONF, "stopwaitsecs = 215", "stopwaitsecs = 35")]),
    broken(
        &["GX003"],
        "static",
        &[
            (YML, "galaxy:\n", "galaxy:\n  monitor_thread_join_timeout: 300\n"),
            (YML, "master", "worker-reload-mercy: 60\n  master"),
        ],
    ),
    broken(&["GX005"], "allinone", &[(CONF, "stopwaitsecs = 65\n", "")]),
    broken(&["GX005"], "static", &[(CONF, "stopwaitsecs = 215\n", "")]),
    broken(&["GX005"], "rolling", &[(CONF, "stopwaitsecs = 65\n", "")]),
    broken(&["GX006"], "allinone", &[(YML, "monitor_thread_join_timeout: 30", "monitor_thread_join_timeout: 60")]),
    broken(
        &["GX006"],
        "allinone",
        &[(
            XML,
            "    </plugins>",
            "        <plugin id=\"slurm\" load=\"galaxy.jobs.runners.slurm:SlurmJobRunner\"/>\n    </plugins>",
        )],
    ),
    broken(&["GX007"], "mules", &[(YML, "mule-reload-mercy: 120", "mule-reload-mercy: 60")]),
    broken(&["GX008"], "dynamic", &[(YML, "galaxy:\n", "galaxy:\n  monitor_thread_join_timeout: 0\n")]),
    broken(&["GX009"], "rolling", &[(CONF, "stopwaitsecs = 65", "stopwaitsecs = 30")]),
    broken(&["GX009"], "dynamic", &[(CONF, "--timeout 300", "--timeout 300 --graceful-timeout 120")]),
    broken(&["GX010"], "rolling", &[(CONF, "--timeout 300", "--timeout 60 --preload")]),
    broken(&["GX010", "GX015"], "rolling", &[(CONF, "--timeout 300 ", "")]),
    broken(&["GX011"], "dynamic", &[(CONF, "stopwaitsecs = 300", "stopwaitsecs = 10")]),
    broken(&["GX011"], "dynamic", &[(CONF, "stopwaitsecs = 300\n", "")]),
    broken(&["GX013"], "dynamic", &[(CONF, "startsecs = 15", "startsecs = 0")]),
    broken(&["GX014"], "zerg", &[(CONF, "autorestart = unexpected", "autorestart = true")]),
    broken(&["GX015"], "rolling", &[(CONF, "--timeout 300", "--timeout 40 --graceful-timeout 15")]),
    broken(&["GX030"], "static", &[(CONF, "stopwaitsecs = 215", "stopwaitsecs = 215\nkillasgroup = true")]),
    broken(&["GX030"], "dynamic", &[(CONF, "stopwaitsecs = 215", "stopwaitsecs = 215\nkillasgroup = true")]),
    // Signals and trees.
    broken(
        &["GX016"],
        "allinone",
        &[
            (CONF, "stopsignal = INT\n", ""),
            (YML, "  die-on-term: true\n", ""),
            (YML, "unix_signal:15", "unix_signal:1"),
        ],
    ),
    broken(
        &["GX016"],
        "ini",
        &[(CONF, "stopsignal = INT", "stopsignal = TERM"), ("galaxy.ini", "die-on-term = true\n", "")],
    ),
    broken(&["GX016"], "zerg", &[(CONF, " --die-on-term", ""), (CONF, "stopsignal = INT", "stopsignal = TERM")]),
    broken(&["GX017"], "allinone", &[(CONF, "stopsignal = INT", "stopsignal = QUIT")]),
    broken(&["GX018"], "allinone", &[(YML, "unix_signal:2 gracefully_kill_them_all", "unix_signal:2 kill_them_all")]),
    broken(
        &["GX019"],
        "allinone",
        &[(YML, "unix_signal:2 gracefully_kill_them_all", "'unix_signal:2 gracefully_kill_them_all'")],
    ),
    broken(
        &["GX019"],
        "mules",
        &[(YML, "unix_signal:15 gracefully_kill_them_all", "\"unix_signal:15 gracefully_kill_them_all\"")],
    ),
    broken(&["GX023"], "allinone", &[(CONF, "stopsignal = INT", "stopsignal = INT\nstopasgroup = true")]),
    broken(&["GX023"], "rolling", &[(CONF, "killasgroup = true", "stopasgroup = true\nstopsignal = INT")]),
    broken(&["GX024"], "dynamic", &[(CONF, "stopasgroup = true\nkillasgroup = true\n\n[group", "\n[group")]),
    broken(
        &["GX024"],
        "dynamic",
        &[(CONF, "stopasgroup = true\nkillasgroup = true\n\n[group", "killasgroup = true\n\n[group")],
    ),
    broken(
        &["GX025"],
        "static",
        &[(CONF, "command = %(here)s/venv/bin/python", "command = sudo -u galaxy %(here)s/venv/bin/python")],
    ),
    broken(
        &["GX025"],
        "zerg",
        &[(
            CONF,
            "command = %(here)s/venv/bin/uwsgi --yaml %(here)s/galaxy.yml",
            "command = sg galaxy '%(here)s/venv/bin/uwsgi --yaml %(here)s/galaxy.yml'",
        )],
    ),
    broken(
        &["GX025"],
        "allinone",
        &[(
            CONF,
            "command = %(here)s/venv/bin/uwsgi --yaml %(here)s/galaxy.yml",
            "command = sh -c '%(here)s/venv/bin/uwsgi --yaml %(here)s/galaxy.yml'",
        )],
    ),
    broken(&["GX026"], "allinone", &[(YML, "master: true", "master: true\n  daemonize: galaxy.log")]),
    broken(&["GX026"], "static", &[(CONF, "--server-name", "--daemonize --server-name")]),
    broken(&["GX026"], "dynamic", &[(CONF, "worker --concurrency 2", "worker --detach --concurrency 2")]),
    broken(&["GX020"], "static", &[(CONF, "stopwaitsecs = 215", "stopwaitsecs = 215\nrollout = signal")]),
    broken(&["GX021"], "rolling", &[(CONF, "--no-control-socket", "--no-control-socket --preload\nrollout = signal")]),
    broken(&["GX021"], "allinone", &[(CONF, "stopwaitsecs = 65", "stopwaitsecs = 65\nrollout_signal = USR1")]),
    broken(&["GX026"], "rolling", &[(CONF, "--no-control-socket", "--no-control-socket --daemon")]),
    broken(
        &["GX026", "GX027"],
        "allinone",
        &[
            (YML, "master: true", "master: true\n  daemonize2: galaxy.log"),
            (CONF, "[group:galaxy]", "[program:script]\ncommand = sh %(here)s/run.sh --daemon\n\n[group:galaxy]"),
        ],
    ),
    broken(
        &["GX026"],
        "allinone",
        &[(CONF, "[group:galaxy]", "[program:script]\ncommand = sh %(here)s/run.sh --daemon\n\n[group:galaxy]")],
    ),
    broken(&["GX026", "GX028"], "static", &[(CONF, "--pid-file=%(here)s/handler%(process_num)s.pid", "-d")]),
    broken(&["GX098"], "static", &[(CONF, "[supervisord]\n", "[supervisord]\nenvironment = PYTHONHOME=\"/usr\"\n")]),
    broken(
        &["GX098"],
        "rolling",
        &[(CONF, "[supervisord]\n", "[supervisord]\nenvironment = PYTHONPATH=\"/opt/lib\"\n")],
    ),
    broken(&["GX109"], "rolling", &[(CONF, "ready = http://127.0.0.1:8081/api/version\n", "")]),
    broken(&["GX111"], "rolling", &[(CONF, "killasgroup = true\n", "")]),
    broken(&["GX111"], "dynamic", &[(CONF, "killasgroup = true\n", "killasgroup = false\n")]),
    // Masters and names.
    broken(
        &["GX031"],
        "mules",
        &[
            (
                CONF,
                "[group:galaxy]\nprograms = web",
                "[program:web2]\ncommand = %(here)s/venv/bin/uwsgi --yaml %(here)s/galaxy.yml --socket :1\ndirectory = %(here)s\numask = 022\nstopsignal = INT\nstopwaitsecs = 125\n\n[group:galaxy]\nprograms = web, web2",
            ),
            (YML, "  socket: /srv/galaxy/uwsgi.sock\n", ""),
        ],
    ),
    broken(
        &["GX031"],
        "zerg",
        &[(
            YML,
            "master: true",
            "master: true\n  mule: lib/galaxy/main.py\n  farm: job-handlers:1\n  mule-reload-mercy: 61",
        )],
    ),
    broken(&["GX032"], "dynamic", &[(CONF, "--server-name=handler%(process_num)s", "--server-name=handler")]),
    broken(
        &["GX032"],
        "rolling",
        &[(
            CONF,
            "[group:galaxy]\nprograms = web0",
            "[program:more]\ncommand = galaxy-main -c %(here)s/galaxy.yml --server-name handler1 --attach-to-pool job-handlers\ndirectory = %(here)s\numask = 022\nstopwaitsecs = 215\nenvironment = PATH=\"%(here)s/venv/bin\"\n\n[group:galaxy]\nprograms = more, web0",
        )],
    ),
    broken(
        &["GX033"],
        "static",
        &[(XML, "<handler id=\"handler0\"/>", "<handler id=\"handler0\"/>\n        <handler id=\"handler0\"/>")],
    ),
    broken(&["GX034"], "static", &[(XML, "tags=\"special,big\"", "tags=\"special,special\"")]),
    broken(&["GX034"], "static", &[(XML, "tags=\"special,big\"", "tags=\"special,handler0\"")]),
    broken(
        &["GX035"],
        "rolling",
        &[
            (YML, "    handling:\n      assign: [db-skip-locked]\n", ""),
            (CONF, "[program:handler]", "[program:unused]"),
            (CONF, "programs = web0, web1, handler", "programs = web0, web1"),
            (CONF, "%(here)s/venv/bin/python ./scripts/galaxy-main", "/bin/true"),
        ],
    ),
    broken(
        &["GX036"],
        "rolling",
        &[(CONF, "GALAXY_CONFIG_SERVER_NAME=\"web_1\"", "GALAXY_CONFIG_SERVER_NAME=\"web_0\"")],
    ),
    broken(
        &["GX036"],
        "rolling",
        &[(CONF, "GALAXY_CONFIG_SERVER_NAME=\"web_0\",", ""), (CONF, "GALAXY_CONFIG_SERVER_NAME=\"web_1\",", "")],
    ),
    broken(&["GX037"], "rolling", &[(CONF, " --config python:galaxy.web_stack.gunicorn_config", "")]),
    broken(
        &["GX038"],
        "dynamic",
        &[
            (
                CONF,
                "[program:tusd]",
                "[program:beat2]\ncommand = %(here)s/venv/bin/celery --app galaxy.celery beat\numask = 022\nenvironment = GALAXY_CONFIG_FILE=\"%(here)s/galaxy.yml\"\n\n[program:tusd]",
            ),
            (CONF, "programs = web", "programs = beat2, web"),
        ],
    ),
    broken(
        &["GX038"],
        "dynamic",
        &[(CONF, "[program:beat]", "[program:beat]\nnumprocs = 2\nprocess_name = beat%(process_num)s")],
    ),
    broken(
        &["GX039"],
        "dynamic",
        &[(CONF, "[program:celery]", "[program:celery]\nnumprocs = 2\nprocess_name = celery%(process_num)s")],
    ),
    broken(
        &["GX040"],
        "static",
        &[(CONF, "--pid-file=%(here)s/handler%(process_num)s.pid", "--pid-file=%(here)s/handler.pid")],
    ),
    broken(
        &["GX036", "GX040", "GX109"],
        "dynamic",
        &[(CONF, "[program:web]", "[program:web]\nnumprocs = 2\nprocess_name = web%(process_num)s")],
    ),
    broken(&["GX041"], "rolling", &[(CONF, "-b 127.0.0.1:8081", "-b 127.0.0.1:8080")]),
    broken(&["GX041"], "rolling", &[(CONF, "-b 127.0.0.1:8081", "-b localhost:8080")]),
    broken(&["GX041"], "dynamic", &[(CONF, "--port 4002", "--port 1080")]),
    broken(&["GX041", "GX115"], "dynamic", &[(CONF, "[program:web]", "[program:web]\nsocket = tcp:localhost:1080")]),
    broken(&["GX115"], "overlap", &[(CONF, "--workers=2", "--workers=2 -b 127.0.0.1:8081")]),
    broken(&["GX115"], "overlap", &[(CONF, "numprocs = 2", "numprocs = 2\nsocket = unix:%(here)s/handler.sock")]),
    // Jobs.
    broken(
        &["GX042", "GX043"],
        "static",
        &[(CONF, "--server-name=handler%(process_num)s", "--server-name=h%(process_num)s")],
    ),
    broken(&["GX042"], "static", &[(CONF, "numprocs = 3", "numprocs = 2")]),
    broken(
        &["GX042"],
        "static",
        &[(XML, "<handler id=\"handler0\"/>", "<handler id=\"handler0\"/>\n        <handler id=\"handler5\"/>")],
    ),
    broken(&["GX043"], "static", &[(CONF, "numprocs = 3", "numprocs = 4")]),
    broken(
        &["GX043", "GX045"],
        "dynamic",
        &[(
            CONF,
            "--attach-to-pool=job-handlers --attach-to-pool=job-handlers.special --attach-to-pool=workflow-schedulers ",
            "",
        )],
    ),
    broken(&["GX044"], "static", &[(XML, "handler=\"special\"", "handler=\"nobody\"")]),
    broken(&["GX044"], "mules", &[(XML, "handler=\"special\"", "handler=\"nobody\"")]),
    broken(&["GX044"], "mules", &[(YML, "farm: job-handlers.special:3", "farm: job-handlers.other:3")]),
    broken(&["GX045"], "dynamic", &[(JOBS, "handler: special", "handler: nobody")]),
    broken(&["GX045"], "dynamic", &[(CONF, "--attach-to-pool=job-handlers.special ", "")]),
    broken(&["GX046"], "rolling", &[(CONF, "--attach-to-pool=job-handlers ", "--attach-to-pool=job-handler ")]),
    broken(
        &["GX046"],
        "rolling",
        &[(CONF, "--attach-to-pool=workflow-schedulers", "--attach-to-pool=workflow-scheduler")],
    ),
    broken(&["GX047"], "zerg", &[(XML, " assign_with=\"db-skip-locked\"", "")]),
    broken(&["GX047"], "dynamic", &[(JOBS, "  assign: [db-skip-locked]\n", "")]),
    broken(
        &["GX048"],
        "static",
        &[(XML, "<handler id=\"handler0\"/>", "<handler id=\"handler0\" tags=\"nodefault\"/>")],
    ),
    broken(&["GX049"], "static", &[(XML, "<handler id=\"handler1\" tags=\"special\"/>", "<handler id=\"handler1\"/>")]),
    broken(
        &["GX062"],
        "dynamic",
        &[(JOBS, "", "limits:\n- type: destination_total_concurrent_jobs\n  id: local\n  value: 4\n")],
    ),
    broken(
        &["GX062"],
        "static",
        &[
            (XML, "destination=\"cluster\"", "destination=\"heavy\""),
            (XML, "runner=\"slurm\"", "runner=\"slurm\" tags=\"heavy\""),
            (XML, "handler=\"special\"", "handler=\"special\" destination=\"cluster\""),
            (
                XML,
                "</tools>",
                "</tools>\n    <limits>\n        <limit type=\"destination_user_concurrent_jobs\" tag=\"heavy\">1</limit>\n    </limits>",
            ),
        ],
    ),
    broken(
        &["GX053"],
        "static",
        &[(XML, "tags=\"special,big\"", "tags=\"drain\""), (XML, "handler=\"special\"", "handler=\"drain\"")],
    ),
    broken(&["GX054"], "dynamic", &[(JOBS, "[db-skip-locked]", "[db-skip-locked, uwsgi-mule-message]")]),
    broken(
        &["GX055"],
        "zerg",
        &[
            (XML, "\"db-skip-locked\"", "\"uwsgi-mule-message,db-skip-locked\""),
            (YML, "master: true", "master: true\n  mules: 1\n  farm: job-handlers:1"),
        ],
    ),
    broken(&["GX057"], "static", &[(YML, "postgresql:///galaxy", "sqlite:///galaxy.sqlite")]),
    broken(&["GX057"], "rolling", &[(YML, "  database_connection: postgresql:///galaxy\n", "")]),
    broken(&["GX058"], "dynamic", &[(JOBS, "[db-skip-locked]", "[mem-self, db-skip-locked]")]),
    broken(&["GX059"], "static", &[(XML, "<handlers>", "<handlers assign_with=\"db-preassign\">")]),
    broken(
        &["GX060"],
        "static",
        &[
            (
                CONF,
                "--server-name=handler%(process_num)s",
                "--server-name=handler%(process_num)s --attach-to-pool=job-handlers.special",
            ),
            (XML, "<handlers>", "<handlers assign_with=\"db-preassign,db-skip-locked\">"),
        ],
    ),
    broken(&["GX061"], "static", &[(XML, "destination=\"cluster\"", "destination=\"local\"")]),
    broken(
        &["GX063"],
        "dynamic",
        &[(YML, "galaxy:\n", "galaxy:\n  parallelize_workflow_scheduling_within_histories: true\n")],
    ),
    broken(
        &["GX064"],
        "static",
        &[(
            "workflow_schedulers_conf.xml",
            "",
            "<workflow_schedulers><handlers><handler id=\"wf0\"/></handlers></workflow_schedulers>\n",
        )],
    ),
    broken(&["GX065"], "static", &[(YML, "  job_config_file: job_conf.xml\n", "")]),
    // The section of uWSGI.
    broken(&["GX066"], "allinone", &[(YML, "  enable-threads: true\n", ""), (YML, "  threads: 4\n", "")]),
    broken(
        &["GX066"],
        "allinone",
        &[(YML, "enable-threads: true", "enable-threads: false"), (YML, "  threads: 4\n", "")],
    ),
    broken(&["GX068"], "allinone", &[(YML, "pythonpath: lib", "pythonpath: 'lib'")]),
    broken(&["GX068"], "static", &[(YML, "processes: 2", "processes: \"2\"")]),
    broken(&["GX070"], "mules", &[(YML, "farm: job-handlers:1,2", "farm: job-handlers:1,2,4")]),
    broken(&["GX070"], "mules", &[(YML, "  mule: lib/galaxy/main.py\n", "")]),
    broken(
        &["GX071"],
        "mules",
        &[
            (YML, "farm: job-handlers:1,2", "farm: other:1,2"),
            (YML, "farm: job-handlers.special:3", "farm: more:3"),
            (XML, "        <tool id=\"test1\" handler=\"special\"/>\n", ""),
        ],
    ),
    broken(&["GX072"], "allinone", &[(YML, "  master: true\n", "")]),
    broken(&["GX072"], "static", &[(YML, "master: true", "master: false")]),
    broken(&["GX073"], "allinone", &[(YML, "  chmod-socket: 660\n", "")]),
    broken(
        &["GX076"],
        "allinone",
        &[
            (CONF, "umask = 022", "umask = 022\nuser = nobody"),
            (YML, "chmod-socket: 660", "chmod-socket: 660\n  http: :80"),
        ],
    ),
    broken(&["GX077"], "static", &[(CONF, "[supervisord]", "[supervisord]\nuser = root")]),
    broken(&["GX077"], "allinone", &[(CONF, "umask = 022", "umask = 022\nuser = root")]),
    broken(&["GX078"], "allinone", &[(CONF, "%(here)s/venv/bin/uwsgi", "/usr/bin/uwsgi")]),
    broken(&["GX079"], "mules", &[(YML, "  py-call-osafterfork: true\n", "")]),
    broken(&["GX080"], "allinone", &[(YML, "  stats: /srv/galaxy/stats.sock\n", "")]),
    broken(&["GX081"], "allinone", &[(CONF, "directory = %(here)s\n", "")]),
    broken(&["GX081"], "ini", &[(CONF, "directory = %(here)s\n", "")]),
    broken(&["GX082"], "rolling", &[(YML, "", "uwsgi:\n  master: true\n")]),
    broken(
        &["GX083"],
        "allinone",
        &[
            (YML, "master: true", "master: true\n  logto: /srv/galaxy/web.log"),
            (CONF, "umask = 022", "umask = 022\nstdout_logfile = %(here)s/web.out"),
        ],
    ),
    broken(
        &["GX113"],
        "allinone",
        &[
            (YML, "stats:", "endif:\n  stats:"),
            (YML, "stats: /srv/galaxy/stats.sock\n", ""),
            (YML, "master: true", "stats: /srv/galaxy/stats.sock\n  master: true"),
        ],
    ),
    // gunicorn, celery and the others.
    broken(&["GX084"], "dynamic", &[(CONF, " --forwarded-allow-ips=*", "")]),
    broken(&["GX085"], "rolling", &[(CONF, "-b 127.0.0.1:8080", "-b 0.0.0.0:8080 --forwarded-allow-ips=*")]),
    broken(
        &["GX086"],
        "rolling",
        &[(CONF, "-k galaxy.webapps.galaxy.workers.Worker", "-k uvicorn.workers.UvicornWorker")],
    ),
    broken(&["GX087"], "rolling", &[(CONF, " --no-control-socket", ""), (CONF, " --no-control-socket", "")]),
    broken(
        &["GX088"],
        "rolling",
        &[(
            YML,
            "galaxy:\n",
            "galaxy:\n  enable_celery_tasks: true\n  amqp_internal_connection: amqp://x\n  celery_conf: {result_backend: 'redis://x'}\n",
        )],
    ),
    broken(&["GX089"], "dynamic", &[(CONF, "celery,galaxy.internal,galaxy.external", "celery,galaxy.internal")]),
    broken(&["GX089"], "dynamic", &[(CONF, " --queues celery,galaxy.internal,galaxy.external", "")]),
    broken(&["GX090"], "dynamic", &[(YML, "    result_backend: redis://localhost:6379/0\n", "")]),
    broken(&["GX090"], "dynamic", &[(YML, "amqp://localhost/galaxy", "sqla+sqlite:///broker.sqlite")]),
    broken(
        &["GX091"],
        "dynamic",
        &[(CONF, "PYTHONPATH=\"lib\",GALAXY_CONFIG_FILE=\"%(here)s/galaxy.yml\",", "PYTHONPATH=\"lib\",")],
    ),
    broken(
        &["GX092"],
        "rolling",
        &[(
            CONF,
            "stopwaitsecs = 215\nenvironment = ",
            "stopwaitsecs = 215\nenvironment = GALAXY_CONFIG_FILE=\"/etc/galaxy.yml\",",
        )],
    ),
    broken(&["GX093"], "dynamic", &[(CONF, "-upload-dir=/srv/galaxy/tus", "-upload-dir=/srv/galaxy/uploads")]),
    broken(
        &["GX094"],
        "dynamic",
        &[(CONF, "-hooks-http=https://galaxy.example.org/api/upload/hooks", "-hooks-http=/api/upload/hooks")],
    ),
    broken(
        &["GX095"],
        "dynamic",
        &[(CONF, "--sessions /srv/galaxy/map.sqlite", "--sessions /srv/galaxy/sessions.sqlite")],
    ),
    broken(&["GX096"], "dynamic", &[(YML, "interactivetools_enable: true", "interactivetools_enable: false")]),
    broken(&["GX096"], "rolling", &[(YML, "galaxy:\n", "galaxy:\n  interactivetools_enable: true\n")]),
    broken(
        &["GX097"],
        "allinone",
        &[
            (CONF, "%(here)s/venv/bin/uwsgi", "uwsgi"),
            (CONF, "environment = VIRTUAL_ENV=\"%(here)s/venv\",PATH=\"%(here)s/venv/bin:/usr/bin:/bin\"\n", ""),
        ],
    ),
    broken(&["GX099"], "static", &[(CONF, "umask = 022", "umask = 027")]),
    broken(&["GX100"], "static", &[(CONF, "umask = 022", "umask = 022\nuser = nobody")]),
    broken(&["GX101"], "rolling", &[(CONF, "[supervisord]\n", "[supervisord]\nminfds = 64\n")]),
    broken(&["GX101"], "dynamic", &[(YML, "galaxy:\n", "galaxy:\n  database_engine_option_pool_size: 2000\n")]),
    broken(&["GX101"], "static", &[(YML, "threads: 4", "gevent: 2000")]),
    broken(
        &["GX104"],
        "rolling",
        &[(CONF, "GALAXY_CONFIG_SERVER_NAME=\"web_0\"", "GALAXY_CONFIG_SERVER_NAME=web_0,OPTIONS=a?b=c")],
    ),
    broken(&["GX104"], "static", &[(CONF, "environment = ", "environment = XDG_DATA_DIRS=/usr/share,/opt/share=a,")]),
    broken(&["GX104"], "dynamic", &[(CONF, "PYTHONPATH=\"lib\",", "PYTHONPATH=\"lib\";")]),
    broken(
        &["GX105", "GX099"],
        "static",
        &[(CONF, "umask = 022", "unmask = 027"), (CONF, "[supervisord]\n", "[supervisord]\numask = 077\n")],
    ),
    broken(&["GX105"], "allinone", &[(CONF, "stopwaitsecs = 65", "stopwaitsecs = 65\nautorestar = true")]),
    broken(&["GX102"], "static", &[(CONF, "handler%(process_num)s.out", "handler%(process_num)s.log")]),
    broken(
        &["GX103"],
        "static",
        &[(CONF, "--log-file=%(here)s/handler%(process_num)s.log", "--log-file=%(here)s/handler.log")],
    ),
    broken(
        &["GX106"],
        "dynamic",
        &[(
            CONF,
            "unix:/srv/galaxy/gunicorn.sock",
            "unix:/srv/galaxy/a/path/that/is/much/longer/than/the/kernel/allows/for/the/name/of/a/unix/socket/in/whatever/folder/gunicorn.sock",
        )],
    ),
    broken(&["GX108"], "static", &[(CONF, "programs = web, handler", "programs = web")]),
    broken(&["GX112"], "static", &[(XML, "</handlers>", "")]),
    broken(&["GX112"], "rolling", &[(YML, "galaxy:\n", "galaxy:\n  a: b: c\n")]),
    broken(&["GX112"], "dynamic", &[(JOBS, "runners:", "runners: [")]),
    broken(&["GX114"], "rolling", &[(YML, "galaxy:\n", "galaxy:\n  database_connection: postgresql:///old\n")]),
];
