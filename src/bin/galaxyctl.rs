//! The client, as `galaxyctl` or under the name `supervisorctl`.

use std::process::ExitCode;

use galaxyd::cli::{Personality, personality, program_path};

fn main() -> ExitCode {
    let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let argv0 = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let argv0 = program_path(&argv0, &path.to_string_lossy());
    let personality = match personality(&argv0) {
        own @ (Personality::Supervisorctl | Personality::EchoSupervisordConf) => own,
        _ => Personality::Galaxyctl,
    };
    ExitCode::from(galaxyd::ctl::main(personality, &argv0, &args))
}
