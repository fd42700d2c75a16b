//! Another program in place of this one: rehearsed first, then handed to the keeper, which executes it with everything
//! there is. Programs, pipes, sockets and what was decided stay.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::memory;
use super::rehearsal::{self, State, Successor};
use super::reply::Reply;
use super::startup::{Ended, listener_name};
use super::worker::{Done, Worker, now};
use crate::VERSION;
use crate::engine::{Exit, Moment};
use crate::keeper::{DONE_HELD_NAME, FromKeeper, ROLL_HELD_NAME, ToKeeper};
use crate::logs::{Level, log};
use crate::rpc::{Fault, FaultCode, Value};
use crate::sys::side;

/// The name under which the keeper holds what the next worker has to know of an upgrade.
const HELD_NAME: &str = "upgrade";

/// So long a rehearsal may take.
const REHEARSAL_MAX: Duration = Duration::from_secs(10);

/// So long connections with a request under way hold an upgrade back. New ones wait in the meantime, and so do those
/// without a request.
const CONNECTIONS_MAX: Duration = Duration::from_millis(150);

/// So much of what a program in rehearsal says is read, in bytes.
const SAID_MAX_BYTES: usize = 4096;

/// Which program took the place of which, or was to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    former: String,
    next: String,
    path: PathBuf,
    /// Tells it from other upgrades of this daemon.
    number: u64,
}

/// A program that says whether it can go on.
#[derive(Debug)]
pub(super) struct Rehearsal {
    /// The keeper's id of it.
    id: u64,
    program: OwnedFd,
    path: PathBuf,
    state: State,
    /// Of what it says.
    output: Option<OwnedFd>,
    exec_failed: Option<i32>,
    until: Moment,
    reply: Reply,
}

/// What is known of upgrades.
#[derive(Debug, Default)]
pub(super) enum Upgrades {
    #[default]
    None,
    /// The program is being opened.
    Opening,
    Rehearsing(Box<Rehearsal>),
    /// The program is sound; nothing holds it back any more. Whoever asked for it is told when no further request comes
    /// here: his next one goes to the next worker.
    Agreed {
        program: OwnedFd,
        record: Record,
        /// It goes on with clients that are connected.
        takes_clients: bool,
        reply: Reply,
    },
    /// This worker ends.
    MakingWay,
    /// This worker came by one, or stayed because it was undone.
    Past {
        record: Record,
        undone: bool,
    },
}

impl Upgrades {
    /// When the rehearsal has to be over.
    pub(super) fn deadline(&self) -> Option<Moment> {
        match self {
            Upgrades::Rehearsing(rehearsal) => Some(rehearsal.until),
            _ => None,
        }
    }

    fn is_under_way(&self) -> bool {
        !matches!(self, Upgrades::None | Upgrades::Past { .. })
    }
}

impl Worker {
    /// Opens the program on a side thread. Without a path it is the one that this process was started from.
    pub(super) fn upgrade(&mut self, path: &str, reply: Reply) {
        let refuse = |text: &str| Err(Fault::with(FaultCode::Failed, text));
        if self.call.alone {
            return reply
                .send(refuse("this daemon runs without a keeper (--no-keeper) and cannot be replaced in place"));
        }
        if self.upgrades.is_under_way() {
            return reply.send(refuse("another upgrade is under way"));
        }
        self.upgrades = Upgrades::Opening;
        let (path, done) = (path.to_owned(), self.done_sender.clone());
        side::run(move || {
            let path = if path.is_empty() { own_path() } else { Ok(PathBuf::from(path)) };
            let opened = path.and_then(|path| Ok((open(&path)?, path)));
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::ProgramOpened { opened, reply });
        });
    }

    /// Rehearses the program.
    pub(super) fn program_opened(&mut self, opened: Result<(OwnedFd, PathBuf), String>, reply: Reply) {
        self.upgrades = Upgrades::None;
        let begun = opened.and_then(|(program, path)| {
            let begun = self.begin_rehearsal(&program, &path);
            let (id, state) = begun.map_err(|error| format!("{} cannot be rehearsed: {error}", path.display()))?;
            Ok((id, state, program, path))
        });
        match begun {
            Ok((id, state, program, path)) => {
                let until = now().mono + REHEARSAL_MAX;
                let rehearsal = Rehearsal { id, program, path, state, output: None, exec_failed: None, until, reply };
                self.upgrades = Upgrades::Rehearsing(Box::new(rehearsal));
            }
            Err(text) => {
                self.refuse(&text, reply);
                self.answer_curious();
            }
        }
    }

    fn begin_rehearsal(&mut self, program: &OwnedFd, path: &Path) -> std::io::Result<(u64, State)> {
        self.settle();
        let journal = self.journal.as_ref().ok_or_else(|| std::io::Error::other("there is no journal"))?;
        let roll = self.keeper.holdings().find(|(name, _)| *name == ROLL_HELD_NAME);
        let roll = roll.map(|(_, roll)| roll.try_clone_to_owned()).transpose()?.map(File::from);
        let state = State::of(&File::from(journal.descriptor()?), roll.as_ref())?;
        // The very file that was opened, whatever becomes of its name.
        let file = CString::new(format!("/proc/{}/fd/{}", std::process::id(), program.as_raw_fd()))?;
        let plan = rehearsal::plan(file, CString::new(path.as_os_str().as_bytes())?).encode()?;
        let id = self.next_child;
        self.next_child += 1;
        let spawn = ToKeeper::Spawn { id, tag: rehearsal::TAG.to_owned() };
        self.keeper.send(&spawn, vec![plan, state.to_descriptor()?]).map_err(std::io::Error::other)?;
        Ok((id, state))
    }

    /// Whether the message was about a rehearsal.
    pub(super) fn rehearsal_heard(&mut self, message: &FromKeeper, descriptors: &mut Vec<OwnedFd>) -> bool {
        let Upgrades::Rehearsing(rehearsal) = &mut self.upgrades else { return false };
        match *message {
            FromKeeper::Spawned { id, .. } if id == rehearsal.id => rehearsal.output = descriptors.pop(),
            FromKeeper::ExecFailed { id, errno, .. } if id == rehearsal.id => rehearsal.exec_failed = Some(errno),
            FromKeeper::SpawnFailed { id, errno, .. } if id == rehearsal.id => {
                rehearsal.exec_failed = Some(errno);
                self.end_rehearsal(None);
            }
            FromKeeper::Exited { id, ended } if id == rehearsal.id => self.end_rehearsal(Some(ended.exit)),
            FromKeeper::Signalled { id, .. } if id == rehearsal.id => {}
            _ => return false,
        }
        true
    }

    /// A program that takes too long is no successor.
    pub(super) fn end_late_rehearsal(&mut self) {
        if self.upgrades.deadline().is_some_and(|until| until <= now().mono)
            && let Upgrades::Rehearsing(rehearsal) = &self.upgrades
        {
            let kill = ToKeeper::Signal { id: rehearsal.id, signal: libc::SIGKILL, group: true };
            self.tell_keeper(&kill);
            self.end_rehearsal(None);
        }
    }

    fn end_rehearsal(&mut self, exit: Option<Exit>) {
        let Upgrades::Rehearsing(rehearsal) = std::mem::take(&mut self.upgrades) else { return };
        let Rehearsal { id, program, path, state, output, exec_failed, reply, .. } = *rehearsal;
        if exit.is_some() {
            self.tell_keeper(&ToKeeper::Forget { id });
        }
        let verdict = match (exec_failed, exit) {
            (Some(errno), _) => Err(format!("it cannot be executed: {}", std::io::Error::from_raw_os_error(errno))),
            (None, None) => Err(format!("it does not answer within {} seconds", REHEARSAL_MAX.as_secs())),
            (None, Some(exit)) => state.verdict(exit == Exit::Code(0), &said(output.as_ref())),
        };
        match verdict {
            Ok(Successor { version, takes_clients }) => {
                let record = Record { former: VERSION.to_owned(), next: version, path, number: id };
                self.upgrades = Upgrades::Agreed { program, record, takes_clients, reply };
            }
            Err(reason) => {
                let text = format!("{} cannot take the place of galaxyd {VERSION}: {reason}", path.display());
                self.refuse(&text, reply);
            }
        }
        self.answer_curious();
    }

    /// What became of the last upgrade. While one is under way this is not known: who asks waits, and if this worker makes
    /// way his connection ends, so that he asks the next one.
    pub(super) fn tell_of_upgrade(&mut self, reply: Reply) {
        self.curious.retain(|other| !other.is_unwanted());
        self.curious.push(reply);
        self.answer_curious();
    }

    fn answer_curious(&mut self) {
        let answer = match &self.upgrades {
            Upgrades::None => Value::Struct(Vec::new()),
            Upgrades::Past { record, undone } => record.answer(Some(*undone)),
            Upgrades::Opening | Upgrades::Rehearsing(_) | Upgrades::Agreed { .. } | Upgrades::MakingWay => return,
        };
        for reply in std::mem::take(&mut self.curious) {
            reply.send(Ok(answer.clone()));
        }
    }

    /// Leaves the daemon to the next program; `None` if none is agreed on.
    pub(super) async fn make_way(&mut self) -> Option<Ended> {
        if !matches!(self.upgrades, Upgrades::Agreed { .. }) {
            return None;
        }
        let agreed = std::mem::replace(&mut self.upgrades, Upgrades::MakingWay);
        let Upgrades::Agreed { program, record, takes_clients, reply } = agreed else { return None };
        let answer = record.answer(None);
        let Record { former, next, path, .. } = &record;
        log(Level::Warn, &format!("upgrading from galaxyd {former} to galaxyd {next} ({})", path.display()));
        match memory::document(c"galaxyd-upgrade", &record) {
            Ok(record) => self.tell_keeper_to_hold(HELD_NAME, record),
            Err(error) => log(Level::Warn, &format!("the next galaxyd will not know where it comes from: {error}")),
        }
        self.stop_socket_watch().await;
        let mut closing = self.leave_endpoints(takes_clients);
        // The connections hear of their end before the answer.
        tokio::task::yield_now().await;
        reply.send(Ok(answer));
        // Whoever was let in is answered, as far as that needs nobody else.
        let mut clients = Vec::new();
        loop {
            tokio::select! {
                closed = closing.join_next() => match closed {
                    Some(left) => clients.extend(left.into_iter().flatten()),
                    None => break,
                },
                Some(incoming) = self.requests.recv() => {
                    self.on_request(incoming);
                    self.settle();
                }
            }
        }
        self.settle();
        self.leave_clients(clients);
        if let Err(error) = self.keeper.send(&ToKeeper::Upgrade, vec![program]) {
            log(Level::Critical, &format!("cannot tell the keeper of the upgrade: {error}"));
        }
        while !self.keeper.is_flushed() && self.keeper.receive().await.is_ok() {}
        Some(Ended::Exit(ExitCode::SUCCESS))
    }

    /// Lets in nobody any more; each endpoint gives the clients for the next worker, with the name of its socket.
    fn leave_endpoints(&mut self, takes_clients: bool) -> JoinSet<Vec<(String, OwnedFd)>> {
        let mut closing = JoinSet::new();
        // Their sockets have no name any more.
        let mut nameless: Vec<_> = self.former_endpoints.drain(..).collect();
        let names: Vec<_> = self.config.servers.iter().map(listener_name).collect();
        for (endpoint, name) in self.endpoints.drain(..).zip(names) {
            if takes_clients {
                closing.spawn(async move {
                    let clients = endpoint.hand_over(CONNECTIONS_MAX).await;
                    clients.into_iter().map(|client| (name.clone(), client)).collect()
                });
            } else {
                nameless.push(endpoint);
            }
        }
        for endpoint in nameless {
            closing.spawn(async move {
                endpoint.close(CONNECTIONS_MAX).await;
                Vec::new()
            });
        }
        closing
    }

    /// An upgrade by which this worker came, or which failed. It is noted when this worker is ready.
    pub(super) fn past_upgrade(&mut self) -> Option<PastUpgrade> {
        let undone = self.held.remove(DONE_HELD_NAME).is_none();
        let record = self.held.remove(HELD_NAME)?;
        Some(PastUpgrade { record: memory::read::<Record>(record).ok()?, undone })
    }

    /// Says what became of it; the keeper forgets.
    pub(super) fn note_upgrade(&mut self, past: Option<PastUpgrade>) {
        for name in [HELD_NAME, DONE_HELD_NAME] {
            self.tell_keeper(&ToKeeper::Release { name: name.to_owned() });
        }
        let Some(PastUpgrade { record, undone }) = past else { return };
        let Record { former, next, path, .. } = &record;
        let path = path.display();
        let (level, text) = if undone {
            let text =
                format!("the upgrade to galaxyd {next} ({path}) failed and was undone; galaxyd {VERSION} goes on");
            (Level::Critical, text)
        } else {
            (Level::Warn, format!("galaxyd {former} was upgraded to galaxyd {VERSION} ({path})"))
        };
        log(level, &text);
        self.record_daemon(&text);
        self.upgrades = Upgrades::Past { record, undone };
    }

    fn refuse(&self, text: &str, reply: Reply) {
        log(Level::Error, &format!("no upgrade: {text}"));
        self.record_daemon(&format!("no upgrade: {text}"));
        reply.send(Err(Fault::with(FaultCode::Failed, format!("{text}; galaxyd {VERSION} stays in charge"))));
    }
}

/// What a worker finds of an upgrade before it.
#[derive(Debug)]
pub(super) struct PastUpgrade {
    record: Record,
    undone: bool,
}

impl Record {
    fn answer(&self, undone: Option<bool>) -> Value {
        let mut members = vec![
            ("former", self.former.as_str().into()),
            ("next", self.next.as_str().into()),
            ("path", self.path.display().to_string().into()),
            ("number", self.number.to_string().into()),
        ];
        members.extend(undone.map(|undone| ("undone", undone.into())));
        Value::object(members)
    }
}

/// Where the program lies, or lay, that this process executes.
fn own_path() -> Result<PathBuf, String> {
    let path =
        fs::read_link("/proc/self/exe").map_err(|error| format!("cannot find the program of this daemon: {error}"))?;
    Ok(match path.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(path) => PathBuf::from(path),
        None => path,
    })
}

fn open(path: &Path) -> Result<OwnedFd, String> {
    let shown = path.display();
    if !path.is_absolute() {
        return Err(format!("{shown}: the path of a program must be absolute"));
    }
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(path);
    let file = file.map_err(|error| format!("{shown}: {error}"))?;
    let metadata = file.metadata().map_err(|error| format!("{shown}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{shown} is no program: not a regular file"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(format!("{shown} is no program: it may not be executed"));
    }
    Ok(file.into())
}

/// What is in the pipe of a program that has ended.
fn said(output: Option<&OwnedFd>) -> Vec<u8> {
    let Some(output) = output else { return Vec::new() };
    let mut bytes = vec![0; SAID_MAX_BYTES];
    // Never waits: the pipe does not. One that holds nothing is as good as empty.
    let length = nix::unistd::read(output, &mut bytes).unwrap_or(0);
    bytes.truncate(length);
    bytes
}
