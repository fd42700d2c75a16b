//! Which URL means what (`supervisor.md` section 15).

use super::pages::Page;
use crate::engine::Channel;
use crate::web::{Asset, percent_decoded};

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
    Page(Page),
    Asset(&'static Asset),
    /// A folder of assets, without the final slash.
    Folder(String),
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
            below_the_root(path.trim_start_matches('/'))
        }
    }
}

fn below_the_root(path: &str) -> Route {
    match path {
        "" | "index.html" => Route::Page(Page::Index),
        "tail.html" => Route::Page(Page::Tail),
        "ok.html" => Route::Page(Page::Ok),
        "live.json" => Route::Page(Page::Live),
        _ if Asset::is_folder(path) => Route::Folder(path.to_owned()),
        _ => Asset::find(path).map_or(Route::Nothing, Route::Asset),
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
            ("/", Route::Page(Page::Index)),
            ("", Route::Page(Page::Index)),
            ("/index.html", Route::Page(Page::Index)),
            ("//index.html", Route::Page(Page::Index)),
            ("/index.html/", Route::Nothing),
            ("/tail.html", Route::Page(Page::Tail)),
            ("/%6fk.html", Route::Page(Page::Ok)),
            ("/live.json", Route::Page(Page::Live)),
            ("/stylesheets", Route::Folder("stylesheets".to_owned())),
            ("/stylesheets/", Route::Nothing),
            ("/images/../route.rs", Route::Nothing),
            ("/images/%2e%2e/icon.png", Route::Nothing),
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
        assert!(matches!(Route::of("/stylesheets/supervisor.css"), Route::Asset(_)));
    }
}
