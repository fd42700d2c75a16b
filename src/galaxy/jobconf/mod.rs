//! The job configuration: `job_conf.xml`, `job_conf.yml` and `job_config` of `galaxy.yml`, as far as it decides who handles jobs.

mod text;
mod xml;
mod yaml;

pub use xml::XmlError;

use crate::yaml::{Node, YamlError};

/// A word of a file and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub line: usize,
}

/// A runner plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    pub id: Word,
    /// `galaxy.jobs.runners.slurm:SlurmJobRunner`.
    pub load: String,
}

impl Plugin {
    /// Whether it runs jobs on this host, as children of the handler.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.load.contains("LocalJobRunner")
    }
}

/// A handler that the file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    pub id: Word,
    pub tags: Vec<String>,
    /// The plugins that it loads; empty: all.
    pub plugins: Vec<String>,
}

/// What is done with one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub tool: Word,
    /// A handler's id or a tag.
    pub handler: Option<String>,
    pub destination: Option<String>,
}

/// A destination (`environment` in YAML) and its runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub id: String,
    pub runner: String,
    pub tags: Vec<String>,
}

/// How many jobs may run at once at a destination, all of them or those of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// `destination_total_concurrent_jobs`, for example.
    pub kind: Word,
    /// The id or a tag of destinations; `None`: it is about users alone.
    pub destination: Option<String>,
}

/// A whole job configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobConf {
    pub plugins: Vec<Plugin>,
    pub handlers: Vec<Handler>,
    /// How jobs are given to handlers, in the order in which it is tried.
    pub assign: Vec<Word>,
    /// The id or tag of jobs that no mapping is for.
    pub default: Option<Word>,
    pub mappings: Vec<Mapping>,
    pub destinations: Vec<Destination>,
    /// Where jobs go whose tool no mapping sends elsewhere.
    pub default_destination: Option<String>,
    pub limits: Vec<Limit>,
    /// It includes others (`XInclude`): what it does not name may stand there.
    pub is_partial: bool,
}

/// Why a job configuration was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobConfError {
    #[error("{0}")]
    Xml(#[from] XmlError),
    #[error("{0}")]
    Yaml(#[from] YamlError),
}

impl JobConfError {
    #[must_use]
    pub fn line(&self) -> usize {
        match self {
            JobConfError::Xml(error) => error.line,
            JobConfError::Yaml(error) => error.mark.line,
        }
    }
}

impl JobConf {
    /// What Galaxy does without any job configuration: it runs jobs on its own host.
    #[must_use]
    pub fn built_in() -> Self {
        let id = Word { text: "local".to_owned(), line: 0 };
        Self {
            plugins: vec![Plugin { id, load: "galaxy.jobs.runners.local:LocalJobRunner".to_owned() }],
            ..Self::default()
        }
    }

    /// Reads `job_conf.xml`.
    ///
    /// # Errors
    /// Where it is no XML, with the line.
    pub fn from_xml(text: &str) -> Result<Self, JobConfError> {
        Ok(xml::read(text)?)
    }

    /// Reads `job_conf.yml`.
    ///
    /// # Errors
    /// Where it is no YAML, with the line.
    pub fn from_yaml(text: &str) -> Result<Self, JobConfError> {
        Ok(yaml::read(&crate::yaml::parse(text)?))
    }

    /// Reads `job_config` of `galaxy.yml`.
    #[must_use]
    pub fn from_node(node: &Node) -> Self {
        yaml::read(node)
    }

    #[must_use]
    pub fn assigns(&self, method: &str) -> bool {
        self.assign.iter().any(|word| word.text == method)
    }

    /// Whether handlers take jobs from the database themselves.
    #[must_use]
    pub fn is_grabbing(&self) -> bool {
        self.assigns("db-skip-locked") || self.assigns("db-transaction-isolation")
    }

    /// Whether a web process gives each job to a handler of its choice: asked for, or what remains.
    #[must_use]
    pub fn is_preassigning(&self) -> bool {
        match self.assign.first() {
            Some(first) => first.text == "db-preassign",
            None => !self.handlers.is_empty(),
        }
    }

    /// Whether dedicated handlers are configured, so that web processes handle no jobs.
    #[must_use]
    pub fn has_handlers(&self) -> bool {
        !self.handlers.is_empty() || !self.assign.is_empty()
    }
}
