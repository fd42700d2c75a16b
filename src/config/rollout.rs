//! The keys of a program about `graceful`: how its processes are replaced while others ask them.

use serde::{Deserialize, Serialize};

use super::door::Door;
use super::expansion::Scope;
use super::lookup::Complaint;
use super::reader::{Place, Reader};
use super::ready::{HttpCheck, ReadyCheck, check};
use super::value;

/// More of one program's processes than these are never out of service together.
const UNAVAILABLE_MAX: i64 = 10_000;

/// How processes are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Strategy {
    /// A successor beside each: when it is ready it takes the name over, and the former one is stopped.
    Overlap,
    /// Of the zerglings of one pool the one that is down is started; when it accepts, the other one leaves.
    Zerg,
    /// One after the other: stopped, started, ready, the next.
    Rolling,
    /// All of a program together: for processes of which an old and a new one must not run side by side.
    Restart,
    /// By a signal, or a byte to uWSGI's master FIFO: it replaces its workers by itself.
    Signal,
    /// It is left alone, and started where it is down.
    Keep,
}

impl Strategy {
    /// All that there are.
    pub const ALL: [Strategy; 6] =
        [Strategy::Overlap, Strategy::Zerg, Strategy::Rolling, Strategy::Restart, Strategy::Signal, Strategy::Keep];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Strategy::Overlap => "overlap",
            Strategy::Zerg => "zerg",
            Strategy::Rolling => "rolling",
            Strategy::Restart => "restart",
            Strategy::Signal => "signal",
            Strategy::Keep => "keep",
        }
    }
}

/// What makes a process replace its workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    /// Its number.
    Signal(i32),
    /// One byte to uWSGI's master FIFO at this absolute path.
    Fifo { path: String, command: char },
}

/// A uWSGI that takes turns with another one at the socket of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zergling {
    /// The absolute path of the pool's socket.
    pub pool: String,
    pub leaving: Leaving,
    /// The absolute paths of its master FIFOs, by slot.
    pub fifos: Vec<String>,
    /// Its stats server, where nothing else tells of it alone that it accepts.
    pub stats: Option<Door>,
}

/// What makes a zergling give way to a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leaving {
    /// The newcomer tells it, by a hook of uWSGI's.
    ByHook,
    /// The daemon tells it, through its master FIFO.
    ByFifo,
    /// It is stopped: its stop signal lets it end its requests.
    ByStop,
}

/// What is written about replacing a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// `None`: by what the program is.
    pub strategy: Option<Strategy>,
    /// So many of a program's processes may be out of service at once; `None`: one.
    pub max_unavailable: Option<u32>,
    /// `None`: by what the program is.
    pub trigger: Option<Trigger>,
    /// Where users reach the program.
    pub front: Option<Box<Front>>,
}

/// An address that is asked for as long as processes are being replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Front {
    /// As it was written.
    pub text: String,
    pub check: HttpCheck,
}

/// Reads the keys for one process, whose number the scope knows.
pub(super) fn rollout(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> Rollout {
    let strategy = reader.typed(place, "rollout", scope, |text, _| strategy(text));
    let signal = reader.plain(place, "rollout_signal", scope, value::signal).map(Trigger::Signal);
    let fifo = reader.typed(place, "rollout_fifo", scope, |text, _| fifo(text));
    if signal.is_some() && fifo.is_some() {
        let help = "keep the one that the program is to be replaced by";
        reader.complain(
            place,
            "rollout_fifo",
            Complaint::new("rollout_signal and rollout_fifo exclude each other", help),
        );
    }
    if let (Some(other), Some(key)) = (
        strategy.filter(|one| *one != Strategy::Signal),
        signal.as_ref().map(|_| "rollout_signal").or(fifo.as_ref().map(|_| "rollout_fifo")),
    ) {
        let text = format!("{key} has no meaning with rollout={}", other.word());
        reader.complain(place, key, Complaint::new(text, format!("write rollout=signal, or remove {key}")));
    }
    Rollout {
        strategy,
        max_unavailable: reader.typed(place, "max_unavailable", scope, |text, _| max_unavailable(text)),
        trigger: signal.or(fifo),
        front: reader.typed(place, "rollout_front", scope, |text, _| front(text).map(Box::new)),
    }
}

fn strategy(text: &str) -> Result<Strategy, Complaint> {
    let text = text.trim();
    Strategy::ALL.into_iter().find(|one| one.word() == text).ok_or_else(|| {
        let words = Strategy::ALL.map(Strategy::word).join(", ");
        Complaint::new(format!("'{text}' is no way to replace processes"), format!("write one of {words}"))
    })
}

/// A number of processes that may be out of service, as the key and the option of the client have it.
///
/// # Errors
/// It is none.
pub(super) fn max_unavailable(text: &str) -> Result<u32, Complaint> {
    let number = value::integer(text)?;
    let fits = u32::try_from(number).ok().filter(|_| (1..=UNAVAILABLE_MAX).contains(&number));
    fits.ok_or_else(|| {
        let text = format!("{number} is not between 1 and {UNAVAILABLE_MAX}");
        Complaint::new(text, "write how many processes may be out of service at once")
    })
}

fn fifo(text: &str) -> Result<Trigger, Complaint> {
    let refused = || {
        let help = "write an absolute path, a colon and uWSGI's command, such as /run/galaxy/master.fifo:c";
        Complaint::new(format!("'{text}' is no command for a master FIFO"), help)
    };
    let (path, command) = text.trim().rsplit_once(':').ok_or_else(refused)?;
    let mut letters = command.chars();
    match (letters.next(), letters.next()) {
        (Some(command @ ('r' | 'R' | 'c' | 'w' | 'W')), None) if path.starts_with('/') => {
            Ok(Trigger::Fifo { path: path.to_owned(), command })
        }
        (Some(command), None) if path.starts_with('/') && command.is_ascii_alphanumeric() => {
            let help = "write r (graceful reload), c (chain reload), w (workers only), R or W (at once)";
            Err(Complaint::new(format!("'{command}' makes a uWSGI load no new code"), help))
        }
        _ => Err(refused()),
    }
}

fn front(text: &str) -> Result<Front, Complaint> {
    let text = text.trim();
    if let Ok(ReadyCheck::Http(check)) = check(text) {
        return Ok(Front { text: text.to_owned(), check });
    }
    let help = "write http://HOST:PORT/PATH or http+unix:/SOCKET:/PATH, and status=200-399 after it where other answers \
                are good";
    Err(Complaint::new(format!("'{text}' is no address that can be asked"), help))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Loaded, Overrides, load};

    fn loaded(keys: &str) -> Loaded {
        let text = format!("[supervisord]\n[program:a]\ncommand=a\n{keys}\n");
        load(Path::new("/etc/a.conf"), &Overrides::default(), &MadeUp::new().file("/etc/a.conf", &text))
    }

    fn read(keys: &str) -> Vec<Rollout> {
        let loaded = loaded(keys);
        let config = loaded.config.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.problems));
        config.groups[0].processes.iter().map(|process| process.extras.rollout.clone()).collect()
    }

    #[test]
    fn without_the_keys_nothing_is_said() {
        assert_eq!(read(""), [Rollout::default()]);
    }

    #[test]
    fn every_key_is_read_and_each_process_has_its_own() {
        let keys = "numprocs=2\nprocess_name=p%(process_num)d\nrollout=signal\nrollout_fifo=/run/%(process_num)d.fifo:c\n\
                    max_unavailable=2\nrollout_front=http://127.0.0.1:80/ status=200-302";
        let [_, second] = read(keys).try_into().unwrap();
        assert_eq!((second.strategy, second.max_unavailable), (Some(Strategy::Signal), Some(2)));
        assert_eq!(second.trigger, Some(Trigger::Fifo { path: "/run/1.fifo".to_owned(), command: 'c' }));
        let front = second.front.unwrap();
        assert_eq!((front.text.as_str(), front.check.statuses), ("http://127.0.0.1:80/ status=200-302", (200, 302)));
        assert_eq!(read("rollout_signal=SIGUSR2")[0].trigger, Some(Trigger::Signal(libc::SIGUSR2)));
        for one in Strategy::ALL {
            assert_eq!(read(&format!("rollout={}", one.word()))[0].strategy, Some(one));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (keys, wanted) in [
            ("rollout=fast", "'fast' is no way to replace processes"),
            ("rollout=keep\nrollout_signal=HUP", "rollout_signal has no meaning with rollout=keep"),
            ("rollout_signal=HUP\nrollout_fifo=/f:r", "exclude each other"),
            ("rollout_signal=NOPE", "NOPE"),
            ("rollout_fifo=run/f:c", "'run/f:c' is no command for a master FIFO"),
            ("rollout_fifo=/run/f", "'/run/f' is no command for a master FIFO"),
            ("rollout_fifo=/run/f:q", "'q' makes a uWSGI load no new code"),
            ("max_unavailable=0", "0 is not between 1 and 10000"),
            ("rollout_front=tcp:h:1", "'tcp:h:1' is no address that can be asked"),
        ] {
            let loaded = loaded(keys);
            assert!(loaded.config.is_none(), "{keys}");
            assert!(format!("{:?}", loaded.problems).contains(wanted), "{keys}: {:?}", loaded.problems);
        }
    }
}
