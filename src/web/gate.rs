//! Which requests of browsers are let through: by the name they used for this server, and by the page that sent them.
//!
//! A browser does what any page tells it, with the passwords it knows. Two ways lead here from a foreign page: it sends a
//! request to our address (then the browser says so in `Origin` and `Sec-Fetch-Site`), or its owner lets its own name
//! resolve to our address ("DNS rebinding"; then `Host` is that name).

use std::net::IpAddr;

/// The rule of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Lower case, without port.
    names: Vec<String>,
    /// Whether any name may be used.
    any: bool,
}

/// What a request says about where it comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claims<'a> {
    pub host: Option<&'a str>,
    pub origin: Option<&'a str>,
    pub referer: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub fetch_site: Option<&'a str>,
    /// `Accept-Language`, which every browser sends: a page can change it and cannot take it away.
    pub language: Option<&'a str>,
}

impl Gate {
    /// `allowed` are the configured names, `*` any. Without them any name is good enough for an endpoint with a password:
    /// browsers keep passwords by name, so a page under another name has none to send.
    #[must_use]
    pub fn new(allowed: &[String], has_password: bool) -> Gate {
        let any = allowed.iter().any(|name| name == "*") || (allowed.is_empty() && has_password);
        Gate { names: allowed.iter().map(|name| bare(name)).collect(), any }
    }

    /// Whether this server may be reached by this name. Addresses and `localhost` resolve to nothing else; a client
    /// without `Host` is no browser.
    #[must_use]
    pub fn admits_host(&self, claims: &Claims<'_>) -> bool {
        claims.host.is_none_or(|host| self.any || is_fixed(host) || self.is_named(host))
    }

    /// Whether a request that acts comes from one of our own pages, or from no page.
    ///
    /// Behind a proxy `Host` may have been rewritten: a page of a configured name is ours, too. Not so where `Host` is the
    /// same name with another port: then the page is that of another server of this host, say of Galaxy itself.
    #[must_use]
    pub fn admits_origin(&self, claims: &Claims<'_>) -> bool {
        let foreign_fetch = claims.fetch_site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
        if foreign_fetch {
            return false;
        }
        match claims.origin.or(claims.referer) {
            None => true,
            Some(page) => {
                let Some(there) = authority(page) else { return false };
                match claims.host {
                    Some(host) if bare(host) == bare(there) => {
                        same(there, host) || (self.is_named(there) && port(host).is_none())
                    }
                    _ => self.is_named(there),
                }
            }
        }
    }

    /// Whether a request that needs no token may act: it comes from no browser, or from a page of this server under an
    /// allowed name.
    #[must_use]
    pub fn admits_call(&self, claims: &Claims<'_>) -> bool {
        let from_browser = claims.origin.is_some() || claims.fetch_site.is_some();
        !from_browser || (self.admits_host(claims) && self.admits_origin(claims))
    }

    /// Whether a log may be followed: by a program under any name, by a browser under an allowed one.
    #[must_use]
    pub fn admits_reader(&self, claims: &Claims<'_>) -> bool {
        let marks = [claims.origin, claims.referer, claims.fetch_site, claims.language];
        marks.iter().all(Option::is_none) || self.admits_host(claims)
    }

    fn is_named(&self, host: &str) -> bool {
        self.names.contains(&bare(host))
    }
}

/// `host:port` of a URL; `None` for `null` and the like.
fn authority(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    (!authority.is_empty() && !authority.contains('@')).then_some(authority)
}

/// Whether both are the same host and port; the default ports need not be written.
fn same(one: &str, other: &str) -> bool {
    bare(one) == bare(other) && port(one) == port(other)
}

/// The port that is not a default one.
fn port(text: &str) -> Option<&str> {
    split(text.trim()).1.filter(|port| !matches!(*port, "80" | "443"))
}

/// Host and port.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, Some(port))
        }
        _ => (text, None),
    }
}

/// The host alone, lower case.
fn bare(text: &str) -> String {
    split(text.trim()).0.trim_end_matches('.').to_ascii_lowercase()
}

fn is_fixed(host: &str) -> bool {
    let host = bare(host);
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    address.parse::<IpAddr>().is_ok() || host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(allowed: &[&str], has_password: bool) -> Gate {
        let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        Gate::new(&allowed, has_password)
    }

    fn host(host: &str) -> Claims<'_> {
        Claims { host: Some(host), ..Claims::default() }
    }

    #[test]
    fn without_a_password_a_rebound_name_is_refused() {
        let plain = gate(&[], false);
        for good in
            ["127.0.0.1:9001", "10.1.2.3", "[::1]:9001", "[fe80::1]", "localhost", "LocalHost:9001", "x.localhost:1"]
        {
            assert!(plain.admits_host(&host(good)), "{good}");
        }
        for bad in ["evil.example", "evil.example:9001", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1"]
        {
            assert!(!plain.admits_host(&host(bad)), "{bad}");
        }
        assert!(plain.admits_host(&Claims::default()));
    }

    #[test]
    fn names_are_allowed_by_the_configuration_or_by_a_password() {
        let named = gate(&["Galaxy.example.org", "g"], false);
        assert!(named.admits_host(&host("galaxy.example.org:9001")) && named.admits_host(&host("G.")));
        assert!(!named.admits_host(&host("evil.example")));
        assert!(gate(&[], true).admits_host(&host("any.example")));
        assert!(!gate(&["g"], true).admits_host(&host("any.example")));
        assert!(gate(&["*"], false).admits_host(&host("any.example")));
    }

    #[test]
    fn only_our_own_pages_act() {
        let plain = gate(&[], false);
        let from = |origin| Claims { origin: Some(origin), ..host("127.0.0.1:9001") };
        assert!(plain.admits_origin(&host("127.0.0.1:9001")), "no browser");
        assert!(plain.admits_origin(&from("http://127.0.0.1:9001")));
        for foreign in [
            "http://evil.example",
            "http://127.0.0.1",
            "http://127.0.0.1:9002",
            "null",
            "",
            "file://",
            "http://u@127.0.0.1:9001",
        ] {
            assert!(!plain.admits_origin(&from(foreign)), "{foreign}");
        }
        for (site, admitted) in
            [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false), ("x", false)]
        {
            assert_eq!(
                plain.admits_origin(&Claims { fetch_site: Some(site), ..host("localhost") }),
                admitted,
                "{site}"
            );
        }
        let referred = |page| Claims { referer: Some(page), ..host("localhost:9001") };
        assert!(plain.admits_origin(&referred("http://localhost:9001/?message=x")));
        assert!(!plain.admits_origin(&referred("http://evil.example/http://localhost:9001/")));
    }

    #[test]
    fn behind_a_proxy_the_page_has_another_name() {
        let proxied = gate(&["galaxy.example.org"], false);
        let claims = Claims { origin: Some("https://galaxy.example.org"), ..host("localhost") };
        assert!(proxied.admits_origin(&claims));
        let forwarded = Claims { host: Some("galaxy.example.org"), ..claims };
        assert!(proxied.admits_origin(&forwarded));
        assert!(gate(&[], true).admits_origin(&Claims { origin: Some("https://x.example"), ..host("x.example:443") }));
    }

    #[test]
    fn another_port_under_our_name_is_another_server() {
        let named = gate(&["galaxy.example.org"], true);
        let from = |host, origin| Claims { host: Some(host), origin: Some(origin), ..Claims::default() };
        for (host, page, admitted) in [
            ("galaxy.example.org:9001", "http://galaxy.example.org:9001", true),
            ("galaxy.example.org:9001", "http://galaxy.example.org:8080", false),
            ("galaxy.example.org:9001", "https://galaxy.example.org", false),
            ("galaxy.example.org", "https://galaxy.example.org", true),
            // nginx's $host has no port.
            ("galaxy.example.org", "https://galaxy.example.org:8443", true),
            ("127.0.0.1:9001", "https://galaxy.example.org:8443", true),
        ] {
            assert_eq!(named.admits_origin(&from(host, page)), admitted, "{host} {page}");
            assert_eq!(named.admits_call(&from(host, page)), admitted, "{host} {page}");
        }
    }

    #[test]
    fn calls_of_programs_pass_and_those_of_foreign_pages_do_not() {
        let plain = gate(&[], false);
        assert!(plain.admits_call(&host("supervisor.internal:9001")), "xmlrpc.client says no Origin");
        assert!(!plain.admits_call(&Claims { origin: Some("http://evil.example"), ..host("localhost:9001") }));
        assert!(!plain.admits_call(&Claims { origin: Some("http://evil.example"), ..host("evil.example") }), "rebound");
        assert!(plain.admits_reader(&host("supervisor.internal")), "supervisorctl tail -f");
        assert!(!plain.admits_reader(&Claims { language: Some("de"), ..host("evil.example") }), "rebound");
        assert!(plain.admits_reader(&Claims { language: Some("de"), ..host("localhost") }));
        assert!(plain.admits_call(&Claims { origin: Some("http://localhost:9001"), ..host("localhost:9001") }));
    }
}
