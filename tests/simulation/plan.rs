//! What happens to a made-up world from outside: its groups, what clients ask, when worker and keeper die.
//!
//! A plan is made whole from its seed before the world starts, so that a failing one can be made smaller by
//! leaving things out.

use std::time::Duration;

use galaxyd::engine::{
    AutoRestart, Condition, Delay, GroupChange, GroupSpec, Kind, Limit, MemberSpec, OnEnd, Policy, ReadyRule, Restarts,
};

use crate::dice::Dice;

pub(crate) const GROUPS: u64 = 5;
pub(crate) const MEMBERS: u64 = 3;

/// Whom a request names, by place; a place may be empty when the time comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    One(u64, u64),
    Group(u64),
    All,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// `found_wanting`: the command of the first process meant was looked up and not found.
    Start {
        whom: Whom,
        wait: bool,
        found_wanting: bool,
    },
    Stop {
        whom: Whom,
        wait: bool,
    },
    StopOrdered(Whom),
    Retry {
        whom: Whom,
        wait: bool,
    },
    Signal {
        whom: Whom,
        signal: i32,
    },
    Await {
        whom: Whom,
        condition: Condition,
        within: Option<Duration>,
    },
    Add(GroupSpec),
    Remove(u64),
    Update {
        changes: Vec<GroupChange>,
        wait: bool,
    },
    AskShutdown,
    AskRestart,
    /// TERM to the daemon.
    Term,
    /// HUP to the daemon.
    Hup,
    /// The client of the oldest unanswered request goes away.
    HangUp,
    /// The wall clock is set.
    SetClock(i64),
}

/// Where in the worker's work somebody dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    BeforeDeciding,
    BeforeJournalling,
    /// After that many effects were performed.
    Performing(usize),
    AfterPerforming,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Worker,
    /// The worker goes on until it notices, and makes room for a successor under another keeper.
    Keeper,
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Death {
    /// In which of the worker's turns, counted over all workers.
    pub(crate) turn: u64,
    pub(crate) moment: Moment,
    pub(crate) victim: Victim,
    /// From there, or from the worker's leaving, to the next worker.
    pub(crate) downtime: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) groups: Vec<GroupSpec>,
    /// In order of time.
    pub(crate) actions: Vec<(Duration, Action)>,
    /// In order of turns.
    pub(crate) deaths: Vec<Death>,
    /// When the daemon is told to end, if nobody told it before.
    pub(crate) end: Duration,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let groups = (0..GROUPS).filter(|_| dice.chance(60)).collect::<Vec<_>>();
        let groups = groups.into_iter().map(|place| group(&mut dice, place)).collect();
        let count = dice.below(24);
        let actions = actions(&mut dice, count);
        let at = last(&actions);
        let mut deaths = Vec::new();
        if dice.chance(60) {
            let mut turn = 0;
            for _ in 0..=dice.below(5) {
                turn += dice.below(40);
                deaths.push(death(&mut dice, turn));
            }
        }
        let end = at + dice.millis(15_000);
        Plan { seed, groups, actions, deaths, end }
    }

    /// Every group from the beginning, many actions, no deaths: to be run again with a death at each step.
    pub(crate) fn long(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let groups = (0..GROUPS).map(|place| group(&mut dice, place)).collect();
        let actions = actions(&mut dice, 40);
        let end = last(&actions) + dice.millis(15_000);
        Plan { seed, groups, actions, deaths: Vec::new(), end }
    }
}

fn actions(dice: &mut Dice, count: u64) -> Vec<(Duration, Action)> {
    let mut at = Duration::ZERO;
    let next = |_| {
        at += match dice.below(4) {
            0 => Duration::ZERO,
            1 => dice.millis(30),
            2 => dice.millis(1000),
            _ => dice.millis(3000),
        };
        (at, action(dice))
    };
    (0..count).map(next).collect()
}

fn last(actions: &[(Duration, Action)]) -> Duration {
    actions.last().map_or(Duration::ZERO, |(at, _)| *at)
}

fn death(dice: &mut Dice, turn: u64) -> Death {
    let moment = match dice.below(8) {
        0 => Moment::BeforeDeciding,
        1 | 2 => Moment::BeforeJournalling,
        3 => Moment::AfterPerforming,
        _ => Moment::Performing(usize::try_from(dice.below(8)).unwrap_or(0)),
    };
    let downtime = if dice.chance(80) { dice.millis(100) } else { dice.millis(2500) };
    let victim = dice.pick(&[Victim::Worker, Victim::Worker, Victim::Keeper, Victim::Both]);
    Death { turn, moment, victim, downtime }
}

pub(crate) fn group_name(place: u64) -> String {
    format!("g{place}")
}

pub(crate) fn member_name(place: u64) -> String {
    format!("m{place}")
}

fn group(dice: &mut Dice, place: u64) -> GroupSpec {
    let count = if dice.chance(5) { 0 } else { 1 + dice.below(MEMBERS) };
    let members = (0..count).map(|place| MemberSpec { name: member_name(place), policy: policy(dice) }).collect();
    GroupSpec { name: group_name(place), priority: priority(dice), members, listens: dice.chance(20) }
}

fn priority(dice: &mut Dice) -> i64 {
    dice.pick(&[-1, 1, 2, 2, 999, 999])
}

fn policy(dice: &mut Dice) -> Policy {
    Policy {
        autostart: dice.chance(75),
        autorestart: dice.pick(&[AutoRestart::Never, AutoRestart::Unexpected, AutoRestart::Always]),
        startsecs: Duration::from_secs(dice.pick(&[0, 0, 1, 1, 2])),
        startretries: dice.pick(&[-1, 0, 1, 2, 3]),
        exitcodes: dice.pick(&[vec![0], vec![0, 2], vec![]]),
        stopsignal: dice.pick(&[15, 15, 2, 1]),
        stopwaitsecs: Duration::from_secs(dice.pick(&[0, 1, 1, 3])),
        stopasgroup: dice.chance(30),
        killasgroup: dice.chance(30),
        priority: priority(dice),
        kind: dice.pick(&[Kind::Service, Kind::Service, Kind::Service, Kind::Service, Kind::Oneshot, Kind::Forking]),
        killtree: dice.chance(30),
        restarts: restarts(dice),
        ready: dice.chance(40).then(|| ready(dice)),
    }
}

fn ready(dice: &mut Dice) -> ReadyRule {
    let timeout = Duration::from_millis(dice.pick(&[0, 500, 2000, 10_000]));
    ReadyRule { timeout, settle: Duration::from_millis(dice.pick(&[0, 0, 700])) }
}

fn restarts(dice: &mut Dice) -> Restarts {
    let delay = Delay {
        first: dice.pick(&[Duration::ZERO, Duration::from_millis(100), Duration::from_secs(1)]),
        factor: dice.pick(&[100, 200]),
        ceiling: Duration::from_secs(2),
        jitter: dice.pick(&[0, 50, 100]),
    };
    let limit = Limit { starts: dice.pick(&[1, 2, 3]), window: Duration::from_secs(dice.pick(&[2, 60])) };
    let mut on_end = || if dice.chance(3) { OnEnd::Shutdown } else { OnEnd::Ignore };
    let (on_fatal, on_exit) = (on_end(), on_end());
    let (delay, limit) = (dice.chance(25).then_some(delay), dice.chance(20).then_some(limit));
    Restarts { delay, limit, on_fatal, on_exit, ..Restarts::default() }
}

fn whom(dice: &mut Dice) -> Whom {
    match dice.below(10) {
        0 => Whom::All,
        1 | 2 => Whom::Group(dice.below(GROUPS)),
        _ => Whom::One(dice.below(GROUPS), dice.below(MEMBERS)),
    }
}

fn update(dice: &mut Dice) -> Action {
    let first = dice.below(GROUPS);
    let changes = (0..=dice.below(2)).map(|next| {
        let place = (first + next) % GROUPS;
        if dice.chance(15) {
            return GroupChange::Leave(group_name(place));
        }
        let spec = group(dice, place);
        let some = |dice: &mut Dice, percent| -> Vec<String> {
            (0..MEMBERS).map(member_name).filter(|_| dice.chance(percent)).collect()
        };
        GroupChange::Reshape { spec, renewed: some(dice, 40), restarted: some(dice, 10) }
    });
    Action::Update { changes: changes.collect(), wait: dice.chance(50) }
}

fn action(dice: &mut Dice) -> Action {
    match dice.below(52) {
        0..12 => Action::Start { whom: whom(dice), wait: dice.chance(60), found_wanting: dice.chance(8) },
        12..24 => Action::Stop { whom: whom(dice), wait: dice.chance(60) },
        24..28 => Action::Signal { whom: whom(dice), signal: dice.pick(&[1, 15, 10, 9, 0]) },
        28..31 => {
            let place = dice.below(GROUPS);
            Action::Add(group(dice, place))
        }
        31..34 => Action::Remove(dice.below(GROUPS)),
        34 => Action::SetClock(i64::try_from(dice.below(200_000)).unwrap_or(0) - 100_000),
        35 | 36 => Action::HangUp,
        40..46 => update(dice),
        46 => Action::StopOrdered(whom(dice)),
        48..52 => {
            let within = dice.chance(50).then(|| dice.millis(4000));
            Action::Await { whom: whom(dice), condition: dice.pick(&Condition::ALL), within }
        }
        47 => Action::Retry { whom: whom(dice), wait: dice.chance(50) },
        _ => match dice.below(8) {
            0 => Action::AskShutdown,
            1 => Action::AskRestart,
            2 => Action::Term,
            3 => Action::Hup,
            _ => Action::Start { whom: Whom::All, wait: dice.chance(50), found_wanting: false },
        },
    }
}
