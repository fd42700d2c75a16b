//! Who may do what at one endpoint.

use hyper::header::HeaderValue;
use nix::unistd::geteuid;

use super::auth;
use super::incoming::Peer;
use crate::config::{Access, Accounts, ServerAuth, ServerConfig};

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Nothing.
    Stranger,
    /// What changes nothing and shows no secrets.
    Reader,
    Admin,
}

/// The rules of one endpoint.
#[derive(Debug)]
pub(super) struct Admission {
    auth: Option<ServerAuth>,
    access: Access,
    /// The daemon's own account.
    own: u32,
}

impl Admission {
    pub(super) fn of(server: &ServerConfig) -> Admission {
        let (auth, access) = match server {
            ServerConfig::Unix(unix) => (&unix.auth, &unix.access),
            ServerConfig::Inet(inet) => (&inet.auth, &inet.access),
        };
        Admission { auth: auth.clone(), access: access.clone(), own: geteuid().as_raw() }
    }

    pub(super) fn has_password(&self) -> bool {
        self.auth.is_some()
    }

    /// Whether groups matter, so that they have to be asked for.
    pub(super) fn wants_groups(&self) -> bool {
        self.access.accounts.is_some()
    }

    /// What the account of a client allows it; `groups` are all it is in. Root and the daemon's own account need no
    /// permission: they can do everything without us.
    pub(super) fn role_of(&self, peer: &Peer, groups: &[u32]) -> Role {
        match (peer, &self.access.accounts) {
            (Peer::Inet { .. }, _) | (Peer::Unix { .. }, None) => Role::Admin,
            (Peer::Unix { uid, .. }, _) if *uid == 0 || *uid == self.own => Role::Admin,
            (Peer::Unix { uid, .. }, Some(accounts)) => listed(accounts, *uid, groups),
        }
    }

    /// The user whose credentials these are, and what he may do; `None` if they are nobody's. Without a password
    /// everybody is somebody without a name.
    pub(super) fn user_of(&self, header: Option<&HeaderValue>) -> Option<(Option<String>, Role)> {
        let Some(auth) = &self.auth else { return Some((None, Role::Admin)) };
        let is = |auth: &ServerAuth| auth::user_of(header, auth);
        // Both are always compared, so that the time does not tell which name exists.
        let (admin, reader) = (is(auth), self.access.reader.as_ref().and_then(is));
        admin.map(|user| (Some(user), Role::Admin)).or_else(|| reader.map(|user| (Some(user), Role::Reader)))
    }
}

fn listed(accounts: &Accounts, uid: u32, groups: &[u32]) -> Role {
    let is_in = |users: &[u32], listed: &[u32]| users.contains(&uid) || groups.iter().any(|gid| listed.contains(gid));
    if is_in(&accounts.admin_users, &accounts.admin_groups) {
        Role::Admin
    } else if is_in(&accounts.read_users, &accounts.read_groups) {
        Role::Reader
    } else {
        Role::Stranger
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::base64;

    fn admission(accounts: Option<Accounts>) -> Admission {
        let auth = |username: &str| Some(ServerAuth { username: username.to_owned(), password: "pw".to_owned() });
        Admission { auth: auth("boss"), access: Access { reader: auth("guest"), accounts }, own: 1000 }
    }

    fn peer(uid: u32) -> Peer {
        Peer::Unix { pid: 1, uid, command: String::new(), user: None }
    }

    #[test]
    fn accounts_have_the_highest_role_that_any_list_gives_them() {
        let accounts =
            Accounts { admin_users: vec![1], admin_groups: vec![10], read_users: vec![2, 1], read_groups: vec![20] };
        let admission = admission(Some(accounts));
        for (uid, groups, role) in [
            (0, [].as_slice(), Role::Admin),
            (1000, &[], Role::Admin),
            (1, &[], Role::Admin),
            (2, &[], Role::Reader),
            (2, &[5, 10], Role::Admin),
            (3, &[20], Role::Reader),
            (3, &[20, 10], Role::Admin),
            (3, &[1, 2, 0], Role::Stranger),
            (65_534, &[65_534], Role::Stranger),
        ] {
            assert_eq!(admission.role_of(&peer(uid), groups), role, "{uid} {groups:?}");
        }
    }

    #[test]
    fn without_lists_the_sockets_mode_has_decided() {
        assert_eq!(admission(None).role_of(&peer(3), &[]), Role::Admin);
        assert_eq!(admission(Some(Accounts::default())).role_of(&peer(3), &[]), Role::Stranger);
    }

    #[test]
    fn a_user_is_who_he_has_the_password_of() {
        let admission = admission(None);
        let role = |credentials: &str| {
            let header = format!("Basic {}", base64::encode(credentials.as_bytes()));
            admission.user_of(Some(&HeaderValue::from_str(&header).unwrap())).map(|(user, role)| (user.unwrap(), role))
        };
        assert_eq!(role("boss:pw"), Some(("boss".to_owned(), Role::Admin)));
        assert_eq!(role("guest:pw"), Some(("guest".to_owned(), Role::Reader)));
        assert_eq!(role("guest:"), None);
        assert_eq!(role("other:pw"), None);
        assert_eq!(admission.user_of(None), None);
    }
}
