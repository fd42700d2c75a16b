//! What is answered to which request, as seen on the wire of Supervisor 4.3.0.

use galaxyd::rpc::base64;

use crate::world::{Build, World, auth, post, with, with_world, xml};

const STATE: &str = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><struct>\n<member>\n\
    <name>statecode</name>\n<value><int>1</int></value>\n</member>\n<member>\n<name>statename</name>\n\
    <value><string>RUNNING</string></value>\n</member>\n</struct></value>\n</param>\n</params>\n</methodResponse>\n";

fn page(code: u16, reason: &str) -> String {
    format!(
        "<head>\r\n<title>Error response</title>\r\n</head>\r\n<body>\r\n<h1>Error response</h1>\r\n<p>Error code {code}.\r\n\
         <p>Message: {reason}.\r\n</body>\r\n"
    )
}

#[test]
fn a_call_is_answered_as_by_supervisor_and_the_connection_stays() {
    with_world(async |world| {
        let mut raw = world.connect().await;
        for _ in 0..3 {
            raw.send(post(&xml("supervisor.getState"), "").as_bytes()).await;
            let response = raw.response().await;
            assert_eq!(
                response.head,
                "HTTP/1.1 200 OK\nServer: Medusa/1.12\nContent-Type: text/xml\nContent-Length: 279"
            );
            assert_eq!(response.body, STATE);
        }
        let uid = nix::unistd::geteuid();
        let pid = std::process::id();
        let command = std::fs::read_to_string("/proc/self/comm").unwrap();
        let command = command.trim_end();
        assert_eq!(world.asked.borrow()[0], format!("uid {uid}, pid {pid} ({command}) supervisor.getState "));
    });
}

#[test]
fn faults_are_200_too() {
    with_world(async |world| {
        let response = world.ask(&post(&xml("supervisor.nothing"), "")).await;
        assert_eq!(response.status, 200);
        assert!(response.body.contains("<value><int>1</int></value>"), "{}", response.body);
        assert!(response.body.contains("<string>UNKNOWN_METHOD</string>"));
        let start = xml("supervisor.startProcess")
            .replace("</methodCall>", "<params><param><value>no</value></param></params></methodCall>");
        assert!(world.ask(&post(&start, "")).await.body.contains("<string>BAD_NAME: no</string>"));
    });
}

#[test]
fn connections_close_when_supervisors_do() {
    with_world(async |world| {
        let call = post(&xml("supervisor.getState"), "");
        let close = post(&xml("supervisor.getState"), "Connection: close\r\n");
        for request in [close, call.replace("HTTP/1.1", "HTTP/1.0")] {
            let mut raw = world.connect().await;
            raw.send(request.as_bytes()).await;
            assert_eq!(raw.response().await.body, STATE);
            assert_eq!(raw.until_closed().await, b"");
        }
        let mut raw = world.connect().await;
        let keep = post(&xml("supervisor.getState"), "Connection: keep-alive\r\n").replace("HTTP/1.1", "HTTP/1.0");
        for _ in 0..2 {
            raw.send(keep.as_bytes()).await;
            assert_eq!(raw.response().await.header("Connection").map(str::to_lowercase).as_deref(), Some("keep-alive"));
        }
    });
}

#[test]
fn requests_that_are_sent_at_once_are_answered_one_after_another() {
    with_world(async |world| {
        let mut raw = world.connect().await;
        raw.send(post(&xml("supervisor.getState"), "").repeat(5).as_bytes()).await;
        for _ in 0..5 {
            assert_eq!(raw.response().await.body, STATE);
        }
    });
}

#[test]
fn every_wrong_request_has_its_status() {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\n\r\n");
    let post_to = |path: &str| format!("POST {path} HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    let cases = [
        (get("/RPC2"), 400),
        ("PUT /RPC2 HTTP/1.1\r\nContent-Length: 0\r\n\r\n".to_owned(), 400),
        ("POST /RPC2 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 411),
        ("POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), 411),
        ("POST /RPC2 HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_owned(), 400),
        (post("", ""), 400),
        (post("<x>", ""), 400),
        (post("<methodCall><methodName/></methodCall>", ""), 400),
        (post("<!DOCTYPE a [<!ENTITY b 'c'>]><methodCall><methodName>&b;</methodName></methodCall>", ""), 400),
        (get("/stylesheets/nope.css"), 404),
        (get("/images/"), 404),
        (post_to("/stylesheets/supervisor.css"), 400),
        ("PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n".to_owned(), 400),
        (get("/nope"), 404),
        (get("/logtail"), 404),
        (get("/logtail/unknown"), 404),
        (get("/logtail/web/stdin"), 404),
        (get("/logtail/nofile"), 404),
        (get("/mainlogtail"), 404),
        (post_to("/nope"), 400),
        (post_to("/logtail/web"), 400),
        (post_to("/mainlogtail"), 400),
        ("DELETE /nope HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("garbage\r\n\r\n".to_owned(), 400),
    ];
    with_world(async |world| {
        for (request, status) in &cases {
            assert_eq!(world.ask(request).await.status, *status, "{request}");
        }
        let response = world.ask(&get("/nope")).await;
        assert_eq!(
            response.head,
            "HTTP/1.1 404 Not Found\nServer: Medusa/1.12\nContent-Type: text/html\nContent-Length: 134"
        );
        assert_eq!(response.body, page(404, "Not Found"));
        assert!(world.asked.borrow().is_empty());
    });
}

#[test]
fn every_url_wants_the_credentials() {
    let basic = |credentials: &[u8]| format!("Authorization: Basic {}\r\n", base64::encode(credentials));
    let wrong = [
        String::new(),
        basic(b"admin:x"),
        basic(b"x:secret"),
        basic(b"admin"),
        basic(b"admin:\xff"),
        "Authorization: Basic Zg\r\n".to_owned(),
        "Authorization: Basic\r\n".to_owned(),
        "Authorization: Bearer secret\r\n".to_owned(),
    ];
    with(Build { auth: Some(auth("admin", "secret")), inet: true, ..Build::default() }, async |world| {
        for path in
            ["/", "/RPC2", "/ok.html", "/live.json", "/images/icon.png", "/logtail/web", "/mainlogtail", "/nope"]
        {
            for headers in &wrong {
                let mut raw = world.connect().await;
                raw.send(format!("GET {path} HTTP/1.1\r\n{headers}\r\n").as_bytes()).await;
                let response = raw.response().await;
                assert_eq!(response.status, 401, "{path} {headers}");
                assert_eq!(response.header("Www-Authenticate"), Some("Basic realm=\"default\""));
                assert_eq!(response.header("Connection"), Some("close"));
                assert_eq!(response.body, page(401, "Unauthorized"));
                assert_eq!(raw.until_closed().await, b"");
            }
        }
        let call = post(&xml("supervisor.getState"), &basic(b"admin:secret"));
        assert_eq!(world.ask(&call).await.body, STATE);
        let asked = world.asked.borrow();
        assert_eq!(asked.len(), 1);
        assert!(asked[0].starts_with("user admin, 127.0.0.1:"), "{asked:?}");
    });
}

#[test]
fn the_password_may_be_a_digest_or_have_colons() {
    for (stored, sent) in [("{SHA}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4", "secret"), ("a:b:", "a:b:")] {
        with(Build { auth: Some(auth("admin", stored)), ..Build::default() }, async |world| {
            let credentials = base64::encode(format!("admin:{sent}").as_bytes());
            let call = post(&xml("supervisor.getState"), &format!("Authorization: Basic {credentials}\r\n"));
            assert_eq!(world.ask(&call).await.status, 200);
        });
    }
}

#[test]
fn a_client_that_gives_up_is_told_to_the_control_loop() {
    with_world(async |mut world| {
        let start = xml("supervisor.startProcess")
            .replace("</methodCall>", "<params><param><value>slow</value></param></params></methodCall>");
        let mut raw = world.connect().await;
        raw.send(post(&start, "").as_bytes()).await;
        while world.asked.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        drop(raw);
        world.given_up.recv().await.unwrap();
    });
}

#[test]
fn a_call_that_is_never_answered_is_a_fault() {
    with_world(async |world| {
        let start = xml("supervisor.startProcess")
            .replace("</methodCall>", "<params><param><value>dropped</value></param></params></methodCall>");
        let response = world.ask(&post(&start, "")).await;
        assert!(response.body.contains("FAILED: the daemon gave no answer"), "{}", response.body);
    });
}

#[test]
fn closing_ends_idle_connections_and_lets_requests_finish() {
    with_world(async |mut world| {
        let mut idle = world.connect().await;
        idle.send(post(&xml("supervisor.getState"), "").as_bytes()).await;
        idle.response().await;
        let mut slow = world.connect().await;
        let start = xml("supervisor.startProcess")
            .replace("</methodCall>", "<params><param><value>slow</value></param></params></methodCall>");
        slow.send(post(&start, "").as_bytes()).await;
        while world.asked.borrow().len() < 2 {
            tokio::task::yield_now().await;
        }
        let endpoint = world.endpoint.take().unwrap();
        let socket = world.socket();
        let close = tokio::task::spawn_local(endpoint.close(std::time::Duration::from_millis(300)));
        assert_eq!(idle.until_closed().await, b"");
        // The slow one is cut off when its grace is over.
        slow.until_closed().await;
        close.await.unwrap();
        assert!(tokio::net::UnixStream::connect(socket).await.is_err());
        world.given_up.recv().await.unwrap();
    });
}

#[test]
fn idle_connections_are_handed_over_and_their_clients_notice_nothing() {
    for inet in [false, true] {
        let build = || Build { inet, ..Build::default() };
        with(build(), async |mut world| {
            let request = post(&xml("supervisor.getState"), "");
            let mut silent = world.connect().await;
            let mut known = world.connect().await;
            let mut begun = world.connect().await;
            known.send(request.as_bytes()).await;
            // What comes along with a request has been taken from the socket, and nobody else would see it.
            begun.send(format!("{request}POST /RPC2 HT").as_bytes()).await;
            for line in [&mut known, &mut begun] {
                assert_eq!(line.response().await.status, 200);
            }
            let handed_over = world.endpoint.take().unwrap().hand_over(crate::world::PATIENCE).await;
            assert_eq!(handed_over.len(), 2);
            assert_eq!(begun.until_closed().await, b"");
            let next = World::open(build());
            for connection in handed_over {
                next.endpoint.as_ref().unwrap().welcome(connection);
            }
            for line in [&mut silent, &mut known] {
                line.send(request.as_bytes()).await;
                assert_eq!(line.response().await.status, 200);
            }
            assert_eq!((world.asked.borrow().len(), next.asked.borrow().len()), (2, 2));
        });
    }
}
