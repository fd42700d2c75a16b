//! F27: includes that cannot be read, or should not be.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::world::World;

#[test]
fn f27_broken_includes_are_refused_before_anything_is_touched() {
    let world = World::new("[include]\nfiles = conf.d/*.conf\n");
    fs::create_dir(world.path("conf.d")).unwrap();
    let broken = world.path("conf.d/x.conf");
    let sparse = || fs::File::create(&broken).unwrap().set_len(1 << 30).unwrap();
    let cases: [(&str, &dyn Fn()); 7] = [
        ("a directory", &|| fs::create_dir(&broken).unwrap()),
        ("a link to nothing", &|| symlink("nowhere", &broken).unwrap()),
        ("a link to itself", &|| symlink(&broken, &broken).unwrap()),
        ("a pipe", &|| mkfifo(&broken, Mode::from_bits_truncate(0o600)).unwrap()),
        ("a device", &|| symlink("/dev/zero", &broken).unwrap()),
        ("a gigabyte", &sparse),
        ("no configuration", &|| fs::write(&broken, "\u{feff}[program:x\r\ncommand").unwrap()),
    ];
    for (what, make) in cases {
        make();
        for command in ["reread", "update"] {
            let begin = world.text("main.log").len();
            let outcome = world.ctl(&[command]);
            // What cannot be opened is passed over, as by Supervisor, and named in the log.
            let told =
                if outcome.code == Some(0) { world.text("main.log").split_off(begin) } else { outcome.stdout.clone() };
            assert!(told.contains("x.conf"), "{what}: {command}: {outcome:?}");
            assert_eq!(outcome.code != Some(0), what == "no configuration", "{what}: {command}: {outcome:?}");
        }
        let gone = if broken.is_dir() { fs::remove_dir(&broken) } else { fs::remove_file(&broken) };
        gone.unwrap();
    }
    // Nothing that matches is nothing wrong, whatever its ends of lines.
    assert_eq!(world.ctl(&["reread"]).code, Some(0));
    fs::write(&broken, "\u{feff}[program:y]\r\ncommand=sleep 1000\r\nautostart=false\r\n").unwrap();
    let outcome = world.ctl(&["reread"]);
    assert!(outcome.stdout.contains("y: available"), "{outcome:?}");
    assert!(world.text("main.log").contains("No file matches"));
    // One whose program runs is not passed over: that would take the program away.
    assert_eq!(world.ctl(&["update"]).code, Some(0));
    world.start("y");
    let pid = world.process_pid("y");
    fs::rename(&broken, world.path("y.conf")).unwrap();
    symlink("nowhere", &broken).unwrap();
    for command in [&["reread"][..], &["update", "--dry-run"], &["update"], &["reload"]] {
        let outcome = world.ctl(command);
        let reason = format!("{} belongs to the configuration in force and cannot be opened now", broken.display());
        assert!(outcome.code != Some(0) && outcome.stdout.contains(&reason), "{command:?}: {outcome:?}");
    }
    assert_eq!(world.process_pid("y"), pid);
    // Once it is gone, its program is meant to go.
    fs::remove_file(&broken).unwrap();
    let outcome = world.ctl(&["update"]);
    assert!(outcome.code == Some(0) && outcome.stdout.contains("y: removed process group"), "{outcome:?}");
    world.end();
}
