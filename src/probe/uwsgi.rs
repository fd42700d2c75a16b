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
    let stream = connect::open(door).await?;
    let mut document = Vec::new();
    let read = stream.take(DOCUMENT_MAX).read_to_end(&mut document).await;
    read.map_err(|error| format!("{door}: {error}"))?;
    let document: Value =
        serde_json::from_slice(&document).map_err(|error| format!("{door} is no stats server: {error}"))?;
    judge(&document)
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
