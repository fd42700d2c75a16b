//! A Galaxy's database as far as job handlers are concerned, on SQLite or on a PostgreSQL of the test's own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::postgres::Postgres;

/// Tables and columns of Galaxy 26.1 that have to do with handlers; both dialects understand it.
const SCHEMA: &str = "
CREATE TABLE job (
    id INTEGER PRIMARY KEY, create_time TIMESTAMP, update_time TIMESTAMP, tool_id VARCHAR(255), state VARCHAR(64),
    info TEXT, session_id INTEGER, user_id INTEGER, job_runner_name VARCHAR(255), job_runner_external_id VARCHAR(255),
    destination_id VARCHAR(255), handler VARCHAR(255));
CREATE TABLE workflow_invocation (
    id INTEGER PRIMARY KEY, create_time TIMESTAMP, update_time TIMESTAMP, state VARCHAR(64), scheduler VARCHAR(255),
    handler VARCHAR(255));
CREATE TABLE worker_process (
    id INTEGER PRIMARY KEY, server_name VARCHAR(255), hostname VARCHAR(255), pid INTEGER, update_time TIMESTAMP,
    app_type VARCHAR(32), UNIQUE (server_name, hostname));
";

/// The database; a PostgreSQL server ends with it.
pub(crate) enum GalaxyDatabase {
    SQLite(PathBuf),
    Postgres(Postgres),
}

impl GalaxyDatabase {
    pub(crate) fn sqlite(folder: &Path) -> GalaxyDatabase {
        let database = GalaxyDatabase::SQLite(folder.join("galaxy.sqlite"));
        database.sql(SCHEMA);
        database
    }

    /// `None` where there is no PostgreSQL, which was said.
    pub(crate) fn postgres() -> Option<GalaxyDatabase> {
        let database = GalaxyDatabase::Postgres(Postgres::start()?);
        database.sql(SCHEMA);
        Some(database)
    }

    pub(crate) fn url(&self) -> String {
        match self {
            GalaxyDatabase::SQLite(path) => format!("sqlite:///{}?isolation_level=IMMEDIATE", path.display()),
            GalaxyDatabase::Postgres(server) => server.url(),
        }
    }

    /// The database itself, byte for byte, where it is a file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            GalaxyDatabase::SQLite(path) => fs::read(path).unwrap(),
            GalaxyDatabase::Postgres(_) => Vec::new(),
        }
    }

    /// A time as Galaxy writes them: in UTC, without a zone.
    fn ago(&self, seconds: u32) -> String {
        match self {
            GalaxyDatabase::SQLite(_) => format!("datetime('now', '-{seconds} seconds')"),
            GalaxyDatabase::Postgres(_) => format!("timezone('utc', now()) - interval '{seconds} seconds'"),
        }
    }

    /// `runner` may say where it was submitted to: `slurm/17`.
    pub(crate) fn job(&self, id: u32, handler: &str, state: &str, runner: &str) {
        let text = |text: &str| if text.is_empty() { "NULL".to_owned() } else { format!("'{text}'") };
        let (runner, external) = runner.split_once('/').unwrap_or((runner, ""));
        self.sql(&format!(
            "INSERT INTO job (id, update_time, tool_id, state, job_runner_name, job_runner_external_id, handler) \
             VALUES ({id}, {}, 'cat1', '{state}', {}, {}, {});",
            self.ago(30),
            text(runner),
            text(external),
            text(handler)
        ));
    }

    pub(crate) fn invocation(&self, id: u32, handler: &str, state: &str) {
        self.sql(&format!(
            "INSERT INTO workflow_invocation (id, state, handler) VALUES ({id}, '{state}', '{handler}');"
        ));
    }

    pub(crate) fn heartbeat(&self, id: u32, server_name: &str, host: &str, seconds_ago: u32) {
        self.sql(&format!(
            "INSERT INTO worker_process (id, server_name, hostname, pid, update_time) \
             VALUES ({id}, '{server_name}', '{host}', 7, {});",
            self.ago(seconds_ago)
        ));
    }

    /// Runs statements; gives what the last one answers, a row a line.
    pub(crate) fn sql(&self, statements: &str) -> String {
        match self {
            GalaxyDatabase::Postgres(server) => {
                let url = server.url();
                let (_, socket) = url.split_once("host=").unwrap();
                let mut command = Command::new("psql");
                command.args([
                    "-q",
                    "-A",
                    "-t",
                    "-v",
                    "ON_ERROR_STOP=1",
                    "-U",
                    "galaxy",
                    "-h",
                    socket,
                    "-c",
                    statements,
                ]);
                let output = command.arg("galaxy").stdin(Stdio::null()).output().unwrap();
                assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8_lossy(&output.stdout).trim().to_owned()
            }
            GalaxyDatabase::SQLite(path) => {
                const RUN: &str = "import sqlite3, sys\n\
                                   base = sqlite3.connect(sys.argv[1], timeout=60)\n\
                                   rows = []\n\
                                   for one in sys.stdin.read().split(';'):\n    \
                                       rows = base.execute(one).fetchall()\n\
                                   base.commit()\n\
                                   print('\\n'.join('|'.join(str(cell) for cell in row) for row in rows))\n";
                let mut command = Command::new("python3");
                command.args(["-c", RUN]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
                let mut child = command.spawn().unwrap();
                let statements = statements.trim().trim_end_matches(';');
                child.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "{statements}");
                String::from_utf8(output.stdout).unwrap().trim().to_owned()
            }
        }
    }
}
