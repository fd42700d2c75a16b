//! `docs/configuration.md`, generated from the table that the reader uses.

use std::fmt::Write;

use super::native::example;
use super::schema::{Key, Naming, Preset, SectionKind, ValueType, keys_of};

const INTRODUCTION: &str = "\
<!-- Generated from the schema. After a change run: UPDATE_REFERENCE=1 cargo test --lib config::reference -->

# Configuration

galaxyd reads Supervisor's configuration as it is, and the same settings in a dialect of its own. The name of the file
decides: `.toml` is the native dialect, everything else is Supervisor's. Both may include each other's files.

Three commands help:

- `galaxyd --check -c FILE` or `galaxyctl check FILE` shows everything that is wrong with a file, with line and column,
  and changes nothing.
- `galaxyctl config FILE` prints what is in force, every default filled in.
- `galaxyctl config FILE --format toml` turns either dialect into the native one, `--format ini` into Supervisor's.

## The two dialects

```ini
[supervisord]
environment = LANG=\"C.UTF-8\"

[program:handler]
command = galaxy-handler --server-name=handler%(process_num)d
process_name = handler%(process_num)d
numprocs = 2
startsecs = 15
exitcodes = 0,2
environment = PATH=\"/srv/venv/bin:/usr/bin\"

[group:galaxy]
programs = web,handler
```

```toml
[supervisord]
environment = { LANG = \"C.UTF-8\" }

[program.handler]
command = \"galaxy-handler --server-name=handler%(process_num)d\"
process_name = \"handler%(process_num)d\"
numprocs = 2
startsecs = 15
exitcodes = [0, 2]
environment = { PATH = \"/srv/venv/bin:/usr/bin\" }

[group.galaxy]
programs = [\"web\", \"handler\"]
```

What the native dialect has and Supervisor's has not: types (`startsecs = \"soon\"` is an error where it stands), unknown
sections and keys are errors instead of being ignored, quotes protect everything, a value is %-expanded exactly once,
`%(here)s` is the directory of the file it stands in, `[supervisord]` may be left out, and the RPC interface is there
without being asked for (an empty `[rpcinterface]` takes it away). Octal numbers are written `0o022` or `\"022\"`.

## When a change is in force

The last column of each table says what puts a changed value in force. `galaxyctl update` goes by process: only those that would be
started otherwise than they were restart (`galaxyctl update --dry-run` shows it before). `supervisorctl update` restarts every process of a group in which
anything changed, as Supervisor does.

## Expansion

`%(name)s` in a value stands for a name; Python's formats work, so `%(process_num)02d` gives `07`. `%%` is a percent sign.
`ENV_x` is the variable `x` of the environment that the daemon was started with, or of `[supervisord] environment`. Each
table below says which names a key knows.

Supervisor expands `[supervisord] environment`, `stdout_logfile` and `stderr_logfile` twice and wants `%%%%` there. Both
spellings work here.

## What Supervisor does not have

Keys that are marked \"Not in Supervisor\" below change nothing where they are absent, and Supervisor ignores them.

```ini
; A job: it is to end well, once. Tried again after a failure, FATAL after the fourth in a row.
[program:migrate]
command = /srv/galaxy/manage_db.sh upgrade
type = oneshot
startretries = 3

; It goes into the background, and cannot be told not to.
[program:licences]
command = /opt/licences/bin/lmgrd -c /etc/licences
type = forking

; A wrapper that leaves its workers behind when it is stopped.
[program:client]
command = npm run serve
killtree = true

; It logs a line for each request: of each second no more than this goes into its log.
[program:proxy]
command = /srv/proxy/run
output_rate_max = 256KB

; Account, secrets and nothing else from outside.
[program:web]
command = /srv/venv/bin/gunicorn app
user = galaxy
user_environment = true
clear_environment = true
environment_file = /etc/galaxy/web.env,-/etc/galaxy/local.env
environment = PATH=\"/srv/venv/bin:/usr/bin:/bin\"
```

```ini
; The daemon listens at port 80 and gives the socket to a program that is not root. Who connects while it restarts waits, and
; is not refused. See sockets.md.
[program:front]
command = /srv/venv/bin/gunicorn app
socket = tcp::80
user = galaxy
```

```ini
; A tool that is not to take the machine with it: 8 GB, two CPUs, 500 processes and threads, all of its children included.
[program:tool]
command = /srv/tool/run
memory_high = 7GB
memory_max = 8GB
cpu_max = 200%%
pids_max = 500
```

```ini
; A worker that needs the database: tried again for ever, at ever longer intervals, not all workers at the same moment.
[program:worker]
command = /srv/venv/bin/worker
startretries = unlimited
restart_delay = 1
restart_factor = 2
restart_delay_max = 5m
restart_jitter = 50

; More than five restarts within ten minutes are no accident; the container ends with it.
[program:main]
command = /srv/venv/bin/main
autorestart = true
restart_limit = 5/10m
on_fatal = shutdown
```

**Automatic starts.** `restart_delay` and its companions replace Supervisor's waits of 1, 2, 3 ... seconds; [states.md](states.md) says exactly how. The wait that
is going on is told by `galaxyctl why`. `restart_limit` holds beside `startretries`. A start that fails because the daemon has no descriptors, processes or memory left, or because
the file of the command is being written, uses up neither: it is tried again until there are some, and `status` says what is missing; `count_resource_errors = true`
makes it a failed start as any other, as Supervisor does. `restart_rate` of
`[supervisord]` lets a storm of failing programs start no more than 20 a second, after 100 at once; first starts, requests, updates, and the first restart after a run of 10 seconds
(or `restart_delay_max`) are never slowed. `galaxyctl retry` starts what is FATAL and nothing else.

```ini
; Ready when it answers, twice in a row; a start waits for that, for two minutes at most.
[program:galaxy]
command = /srv/venv/bin/gunicorn --bind 127.0.0.1:8080 app
ready = http://127.0.0.1:8080/api/version status=200 body=version_major
ready_timeout = 2m
ready_successes = 2
rollout = rolling
rollout_front = http://127.0.0.1/api/version
```

```ini
; The web workers wait until the database answers and the schema is there; the mount and the account come from outside.
[program:web]
command = /srv/venv/bin/gunicorn app
depends_on = db:ready, migrate:exited
wait_for = path:/data/galaxy, user:galaxy
[program:db]
command = /usr/lib/postgresql/15/bin/postgres -D /srv/db
ready = unix:/run/postgresql/.s.PGSQL.5432
[program:migrate]
command = /srv/galaxy/manage_db.sh upgrade
type = oneshot
depends_on = db
```

**`depends_on` and `wait_for`.** [One after the other](dependencies.md) says what each condition means, what a start and a stop take along, and what is shown
meanwhile.

**`ready`.** [Ready, not merely running](readiness.md) says what each form means and what waits for it. Nobody is asked without the key.

**`rollout`.** [Restarts without a failed request](zero-downtime.md) says what each strategy does, which one a program has without the key, and what is refused.

**`numprocs_file`.** An absolute path. As long as the file is there, its number stands over `numprocs`, and everybody who reads the configuration says so by a
warning: `galaxyctl check`, and the activity log at the start and at each reread. A file that cannot be read or holds no number refuses the configuration. `galaxyctl scale` writes it; see
[Handlers and their jobs](handlers.md). The directory must outlive a reboot, or the number does not.

```ini
[program:handler]
command = galaxy-main -c /srv/galaxy/galaxy.yml --server-name=handler%(process_num)d --attach-to-pool=job-handlers
process_name = handler%(process_num)d
numprocs = 2
numprocs_file = /var/lib/galaxyd/handler.numprocs
```

**`killtree`.** What a main process leaves behind is found among the orphans that the daemon adopts: those of its process group, those that have
its standard input, output or error still, and those whose environment names the program (`SUPERVISOR_PROCESS_NAME`, `SUPERVISOR_GROUP_NAME`, `SUPERVISOR_SERVER_URL`), with all their descendants. Where
programs have cgroups of their own, everybody in there is found as well, and SIGKILL reaches them all at once (`cgroup.kill`, Linux 5.14). Without
cgroups, a process that left the group, has other standard descriptors *and* changed its environment (`sudo`, `env -i`), or into which the daemon may not look
(another account, in a container without CAP_SYS_PTRACE), is known only by when it began and under which account: it is never ended, with or without the key. Where one program alone can have left it, it is named as left behind by that; where
several can, as unclaimed in the activity log, the history and `galaxyctl why` of each of them, and by `galaxyctl status`. Without the key all of these processes are left alone and named in the
activity log and by `galaxyctl why`. Programs that start jobs which are to outlive them (Galaxy's handlers with the local runner) must not have the
key.

**`pidfile` of a program.** For `type=forking`, an absolute path. When the process that was started has ended, whoever the file names is the program, if it comes from it; the file is waited for for two seconds, then the
program is guessed as without the key. When the main process ends later, however it ends, and the file names another living process of the program, that one goes on: the process stays RUNNING, with its uptime, under the new
pid, and log and history say so. So servers that replace their program while they serve (nginx's and gunicorn's USR2) are followed; they have to write the file before the former main process ends. Without
the key the only process that is left goes on, if the main process ended with exit code 0. A main process that executes itself anew keeps its pid, and nothing has to be followed.

```ini
[program:nginx]
command = /usr/sbin/nginx
type = forking
pidfile = /run/nginx.pid
```

**`runtime_directory`.** Two files in it, named after the pidfile (`supervisord.roll`, `supervisord.journal`), are how a daemon
that is killed is gone on with, see [survival.md](survival.md). They are removed when the daemon ends in good order. It should be a directory in memory or on a
local disk that only the daemon's user can write to. Example:

```ini
[supervisord]
runtime_directory = /run/supervisord
```

**`memory_max`, `memory_high`, `cpu_max`, `pids_max`.** Limits for a process and all its descendants together, enforced by the kernel through the process' own cgroup; each of `numprocs`
processes has its own. They need a cgroup v2 that was handed over *with its controllers* (under systemd `Delegate=yes`, as in the unit that comes with galaxyd; elsewhere `cgroup = PATH`). Where a limit
cannot be enforced, the program is not started: it becomes FATAL by the usual rules, and `spawnerr`, `status` and `galaxyctl why` name the limit and what is missing. Other programs are not concerned.
`galaxyctl update` applies a change to the running process at once. A `memory_max` below what is in use makes the kernel take memory back and, failing that, end somebody; where there is swap, memory is
swapped out before that. A process that the kernel ended for want of memory is told so in the log, by `why` and in the history: `killed by the kernel OOM killer (memory_max=8GB)`; only its main process counts as
its end. The first limit makes the daemon enable the controllers and, where it sits right in the cgroup that was handed over, move to a leaf `galaxyd-main` of it, as the kernel demands.

**`cgroup`.** With a cgroup v2 (also a hybrid `/sys/fs/cgroup/unified`) to use, every program is started in a cgroup of its own, one for each run. `auto` takes the daemon's
own cgroup, or the one above it, if systemd marked it as delegated (`Delegate=yes`); a path is used as it is told, for instance in a container or
from a root shell, where there is no such mark; the daemon must be allowed to write there *and* to the `cgroup.procs` of the cgroup that it and the path
have in common. `none` is for hosts where something else sorts processes into cgroups. Unless a program has limits (`memory_max` and its companions), only grouping is used: no controller is enabled, and the daemon itself stays where it is. The
activity log says at the start where the cgroups are, or in a line of level `trace` why there are none; a program that cannot get one is started without,
and a warning says so once. They are removed when nobody is left in them.

```ini
[supervisord]
cgroup = /sys/fs/cgroup/galaxy
```

**`make_directories`.** Absolute paths, comma separated. What is missing is made with mode 0755, after the change to `user`, before any log is opened, and again when
a running daemon reads the configuration. One that is removed while it runs is made again, with the owner and mode that it had, as soon as a log in it cannot be opened;
a link that was put in its place is not followed. A directory that cannot be made refuses the start; later it is a warning. Paths of `[supervisord]` and logs of programs
may lie in such a directory before it exists.

```ini
[supervisord]
make_directories = /srv/galaxy/log,%(here)s/run
```

**`history_file`.** Without the key the history is kept in the unit's `StateDirectory=` under systemd, else beside the state files (`runtime_directory`, or the pidfile's
directory), named after the pidfile: `supervisord.history`. `NONE` keeps nothing. The directory must exist; what else holds for the file stands in [History](history.md).

```ini
[supervisord]
history_file = /var/lib/galaxyd/history
history_maxbytes = 4MB
```

**`environment_file`.** UTF-8, at most 256 KiB each, a regular file, read at every start (so a restart takes up a change, and `update` does not see
one). Blank lines and lines that begin with `#` or `;` are skipped. Every other line is `NAME=VALUE`; the name is letters, digits
and `_`. Blanks around name and value are taken off. A value in single quotes is taken as it stands; in double quotes `\\\\`, `\\\"`,
`\\$` and `` \\` `` lose their backslash; without quotes everything counts, `#`, quotes and backslashes inside too. No variable is
expanded, no value spans lines, `export` is not known. Whatever else stands there fails the start, and `spawnerr` names file and line. The order,
later ones over earlier ones: the daemon's own environment, `user_environment`, `SUPERVISOR_*`, the files in their order,
`environment` of `[supervisord]` and of the program. `galaxyctl env NAME` shows what comes out.

## Limits

A file has at most 4 MiB, a configuration at most 10,000 files, a section at most 10,000 processes.

";

/// The whole file.
#[must_use]
pub fn reference_markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    values(&mut text);
    text.push_str("## Sections\n");
    for kind in SectionKind::ALL {
        section(kind, &mut text);
    }
    text
}

fn values(text: &mut String) {
    text.push_str("## Values\n\n| value | in Supervisor's dialect | natively, for example |\n| --- | --- | --- |\n");
    for value in ValueType::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} | {} | `{}` |", value.word(), value.describe(), example(value));
    }
    text.push('\n');
}

fn section(kind: SectionKind, text: &mut String) {
    let word = kind.word();
    let headers = match kind.naming() {
        Naming::Single => format!("`[{word}]`"),
        Naming::Optional => format!("`[{word}]` or `[{word}:x]`, natively `[{word}.x]`"),
        Naming::Required => format!("`[{word}:x]`, natively `[{word}.x]`"),
    };
    let _ = write!(text, "\n### {word}\n\n{headers}. {}\n\n", kind.meaning());
    let shares_program = matches!(kind, SectionKind::EventListener | SectionKind::FcgiProgram);
    if shares_program {
        text.push_str("Has the keys of [program](#program) and these:\n\n");
    }
    text.push_str("| key | value | default | meaning | in force after |\n| --- | --- | --- | --- | --- |\n");
    for key in keys_of(kind).filter(|key| key.section == kind) {
        row(key, text);
    }
    names(kind, text);
}

fn row(key: &Key, text: &mut String) {
    let default = match key.preset {
        Preset::Text("") => "empty".to_owned(),
        Preset::Text(default) => format!("`{default}`"),
        Preset::Absent(words) => words.to_owned(),
        Preset::Required => "required".to_owned(),
    };
    let (name, value, meaning, effect) = (key.name, key.value.word(), key.meaning, key.effect.describe());
    let _ = writeln!(text, "| `{name}` | {value} | {default} | {meaning} | {effect} |");
}

/// Which names the keys know, keys of the same names together.
fn names(kind: SectionKind, text: &mut String) {
    let mut sets: Vec<(&str, Vec<&str>)> = Vec::new();
    for key in keys_of(kind).filter(|key| key.section == kind) {
        let names = key.names.describe();
        match sets.iter_mut().find(|(known, _)| *known == names) {
            Some((_, keys)) => keys.push(key.name),
            None => sets.push((names, vec![key.name])),
        }
    }
    text.push('\n');
    for (names, keys) in sets {
        let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        let _ = writeln!(text, "- Names in {}: {names}.", keys.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_the_table() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let wanted = reference_markdown();
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(file, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(file).unwrap_or_default();
        assert!(found == wanted, "docs/configuration.md is out of date; run this test with UPDATE_REFERENCE=1");
    }

    #[test]
    fn the_examples_of_the_reference_mean_the_same() {
        use crate::config::made_up::MadeUp;
        use crate::config::{Overrides, load};
        let text = reference_markdown();
        let fenced = |language: &str| {
            let start = text.split(&format!("```{language}\n")).nth(1).unwrap();
            start.split("```").next().unwrap().to_owned()
        };
        let web = ("\n[program:web]\ncommand = web\n", "\n[program.web]\ncommand = \"web\"\n[rpcinterface]\n");
        let host =
            MadeUp::new().file("/etc/x.conf", &(fenced("ini") + web.0)).file("/etc/x.toml", &(fenced("toml") + web.1));
        let config = |name: &str| {
            let loaded = load(std::path::Path::new(name), &Overrides::default(), &host);
            assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
            loaded.config.unwrap()
        };
        assert_eq!(config("/etc/x.conf"), config("/etc/x.toml"));
    }
}
