//! What the screen shows and what keys do to it: no terminal and no daemon.

use super::keys::Key;
use super::rows::{Order, Row, lines, memory, rows};
use super::sample::Sample;
use crate::ctl::answer::ProcessInfo;

/// What a key wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ctl) enum Wish {
    Leave,
    Restart(String),
    Follow(String),
}

/// What is asked at the foot of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    None,
    /// A filter is being typed.
    Filter,
    /// Whether this process is to be restarted.
    Restart(String),
}

/// The state of the screen.
#[derive(Debug)]
pub(in crate::ctl) struct Board {
    before: Option<Sample>,
    now: Sample,
    known: Vec<ProcessInfo>,
    order: Order,
    filter: String,
    /// The name of the process that keys are about.
    chosen: Option<String>,
    question: Question,
    /// Why there is nothing new.
    trouble: String,
}

/// Fits into eighty columns.
const KEYS: &str = "c cpu m memory r restarts n name  / filter  j k choose  R restart  l log  q quit";

impl Board {
    pub(in crate::ctl) fn new(order: Order) -> Self {
        Self {
            before: None,
            now: Sample::default(),
            known: Vec::new(),
            order,
            filter: String::new(),
            chosen: None,
            question: Question::None,
            trouble: String::new(),
        }
    }

    /// A new sample has come.
    pub(in crate::ctl) fn take(&mut self, sample: Sample, known: Vec<ProcessInfo>) {
        self.before = Some(std::mem::replace(&mut self.now, sample)).filter(|before| before.time_ms != 0);
        self.known = known;
        self.trouble.clear();
    }

    /// None has come, and this is why; the last one stays.
    pub(in crate::ctl) fn fail(&mut self, why: String) {
        self.trouble = why;
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = rows(self.before.as_ref(), &self.now, &self.known, self.order);
        rows.retain(|row| row.name.contains(&self.filter));
        rows
    }

    /// What a key does; a wish is for the caller.
    pub(in crate::ctl) fn press(&mut self, key: Key) -> Option<Wish> {
        match (std::mem::replace(&mut self.question, Question::None), key) {
            (_, Key::Interrupt) => return Some(Wish::Leave),
            (Question::Filter, Key::Letter(letter)) => {
                self.filter.push(letter);
                self.question = Question::Filter;
            }
            (Question::Filter, Key::Backspace) => {
                self.filter.pop();
                self.question = Question::Filter;
            }
            (Question::Filter, Key::Up | Key::Down) => self.question = Question::Filter,
            (Question::Filter | Question::None, Key::Escape) => self.filter.clear(),
            (Question::Restart(name), Key::Letter('y')) => return Some(Wish::Restart(name)),
            // What was typed stays; anything but a yes is a no.
            (Question::Filter, Key::Enter) | (Question::Restart(_), _) => {}
            (Question::None, key) => return self.command(key),
        }
        None
    }

    fn command(&mut self, key: Key) -> Option<Wish> {
        match key {
            Key::Letter('q') => return Some(Wish::Leave),
            Key::Letter('c') => self.order = Order::Cpu,
            Key::Letter('m') => self.order = Order::Memory,
            Key::Letter('r') => self.order = Order::Restarts,
            Key::Letter('n') => self.order = Order::Name,
            Key::Letter('/') => self.question = Question::Filter,
            Key::Up | Key::Letter('k') => self.choose(|at| at.saturating_sub(1)),
            Key::Down | Key::Letter('j') => self.choose(|at| at + 1),
            Key::Letter('R') => self.question = self.chosen_name().map_or(Question::None, Question::Restart),
            Key::Letter('l') | Key::Enter => return self.chosen_name().map(Wish::Follow),
            Key::Letter(_) | Key::Escape | Key::Backspace | Key::Interrupt => {}
        }
        None
    }

    fn choose(&mut self, step: impl Fn(usize) -> usize) {
        let rows = self.rows();
        let at = step(self.place(&rows)).min(rows.len().saturating_sub(1));
        self.chosen = rows.get(at).map(|row| row.name.clone());
    }

    /// Who is chosen stays chosen wherever sorting puts him; else it is the first.
    fn place(&self, rows: &[Row]) -> usize {
        let chosen = self.chosen.as_ref();
        rows.iter().position(|row| Some(&row.name) == chosen).unwrap_or(0)
    }

    fn chosen_name(&self) -> Option<String> {
        let rows = self.rows();
        rows.get(self.place(&rows)).map(|row| row.name.clone())
    }

    /// The lines of the screen, at most `height`, each at most `width` letters long, and which of them are chosen.
    pub(in crate::ctl) fn draw(&self, width: usize, height: usize, clock: &str) -> Vec<(String, bool)> {
        let rows = self.rows();
        let chosen = self.place(&rows);
        let (head, body) = lines(&rows);
        let room = height.saturating_sub(3);
        // The chosen process with its workers is in sight.
        let last = body.iter().rposition(|(_, of)| *of == chosen).unwrap_or(0);
        let skipped = (last + 1).saturating_sub(room);
        let mut shown = vec![(self.summary(&rows, clock), false), (format!("  {head}"), false)];
        for (line, of) in body.into_iter().skip(skipped).take(room) {
            let mark = if of == chosen { '>' } else { ' ' };
            shown.push((format!("{mark} {line}"), of == chosen));
        }
        shown.push((self.foot(), false));
        shown.truncate(height);
        shown.into_iter().map(|(line, chosen)| (line.chars().take(width).collect(), chosen)).collect()
    }

    fn summary(&self, rows: &[Row], clock: &str) -> String {
        let running = rows.iter().filter(|row| row.state == "RUNNING").count();
        let cpu = rows.iter().filter_map(|row| row.cpu).fold(0.0, |sum, one| sum + one);
        let used: i64 = rows.iter().map(Row::memory_kb).sum();
        let filter = if self.filter.is_empty() { String::new() } else { format!("  filter: {}", self.filter) };
        format!(
            "top {clock}  {running} of {} running  CPU {cpu:.1}%  memory {}  by {}{filter}",
            rows.len(),
            memory(used),
            self.order.word()
        )
    }

    fn foot(&self) -> String {
        match &self.question {
            Question::Filter => format!("filter: {}_  (Enter keeps it, Esc clears it)", self.filter),
            Question::Restart(name) => format!("restart {name}? (y/n)"),
            Question::None if !self.trouble.is_empty() => self.trouble.clone(),
            Question::None => KEYS.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::tests::{known, sample, usage};
    use super::*;

    fn board() -> Board {
        let mut board = Board::new(Order::Cpu);
        let of = |time, cpu| sample(time, vec![usage("a", 1, 0, 9), usage("b", 2, cpu, 5), usage("c", 3, 0, 1)]);
        for (time, cpu) in [(1000, 0), (2000, 500)] {
            board.take(of(time, cpu), known(&["a", "b", "c"]));
        }
        board
    }

    fn typed(board: &mut Board, keys: &[Key]) -> Vec<Wish> {
        keys.iter().filter_map(|key| board.press(*key)).collect()
    }

    fn names(board: &Board) -> Vec<String> {
        board.rows().into_iter().map(|row| row.name).collect()
    }

    #[test]
    fn keys_sort_choose_and_filter() {
        let mut board = board();
        assert_eq!(names(&board), ["g:b", "g:a", "g:c"]);
        typed(&mut board, &[Key::Letter('m')]);
        assert_eq!(names(&board), ["g:a", "g:b", "g:c"]);
        typed(&mut board, &[Key::Down, Key::Down, Key::Down, Key::Up]);
        assert_eq!(board.chosen_name().as_deref(), Some("g:b"));
        typed(&mut board, &[Key::Letter('c')]);
        assert_eq!((board.chosen_name().as_deref(), names(&board)[0].as_str()), (Some("g:b"), "g:b"));
        typed(&mut board, &[Key::Letter('/'), Key::Letter(':'), Key::Letter('c'), Key::Letter('q'), Key::Backspace]);
        assert_eq!(names(&board), ["g:c"]);
        typed(&mut board, &[Key::Enter, Key::Escape]);
        assert_eq!(names(&board).len(), 3);
    }

    #[test]
    fn only_a_yes_restarts() {
        let mut board = board();
        assert_eq!(typed(&mut board, &[Key::Letter('R'), Key::Letter('n')]), []);
        let restart = Wish::Restart("g:b".to_owned());
        assert_eq!(typed(&mut board, &[Key::Letter('R'), Key::Letter('y')]), [restart]);
        assert_eq!(typed(&mut board, &[Key::Letter('y')]), []);
        assert_eq!(typed(&mut board, &[Key::Letter('l')]), [Wish::Follow("g:b".to_owned())]);
        assert_eq!(typed(&mut board, &[Key::Letter('R'), Key::Interrupt]), [Wish::Leave]);
        assert_eq!(typed(&mut board, &[Key::Letter('q')]), [Wish::Leave]);
    }

    #[test]
    fn the_screen_never_outgrows_the_terminal_and_shows_who_is_chosen() {
        let mut board = board();
        typed(&mut board, &[Key::Letter('n'), Key::Down, Key::Down]);
        for (width, height) in [(80, 24), (20, 5), (20, 4), (1, 1), (0, 0)] {
            let lines = board.draw(width, height, "12:00:00");
            assert!(lines.len() <= height && lines.iter().all(|(line, _)| line.chars().count() <= width));
        }
        assert!(KEYS.len() <= 80);
        let lines = board.draw(80, 4, "12:00:00");
        assert!(lines[2].1 && lines[2].0.starts_with("> g:c"), "{lines:?}");
        board.fail("the daemon does not answer".to_owned());
        assert_eq!(board.draw(80, 24, "").last().unwrap().0, "the daemon does not answer");
    }
}
