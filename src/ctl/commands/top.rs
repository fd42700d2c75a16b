//! `top [--once] [--sort=ORDER] [NAME...]`

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::ctl::answer::ProcessInfo;
use crate::ctl::commands;
use crate::ctl::console::Attention;
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::render::{Colour, Form};
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::top::{Board, LiveScreen, Order, Row, Sample, Wish, Woken, rows, table};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;
use crate::sys::clock;

/// From one sample on the screen to the next.
const EVERY: Duration = Duration::from_secs(2);

/// Between the two samples of a single table.
const ONCE: Duration = Duration::from_millis(500);

/// What was asked for.
struct Question {
    names: Vec<String>,
    order: Option<Order>,
    once: bool,
}

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let Some(question) = read(shell, rest)? else { return Ok(Flow::Continue) };
    let colour = match shell.screen.form() {
        Form::Table(colour) if !question.once && LiveScreen::is_possible() => Some(colour),
        _ => None,
    };
    let outcome = match colour {
        Some(colour) => live(shell, &question, colour),
        None => once(shell, &question),
    };
    match outcome {
        Err(Trouble::Call(CallError::Fault(fault))) => {
            let unknown = fault.code == FaultCode::UnknownMethod as i64;
            let text = if unknown { "this daemon does not tell what processes use" } else { fault.text.as_str() };
            shell.problem(format!("Error: {text}"), None);
            shell.set_exit(ExitCode::Generic);
            Ok(Flow::Continue)
        }
        outcome => outcome.map(|()| Flow::Continue),
    }
}

/// `None`: what was typed is no question, and that was said.
fn read(shell: &mut Shell, rest: &str) -> Result<Option<Question>, Trouble> {
    let mut order = None;
    let mut words = Vec::new();
    for word in rest.split_whitespace() {
        let Some(wanted) = word.strip_prefix("--sort=") else {
            words.push(word);
            continue;
        };
        order = Order::ALL.into_iter().find(|order| order.word() == wanted);
        if order.is_none() {
            let all = Order::ALL.map(Order::word).join(", ");
            shell.usage(&format!("Error: --sort is one of {all}"), "top", ExitCode::Usage);
            return Ok(None);
        }
    }
    let rest = words.join(" ");
    let selection = shell.selection(&rest, &["--once"]);
    let once = selection.has("--once");
    let names = if selection.is_empty() && selection.excluded.is_empty() {
        Some(Vec::new())
    } else {
        shell.chosen_names(&selection)?
    };
    Ok(names.map(|names| Question { names, order, once }))
}

fn sample(shell: &mut Shell, question: &Question) -> Result<(Sample, Vec<ProcessInfo>), CallError> {
    let usage = shell.daemon.call("galaxyd.getUsage", &[question.names.clone().into()])?;
    shell.forget_known();
    Ok((Sample::read(&usage)?, shell.known()?))
}

/// One table, or one document.
fn once(shell: &mut Shell, question: &Question) -> Result<(), Trouble> {
    let (before, _) = sample(shell, question)?;
    if shell.console.pause(ONCE)? == Attention::Interrupted {
        return Ok(());
    }
    let (now, known) = sample(shell, question)?;
    let rows = rows(Some(&before), &now, &known, question.order.unwrap_or(Order::Name));
    if shell.screen.form() == Form::Json {
        for row in &rows {
            shell.screen.show(&Fact::Detail { list: "processes", value: Row::json(row), text: String::new() });
        }
    } else {
        shell.line(table(&rows));
    }
    Ok(())
}

/// Until the person has seen enough.
fn live(shell: &mut Shell, question: &Question, colour: Colour) -> Result<(), Trouble> {
    // A signal that ended the program would leave the terminal as it is drawn on.
    shell.console.catch_interrupts()?;
    let outcome = turns(shell, question, colour);
    shell.console.restore_interrupts();
    outcome
}

/// The screen and the commands that keys ask for, by turns.
fn turns(shell: &mut Shell, question: &Question, colour: Colour) -> Result<(), Trouble> {
    let mut board = Board::new(question.order.unwrap_or(Order::Cpu));
    loop {
        let screen = LiveScreen::begin(colour)?;
        let wish = watch(shell, question, &screen, &mut board)?;
        // Commands print on the terminal as it was.
        drop(screen);
        shell.console.restore_interrupts();
        let (command, words) = match &wish {
            Wish::Leave => return Ok(()),
            Wish::Restart(name) => ("restart", name.clone()),
            Wish::Follow(name) => ("tail", format!("-f {name}")),
        };
        if let Some(command) = commands::find(command, shell.session.personality)
            && let Err(trouble) = command(shell, &words)
        {
            shell.report(&trouble);
        }
        if matches!(wish, Wish::Restart(_)) {
            shell.console.ask("Press Enter to go back to top ")?;
        }
        shell.console.catch_interrupts()?;
    }
}

fn watch(shell: &mut Shell, question: &Question, screen: &LiveScreen, board: &mut Board) -> Result<Wish, Trouble> {
    let mut due = clock::monotonic();
    loop {
        let now = clock::monotonic();
        if now >= due {
            match sample(shell, question) {
                Ok((sample, known)) => board.take(sample, known),
                // A daemon that is being upgraded or restarted comes back.
                Err(error) if error.is_about_the_connection() => {
                    board.fail(format!("the daemon does not answer: {error}"));
                }
                Err(CallError::Fault(fault)) if fault.code != FaultCode::UnknownMethod as i64 => board.fail(fault.text),
                Err(error) => return Err(error.into()),
            }
            due = clock::monotonic() + EVERY;
        }
        let (width, height) = LiveScreen::size();
        screen.draw(&board.draw(width, height, &time_of_day()))?;
        match screen.wait(due.saturating_sub(clock::monotonic()))? {
            Woken::Keys(keys) => {
                if let Some(wish) = keys.into_iter().find_map(|key| board.press(key)) {
                    return Ok(wish);
                }
            }
            Woken::Ended => return Ok(Wish::Leave),
            Woken::Resized | Woken::TimeOver => {}
        }
    }
}

fn time_of_day() -> String {
    let seconds = i64::try_from(clock::wall().as_secs()).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(seconds).map(|time| time.to_zoned(TimeZone::system()));
    time.map(|time| time.strftime("%H:%M:%S").to_string()).unwrap_or_default()
}
