//! `wait_for`: things outside of the daemon that must be there before a process is started.

use serde::{Deserialize, Serialize};

use super::expansion::Scope;
use super::lookup::Complaint;
use super::reader::{Place, Reader};
use super::ready::{ReadyCheck, check};
use super::value;

/// More things than this are refused for one program.
const THINGS_MAX: usize = 16;

/// What is written where a thing is none of these.
const FORMS: &str = "write tcp://HOST:PORT, unix:/SOCKET, http://HOST:PORT/PATH, path:/PATH or user:NAME";

/// One thing that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitFor {
    /// As it was written.
    pub text: String,
    pub thing: Outside,
}

/// What shows that a thing is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outside {
    /// Somebody answers: one of the forms of `ready` that ask.
    Answer(ReadyCheck),
    /// Something is at this absolute path.
    Path(String),
    /// The host knows an account of this name.
    User(String),
}

/// Reads the things for one process.
pub(super) fn wait_for(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> Vec<WaitFor> {
    reader.typed(place, "wait_for", scope, |text, _| things(text)).unwrap_or_default()
}

fn things(text: &str) -> Result<Vec<WaitFor>, Complaint> {
    let texts = value::list_of_strings(text);
    if texts.len() > THINGS_MAX {
        let text = format!("{} things are more than the {THINGS_MAX} that one program may wait for", texts.len());
        return Err(Complaint::new(text, "let a program of type=oneshot wait for them, and depend on that one"));
    }
    texts.into_iter().map(|text| Ok(WaitFor { thing: thing(&text)?, text })).collect()
}

fn thing(text: &str) -> Result<Outside, Complaint> {
    let refused = || Complaint::new(format!("'{text}' is nothing that can be waited for"), FORMS);
    match text.split_once(':') {
        Some(("tcp" | "unix" | "http" | "http+unix", _)) => check(text).map(Outside::Answer),
        Some(("path", path)) if path.starts_with('/') => Ok(Outside::Path(path.to_owned())),
        Some(("user", name)) if !name.is_empty() => Ok(Outside::User(name.to_owned())),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Door, Loaded, Overrides, load};

    fn loaded(value: &str) -> Loaded {
        let text = format!("[supervisord]\n[program:a]\ncommand=a\nwait_for={value}\n");
        load(Path::new("/etc/a.conf"), &Overrides::default(), &MadeUp::new().file("/etc/a.conf", &text))
    }

    #[test]
    fn every_form_is_read() {
        let loaded = loaded("tcp://db:5432, unix:/run/x.sock, path:/data, user:galaxy, http://h/up status=204");
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
        let process = &config.groups[0].processes[0];
        let [db, socket, path, user, http] = process.extras.wait_for.as_slice() else { panic!("{process:?}") };
        let tcp = ReadyCheck::Connect(Door::Tcp { host: "db".to_owned(), port: 5432 });
        assert_eq!((db.text.as_str(), &db.thing), ("tcp://db:5432", &Outside::Answer(tcp)));
        assert_eq!(socket.thing, Outside::Answer(ReadyCheck::Connect(Door::Unix("/run/x.sock".to_owned()))));
        assert_eq!((&path.thing, &user.thing), (&Outside::Path("/data".into()), &Outside::User("galaxy".into())));
        let Outside::Answer(ReadyCheck::Http(http)) = &http.thing else { panic!("{http:?}") };
        assert_eq!(http.statuses, (204, 204));
        assert!(process.policy().needs.outside);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (value, wanted) in [
            ("db:5432", "'db:5432' is nothing that can be waited for"),
            ("path:data", "'path:data' is nothing that can be waited for"),
            ("user:", "'user:' is nothing that can be waited for"),
            ("tcp://db:5432,", "'' is nothing that can be waited for"),
            ("notify", "'notify' is nothing that can be waited for"),
            ("tcp://db", "'tcp://db' does not say"),
        ] {
            let loaded = loaded(value);
            assert!(loaded.config.is_none(), "{value}");
            assert!(format!("{:?}", loaded.problems).contains(wanted), "{value}: {:?}", loaded.problems);
        }
    }
}
