//! The check on `serverurl`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ValueError;
use crate::config::literal;

/// Schemes whose path ends at a `;`. Source: Python 3.11, urllib/parse.py, `uses_params`.
const SCHEMES_WITH_PARAMETERS: [&str; 15] = [
    "ftp", "hdl", "prospero", "http", "imap", "https", "shttp", "rtsp", "rtsps", "rtspu", "sip", "sips", "mms", "sftp",
    "tel",
];

/// A URL: a scheme, and a host or a path. Given back as it was written.
///
/// Differs: Python also refuses host names with certain characters beyond ASCII.
///
/// # Errors
/// If it is none, or its bracketed host is no IPv6 address.
pub fn url(text: &str) -> Result<String, ValueError> {
    let cleaned = text.trim_start_matches(|c| c <= ' ').replace(['\t', '\r', '\n'], "");
    let not_url = || ValueError::NotUrl { found: text.to_owned() };
    let (scheme, rest) = split_scheme(&cleaned).unwrap_or(("", &cleaned));
    let (host, rest) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    check_brackets(host).map_err(|reason| ValueError::BadUrl { reason })?;
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let has_parameters = SCHEMES_WITH_PARAMETERS.contains(&scheme.to_ascii_lowercase().as_str());
    let is_only_parameters = has_parameters && path.starts_with(';') && !path.contains('/');
    let has_place = !host.is_empty() || !(path.is_empty() || is_only_parameters);
    if scheme.is_empty() || !has_place { Err(not_url()) } else { Ok(text.to_owned()) }
}

fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then_some((scheme, rest))
}

/// Brackets come in pairs, and around an IPv6 address only. The errors are Python's texts.
fn check_brackets(host: &str) -> Result<(), String> {
    match (host.split_once('['), host.contains(']')) {
        (None, false) => Ok(()),
        (Some((_, inside)), true) => check_bracketed(inside.split(']').next().unwrap_or_default()),
        _ => Err("Invalid IPv6 URL".to_owned()),
    }
}

fn check_bracketed(address: &str) -> Result<(), String> {
    if let Some(future) = address.strip_prefix('v') {
        let version = future.split_once('.');
        let is_future = version.is_some_and(|(version, rest)| {
            !version.is_empty() && version.chars().all(|c| c.is_ascii_hexdigit()) && !rest.is_empty()
        });
        return if is_future { Ok(()) } else { Err("IPvFuture address is invalid".to_owned()) };
    }
    if address.parse::<Ipv4Addr>().is_ok() {
        return Err("An IPv4 address cannot be in brackets".to_owned());
    }
    let (number, is_scope_good) = match address.split_once('%') {
        None => (address, true),
        Some((number, scope)) => (number, !scope.is_empty() && !scope.contains('%')),
    };
    if is_scope_good && number.parse::<Ipv6Addr>().is_ok() {
        return Ok(());
    }
    Err(format!("{} does not appear to be an IPv4 or IPv6 address", literal(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_scheme_and_a_place() {
        for text in [
            "http://localhost:9001",
            "unix:///tmp/supervisor.sock",
            "HTTP://x",
            "mailto:a",
            "x:/",
            " http://x",
            "http://[::1]:9001/",
            "http://[fe80::1%eth0]/",
            "http://[v1.x]/",
            "http:a;b",
            "x:;b",
        ] {
            assert_eq!(url(text).as_deref(), Ok(text));
        }
        for text in ["", "x", "http:", "http://", "://x", "/tmp/x", "1x://y", "http:?a", "http:#a", "http:;a", "é://x"]
        {
            assert_eq!(url(text).unwrap_err().to_string(), format!("value '{text}' is not a URL"));
        }
    }

    #[test]
    fn brackets_hold_ipv6() {
        let cases = [
            ("http://[::1", "Invalid IPv6 URL"),
            ("http://::1]", "Invalid IPv6 URL"),
            ("http://[1.2.3.4]", "An IPv4 address cannot be in brackets"),
            ("http://[x]", "'x' does not appear to be an IPv4 or IPv6 address"),
            ("http://[::1%]", "'::1%' does not appear to be an IPv4 or IPv6 address"),
            ("http://[v.x]", "IPvFuture address is invalid"),
        ];
        for (text, expected) in cases {
            assert_eq!(url(text).unwrap_err().to_string(), expected, "{text:?}");
        }
    }
}
