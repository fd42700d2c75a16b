//! A PostgreSQL server of the test's own, where PostgreSQL is installed.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::notice::tell;

/// The account that runs the server when the test is root, as PostgreSQL refuses root.
const ACCOUNT: &str = "postgres";

/// A running server on a Unix socket, with an empty database `galaxy`. It ends with the value.
pub(crate) struct Postgres {
    bin: PathBuf,
    data: PathBuf,
    socket: tempfile::TempDir,
}

impl Postgres {
    /// `None` where there is no PostgreSQL, or where it cannot be started, which is said.
    pub(crate) fn start() -> Option<Postgres> {
        let bin = installed()?;
        // The account must be able to enter the folder, and the socket's path must be short.
        let socket = tempfile::Builder::new().prefix("pg").tempdir().ok()?;
        let data = socket.path().join("data");
        let server = Postgres { bin, data, socket };
        match server.set_up() {
            Ok(()) => Some(server),
            Err(why) => {
                tell(&format!("could not run on PostgreSQL: {why}"));
                None
            }
        }
    }

    fn set_up(&self) -> Result<(), String> {
        if nix::unistd::Uid::effective().is_root() {
            let account = nix::unistd::User::from_name(ACCOUNT).ok().flatten().ok_or("there is no account postgres")?;
            nix::unistd::chown(self.socket.path(), Some(account.uid), Some(account.gid))
                .map_err(|error| error.to_string())?;
        }
        let (data, socket) = (self.data.display().to_string(), self.socket.path().display().to_string());
        self.run("initdb", &["-D", &data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"])?;
        let options =
            format!("-c listen_addresses='' -c unix_socket_directories='{socket}' -c fsync=off -c max_connections=200");
        self.run("pg_ctl", &["-D", &data, "-w", "-l", &format!("{socket}/log"), "-o", &options, "start"])?;
        self.run("psql", &["-q", "-h", &socket, "-U", "postgres", "-c", "create role galaxy login", "postgres"])?;
        self.run(
            "psql",
            &[
                "-q",
                "-h",
                &socket,
                "-U",
                "postgres",
                "-c",
                "create database galaxy owner galaxy template template0 encoding 'UTF8'",
                "postgres",
            ],
        )
    }

    /// The address for Galaxy's `database_connection`.
    pub(crate) fn url(&self) -> String {
        format!("postgresql+psycopg://galaxy@/galaxy?host={}", self.socket.path().display())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let path = self.bin.join(program);
        let mut command = if nix::unistd::Uid::effective().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", ACCOUNT, "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        // The server that pg_ctl starts must not hold this test's output.
        let error = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(error.reopen().map_err(|error| error.to_string())?);
        let status = command.status().map_err(|error| format!("{program}: {error}"))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("{program} ended with {status}: {}", fs::read_to_string(error.path()).unwrap_or_default().trim()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data.display().to_string();
        if let Err(why) = self.run("pg_ctl", &["-D", &data, "-w", "-m", "fast", "stop"]) {
            tell(&format!("PostgreSQL did not stop: {why}"));
        }
    }
}

/// The folder of the newest server's programs.
fn installed() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().map(|(_, bin)| bin)
}
