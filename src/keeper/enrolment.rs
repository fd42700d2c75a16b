//! The keeper's side of the roll: read at the beginning, kept up to date, replaced by memory while its disk is full.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::adoption::inodes;
use super::holdings::is_pipe_name;
use super::keeper::{Inheritance, Keeper};
use super::outbox::Item;
use super::roll::{self, Entry, Roll};
use super::table::Child;
use crate::sys::clock;

/// The name under which the roll is held.
pub const ROLL_HELD_NAME: &str = "roll";

/// The name under which the roll's file is held while it cannot be written and the roll is in memory.
pub const ROLL_FILE_HELD_NAME: &str = "roll-file";

/// How long after a failure the file is tried again, if nothing was to be entered meanwhile.
const RETRY_AFTER: Duration = Duration::from_secs(10);

impl Entry {
    fn of(child: &Child) -> Entry {
        Entry { program: child.told(), start: child.start, pipes: inodes(&child.pipes) }
    }
}

impl Keeper {
    /// Takes over whoever is on the roll that was handed to us; without one, nobody is enrolled.
    ///
    /// # Errors
    /// The roll is damaged, or who lives cannot be found out. Programs run though there is nothing to take over: whoever
    /// began afresh would start them a second time.
    pub(super) fn take_roll(&mut self, inheritance: Inheritance) -> io::Result<()> {
        self.fresh = inheritance == Inheritance::None;
        let Some(descriptor) = self.table.named(ROLL_HELD_NAME) else { return Ok(()) };
        let file = File::from(descriptor.try_clone()?);
        let found = roll::read(&file).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let Some(found) = found else {
            self.begin_roll(file);
            return Ok(());
        };
        self.roll = Some(Roll::resume(file, &found)?);
        for (_, entry) in found {
            self.adopt(entry)?;
        }
        self.table.held.retain(|held| !is_pipe_name(&held.name));
        if self.fresh && self.table.may_run() {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "programs on the roll still run"));
        }
        // Only now, as the file gets all of them or none.
        for id in self.table.children.iter().map(|child| child.id).collect::<Vec<_>>() {
            self.enter(id);
        }
        Ok(())
    }

    fn begin_roll(&mut self, file: File) {
        match Roll::begin(file, &self.entries()) {
            Ok(roll) => self.roll = Some(roll),
            Err(error) => self.lose_roll(&error),
        }
    }

    /// The worker has another file for it.
    pub(super) fn move_roll(&mut self) {
        self.table.release(ROLL_FILE_HELD_NAME);
        self.roll_due = None;
        if let Some(file) = self.table.named(ROLL_HELD_NAME).and_then(|file| file.try_clone().ok()) {
            self.begin_roll(file.into());
        }
    }

    /// Enters what is new of a child.
    pub(super) fn enter(&mut self, id: u64) {
        let Some(entry) = self.table.child(id).map(Entry::of) else { return };
        match self.roll.as_mut().map(|roll| roll.write(&entry)) {
            Some(Err(error)) => self.lose_roll(&error),
            Some(Ok(())) => self.regain_roll(),
            // Not even memory was to be had.
            None if self.unrecorded != 0 => self.keep_in_memory(),
            None => {}
        }
    }

    /// Whether whoever is entered will be found by the next keeper; always, where nobody wants a roll.
    pub(super) fn is_recorded(&self) -> bool {
        self.roll.is_some() || self.unrecorded == 0
    }

    pub(super) fn strike(&mut self, id: u64) {
        if let Some(roll) = &mut self.roll {
            roll.strike(id);
            self.regain_roll();
        }
    }

    /// Goes on in memory, which a new keeper gets from the worker. The file stays locked, so that nobody takes its
    /// incomplete list for the truth.
    pub(super) fn lose_roll(&mut self, error: &io::Error) {
        if let Some(file) = self.table.take(ROLL_HELD_NAME) {
            self.table.hold(ROLL_FILE_HELD_NAME.to_owned(), file);
            self.tell_held(ROLL_FILE_HELD_NAME);
        }
        self.unrecorded = errno(error);
        self.roll_due = Some(clock::monotonic() + RETRY_AFTER);
        self.keep_in_memory();
        self.tell(Item::Unrecorded { errno: self.unrecorded });
    }

    fn keep_in_memory(&mut self) {
        let memory = memfd_create(c"galaxyd-roll", MFdFlags::MFD_CLOEXEC).map_err(io::Error::from);
        let begun = memory.and_then(|memory| {
            let copy = memory.try_clone()?;
            Ok((Roll::begin(memory.into(), &self.entries())?, copy))
        });
        self.roll = None;
        match begun {
            Ok((roll, descriptor)) => self.hold_roll(roll, descriptor),
            Err(error) => self.unrecorded = errno(&error),
        }
    }

    /// Back to the file, if there is room by now. A keeper that was handed a roll in memory learns here why it is there.
    pub(super) fn regain_roll(&mut self) {
        self.roll_due = None;
        let Some(file) = self.table.named(ROLL_FILE_HELD_NAME) else { return };
        let begun = file.try_clone().and_then(|file| {
            let roll = Roll::begin(file.try_clone()?.into(), &self.entries())?;
            Ok((roll, file))
        });
        match begun {
            Ok((roll, file)) => {
                self.table.release(ROLL_FILE_HELD_NAME);
                self.hold_roll(roll, file);
                self.unrecorded = 0;
                self.tell(Item::Unrecorded { errno: 0 });
            }
            Err(error) => {
                self.unrecorded = errno(&error);
                self.roll_due = Some(clock::monotonic() + RETRY_AFTER);
            }
        }
    }

    fn hold_roll(&mut self, roll: Roll, descriptor: OwnedFd) {
        self.roll = Some(roll);
        self.table.hold(ROLL_HELD_NAME.to_owned(), descriptor);
        self.tell_held(ROLL_HELD_NAME);
    }

    /// The worker holds everything a second time.
    fn tell_held(&mut self, name: &str) {
        let serial = self.table.held.iter().find(|held| &*held.name == name).map(|held| held.serial);
        if let Some(serial) = serial {
            self.tell(Item::Held { serial });
        }
    }

    fn entries(&self) -> Vec<Entry> {
        self.table.children.iter().map(Entry::of).collect()
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
