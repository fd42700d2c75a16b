//! Endpoints without a password: refused where other hosts reach them, warned about where only this one does.
//!
//! Differs: Supervisor serves them and logs a line. Whoever reaches such a port runs commands as the daemon.

use std::net::IpAddr;

use super::model::{InetServer, ServerConfig};
use super::problem::Problem;
use super::reader::{Level, Place, Reader};
use super::schema::SectionKind;

/// Names that stand for this host alone wherever `/etc/hosts` is as distributions ship it.
const LOOPBACK_NAMES: [&str; 6] =
    ["localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"];

/// Adds the errors and warnings, after everything that Supervisor would refuse.
pub(crate) fn report(reader: &mut Reader<'_>, servers: &[ServerConfig]) {
    for server in servers {
        if let ServerConfig::Inet(inet) = server {
            inet_server(reader, inet);
        }
    }
}

fn inet_server(reader: &mut Reader<'_>, inet: &InetServer) {
    let here = Place { section: &inet.section, kind: SectionKind::InetHttpServer, level: Level::Group };
    let given = ["username", "password"].map(|key| reader.raw_value(here, key).is_some());
    let has_password = inet.auth.as_ref().is_some_and(|auth| !auth.password.is_empty());
    // Half of the credentials has been refused before.
    if has_password || given == [true, false] || given == [false, true] {
        return;
    }
    let host = if inet.host.is_empty() { "*" } else { &inet.host };
    let problem = if is_loopback(&inet.host) {
        Problem::own_warning("no password: every user of this host controls the programs")
            .help("add username= and password=, or use [unix_http_server], which has permissions")
    } else if inet.allow_unauthenticated {
        Problem::own_warning(format!("no password: whoever reaches {host} controls the programs"))
            .help("add username= and password=")
    } else {
        let text = format!("no password: whoever reaches {host} would control the programs");
        let help = format!(
            "add username= and password=, or listen on 127.0.0.1:{}, or write allow_unauthenticated=true if nobody else \
             can reach the port",
            inet.port
        );
        Problem::own_error(text).help(help)
    };
    reader.report(here, "port", problem);
}

/// Whether only this host reaches the address. A name that is not one of the usual ones does not count: it would have to
/// be looked up, and may mean something else tomorrow.
fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
        Ok(IpAddr::V4(address)) => address.is_loopback(),
        Err(_) => {
            let name = bare.trim_end_matches('.').to_ascii_lowercase();
            LOOPBACK_NAMES.contains(&name.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, load};

    /// Every problem of an `[inet_http_server]` with these keys, as one line each.
    fn told(keys: &str) -> Vec<String> {
        let text = format!("[supervisord]\n[inet_http_server]\n{keys}\n");
        let loaded = load(Path::new("/etc/x.conf"), &Overrides::default(), &MadeUp::new().file("/etc/x.conf", &text));
        loaded.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn loopback_is_known_without_a_look_up() {
        for host in ["127.0.0.1", "127.9.8.7", "localhost", "ip6-localhost", "[::1]", "::1", "::ffff:127.0.0.1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "0.0.0.0", "192.168.0.1", "[::]", "::", "galaxy.example.org", "localhost.example.org"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn without_a_password_only_loopback_is_served() {
        for address in ["*:9001", "9001", "0.0.0.0:9001", "galaxy.example.org:9001", "[::]:9001"] {
            let told = told(&format!("port={address}"));
            let [line] = told.as_slice() else { panic!("{address}: {told:?}") };
            assert!(
                line.starts_with("error: /etc/x.conf:3:6: [inet_http_server] port: no password: whoever"),
                "{line}"
            );
            assert!(line.contains(
                "; add username= and password=, or listen on 127.0.0.1:9001, or write allow_unauthenticated=true"
            ));
        }
        let loopback = told("port=127.0.0.1:9001");
        assert!(loopback[0].starts_with("warning: ") && loopback.len() == 1, "{loopback:?}");
        let accepted = told("port=*:9001\nallow_unauthenticated=true");
        assert!(accepted[0].starts_with("warning: ") && accepted.len() == 1, "{accepted:?}");
    }

    #[test]
    fn a_password_ends_the_matter_and_an_empty_one_or_an_empty_name_is_none() {
        assert_eq!(told("port=*:9001\nusername=a\npassword=b"), [""; 0]);
        assert!(told("port=*:9001\nusername=a\npassword=")[0].starts_with("error: "));
        assert!(told("port=127.0.0.1:9001\nusername=a\npassword=")[0].starts_with("warning: "));
        assert!(told("port=*:9001\nusername=\npassword=b")[0].contains("no password"));
        let half = told("port=*:9001\nusername=a");
        assert!(half.len() == 1 && half[0].contains("incomplete authentication"), "{half:?}");
    }

    #[test]
    fn tls_keys_come_together_and_only_where_tls_is_spoken() {
        let told = told("port=127.0.0.1:9001\nusername=a\npassword=b\ntls_certificate=/c.pem");
        let wanted = if cfg!(feature = "tls") { "a certificate needs its key" } else { "built without TLS" };
        assert!(told.len() == 1 && told[0].starts_with("error: /etc/x.conf:6:17: "), "{told:?}");
        assert!(told[0].contains("[inet_http_server] tls_certificate: ") && told[0].contains(wanted), "{told:?}");
    }
}
