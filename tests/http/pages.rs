//! The status page on the wire: headers, escaping, who may act, and what is answered to those who may not.

use galaxyd::config::PageConfig;
use galaxyd::rpc::base64;

use crate::world::{Build, Response, World, auth, post, with, with_world, xml};

const HOST: &str = "Host: localhost:9001\r\n";

async fn get(world: &World, path: &str, headers: &str) -> Response {
    world.ask(&format!("GET {path} HTTP/1.1\r\n{headers}\r\n")).await
}

async fn submit(world: &World, path: &str, headers: &str, form: &str) -> Response {
    world.ask(&format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n{headers}\r\n{form}", form.len())).await
}

/// HEAD, whose answer has no body behind its length.
async fn head(world: &World, path: &str) -> String {
    let mut raw = world.connect().await;
    raw.send(format!("HEAD {path} HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n").as_bytes()).await;
    let head = raw.head().await;
    assert_eq!(raw.until_closed().await, b"", "{path}");
    head
}

/// The token that the page holds.
async fn token(world: &World, headers: &str) -> String {
    let page = get(world, "/", headers).await;
    assert_eq!(page.status, 200, "{page:?}");
    page.body.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// The changing methods that the control loop was asked for.
fn done(world: &World) -> Vec<String> {
    let asked = world.asked.borrow();
    let changing = asked.iter().filter(|line| !line.contains(".get") && !line.contains(".read"));
    changing.map(|line| line.split(" supervisor.").nth(1).unwrap().trim_end().to_owned()).collect()
}

#[test]
fn pages_carry_a_strict_policy_and_are_asked_for_anew() {
    with_world(async |world| {
        for path in ["/", "/index.html", "/tail.html?processname=web", "/index.html?action=stopall", "/ok.html"] {
            let page = get(&world, path, HOST).await;
            let policy = page.header("Content-Security-Policy").unwrap();
            assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
            assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            for (name, value) in [
                ("X-Content-Type-Options", "nosniff"),
                ("X-Frame-Options", "DENY"),
                ("Referrer-Policy", "same-origin"),
                ("Cache-Control", "no-cache"),
                ("Pragma", "no-cache"),
                ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ] {
                assert_eq!(page.header(name), Some(value), "{path}: {}", page.head);
            }
            for inline in ["style=", " onclick", "<style", "<script>", "javascript:"] {
                assert!(!page.body.contains(inline), "{path}: {inline}");
            }
        }
    });
}

#[test]
fn names_descriptions_and_output_are_text() {
    with_world(async |world| {
        let page = get(&world, "/?message=%3Cscript%3Ealert(2)%3C/script%3E%1b[1m&filter=%22%3E%3Cb", HOST).await;
        assert!(page.body.contains("&lt;script&gt;alert(2)&lt;/script&gt;\u{241b}[1m</div>"), "{}", page.body);
        assert!(page.body.contains("g:&lt;img src=x onerror=&#39;alert(1)&#39;&gt;</a>"), "{}", page.body);
        assert!(page.body.contains("\u{241b}[31m&quot;bad&quot; &amp; worse"), "{}", page.body);
        assert!(page.body.contains("value=\"&quot;&gt;&lt;b\""), "{}", page.body);
        assert!(!page.body.contains("<img src=x") && !page.body.contains("<script>") && !page.body.contains('\u{1b}'));
        let tail = get(&world, "/tail.html?processname=web", HOST).await;
        assert!(
            tail.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;\u{241b}[31mred\u{241b}[0m\n</pre>"),
            "{}",
            tail.body
        );
        let live = get(&world, "/live.json", HOST).await;
        assert_eq!(live.header("Content-Type"), Some("application/json"));
        assert_eq!(live.header("X-Content-Type-Options"), Some("nosniff"));
        assert!(live.body.contains("[\"web\",\"running\",\"pid 7, uptime 0:00:01\"]"), "{}", live.body);
    });
}

#[test]
fn a_form_with_the_token_acts_and_leads_back_to_the_page() {
    with_world(async |world| {
        let token = token(&world, HOST).await;
        let form = format!("token={token}&filter=a+b");
        let answer = submit(&world, "/index.html?processname=web&action=stop", HOST, &form).await;
        assert_eq!(answer.status, 303);
        assert_eq!(answer.header("Location"), Some("./?message=Process%20web%20stopped&filter=a%20b"));
        let body = format!("token={token}&processname=nobody&action=start");
        let answer = submit(&world, "/", HOST, &body).await;
        assert_eq!(answer.header("Location"), Some("./?message=No%20such%20process%20named%20nobody"));
        let answer =
            submit(&world, "/index.html?action=stopall", &format!("{HOST}Accept: application/json\r\n"), &form).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with("{\"message\":\"All stopped at "), "{}", answer.body);
        assert_eq!(done(&world), ["stopProcess web", "startProcess nobody", "stopAllProcesses"]);
    });
}

#[test]
fn refreshing_stays_on_the_page_behind_a_proxy() {
    with_world(async |world| {
        let answer = get(&world, "/index.html?action=refresh", HOST).await;
        assert_eq!(answer.status, 303);
        let place = answer.header("Location").unwrap();
        assert!(place.starts_with("./?message=Page%20refreshed%20at%20"), "{place}");
    });
}

#[test]
fn without_a_valid_token_nothing_is_done() {
    with_world(async |world| {
        let token = token(&world, HOST).await;
        let forged = token.replace(|letter: char| letter.is_ascii_digit(), "0");
        let url = "/index.html?processname=web&action=stop";
        for form in ["", "token=", "token=x", &format!("token={forged}"), "processname=web&action=stop"] {
            let answer = submit(&world, url, HOST, form).await;
            assert_eq!(answer.status, 403, "{form}");
            // What was meant can be done from the page that refuses it.
            assert!(
                answer.body.contains("<form action=\"index.html?processname=web&amp;action=stop\" method=\"post\">")
            );
            assert!(answer.body.contains(">Stop web</button>"), "{}", answer.body);
        }
        for verb in ["GET", "HEAD"] {
            let mut raw = world.connect().await;
            raw.send(format!("{verb} {url}&token={token} HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n").as_bytes())
                .await;
            let head = raw.head().await;
            assert!(head.starts_with("HTTP/1.1 405 Method Not Allowed\n") && head.contains("\nAllow: POST"), "{head}");
        }
        assert_eq!(done(&world), [""; 0]);
    });
}

#[test]
fn a_token_is_its_users() {
    let basic =
        |name: &str| format!("{HOST}Authorization: Basic {}\r\n", base64::encode(format!("{name}:p").as_bytes()));
    let mut tokens = Vec::new();
    for name in ["one", "two"] {
        with(Build { auth: Some(auth(name, "p")), ..Build::default() }, async |world| {
            let own = token(&world, &basic(name)).await;
            let url = "/index.html?processname=web&action=stop";
            for foreign in &tokens {
                assert_eq!(submit(&world, url, &basic(name), &format!("token={foreign}")).await.status, 403);
            }
            assert_eq!(submit(&world, url, &basic(name), &format!("token={own}")).await.status, 303);
            assert!(world.asked.borrow().last().unwrap().starts_with(&format!("user {name}, ")));
            tokens.push(own);
        });
    }
}

#[test]
fn pages_of_other_sites_cannot_act_even_with_a_token() {
    with_world(async |world| {
        let token = token(&world, HOST).await;
        let url = "/index.html?processname=web&action=stop";
        for header in [
            "Origin: http://evil.example",
            "Origin: null",
            "Origin: http://localhost:9002",
            "Referer: http://evil.example/http://localhost:9001/",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
        ] {
            let answer = submit(&world, url, &format!("{HOST}{header}\r\n"), &format!("token={token}")).await;
            assert_eq!(answer.status, 403, "{header}");
            assert!(answer.body.contains("page of another site") && !answer.body.contains("<form"), "{}", answer.body);
        }
        assert_eq!(done(&world), [""; 0]);
        let own = format!("{HOST}Origin: http://localhost:9001\r\nSec-Fetch-Site: same-origin\r\n");
        assert_eq!(submit(&world, url, &own, &format!("token={token}")).await.status, 303);
    });
}

#[test]
fn a_foreign_name_for_this_server_shows_nothing() {
    let foreign = "Host: evil.example:9001\r\n";
    with_world(async |world| {
        std::fs::write(world.log("web.log"), "secret\n").unwrap();
        for path in ["/", "/tail.html?processname=web", "/live.json", "/logtail/web", "/mainlogtail"] {
            let answer = get(&world, path, &format!("{foreign}Accept-Language: en\r\n")).await;
            assert_eq!(answer.status, 403, "{path}");
            assert!(!answer.body.contains("token") && !answer.body.contains("secret"), "{path}");
        }
        // supervisorctl says no language.
        let mut raw = world.connect().await;
        raw.send(format!("GET /logtail/web HTTP/1.1\r\n{foreign}\r\n").as_bytes()).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 200 OK"));
        // What checks whether the daemon is alive need not know its name.
        assert_eq!(get(&world, "/ok.html", foreign).await.body, "OK");
    });
    let page = PageConfig { allowed_hosts: vec!["Evil.example".to_owned()], ..PageConfig::default() };
    with(Build { page, ..Build::default() }, async |world| assert_eq!(get(&world, "/", foreign).await.status, 200));
    with(Build { auth: Some(auth("u", "p")), ..Build::default() }, async |world| {
        let headers = format!("{foreign}Authorization: Basic {}\r\n", base64::encode(b"u:p"));
        assert_eq!(get(&world, "/", &headers).await.status, 200);
    });
}

#[test]
fn method_calls_of_browsers_must_come_from_our_own_pages() {
    with_world(async |world| {
        let call = |headers: &str| {
            let call = xml("supervisor.getState");
            let length = call.len();
            format!("POST /RPC2 HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{call}")
        };
        for (headers, status) in [
            ("", 200),
            ("Host: any.name\r\n", 200),
            ("Host: localhost\r\nOrigin: http://localhost\r\n", 200),
            ("Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
            ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403),
            ("Host: evil.example\r\nOrigin: http://evil.example\r\n", 403),
        ] {
            assert_eq!(world.ask(&call(headers)).await.status, status, "{headers}");
        }
        assert_eq!(world.ask(&post(&xml("supervisor.getState"), "")).await.status, 200);
    });
}

#[test]
fn supervisors_links_act_where_the_configuration_says_so() {
    let page = PageConfig { get_actions: true, ..PageConfig::default() };
    with(Build { page, ..Build::default() }, async |world| {
        let page = get(&world, "/", HOST).await;
        let link = "<a href=\"index.html?processname=web&amp;action=stop\" name=\"Stop\">Stop</a>";
        assert!(page.body.contains(link), "{}", page.body);
        let url = "/index.html?processname=web&action=stop";
        let answer = get(&world, url, HOST).await;
        assert_eq!(answer.status, 301);
        assert_eq!(answer.header("Location"), Some("http://localhost:9001/?message=Process%20web%20stopped"));
        assert_eq!(submit(&world, "/", HOST, "processname=web&action=stop").await.status, 301);
        // Browsers that say where a link was still cannot be misused.
        for header in ["Referer: http://evil.example/", "Sec-Fetch-Site: cross-site"] {
            assert_eq!(get(&world, url, &format!("{HOST}{header}\r\n")).await.status, 403, "{header}");
        }
        assert_eq!(head(&world, url).await.lines().next(), Some("HTTP/1.1 405 Method Not Allowed"));
        assert_eq!(done(&world), ["stopProcess web", "stopProcess web"]);
    });
}

#[test]
fn files_are_served_once_and_then_known() {
    with_world(async |world| {
        for (path, content_type) in [
            ("/stylesheets/supervisor.css", "text/css"),
            ("/scripts/status.js", "text/javascript;charset=utf-8"),
            ("/scripts/tail.js", "text/javascript;charset=utf-8"),
        ] {
            let file = get(&world, path, "").await;
            assert_eq!((file.status, file.header("Content-Type")), (200, Some(content_type)), "{path}");
            assert_eq!(file.header("X-Content-Type-Options"), Some("nosniff"));
            let modified = file.header("Last-Modified").unwrap();
            let mut raw = world.connect().await;
            let again = format!("GET {path} HTTP/1.1\r\nIf-Modified-Since: {modified}\r\nConnection: close\r\n\r\n");
            raw.send(again.as_bytes()).await;
            let head = raw.head().await;
            assert!(head.starts_with("HTTP/1.1 304 Not Modified\nServer: Medusa/1.12"), "{head}");
            assert_eq!(raw.until_closed().await, b"");
            let old = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
            assert_eq!(get(&world, path, old).await.status, 200);
        }
        let answer = get(&world, "/stylesheets", "Host: localhost\r\n").await;
        assert_eq!((answer.status, answer.header("Location")), (301, Some("http://localhost/stylesheets/")));
    });
}

#[test]
fn head_is_get_without_its_body() {
    with_world(async |world| {
        for path in ["/", "/tail.html?processname=web", "/ok.html", "/images/icon.png", "/stylesheets/supervisor.css"] {
            let head = head(&world, path).await;
            assert!(head.starts_with("HTTP/1.1 200 OK\n"), "{path}: {head}");
            let length: usize =
                head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
            assert!(length > 0, "{path}");
        }
    });
}

#[test]
fn forms_have_their_limits() {
    with_world(async |world| {
        for (request, status) in [
            (format!("POST / HTTP/1.1\r\n{HOST}\r\n"), 411),
            (format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 65537\r\n\r\n"), 413),
            (format!("GET /index.html?action=foo&processname=web HTTP/1.1\r\n{HOST}\r\n"), 500),
            (format!("GET /index.html?action=start HTTP/1.1\r\n{HOST}\r\n"), 500),
        ] {
            assert_eq!(world.ask(&request).await.status, status, "{request}");
        }
        let asked = get(&world, "/tail.html?processname=web&limit=999999999999", HOST).await;
        assert_eq!(asked.status, 200);
        assert!(world.asked.borrow().last().unwrap().ends_with("web -1048576 0"), "{:?}", world.asked.borrow());
        // An empty form is a look at the page; the original never answers it.
        assert_eq!(submit(&world, "/", HOST, "").await.status, 200);
    });
}

#[test]
fn a_client_that_leaves_ends_the_wait_for_its_action() {
    with_world(async |mut world| {
        let token = token(&world, HOST).await;
        let form = format!("token={token}&processname=slow&action=start");
        let mut raw = world.connect().await;
        let request = format!("POST / HTTP/1.1\r\n{HOST}Content-Length: {}\r\n\r\n{form}", form.len());
        raw.send(request.as_bytes()).await;
        while done(&world).is_empty() {
            tokio::task::yield_now().await;
        }
        // Others are served meanwhile.
        assert_eq!(get(&world, "/", HOST).await.status, 200);
        drop(raw);
        world.given_up.recv().await.unwrap();
    });
}

#[test]
fn a_restart_is_finished_though_its_client_leaves() {
    with_world(async |world| {
        let token = token(&world, HOST).await;
        let form = format!("token={token}&processname=slow&action=restart");
        let mut raw = world.connect().await;
        let request = format!("POST / HTTP/1.1\r\n{HOST}Content-Length: {}\r\n\r\n{form}", form.len());
        raw.send(request.as_bytes()).await;
        while done(&world).is_empty() {
            tokio::task::yield_now().await;
        }
        drop(raw);
        // Long enough for the server to see that it is gone.
        assert_eq!(get(&world, "/", HOST).await.status, 200);
        world.stopped.notify_one();
        while done(&world).len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(done(&world), ["stopProcess slow", "startProcess slow"]);
    });
}

#[test]
fn headers_given_twice_name_nobody() {
    with_world(async |world| {
        let token = token(&world, HOST).await;
        let form = format!("token={token}&processname=web&action=stop");
        for (headers, status) in [
            (HOST.to_owned(), 303),
            (format!("{HOST}{HOST}"), 403),
            (format!("{HOST}Origin: http://localhost:9001\r\nOrigin: http://evil.example\r\n"), 403),
            (format!("{HOST}Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n"), 403),
        ] {
            assert_eq!(submit(&world, "/", &headers, &form).await.status, status, "{headers}");
        }
        assert_eq!(done(&world), ["stopProcess web"]);
    });
}
