//! Whether another program of ours could go on with this daemon: it is run once, reads a copy of the state, and says so.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::journal;
use crate::VERSION;
use crate::keeper::{checksum, read_roll, rehearsal_environment};
use crate::rpc::printable;
use crate::sys::descriptors;
use crate::sys::plan::{ExecPlan, Stderr, Stdin};

/// The keeper's tag of a program in rehearsal.
pub(super) const TAG: &str = "rehearsal";

/// A copy of the state that is longer is not read, in bytes.
const STATE_BYTES_MAX: u64 = 256 << 20;

/// So much of what a program says that cannot go on is shown, in characters.
const EXCUSE_MAX_CHARS: usize = 400;

/// The state of a daemon as the program in rehearsal gets it: the length of the journal (`u64`, little-endian), the journal,
/// the roll.
#[derive(Debug)]
pub(super) struct State(Vec<u8>);

impl State {
    /// A copy of both; whoever writes them does not notice.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn of(journal: &File, roll: Option<&File>) -> io::Result<State> {
        let journal = copy(journal)?;
        let mut state = (journal.len() as u64).to_le_bytes().to_vec();
        state.extend(journal);
        if let Some(roll) = roll {
            state.extend(copy(roll)?);
        }
        Ok(State(state))
    }

    /// For the standard input of the program.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub(super) fn to_descriptor(&self) -> io::Result<OwnedFd> {
        let memory = File::from(memfd_create(c"galaxyd-rehearsal", MFdFlags::MFD_CLOEXEC)?);
        memory.write_all_at(&self.0, 0)?;
        Ok(memory.into())
    }

    /// Which program said this, if it has understood the state; else why not.
    pub(super) fn verdict(&self, ended_well: bool, said: &[u8]) -> Result<Successor, String> {
        let said = String::from_utf8_lossy(said);
        let version = said.strip_prefix(BEFORE_VERSION).and_then(|rest| rest.split_once(&before_proof(&self.0)));
        match version {
            Some((version, further)) if ended_well && !version.contains(char::is_whitespace) => {
                Ok(Successor { version: version.to_owned(), takes_clients: further.starts_with(TAKES_CLIENTS) })
            }
            _ => {
                let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
                let excuse: String = printable(line.trim()).chars().take(EXCUSE_MAX_CHARS).collect();
                Err(if excuse.is_empty() { "it said nothing".to_owned() } else { format!("it said: {excuse}") })
            }
        }
    }
}

/// A program that can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Successor {
    pub(super) version: String,
    /// It goes on with connections that are left to it.
    pub(super) takes_clients: bool,
}

/// How the program is run. A program of ours that knows of no rehearsals shows its version and ends.
pub(super) fn plan(path: CString, name: CString) -> ExecPlan {
    ExecPlan {
        path,
        argv: vec![name, c"--version".to_owned()],
        environment: rehearsal_environment(),
        stdin: Stdin::Given,
        stderr: Stderr::Stdout,
        ..ExecPlan::default()
    }
}

/// What a program in rehearsal does.
#[must_use]
pub fn rehearse() -> ExitCode {
    let (text, code) = match understood() {
        Ok(state) => (format!("{BEFORE_VERSION}{VERSION}{}{TAKES_CLIENTS}\n", before_proof(&state)), ExitCode::SUCCESS),
        Err(error) => (format!("galaxyd {VERSION} cannot go on with this daemon: {error}\n"), ExitCode::FAILURE),
    };
    // Who does not listen takes it for a failure.
    let _ = io::stdout().write_all(text.as_bytes());
    code
}

const BEFORE_VERSION: &str = "galaxyd ";

/// What follows the proof. Programs from before there was anything to follow take no notice of it.
const TAKES_CLIENTS: &str = " and with its clients";

/// What follows the version: shows that the state was read.
fn before_proof(state: &[u8]) -> String {
    format!(" can go on with state {:016x}", checksum(state))
}

/// The state on standard input, if this program understands it.
fn understood() -> io::Result<Vec<u8>> {
    let mut state = Vec::new();
    io::stdin().lock().take(STATE_BYTES_MAX).read_to_end(&mut state)?;
    understand(&state)?;
    Ok(state)
}

/// Whether this program could go on with a daemon whose state this is: the length of its journal (`u64`, little-endian), the journal,
/// the roll.
///
/// # Errors
/// What it does not understand.
pub fn understand(state: &[u8]) -> io::Result<()> {
    let cut = || io::Error::new(io::ErrorKind::InvalidData, "its state is cut short");
    let (length, rest) = state.split_first_chunk().ok_or_else(cut)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut())?;
    let (journal, roll) = rest.split_at_checked(length).ok_or_else(cut)?;
    let because = |what: &str, error: String| io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {error}"));
    journal::parse(journal).map_err(|error| because("its journal", error.to_string()))?;
    let file = File::from(descriptors::sealed_memory(c"galaxyd-roll", roll)?);
    read_roll(&file).map_err(|error| because("its roll", error.to_string()))?;
    Ok(())
}

/// Without moving the place at which others write.
fn copy(file: &File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().min(STATE_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_proof_that_the_state_was_read_counts() {
        let state = State(vec![1, 2, 3]);
        let good = format!("{BEFORE_VERSION}1.2.3{}\n", before_proof(&state.0));
        let successor = |takes_clients| Ok(Successor { version: "1.2.3".to_owned(), takes_clients });
        assert_eq!(state.verdict(true, good.as_bytes()), successor(false));
        let present = format!("{}{TAKES_CLIENTS}\n", good.trim_end());
        assert_eq!(state.verdict(true, present.as_bytes()), successor(true));
        assert!(state.verdict(false, good.as_bytes()).is_err());
        assert!(State(vec![1, 2]).verdict(true, good.as_bytes()).is_err());
        assert_eq!(state.verdict(true, b""), Err("it said nothing".to_owned()));
        let other = Err(format!("it said: {}", printable("0.9\u{1b}[2J")));
        assert_eq!(state.verdict(true, b"\n0.9\x1b[2J\nmore\n"), other);
    }
}
