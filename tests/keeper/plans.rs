//! Who a program becomes.

use std::os::unix::fs::PermissionsExt;

use galaxyd::engine::Exit;
use galaxyd::keeper::{FromKeeper, Stage};
use galaxyd::sys::plan::User;

use crate::notice::tell;
use crate::rig::{Rig, shell};

fn current_uid() -> u32 {
    nix::unistd::getuid().as_raw()
}

/// Tells and gives false where the test cannot be made.
fn we_are_root() -> bool {
    let root = current_uid() == 0;
    if !root {
        tell("could not run: only root can become somebody else");
    }
    root
}

#[test]
fn root_becomes_somebody_else_groups_first() {
    if !we_are_root() {
        return;
    }
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let mut planned = shell("id -u; id -g; id -G; grep -E '^(Uid|Gid)' /proc/self/status");
    // Had the user been changed before the groups, the kernel would have refused the groups.
    planned.user = User::Become { uid: 65534, gid: 65533, groups: vec![65533, 1234, 5678] };
    let (output, errors, exit) = rig.run(&worker, 1, &planned);
    let expected = "65534\n65533\n65533 1234 5678\n\
        Uid:\t65534\t65534\t65534\t65534\nGid:\t65533\t65533\t65533\t65533\n";
    assert_eq!((output.as_str(), errors.as_str(), exit), (expected, "", Exit::Code(0)));
    rig.end(&mut worker, 0);
}

#[test]
fn becoming_who_the_keeper_is_changes_nothing() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let mut planned = shell("id -g; id -G");
    let before = rig.run(&worker, 1, &planned).0;
    planned.user = User::Become { uid: current_uid(), gid: 4444, groups: vec![4444, 1234] };
    assert_eq!(rig.run(&worker, 2, &planned).0, before);
    rig.end(&mut worker, 0);
}

#[test]
fn others_cannot_become_anybody() {
    let setup = if current_uid() == 0 { "uid=61235" } else { "" };
    let (rig, mut worker) = Rig::start(setup);
    worker.come_up();
    let mut planned = shell("true");
    planned.user = User::Become { uid: 1, gid: 1, groups: vec![1] };
    let (_, errors, exit) = rig.run(&worker, 1, &planned);
    let expected = "supervisor: couldn't setuid to 1: Can't drop privilege as nonroot user\n\
        supervisor: child process was not spawned\n";
    assert_eq!((errors.as_str(), exit), (expected, Exit::Code(127)));
    let failed = FromKeeper::ExecFailed { id: 1, stage: Stage::User, errno: libc::EPERM };
    worker.expect(|message| *message == failed);
    rig.end(&mut worker, 0);
}

#[test]
fn the_directory_is_entered_as_the_new_user() {
    if !we_are_root() {
        return;
    }
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let path = directory.path().to_str().unwrap();
    let mut planned = shell("true");
    planned.directory = Some(std::ffi::CString::new(path).unwrap());
    planned.user = User::Become { uid: 65534, gid: 65534, groups: vec![65534] };
    let (_, errors, _) = rig.run(&worker, 1, &planned);
    assert!(errors.starts_with(&format!("supervisor: couldn't chdir to {path}: EACCES\n")), "{errors}");
    rig.end(&mut worker, 0);
}

#[test]
fn a_full_process_table_is_told() {
    if !we_are_root() {
        return;
    }
    // Root has no such limit. A user nobody else is may have the keeper and its worker, and no third.
    let (rig, mut worker) = Rig::start("uid=61234 processes=2");
    worker.come_up();
    worker.spawn(1, &shell("true"));
    worker.expect(|m| *m == FromKeeper::SpawnFailed { id: 1, forking: true, errno: libc::EAGAIN });
    rig.end(&mut worker, 0);
}
