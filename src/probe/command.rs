//! A command that answers by its exit code.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use super::side::on_a_side_thread;
use crate::sys::errand::{self, Errand, REPORT_BYTES, Report};
use crate::sys::errno;
use crate::sys::plan::ExecPlan;
use crate::sys::reap::Exit;

/// So much of its output is kept, the newest. Bytes.
const KEPT_MAX: usize = 64 << 10;

/// A longer last line is cut. Characters.
const LINE_MAX: usize = 200;

/// Read at once. Bytes.
const PIECE: usize = 4096;

/// After its end at most so many pieces are read: the whole of a pipe.
const PIECES_MAX: usize = 16;

/// Runs it once; killed when this is dropped.
pub(super) async fn run(plan: impl FnOnce() -> Result<ExecPlan, String> + Send + 'static) -> Result<(), String> {
    let work = move || errand::begin(&plan()?, b"").map_err(|error| cannot_be_run(&error));
    let begun = on_a_side_thread(work).await.unwrap_or_else(|| Err("its command cannot be run".to_owned()));
    let (report, output) = end(begun?).await.map_err(|error| cannot_be_run(&error))?;
    judge(report, &output)
}

/// Waits for its end: what was reported, and the last of what it wrote.
pub(super) async fn end(errand: Errand) -> io::Result<(Option<Report>, Vec<u8>)> {
    let Errand { output, reports, guard: _guard } = errand;
    let (mut output, mut reports) = (Receiver::from_owned_fd(output)?, Receiver::from_owned_fd(reports)?);
    let mut kept = Vec::new();
    let mut piece = [0; PIECE];
    let mut report = [0; REPORT_BYTES];
    let mut is_open = true;
    loop {
        tokio::select! {
            read = output.read(&mut piece), if is_open => match read {
                Ok(count) if count > 0 => keep(&mut kept, piece.get(..count).unwrap_or_default()),
                _ => is_open = false,
            },
            read = reports.read_exact(&mut report) => {
                let report = read.ok().and_then(|_| Report::of(report));
                for _ in 0..PIECES_MAX {
                    let Ok(count @ 1..) = output.try_read(&mut piece) else { break };
                    keep(&mut kept, piece.get(..count).unwrap_or_default());
                }
                return Ok((report, kept));
            }
        }
    }
}

fn cannot_be_run(error: &io::Error) -> String {
    format!("its command cannot be run: {error}")
}

fn keep(kept: &mut Vec<u8>, piece: &[u8]) {
    kept.extend_from_slice(piece);
    let surplus = kept.len().saturating_sub(KEPT_MAX);
    kept.drain(..surplus);
}

fn judge(report: Option<Report>, output: &[u8]) -> Result<(), String> {
    let ended = match report {
        Some(Report::Ended(Exit::Code(0))) => return Ok(()),
        Some(Report::Ended(Exit::Code(code))) => format!("its command ended with exit code {code}"),
        Some(Report::Ended(Exit::Signal { number, .. })) => format!("its command was ended by signal {number}"),
        Some(Report::Failed(failure)) => {
            let error = errno::name(failure.errno).unwrap_or("unknown error");
            return Err(format!("its command cannot be run: {error}"));
        }
        None => return Err("its command was lost".to_owned()),
    };
    let text = String::from_utf8_lossy(output);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let line: String = line.chars().filter(|letter| !letter.is_control()).take(LINE_MAX).collect();
    Err(if line.is_empty() { ended } else { format!("{ended}: {line}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_counts_and_the_last_line_says_why() {
        let ended = |code| Some(Report::Ended(Exit::Code(code)));
        let killed = Some(Report::Ended(Exit::Signal { number: 9, core_dumped: false }));
        for (report, output, wanted) in [
            (ended(0), "no\n", Ok(())),
            (ended(2), "", Err("its command ended with exit code 2")),
            (ended(1), "a\n \x1b[1mno answer\n\n", Err("its command ended with exit code 1: [1mno answer")),
            (killed, "x", Err("its command was ended by signal 9: x")),
            (None, "x", Err("its command was lost")),
        ] {
            assert_eq!(judge(report, output.as_bytes()), wanted.map_err(str::to_owned), "{output:?}");
        }
    }

    #[test]
    fn of_much_output_the_newest_is_kept() {
        let mut kept = Vec::new();
        keep(&mut kept, &vec![b'a'; KEPT_MAX]);
        keep(&mut kept, b"end");
        assert_eq!((kept.len(), kept.ends_with(b"aend")), (KEPT_MAX, true));
    }
}
