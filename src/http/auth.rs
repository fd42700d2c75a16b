//! HTTP Basic authentication against the one user of an endpoint.

use std::hint::black_box;

use hyper::header::HeaderValue;
use sha1::{Digest, Sha1};

use crate::config::ServerAuth;
use crate::rpc::base64;

/// The realm that every 401 names. Source: supervisor 4.3, medusa, `auth_handler`.
pub(super) const CHALLENGE: &str = "Basic realm=\"default\"";

/// The user's name if the header holds his credentials; `None` for everything else, also for what is malformed.
///
/// Differs: malformed credentials are 400 or 500 in Supervisor 4.3, here they are 401 like any that are wrong.
pub(super) fn user_of(header: Option<&HeaderValue>, auth: &ServerAuth) -> Option<String> {
    let (scheme, credentials) = header?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(base64::decode(credentials)?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    let right_name = equal(username.as_bytes(), auth.username.as_bytes());
    let right_password = match auth.password.strip_prefix("{SHA}") {
        Some(digest) => equal(hex(&Sha1::digest(password)).as_bytes(), digest.as_bytes()),
        None => equal(password.as_bytes(), auth.password.as_bytes()),
    };
    (right_name & right_password).then(|| username.to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]).filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

/// Compares in a time that depends on `given` alone, so that it tells nothing about `secret`.
fn equal(given: &[u8], secret: &[u8]) -> bool {
    let mut difference = given.len() ^ secret.len();
    for (position, byte) in given.iter().enumerate() {
        let other = secret.get(position % secret.len().max(1)).copied().unwrap_or(0);
        difference |= usize::from(black_box(byte ^ other));
    }
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, header: &str) -> bool {
        let auth = ServerAuth { username: "admin".to_owned(), password: password.to_owned() };
        user_of(Some(&HeaderValue::from_str(header).unwrap()), &auth).is_some()
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", base64::encode(credentials.as_bytes()))
    }

    #[test]
    fn plain_passwords() {
        for (credentials, allowed) in [
            ("admin:secret", true),
            ("admin:secre", false),
            ("admin:secretsecret", false),
            ("admin:", false),
            ("Admin:secret", false),
            (":secret", false),
            ("adminsecret", false),
            ("", false),
        ] {
            assert_eq!(check("secret", &basic(credentials)), allowed, "{credentials}");
        }
        assert!(check("a:b:", &basic("admin:a:b:")));
        assert!(check("pässwörd", &basic("admin:pässwörd")));
        assert!(check("", &basic("admin:")));
        assert!(!check("", &basic("admin:x")));
    }

    #[test]
    fn hashed_passwords() {
        let hashed = "{SHA}5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8";
        assert!(check(hashed, &basic("admin:password")));
        assert!(!check(hashed, &basic("admin:Password")));
        assert!(!check(hashed, &basic(&format!("admin:{hashed}"))));
        assert!(!check(&hashed.to_uppercase(), &basic("admin:password")));
        assert!(!check("{SHA}", &basic("admin:")));
    }

    #[test]
    fn headers_that_are_no_credentials() {
        for header in ["", "Basic", "Basic ", "Bearer abc", "Basic !!!!", "Basic Zg", "Digest username=\"admin\""] {
            assert!(!check("secret", header), "{header}");
        }
        let not_utf8 = format!("Basic {}", base64::encode(b"admin:\xff"));
        assert!(!check("secret", &not_utf8));
        let auth = ServerAuth { username: "admin".to_owned(), password: "secret".to_owned() };
        assert_eq!(user_of(None, &auth), None);
        assert!(check("secret", &basic("admin:secret").replace("Basic", "bAsIc")));
    }
}
