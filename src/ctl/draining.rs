//! Waiting until handlers can be stopped without harm to a job, and stopping them then.
//!
//! Until then a handler is at most told to begin nothing new, which is taken back where it runs on, so whoever breaks it off
//! leaves everything as it was.

use std::time::Duration;

use super::answer::ProcessInfo;
use super::commands::start;
use super::console::Attention;
use super::daemon::CallError;
use super::exit::ExitCode;
use super::fact::Action;
use super::handlers::{process_of, reach};
use super::holding::Hold;
use super::job_report::{shown, time};
use super::shell::Shell;
use super::trouble::Trouble;
use crate::config::value;
use crate::database::{AskError, Database, OwnedJob, Owner, Stage};
use crate::galaxy::{DEFAULT_TAG, Intake, JobHandler, JobSystem};
use crate::rpc::FaultCode;
use crate::sys::clock;

/// How often the database is asked.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// How often a process that is stopping is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is waited for is told again after so long, if it stays the same.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// So many jobs are told one by one.
const TOLD_MAX: usize = 5;

/// How long is waited, and what then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Terms {
    /// `None`: for as long as it takes.
    pub(super) deadline: Option<Duration>,
    /// Stop it at the deadline (at once, without one), and if the database gives no answer.
    pub(super) force: bool,
}

/// When a handler is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// No job is at a step that a stop would spoil; others go on when it is started again.
    Harmless,
    /// It owns no job at all, because it does not come back.
    Empty,
}

/// What follows the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    Start,
}

/// A handler that is to be stopped.
pub(super) struct Subject {
    pub(super) system: JobSystem,
    pub(super) handler: JobHandler,
}

/// One that is waited for.
struct Wait {
    subject: Subject,
    /// `None`: it cannot be asked, and is stopped all the same.
    database: Option<Database>,
    process: String,
    owner: Owner,
    is_down: bool,
    told: String,
    tell_at: Duration,
    /// It was told to begin nothing new, and is to be told the contrary if it runs on.
    hold: Option<Hold>,
}

/// What became of a stop that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Done,
    /// The process runs on, which was told.
    Refused,
    /// Nobody waits for its end any more, which was told.
    UnderWay,
}

impl Terms {
    /// Takes `--deadline=TIME` and `--force` out of the words of a command.
    ///
    /// # Errors
    /// What is wrong with them, for a person.
    pub(super) fn take<'a>(words: &[&'a str]) -> Result<(Terms, Vec<&'a str>), String> {
        let mut terms = Terms::default();
        let mut names = Vec::new();
        for word in words {
            if let Some(time) = word.strip_prefix("--deadline=") {
                let time = value::duration(time).map_err(|error| format!("{error}; expected {}", error.wanted()))?;
                terms.deadline = Some(time);
            } else if *word == "--force" {
                terms.force = true;
            } else if *word == "--deadline" {
                return Err("write --deadline=10m".to_owned());
            } else {
                names.push(*word);
            }
        }
        Ok((terms, names))
    }

    /// How long is waited for a handler that never gets free; `None`: for ever.
    fn limit(self) -> Option<Duration> {
        self.deadline.or(self.force.then_some(Duration::ZERO))
    }
}

/// Why a job must not lose its handler now; `None` if it can.
pub(super) fn danger(system: &JobSystem, job: &OwnedJob) -> Option<&'static str> {
    match (Stage::of(&job.state)?, job.state.as_str()) {
        (Stage::Finishing, _) => Some("is being finished"),
        (_, "queued") if !job.is_submitted => Some("is being handed to its runner"),
        (_, "queued" | "running") if system.is_local(job.runner.as_deref()) => Some("runs on this host and would end"),
        _ => None,
    }
}

/// How new jobs keep coming, and what would stop that, for the person who waits.
pub(super) fn intake_words(system: &JobSystem, handler: &JobHandler) -> String {
    let name = shown(&Owner::from(&handler.name));
    let mut text = match &handler.intake {
        Intake::Grabs { tags } => {
            let others: Vec<String> = system.others_for(handler, tags).map(process_of).collect();
            let pools: Vec<&str> =
                tags.iter().map(|tag| if tag == DEFAULT_TAG { "no tag" } else { tag.as_str() }).collect();
            let after = if others.is_empty() {
                "nobody else takes these: new ones wait until it is back".to_owned()
            } else {
                format!("then {} take them", others.join(", "))
            };
            format!(
                "{name} takes jobs of {} from the database until it is told to begin none, or stopped; {after}",
                pools.join(", ")
            )
        }
        Intake::Given => {
            let place = handler
                .place
                .as_ref()
                .map_or_else(String::new, |place| format!(" at {}:{}", place.file.display(), place.line));
            format!(
                "web processes give {name} new jobs until it has a tag that nothing else uses (tags=\"drain\"{place}) and all of Galaxy was restarted"
            )
        }
        Intake::Own => format!("{name} handles what comes in by this process itself, until it is stopped"),
        Intake::Nothing => format!("{name} gets no new jobs: nothing uses its tags"),
        Intake::Unknown => {
            format!("the job configuration cannot be read, so new jobs may come to {name} until it is stopped")
        }
    };
    if !handler.mapped.is_empty() {
        text.push_str("; ");
        text.push_str(&handler.mapped.join(", "));
        text.push_str(" are mapped to it by name, and come to nobody else");
    }
    text
}

/// What is waited for.
fn waiting_words(jobs: &[(&OwnedJob, &'static str)], owned: usize) -> String {
    let one = |(job, why): &(&OwnedJob, &str)| {
        let tool = job.tool.as_deref().unwrap_or("?");
        format!("{} ({tool}) {why}, for {}", job.id, time(job.age_seconds.unwrap_or(0)))
    };
    let mut told: Vec<String> = jobs.iter().take(TOLD_MAX).map(one).collect();
    if jobs.len() > TOLD_MAX {
        told.push(format!("and {} more", jobs.len() - TOLD_MAX));
    }
    format!("waits for {} of {owned} jobs: {}", jobs.len(), told.join("; "))
}

fn names(waits: &[Wait]) -> String {
    waits.iter().map(|wait| wait.process.as_str()).collect::<Vec<_>>().join(", ")
}

/// How many jobs and workflow invocations belong to a handler.
///
/// # Errors
/// The database gives no answer.
pub(super) fn possessions(database: &Database, owner: &Owner) -> Result<(u64, u64), AskError> {
    let census = database.census()?;
    let is_own = |handler: &Option<String>| handler.as_deref().is_some_and(|handler| owner.is(handler));
    let jobs = census.jobs.iter().filter(|jobs| is_own(&jobs.handler)).map(|jobs| jobs.count).sum();
    let invocations = census.invocations.iter().filter(|some| is_own(&some.handler)).map(|some| some.count).sum();
    Ok((jobs, invocations))
}

impl Shell {
    /// Waits for these handlers, all at once or one after the other, and stops each when it is free. `false`: one of them
    /// was left running, which was told.
    ///
    /// # Errors
    /// The daemon could not be asked, or the terminal not be used.
    pub(super) fn drain(
        &mut self,
        subjects: Vec<Subject>,
        terms: Terms,
        until: Until,
        after: After,
    ) -> Result<bool, Trouble> {
        let mut waits = Vec::new();
        for subject in subjects {
            let Some(wait) = self.begin(subject, terms, until)? else { return Ok(false) };
            waits.push(wait);
        }
        // One after the other where they come back, so that the others take new jobs meanwhile.
        let batches: Vec<Vec<Wait>> = match after {
            After::Nothing => vec![waits],
            After::Start => waits.into_iter().map(|wait| vec![wait]).collect(),
        };
        for mut batch in batches {
            self.console.catch_interrupts()?;
            let outcome = self.wait_for_batch(&mut batch, terms, until);
            for (wait, hold) in batch.iter().filter_map(|wait| Some((wait, wait.hold.as_ref()?))) {
                self.release(&wait.process, hold);
            }
            self.console.restore_interrupts();
            let Some(stopped) = outcome? else { return Ok(false) };
            if after == After::Start {
                start::start_named(self, &stopped.join(" "))?;
            }
        }
        Ok(true)
    }

    /// Says how jobs come to it, and whether its database answers. `None`: it cannot be asked, or what it owns will not
    /// change, which was told.
    fn begin(&mut self, subject: Subject, terms: Terms, until: Until) -> Result<Option<Wait>, Trouble> {
        let process = process_of(&subject.handler);
        let owner = Owner::from(&subject.handler.name);
        let is_down = self.known()?.iter().any(|info| info.namespec() == process && info.is_stopped());
        let (told, tell_at) = (String::new(), Duration::ZERO);
        if is_down && until == Until::Harmless {
            self.line(format!("{process} does not run"));
            return Ok(Some(Wait { subject, database: None, process, owner, is_down, told, tell_at, hold: None }));
        }
        let asked = reach(&subject.system).and_then(|database| {
            let possessions = possessions(&database, &owner).map_err(|error| error.to_string())?;
            Ok((database, possessions))
        });
        if let Ok((_, (jobs, invocations))) = &asked
            && is_down
            && (*jobs, *invocations) != (0, 0)
        {
            let name = shown(&owner);
            self.refuse(&format!("{process} does not run and owns {jobs} jobs and {invocations} invocations: start it, or galaxyctl reassign {name} HANDLER; nothing was changed"));
            return Ok(None);
        }
        let database = asked.map(|(database, _)| database);
        if let Err(why) = &database {
            let text = format!("{process}: its jobs are not known: {why}");
            if !terms.force || until == Until::Empty {
                self.refuse(&format!("{text}; nothing was changed"));
                return Ok(None);
            }
            self.line(format!("{text}; it is stopped all the same"));
        }
        if !is_down {
            self.line(format!("{process}: {}", intake_words(&subject.system, &subject.handler)));
        }
        Ok(Some(Wait { subject, database: database.ok(), process, owner, is_down, told, tell_at, hold: None }))
    }

    /// The processes that were stopped; `None`: one was left. Those that run on remain in `waits`.
    fn wait_for_batch(
        &mut self,
        waits: &mut Vec<Wait>,
        terms: Terms,
        until: Until,
    ) -> Result<Option<Vec<String>>, Trouble> {
        let begin = clock::monotonic();
        if until == Until::Harmless && terms.limit() != Some(Duration::ZERO) && self.hold_all(waits, terms)? {
            return Ok(None);
        }
        let mut stopped = Vec::new();
        loop {
            let is_over = terms.limit().is_some_and(|limit| clock::monotonic().saturating_sub(begin) >= limit);
            let mut number = 0;
            while let Some(wait) = waits.get_mut(number) {
                let is_free = self.look(wait, until);
                let is_settled = wait.hold.as_mut().is_none_or(|hold| hold.is_settled(is_free, clock::monotonic()));
                if !(is_free && (is_settled || is_over)) && !(is_over && terms.force) {
                    number += 1;
                    continue;
                }
                if !is_free {
                    self.line(format!("{}: stopped all the same (--force)", wait.process));
                }
                if !self.stop_free(wait)? {
                    return Ok(None);
                }
                stopped.push(waits.remove(number).process);
            }
            if waits.is_empty() {
                return Ok(Some(stopped));
            }
            if is_over {
                self.refuse(&format!("the deadline is over: {} runs on, and nothing of it was changed", names(waits)));
                return Ok(None);
            }
            if self.is_broken_off(waits, ASK_EVERY)? {
                return Ok(None);
            }
        }
    }

    /// Tells each to begin nothing new, where it can be told. `true`: a person has broken it off meanwhile.
    fn hold_all(&mut self, waits: &mut [Wait], terms: Terms) -> Result<bool, Trouble> {
        for number in 0..waits.len() {
            if let Some(wait) = waits.get_mut(number)
                && let Some(database) = &wait.database
            {
                wait.hold = self.hold(&wait.process, &wait.subject, database, terms.limit());
            }
            if self.is_broken_off(waits, Duration::ZERO)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits so long; `true`: a person has broken it off, which was told.
    fn is_broken_off(&mut self, waits: &[Wait], time: Duration) -> Result<bool, Trouble> {
        let is_broken_off = self.console.pause(time)? == Attention::Interrupted;
        if is_broken_off {
            self.refuse(&format!("interrupted: {} runs on, and nothing of it was changed", names(waits)));
        }
        Ok(is_broken_off)
    }

    /// `false`: it was not stopped, or nobody waits for its end any more.
    fn stop_free(&mut self, wait: &mut Wait) -> Result<bool, Trouble> {
        if wait.is_down {
            return Ok(true);
        }
        match self.stop_and_look(&wait.process)? {
            Stop::Done => self.tell_what_stays(wait),
            Stop::Refused => return Ok(false),
            Stop::UnderWay => {
                // It must begin nothing on its way out.
                wait.hold = None;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether it is free; says what is waited for when that has changed.
    fn look(&mut self, wait: &mut Wait, until: Until) -> bool {
        let Some(database) = &wait.database else { return true };
        let text = match database.owned(&wait.owner) {
            Ok(jobs) => {
                let keeps = |job: &OwnedJob| match until {
                    Until::Harmless => danger(&wait.subject.system, job),
                    Until::Empty => Some(danger(&wait.subject.system, job).unwrap_or("belongs to it")),
                };
                let dangerous: Vec<_> = jobs.iter().filter_map(|job| Some((job, keeps(job)?))).collect();
                if dangerous.is_empty() {
                    return until == Until::Harmless || self.schedules_nothing(wait);
                }
                let now = clock::monotonic();
                let signature: Vec<(i64, &str)> = dangerous.iter().map(|(job, why)| (job.id, *why)).collect();
                let signature = format!("{signature:?}");
                if signature == wait.told && now < wait.tell_at {
                    return false;
                }
                (wait.told, wait.tell_at) = (signature, now + TELL_EVERY);
                waiting_words(&dangerous, jobs.len())
            }
            Err(error) => {
                let text = format!("its jobs are not known at present: {error}; trying again");
                if text == wait.told {
                    return false;
                }
                wait.told.clone_from(&text);
                text
            }
        };
        self.line(format!("{}: {text}", wait.process));
        false
    }

    /// Whether no workflow invocation belongs to it, where that is wanted, too; says so once if not.
    fn schedules_nothing(&mut self, wait: &mut Wait) -> bool {
        let Some(database) = &wait.database else { return true };
        let text = match possessions(database, &wait.owner) {
            Ok((_, 0)) => return true,
            Ok((_, count)) => format!("waits for {count} workflow invocations to be scheduled"),
            Err(error) => format!("its invocations are not known at present: {error}; trying again"),
        };
        if text != wait.told {
            self.line(format!("{}: {text}", wait.process));
            wait.told = text;
        }
        false
    }

    /// Asks for the stop and looks until it is done, so that Ctrl-C can say what is.
    fn stop_and_look(&mut self, process: &str) -> Result<Stop, Trouble> {
        let code = match self.call("stopProcess", &[process.into(), false.into()]) {
            Ok(_) => FaultCode::Success as i64,
            Err(CallError::Fault(fault)) => fault.code,
            Err(error) => return Err(error.into()),
        };
        // Whoever starts it again meanwhile ends the waiting, too.
        while self.is_stopping(process)? {
            if self.console.pause(LOOK_EVERY)? == Attention::Interrupted {
                self.refuse(&format!("interrupted: {process} is stopping, which galaxyd brings to its end"));
                return Ok(Stop::UnderWay);
            }
        }
        self.show_result(Action::Stop, Some(FaultCode::NotRunning), process.to_owned(), code, "")?;
        let is_done = code == FaultCode::Success as i64 || code == FaultCode::NotRunning as i64;
        Ok(if is_done { Stop::Done } else { Stop::Refused })
    }

    fn is_stopping(&mut self, process: &str) -> Result<bool, Trouble> {
        let info = ProcessInfo::read(&self.call("getProcessInfo", &[process.into()])?)?;
        Ok(info.statename == "STOPPING")
    }

    fn tell_what_stays(&mut self, wait: &Wait) {
        let stays = wait.database.as_ref().map(|database| possessions(database, &wait.owner)).transpose();
        // That it is stopped is told already; this is only what follows.
        let Ok(Some((count @ 1.., _))) = stays else { return };
        self.line(format!(
            "{}: {count} jobs stay with it and go on when it is started again; if it is not: galaxyctl reassign {} HANDLER",
            wait.process,
            shown(&wait.owner)
        ));
    }

    /// Of these processes those that handle jobs, and the others. `None`: the configuration has no handlers, which was told.
    pub(super) fn subjects(&mut self, processes: &[String]) -> Option<(Vec<Subject>, Vec<String>)> {
        let systems = self.job_systems()?;
        let (mut subjects, mut others) = (Vec::new(), Vec::new());
        for process in processes {
            let found = systems.iter().find_map(|system| {
                let handler = system.handlers.iter().find(|handler| process_of(handler) == *process)?;
                Some(Subject { system: system.clone(), handler: handler.clone() })
            });
            match found {
                Some(subject) => subjects.push(subject),
                None => others.push(process.clone()),
            }
        }
        Some((subjects, others))
    }

    /// The words of `stop` or `restart` where `--drain` is among them, without it.
    pub(super) fn drain_words<'a>(&self, rest: &'a str) -> Option<Vec<&'a str>> {
        let words = rest.split_whitespace();
        (self.is_galaxyctl() && words.clone().any(|word| word == "--drain"))
            .then(|| words.filter(|word| *word != "--drain").collect())
    }

    /// `stop --drain` and `restart --drain`: handlers by draining, then the others. The words are without the command's own
    /// option. `None`: the command is over, which was told; else the processes that are no handlers.
    ///
    /// # Errors
    /// As [`Shell::drain`].
    pub(super) fn drain_among(
        &mut self,
        command: &str,
        words: &[&str],
        after: After,
    ) -> Result<Option<Vec<String>>, Trouble> {
        let (terms, names) = match Terms::take(words) {
            Ok(taken) => taken,
            Err(text) => {
                self.usage(&format!("Error: {text}"), command, ExitCode::Usage);
                return Ok(None);
            }
        };
        let rest = names.join(" ");
        let selection = self.selection(&rest, &[]);
        if selection.is_empty() {
            self.usage(&format!("Error: {command} --drain requires a process name"), command, ExitCode::Usage);
            return Ok(None);
        }
        let processes = self.chosen_singly(&selection)?;
        let Some((subjects, others)) = self.subjects(&processes) else { return Ok(None) };
        let is_done = self.drain(subjects, terms, Until::Harmless, after)?;
        Ok(is_done.then_some(others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::job_report::tests::system;
    use crate::galaxy::ServerName;

    fn job(state: &str, runner: Option<&str>, is_submitted: bool) -> OwnedJob {
        OwnedJob {
            id: 7,
            handler: "handler0".to_owned(),
            state: state.to_owned(),
            runner: runner.map(str::to_owned),
            is_submitted,
            tool: Some("cat1".to_owned()),
            age_seconds: Some(130),
        }
    }

    #[test]
    fn a_job_may_lose_its_handler_or_not() {
        let system = system(&["handler0"]);
        for (state, runner, is_submitted, is_dangerous) in [
            ("new", None, false, false),
            ("waiting", None, false, false),
            ("queued", Some("slurm"), false, true),
            ("queued", Some("slurm"), true, false),
            ("running", Some("slurm"), true, false),
            ("running", Some("local"), true, true),
            ("stopped", Some("slurm"), true, true),
            ("deleting", Some("slurm"), true, true),
            ("paused", Some("local"), false, false),
            ("ok", Some("local"), true, false),
        ] {
            let job = job(state, runner, is_submitted);
            assert_eq!(danger(&system, &job).is_some(), is_dangerous, "{job:?}");
        }
        let nobody_knows = JobSystem { local_runners: Vec::new(), knows_runners: false, ..system };
        assert!(danger(&nobody_knows, &job("running", Some("local"), true)).is_some());
    }

    #[test]
    fn what_is_waited_for_is_named_with_its_time() {
        let job = job("queued", Some("slurm"), false);
        let jobs = vec![(&job, "is being handed to its runner"); 7];
        let text = waiting_words(&jobs, 9);
        assert!(
            text.starts_with("waits for 7 of 9 jobs: 7 (cat1) is being handed to its runner, for 2 min; "),
            "{text}"
        );
        assert!(text.ends_with("; and 2 more"), "{text}");
    }

    #[test]
    fn how_jobs_come_is_said_by_the_assignment_method() {
        let mut system = system(&["handler0", "handler1"]);
        let words = |system: &JobSystem| intake_words(system, &system.handlers[0]);
        assert!(words(&system).ends_with("then galaxy:handler1 take them"), "{}", words(&system));
        system.handlers[1].intake = Intake::Nothing;
        assert!(
            words(&system).ends_with("nobody else takes these: new ones wait until it is back"),
            "{}",
            words(&system)
        );
        system.handlers[0].intake = Intake::Given;
        system.handlers[0].mapped = vec!["bwa".to_owned()];
        let given = words(&system);
        assert!(given.contains("tags=\"drain\"") && given.contains("bwa are mapped to it"), "{given}");
        system.handlers[0].name = ServerName::Numbered("main".to_owned());
        system.handlers[0].intake = Intake::Own;
        assert!(words(&system).starts_with("main.* handles"), "{}", words(&system));
    }

    #[test]
    fn terms_are_taken_out_of_the_words() {
        let (terms, names) = Terms::take(&["--deadline=10m", "galaxy:handler1", "--force"]).unwrap();
        assert_eq!((terms.deadline, terms.force), (Some(Duration::from_secs(600)), true));
        assert_eq!(names, ["galaxy:handler1"]);
        assert_eq!(Terms::take(&["--force"]).unwrap().0.limit(), Some(Duration::ZERO));
        assert_eq!(Terms::take(&["x"]).unwrap().0.limit(), None);
        for wrong in ["--deadline", "--deadline=soon"] {
            assert!(Terms::take(&[wrong]).is_err(), "{wrong}");
        }
    }
}
