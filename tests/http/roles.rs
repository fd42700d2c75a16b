//! Users who may only look, by every way that leads in.

use galaxyd::config::Access;
use galaxyd::rpc::{Interface, Interfaces, base64};

use crate::world::{Build, Response, World, auth, post, with, xml};

fn build(inet: bool) -> Build {
    let access = Access { reader: Some(auth("guest", "look")), accounts: None };
    let twiddler = Interface::Twiddler { whitelist: Vec::new() };
    let named = vec![("supervisor".to_owned(), Interface::Main), ("twiddler".to_owned(), twiddler)];
    let interfaces = std::sync::Arc::new(Interfaces::new(named));
    Build { auth: Some(auth("boss", "act")), access, inet, interfaces, ..Build::default() }
}

fn header(credentials: &str) -> String {
    format!("Host: localhost\r\nAuthorization: Basic {}\r\n", base64::encode(credentials.as_bytes()))
}

async fn call(world: &World, credentials: &str, body: &str) -> Response {
    world.ask(&post(body, &header(credentials))).await
}

fn with_names(method: &str, names: &[&str]) -> String {
    let params: Vec<String> = names.iter().map(|name| format!("<param><value>{name}</value></param>")).collect();
    let params = params.concat();
    format!("<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>")
}

#[test]
fn a_reader_reads_and_changes_nothing() {
    for inet in [false, true] {
        with(build(inet), async |world| {
            for method in ["supervisor.getState", "supervisor.getAllProcessInfo", "system.listMethods"] {
                let answer = call(&world, "guest:look", &xml(method)).await;
                assert!(answer.status == 200 && !answer.body.contains("faultCode"), "{method}: {answer:?}");
            }
            let changing = [
                xml("supervisor.shutdown"),
                with_names("supervisor.stopProcess", &["web"]),
                with_names("supervisor.sendProcessStdin", &["web", "x"]),
                with_names("galaxyd.getProcessPlan", &["web", "<boolean>0</boolean>"]),
                with_names("twiddler.log", &["forged"]),
            ];
            let before = world.asked.borrow().len();
            for body in &changing {
                let answer = call(&world, "guest:look", body).await;
                assert!(answer.body.contains("is not for who may only look (user guest, "), "{body}: {answer:?}");
            }
            assert_eq!(world.asked.borrow().len(), before, "nothing reached the control loop");
            let answer = call(&world, "boss:act", &changing[1]).await;
            assert!(!answer.body.contains("faultCode"), "{answer:?}");
        });
    }
}

#[test]
fn a_reader_cannot_hide_a_change_among_other_calls() {
    with(build(true), async |world| {
        let one = |method: &str, name: &str| {
            format!(
                "<value><struct><member><name>methodName</name><value>{method}</value></member><member>\
                 <name>params</name><value><array><data><value>{name}</value></data></array></value></member></struct></value>"
            )
        };
        let calls = [one("supervisor.stopProcess", "web"), one("system.methodHelp", "supervisor.getState")].concat();
        let body = format!(
            "<?xml version='1.0'?><methodCall><methodName>system.multicall</methodName><params><param><value><array>\
             <data>{calls}</data></array></value></param></params></methodCall>"
        );
        let answer = call(&world, "guest:look", &body).await;
        assert!(
            answer.body.contains("is not for who may only look") && answer.body.contains("statecode"),
            "{answer:?}"
        );
        assert!(world.asked.borrow().is_empty());
    });
}

#[test]
fn a_readers_page_shows_and_its_buttons_are_refused() {
    with(build(true), async |world| {
        let reader = header("guest:look");
        let page = world.ask(&format!("GET / HTTP/1.1\r\n{reader}\r\n")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let token = page.body.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let form = format!("token={token}");
        let request = format!(
            "POST /index.html?processname=web&action=stop HTTP/1.1\r\nContent-Length: {}\r\n{reader}\r\n{form}",
            form.len()
        );
        let refused = world.ask(&request).await;
        assert!(refused.status == 403 && refused.body.contains("You may look"), "{refused:?}");
        assert!(!world.asked.borrow().iter().any(|line| line.contains("stopProcess")));
        std::fs::write(world.log("web.log"), "said\n").unwrap();
        let mut raw = world.connect().await;
        raw.send(format!("GET /logtail/web/stdout HTTP/1.1\r\n{reader}\r\n").as_bytes()).await;
        assert!(raw.head().await.contains("200"), "a reader follows logs");
    });
}

#[test]
fn wrong_credentials_are_refused_before_the_body_is_sent() {
    with(build(true), async |world| {
        let mut raw = world.connect().await;
        let wrong = header("guest:act");
        raw.send(format!("POST /RPC2 HTTP/1.1\r\nContent-Length: 1000000\r\n{wrong}\r\n").as_bytes()).await;
        assert_eq!(raw.response().await.status, 401);
        assert!(world.asked.borrow().is_empty());
    });
}
