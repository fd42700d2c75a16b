//! The answer of `galaxyd.getUsage`, read into types.

use crate::ctl::answer;
use crate::ctl::daemon::CallError;
use crate::rpc::{Value, printable};

/// What processes used at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::ctl) struct Sample {
    /// Milliseconds on the daemon's clock, which does not jump.
    pub(super) time_ms: i64,
    pub(super) processes: Vec<ProcessUsage>,
}

/// One process with its tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProcessUsage {
    pub(super) group: String,
    pub(super) name: String,
    /// 0: does not run.
    pub(super) pid: i64,
    pub(super) restarts: i64,
    pub(super) cpu_ms: i64,
    pub(super) memory_kb: i64,
    /// `pss` or `rss`.
    pub(super) memory_kind: String,
    pub(super) processes: i64,
    /// `uwsgi`, `gunicorn` or empty.
    pub(super) server: String,
    pub(super) workers: Vec<WorkerUsage>,
    /// Why a stats server tells nothing.
    pub(super) trouble: String,
}

/// One worker of a web server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WorkerUsage {
    pub(super) pid: i64,
    pub(super) cpu_ms: i64,
    pub(super) memory_kb: i64,
    pub(super) stats: Option<WorkerStats>,
}

/// What uWSGI tells of a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WorkerStats {
    pub(super) id: i64,
    pub(super) state: String,
    pub(super) requests: i64,
    pub(super) exceptions: i64,
    /// Requests under way.
    pub(super) in_request: i64,
    /// Time spent in requests.
    pub(super) running_ms: i64,
    /// Of a request.
    pub(super) average_us: i64,
}

impl Sample {
    /// Reads the struct.
    ///
    /// # Errors
    /// A member is missing or of another type.
    pub(in crate::ctl) fn read(value: &Value) -> Result<Self, CallError> {
        let processes = answer::list(answer::member(value, "processes")?, ProcessUsage::read)?;
        Ok(Self { time_ms: answer::int(value, "time_ms")?, processes })
    }
}

impl ProcessUsage {
    fn read(value: &Value) -> Result<Self, CallError> {
        let int = |name: &str| answer::int(value, name);
        // Partly what programs said.
        let text = |name: &str| answer::text(value, name).map(|text| printable(&text));
        Ok(Self {
            group: answer::text(value, "group")?,
            name: answer::text(value, "name")?,
            pid: int("pid")?,
            restarts: int("restarts")?,
            cpu_ms: int("cpu_ms")?,
            memory_kb: int("memory_kb")?,
            memory_kind: text("memory_kind")?,
            processes: int("processes")?,
            server: text("server")?,
            workers: answer::list(answer::member(value, "workers")?, WorkerUsage::read)?,
            trouble: text("trouble")?,
        })
    }
}

impl WorkerUsage {
    fn read(value: &Value) -> Result<Self, CallError> {
        let int = |name: &str| answer::int(value, name);
        let stats = || {
            Ok::<_, CallError>(WorkerStats {
                id: int("id")?,
                state: printable(&answer::text(value, "state")?),
                requests: int("requests")?,
                exceptions: int("exceptions")?,
                in_request: int("in_request")?,
                running_ms: int("running_ms")?,
                average_us: int("average_us")?,
            })
        };
        Ok(Self {
            pid: int("pid")?,
            cpu_ms: int("cpu_ms")?,
            memory_kb: int("memory_kb")?,
            // Of gunicorn's the kernel alone tells.
            stats: stats().ok(),
        })
    }
}
