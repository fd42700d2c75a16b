//! The loader against Supervisor's own: thousands of configurations made from a seed (`LOADER_SEED`, `LOADER_CASES`),
//! accepted or refused alike, with the same first error, processes and values.
//!
//! Where Supervisor cannot be had the test says so and passes, unless `LOADER_REQUIRED` is set.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on must fail")]
#![expect(clippy::disallowed_methods, reason = "the original is run beside ours")]

mod compare;
mod examples;
mod generate;
#[path = "../fixture/notice.rs"]
mod notice;
mod oracle;
mod print;
mod random;
mod values;
#[path = "../fixture/venv.rs"]
mod venv;

#[expect(clippy::print_stderr, reason = "what a comparison covered belongs into the test's output")]
fn report(text: &str) {
    eprintln!("{text}");
}

fn number_from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
