//! A process of Galaxy's row in the table `worker_process`, which it writes when it works, and every minute from then on.
//!
//! Source: Galaxy 26.1, `galaxy/model/database_heartbeat.py`.

use super::command::end;
use super::side::on_a_side_thread;
use crate::database::{self, Beat, FRESH_SECONDS, Owner};
use crate::sys::plan::ExecPlan;
use crate::sys::{clock, errand};

/// Whose row is looked for, and how.
#[derive(Debug)]
pub struct Registration {
    pub owner: Owner,
    /// This host as Galaxy calls it.
    pub host: String,
    /// Where the table is: `database_connection`.
    pub url: String,
    /// Runs [`database::ARGUMENTS`].
    pub plan: ExecPlan,
}

/// Looks once; killed when this is dropped.
pub(super) async fn find(
    started: i64,
    prepare: impl FnOnce() -> Result<Registration, String> + Send + 'static,
) -> Result<(), String> {
    let now = clock::wall().as_secs();
    let work = move || {
        let Registration { owner, host, url, plan } = prepare()?;
        let question = database::beats_question(&owner, &url, now).map_err(|error| error.to_string())?;
        let errand = errand::begin(&plan, question.as_bytes()).map_err(|error| cannot_be_asked(&error.to_string()))?;
        Ok((owner, host, errand))
    };
    let begun = on_a_side_thread(work).await.unwrap_or_else(|| Err(cannot_be_asked("its question was lost")));
    let (owner, host, errand) = begun?;
    let (_, output) = end(errand).await.map_err(|error| cannot_be_asked(&error.to_string()))?;
    let beats = database::beats_answer(&output, &owner).map_err(|error| cannot_be_asked(&error.to_string()))?;
    judge(&beats, &host, now, started)
}

fn cannot_be_asked(why: &str) -> String {
    format!("the database cannot be asked: {why}")
}

/// A row counts that was written after the second in which the process was started: one that a predecessor has left does not.
fn judge(beats: &[Beat], host: &str, now: u64, started: i64) -> Result<(), String> {
    let is_here = |beat: &&Beat| beat.hostname.as_deref() == Some(host);
    let Some(beat) = beats.iter().filter(is_here).min_by_key(|beat| beat.age_seconds) else {
        return Err(match beats.first() {
            Some(Beat { server_name, hostname: Some(other), .. }) => {
                format!("worker_process has {server_name} on {other} only, not on this host, {host}")
            }
            _ => "worker_process has no row of it".to_owned(),
        });
    };
    let written = now.saturating_sub(beat.age_seconds).cast_signed();
    if written <= started {
        return Err(format!("the row of {} in worker_process is from before its start", beat.server_name));
    }
    if beat.age_seconds >= FRESH_SECONDS {
        return Err(format!("the row of {} in worker_process is {} s old", beat.server_name, beat.age_seconds));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_counts_that_is_of_this_host_and_newer_than_the_start() {
        let beat = |host: &str, age_seconds| Beat {
            server_name: "h1".to_owned(),
            hostname: Some(host.to_owned()),
            pid: None,
            age_seconds,
        };
        let old = "the row of h1 in worker_process is from before its start";
        for (beats, started, wanted) in [
            (vec![], 900, Err("worker_process has no row of it")),
            (vec![beat("there", 1)], 900, Err("worker_process has h1 on there only, not on this host, here")),
            (vec![beat("here", 100)], 900, Err(old)),
            (vec![beat("here", 99)], 900, Ok(())),
            (vec![beat("there", 1), beat("here", 200), beat("here", 2)], 900, Ok(())),
            (vec![beat("here", 120)], 0, Err("the row of h1 in worker_process is 120 s old")),
            // Both in one second: nobody knows which was first.
            (vec![beat("here", 0)], 1000, Err(old)),
        ] {
            assert_eq!(judge(&beats, "here", 1000, started), wanted.map_err(str::to_owned), "{beats:?}");
        }
    }
}
