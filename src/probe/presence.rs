//! Things outside of the daemon: whether they are there.

use std::io;

use super::side::on_a_side_thread;
use crate::config::Outside;

/// Looks once.
///
/// # Errors
/// What is missing, in words.
pub(super) async fn look(thing: &Outside) -> Result<(), String> {
    match thing {
        Outside::Answer(check) => super::ask_now(check).await,
        Outside::Path(path) => {
            let looked = path.clone();
            match on_a_side_thread(move || std::fs::metadata(looked)).await {
                Some(Ok(_)) => Ok(()),
                Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(format!("{path} is not there")),
                Some(Err(error)) => Err(format!("{path}: {error}")),
                None => Err(format!("{path} cannot be looked at")),
            }
        }
        Outside::User(name) => {
            let looked = name.clone();
            match on_a_side_thread(move || nix::unistd::User::from_name(&looked)).await {
                Some(Ok(Some(_))) => Ok(()),
                Some(Ok(None)) | None => Err(format!("there is no account {name}")),
                Some(Err(error)) => Err(format!("account {name}: {}", error.desc())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data").display().to_string();
        assert_eq!(look(&Outside::Path(path.clone())).await, Err(format!("{path} is not there")));
        std::fs::create_dir(&path).unwrap();
        assert_eq!(look(&Outside::Path(path)).await, Ok(()));
        assert_eq!(look(&Outside::User("root".to_owned())).await, Ok(()));
        let nobody = "no-such-account-here";
        assert_eq!(look(&Outside::User(nobody.to_owned())).await, Err(format!("there is no account {nobody}")));
    }
}
