//! What the activity log says of orphans that the keeper reaped: each of a few has its line, a storm has one.

use std::time::Duration;

use super::worker::now;
use crate::engine::{Exit, Moment, Pid};
use crate::logs::{Level, log};

/// Lines in a span of time; further ones are for level debug.
const LINES_MAX: u32 = 20;
const SPAN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct OrphanNews {
    begun: Option<Moment>,
    count: u32,
}

impl OrphanNews {
    pub(super) fn tell(&mut self, pid: Pid, exit: Exit) {
        let level = if self.has_room(now().mono) { Level::Info } else { Level::Debug };
        log(level, &format!("reaped unknown pid {pid} ({exit})"));
        if level == Level::Info && self.count == LINES_MAX {
            let seconds = SPAN.as_secs();
            log(level, &format!("more unknown pids that end within {seconds} seconds are told at level debug"));
        }
    }

    fn has_room(&mut self, now: Moment) -> bool {
        if self.begun.is_none_or(|begun| now.since(begun) >= SPAN) {
            *self = OrphanNews { begun: Some(now), count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= LINES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_has_few_lines_and_the_next_one_its_own() {
        let mut news = OrphanNews::default();
        let told = |news: &mut OrphanNews, second| {
            (0..1000).filter(|_| news.has_room(Moment(Duration::from_secs(second)))).count()
        };
        assert_eq!(told(&mut news, 5), 20);
        assert_eq!(told(&mut news, 64), 0);
        assert_eq!(told(&mut news, 65), 20);
    }
}
