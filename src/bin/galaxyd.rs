//! The daemon: launcher, keeper or worker, as its environment says.

use std::io::Write;
use std::process::ExitCode;

use galaxyd::keeper::{self, Image};
use galaxyd::worker::{self, Ended, Invocation};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell when the terminal is gone.
            let _ = writeln!(std::io::stderr(), "Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn std::error::Error>> {
    Ok(match Image::of_this_process()? {
        Image::Keeper(launcher) => ExitCode::from(keeper::be_keeper(launcher)?),
        Image::Worker(socket) => {
            let invocation = Invocation::of_this_process();
            match worker::run(socket, std::os::unix::process::parent_id(), invocation) {
                Ended::Exit(code) => code,
                // The keeper was told.
                Ended::Restart => ExitCode::SUCCESS,
            }
        }
        Image::Rehearsal => worker::rehearse(),
        Image::Launcher => worker::launch(&Invocation::of_this_process()),
    })
}
