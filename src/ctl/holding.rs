//! Telling a handler to begin nothing new for as long as its drain lasts, by Galaxy's control task `admin_job_lock`.
//!
//! The lock lives in the process itself, so one that is started anew begins without it. Whoever holds a handler either
//! stops it or takes that back.

use std::time::Duration;

use super::draining::Subject;
use super::shell::Shell;
use crate::database::{Database, Obedience};
use crate::galaxy::ServerName;

/// How long a handler's answer is waited for. It looks into its queue every second.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The lock is looked at between two rounds, and the round under way goes on: a handler counts as free when it has looked
/// free for so long since.
const ROUND: Duration = Duration::from_secs(5);

/// A handler that was told to begin nothing new.
pub(super) struct Hold {
    database: Database,
    broker: String,
    name: String,
    /// It has answered; else it may obey, or not.
    is_sure: bool,
    /// Since when no look has found a job at a dangerous step; on the monotonic clock.
    free_since: Option<Duration>,
}

impl Hold {
    /// Whether a handler that looks free now has no round under way that could change that.
    pub(super) fn is_settled(&mut self, is_free: bool, now: Duration) -> bool {
        if !is_free {
            self.free_since = None;
            return false;
        }
        let since = *self.free_since.get_or_insert(now);
        !self.is_sure || now.saturating_sub(since) >= ROUND
    }

    fn tell(&self, is_locked: bool, patience: Duration) -> Result<Obedience, (String, bool)> {
        let told = self.database.lock(&self.broker, &self.name, is_locked, patience);
        told.map_err(|error| (error.to_string(), error.is_refusal()))
    }
}

impl Shell {
    /// Tells a handler to begin nothing new, and says what came of it. `None`: it could not be told.
    pub(super) fn hold(
        &mut self,
        process: &str,
        subject: &Subject,
        database: &Database,
        limit: Option<Duration>,
    ) -> Option<Hold> {
        let (held, text) = match begin(subject, database, limit) {
            Ok((hold, None)) => (Some(hold), "begins no new job from now on".to_owned()),
            Ok((hold, Some(doubt))) => {
                (Some(hold), format!("was told to begin no new job; nobody knows whether it obeys: {doubt}"))
            }
            Err(why) => (None, format!("takes jobs until it is stopped, as it cannot be told to begin none: {why}")),
        };
        self.line(format!("{process}: {text}"));
        held
    }

    /// Takes that back, because the handler runs on.
    pub(super) fn release(&mut self, process: &str, hold: &Hold) {
        let why = match hold.tell(false, ANSWER_WITHIN) {
            Ok(Obedience::Answered) => return self.line(format!("{process}: begins new jobs again")),
            Ok(Obedience::Doubtful(why)) | Err((why, _)) => why,
        };
        self.refuse(&format!(
            "{process}: was told to begin no new job, and nobody knows whether it begins jobs again ({why}): PUT /api/job_lock with {{\"active\": false}}, or a restart, makes it do so"
        ));
    }
}

/// The hold, and why nobody knows whether it is in force.
///
/// # Errors
/// The handler was not told anything; why, for a person.
fn begin(subject: &Subject, database: &Database, limit: Option<Duration>) -> Result<(Hold, Option<String>), String> {
    let ServerName::One(name) = &subject.handler.name else {
        return Err("it is a web server, whose workers are many".to_owned());
    };
    let broker = subject.system.broker.clone()?;
    let mut hold = Hold { database: database.clone(), broker, name: name.clone(), is_sure: false, free_since: None };
    let doubt = match hold.tell(true, limit.unwrap_or(ANSWER_WITHIN).min(ANSWER_WITHIN)) {
        Ok(Obedience::Answered) => None,
        Ok(Obedience::Doubtful(why)) | Err((why, false)) => Some(why),
        Err((why, true)) => return Err(why),
    };
    hold.is_sure = doubt.is_none();
    Ok((hold, doubt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_handler_is_free_when_it_has_looked_so_for_a_round() {
        let database = Database {
            url: String::new(),
            python: "/nowhere".into(),
            directory: None,
            account: None,
            environment: Vec::new(),
        };
        let (broker, name) = (String::new(), "handler0".to_owned());
        let mut hold = Hold { database, broker, name, is_sure: true, free_since: None };
        let begin = Duration::from_secs(100);
        assert!(!hold.is_settled(true, begin) && !hold.is_settled(true, begin + ROUND / 2));
        assert!(!hold.is_settled(false, begin + ROUND), "the round under way has begun a job");
        assert!(!hold.is_settled(true, begin + ROUND * 2) && hold.is_settled(true, begin + ROUND * 3));
        // Who may have obeyed or not is stopped at the first harmless moment.
        hold.is_sure = false;
        hold.free_since = None;
        assert!(hold.is_settled(true, begin) && !hold.is_settled(false, begin));
    }
}
