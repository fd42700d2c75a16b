//! The token that shows that a form was made by this server, for this user, not long ago.
//!
//! Without it any page in the administrator's browser could send the form: the browser adds the password by itself.

use std::hint::black_box;
use std::time::Duration;

use sha1::{Digest, Sha1};

/// Bytes of randomness behind the tokens.
pub const SECRET_BYTES: usize = 32;

/// A page may stand open for a working day before its buttons want another click; the script renews the token all the time.
const VALID: Duration = Duration::from_secs(12 * 60 * 60);

/// The block size of SHA-1, in bytes.
const BLOCK: usize = 64;

/// Makes and checks the tokens of one endpoint. They end with the endpoint.
#[derive(Debug)]
pub struct Tokens {
    secret: [u8; SECRET_BYTES],
}

impl Tokens {
    #[must_use]
    pub fn new(secret: [u8; SECRET_BYTES]) -> Tokens {
        Tokens { secret }
    }

    /// A token for what this user sees at `now` (monotonic).
    #[must_use]
    pub fn issue(&self, now: Duration, user: Option<&str>) -> String {
        let seconds = now.as_secs();
        format!("{seconds:x}-{}", self.signature(seconds, user))
    }

    /// Whether the token was issued to this user and is not too old.
    #[must_use]
    pub fn accepts(&self, token: Option<&str>, now: Duration, user: Option<&str>) -> bool {
        let Some((seconds, signature)) = token.and_then(|token| token.split_once('-')) else { return false };
        let Ok(seconds) = u64::from_str_radix(seconds, 16) else { return false };
        let age = now.as_secs().checked_sub(seconds);
        let fresh = age.is_some_and(|age| age <= VALID.as_secs());
        fresh & equal(signature.as_bytes(), self.signature(seconds, user).as_bytes())
    }

    /// HMAC-SHA-1 (RFC 2104) over time and user, in hex.
    fn signature(&self, seconds: u64, user: Option<&str>) -> String {
        let pad = |with: u8| {
            let mut block = [with; BLOCK];
            for (byte, secret) in block.iter_mut().zip(self.secret) {
                *byte ^= secret;
            }
            block
        };
        let name = user.map_or_else(|| "nobody".to_owned(), |user| format!("user {user}"));
        let inner =
            Sha1::new().chain_update(pad(0x36)).chain_update(seconds.to_be_bytes()).chain_update(name).finalize();
        let outer = Sha1::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
        outer
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 0xf])
            .filter_map(|half| char::from_digit(half.into(), 16))
            .collect()
    }
}

/// Compares in a time that depends on the length alone.
fn equal(given: &[u8], right: &[u8]) -> bool {
    given.len() == right.len() && black_box(given.iter().zip(right).fold(0, |all, (a, b)| all | black_box(a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_token_is_good_for_its_user_and_its_time() {
        let tokens = Tokens::new([7; SECRET_BYTES]);
        let token = tokens.issue(HOUR, Some("admin"));
        let accepts = |now, user| tokens.accepts(Some(&token), now, user);
        assert!(accepts(HOUR, Some("admin")) && accepts(13 * HOUR, Some("admin")));
        assert!(!accepts(14 * HOUR, Some("admin")), "too old");
        assert!(!accepts(Duration::ZERO, Some("admin")), "of the future");
        assert!(!accepts(HOUR, Some("other")) && !accepts(HOUR, None));
        assert!(!Tokens::new([8; SECRET_BYTES]).accepts(Some(&token), HOUR, Some("admin")), "another secret");
    }

    #[test]
    fn nothing_else_is_a_token() {
        let tokens = Tokens::new([7; SECRET_BYTES]);
        let token = tokens.issue(HOUR, None);
        let later = format!("{:x}-{}", 2 * 3600, token.split_once('-').unwrap().1);
        for wrong in [None, Some(""), Some("-"), Some("e10-"), Some("zz-00"), Some(later.as_str()), Some(&token[..20])]
        {
            assert!(!tokens.accepts(wrong, 2 * HOUR, None), "{wrong:?}");
        }
        assert!(tokens.accepts(Some(&token), 2 * HOUR, None));
    }

    #[test]
    fn the_signature_is_hmac_sha1() {
        // Computed with Python: hmac.new(bytes([7]*32), (3600).to_bytes(8, 'big') + b'user admin', 'sha1').hexdigest()
        let tokens = Tokens::new([7; SECRET_BYTES]);
        assert_eq!(tokens.signature(3600, Some("admin")), "3eaa7c75a92ac0dd8d1b3791b5e9bb20ac12586c");
    }
}
