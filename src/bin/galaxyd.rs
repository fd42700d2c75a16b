//! The daemon: launcher, keeper or worker, as the stage says.

use std::process::ExitCode;

use galaxyd::cli::{self, DaemonCommand};
use galaxyd::sys::stage::{self, Stage};
use galaxyd::{keeper, worker};

fn main() -> ExitCode {
    let (stage, environment) = stage::take(std::env::vars_os());
    if let Stage::Keeper(socket) = stage {
        return keeper::run(socket);
    }
    let command = match cli::daemon(std::env::args_os()) {
        Ok(command) => command,
        Err(refused) => return refused.report(),
    };
    match (command, stage) {
        (DaemonCommand::Print(text), _) => cli::print(&text),
        (DaemonCommand::Check(check), _) => check.run(environment),
        (DaemonCommand::Run(options), Stage::Worker(socket)) => worker::run(socket, stage::parent(), options, environment),
        (DaemonCommand::Run(options), _) => worker::launch(&options, environment),
    }
}
