//! From plan to program.

use std::os::fd::AsFd;

use galaxyd::engine::Exit;
use galaxyd::keeper::{FromKeeper, Stage, ToKeeper};
use galaxyd::sys::plan::{ExecPlan, SoftLimit, Stderr, Stdin, User};

use crate::rig::{Rig, plan, read_all, read_line, shell};

const NOT_SPAWNED: &str = "supervisor: child process was not spawned\n";

#[test]
fn a_program_runs_and_its_end_is_told() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let (output, errors, exit) = rig.run(&worker, 1, &shell("echo out; echo err >&2; exit 7"));
    assert_eq!((output.as_str(), errors.as_str(), exit), ("out\n", "err\n", Exit::Code(7)));
    assert_eq!(worker.unexpected(), []);
    assert_eq!(rig.end(&mut worker, 0), 0);
}

#[test]
fn a_program_reads_what_is_written_to_it() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let (_, pipes) = rig.spawn(&worker, 1, &shell("read line; echo \"heard $line\""));
    nix::unistd::write(&pipes[0], b"something\n").unwrap();
    assert_eq!(read_all(&pipes[1]), "heard something\n");
    assert_eq!(worker.exited(1), Exit::Code(0));
    rig.end(&mut worker, 0);
}

#[test]
fn stderr_can_share_the_pipe_of_stdout_and_stdin_can_be_given() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let mut both = shell("cat; echo err >&2");
    both.stderr = Stderr::Stdout;
    both.stdin = Stdin::Given;
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"from a file\n").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let encoded = both.encode().unwrap();
    let spawn = ToKeeper::Spawn { id: 1, tag: String::new() };
    worker.say_with(&spawn, &[encoded.as_fd(), file.as_fd()]);
    let (message, pipes) = worker.expect(|message| matches!(message, FromKeeper::Spawned { .. }));
    assert!(matches!(message, FromKeeper::Spawned { has_stdin: false, has_stderr: false, .. }));
    assert_eq!(pipes.len(), 1);
    assert_eq!(read_all(&pipes[0]), "from a file\nerr\n");
    rig.end(&mut worker, 0);
}

#[test]
fn a_child_that_cannot_enter_its_cgroup_says_so_and_runs_without() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    // Refuses every byte.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (id, path, script) in [(1, "/bin/sh", "ls -l /proc/self/fd; exit 7"), (2, "/nonexistent", "")] {
        let plan = ExecPlan { enters_cgroup: true, ..plan(path, &["sh", "-c", script]) };
        let message = ToKeeper::Spawn { id, tag: String::new() };
        worker.say_with(&message, &[plan.encode().unwrap().as_fd(), full.as_fd()]);
        let spawned = |message: &FromKeeper| matches!(message, FromKeeper::Spawned { id: its, .. } if *its == id);
        let (_, pipes) = worker.expect(spawned);
        let missed = FromKeeper::NotGrouped { id, errno: libc::ENOSPC };
        worker.expect(|message| *message == missed);
        if id == 1 {
            let seen = read_all(&pipes[1]);
            assert!(seen.contains("pipe:") && !seen.contains("/dev/full"), "{seen}");
            assert_eq!(worker.exited(id), Exit::Code(7));
        } else {
            worker.expect(|message| matches!(message, FromKeeper::ExecFailed { stage: Stage::Exec, .. }));
            assert_eq!(worker.exited(id), Exit::Code(127));
        }
    }
    // One that must not run without ends instead.
    let plan = ExecPlan { enters_cgroup: true, is_confined: true, ..shell("exit 7") };
    worker.say_with(&ToKeeper::Spawn { id: 4, tag: String::new() }, &[plan.encode().unwrap().as_fd(), full.as_fd()]);
    let refused = FromKeeper::ExecFailed { id: 4, stage: Stage::Confinement, errno: libc::ENOSPC };
    worker.expect(|message| *message == refused);
    assert_eq!(worker.exited(4), Exit::Code(127));
    // One that got lost on its way is not passed over.
    let plan = ExecPlan { enters_cgroup: true, ..shell("true") };
    worker.spawn(3, &plan);
    worker.expect(|message| *message == FromKeeper::SpawnFailed { id: 3, forking: false, errno: libc::EMFILE });
    rig.end(&mut worker, 0);
}

#[test]
fn a_program_finds_itself_as_planned() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let mut planned = shell("umask; pwd; ulimit -Sn; echo $A; cut -d' ' -f1,5 /proc/self/stat; cat /proc/$$/stat");
    planned.umask = Some(0o027);
    planned.directory = Some(c"/usr/bin".to_owned());
    planned.limits = vec![SoftLimit { resource: libc::RLIMIT_NOFILE, soft: 123 }];
    planned.environment.push(c"A=a b".to_owned());
    let (pid, pipes) = rig.spawn(&worker, 1, &planned);
    let output = read_all(&pipes[1]);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(&lines[..4], ["0027", "/usr/bin", "123", "a b"]);
    // Fields 4 and 5: the keeper is the direct parent, and the child leads its group.
    let fields: Vec<&str> = lines[5].rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[1..3], [rig.pid().to_string(), pid.to_string()]);
    rig.end(&mut worker, 0);
}

#[test]
fn a_soft_limit_above_the_hard_one_is_lowered_to_it() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let mut planned = shell("ulimit -Sn; ulimit -Hn");
    planned.limits = vec![SoftLimit { resource: libc::RLIMIT_NOFILE, soft: u64::MAX }];
    let (output, _, _) = rig.run(&worker, 1, &planned);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], lines[1]);
    rig.end(&mut worker, 0);
}

#[test]
fn no_descriptor_leaks_into_programs_or_workers() {
    let (rig, mut worker) = Rig::start("held=one held=two");
    assert_eq!((worker.open_files, worker.leaked_variables), (5, false));
    worker.come_up();
    let (_, _first) = rig.spawn(&worker, 1, &shell("read forever"));
    let (output, _, _) = rig.run(&worker, 2, &shell("ls /proc/self/fd; env | grep GALAXYD_"));
    // The fourth is the directory that `ls` reads.
    assert_eq!(output, "0\n1\n2\n3\n");
    worker.signal(1, libc::SIGKILL, false);
    worker.exited(1);
    rig.end(&mut worker, 0);
}

#[test]
fn signals_are_as_a_program_expects_them() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    // No shell, which has dispositions of its own.
    let (output, _, _) = rig.run(&worker, 1, &plan("/bin/cat", &["cat", "/proc/self/status"]));
    for field in ["SigBlk", "SigIgn", "SigCgt", "SigPnd"] {
        assert!(output.contains(&format!("{field}:\t0000000000000000\n")), "{output}");
    }
    rig.end(&mut worker, 0);
}

#[test]
fn a_failure_before_exec_is_told_in_supervisors_words() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    std::fs::write(&script, "echo never\n").unwrap();
    let script = script.to_str().unwrap();
    let mode = |mode| {
        std::fs::set_permissions(script, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };

    let mut nowhere = shell("true");
    nowhere.directory = Some(c"/nonexistent/dir".to_owned());
    let mut nobody = shell("true");
    nobody.user = User::Unknown { uid: 4321, reason: c"Can't find uid 4321".to_owned() };
    mode(0o755);
    let cases = [
        (plan("/nonexistent", &["shown", "x"]), "exec shown: ENOENT", Stage::Exec, libc::ENOENT),
        (plan(script, &[script]), &format!("exec {script}: ENOEXEC"), Stage::Exec, libc::ENOEXEC),
        (plan("/", &["/"]), "exec /: EACCES", Stage::Exec, libc::EACCES),
        (nowhere, "chdir to /nonexistent/dir: ENOENT", Stage::Directory, libc::ENOENT),
        (nobody, "setuid to 4321: Can't find uid 4321", Stage::User, libc::EINVAL),
    ];
    for (id, (planned, text, stage, errno)) in (1..).zip(cases) {
        let (output, errors, exit) = rig.run(&worker, id, &planned);
        assert_eq!((output.as_str(), exit), ("", Exit::Code(127)));
        assert_eq!(errors, format!("supervisor: couldn't {text}\n{NOT_SPAWNED}"));
        worker.expect(|message| *message == FromKeeper::ExecFailed { id, stage, errno });
    }
    assert_eq!(worker.unexpected(), []);
    rig.end(&mut worker, 0);
}

#[test]
fn the_failure_is_told_before_the_exit() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    for id in 0..20 {
        worker.spawn(id, &plan("/nonexistent", &["x"]));
        worker.expect(|message| matches!(message, FromKeeper::Exited { .. }));
        let before = worker.unexpected();
        assert!(before.iter().any(|message| matches!(message, FromKeeper::ExecFailed { id: its, .. } if *its == id)));
    }
    rig.end(&mut worker, 0);
}

#[test]
fn what_cannot_be_forked_is_refused_with_the_reason() {
    let (rig, mut worker) = Rig::start("files=24");
    worker.come_up();
    let mut id = 0;
    let errno = loop {
        id += 1;
        worker.spawn(id, &shell("read forever"));
        match worker.expect(|m| matches!(m, FromKeeper::Spawned { .. } | FromKeeper::SpawnFailed { .. })) {
            (FromKeeper::Spawned { .. }, _) => {}
            (FromKeeper::SpawnFailed { id: its, forking: false, errno }, _) if its == id => break errno,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(errno, libc::EMFILE);
    assert!(id > 2);
    // Full is not broken: let some end, and there is room.
    for id in 1..id {
        assert_eq!(worker.signal(id, libc::SIGKILL, false), 0);
        worker.exited(id);
        worker.say(&ToKeeper::Forget { id });
    }
    assert_eq!(rig.run(&worker, 1000, &shell("echo room")).0, "room\n");
    rig.end(&mut worker, 0);
}

#[test]
fn an_id_in_use_and_a_plan_that_is_none_are_refused() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let (_, _pipes) = rig.spawn(&worker, 1, &shell("read forever"));
    worker.spawn(1, &shell("true"));
    worker.expect(|m| *m == FromKeeper::SpawnFailed { id: 1, forking: false, errno: libc::EEXIST });
    let spawn = ToKeeper::Spawn { id: 2, tag: String::new() };
    worker.say_with(&spawn, &[tempfile::tempfile().unwrap().as_fd()]);
    worker.expect(|m| *m == FromKeeper::SpawnFailed { id: 2, forking: false, errno: libc::EINVAL });
    let noise = galaxyd::sys::descriptors::sealed_memory(c"noise", b"not a plan").unwrap();
    worker.say_with(&spawn, &[noise.as_fd()]);
    worker.expect(|m| *m == FromKeeper::SpawnFailed { id: 2, forking: false, errno: libc::EINVAL });
    worker.signal(1, libc::SIGKILL, false);
    worker.exited(1);
    rig.end(&mut worker, 0);
}

#[test]
fn a_large_environment_reaches_the_program_and_not_the_keepers_memory() {
    let (rig, mut worker) = Rig::start("");
    worker.come_up();
    let mut large = shell("env | wc -c; read line");
    for number in 0..1000 {
        large.environment.push(std::ffi::CString::new(format!("V{number}={}", "x".repeat(1000))).unwrap());
    }
    let (_, pipes) = rig.spawn(&worker, 1, &large);
    assert!(read_line(&pipes[1]).trim().parse::<u64>().unwrap() > 1_000_000);
    let anonymous = crate::rig::status_field(rig.pid(), "RssAnon").unwrap();
    let kilobytes: u64 = anonymous.trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 1000, "{anonymous}");
    worker.signal(1, libc::SIGKILL, false);
    worker.exited(1);
    rig.end(&mut worker, 0);
}
