//! F31: worker, keeper or both are killed at random points of what they do. Afterwards no program was lost, doubled or
//! restarted that should not have been, no lock is stuck, no file torn, and what was asked for is done or was never begun.
//!
//! A few points by default, a thousand in the long form; `GALAXYD_SEED=N` plays others.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{Daemon, Outcome};
use crate::dice::Dice;
use crate::household::{is_there, kill_both, worker_of};
use crate::subject::Subject;
use crate::wait::{until, until_true};
use crate::world::is_long;

/// They write lines with numbers, and nobody touches them.
const TALKERS: usize = 4;

/// They are started, stopped and restarted.
const TOYS: usize = 6;

/// The longest time from the request to the death. What the daemon does for a request is over by then.
const DELAY_MAX: Duration = Duration::from_millis(40);

fn sections() -> String {
    format!(
        "[program:talker]\ncommand=sh -c 'i=0; while [ ! -e %(here)s/enough ]; do i=$((i+1)); echo line $i; sleep 0.02; \
         done; echo last $i; exit 42'\nprocess_name=t%(process_num)d\nnumprocs={TALKERS}\nstartsecs=0\n\
         autorestart=false\nexitcodes=42\nstdout_logfile=%(here)s/t%(process_num)d.log\nstdout_logfile_maxbytes=0\n\
         [program:toy]\ncommand=sh -c 'mkdir %(here)s/run.$$ && trap \"rmdir %(here)s/run.$$; exit 0\" TERM && \
         trap \"rmdir %(here)s/run.$$; exit 3\" HUP; while :; do sleep 0.1; done'\n\
         process_name=y%(process_num)d\nnumprocs={TOYS}\nstartsecs=0\nautorestart=unexpected\nstdout_logfile=NONE\n\
         stderr_logfile=NONE\n\
         [program:quick]\ncommand=sleep 0.3\nstartsecs=0\nautorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
    )
}

fn toy(number: usize) -> String {
    format!("toy:y{number}")
}

fn talkers(daemon: &Daemon) -> Vec<i32> {
    (0..TALKERS).map(|number| daemon.process_pid(&format!("talker:t{number}"))).collect()
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Worker,
    Keeper,
    Both,
}

/// The daemon under attack, in which incarnation it may be.
struct Attack {
    daemon: Daemon,
    dice: Dice,
    /// What was started in the place of one whose two processes were killed.
    next: Option<Child>,
    pids: Vec<i32>,
}

impl Attack {
    fn begin() -> Attack {
        let daemon = Daemon::start_with(Subject::GALAXYD, "", "", &sections());
        until_true("all to run", || talkers(&daemon).iter().all(|pid| *pid > 0));
        let pids = talkers(&daemon);
        Attack { daemon, dice: Dice::of_environment("crash points"), next: None, pids }
    }

    /// One request, one death in the middle of it, and all that must hold then.
    fn play(&mut self) -> Victim {
        let victim = [Victim::Worker, Victim::Keeper, Victim::Both][self.dice.throw(3)];
        let (verb, number) =
            (self.dice.pick(&["start", "stop", "restart", "update", "signal HUP"]), self.dice.throw(TOYS));
        let whom = if self.dice.one_in(4) { "toy:*".to_owned() } else { toy(number) };
        let words: Vec<&str> =
            if verb == "update" { vec![verb] } else { verb.split(' ').chain([whom.as_str()]).collect() };
        let asked = self.ask(&words);
        let delay = DELAY_MAX.mul_f64(f64::from(u32::try_from(self.dice.throw(1000)).unwrap()) / 1000.0);
        thread::sleep(delay);
        self.kill(victim);
        let outcome = self.answer(asked);
        self.holds(&format!("{victim:?} killed {delay:?} after {words:?}"), &words, &outcome);
        victim
    }

    fn ask(&self, words: &[&str]) -> Child {
        let output = fs::File::create(self.daemon.path("asked.out")).unwrap();
        let mut command = self.daemon.command(&Subject::GALAXYD.client.supervisorctl());
        command.arg("-c").arg(self.daemon.path("supervisord.conf")).args(words);
        command.stdout(output.try_clone().unwrap()).stderr(output).stdin(Stdio::null()).spawn().unwrap()
    }

    fn answer(&self, mut asked: Child) -> Outcome {
        let status = until("the client's end", || asked.try_wait().unwrap().ok_or_else(|| "it waits".to_owned()));
        Outcome { stdout: self.daemon.text("asked.out"), stderr: String::new(), code: status.code() }
    }

    fn kill(&mut self, victim: Victim) {
        let keeper = self.daemon.pid();
        match victim {
            Victim::Worker => {
                kill(Pid::from_raw(worker_of(keeper)), Signal::SIGKILL).unwrap();
            }
            Victim::Keeper => {
                kill(Pid::from_raw(keeper), Signal::SIGKILL).unwrap();
                self.reap();
                until("another keeper", || {
                    let text = self.daemon.text("main.pid");
                    if text.trim() == keeper.to_string() { Err(text) } else { Ok(()) }
                });
            }
            Victim::Both => {
                kill_both(&self.daemon);
                self.reap();
                let mut command = self.daemon.command(&Subject::GALAXYD.daemon.supervisord());
                command.args(["-n", "-c"]).arg(self.daemon.path("supervisord.conf"));
                let output = fs::OpenOptions::new().create(true).append(true).open(self.daemon.path("daemon.out"));
                let output = output.unwrap();
                self.next = Some(command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap());
            }
        }
    }

    /// A daemon of ours that was killed is our child.
    fn reap(&mut self) {
        if let Some(mut former) = self.next.take() {
            until_true("the end of the former daemon", || former.try_wait().unwrap().is_some());
        }
    }

    fn holds(&self, what: &str, words: &[&str], outcome: &Outcome) {
        let begin = Instant::now();
        until(&format!("an answer; {what}"), || self.daemon.call("supervisor.getState", "").map(drop));
        assert_eq!(talkers(&self.daemon), self.pids, "{what}: a program is another one");
        for number in 0..TOYS {
            until(&format!("{} to come to rest; {what}", toy(number)), || {
                let seen = |field| self.daemon.field("galaxyd.explainProcess", &toy(number), field);
                let (state, awaited) = (seen("statename")?, seen("awaits")?);
                if awaited.is_empty() { Ok(()) } else { Err(format!("{state}, awaits {awaited}")) }
            });
        }
        until(&format!("each toy to run once; {what}"), || self.each_once());
        let said = &outcome.stdout;
        match outcome.code {
            // What was said to be done is done, whoever died since.
            Some(0) if matches!(words, ["start" | "restart", _]) => self.all(words[1], &["RUNNING"], what),
            // Of one that had ended and waited for its next start only that is called off.
            Some(0) if words[0] == "stop" => self.all(words[1], &["STOPPED", "EXITED"], what),
            Some(0) => {}
            // What was not, is said with a way on; the state it ended in was looked at above.
            _ => assert!(!said.trim().is_empty(), "{what}: {outcome:?}"),
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}: {:?} until all was well", begin.elapsed());
    }

    /// A toy that an earlier point sent HUP may just be ending, and comes back.
    fn all(&self, whom: &str, states: &[&str], what: &str) {
        for number in (0..TOYS).filter(|number| whom == "toy:*" || whom == toy(*number)) {
            until(&format!("{} to be {states:?}; {what}", toy(number)), || {
                let state = self.daemon.info(&toy(number), "statename")?;
                if states.contains(&state.as_str()) { Ok(()) } else { Err(state) }
            });
        }
    }

    /// The processes of the toys are those that the daemon knows, no more and no fewer.
    fn each_once(&self) -> Result<(), String> {
        let mut known = Vec::new();
        for number in 0..TOYS {
            known.push(self.daemon.info(&toy(number), "pid")?.parse().map_err(|_| "no pid".to_owned())?);
        }
        known.retain(|pid: &i32| *pid > 0);
        known.sort_unstable();
        let mut living: Vec<i32> = fs::read_dir(self.daemon.dir())
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("run.")?.parse().ok())
            .filter(|pid| is_there(*pid))
            .collect();
        living.sort_unstable();
        if known == living { Ok(()) } else { Err(format!("known {known:?}, living {living:?}")) }
    }

    /// No line came twice, and none is missing but what both took with them.
    fn end(mut self, both: usize) {
        fs::write(self.daemon.path("enough"), "").unwrap();
        for number in 0..TALKERS {
            self.daemon.wait_state(&format!("talker:t{number}"), "EXITED");
            let file = format!("t{number}.log");
            self.daemon.wait_text(&file, "last ");
            let text = self.daemon.text(&file);
            let lines: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
            assert!(lines.is_sorted_by(|one, next| one < next), "{file}: a line came twice");
            let last: u64 = text.lines().last().and_then(|line| line.strip_prefix("last ")?.parse().ok()).unwrap();
            assert!(both > 0 || lines.len() as u64 == last, "{file}: {} of {last} lines", lines.len());
        }
        let log = self.daemon.text("main.log");
        for never in ["bug: ", "panicked", "cannot be used", "is damaged"] {
            assert!(!log.contains(never), "{never:?}: {log}");
        }
        self.daemon.call("supervisor.shutdown", "").unwrap();
        let left = |name: &str| self.daemon.path(name).exists();
        until_true("the end, with nothing left", || !left("main.pid") && !left("main.roll") && !left("main.journal"));
        self.reap();
    }
}

#[test]
fn f31_deaths_at_random_points_lose_double_and_tear_nothing() {
    let points = if is_long() { 1000 } else { 30 };
    let mut attack = Attack::begin();
    let mut both = 0;
    let begin = Instant::now();
    for _ in 0..points {
        both += usize::from(attack.play() == Victim::Both);
    }
    eprintln!("{points} deaths, {both} of them of both, in {:?}", begin.elapsed());
    attack.end(both);
}
