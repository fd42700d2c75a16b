//! uWSGI's stats server: one JSON document a connection.

use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::connect;
use crate::config::Door;

/// A document that is longer is not read, in bytes: hundreds of workers with their requests fit.
const DOCUMENT_MAX: u64 = 4 << 20;

/// What the stats say of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// Zero: it does not run.
    pub pid: i64,
    has_app: bool,
    takes_requests: bool,
}

impl Worker {
    /// Whether it has an application and takes requests.
    #[must_use]
    pub fn is_ready(self) -> bool {
        self.has_app && self.takes_requests
    }
}

/// Asks once.
///
/// # Errors
/// Nobody answers, or no worker is ready.
pub(super) async fn ask(door: &Door) -> Result<(), String> {
    judge(&workers(door).await?)
}

/// The workers as the stats name them.
///
/// # Errors
/// Nobody answers, or not as a stats server does.
pub(super) async fn workers(door: &Door) -> Result<Vec<Worker>, String> {
    let stream = connect::open(door).await?;
    let mut document = Vec::new();
    let read = stream.take(DOCUMENT_MAX).read_to_end(&mut document).await;
    read.map_err(|error| format!("{door}: {error}"))?;
    let document: Value =
        serde_json::from_slice(&document).map_err(|error| format!("{door} is no stats server: {error}"))?;
    read_workers(&document)
}

/// Where the document does not say whether a worker takes requests (uWSGI before 2.0), it does unless it is cheap.
fn read_workers(document: &Value) -> Result<Vec<Worker>, String> {
    let Some(workers) = document.get("workers").and_then(Value::as_array) else {
        return Err("the stats name no workers".to_owned());
    };
    let read = |worker: &Value| {
        let status = worker.get("status").and_then(Value::as_str).unwrap_or_default();
        let accepts = worker.get("accepting").and_then(Value::as_i64).unwrap_or(1) != 0;
        let pid = worker.get("pid").and_then(Value::as_i64).unwrap_or(0);
        Worker {
            pid,
            has_app: worker.get("apps").and_then(Value::as_array).is_some_and(|apps| !apps.is_empty()),
            takes_requests: accepts && !matches!(status, "cheap" | "pause") && pid > 0,
        }
    };
    Ok(workers.iter().map(read).collect())
}

/// One worker that has an application and takes requests is enough.
fn judge(workers: &[Worker]) -> Result<(), String> {
    if workers.iter().any(|worker| worker.is_ready()) {
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
