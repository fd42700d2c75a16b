//! Where an endpoint listens and who owns it.

use super::{ValueError, integer, port_number};

/// An account or group as written, still to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// May be any number: whether it is an id, the lookup tells.
    Number(i64),
    Name(String),
}

/// `user[:group]` of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketOwner {
    pub user: Account,
    /// `None`: unchanged.
    pub group: Option<Account>,
}

/// A name, unless the text is a number as Supervisor reads them.
///
/// The lookup's errors are [`ValueError::NoSuchUserName`] and [`ValueError::NoSuchUserId`].
///
/// # Errors
/// If it is a number beyond 64 bits, with the text for an unknown id.
pub fn account(text: &str) -> Result<Account, ValueError> {
    match integer(text) {
        Ok(number) => Ok(Account::Number(number)),
        Err(ValueError::TooLarge { found }) => Err(ValueError::NoSuchUserId { found }),
        Err(_) => Ok(Account::Name(text.to_owned())),
    }
}

/// Splits at the first colon. The lookup's error is [`ValueError::NoSuchOwner`] with the whole text.
///
/// # Errors
/// If a part is a number beyond 64 bits.
pub fn socket_owner(text: &str) -> Result<SocketOwner, ValueError> {
    let part = |part| account(part).map_err(|_| ValueError::NoSuchOwner { found: text.to_owned() });
    match text.split_once(':') {
        None => Ok(SocketOwner { user: part(text)?, group: None }),
        Some((user, group)) => Ok(SocketOwner { user: part(user)?, group: Some(part(group)?) }),
    }
}

/// `host:port` or `port`. The host is lower-cased; empty stands for all IPv4 interfaces, as does `*`.
///
/// # Errors
/// If the port is missing or none.
pub fn inet_address(text: &str) -> Result<(String, u16), ValueError> {
    let Some((host, port)) = text.rsplit_once(':') else {
        let port = port_number(text).map_err(|_| ValueError::NotPort { found: text.to_owned() })?;
        return Ok((String::new(), port));
    };
    if port.is_empty() {
        return Err(ValueError::NoPort { found: port.to_owned() });
    }
    let port = port_number(port)?;
    let host = if host == "*" { String::new() } else { host.to_lowercase() };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let cases = [
            ("9001", "", 9001),
            ("*:9001", "", 9001),
            (":9001", "", 9001),
            ("127.0.0.1:9001", "127.0.0.1", 9001),
            ("LocalHost: 80", "localhost", 80),
            ("::1:9001", "::1", 9001),
        ];
        for (text, host, port) in cases {
            assert_eq!(inet_address(text), Ok((host.to_owned(), port)), "{text:?}");
        }
    }

    #[test]
    fn address_errors() {
        let cases = [
            ("", "not a valid port number: '' "),
            ("x", "not a valid port number: 'x' "),
            ("0", "not a valid port number: '0' "),
            ("host:", "no port number specified in ''"),
            ("host:x", "invalid literal for int() with base 10: 'x'"),
            ("host:0", "0 is below lower bound (1)"),
            ("host:65536", "65536 is above upper bound (65535)"),
        ];
        for (text, expected) in cases {
            assert_eq!(inet_address(text).unwrap_err().to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn owners() {
        let name = |text: &str| Account::Name(text.to_owned());
        assert_eq!(socket_owner("web"), Ok(SocketOwner { user: name("web"), group: None }));
        assert_eq!(socket_owner("0:adm"), Ok(SocketOwner { user: Account::Number(0), group: Some(name("adm")) }));
        assert_eq!(socket_owner("a:b:c"), Ok(SocketOwner { user: name("a"), group: Some(name("b:c")) }));
        assert_eq!(socket_owner(":"), Ok(SocketOwner { user: name(""), group: Some(name("")) }));
        let huge = "99999999999999999999:0";
        assert_eq!(socket_owner(huge).unwrap_err().to_string(), format!("Invalid user:group definition {huge}"));
    }
}
