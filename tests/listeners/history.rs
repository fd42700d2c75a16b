//! Random histories of a daemon with two pools and a program.

use galaxyd::engine::{Channel, ProcessState};
use galaxyd::events::{GroupSpec, Input, ListenerState};
use serde_json::{Value, json};

use crate::stage::{Stage, pool, program};

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A process that is down starts; one that starts is RUNNING; one that runs exits.
    Advance(usize),
    /// A listener that has a child writes.
    Say(usize, Vec<u8>),
    Log(String),
    Captured(String),
    Remote(String),
    Pass(u64),
}

/// A history: subscriptions and buffer sizes of the two pools, then what happens.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pools: [(Vec<&'static str>, usize); 2],
    pub(crate) steps: Vec<Step>,
}

/// The processes: three listeners in two pools, and a program.
const NAMES: [(&str, &str); 4] = [("one", "one_0"), ("one", "one_1"), ("two", "two"), ("cat", "cat")];

/// A small generator of numbers, the same everywhere (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// Subscriptions without overlaps: those deliver twice in the original.
const SUBSCRIPTIONS: [&[&str]; 6] = [
    &["EVENT"],
    &["PROCESS_STATE", "TICK"],
    &["REMOTE_COMMUNICATION"],
    &["PROCESS_LOG_STDOUT", "REMOTE_COMMUNICATION", "PROCESS_STATE_EXITED"],
    &["PROCESS_COMMUNICATION", "TICK_60", "PROCESS_STATE_STARTING", "PROCESS_STATE_RUNNING"],
    &["PROCESS_GROUP", "PROCESS_LOG", "TICK_5"],
];

const TEXTS: [&str; 5] = ["", "x", "héllo €", "two\nlines\n", "it's \"quoted\" \\"];

/// What is known of the four processes while a history is played.
#[derive(Default)]
struct Cast {
    children: [Option<u64>; 4],
    states: [Option<ProcessState>; 4],
}

impl History {
    /// Made while it is played, because what a listener says depends on what it was told.
    pub(crate) fn new(random: &mut Random) -> History {
        let mut pool = || (random.pick(&SUBSCRIPTIONS).to_vec(), 1 + random.below(6));
        let mut history = History { pools: [pool(), pool()], steps: Vec::new() };
        let mut stage = history.open();
        let mut cast = Cast::default();
        // What each listener still has to say of words it began.
        let mut rest: [Vec<u8>; 3] = Default::default();
        for _ in 0..80 {
            let step = match random.below(16) {
                0 => Step::Advance(random.below(4)),
                1 => Step::Advance(
                    cast.states.iter().position(|state| *state != Some(ProcessState::Running)).unwrap_or(0),
                ),
                2..=9 => {
                    let who = random.below(3);
                    if rest[who].is_empty() {
                        let views = stage.events.pools().flat_map(|pool| pool.listeners).collect::<Vec<_>>();
                        rest[who] = speech(random, views[who].state);
                    }
                    let cut = if random.below(3) == 0 { random.below(rest[who].len() + 1) } else { rest[who].len() };
                    let later = rest[who].split_off(cut);
                    Step::Say(who, std::mem::replace(&mut rest[who], later))
                }
                10..=11 => Step::Log(random.pick(&TEXTS[1..]).to_owned()),
                12 => Step::Captured(random.pick(&TEXTS).to_owned()),
                13..=14 => Step::Remote(random.pick(&TEXTS).to_owned()),
                _ => Step::Pass(1 + random.below(70) as u64),
            };
            play_step(&step, &mut stage, &mut cast);
            if let Step::Advance(who @ 0..3) = step
                && cast.children[who].is_none()
            {
                rest[who].clear();
            }
            history.steps.push(step);
        }
        history
    }

    fn open(&self) -> Stage {
        let mut stage = Stage::new();
        for group in self.groups() {
            stage.group(group);
        }
        stage
    }

    fn groups(&self) -> [GroupSpec; 3] {
        let [(first, first_size), (second, second_size)] = &self.pools;
        [
            pool("one", first, *first_size, &[(0, "one_0"), (1, "one_1")]),
            pool("two", second, *second_size, &[(2, "two")]),
            program("cat", 3),
        ]
    }

    /// The history as the original's side plays it.
    pub(crate) fn question(&self) -> Value {
        let steps = self.steps.iter().map(|step| match step {
            Step::Advance(who) => json!(["advance", who]),
            Step::Say(who, bytes) => json!(["say", who, bytes]),
            Step::Log(text) => json!(["log", text]),
            Step::Captured(text) => json!(["captured", text]),
            Step::Remote(text) => json!(["remote", text]),
            Step::Pass(seconds) => json!(["pass", seconds]),
        });
        let pools = self.pools.iter().map(|(events, buffer_size)| json!([events, buffer_size]));
        let steps = steps.collect::<Vec<_>>();
        json!({ "names": NAMES, "pools": pools.collect::<Vec<_>>(), "steps": steps, "start": crate::stage::START })
    }

    /// Plays it on our stage; `between` is called after each step.
    pub(crate) fn play(&self, mut between: impl FnMut(&mut Stage)) -> Stage {
        let mut stage = self.open();
        let mut cast = Cast::default();
        for step in &self.steps {
            play_step(step, &mut stage, &mut cast);
            between(&mut stage);
        }
        stage
    }
}

fn play_step(step: &Step, stage: &mut Stage, cast: &mut Cast) {
    match step {
        Step::Advance(who) => {
            let process = *who as u64;
            let next = match (cast.states[*who], cast.children[*who]) {
                (Some(ProcessState::Starting), _) => {
                    stage.state(process, ProcessState::Running);
                    ProcessState::Running
                }
                (Some(ProcessState::Running), Some(child)) => {
                    stage.exit(process, child);
                    cast.children[*who] = None;
                    ProcessState::Exited
                }
                _ => {
                    cast.children[*who] = Some(stage.start(process));
                    ProcessState::Starting
                }
            };
            cast.states[*who] = Some(next);
        }
        Step::Say(who, bytes) => {
            if let Some(child) = cast.children[*who].filter(|_| !bytes.is_empty()) {
                stage.say(child, bytes);
            }
        }
        Step::Log(text) => {
            if let Some(child) = cast.children[3] {
                let bytes = text.clone().into_bytes();
                stage.feed(Input::Output { child, channel: Channel::Stdout, at: 0, bytes });
            }
        }
        Step::Captured(text) => {
            if let Some(child) = cast.children[3] {
                let bytes = text.clone().into_bytes();
                stage.feed(Input::Captured { child, channel: Channel::Stderr, bytes });
            }
        }
        Step::Remote(text) => stage.remote(text),
        Step::Pass(seconds) => stage.pass(*seconds),
    }
}

/// What a listener in this state says: mostly what it should. Not among it: a result of no length and one below zero, where
/// ours differs on purpose.
fn speech(random: &mut Random, state: Option<ListenerState>) -> Vec<u8> {
    if random.below(25) == 0 {
        let nonsense: [&[u8]; 6] =
            [b"OK\n", "caf\u{e9} is no number\n".as_bytes(), b"\xff bad it's\n", b"R", b"\n", b"hello\n"];
        return random.pick(&nonsense).to_vec();
    }
    let said: &[&[u8]] = match state {
        None | Some(ListenerState::Acknowledged) => &[b"READY\n"],
        Some(ListenerState::Ready) => &[b""],
        Some(ListenerState::Busy) => &[
            b"RESULT 2\nOKREADY\n",
            b"RESULT 2\nOKREADY\n",
            b"RESULT 2\nOK",
            b"RESULT 4\nFAILREADY\n",
            b"RESULT 4\nFAIL",
            b"WHATEVR +1_0 \nno matterREADY\n",
        ],
        Some(ListenerState::Unknown) => &[b"READY\n", b"RESULT 2\nOK"],
    };
    random.pick(said).to_vec()
}

/// As many random histories as the environment asks for, with the seed they are from.
pub(crate) fn histories(default: usize) -> (u64, Vec<History>) {
    let (seed, cases) = crate::oracle::seed_and_cases(default);
    let mut random = Random(seed);
    (seed, (0..cases).map(|_| History::new(&mut random)).collect())
}
