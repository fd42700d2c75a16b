//! The keys of a program about its automatic starts.

use std::time::Duration;

use super::expansion::Scope;
use super::lookup::Complaint;
use super::reader::{Place, Reader};
use super::value;
use crate::engine::{Delay, OnEnd, Restarts};

/// What counts only beside `restart_delay`.
const BESIDE_DELAY: [&str; 3] = ["restart_factor", "restart_delay_max", "restart_jitter"];

/// Reads them for all processes of a section.
pub(super) fn restarts(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> Restarts {
    Restarts {
        delay: delay(reader, place, scope),
        limit: reader.plain(place, "restart_limit", scope, value::start_limit),
        on_fatal: on_end(reader, place, "on_fatal", scope),
        on_exit: on_end(reader, place, "on_exit", scope),
        counts_want: reader.boolean(place, "count_resource_errors", scope),
    }
}

fn delay(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> Option<Delay> {
    let first = reader.plain(place, "restart_delay", scope, value::duration);
    let factor = reader.plain(place, "restart_factor", scope, value::factor).unwrap_or(100);
    let ceiling = reader.plain(place, "restart_delay_max", scope, value::duration).unwrap_or(Duration::ZERO);
    let jitter = reader.typed(place, "restart_jitter", scope, |text, _| percent(text)).unwrap_or(0);
    let is_written = reader.raw_value(place, "restart_delay").is_some();
    if !is_written {
        for key in BESIDE_DELAY {
            if reader.raw_value(place, key).is_some() {
                let help = "add restart_delay, the first wait";
                reader.complain(
                    place,
                    key,
                    Complaint::new(format!("{key} without restart_delay has no meaning"), help),
                );
            }
        }
        return None;
    }
    let first = first?;
    if first > ceiling {
        let help = "raise restart_delay_max, or lower restart_delay";
        let text = format!(
            "restart_delay is {}, longer than restart_delay_max, {}",
            value::duration_text(first),
            value::duration_text(ceiling)
        );
        reader.complain(place, "restart_delay", Complaint::new(text, help));
    }
    Some(Delay { first, factor, ceiling, jitter })
}

fn percent(text: &str) -> Result<u32, Complaint> {
    let number = value::integer(text)?;
    let fits = u32::try_from(number).ok().filter(|percent| *percent <= 100);
    fits.ok_or_else(|| Complaint::new(format!("{number} is not between 0 and 100"), "write percent, such as 50"))
}

fn on_end(reader: &mut Reader<'_>, place: Place<'_>, key: &str, scope: &Scope) -> OnEnd {
    let read = reader.typed(place, key, scope, |text, _| match text.trim() {
        "ignore" => Ok(OnEnd::Ignore),
        "shutdown" => Ok(OnEnd::Shutdown),
        other => Err(Complaint::new(format!("'{other}' is not a consequence"), "write ignore or shutdown")),
    });
    read.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Loaded, Overrides, load};
    use crate::engine::{Limit, UNLIMITED};

    fn loaded(keys: &str) -> Loaded {
        let text = format!("[supervisord]\n[program:a]\ncommand=a\n{keys}\n");
        load(Path::new("/etc/a.conf"), &Overrides::default(), &MadeUp::new().file("/etc/a.conf", &text))
    }

    fn read(keys: &str) -> Restarts {
        let loaded = loaded(keys);
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
        config.groups[0].processes[0].policy().restarts
    }

    #[test]
    fn without_them_nothing_is_different_from_supervisor() {
        assert_eq!(read(""), Restarts::default());
        assert_eq!(read("startretries=-1"), Restarts::default());
    }

    #[test]
    fn each_is_read() {
        let delay = read("restart_delay=500ms").delay.unwrap();
        let ceiling = Duration::from_secs(60);
        assert_eq!(delay, Delay { first: Duration::from_millis(500), factor: 200, ceiling, jitter: 0 });
        let delay =
            read("restart_delay=2\nrestart_factor=1.5\nrestart_delay_max=10m\nrestart_jitter=100").delay.unwrap();
        let ceiling = Duration::from_secs(600);
        assert_eq!(delay, Delay { first: Duration::from_secs(2), factor: 150, ceiling, jitter: 100 });
        assert_eq!(read("restart_limit=5/10m").limit, Some(Limit { starts: 5, window: Duration::from_secs(600) }));
        assert_eq!(read("on_fatal=shutdown").on_fatal, OnEnd::Shutdown);
        assert_eq!(read("on_exit=shutdown").on_exit, OnEnd::Shutdown);
        assert!(read("count_resource_errors=true").counts_want);
        let unlimited = loaded("startretries=unlimited").config.unwrap();
        assert_eq!(unlimited.groups[0].processes[0].policy().startretries, UNLIMITED);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (keys, wanted) in [
            ("restart_delay=soon", "not a length of time: 'soon'"),
            ("restart_factor=2", "restart_factor without restart_delay has no meaning"),
            ("restart_delay=1\nrestart_factor=0.5", "not a factor from 1 to 100: '0.5'"),
            ("restart_delay=2m", "restart_delay is 120s, longer than restart_delay_max, 60s"),
            ("restart_delay=1\nrestart_jitter=101", "101 is not between 0 and 100"),
            ("restart_limit=5", "not a limit of starts: '5'"),
            ("restart_limit=0/1m", "not a limit of starts: '0/1m'"),
            ("on_fatal=restart", "'restart' is not a consequence"),
            ("startretries=forever", "invalid literal for int() with base 10: 'forever'"),
        ] {
            let loaded = loaded(keys);
            assert!(loaded.config.is_none(), "{keys}");
            assert!(format!("{:?}", loaded.problems).contains(wanted), "{keys}: {:?}", loaded.problems);
        }
    }
}
