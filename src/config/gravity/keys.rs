//! Every key of the `gravity:` section, once. Source: Gravity 1.2.4, `settings.py`; `celery` as a list, `sse_monitor` and `processes_file` are ours.

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    /// A whole number, at least this.
    Int(i64),
    /// A fraction, above zero.
    Number,
    Text,
    /// Octal digits, as a text.
    Octal,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A mapping of texts.
    Variables,
    /// A list of texts.
    Texts,
    /// A mapping, or a list of mappings, with keys of its own.
    Section,
}

/// What holds where a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preset {
    /// Nothing, or what the code says.
    Null,
    Bool(bool),
    Int(i64),
    Text(&'static str),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) preset: Preset,
    /// Whether null may be written.
    pub(super) may_be_null: bool,
}

use Kind as K;
use Preset as P;

const fn key(name: &'static str, kind: Kind, preset: Preset) -> Key {
    Key { name, kind, preset, may_be_null: matches!(preset, Preset::Null) }
}

const fn or_null(name: &'static str, kind: Kind, preset: Preset) -> Key {
    Key { name, kind, preset, may_be_null: true }
}

/// Its presets are given to every service that does not set the key.
const UMASK: Key = key("umask", K::Octal, P::Null);
const MEMORY_LIMIT: Key = key("memory_limit", K::Number, P::Null);
const MEMORY_HIGH: Key = key("memory_high", K::Number, P::Null);
const ENVIRONMENT: Key = key("environment", K::Variables, P::Null);
/// Computed where it is absent.
const STOP_TIMEOUT: Key = key("stop_timeout", K::Int(0), P::Null);

const fn start_timeout(seconds: i64) -> Key {
    key("start_timeout", K::Int(0), P::Int(seconds))
}

/// The keys of `gravity:` itself.
pub(super) const GRAVITY: &[Key] = &[
    key("process_manager", K::Word(&["supervisor", "systemd", "multiprocessing"]), P::Null),
    key("service_command_style", K::Word(&["gravity", "direct"]), P::Text("gravity")),
    key("use_service_instances", K::Bool, P::Bool(true)),
    key("umask", K::Octal, P::Text("022")),
    MEMORY_LIMIT,
    MEMORY_HIGH,
    key("galaxy_config_file", K::Text, P::Null),
    key("galaxy_root", K::Text, P::Null),
    key("galaxy_user", K::Text, P::Null),
    key("galaxy_group", K::Text, P::Null),
    key("log_dir", K::Text, P::Null),
    key("log_namespace", K::Text, P::Null),
    key("virtualenv", K::Text, P::Null),
    key("app_server", K::Word(&["gunicorn"]), P::Text("gunicorn")),
    key("instance_name", K::Text, P::Text("_default_")),
    key("gunicorn", K::Section, P::Null),
    key("celery", K::Section, P::Null),
    key("gx_it_proxy", K::Section, P::Null),
    key("tusd", K::Section, P::Null),
    key("reports", K::Section, P::Null),
    key("sse_monitor", K::Section, P::Null),
    key("handlers", K::Section, P::Null),
];

pub(super) const GUNICORN: &[Key] = &[
    key("enable", K::Bool, P::Bool(true)),
    key("bind", K::Text, P::Text("localhost:8080")),
    key("workers", K::Int(1), P::Int(1)),
    key("timeout", K::Int(0), P::Int(300)),
    key("extra_args", K::Text, P::Text("")),
    or_null("preload", K::Bool, P::Bool(true)),
    UMASK,
    start_timeout(15),
    STOP_TIMEOUT,
    key("restart_timeout", K::Int(0), P::Int(300)),
    MEMORY_LIMIT,
    MEMORY_HIGH,
    ENVIRONMENT,
];

pub(super) const CELERY: &[Key] = &[
    key("enable", K::Bool, P::Bool(true)),
    key("enable_beat", K::Bool, P::Bool(true)),
    key("concurrency", K::Int(0), P::Int(2)),
    key("loglevel", K::Word(&["DEBUG", "INFO", "WARNING", "ERROR"]), P::Text("DEBUG")),
    key("queues", K::Text, P::Text("celery,galaxy.internal,galaxy.external")),
    key("pool", K::Word(&["prefork", "eventlet", "gevent", "solo", "processes", "threads"]), P::Text("threads")),
    key("extra_args", K::Text, P::Text("")),
    UMASK,
    start_timeout(10),
    STOP_TIMEOUT,
    MEMORY_LIMIT,
    MEMORY_HIGH,
    ENVIRONMENT,
];

pub(super) const GX_IT_PROXY: &[Key] = &[
    key("enable", K::Bool, P::Bool(false)),
    key("version", K::Text, P::Text(">=0.0.6")),
    key("ip", K::Text, P::Text("localhost")),
    key("port", K::Int(0), P::Int(4002)),
    key("sessions", K::Text, P::Text("database/interactivetools_map.sqlite")),
    key("verbose", K::Bool, P::Bool(true)),
    key("forward_ip", K::Text, P::Null),
    key("forward_port", K::Int(0), P::Null),
    or_null("reverse_proxy", K::Bool, P::Bool(false)),
    UMASK,
    start_timeout(10),
    STOP_TIMEOUT,
    MEMORY_LIMIT,
    MEMORY_HIGH,
    ENVIRONMENT,
];

pub(super) const TUSD: &[Key] = &[
    key("enable", K::Bool, P::Bool(false)),
    key("tusd_path", K::Text, P::Text("tusd")),
    key("host", K::Text, P::Text("localhost")),
    key("port", K::Int(0), P::Int(1080)),
    key("upload_dir", K::Text, P::Text("")),
    key("hooks_http", K::Text, P::Text("/api/upload/hooks")),
    key("hooks_enabled_events", K::Text, P::Text("pre-create")),
    key("extra_args", K::Text, P::Text("")),
    UMASK,
    start_timeout(10),
    STOP_TIMEOUT,
    MEMORY_LIMIT,
    MEMORY_HIGH,
    ENVIRONMENT,
];

pub(super) const REPORTS: &[Key] = &[
    key("enable", K::Bool, P::Bool(false)),
    key("config_file", K::Text, P::Text("reports.yml")),
    key("bind", K::Text, P::Text("localhost:9001")),
    key("workers", K::Int(1), P::Int(1)),
    key("timeout", K::Int(0), P::Int(300)),
    key("url_prefix", K::Text, P::Null),
    key("extra_args", K::Text, P::Text("")),
    UMASK,
    start_timeout(10),
    STOP_TIMEOUT,
    MEMORY_LIMIT,
    MEMORY_HIGH,
    ENVIRONMENT,
];

/// Not in Gravity.
pub(super) const SSE_MONITOR: &[Key] =
    &[key("enable", K::Bool, P::Null), UMASK, start_timeout(10), STOP_TIMEOUT, MEMORY_LIMIT, MEMORY_HIGH, ENVIRONMENT];

/// Of one entry of `handlers:`.
pub(super) const HANDLER: &[Key] = &[
    key("processes", K::Int(0), P::Int(1)),
    key("processes_file", K::Text, P::Null),
    key("pools", K::Texts, P::Null),
    key("name_template", K::Text, P::Null),
    UMASK,
    start_timeout(20),
    STOP_TIMEOUT,
    MEMORY_LIMIT,
    MEMORY_HIGH,
    ENVIRONMENT,
];

/// The sections and their keys, for whoever lists them.
#[cfg(test)]
pub(super) const SECTIONS: &[(&str, &[Key])] = &[
    ("gravity", GRAVITY),
    ("gravity.gunicorn", GUNICORN),
    ("gravity.celery", CELERY),
    ("gravity.gx_it_proxy", GX_IT_PROXY),
    ("gravity.tusd", TUSD),
    ("gravity.reports", REPORTS),
    ("gravity.sse_monitor", SSE_MONITOR),
    ("gravity.handlers.NAME", HANDLER),
];
