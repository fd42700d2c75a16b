//! What keeper and worker say to each other, and the plans of what is executed.

use std::ffi::CString;

use galaxyd::engine::{Moment, Now};
use galaxyd::keeper::{FromKeeper, HeldProgram, MESSAGE_BYTES_MAX, Stage, ToKeeper};
use galaxyd::sys::plan::{ExecPlan, PlanBuffer, PlanMemory, PlanView, SoftLimit, User};

use crate::target::Target;

fn messages() -> Vec<Vec<u8>> {
    let at = Now { mono: Moment(std::time::Duration::from_millis(7)), wall: 1_000_000_000 };
    let program = HeldProgram {
        id: 7,
        tag: "web:web_0".to_owned(),
        pid: 12,
        started: at,
        last_signal: 15,
        has_stdin: true,
        has_stderr: false,
        ended: None,
        exec_failed: Some((Stage::Exec, 2)),
    };
    let to = [
        ToKeeper::Hello { version: 1 },
        ToKeeper::Spawn { id: 1, tag: "é".to_owned() },
        ToKeeper::Signal { id: 1, signal: 9, group: true },
        ToKeeper::Exit { code: 3 },
    ];
    let from = [
        FromKeeper::Welcome { version: 1, generation: 2, fresh: false },
        FromKeeper::Held { name: "journal".to_owned() },
        FromKeeper::Program(program),
        FromKeeper::Spawned { id: 1, pid: 2, at, has_stdin: true, has_stderr: true },
    ];
    let mut all: Vec<Vec<u8>> = Vec::new();
    for message in to {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).unwrap();
        all.push(bytes);
    }
    for message in from {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).unwrap();
        all.push(bytes);
    }
    all
}

/// There is one spelling of each message, and no message is the begin of another.
fn judge_message(input: &[u8]) {
    let mut written = Vec::new();
    if let Ok(message) = ToKeeper::decode(input) {
        message.encode(&mut written).unwrap();
        assert_eq!(written, input);
    }
    if let Ok(message) = FromKeeper::decode(input) {
        message.encode(&mut written).unwrap();
        assert_eq!(written, input);
        assert!(message.descriptors() <= 3);
    }
    if !written.is_empty() {
        assert!(written.len() <= MESSAGE_BYTES_MAX);
        let begin = &input[..input.len() - 1];
        assert!(ToKeeper::decode(begin).is_err() && FromKeeper::decode(begin).is_err());
    }
}

fn plans() -> Vec<Vec<u8>> {
    let text = |text: &str| CString::new(text).unwrap();
    let small = ExecPlan { path: text("/bin/cat"), argv: vec![text("cat")], ..ExecPlan::default() };
    let full = ExecPlan {
        environment: vec![text("A=1"), text("B=")],
        directory: Some(text("/srv")),
        umask: Some(0o22),
        user: User::Become { uid: 1, gid: 2, groups: vec![2, 3] },
        limits: vec![SoftLimit { resource: 7, soft: 1024 }],
        enters_cgroup: true,
        ..small.clone()
    };
    let unknown = ExecPlan { user: User::Unknown { uid: 9, reason: text("gone") }, ..small.clone() };
    let bytes = |plan: ExecPlan| PlanMemory::map(plan.encode().unwrap()).unwrap().bytes().to_vec();
    [small, full, unknown].map(bytes).to_vec()
}

/// A plan is one whole and exactly: neither its begin nor more than it is one. Its pointers stay within it.
fn judge_plan(input: &[u8]) {
    let mut buffer = PlanBuffer::default();
    let Some(view) = PlanView::decode(input, &mut buffer) else { return };
    let shown = format!("{:?}", (view.stdin, view.stderr, view.enters_cgroup));
    let again = PlanView::decode(input, &mut buffer).unwrap();
    assert_eq!(format!("{:?}", (again.stdin, again.stderr, again.enters_cgroup)), shown);
    assert!(PlanView::decode(&input[..input.len() - 1], &mut buffer).is_none());
    assert!(PlanView::decode(&[input, b"\0"].concat(), &mut buffer).is_none());
}

#[test]
fn messages_of_keeper_and_worker_have_one_spelling() {
    let words: &[&[u8]] = &[b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01", b"\x41", b"\x05\0\0\0", b"\xc3"];
    Target { name: "keeper", words, made: messages, oracle: judge_message }.feed();
}

#[test]
fn plans_are_read_whole_and_exactly() {
    let words: &[&[u8]] = &[b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\0\0\0", b"gxp2", b"\0", b"/bin/sh\0"];
    Target { name: "plan", words, made: plans, oracle: judge_plan }.feed();
}
