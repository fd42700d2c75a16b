//! Who may do what at an endpoint: the passwords, and the accounts that a Unix socket serves. The passwords' source:
//! Supervisor 4.3.0, `options.py`, `_parse_username_and_password()`; the rest is not in Supervisor.

use super::expansion::Scope;
use super::lookup::{Complaint, Lookup};
use super::model::{Access, Accounts, ServerAuth};
use super::problem::Problem;
use super::reader::{Place, Reader};

/// Whose credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Of those who may do everything.
    Full,
    /// Of those who may only look.
    Reader,
}

impl Credentials {
    fn keys(self) -> [&'static str; 2] {
        match self {
            Credentials::Full => ["username", "password"],
            Credentials::Reader => ["read_username", "read_password"],
        }
    }
}

const ACCOUNT_KEYS: [&str; 4] = ["admin_users", "admin_groups", "read_users", "read_groups"];

/// What others than the owner need to connect: the right to write.
const OTHERS_MAY_WRITE: u32 = 0o022;

/// The credentials. An empty user name counts as given, but switches authentication off.
pub(crate) fn credentials(reader: &mut Reader<'_>, here: Place<'_>, whose: Credentials) -> Option<ServerAuth> {
    let scope = reader.bare_scope();
    let [name_key, password_key] = whose.keys();
    let username = reader.written(here, name_key, &scope);
    let password = reader.written(here, password_key, &scope);
    let (username, password) = (username.ok()?, password.ok()?);
    match (username, password) {
        (Some(username), Some(password)) if !username.is_empty() => Some(ServerAuth { username, password }),
        (Some(_), Some(_)) | (None, None) => None,
        (username, _) => {
            let text = format!(
                "Section [{}] contains incomplete authentication: If a username or a password is specified, both the \
                 username and password must be specified",
                here.section
            );
            let (there, missing) = if username.is_some() { (name_key, password_key) } else { (password_key, name_key) };
            reader.complain(here, there, Complaint::new(text, format!("add {missing}=...")));
            None
        }
    }
}

/// Of a TCP port.
pub(crate) fn inet(reader: &mut Reader<'_>, here: Place<'_>, auth: Option<&ServerAuth>) -> Access {
    Access { reader: reading(reader, here, auth), accounts: None }
}

/// Of a Unix socket with this mode.
pub(crate) fn unix(reader: &mut Reader<'_>, here: Place<'_>, auth: Option<&ServerAuth>, chmod: u32) -> Access {
    Access { reader: reading(reader, here, auth), accounts: accounts(reader, here, chmod) }
}

/// Credentials for looking, which mean something only where acting wants other ones.
fn reading(reader: &mut Reader<'_>, here: Place<'_>, auth: Option<&ServerAuth>) -> Option<ServerAuth> {
    let given = credentials(reader, here, Credentials::Reader)?;
    let [key, _] = Credentials::Reader.keys();
    match auth {
        None => {
            let text = "read_username without username: nobody would have to give a password to change anything";
            reader.report(here, key, Problem::own_error(text).help("add username= and password="));
            None
        }
        Some(auth) if auth.username == given.username => {
            let text = format!("both username and read_username are '{}'", given.username);
            reader.report(here, key, Problem::own_error(text).help("give those who may only look a name of their own"));
            None
        }
        Some(_) => Some(given),
    }
}

fn accounts(reader: &mut Reader<'_>, here: Place<'_>, chmod: u32) -> Option<Accounts> {
    let first = ACCOUNT_KEYS.into_iter().find(|key| reader.raw_value(here, key).is_some())?;
    let scope = reader.bare_scope();
    let user = |text: &str, lookup: &Lookup<'_>| lookup.user(text).map(|user| user.uid);
    let group = |text: &str, lookup: &Lookup<'_>| {
        let help = "name a group that exists on this host";
        lookup.group(text).ok_or_else(|| Complaint::new(format!("Invalid group name {text}"), help))
    };
    let [admin_users, admin_groups, read_users, read_groups] = ACCOUNT_KEYS;
    let accounts = Accounts {
        admin_users: numbers(reader, here, admin_users, &scope, user),
        admin_groups: numbers(reader, here, admin_groups, &scope, group),
        read_users: numbers(reader, here, read_users, &scope, user),
        read_groups: numbers(reader, here, read_groups, &scope, group),
    };
    if chmod & OTHERS_MAY_WRITE == 0 {
        let text = format!("with chmod={chmod:04o} only the socket's owner can connect, whoever is named here");
        let help = "add chmod=0666, or chmod=0660 with chown=USER:GROUP: these keys decide who is served";
        reader.report(here, first, Problem::own_warning(text).help(help));
    }
    Some(accounts)
}

/// The numbers behind the names of one key; what is unknown on this host is an error.
fn numbers<'a>(
    reader: &mut Reader<'a>,
    here: Place<'_>,
    key: &str,
    scope: &Scope,
    number: impl Fn(&str, &Lookup<'a>) -> Result<u32, Complaint>,
) -> Vec<u32> {
    let mut numbers = Vec::new();
    for name in reader.names(here, key, scope).into_iter().filter(|name| !name.is_empty()) {
        match number(&name, &reader.lookup) {
            Ok(number) => numbers.push(number),
            Err(complaint) => reader.complain(here, key, complaint),
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, ServerConfig, load};

    /// What a section with these keys says, and every problem of it.
    fn read(section: &str, keys: &str) -> (Option<Access>, Vec<String>) {
        let text = format!("[supervisord]\n[{section}]\n{keys}\n");
        let source = MadeUp::new()
            .file("/etc/x.conf", &text)
            .account("ann", 1001, 100, "/home/ann")
            .account("ops", 1002, 50, "/");
        let loaded = load(Path::new("/etc/x.conf"), &Overrides::default(), &source);
        let problems = loaded.problems.iter().map(ToString::to_string).collect();
        let access = loaded.config.map(|config| match config.servers.first() {
            Some(ServerConfig::Unix(unix)) => unix.access.clone(),
            Some(ServerConfig::Inet(inet)) => inet.access.clone(),
            None => Access::default(),
        });
        (access, problems)
    }

    #[test]
    fn accounts_are_looked_up_by_name_or_number() {
        let keys = "file=/s\nchmod=0666\nadmin_users=ann, 0\nadmin_groups=ops\nread_groups=50";
        let (access, problems) = read("unix_http_server", keys);
        assert_eq!(problems, [""; 0]);
        let accounts = Accounts {
            admin_users: vec![1001, 0],
            admin_groups: vec![50],
            read_groups: vec![50],
            ..Accounts::default()
        };
        assert_eq!(access, Some(Access { reader: None, accounts: Some(accounts) }));
    }

    #[test]
    fn no_key_lets_everybody_in_and_an_empty_one_nobody() {
        assert_eq!(read("unix_http_server", "file=/s").0, Some(Access::default()));
        let (access, _) = read("unix_http_server", "file=/s\nchmod=0660\nread_users=");
        assert_eq!(access.unwrap().accounts, Some(Accounts::default()));
    }

    #[test]
    fn mistakes_are_told_with_the_way_out() {
        for (section, keys, wanted) in [
            (
                "unix_http_server",
                "file=/s\nchmod=0666\nadmin_users=anm",
                "error: /etc/x.conf:5:13: [unix_http_server] admin_users: Invalid user name anm; name an account",
            ),
            (
                "unix_http_server",
                "file=/s\nchmod=0666\nread_groups=77",
                "error: /etc/x.conf:5:13: [unix_http_server] read_groups: Invalid group name 77; name a group",
            ),
            (
                "unix_http_server",
                "file=/s\nread_users=ann",
                "warning: /etc/x.conf:4:12: [unix_http_server] read_users: with chmod=0700 only the socket's owner can connect",
            ),
            (
                "inet_http_server",
                "port=127.0.0.1:1\nusername=a\npassword=b\nread_username=c",
                "error: /etc/x.conf:6:15: [inet_http_server] read_username: Section [inet_http_server] contains incomplete",
            ),
            (
                "inet_http_server",
                "port=127.0.0.1:1\nread_username=c\nread_password=d",
                "error: /etc/x.conf:4:15: [inet_http_server] read_username: read_username without username",
            ),
            (
                "inet_http_server",
                "port=127.0.0.1:1\nusername=a\npassword=b\nread_username=a\nread_password=d",
                "error: /etc/x.conf:6:15: [inet_http_server] read_username: both username and read_username are 'a'",
            ),
        ] {
            let (_, problems) = read(section, keys);
            assert!(problems.iter().any(|problem| problem.starts_with(wanted)), "{keys}: {problems:#?}");
        }
    }
}
