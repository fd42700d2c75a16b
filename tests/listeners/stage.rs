//! A daemon's events with nothing around them: what goes in is written by hand, what comes out is text.

use std::collections::BTreeMap;
use std::time::Duration;

use galaxyd::engine::{Channel, Event, Moment, Now, Pid, ProcessId, ProcessState};
use galaxyd::events::{
    Effect, EventType, Events, GroupSpec, Input, LengthUnit, MemberSpec, OutputSpec, PoolSpec, Record, Severity,
};

/// The wall clock when a stage opens: 3 s into a slice of 5, 43 s into one of 60.
pub(crate) const START: i64 = 1_000_000_003;

pub(crate) struct Stage {
    pub(crate) events: Events,
    pub(crate) now: Now,
    groups: Vec<GroupSpec>,
    states: BTreeMap<ProcessId, ProcessState>,
    /// The living, and those whose output is not all handed in.
    children: BTreeMap<u64, (ProcessId, Pid)>,
    heard: BTreeMap<u64, u64>,
    next_child: u64,
    /// What came out and was not asked for yet.
    trace: Vec<String>,
    /// What a successor would read.
    journal: Vec<String>,
    /// Whether writes are answered at once, as by a worker.
    pub(crate) answers: bool,
}

/// A member of a group.
pub(crate) fn member(process: u64, name: &str, output: OutputSpec) -> MemberSpec {
    MemberSpec { process: ProcessId(process), name: name.to_owned(), stdout: output, stderr: output }
}

/// A pool of listeners named as given, with these process ids.
pub(crate) fn pool(name: &str, events: &[&str], buffer_size: usize, listeners: &[(u64, &str)]) -> GroupSpec {
    let events = events.iter().map(|event| EventType::from_name(event).unwrap()).collect();
    let quiet = OutputSpec::default();
    GroupSpec {
        name: name.to_owned(),
        pool: Some(PoolSpec { events, buffer_size, length: LengthUnit::Characters, answer_timeout: None }),
        members: listeners.iter().map(|(process, name)| member(*process, name, quiet)).collect(),
    }
}

/// A group of one program whose output makes all events.
pub(crate) fn program(name: &str, process: u64) -> GroupSpec {
    let output = OutputSpec { log: true, capture: true };
    GroupSpec { name: name.to_owned(), pool: None, members: vec![member(process, name, output)] }
}

impl Stage {
    pub(crate) fn new() -> Stage {
        Stage {
            events: Events::new("supervisor".to_owned(), 0),
            now: Now { mono: Moment(Duration::ZERO), wall: START },
            groups: Vec::new(),
            states: BTreeMap::new(),
            children: BTreeMap::new(),
            heard: BTreeMap::new(),
            next_child: 0,
            trace: Vec::new(),
            journal: Vec::new(),
            answers: true,
        }
    }

    pub(crate) fn feed(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.events.handle(self.now, input, &mut effects);
        let records = self.events.take_records();
        self.write(&records);
        for effect in effects {
            self.perform(effect);
        }
    }

    fn write(&mut self, records: &[Record]) {
        self.journal.extend(records.iter().map(|record| serde_json::to_string(record).unwrap()));
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Write { process, child, serial, bytes } => {
                let text = String::from_utf8(bytes).unwrap();
                self.trace.push(format!("write {} {text}", self.name(process)));
                if self.answers {
                    self.feed(Input::Written { child, serial });
                }
            }
            Effect::Renew { process, child } => self.trace.push(format!("renew {} {child}", self.name(process))),
            Effect::Log(line) => {
                let level = match line.severity() {
                    Severity::Error => "ERRO",
                    Severity::Warn => "WARN",
                    Severity::Debug => "DEBG",
                };
                self.trace.push(format!("{level} {line}"));
            }
        }
    }

    /// The worker dies; what its successor reads is all that was journaled.
    pub(crate) fn die(&mut self) {
        let records = self.journal.iter().map(|line| serde_json::from_str(line).unwrap());
        let records: Vec<Record> = records.collect();
        self.events = Events::restore("supervisor".to_owned(), &self.groups, records);
        for (&child, &(process, pid)) in &self.children.clone() {
            self.feed(Input::Born { process, child, pid });
        }
        self.feed(Input::Resume { children: self.children.keys().copied().collect() });
    }

    /// The journal is begun anew, and holds no more than it must.
    pub(crate) fn shorten_journal(&mut self) {
        self.journal.clear();
        let records = self.events.records();
        self.write(&records);
    }

    pub(crate) fn group(&mut self, group: GroupSpec) {
        self.groups.push(group.clone());
        let name = group.name.clone();
        self.feed(Input::Group(group));
        self.feed(Input::State(Event::GroupAdded { group: name }));
    }

    /// A known group has other members or settings.
    pub(crate) fn change(&mut self, group: GroupSpec) {
        self.groups.iter_mut().filter(|spec| spec.name == group.name).for_each(|spec| *spec = group.clone());
        self.feed(Input::Changed(group));
    }

    pub(crate) fn remove(&mut self, group: &str) {
        self.groups.retain(|spec| spec.name != group);
        self.feed(Input::State(Event::GroupRemoved { group: group.to_owned() }));
    }

    fn name(&self, process: ProcessId) -> String {
        self.find(process).1
    }

    fn find(&self, process: ProcessId) -> (String, String) {
        let members = self.groups.iter().flat_map(|group| group.members.iter().map(move |member| (group, member)));
        let mut found = members.filter(|(_, member)| member.process == process);
        found.next().map(|(group, member)| (group.name.clone(), member.name.clone())).unwrap()
    }

    /// A change of state; the numbers in the payload are those of a first start, pid 1000 + process.
    pub(crate) fn state(&mut self, process: u64, to: ProcessState) {
        let id = ProcessId(process);
        let from = self.states.insert(id, to).unwrap_or(ProcessState::Stopped);
        let (group, name) = self.find(id);
        let pid = Some(pid(process));
        let (tries, expected) = (Some(0), Some(false));
        let beside = false;
        let state = Event::ProcessState { process: id, group, name, from, to, tries, pid, expected, beside };
        self.feed(Input::State(state));
    }

    /// A process is started and has a child.
    pub(crate) fn start(&mut self, process: u64) -> u64 {
        self.state(process, ProcessState::Starting);
        let child = self.next_child;
        self.next_child += 1;
        self.children.insert(child, (ProcessId(process), pid(process)));
        self.feed(Input::Born { process: ProcessId(process), child, pid: pid(process) });
        child
    }

    /// A process is started and stays up.
    pub(crate) fn run(&mut self, process: u64) -> u64 {
        let child = self.start(process);
        self.state(process, ProcessState::Running);
        child
    }

    /// A listener writes to its standard output.
    pub(crate) fn say(&mut self, child: u64, bytes: &[u8]) {
        let heard = self.heard.entry(child).or_default();
        let at = *heard;
        *heard += bytes.len() as u64;
        self.feed(Input::Output { child, channel: Channel::Stdout, at, bytes: bytes.to_vec() });
    }

    /// The process has exited and its last output is in.
    pub(crate) fn exit(&mut self, process: u64, child: u64) {
        self.state(process, ProcessState::Exited);
        self.gone(child);
    }

    pub(crate) fn gone(&mut self, child: u64) {
        self.children.remove(&child);
        self.feed(Input::Gone { child });
    }

    /// The child ends and is forgotten while no worker looks.
    pub(crate) fn forget(&mut self, child: u64) {
        self.children.remove(&child);
    }

    pub(crate) fn remote(&mut self, text: &str) {
        self.feed(Input::Remote { kind: "t".to_owned(), data: text.to_owned() });
    }

    /// Time passes on both clocks.
    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now.mono = self.now.mono + Duration::from_secs(seconds);
        self.now.wall += i64::try_from(seconds).unwrap();
        self.feed(Input::Deadline);
    }

    /// Everything that came out since the last question.
    pub(crate) fn trace(&mut self) -> Vec<String> {
        std::mem::take(&mut self.trace)
    }

    /// What listeners were sent since the last question, headers shortened: `listener serial/poolserial EVENT payload`.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        self.trace().iter().filter_map(|line| short(line.strip_prefix("write ")?)).collect()
    }

    /// What was logged since the last question, debug lines apart.
    pub(crate) fn logged(&mut self) -> Vec<String> {
        let quiet = |line: &String| !line.starts_with("DEBG") && !line.starts_with("write");
        self.trace().into_iter().filter(quiet).collect()
    }
}

fn short(line: &str) -> Option<String> {
    let (header, payload) = line.split_once('\n')?;
    let (listener, header) = header.split_once(" ver:3.0 server:supervisor ")?;
    let tokens: BTreeMap<&str, &str> = header.split(' ').filter_map(|token| token.split_once(':')).collect();
    assert_eq!(tokens["len"], payload.chars().count().to_string());
    Some(format!("{listener} {}/{} {} {payload}", tokens["serial"], tokens["poolserial"], tokens["eventname"]))
}

fn pid(process: u64) -> Pid {
    1000 + Pid::try_from(process).unwrap()
}
