//! The daemon of a configuration file, asked by commands that otherwise work on the file alone.

use std::path::Path;

use super::answer::{self, RUNNING};
use super::client::Connection;
use super::daemon::CallError;
use super::exit::ExitCode;
use super::settings;
use super::shell::{Session, Shell, Upcheck};
use super::trouble::Trouble;
use crate::galaxy::LiveProcess;
use crate::rpc::Value;

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
pub(super) fn processes(shell: &mut Shell, path: &Path) -> Result<Option<Vec<LiveProcess>>, Trouble> {
    let asked = shell.with_daemon_of(path, ask)?;
    Ok(asked.transpose()?)
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
        let older = stale.iter().find_map(|one| one.reason(&info.group, &info.name, "galaxy"));
        LiveProcess {
            group: info.group.clone(),
            name: info.name.clone(),
            is_running: info.state == RUNNING,
            argv: plan.as_ref().map(argv).unwrap_or_default(),
            environment: plan.as_ref().map(environment).unwrap_or_default(),
            readiness: explained.map(|one| one.readiness.clone()).unwrap_or_default(),
            older_release: older.map(str::to_owned),
        }
    });
    Ok(live.collect())
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
