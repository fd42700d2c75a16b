//! The levels of the activity log.

/// Supervisor's levels, most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Critical,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
    Blather,
}

impl Level {
    /// The four letters of the log.
    #[must_use]
    pub fn mark(self) -> &'static str {
        match self {
            Level::Critical => "CRIT",
            Level::Error => "ERRO",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DEBG",
            Level::Trace => "TRAC",
            Level::Blather => "BLAT",
        }
    }

    /// The level of a `tracing` event that does not say its own.
    pub(super) fn of_tracing(level: tracing::Level) -> Level {
        match level {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        }
    }

    /// The `tracing` level that lets this one through.
    pub(super) fn to_tracing(self) -> tracing::Level {
        match self {
            Level::Critical | Level::Error => tracing::Level::ERROR,
            Level::Warn => tracing::Level::WARN,
            Level::Info => tracing::Level::INFO,
            Level::Debug => tracing::Level::DEBUG,
            Level::Trace | Level::Blather => tracing::Level::TRACE,
        }
    }

    /// As a field of an event, where `tracing` has fewer levels than Supervisor.
    pub(super) fn from_number(number: u64) -> Option<Level> {
        Some(match number {
            50 => Level::Critical,
            40 => Level::Error,
            30 => Level::Warn,
            20 => Level::Info,
            10 => Level::Debug,
            5 => Level::Trace,
            3 => Level::Blather,
            _ => return None,
        })
    }

    /// Supervisor's number.
    pub(super) fn number(self) -> u64 {
        match self {
            Level::Critical => 50,
            Level::Error => 40,
            Level::Warn => 30,
            Level::Info => 20,
            Level::Debug => 10,
            Level::Trace => 5,
            Level::Blather => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_marks_and_tracing_agree() {
        let all = [
            (Level::Critical, "CRIT"),
            (Level::Error, "ERRO"),
            (Level::Warn, "WARN"),
            (Level::Info, "INFO"),
            (Level::Debug, "DEBG"),
            (Level::Trace, "TRAC"),
            (Level::Blather, "BLAT"),
        ];
        for (level, mark) in all {
            assert_eq!(level.mark(), mark);
            assert_eq!(Level::from_number(level.number()), Some(level));
            assert_eq!(Level::of_tracing(level.to_tracing()).to_tracing(), level.to_tracing());
        }
        assert!(all.is_sorted());
        assert_eq!(Level::from_number(7), None);
    }
}
