//! Which URL means what (`supervisor.md` section 15).

use crate::logs::Channel;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/RPC2` and everything that begins with it.
    Rpc,
    /// `/logtail/NAME[/CHANNEL]`; the name as methods take it.
    LogTail {
        name: String,
        channel: Channel,
    },
    MainLogTail,
    /// Nothing that exists.
    Nothing,
}

impl Route {
    /// The route of a URL's path, still percent-encoded.
    ///
    /// Source: supervisor 4.3, http.py: prefixes, not whole path segments, decide. `/logtail` without a name is HTTP 500
    /// there and nothing here.
    pub(super) fn of(path: &str) -> Route {
        let path = percent_decoded(path);
        if path.starts_with("/RPC2") {
            Route::Rpc
        } else if path.starts_with("/logtail") {
            log_tail(&path).unwrap_or(Route::Nothing)
        } else if path.starts_with("/mainlogtail") {
            Route::MainLogTail
        } else {
            Route::Nothing
        }
    }
}

fn log_tail(path: &str) -> Option<Route> {
    let (_, process) = path.trim_start_matches('/').split_once('/')?;
    let (name, channel) = process.split_once('/').unwrap_or((process, "stdout"));
    let channel = match channel {
        "stdout" => Channel::Stdout,
        "stderr" => Channel::Stderr,
        _ => return None,
    };
    Some(Route::LogTail { name: name.to_owned(), channel })
}

/// `%XX` replaced by their bytes, and what is not UTF-8 then by U+FFFD, as Python's `unquote` does.
fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = match (first, tail) {
            (b'%', [high, low, after @ ..]) => hex_digit(*high).zip(hex_digit(*low)).map(|(high, low)| {
                rest = after;
                high << 4 | low
            }),
            _ => None,
        };
        if let Some(byte) = decoded {
            bytes.push(byte);
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(name: &str, channel: Channel) -> Route {
        Route::LogTail { name: name.to_owned(), channel }
    }

    #[test]
    fn urls_lead_where_supervisors_lead() {
        for (path, route) in [
            ("/RPC2", Route::Rpc),
            ("/RPC2/", Route::Rpc),
            ("/RPC2xyz/a", Route::Rpc),
            ("/rpc2", Route::Nothing),
            ("/%52PC2", Route::Rpc),
            ("/", Route::Nothing),
            ("/index.html", Route::Nothing),
            ("/mainlogtail", Route::MainLogTail),
            ("/mainlogtail/x", Route::MainLogTail),
            ("/logtail", Route::Nothing),
            ("/logtail/", tail("", Channel::Stdout)),
            ("/logtail/web", tail("web", Channel::Stdout)),
            ("/logtail/galaxy:web/stdout", tail("galaxy:web", Channel::Stdout)),
            ("/logtail/galaxy%3Aweb/stderr", tail("galaxy:web", Channel::Stderr)),
            ("/logtail/web/stdin", Route::Nothing),
            ("/logtail/web/stdout/", Route::Nothing),
            ("/logtail/w%C3%A9b", tail("wéb", Channel::Stdout)),
            ("/logtail/w%ZZ%4", tail("w%ZZ%4", Channel::Stdout)),
            ("/logtail/%FF", tail("\u{fffd}", Channel::Stdout)),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
