//! The daemon of a configuration file, asked by commands that otherwise work on the file alone.

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::answer::{self, RUNNING};
use super::client::Connection;
use super::daemon::CallError;
use super::exit::ExitCode;
use super::handlers::reach;
use super::run::host;
use super::settings;
use super::shell::{Session, Shell, Upcheck};
use super::trouble::Trouble;
use crate::config::{HttpCheck, Loaded};
use crate::database::DatabaseVersion;
use crate::galaxy::{self, Intake, LiveDatabase, LiveProcess};
use crate::probe;
use crate::rpc::Value;

/// So long a server may take to say its release.
const RELEASE_PATIENCE: Duration = Duration::from_secs(3);

impl Shell {
    /// Turns to the daemon of this file for as long as `work` takes; `None` if there is none, which was said.
    ///
    /// # Errors
    /// The daemon could not be asked whether it is there.
    pub(super) fn with_daemon_of<T>(
        &mut self,
        path: &Path,
        work: impl FnOnce(&mut Shell) -> T,
    ) -> Result<Option<T>, Trouble> {
        let Ok((ctl, address_origin)) = settings::daemon_of(path, self.session.plugins) else {
            self.set_exit(ExitCode::Usage);
            return Ok(None);
        };
        let daemon = Box::new(Connection::new(&ctl, None));
        let configuration = Some(path.to_owned());
        let session = Session { serverurl: ctl.serverurl, address_origin, configuration, ..self.session.clone() };
        let (session, daemon) = self.turn_to(session, daemon);
        let worked = match self.upcheck() {
            Ok(Upcheck::Up) => Ok(Some(work(self))),
            Ok(Upcheck::Down) => Ok(None),
            Err(trouble) => Err(trouble),
        };
        self.turn_to(session, daemon);
        worked
    }
}

/// What Galaxy's rules ask of the processes of a file's daemon; `None` if there is none, which was said.
///
/// # Errors
/// The daemon could not be asked.
pub(super) fn processes(shell: &mut Shell, path: &Path, loaded: &Loaded) -> Result<Option<Vec<LiveProcess>>, Trouble> {
    let asked = shell.with_daemon_of(path, ask)?;
    let Some(mut live) = asked.transpose()? else { return Ok(None) };
    let configured = |one: &LiveProcess| {
        let groups = loaded.config.iter().flat_map(|config| &config.groups);
        let mut members = groups.filter(|group| group.name == one.group).flat_map(|group| &group.processes);
        members.find(|process| process.name == one.name)
    };
    let source = host();
    let checks = live.iter().enumerate().filter(|(_, one)| one.is_running);
    let checks = checks.filter_map(|(index, one)| Some((index, galaxy::version_check(configured(one)?, &source)?)));
    for (index, release) in releases(checks.collect()) {
        if let Some(one) = live.get_mut(index) {
            one.told_release = Some(release);
        }
    }
    Ok(Some(live))
}

fn ask(shell: &mut Shell) -> Result<Vec<LiveProcess>, CallError> {
    let known = shell.known()?;
    let explanations = shell.explanations()?.unwrap_or_default();
    let stale = shell.stale();
    let plans: Vec<_> =
        known.iter().map(|info| ("galaxyd.getProcessPlan".to_owned(), vec![info.namespec().as_str().into()])).collect();
    // A command that cannot be looked up is no reason to know nothing of the others.
    let plans = shell.daemon.call_together(&plans).into_iter().map(Result::ok);
    let live = known.iter().zip(plans).map(|(info, plan)| {
        let explained = explanations.iter().find(|one| one.group == info.group && one.name == info.name);
        let reason = |kind: &&str| stale.iter().find_map(|one| one.reason(&info.group, &info.name, kind));
        let survivors = explained.map(|one| one.left_behind.as_slice()).unwrap_or_default();
        LiveProcess {
            group: info.group.clone(),
            name: info.name.clone(),
            is_running: info.state == RUNNING,
            argv: plan.as_ref().map(argv).unwrap_or_default(),
            environment: plan.as_ref().map(environment).unwrap_or_default(),
            readiness: explained.map(|one| one.readiness.clone()).unwrap_or_default(),
            changed: ["configuration", "command", "environment"].iter().find_map(reason).map(str::to_owned),
            older_release: reason(&"galaxy").map(str::to_owned),
            told_release: None,
            left_behind: survivors.iter().map(|(pid, command)| format!("{pid} {command}")).collect(),
        }
    });
    Ok(live.collect())
}

/// What servers say that they are, all asked at the same time; those that say nothing are left out.
fn releases(checks: Vec<(usize, HttpCheck)>) -> Vec<(usize, String)> {
    // Without descriptors for it nobody is asked.
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    runtime.block_on(async {
        let mut asked = JoinSet::new();
        for (index, check) in checks {
            asked.spawn(async move { (index, probe::fetch(&check, RELEASE_PATIENCE).await) });
        }
        let mut told = Vec::new();
        while let Some(answered) = asked.join_next().await {
            if let Ok((index, Ok(answer))) = answered {
                told.extend(galaxy::told_release(&answer).map(|release| (index, release)));
            }
        }
        told
    })
}

/// What the databases are from which handlers take jobs themselves. Of one that cannot be asked that is said.
pub(super) fn databases(shell: &mut Shell, loaded: &Loaded) -> Vec<LiveDatabase> {
    let Some(config) = &loaded.config else { return Vec::new() };
    let mut found = Vec::new();
    for system in galaxy::job_systems(config, loaded, &host()) {
        if !system.handlers.iter().any(|handler| matches!(handler.intake, Intake::Grabs { .. })) {
            continue;
        }
        let asked = reach(&system).and_then(|database| database.version().map_err(|error| error.to_string()));
        match asked {
            Ok(DatabaseVersion { dialect, version }) => {
                found.push(LiveDatabase { galaxy: system.file, dialect, version });
            }
            Err(why) => {
                let file = system.file.display();
                shell.screen.hint(&format!("galaxyctl: nobody knows what the database of {file} is: {why}"));
            }
        }
    }
    found
}

fn argv(plan: &Value) -> Vec<String> {
    let words = answer::member(plan, "argv").ok().and_then(Value::as_array);
    words.unwrap_or_default().iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

fn environment(plan: &Value) -> Vec<(String, String)> {
    let pairs = answer::member(plan, "environment").ok().and_then(Value::as_array);
    let pair = |pair: &Value| Some((answer::text(pair, "name").ok()?, answer::text(pair, "value").ok()?));
    pairs.unwrap_or_default().iter().filter_map(pair).collect()
}
