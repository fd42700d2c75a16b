//! uWSGI's stats server: one JSON document a connection.

use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::connect;
use crate::config::Door;

/// A document that is longer is not read, in bytes: hundreds of workers with their requests fit.
const DOCUMENT_MAX: u64 = 4 << 20;

/// Asks once.
///
/// # Errors
/// Nobody answers, or no worker is ready.
pub(super) async fn ask(door: &Door) -> Result<(), String> {
    judge(&document(door).await?)
}

/// What a uWSGI tells of one of its workers.
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
}

/// Asks a stats server for its workers.
///
/// # Errors
/// Nobody answers, or not as a stats server does.
pub(super) async fn workers(door: &Door) -> Result<Vec<UwsgiWorker>, String> {
    let document = document(door).await?;
    let workers = document.get("workers").and_then(Value::as_array).ok_or("the stats name no workers")?;
    Ok(workers.iter().map(worker).collect())
}

fn worker(told: &Value) -> UwsgiWorker {
    let number = |name: &str| told.get(name).and_then(Value::as_i64).unwrap_or(0);
    let cores = told.get("cores").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let in_request = cores.iter().filter_map(|core| core.get("in_request").and_then(Value::as_i64)).sum();
    UwsgiWorker {
        id: number("id"),
        pid: number("pid"),
        status: told.get("status").and_then(Value::as_str).unwrap_or_default().to_owned(),
        requests: number("requests"),
        exceptions: number("exceptions"),
        in_request,
        running_time: number("running_time"),
        average: number("avg_rt"),
    }
}

async fn document(door: &Door) -> Result<Value, String> {
    let stream = connect::open(door).await?;
    let mut document = Vec::new();
    let read = stream.take(DOCUMENT_MAX).read_to_end(&mut document).await;
    read.map_err(|error| format!("{door}: {error}"))?;
    serde_json::from_slice(&document).map_err(|error| format!("{door} is no stats server: {error}"))
}

/// One worker that has an application and takes requests is enough; where the document does not say whether it takes
/// them (uWSGI before 2.0), that it is not cheap.
fn judge(document: &Value) -> Result<(), String> {
    let Some(workers) = document.get("workers").and_then(Value::as_array) else {
        return Err("the stats name no workers".to_owned());
    };
    let has_app = |worker: &&Value| worker.get("apps").and_then(Value::as_array).is_some_and(|apps| !apps.is_empty());
    let takes_requests = |worker: &&Value| {
        let status = worker.get("status").and_then(Value::as_str).unwrap_or_default();
        let accepts = worker.get("accepting").and_then(Value::as_i64).unwrap_or(1) != 0;
        accepts && !matches!(status, "cheap" | "pause") && worker.get("pid").and_then(Value::as_i64).unwrap_or(0) > 0
    };
    let loaded: Vec<&Value> = workers.iter().filter(has_app).collect();
    if loaded.iter().any(takes_requests) {
        return Ok(());
    }
    let total = workers.len();
    Err(if loaded.is_empty() {
        format!("none of {total} uWSGI workers has loaded an application")
    } else {
        format!("none of {total} uWSGI workers accepts requests")
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
        };
        assert_eq!(worker(&told), wanted);
        assert_eq!(worker(&json!({})), UwsgiWorker::default());
    }

    #[test]
    fn one_worker_with_an_application_is_enough() {
        let worker = |status: &str, accepting: i64, apps: usize| json!({"pid": 7, "status": status, "accepting": accepting, "apps": vec![json!({"id": 0}); apps]});
        let judged = |workers: &[Value]| judge(&json!({ "workers": workers }));
        assert_eq!(judged(&[worker("idle", 1, 0), worker("busy", 1, 1)]), Ok(()));
        assert_eq!(judged(&[json!({"pid": 7, "status": "idle", "apps": [{}]})]), Ok(()));
        let unloaded = "none of 1 uWSGI workers has loaded an application".to_owned();
        assert_eq!(judged(&[worker("idle", 1, 0)]), Err(unloaded));
        let deaf = "none of 2 uWSGI workers accepts requests".to_owned();
        assert_eq!(judged(&[worker("cheap", 1, 1), worker("idle", 0, 1)]), Err(deaf));
        assert!(judge(&json!({"version": "2.0"})).is_err());
    }
}
