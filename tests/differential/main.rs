//! The same scenario against the original Supervisor 4.3.0 and against galaxyd, side by side.
//!
//! A scenario (`scenarios/*.scenario`) is data: a configuration and steps. It is played on both daemons at once;
//! what each of them answered, logged, announced and left in files becomes a list of named pieces, pids and
//! times taken out, and the pieces must be equal. A difference that is meant stands beside its scenario, and names
//! a row of `docs/compatibility.md`; one that is not there any more fails as well.
//!
//! The original has races of its own, so where a difference shows the ORIGINAL is asked again (the summary says so); ours is
//! asked once, and what it did then must be what the original can do.
//!
//! `cargo test --test differential WORDS` plays the scenarios whose names hold the words. `DIFFERENTIAL_SIDES=original` plays
//! the original against itself, which shows what it does differently from run to run; `DIFFERENTIAL_JOBS` is how many are
//! played at once.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(clippy::disallowed_methods, reason = "tests start programs and wait for conditions")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test binary without a harness tells its own story")]
#![expect(dead_code, reason = "the daemon and its waiting are shared with the conformance tests, which use all of it")]

#[path = "../conformance/daemon.rs"]
mod daemon;
#[path = "../fixture/notice.rs"]
mod notice;
#[path = "../fixture/venv.rs"]
mod venv;
#[path = "../conformance/wait.rs"]
mod wait;

mod arguments;
mod comparison;
mod differences;
mod observation;
mod plain;
mod play;
mod recorder;
mod run;
mod scenario;
mod step;
mod subject;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, file] = words.as_slice()
        && flag == recorder::FLAG
    {
        return recorder::record(std::path::Path::new(file));
    }
    run::all(&arguments::Arguments::read(&words))
}
