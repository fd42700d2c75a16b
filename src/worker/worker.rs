//! The control loop: the world's events become inputs of the engine, its effects become deeds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::announcing::Announced;
use super::calendar::Calendar;
use super::cgroups::Cgroups;
use super::children::Children;
use super::directories::Directories;
use super::ear::TapRecord;
use super::invocation::Call;
use super::journal::{self, Change, Journal, Snapshot};
use super::launch::LaunchRecord;
use super::missing_sockets::Sight;
use super::origin::OriginRecord;
use super::origins::Origins;
use super::out_of_memory::OomKills;
use super::outside::Searches;
use super::persistence::Persistence;
use super::post_mortem::{Findings, Morgue};
use super::probing::Probes;
use super::program_sockets::ProgramSockets;
use super::replacing::Replacing;
use super::reply::Reply;
use super::rollouts::{Planned, Rollouts};
use super::shortage::Shortage;
use super::socket_watch::{Restored, SocketWatch};
use super::spawning::{Heritage, Prepared, SpawnQueue, Wanted};
use super::startup::Ended;
use super::strays::Strays;
use super::taps::{Ready, Taps};
use super::trimming::Trimming;
use super::twiddling::ReadProgram;
use super::update::{Growth, Prospect, Wish};
use super::update_report::UpdateReport;
use super::upgrade::Upgrades;
use crate::config::{Config, GroupConfig, Loaded, NotFound, ProcessConfig};
use crate::engine::{
    Effect, Engine, GroupSpec, Input, Moment, Mood, Now, Pid, ProcessId, ProcessRecord, Request, RequestId, Target,
};
use crate::events::{self, Events};
use crate::history::History;
use crate::http::{Endpoint, Incoming, SocketFile};
use crate::keeper::{self, FromKeeper, KeeperLink, LinkError, ToKeeper};
use crate::logs::{Activity, Level, Notice, Notices, Plane, SourceId, log};
use crate::sys::proc_table::Identity;
use crate::sys::signals::Received;
use crate::sys::{clock, heap};

/// A client that waits for the engine's answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) reply: Reply,
    pub(super) shape: Shape,
}

/// What the client expects to get.
#[derive(Debug)]
pub(super) enum Shape {
    /// `true`, or the fault of the one process (or group), named as the client named it.
    Single { name: String },
    /// An array of results.
    List,
    /// What an update was to do; the results are added.
    Update(Box<UpdateReport>),
}

/// What side threads bring back to the loop.
pub(super) enum Done {
    /// The commands of the processes to start were looked up.
    Checked { request: Request, reply: Reply, shape: Shape },
    /// A configuration was read.
    Loaded { purpose: Purpose, loaded: Result<Box<Loaded>, NotFound> },
    /// The ends of children were looked into.
    Examined(Findings),
    /// Orphans have ended a moment ago.
    Stirred,
    /// Whether a child is ready, or why it is not.
    Asked { process: ProcessId, attempt: u32, answer: Result<(), String> },
    /// What a held start waits for outside was asked for.
    LookedOutside { process: ProcessId, attempt: u32, answer: Result<(), String> },
    /// What children were made from.
    OriginsTaken(Vec<OriginRecord>),
    /// Whether what a child left behind goes on as its program.
    Sought { id: u64, ended: keeper::Ended, heir: Option<Identity> },
    /// The kernel counted something about the memory of the daemon and its programs.
    MemoryCounted,
    /// What was left of a child's tree is ended.
    Swept { process: ProcessId, pid: Pid },
    /// These cgroups of former runs are removed.
    Tidied(Vec<PathBuf>),
    /// The AUTO logs of a group to add were made.
    LogsMade { group: Box<GroupConfig>, problems: Vec<String>, reply: Reply },
    /// The AUTO logs of an update were made.
    UpdateReady { prospect: Box<Prospect>, problems: Vec<String>, reply: Reply },
    /// The file of a program's socket went, or came back.
    SocketFile(Sight),
    /// The file of a control socket was put back.
    SocketBack(Box<Restored>),
    /// The program of an upgrade was opened.
    ProgramOpened { opened: Result<(OwnedFd, PathBuf), String>, reply: Reply },
    /// A program that a client described was read.
    ProgramRead(ReadProgram),
    /// It is known how processes are to be replaced.
    OperationPlanned(Box<Planned>),
    /// Something happened in an operation.
    Replacing(Replacing),
}

/// Why a configuration was read.
pub(super) enum Purpose {
    Reread(Reply),
    Restart(Asker),
    Update(Wish, Reply),
}

/// Who wants a restart.
pub(super) enum Asker {
    /// `supervisor.restart`.
    Client(Reply),
    /// SIGHUP.
    Signal,
}

/// Everything the worker has in hand.
pub(super) struct Worker {
    pub(super) call: Call,
    pub(super) launch: LaunchRecord,
    /// The settings in force, without groups.
    pub(super) config: Config,
    /// What the last reread found, if it differs from the active groups.
    pub(super) pending: Option<Vec<GroupConfig>>,
    /// Those of `make_directories`.
    pub(super) directories: Directories,
    /// The active groups.
    pub(super) active: IndexMap<String, GroupConfig>,
    /// What the present children were made from, of processes that an update stops.
    pub(super) leaving: BTreeMap<ProcessId, ProcessConfig>,
    /// What an update adds when everything that it removes is gone.
    pub(super) growing: Vec<Growth>,
    pub(super) engine: Engine,
    pub(super) effects: Vec<Effect>,
    pub(super) events: Events,
    pub(super) event_effects: Vec<events::Effect>,
    /// Output that events depend on.
    pub(super) taps: Taps,
    /// Children that are asked whether they are ready.
    pub(super) probes: Probes,
    /// Processes that are being replaced.
    pub(super) rollouts: Rollouts,
    /// What held starts wait for outside.
    pub(super) searches: Searches,
    /// What the children were made from.
    pub(super) origins: Origins,
    /// Held by the one look at what processes use that is under way.
    pub(super) usage_turn: Arc<tokio::sync::Mutex<()>>,
    /// Children whose end is announced and whose output is all heard: news for the events room.
    pub(super) gone: Vec<u64>,
    /// What the keeper held for a predecessor and nobody has taken in hand yet.
    pub(super) held: BTreeMap<String, OwnedFd>,
    /// Where a predecessor's taps were.
    pub(super) tap_records: BTreeMap<SourceId, TapRecord>,
    /// Names of what the keeper holds for our children.
    pub(super) remembered: BTreeSet<String>,
    /// The set of groups changed: the journal must be begun anew.
    pub(super) restructured: bool,
    pub(super) journal: Option<Journal>,
    pub(super) persistence: Persistence,
    pub(super) shortage: Shortage,
    pub(super) trimming: Trimming,
    pub(super) keeper: KeeperLink,
    /// To the daemon, and not dealt with yet.
    pub(super) signals: Vec<Received>,
    /// The daemon's pid as the world knows it: the keeper's.
    pub(super) pid: u32,
    pub(super) children: Children,
    pub(super) next_child: u64,
    pub(super) heritage: Heritage,
    pub(super) spawns: SpawnQueue,
    pub(super) cgroups: Cgroups,
    pub(super) oom_kills: OomKills,
    /// The listening sockets of programs.
    pub(super) sockets: ProgramSockets,
    pub(super) prepared: mpsc::UnboundedReceiver<(Wanted, Prepared)>,
    pub(super) done: mpsc::UnboundedReceiver<Done>,
    pub(super) done_sender: mpsc::UnboundedSender<Done>,
    pub(super) requests: mpsc::Receiver<Incoming>,
    /// For endpoints that are added.
    pub(super) request_sender: mpsc::Sender<Incoming>,
    /// In the order of the configuration's servers.
    pub(super) endpoints: Vec<Endpoint>,
    /// Of sockets whose file was deleted and put back as another one.
    pub(super) former_endpoints: VecDeque<Endpoint>,
    pub(super) socket_watch: Option<SocketWatch>,
    pub(super) socket_files: Vec<SocketFile>,
    /// Children asked of the keeper and not answered for.
    pub(super) spawning: BTreeMap<u64, ProcessId>,
    pub(super) waiting: BTreeMap<RequestId, Waiting>,
    pub(super) next_request: RequestId,
    pub(super) clearing: super::logfiles::Clearing,
    pub(super) troubles: super::hindrance::Troubles,
    pub(super) morgue: Morgue,
    pub(super) strays: Strays,
    pub(super) orphan_news: super::orphan_news::OrphanNews,
    /// Children whose trees are being ended.
    pub(super) sweeping: BTreeSet<(ProcessId, Pid)>,
    pub(super) upgrades: Upgrades,
    /// Who wants to know what became of an upgrade that is under way.
    pub(super) curious: Vec<Reply>,
    pub(super) calendar: Calendar,
    pub(super) plane: Plane,
    pub(super) notices: Notices,
    pub(super) activity: Arc<Activity>,
    /// `None`: nobody wants one.
    pub(super) history: Option<History>,
    pub(super) announced: Announced,
    /// For the keeper once what they are about is journalled.
    pub(super) after_settling: Vec<ToKeeper>,
    /// Set when everything is stopped; the loop ends.
    pub(super) halted: Option<Mood>,
}

/// What woke the loop.
enum Wake {
    Keeper(FromKeeper, Vec<std::os::fd::OwnedFd>),
    KeeperGone(LinkError),
    Request(Incoming),
    Prepared(Wanted, Prepared),
    Done(Done),
    Ready(Vec<Ready>),
    Notice(Notice),
    Deadline,
}

impl Worker {
    /// Runs until everything is stopped; the code is for the keeper.
    pub(super) async fn run(mut self) -> Ended {
        self.watch_memory();
        self.grow();
        self.resume_operations();
        self.settle();
        self.release_pools();
        self.announce_news();
        // Those that a predecessor knew, or that came between the two.
        self.examine_for_strays();
        while self.halted.is_none() {
            let wake = self.wake().await;
            self.look_at_the_clock();
            match wake {
                Wake::Keeper(message, descriptors) => self.on_keeper(&message, descriptors),
                Wake::KeeperGone(error) => return self.succeed_keeper(&error),
                Wake::Request(incoming) => self.on_request(incoming),
                Wake::Prepared(wanted, prepared) => self.spawns.prepared(wanted, prepared),
                Wake::Done(done) => self.on_done(done),
                Wake::Ready(ready) => self.on_ready(ready),
                Wake::Notice(notice) => self.on_notice(notice),
                Wake::Deadline => {
                    self.tell_exits_that_are_due();
                    self.retry_persistence();
                    self.end_late_rehearsal();
                    self.feed(Input::Deadline);
                    self.hear(events::Input::Deadline);
                }
            }
            self.tell_exits();
            self.send_spawns();
            self.grow();
            self.settle();
            self.release_pools();
            self.forget_finished();
            for message in std::mem::take(&mut self.after_settling) {
                self.tell_keeper(&message);
            }
            self.announce_news();
            self.watch_socket_files();
            self.look_at_memory();
            self.trim_memory();
            if let Some(ended) = self.make_way().await {
                return ended;
            }
        }
        self.end().await
    }

    async fn wake(&mut self) -> Wake {
        let deadlines = [
            self.engine.deadline(),
            self.spawns.deadline(),
            self.children.deadline(),
            self.events.deadline(),
            self.persistence.deadline(),
            self.shortage.deadline(),
            self.trimming.deadline(),
            self.upgrades.deadline(),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        tokio::select! {
            biased;
            message = self.keeper.receive() => match message {
                Ok((message, descriptors)) => Wake::Keeper(message, descriptors),
                Err(error) => Wake::KeeperGone(error),
            },
            Some((wanted, prepared)) = self.prepared.recv() => Wake::Prepared(wanted, prepared),
            Some(done) = self.done.recv() => Wake::Done(done),
            () = sleep_until(deadline), if deadline.is_some() => Wake::Deadline,
            // Few at a time, as each client waits for its answer; a program that floods a log in debug mode is last.
            Some(incoming) = self.requests.recv() => Wake::Request(incoming),
            ready = self.taps.ready() => Wake::Ready(ready),
            Some(notice) = self.notices.recv() => Wake::Notice(notice),
        }
    }

    /// Hands one input to the engine; its effects are performed by [`Worker::settle`].
    pub(super) fn feed(&mut self, input: Input) {
        self.engine.handle(now(), input, &mut self.effects);
    }

    /// A request of a client.
    pub(super) fn request_for(&mut self, request: Request, waiting: Waiting) {
        self.forget_deserters();
        match &request {
            Request::Start { target: Target::One(one), .. }
            | Request::Stop { target: Target::One(one), .. }
            | Request::Signal { target: Target::One(one), .. } => self.tell_exits_of(|process| process == *one),
            _ => self.tell_exits_of(|_| true),
        }
        self.next_request += 1;
        let id = self.next_request;
        self.waiting.insert(id, waiting);
        self.feed(Input::Request { id, request });
    }

    /// Clients that went away wait for nothing any more; without this, those of a process that never stops would add up.
    fn forget_deserters(&mut self) {
        let unwanted = self.waiting.iter().filter(|(_, waiting)| waiting.reply.is_unwanted());
        let gone: Vec<RequestId> = unwanted.map(|(id, _)| *id).collect();
        for id in gone {
            self.waiting.remove(&id);
            self.feed(Input::Forget { id });
        }
    }

    /// Journals what changed, then performs the effects: a worker that dies in between has told nobody anything that
    /// its successor does not know.
    pub(super) fn settle(&mut self) {
        loop {
            self.settle_engine();
            self.write_journal();
            if !self.advance_operations() {
                break;
            }
        }
        self.ask_around();
        self.look_outside();
    }

    fn settle_engine(&mut self) {
        while !(self.effects.is_empty() && self.event_effects.is_empty() && self.gone.is_empty()) {
            self.announced.outdate();
            let effects = std::mem::take(&mut self.effects);
            if self.restructured {
                self.follow_groups();
            }
            for effect in &effects {
                self.restructure(effect);
                self.announce(effect);
                self.record_state(effect);
            }
            for child in std::mem::take(&mut self.gone) {
                self.hear(events::Input::Gone { child });
            }
            let outgoing = self.prepare_events();
            self.write_journal();
            // Before a signal that ends their listener.
            self.send_events(outgoing);
            for effect in effects {
                self.perform(effect);
            }
        }
    }

    /// Brings the journal up to what the engine and the configuration say now.
    pub(super) fn write_journal(&mut self) {
        let dirty = self.engine.take_dirty();
        let mood = self.engine.mood();
        let begin = self.restructured || self.journal.as_ref().is_none_or(|journal| journal.is_outdated(mood));
        let written = match (&mut self.journal, begin) {
            (Some(journal), false) => {
                let processes = dirty.iter().filter_map(|&process| self.engine.record(process)).collect();
                let change = Change {
                    processes,
                    events: self.events.take_records(),
                    taps: self.taps.changes(),
                    probes: self.probes.records.changes(),
                    operations: self.rollouts.operations.changes(),
                    origins: self.origins.records.changes(),
                };
                match if change.is_empty() { Ok(()) } else { journal.append(&change) } {
                    // Its disk may be full: memory is not.
                    Err(_) if journal.is_on_disk => {
                        let former = journal.descriptor();
                        let anew = self.begin_journal();
                        // Out of date from here on: whoever found it would take it for the truth.
                        if anew.is_ok() {
                            former.into_iter().for_each(journal::spoil);
                        }
                        anew
                    }
                    written => written,
                }
            }
            _ => self.begin_journal(),
        };
        match written {
            Ok(()) => {
                self.taps.journalled();
                self.probes.records.journalled();
                self.rollouts.operations.journalled();
                self.origins.records.journalled();
            }
            Err(error) => {
                log(
                    Level::Critical,
                    &format!("cannot write the journal: {error}; a successor would not know the latest states"),
                );
                self.restructured = true;
            }
        }
    }

    fn begin_journal(&mut self) -> std::io::Result<()> {
        if !heap::has_room(self.journal.as_ref().map_or(0, Journal::room_to_begin_anew)) {
            return Err(std::io::ErrorKind::OutOfMemory.into());
        }
        let snapshot = Snapshot {
            mood: self.engine.mood(),
            next_process: self.engine.next_id(),
            next_child: self.next_child,
            launch: self.launch.clone(),
            cgroups: self.cgroups.directory(),
            config: self.config.clone(),
            pending: self.pending.clone(),
            active: self.active.clone(),
            leaving: self.leaving.clone(),
            growing: self.growing.clone(),
            engine: self.records(),
            events: self.events.records(),
            taps: self.taps.records(),
            probes: self.probes.records.all(),
            operations: self.rollouts.operations.all(),
            origins: self.origin_records(),
        };
        let journal = self.persistence.begin_journal(&snapshot);
        self.tell_of_persistence();
        let journal = journal?;
        let hold = ToKeeper::Hold { name: journal::HELD_NAME.to_owned() };
        self.keeper.send(&hold, vec![journal.descriptor()?]).map_err(std::io::Error::other)?;
        self.journal = Some(journal);
        self.restructured = false;
        Ok(())
    }

    /// The groups of the configuration as it was last read.
    pub(super) fn pending_groups(&self) -> Box<dyn Iterator<Item = &GroupConfig> + '_> {
        match &self.pending {
            Some(groups) => Box::new(groups.iter()),
            None => Box::new(self.active.values()),
        }
    }

    /// What the journal keeps of the engine: each group with the records of its members.
    fn records(&self) -> Vec<(GroupSpec, Vec<ProcessRecord>)> {
        self.engine
            .groups()
            .filter_map(|group| {
                let records = group.members.iter().chain(group.beside);
                let records = records.filter_map(|process| self.engine.record(*process)).collect();
                Some((self.engine.spec(group.name)?, records))
            })
            .collect()
    }

    /// The processes a client names `group:name`, or `name` where both are equal.
    pub(super) fn process_of(&self, namespec: &str) -> Option<ProcessId> {
        let (group, name) = namespec.split_once(':').unwrap_or((namespec, namespec));
        self.engine.find(group, name)
    }
}

/// The time, for the engine.
pub(super) fn now() -> Now {
    let (mono, wall) = clock::now();
    Now { mono: Moment(mono), wall }
}

async fn sleep_until(deadline: Option<Moment>) {
    let left = deadline.map_or(Duration::MAX, |deadline| deadline.since(now().mono));
    tokio::time::sleep(left).await;
}
