//! Keeper's messages as bytes: a header, then the fields in order.
//!
//! `kind: u8`, `length: u32` of the whole message, then fields. Integers are little-endian, a
//! truth is one byte of 0 or 1, a text is its `u16` length and UTF-8. Every byte is checked: what
//! is not exactly one message is an error, and no input makes this panic or allocate more than
//! its own length. Kinds and the fields of `Hello` and `Welcome` never change, so that two
//! versions can always tell each other who they are.

use std::time::Duration;

use super::protocol::{Ended, FromKeeper, HeldProgram, Stage, ToKeeper};
use crate::engine::{Exit, Moment, Now};

/// No message is longer, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// No tag and no name is longer, in bytes.
pub const TEXT_BYTES_MAX: usize = 15 * 1024;

const HEADER_BYTES: usize = 5;

/// Why bytes are not a message, or a message cannot become bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("the message ends in the middle of a field")]
    Truncated,
    #[error("the header says {stated} bytes, the message has {found}")]
    Length { stated: u32, found: usize },
    #[error("unknown message kind {0}")]
    Kind(u8),
    #[error("byte {found} where {wanted} was expected")]
    Value { wanted: &'static str, found: u8 },
    #[error("{0} nanoseconds are more than a second")]
    Nanoseconds(u32),
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("a text of {0} bytes is too long")]
    TooLong(usize),
    #[error("{0} bytes follow the last field")]
    Trailing(usize),
}

impl ToKeeper {
    /// Replaces the contents of `bytes` by this message.
    ///
    /// # Errors
    ///
    /// [`CodecError::TooLong`] if a text is longer than [`TEXT_BYTES_MAX`].
    pub fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut writer = Writer::new(bytes);
        match self {
            Self::Hello { version } => writer.kind(1).u32(*version),
            Self::Spawn { id, tag } => writer.kind(2).u64(*id).text(tag)?,
            Self::Signal { id, signal, group } => writer.kind(3).u64(*id).i32(*signal).truth(*group),
            Self::Forget { id } => writer.kind(4).u64(*id),
            Self::Hold { name } => writer.kind(5).text(name)?,
            Self::Release { name } => writer.kind(6).text(name)?,
            Self::SignalTaken { signal } => writer.kind(7).i32(*signal),
            Self::Ready => writer.kind(8),
            Self::StartAfresh => writer.kind(9),
            Self::Exit { code } => writer.kind(10).u8(*code),
            Self::Upgrade => writer.kind(13),
            Self::Announce { lines } => writer.kind(11).text(lines)?,
            Self::Turns => writer.kind(12),
            Self::Follow { id, pid, start } => writer.kind(14).u64(*id).i32(*pid).u64(*start),
        };
        writer.finish();
        Ok(())
    }

    /// Reads one message.
    ///
    /// # Errors
    ///
    /// [`CodecError`], unless `bytes` is exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let (kind, mut reader) = Reader::open(bytes)?;
        let message = match kind {
            1 => Self::Hello { version: reader.u32()? },
            2 => Self::Spawn { id: reader.u64()?, tag: reader.text()? },
            3 => Self::Signal { id: reader.u64()?, signal: reader.i32()?, group: reader.truth()? },
            4 => Self::Forget { id: reader.u64()? },
            5 => Self::Hold { name: reader.text()? },
            6 => Self::Release { name: reader.text()? },
            7 => Self::SignalTaken { signal: reader.i32()? },
            8 => Self::Ready,
            9 => Self::StartAfresh,
            10 => Self::Exit { code: reader.u8()? },
            13 => Self::Upgrade,
            11 => Self::Announce { lines: reader.text()? },
            12 => Self::Turns,
            14 => Self::Follow { id: reader.u64()?, pid: reader.i32()?, start: reader.u64()? },
            other => return Err(CodecError::Kind(other)),
        };
        reader.finish()?;
        Ok(message)
    }
}

impl FromKeeper {
    /// Replaces the contents of `bytes` by this message.
    ///
    /// # Errors
    ///
    /// [`CodecError::TooLong`] if a text is longer than [`TEXT_BYTES_MAX`].
    pub fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut writer = Writer::new(bytes);
        match self {
            Self::Welcome { version, generation, fresh } => {
                writer.kind(65).u32(*version).u64(*generation).truth(*fresh)
            }
            Self::Held { name } => writer.kind(66).text(name)?,
            Self::Program(program) => writer.kind(67).program(program)?,
            Self::InventoryEnd => writer.kind(68),
            Self::Spawned { id, pid, at, has_stdin, has_stderr } => {
                writer.kind(69).u64(*id).i32(*pid).now(*at).truth(*has_stdin).truth(*has_stderr)
            }
            Self::SpawnFailed { id, forking, errno } => writer.kind(70).u64(*id).truth(*forking).i32(*errno),
            Self::ExecFailed { id, stage, errno } => writer.kind(71).u64(*id).u8(*stage as u8).i32(*errno),
            Self::Exited { id, ended } => writer.kind(72).u64(*id).ended(*ended),
            Self::Signalled { id, signal, errno } => writer.kind(73).u64(*id).i32(*signal).i32(*errno),
            Self::Signal { signal, pid, uid } => writer.kind(74).i32(*signal).i32(*pid).u32(*uid),
            Self::OrphanReaped { pid, exit } => writer.kind(75).i32(*pid).exit(*exit),
            Self::NotGrouped { id, errno } => writer.kind(76).u64(*id).i32(*errno),
            Self::Unrecorded { errno } => writer.kind(77).i32(*errno),
            Self::Turning => writer.kind(78),
            Self::Stopped { id, signal, at } => writer.kind(79).u64(*id).i32(*signal).now(*at),
            Self::Followed { id, pid, errno } => writer.kind(80).u64(*id).i32(*pid).i32(*errno),
        };
        writer.finish();
        Ok(())
    }

    /// Reads one message.
    ///
    /// # Errors
    ///
    /// [`CodecError`], unless `bytes` is exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let (kind, mut reader) = Reader::open(bytes)?;
        let message = match kind {
            65 => Self::Welcome { version: reader.u32()?, generation: reader.u64()?, fresh: reader.truth()? },
            66 => Self::Held { name: reader.text()? },
            67 => Self::Program(reader.program()?),
            68 => Self::InventoryEnd,
            69 => Self::Spawned {
                id: reader.u64()?,
                pid: reader.i32()?,
                at: reader.now()?,
                has_stdin: reader.truth()?,
                has_stderr: reader.truth()?,
            },
            70 => Self::SpawnFailed { id: reader.u64()?, forking: reader.truth()?, errno: reader.i32()? },
            71 => Self::ExecFailed { id: reader.u64()?, stage: reader.stage()?, errno: reader.i32()? },
            72 => Self::Exited { id: reader.u64()?, ended: reader.ended()? },
            73 => Self::Signalled { id: reader.u64()?, signal: reader.i32()?, errno: reader.i32()? },
            74 => Self::Signal { signal: reader.i32()?, pid: reader.i32()?, uid: reader.u32()? },
            75 => Self::OrphanReaped { pid: reader.i32()?, exit: reader.exit()? },
            76 => Self::NotGrouped { id: reader.u64()?, errno: reader.i32()? },
            77 => Self::Unrecorded { errno: reader.i32()? },
            78 => Self::Turning,
            80 => Self::Followed { id: reader.u64()?, pid: reader.i32()?, errno: reader.i32()? },
            79 => Self::Stopped { id: reader.u64()?, signal: reader.i32()?, at: reader.now()? },
            other => return Err(CodecError::Kind(other)),
        };
        reader.finish()?;
        Ok(message)
    }
}

pub(super) struct Writer<'a>(&'a mut Vec<u8>);

impl<'a> Writer<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        bytes.clear();
        Self(bytes)
    }

    /// The header; its length is filled in by `finish`.
    fn kind(&mut self, kind: u8) -> &mut Self {
        self.u8(kind).u32(0)
    }

    fn finish(&mut self) {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX).to_le_bytes();
        if let Some(field) = self.0.get_mut(1..HEADER_BYTES) {
            field.copy_from_slice(&length);
        }
    }

    fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(super) fn truth(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn text(&mut self, text: &str) -> Result<&mut Self, CodecError> {
        match u16::try_from(text.len()) {
            Ok(length) if text.len() <= TEXT_BYTES_MAX => {
                self.0.extend_from_slice(&length.to_le_bytes());
                self.0.extend_from_slice(text.as_bytes());
                Ok(self)
            }
            _ => Err(CodecError::TooLong(text.len())),
        }
    }

    fn now(&mut self, now: Now) -> &mut Self {
        self.u64(now.mono.0.as_secs()).u32(now.mono.0.subsec_nanos());
        self.0.extend_from_slice(&now.wall.to_le_bytes());
        self
    }

    fn exit(&mut self, exit: Exit) -> &mut Self {
        match exit {
            Exit::Code(code) => self.u8(0).i32(code),
            Exit::Signal { number, core_dumped: false } => self.u8(1).i32(number),
            Exit::Signal { number, core_dumped: true } => self.u8(2).i32(number),
            // The keeper knows the signal only; the worker finds out what it meant.
            Exit::OutOfMemory { .. } => self.u8(1).i32(libc::SIGKILL),
            Exit::Unknown => self.u8(3),
        }
    }

    fn ended(&mut self, ended: Ended) -> &mut Self {
        self.exit(ended.exit).now(ended.at)
    }

    pub(super) fn program(&mut self, program: &HeldProgram) -> Result<&mut Self, CodecError> {
        self.u64(program.id).text(&program.tag)?.i32(program.pid).now(program.started).i32(program.last_signal);
        self.truth(program.has_stdin).truth(program.has_stderr);
        match program.ended {
            None => self.truth(false),
            Some(ended) => self.truth(true).ended(ended),
        };
        match program.exec_failed {
            None => self.truth(false),
            Some((stage, errno)) => self.truth(true).u8(stage as u8).i32(errno),
        };
        Ok(self)
    }
}

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8]) -> Result<(u8, Self), CodecError> {
        let mut reader = Self(bytes);
        let kind = reader.u8()?;
        let stated = reader.u32()?;
        if usize::try_from(stated) != Ok(bytes.len()) {
            return Err(CodecError::Length { stated, found: bytes.len() });
        }
        Ok((kind, reader))
    }

    pub(super) fn finish(&self) -> Result<(), CodecError> {
        if self.0.is_empty() { Ok(()) } else { Err(CodecError::Trailing(self.0.len())) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CodecError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(CodecError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, CodecError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn truth(&mut self) -> Result<bool, CodecError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(CodecError::Value { wanted: "0 or 1", found }),
        }
    }

    pub(super) fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32, CodecError> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Result<String, CodecError> {
        let length = usize::from(self.array().map(u16::from_le_bytes)?);
        if length > TEXT_BYTES_MAX {
            return Err(CodecError::TooLong(length));
        }
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| CodecError::NotUtf8)
    }

    fn now(&mut self) -> Result<Now, CodecError> {
        let seconds = self.u64()?;
        let nanoseconds = self.u32()?;
        if nanoseconds >= 1_000_000_000 {
            return Err(CodecError::Nanoseconds(nanoseconds));
        }
        let wall = self.array().map(i64::from_le_bytes)?;
        Ok(Now { mono: Moment(Duration::new(seconds, nanoseconds)), wall })
    }

    fn exit(&mut self) -> Result<Exit, CodecError> {
        match self.u8()? {
            0 => Ok(Exit::Code(self.i32()?)),
            1 => Ok(Exit::Signal { number: self.i32()?, core_dumped: false }),
            2 => Ok(Exit::Signal { number: self.i32()?, core_dumped: true }),
            3 => Ok(Exit::Unknown),
            found => Err(CodecError::Value { wanted: "a kind of exit", found }),
        }
    }

    fn ended(&mut self) -> Result<Ended, CodecError> {
        Ok(Ended { exit: self.exit()?, at: self.now()? })
    }

    fn stage(&mut self) -> Result<Stage, CodecError> {
        let found = self.u8()?;
        Stage::from_number(found).ok_or(CodecError::Value { wanted: "a stage", found })
    }

    pub(super) fn program(&mut self) -> Result<HeldProgram, CodecError> {
        Ok(HeldProgram {
            id: self.u64()?,
            tag: self.text()?,
            pid: self.i32()?,
            started: self.now()?,
            last_signal: self.i32()?,
            has_stdin: self.truth()?,
            has_stderr: self.truth()?,
            ended: if self.truth()? { Some(self.ended()?) } else { None },
            exec_failed: if self.truth()? { Some((self.stage()?, self.i32()?)) } else { None },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn now() -> impl Strategy<Value = Now> {
        (any::<u64>(), 0..1_000_000_000u32, any::<i64>())
            .prop_map(|(seconds, nanoseconds, wall)| Now { mono: Moment(Duration::new(seconds, nanoseconds)), wall })
    }

    fn exit() -> impl Strategy<Value = Exit> {
        prop_oneof![
            any::<i32>().prop_map(Exit::Code),
            any::<(i32, bool)>().prop_map(|(number, core_dumped)| Exit::Signal { number, core_dumped }),
            Just(Exit::Unknown),
        ]
    }

    fn ended() -> impl Strategy<Value = Ended> {
        (exit(), now()).prop_map(|(exit, at)| Ended { exit, at })
    }

    fn stage() -> impl Strategy<Value = Stage> {
        (1..=6u8).prop_map(|number| Stage::from_number(number).unwrap())
    }

    fn to_keeper() -> impl Strategy<Value = ToKeeper> {
        prop_oneof![
            any::<u32>().prop_map(|version| ToKeeper::Hello { version }),
            any::<(u64, String)>().prop_map(|(id, tag)| ToKeeper::Spawn { id, tag }),
            any::<(u64, i32, bool)>().prop_map(|(id, signal, group)| ToKeeper::Signal { id, signal, group }),
            any::<u64>().prop_map(|id| ToKeeper::Forget { id }),
            any::<String>().prop_map(|name| ToKeeper::Hold { name }),
            any::<String>().prop_map(|name| ToKeeper::Release { name }),
            any::<i32>().prop_map(|signal| ToKeeper::SignalTaken { signal }),
            Just(ToKeeper::Ready),
            Just(ToKeeper::StartAfresh),
            any::<u8>().prop_map(|code| ToKeeper::Exit { code }),
            any::<String>().prop_map(|lines| ToKeeper::Announce { lines }),
            Just(ToKeeper::Turns),
            any::<(u64, i32, u64)>().prop_map(|(id, pid, start)| ToKeeper::Follow { id, pid, start }),
        ]
    }

    fn program() -> impl Strategy<Value = FromKeeper> {
        let identity = any::<(u64, String, i32, i32, bool, bool)>();
        (identity, now(), option::of(ended()), option::of((stage(), any::<i32>()))).prop_map(
            |((id, tag, pid, last_signal, has_stdin, has_stderr), started, ended, exec_failed)| {
                FromKeeper::Program(HeldProgram {
                    id,
                    tag,
                    pid,
                    started,
                    last_signal,
                    has_stdin,
                    has_stderr,
                    ended,
                    exec_failed,
                })
            },
        )
    }

    fn from_keeper() -> impl Strategy<Value = FromKeeper> {
        prop_oneof![
            any::<(u32, u64, bool)>().prop_map(|(version, generation, fresh)| FromKeeper::Welcome {
                version,
                generation,
                fresh
            }),
            any::<String>().prop_map(|name| FromKeeper::Held { name }),
            program(),
            Just(FromKeeper::InventoryEnd),
            (any::<(u64, i32, bool, bool)>(), now()).prop_map(|((id, pid, has_stdin, has_stderr), at)| {
                FromKeeper::Spawned { id, pid, at, has_stdin, has_stderr }
            }),
            any::<(u64, bool, i32)>().prop_map(|(id, forking, errno)| FromKeeper::SpawnFailed { id, forking, errno }),
            (any::<(u64, i32)>(), stage()).prop_map(|((id, errno), stage)| FromKeeper::ExecFailed { id, stage, errno }),
            (any::<u64>(), ended()).prop_map(|(id, ended)| FromKeeper::Exited { id, ended }),
            any::<(u64, i32, i32)>().prop_map(|(id, signal, errno)| FromKeeper::Signalled { id, signal, errno }),
            any::<(u64, i32, i32)>().prop_map(|(id, pid, errno)| FromKeeper::Followed { id, pid, errno }),
            any::<(i32, i32, u32)>().prop_map(|(signal, pid, uid)| FromKeeper::Signal { signal, pid, uid }),
            (any::<i32>(), exit()).prop_map(|(pid, exit)| FromKeeper::OrphanReaped { pid, exit }),
            any::<(u64, i32)>().prop_map(|(id, errno)| FromKeeper::NotGrouped { id, errno }),
            (any::<u64>(), any::<i32>(), now()).prop_map(|(id, signal, at)| FromKeeper::Stopped { id, signal, at }),
        ]
    }

    proptest! {
        #[test]
        fn what_the_worker_says_is_what_the_keeper_hears(message in to_keeper()) {
            let mut bytes = Vec::new();
            message.encode(&mut bytes).unwrap();
            prop_assert!(bytes.len() <= MESSAGE_BYTES_MAX);
            prop_assert_eq!(ToKeeper::decode(&bytes), Ok(message));
            for length in 0..bytes.len() {
                prop_assert!(ToKeeper::decode(&bytes[..length]).is_err());
            }
        }

        #[test]
        fn what_the_keeper_says_is_what_the_worker_hears(message in from_keeper()) {
            let mut bytes = Vec::new();
            message.encode(&mut bytes).unwrap();
            prop_assert!(bytes.len() <= MESSAGE_BYTES_MAX);
            prop_assert_eq!(FromKeeper::decode(&bytes), Ok(message));
            bytes.push(0);
            prop_assert!(FromKeeper::decode(&bytes).is_err());
        }

        /// A valid message with some of its bytes changed exercises the fields' own checks.
        #[test]
        fn damaged_messages_are_errors_or_other_messages(
            message in from_keeper(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = Vec::new();
            message.encode(&mut bytes).unwrap();
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Ok(read) = FromKeeper::decode(&bytes) {
                let mut again = Vec::new();
                read.encode(&mut again).unwrap();
                prop_assert_eq!(again, bytes);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..96), kind in 0..81u8) {
            let _ = (ToKeeper::decode(&bytes), FromKeeper::decode(&bytes));
            // With a true header the fields are reached as well.
            if bytes.len() >= HEADER_BYTES {
                let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
                bytes[0] = kind;
                bytes[1..HEADER_BYTES].copy_from_slice(&length);
                let _ = (ToKeeper::decode(&bytes), FromKeeper::decode(&bytes));
            }
        }
    }

    #[test]
    fn texts_have_a_limit() {
        let mut bytes = Vec::new();
        let fits = "x".repeat(TEXT_BYTES_MAX);
        ToKeeper::Spawn { id: 1, tag: fits.clone() }.encode(&mut bytes).unwrap();
        assert!(bytes.len() <= MESSAGE_BYTES_MAX);
        let error = ToKeeper::Hold { name: fits + "x" }.encode(&mut bytes).unwrap_err();
        assert_eq!(error, CodecError::TooLong(TEXT_BYTES_MAX + 1));
    }
}
