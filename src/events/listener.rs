//! The protocol that one listener process speaks on its standard output.
//!
//! Pure bytes in, words out; which event the listener has in hand is the pool's business.

use serde::{Deserialize, Serialize};

/// Supervisor's states of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ListenerState {
    /// It owes us a READY.
    Acknowledged,
    /// It waits for an event.
    Ready,
    /// It owes us a RESULT.
    Busy,
    /// It broke the protocol; only a new process gets out of here.
    Unknown,
}

impl ListenerState {
    /// As the log spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ListenerState::Acknowledged => "ACKNOWLEDGED",
            ListenerState::Ready => "READY",
            ListenerState::Busy => "BUSY",
            ListenerState::Unknown => "UNKNOWN",
        }
    }
}

/// What a listener said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// ACKNOWLEDGED -> READY.
    Ready,
    /// BUSY -> ACKNOWLEDGED: the event is done with.
    Processed,
    /// BUSY -> ACKNOWLEDGED: the event is to be sent again.
    Rejected,
    /// BUSY -> UNKNOWN: this line should have been a result; the event is to be sent again.
    BadResult(Vec<u8>),
    /// To UNKNOWN, by bytes that have no place in this state.
    Violation { from: ListenerState },
}

/// What a listener says when it wants an event.
const READY: &[u8] = b"READY\n";

/// Of the result line these many bytes are skipped without a look: `RESULT `. Supervisor does not compare them.
const RESULT_BYTES: usize = 7;

/// The one result that means the event is done with.
const OK: &[u8] = b"OK";

/// A result line longer than this is a bad one. Supervisor keeps what comes until a line feed does, without bound.
pub(super) const RESULT_LINE_BYTES_MAX: usize = 65_536;

/// One listener process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listener {
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// With the first bytes of what may become a READY, fewer than it has.
    Acknowledged(Vec<u8>),
    Ready,
    /// With the result line so far.
    ResultLine(Vec<u8>),
    /// The result's body. Nothing of it is kept but whether it can still be `OK`: any other text means the same.
    ResultBody {
        wanted: u64,
        got: u64,
        ok: bool,
    },
    Unknown,
}

impl Listener {
    /// A process that has said nothing yet.
    pub(super) fn new() -> Listener {
        Listener { stage: Stage::Acknowledged(Vec::new()) }
    }

    pub(super) fn state(&self) -> ListenerState {
        match self.stage {
            Stage::Acknowledged(_) => ListenerState::Acknowledged,
            Stage::Ready => ListenerState::Ready,
            Stage::ResultLine(_) | Stage::ResultBody { .. } => ListenerState::Busy,
            Stage::Unknown => ListenerState::Unknown,
        }
    }

    /// An event was sent to it. Meant for a READY listener.
    pub(super) fn sent(&mut self) {
        debug_assert_eq!(self.state(), ListenerState::Ready, "an event for a listener that asked for none");
        self.stage = Stage::ResultLine(Vec::new());
    }

    /// The event did not reach it: it is READY as before.
    pub(super) fn unsent(&mut self) {
        self.stage = Stage::Ready;
    }

    /// Takes in what it wrote. How the bytes are cut into pieces makes no difference.
    ///
    /// Differs: Supervisor notices that an empty result (`RESULT 0`) is complete only when more bytes come, and falls over
    /// its own feet at a negative length, which is a bad result here.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() && self.stage != Stage::Unknown {
            rest = match &mut self.stage {
                Stage::Acknowledged(_) => self.hear_token(rest, &mut heard),
                Stage::Ready => {
                    self.stage = Stage::Unknown;
                    heard.push(Heard::Violation { from: ListenerState::Ready });
                    break;
                }
                Stage::ResultLine(_) => self.hear_line(rest, &mut heard),
                Stage::ResultBody { .. } => self.hear_body(rest, &mut heard),
                Stage::Unknown => break,
            };
        }
        heard
    }

    /// Nothing is said about bytes before there are as many as the token has.
    fn hear_token<'a>(&mut self, bytes: &'a [u8], heard: &mut Vec<Heard>) -> &'a [u8] {
        let Stage::Acknowledged(token) = &mut self.stage else { return bytes };
        let missing = READY.len().saturating_sub(token.len());
        let (more, rest) = bytes.split_at(missing.min(bytes.len()));
        token.extend_from_slice(more);
        if token.len() == READY.len() {
            if token == READY {
                self.stage = Stage::Ready;
                heard.push(Heard::Ready);
            } else {
                self.stage = Stage::Unknown;
                heard.push(Heard::Violation { from: ListenerState::Acknowledged });
            }
        }
        rest
    }

    fn hear_line<'a>(&mut self, bytes: &'a [u8], heard: &mut Vec<Heard>) -> &'a [u8] {
        let Stage::ResultLine(line) = &mut self.stage else { return bytes };
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let room = RESULT_LINE_BYTES_MAX.saturating_sub(line.len());
        let (more, rest) = bytes.split_at(end.unwrap_or(bytes.len()).min(room));
        line.extend_from_slice(more);
        // What follows the line is its line feed, or one byte too many.
        let Some((&next, after)) = rest.split_first() else { return rest };
        let length = if next == b'\n' { line.get(RESULT_BYTES..).and_then(length) } else { None };
        if let Some(wanted) = length {
            self.stage = Stage::ResultBody { wanted, got: 0, ok: true };
            self.judge(heard);
        } else {
            heard.push(Heard::BadResult(std::mem::take(line)));
            self.stage = Stage::Unknown;
        }
        after
    }

    fn hear_body<'a>(&mut self, bytes: &'a [u8], heard: &mut Vec<Heard>) -> &'a [u8] {
        let Stage::ResultBody { wanted, got, ok } = &mut self.stage else { return bytes };
        let missing = usize::try_from(wanted.saturating_sub(*got)).unwrap_or(usize::MAX);
        let (more, rest) = bytes.split_at(missing.min(bytes.len()));
        let at = usize::try_from(*got).unwrap_or(usize::MAX);
        *ok = *ok && OK.get(at..).is_some_and(|expected| expected.starts_with(more));
        *got = got.saturating_add(more.len() as u64);
        self.judge(heard);
        rest
    }

    /// Once the body is complete it is a verdict.
    fn judge(&mut self, heard: &mut Vec<Heard>) {
        let Stage::ResultBody { wanted, got, ok } = self.stage else { return };
        if got < wanted {
            return;
        }
        heard.push(if ok && wanted == OK.len() as u64 { Heard::Processed } else { Heard::Rejected });
        self.stage = Stage::Acknowledged(Vec::new());
    }
}

/// A whole number as Python's `int` reads it from bytes, not below zero; one beyond `u64` is as good as its largest.
fn length(text: &[u8]) -> Option<u64> {
    /// Python refuses longer ones.
    const DIGITS_MAX: usize = 4300;
    let is_space = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b;
    let start = text.iter().position(|&byte| !is_space(byte))?;
    let end = text.iter().rposition(|&byte| !is_space(byte))? + 1;
    let text = text.get(start..end)?;
    let (negative, digits) = match text.split_first()? {
        (b'-', digits) => (true, digits),
        (b'+', digits) => (false, digits),
        _ => (false, text),
    };
    let (mut number, mut count, mut after_digit) = (0_u64, 0_usize, false);
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                number = number.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                (count, after_digit) = (count + 1, true);
            }
            b'_' if after_digit => after_digit = false,
            _ => return None,
        }
    }
    (after_digit && count <= DIGITS_MAX && !(negative && number > 0)).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is heard when a busy listener says this, and the state it is in then.
    fn check(said: &[u8], expected: &[Heard], state: ListenerState) {
        let mut listener = busy();
        assert_eq!(listener.hear(said), expected, "{:?}", String::from_utf8_lossy(said));
        assert_eq!(listener.state(), state, "{:?}", String::from_utf8_lossy(said));
    }

    fn busy() -> Listener {
        let mut listener = Listener::new();
        assert_eq!(listener.hear(b"READY\n"), [Heard::Ready]);
        listener.sent();
        listener
    }

    fn bad(line: &[u8]) -> [Heard; 1] {
        [Heard::BadResult(line.to_vec())]
    }

    #[test]
    fn a_new_listener_is_acknowledged_until_it_says_ready() {
        for (said, heard, state) in [
            (b"".as_slice(), vec![], ListenerState::Acknowledged),
            (b"READY", vec![], ListenerState::Acknowledged),
            (b"hello", vec![], ListenerState::Acknowledged),
            (b"READY\n", vec![Heard::Ready], ListenerState::Ready),
            (b"hello\n", vec![Heard::Violation { from: ListenerState::Acknowledged }], ListenerState::Unknown),
            (b"ready\n", vec![Heard::Violation { from: ListenerState::Acknowledged }], ListenerState::Unknown),
            (b"\nREADY\n", vec![Heard::Violation { from: ListenerState::Acknowledged }], ListenerState::Unknown),
            (b"READY\nx", vec![Heard::Ready, Heard::Violation { from: ListenerState::Ready }], ListenerState::Unknown),
            (
                b"READY\nREADY\n",
                vec![Heard::Ready, Heard::Violation { from: ListenerState::Ready }],
                ListenerState::Unknown,
            ),
        ] {
            let mut listener = Listener::new();
            assert_eq!(listener.hear(said), heard, "{:?}", String::from_utf8_lossy(said));
            assert_eq!(listener.state(), state, "{:?}", String::from_utf8_lossy(said));
        }
    }

    #[test]
    fn results_are_judged() {
        use ListenerState::{Acknowledged, Busy, Ready, Unknown};
        check(b"RESULT 2\n", &[], Busy);
        check(b"RESULT 2\nO", &[], Busy);
        check(b"RESULT 2\nOK", &[Heard::Processed], Acknowledged);
        check(b"RESULT 2\nOKREADY\n", &[Heard::Processed, Heard::Ready], Ready);
        check(b"RESULT 2\nOKREADY\nx", &[Heard::Processed, Heard::Ready, Heard::Violation { from: Ready }], Unknown);
        check(b"RESULT 2\nOK\n", &[Heard::Processed], Acknowledged);
        check(b"RESULT 2\nOK\nREADY\n", &[Heard::Processed, Heard::Violation { from: Acknowledged }], Unknown);
        check(b"RESULT 4\nFAILREADY\n", &[Heard::Rejected, Heard::Ready], Ready);
        check(b"RESULT 2\nok", &[Heard::Rejected], Acknowledged);
        check(b"RESULT 3\nOK\n", &[Heard::Rejected], Acknowledged);
        check(b"RESULT 1\nO", &[Heard::Rejected], Acknowledged);
        check(b"RESULT 0\n", &[Heard::Rejected], Acknowledged);
        check(b"RESULT 0\nREADY\n", &[Heard::Rejected, Heard::Ready], Ready);
    }

    #[test]
    fn of_a_result_line_only_the_length_counts() {
        use ListenerState::{Acknowledged, Busy, Unknown};
        check(b"FOOBAR 2\nOK", &[Heard::Processed], Acknowledged);
        check(b"RESULT\x002\nOK", &[Heard::Processed], Acknowledged);
        check(b"RESULT  +0_2 \r\nOK", &[Heard::Processed], Acknowledged);
        check(b"RESULT -0\n", &[Heard::Rejected], Acknowledged);
        check(b"RESULT 99999999999999999999999\nOK", &[], Busy);
        for line in [
            b"OK".as_slice(),
            b"",
            b"RESULT",
            b"RESULT ",
            b"RESULT two",
            b"RESULT 2x",
            b"RESULT 1__2",
            b"RESULT _2",
            b"RESULT 2_",
            b"RESULT + 2",
            b"RESULT 2.0",
            b"RESULT -2",
            b"RESULT \xd9\xa2",
            b"RESULT 2\0",
        ] {
            check(&[line, b"\n"].concat(), &bad(line), Unknown);
        }
    }

    #[test]
    fn a_line_without_end_is_a_bad_one() {
        let mut listener = busy();
        let long = vec![b'0'; RESULT_LINE_BYTES_MAX];
        assert_eq!(listener.hear(&long), []);
        assert_eq!(listener.hear(b"0"), bad(&long));
        assert_eq!(listener.state(), ListenerState::Unknown);
        // The longest line that fits.
        let mut line = b"RESULT ".to_vec();
        line.resize(RESULT_LINE_BYTES_MAX, b' ');
        line[7] = b'0';
        line.push(b'\n');
        check(&line, &[Heard::Rejected], ListenerState::Acknowledged);
    }

    #[test]
    fn who_broke_the_protocol_is_not_heard_any_more() {
        let mut listener = busy();
        assert_eq!(listener.hear(b"OK\nREADY\n"), bad(b"OK"));
        assert_eq!(listener.hear(b"READY\n"), []);
        assert_eq!(listener.state(), ListenerState::Unknown);
    }

    #[test]
    fn an_event_that_did_not_go_out_leaves_a_listener_ready() {
        let mut listener = busy();
        listener.unsent();
        assert_eq!(listener.state(), ListenerState::Ready);
    }

    /// Speaks as a listener does, or nearly; an event is sent whenever it is ready.
    fn speech() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            5 => Just(b"READY\n".to_vec()),
            5 => Just(b"RESULT 2\nOK".to_vec()),
            2 => Just(b"RESULT 4\nFAIL".to_vec()),
            1 => Just(b"RESULT 0\n".to_vec()),
            1 => Just(b"RESULT -1\n".to_vec()),
            1 => Just(b"OK\n".to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(word, 0..8).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(said in speech(), cuts in prop::collection::vec(0_usize..80, 0..12)) {
            let mut whole = busy();
            let expected = whole.hear(&said);
            let mut cut = busy();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(said.len())).collect();
            cuts.extend([0, said.len()]);
            cuts.sort_unstable();
            let heard: Vec<Heard> = cuts.windows(2).flat_map(|pair| cut.hear(&said[pair[0]..pair[1]])).collect();
            prop_assert_eq!(heard, expected);
            prop_assert_eq!(cut, whole);
        }

        #[test]
        fn a_listener_survives_a_journal(said in speech()) {
            let mut listener = busy();
            listener.hear(&said);
            let text = serde_json::to_string(&listener).unwrap();
            prop_assert_eq!(serde_json::from_str::<Listener>(&text).unwrap(), listener);
        }
    }
}
