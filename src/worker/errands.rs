//! Questions about a process that another one answers, which is run beside it and as it would be run now.

use std::ffi::CString;
use std::pin::Pin;
use std::sync::Arc;

use super::spawning::{self, Heritage};
use super::worker::Worker;
use crate::config::{HostSource, ProcessConfig, Source as _};
use crate::database;
use crate::engine::ProcessId;
use crate::galaxy;
use crate::probe::{self, Registration};
use crate::sys::plan::ExecPlan;

pub(super) type Answer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What is run, as of when the question was first asked.
#[derive(Debug)]
struct Model {
    group: String,
    /// Without what it listens at.
    config: ProcessConfig,
    heritage: Heritage,
}

impl Model {
    fn plan(&self) -> Result<ExecPlan, String> {
        spawning::prepare(&self.group, &self.config, &self.heritage).map_err(|error| error.to_string())
    }

    /// How its row is found. Reads files: not for the control loop.
    fn registration(&self, source: &HostSource) -> Result<Registration, String> {
        let failed = |error: &dyn std::error::Error| error.to_string();
        let variables =
            spawning::environment(&self.group, &self.config, &self.heritage).map_err(|error| failed(&error))?;
        let variables = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let complete = ProcessConfig { environment: variables.collect(), ..self.config.clone() };
        let registry = galaxy::registry(&self.group, &complete, source)?;
        let mut argv = vec![registry.python.to_string_lossy().into_owned()];
        argv.extend(database::ARGUMENTS.map(str::to_owned));
        let argv: Vec<CString> =
            argv.into_iter().map(CString::new).collect::<Result<_, _>>().map_err(|error| failed(&error))?;
        let path = argv.first().cloned().unwrap_or_default();
        let plan = ExecPlan { path, argv, ..self.plan()? };
        Ok(Registration { owner: (&registry.name).into(), host: source.node_name(), url: registry.url, plan })
    }
}

impl Worker {
    /// Runs a command as the process itself would be run.
    pub(super) fn command_question(
        &self,
        process: ProcessId,
        command: &str,
    ) -> Option<impl FnMut() -> Answer + Send + 'static> {
        let mut model = self.model(process)?;
        command.clone_into(&mut model.config.command);
        let model = Arc::new(model);
        Some(move || -> Answer {
            let model = Arc::clone(&model);
            Box::pin(probe::run(move || model.plan()))
        })
    }

    /// Looks for the row of the present child in its Galaxy's database.
    pub(super) fn row_question(&self, process: ProcessId) -> Option<impl FnMut() -> Answer + Send + 'static> {
        let started = self.engine.process(process)?.started?.wall;
        let (model, source) = (Arc::new(self.model(process)?), self.call.source.clone());
        Some(move || -> Answer {
            let (model, source) = (Arc::clone(&model), source.clone());
            Box::pin(probe::find_row(started, move || model.registration(&source)))
        })
    }

    fn model(&self, process: ProcessId) -> Option<Model> {
        let group = self.engine.process(process)?.group.to_owned();
        let config = ProcessConfig { socket: None, ..self.process_config(process)?.clone() };
        Some(Model { group, config, heritage: self.heritage.clone() })
    }
}
