//! uWSGI's stats server: one JSON document a connection.

use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::connect;
use crate::config::Door;

/// A document that is longer is not read, in bytes: hundreds of workers with their requests fit.
const DOCUMENT_MAX: u64 = 4 << 20;

/// What the stats say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UwsgiStats {
    /// The pid of the master, as it sees itself; 0: not said.
    pub master: i64,
    pub workers: Vec<UwsgiWorker>,
}

/// What the stats say of one worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UwsgiWorker {
    pub id: i64,
    /// 0: it does not run.
    pub pid: i64,
    /// `idle`, `busy`, `cheap`, `pause` or `sigN`.
    pub status: String,
    pub requests: i64,
    pub exceptions: i64,
    /// Requests under way.
    pub in_request: i64,
    /// Microseconds spent in requests, ever.
    pub running_time: i64,
    /// Microseconds of a request on average.
    pub average: i64,
    has_app: bool,
    takes_requests: bool,
}

impl UwsgiWorker {
    /// Whether it has an application and takes requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.has_app && self.takes_requests
    }
}

/// Asks once.
///
/// # Errors
/// Nobody answers, or no worker is ready.
pub(super) async fn ask(door: &Door) -> Result<(), String> {
    judge(&stats(door).await?.workers)
}

/// What is told.
///
/// # Errors
/// Nobody answers, or not as a stats server does.
pub(super) async fn stats(door: &Door) -> Result<UwsgiStats, String> {
    let stream = connect::open(door).await?;
    let mut document = Vec::new();
    let read = stream.take(DOCUMENT_MAX).read_to_end(&mut document).await;
    read.map_err(|error| format!("{door}: {error}"))?;
    let document: Value =
        serde_json::from_slice(&document).map_err(|error| format!("{door} is no stats server: {error}"))?;
    let master = document.get("pid").and_then(Value::as_i64).unwrap_or(0);
    Ok(UwsgiStats { master, workers: read_workers(&document)? })
}

/// Where the document does not say whether a worker takes requests (uWSGI before 2.0), it does unless it is cheap.
fn read_workers(document: &Value) -> Result<Vec<UwsgiWorker>, String> {
    let Some(workers) = document.get("workers").and_then(Value::as_array) else {
        return Err("the stats name no workers".to_owned());
    };
    Ok(workers.iter().map(read_worker).collect())
}

fn read_worker(told: &Value) -> UwsgiWorker {
    let number = |name: &str| told.get(name).and_then(Value::as_i64);
    let list = |name: &str| told.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let status = told.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
    let pid = number("pid").unwrap_or(0);
    UwsgiWorker {
        id: number("id").unwrap_or(0),
        pid,
        requests: number("requests").unwrap_or(0),
        exceptions: number("exceptions").unwrap_or(0),
        in_request: list("cores").iter().filter_map(|core| core.get("in_request").and_then(Value::as_i64)).sum(),
        running_time: number("running_time").unwrap_or(0),
        average: number("avg_rt").unwrap_or(0),
        has_app: !list("apps").is_empty(),
        takes_requests: number("accepting") != Some(0) && !matches!(status.as_str(), "cheap" | "pause") && pid > 0,
        status,
    }
}

/// One worker that has an application and takes requests is enough.
fn judge(workers: &[UwsgiWorker]) -> Result<(), String> {
    if workers.iter().any(UwsgiWorker::is_ready) {
        return Ok(());
    }
    let total = workers.len();
    Err(if workers.iter().any(|worker| worker.has_app) {
        format!("none of {total} uWSGI workers accepts requests")
    } else {
        format!("none of {total} uWSGI workers has loaded an application")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_worker_is_read_as_uwsgi_tells_of_it() {
        let told = json!({"id": 1, "pid": 7, "status": "busy", "requests": 9, "exceptions": 1, "running_time": 5000,
                          "avg_rt": 600, "cores": [{"id": 0, "in_request": 1}, {"id": 1, "in_request": 0}]});
        let wanted = UwsgiWorker {
            id: 1,
            pid: 7,
            status: "busy".to_owned(),
            requests: 9,
            exceptions: 1,
            in_request: 1,
            running_time: 5000,
            average: 600,
            has_app: false,
            takes_requests: true,
        };
        assert_eq!(read_worker(&told), wanted);
        assert_eq!(read_worker(&json!({})), UwsgiWorker::default());
    }

    #[test]
    fn one_worker_with_an_application_is_enough() {
        let worker = |status: &str, accepting: i64, apps: usize| json!({"pid": 7, "status": status, "accepting": accepting, "apps": vec![json!({"id": 0}); apps]});
        let judged = |workers: &[Value]| judge(&read_workers(&json!({ "workers": workers })).unwrap());
        assert_eq!(judged(&[worker("idle", 1, 0), worker("busy", 1, 1)]), Ok(()));
        assert_eq!(judged(&[json!({"pid": 7, "status": "idle", "apps": [{}]})]), Ok(()));
        let unloaded = "none of 1 uWSGI workers has loaded an application".to_owned();
        assert_eq!(judged(&[worker("idle", 1, 0)]), Err(unloaded));
        let deaf = "none of 2 uWSGI workers accepts requests".to_owned();
        assert_eq!(judged(&[worker("cheap", 1, 1), worker("idle", 0, 1)]), Err(deaf));
        assert!(read_workers(&json!({"version": "2.0"})).is_err());
    }
}
