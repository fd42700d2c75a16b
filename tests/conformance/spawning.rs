//! What a child finds: environment, folder, mask, user, descriptors; and why it could not be started.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::json;

use crate::daemon::Daemon;
use crate::notice::tell;
use crate::subject::Subject;
use crate::transcript::Transcript;

daemons![
    the_environment_is_the_daemons_and_the_configured_one,
    environment_values_are_quoted_as_supervisor_reads_them,
    the_child_works_in_its_directory_with_its_umask,
    the_child_leads_its_own_process_group,
    the_child_has_three_descriptors,
    the_child_runs_as_its_user,
    commands_are_split_as_a_shell_would,
    commands_are_found_on_the_path,
    a_command_that_cannot_be_run_says_why,
    a_child_that_cannot_be_prepared_says_why_in_its_log,
    numprocs_makes_processes_with_numbers,
    standard_input_is_a_pipe_that_rpc_writes_to,
    autostart_follows_the_priorities,
];

/// A program that runs once and leaves what it prints in `NAME.txt`.
fn once(name: &str, script: &str, keys: &str) -> String {
    format!(
        "[program:{name}]\ncommand=/bin/sh -c '{script}'\nstartsecs=0\nautorestart=false\nstdout_logfile=%(here)s/{name}.txt\n{keys}\n"
    )
}

fn text_of(daemon: &Daemon, name: &str) -> String {
    daemon.wait_state(name, "EXITED");
    let file = format!("{name}.txt");
    daemon.wait_lines(&file, 1);
    daemon.text(&file)
}

fn without_noise(text: &str) -> String {
    let noise = ["PATH=", "LD_LIBRARY_PATH=", "GALAXYD_TEST_TAG=", "OLDPWD=", "_=", "SHLVL=", "PWD="];
    let mut lines: Vec<&str> = text.lines().filter(|line| !noise.iter().any(|word| line.starts_with(word))).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn the_environment_is_the_daemons_and_the_configured_one(subject: Subject) {
    let sections = format!(
        "{}{}[program:x]\ncommand=/bin/sh -c env\nprocess_name=x%(process_num)d\nnumprocs=1\nstartsecs=0\nautorestart=false\nstdout_logfile=%(here)s/x.txt\n\
         environment=N=\"%(process_num)d\",GLOBAL=\"mine\",SUPERVISOR_GROUP_NAME=\"forged\"\n[group:g]\nprograms=x\n",
        once("plain", "env", ""),
        once(
            "own",
            "env",
            "environment=A=\"1\",B=\"two words\",C=\"%(program_name)s-%(group_name)s-%(here)s\",HOME=\"/nowhere\"\nserverurl=http://example:1"
        )
    );
    let daemon = Daemon::start_with(subject, "environment=GLOBAL=\"yes\",OTHER=\"%(ENV_LC_ALL)s\"", "", &sections);
    let mut transcript = Transcript::of(&daemon);
    for name in ["plain", "own"] {
        transcript.note(format!("-- {name}")).note(without_noise(&text_of(&daemon, name)));
    }
    daemon.wait_state("g:x0", "EXITED");
    transcript.note("-- g:x0").note(without_noise(&daemon.text("x.txt"))).check("environment");
}

fn environment_values_are_quoted_as_supervisor_reads_them(subject: Subject) {
    let values = "A='x y',B=\"a,b\",C=\"it's\",D=\"x=y\",E=\"\",F=plain,G=a/b-c.d:e(f),H=\"100%%\",I=\"#no comment\",\n  J=\"multi\n   line\",K=last,";
    let daemon = Daemon::start(subject, &once("p", "env | grep -E \"^([A-K]=| )\"", &format!("environment={values}")));
    Transcript::of(&daemon).note(text_of(&daemon, "p")).check("environment_values");
}

fn the_child_works_in_its_directory_with_its_umask(subject: Subject) {
    let sections = format!(
        "{}{}{}",
        once("plain", "pwd; umask", ""),
        once("elsewhere", "pwd; umask", "directory=%(here)s/sub\numask=077"),
        once("open", "umask", "umask=000")
    );
    let mut daemon = Daemon::folder_with(subject, "umask=027\ndirectory=%(here)s", "", &sections);
    fs::create_dir(daemon.path("sub")).unwrap();
    daemon.run();
    let mut transcript = Transcript::of(&daemon);
    for name in ["plain", "elsewhere", "open"] {
        transcript.note(format!("-- {name}")).note(text_of(&daemon, name));
    }
    transcript.check("directory_umask");
}

fn the_child_leads_its_own_process_group(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    let pid = daemon.process_pid("p");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[2], pid.to_string(), "process group");
    let parent: i32 = fields[1].parse().unwrap();
    assert_eq!(parent, daemon.pid(), "the daemon in the pidfile is the parent");
    let stat = fs::read_to_string(format!("/proc/{parent}/stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().to_string();
    assert_eq!(fields[3], session, "same session");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let blocked = status.lines().find(|line| line.starts_with("SigBlk:")).unwrap();
    assert!(blocked.ends_with("0000000000000000"), "{blocked}");
}

fn the_child_has_three_descriptors(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/cat\nstartsecs=0\n[program:q]\ncommand=/bin/cat\nstartsecs=0\nredirect_stderr=true\n",
    );
    daemon.wait_running(&["p", "q"]);
    for name in ["p", "q"] {
        let pid = daemon.process_pid(name);
        // Between fork and exec there may be more of them, and the start window is empty here.
        crate::wait::until_true("three descriptors", || {
            let mut fds: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
                .map(|entries| entries.flatten().map(|entry| entry.file_name().into_string().unwrap()).collect())
                .unwrap_or_default();
            fds.sort_unstable();
            fds == ["0", "1", "2"]
        });
        for fd in 0..3 {
            let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
            assert!(target.to_string_lossy().starts_with("pipe:"), "{name} {fd}: {}", target.display());
        }
    }
    let of = |name: &str, fd: u8| fs::read_link(format!("/proc/{}/fd/{fd}", daemon.process_pid(name))).unwrap();
    assert_ne!(of("p", 1), of("p", 2));
    assert_eq!(of("q", 1), of("q", 2), "redirect_stderr");
}

fn the_child_runs_as_its_user(subject: Subject) {
    if !nix::unistd::Uid::effective().is_root() {
        tell("could not run: changing the user needs root");
        return;
    }
    let sections = format!(
        "{}{}",
        once("named", "id -u; id -g; id -G; echo $HOME $USER; id -un", "user=nobody\nenvironment=USER=\"set-by-hand\""),
        once("numbered", "id -u; id -g; id -G", "user=65534")
    );
    let daemon = Daemon::start(subject, &sections);
    Transcript::of(&daemon).note(text_of(&daemon, "named")).note(text_of(&daemon, "numbered")).check("user");
    let log = fs::metadata(daemon.path("named.txt")).unwrap();
    assert_eq!((log.uid(), log.permissions().mode() & 0o777), (0, 0o644), "logs belong to the daemon");
}

fn commands_are_split_as_a_shell_would(subject: Subject) {
    let daemon = Daemon::folder(
        subject,
        "[program:p]\ncommand=%(here)s/show one 'two words' \"three 'words' $HOME `x` \\\" \\$ q\" four\\ words a\"b\"'c' '' * ~ a#b $X ${Y} a|b > out\n\
         startsecs=0\nautorestart=false\nstdout_logfile=%(here)s/p.txt\n",
    );
    let show = daemon.path("show");
    fs::write(&show, "#!/bin/sh\nfor word in \"$@\"; do echo \"<$word>\"; done\n").unwrap();
    fs::set_permissions(&show, fs::Permissions::from_mode(0o755)).unwrap();
    let mut daemon = daemon;
    daemon.run();
    Transcript::of(&daemon).note(text_of(&daemon, "p")).check("command_words");
}

fn commands_are_found_on_the_path(subject: Subject) {
    let sections = "[program:bare]\ncommand=true\nstartsecs=0\nautorestart=false\n\
        [program:own]\ncommand=onlyhere\nenvironment=PATH=\"%(here)s:/bin\"\nstartsecs=0\nautorestart=false\nstartretries=0\n\
        [program:relative]\ncommand=./sub/prog\nstartsecs=0\nautorestart=false\nstartretries=0\ndirectory=/\nautostart=false\n";
    let mut daemon = Daemon::folder(subject, sections);
    fs::create_dir(daemon.path("sub")).unwrap();
    for name in ["onlyhere", "sub/prog"] {
        fs::write(daemon.path(name), "#!/bin/sh\nexit 0\n").unwrap();
        fs::set_permissions(daemon.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    daemon.run();
    daemon.wait_state("bare", "EXITED");
    crate::wait::until_true("own to be decided", || {
        daemon.info("own", "statename").is_ok_and(|state| state == "EXITED" || state == "FATAL")
    });
    Transcript::of(&daemon)
        .ctl(&daemon, &["start", "relative"])
        .rpc(&daemon, json!([["supervisor.getProcessInfo", ["own"]], ["supervisor.getProcessInfo", ["relative"]]]))
        .check("command_path");
}

fn a_command_that_cannot_be_run_says_why(subject: Subject) {
    let mut sections = String::new();
    let commands = [
        "/nonexistent/program",
        "nonexistent-program",
        "%(here)s",
        "%(here)s/plain",
        "'unclosed",
        "\"\"",
        "sub/../plain",
    ];
    for (number, command) in commands.iter().enumerate() {
        sections.extend([format!("[program:p{number}]\ncommand={command}\nstartretries=0\n")]);
    }
    let mut daemon = Daemon::folder(subject, &sections);
    fs::write(daemon.path("plain"), "").unwrap();
    fs::create_dir(daemon.path("sub")).unwrap();
    daemon.run();
    let mut transcript = Transcript::of(&daemon);
    for (number, command) in commands.iter().enumerate() {
        let name = format!("p{number}");
        daemon.wait_state(&name, "FATAL");
        transcript.note(format!("-- command={command}"));
        transcript.ctl(&daemon, &["start", &name]);
        transcript
            .rpc(&daemon, json!([["supervisor.startProcess", [&name]], ["supervisor.startProcessGroup", [&name]]]));
        transcript.ctl(&daemon, &["status", &name]);
    }
    transcript.check("spawn_errors");
}

fn a_child_that_cannot_be_prepared_says_why_in_its_log(subject: Subject) {
    let mut daemon = Daemon::folder(
        subject,
        "[program:folder]\ncommand=/bin/cat\ndirectory=%(here)s/nowhere\nstartretries=0\nstderr_logfile=%(here)s/folder.err\n\
         [program:noexec]\ncommand=%(here)s/script\nstartretries=0\nstderr_logfile=%(here)s/noexec.err\n\
         [program:interpreter]\ncommand=%(here)s/lost\nstartretries=0\nredirect_stderr=true\nstdout_logfile=%(here)s/interpreter.out\n",
    );
    for (name, text) in [("script", "echo no interpreter line\n"), ("lost", "#!/nonexistent/interpreter\n")] {
        fs::write(daemon.path(name), text).unwrap();
        fs::set_permissions(daemon.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    daemon.run();
    let mut transcript = Transcript::of(&daemon);
    for (name, log) in [("folder", "folder.err"), ("noexec", "noexec.err"), ("interpreter", "interpreter.out")] {
        daemon.wait_state(name, "FATAL");
        transcript.note(format!("-- {name}")).note(daemon.text(log)).ctl(&daemon, &["status", name]);
        transcript.log(&daemon, &[&format!("exited: {name}")]);
    }
    transcript.check("child_errors");
}

fn numprocs_makes_processes_with_numbers(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:n]\ncommand=/bin/sh -c 'echo %(process_num)03d of %(numprocs)s %(program_name)s; exec cat'\nstartsecs=0\n\
         process_name=%(program_name)s_%(process_num)02d\nnumprocs=3\nnumprocs_start=9\nstdout_logfile=%(here)s/%(program_name)s-%(process_num)d.txt\n\
         [program:empty]\ncommand=/bin/cat\nprocess_name=%(process_num)d\nnumprocs=0\n\
         [program:one]\ncommand=/bin/cat\nprocess_name=another\nstartsecs=0\n",
    );
    daemon.wait_running(&["n:n_09", "n:n_10", "n:n_11", "one:another"]);
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["status"]);
    for number in 9..12 {
        let file = format!("n-{number}.txt");
        daemon.wait_lines(&file, 1);
        transcript.note(daemon.text(&file));
    }
    transcript.ctl(&daemon, &["status", "empty:*", "n:*", "one"]).check("numprocs");
}

fn standard_input_is_a_pipe_that_rpc_writes_to(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=%(here)s/cat.txt\n\
         [program:closed]\ncommand=/bin/sh -c 'exec <&-; echo closed; sleep 1000'\nstartsecs=0\nstdout_logfile=%(here)s/closed.txt\n\
         [program:idle]\ncommand=/bin/cat\nautostart=false\n",
    );
    daemon.wait_running(&["cat"]);
    daemon.wait_text("closed.txt", "closed");
    let mut transcript = Transcript::of(&daemon);
    transcript.rpc(
        &daemon,
        json!([
            ["supervisor.sendProcessStdin", ["cat", "hällo\n"]],
            ["supervisor.sendProcessStdin", ["cat", ""]],
            ["supervisor.sendProcessStdin", ["idle", "x"]],
            ["supervisor.sendProcessStdin", ["nobody", "x"]],
            ["supervisor.sendProcessStdin", ["closed", "x"]],
        ]),
    );
    daemon.wait_text("cat.txt", "hällo");
    transcript.check("stdin");
}

fn autostart_follows_the_priorities(subject: Subject) {
    let program =
        |name: &str, priority: i32| format!("[program:{name}]\ncommand=/bin/cat\nstartsecs=0\npriority={priority}\n");
    let sections = format!(
        "{}{}{}{}{}[group:g]\nprograms=y,x\npriority=5\n",
        program("last", 1000),
        program("b", 10),
        program("a", 10),
        program("x", 1),
        program("y", 2)
    );
    let daemon = Daemon::start(subject, &sections);
    daemon.wait_running(&["last", "a", "b", "g:x", "g:y"]);
    Transcript::of(&daemon).log(&daemon, &["spawned"]).check("start_order");
}
