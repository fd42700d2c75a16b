//! The client half, against our own endpoints.

use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use galaxyd::http::client::{BlockingClient, Client, ClientError, Credentials};
use galaxyd::rpc::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Build, PATIENCE, auth, with, with_world};

fn client(url: &str) -> Client {
    Client::new(url, None, Some(PATIENCE)).unwrap()
}

#[test]
fn calls_return_values_and_faults() {
    for inet in [false, true] {
        with(Build { inet, ..Build::default() }, async |world| {
            let client = client(&world.url());
            let state = client.call("supervisor.getState", &[]).await.unwrap();
            assert_eq!(state.get("statename").and_then(Value::as_str), Some("RUNNING"));
            let error = client.call("supervisor.startProcess", &["no".into()]).await.unwrap_err();
            assert_eq!(error.fault().map(|fault| fault.text.as_str()), Some("BAD_NAME: no"));
            // What XML forbids gets to the program, and comes back replaced.
            let echo = client.call("supervisor.sendProcessStdin", &["web".into(), "\u{3}é<&>\u{1b}".into()]).await;
            assert_eq!(echo.unwrap(), "\u{fffd}é<&>\u{fffd}".into());
            let asked = world.asked.borrow();
            assert!(asked.last().unwrap().ends_with(" supervisor.sendProcessStdin web (7 bytes)"), "{asked:?}");
        });
    }
}

#[test]
fn introspection_and_multicall_work_through_it() {
    with_world(async |world| {
        let client = client(&world.url());
        let names = client.call("system.listMethods", &[]).await.unwrap();
        assert_eq!(names.as_array().unwrap().len(), 41);
        let entry = |name: &str| Value::object([("methodName", name.into()), ("params", Value::Array(vec![]))]);
        let calls = vec![entry("supervisor.getState"), entry("no.such"), entry("system.listMethods")];
        let answers = client.call("system.multicall", &[Value::Array(calls)]).await.unwrap();
        let [state, fault, list] = answers.as_array().unwrap() else { panic!("{answers:?}") };
        assert_eq!(state.get("statecode"), Some(&Value::Int(1)));
        assert_eq!(fault.get("faultCode"), Some(&Value::Int(1)));
        assert_eq!(*list, names);
    });
}

#[test]
fn credentials_are_sent() {
    with(Build { auth: Some(auth("admin", "pä:ss")), ..Build::default() }, async |world| {
        let with_password = |password: &str| {
            let credentials = Credentials { username: "admin".to_owned(), password: password.to_owned() };
            Client::new(&world.url(), Some(credentials), Some(PATIENCE)).unwrap()
        };
        assert!(with_password("pä:ss").call("supervisor.getState", &[]).await.is_ok());
        let error = with_password("x").call("supervisor.getState", &[]).await.unwrap_err();
        assert!(matches!(error, ClientError::Unauthorized), "{error:?}");
        let error = client(&world.url()).follow("/mainlogtail", |_| ControlFlow::Continue(())).await.unwrap_err();
        assert!(matches!(error, ClientError::Unauthorized), "{error:?}");
    });
}

#[test]
fn every_way_to_fail_is_told_apart() {
    with_world(async |world| {
        let folder = world.folder.path();
        let fails = async |url: &str| client(url).call("m", &[]).await.unwrap_err();
        let stale = folder.join("stale.sock");
        drop(UnixListener::bind(&stale).unwrap());
        let error = fails(&format!("unix://{}", stale.display())).await;
        assert!(matches!(error, ClientError::Refused), "{error:?}");
        let error = fails(&format!("unix://{}", folder.join("none.sock").display())).await;
        assert!(matches!(error, ClientError::NoSuchFile), "{error:?}");
        let error = fails("http://127.0.0.1:1").await;
        assert!(matches!(error, ClientError::Refused), "{error:?}");
        let error = fails("http://host.invalid:1").await;
        assert!(matches!(error, ClientError::Connect(_)), "{error:?}");
        let error = client(&world.url()).follow("/nope", |_| ControlFlow::Continue(())).await.unwrap_err();
        assert!(matches!(&error, ClientError::Status { code: 404, reason } if reason == "Not Found"), "{error:?}");
        if !nix::unistd::geteuid().is_root() {
            let closed = folder.join("closed.sock");
            let _listener = UnixListener::bind(&closed).unwrap();
            std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
            let error = fails(&format!("unix://{}", closed.display())).await;
            assert!(matches!(error, ClientError::PermissionDenied), "{error:?}");
        }
    });
}

#[test]
fn a_daemon_that_hangs_is_a_timeout() {
    with_world(async |world| {
        let hung = world.folder.path().join("hung.sock");
        let _listener = UnixListener::bind(&hung).unwrap();
        let url = format!("unix://{}", hung.display());
        let short = Some(Duration::from_millis(50));
        let error = Client::new(&url, None, short).unwrap().call("m", &[]).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout(_)), "{error:?}");
        let error = client(&url).call_within(short, "m", &[]).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout(_)), "{error:?}");
        // Ours takes the call and never answers it; giving up is noticed.
        let mut world = world;
        let error =
            client(&world.url()).call_within(short, "supervisor.startProcess", &["slow".into()]).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout(_)), "{error:?}");
        world.given_up.recv().await.unwrap();
    });
}

/// A server that answers the first request with these bytes and closes.
async fn answering(answer: &'static [u8]) -> Result<Value, ClientError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.sock");
    let listener = tokio::net::UnixListener::bind(&file).unwrap();
    let server = tokio::task::spawn_local(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(answer).await.unwrap();
    });
    let result = client(&format!("unix://{}", file.display())).call("m", &[]).await;
    server.await.unwrap();
    result
}

#[test]
fn strange_servers_are_errors() {
    with_world(async |_| {
        for (answer, expected) in [
            (b"".as_slice(), "Broken"),
            (b"hello\r\n\r\n", "Broken"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "Broken"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html", "BadAnswer"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "BadAnswer"),
            (
                b"HTTP/1.1 500 Broken Today\r\nContent-Length: 0\r\n\r\n",
                "Status { code: 500, reason: \"Broken Today\" }",
            ),
        ] {
            let error = format!("{:?}", answering(answer).await.unwrap_err());
            assert!(error.starts_with(expected), "{error}");
        }
    });
}

#[test]
fn a_log_is_followed_until_the_caller_has_enough() {
    with_world(async |world| {
        std::fs::write(world.log("a b:c.log"), "one\ntwo\n").unwrap();
        let mut seen = Vec::new();
        client(&world.url())
            .follow("/logtail/a b:c/stdout", |bytes| {
                seen.extend_from_slice(bytes);
                if seen.ends_with(b"two\n") { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await
            .unwrap();
        assert_eq!(seen, b"one\ntwo\n");
    });
}

#[test]
fn the_blocking_client_does_the_same() {
    with_world(async |world| {
        let url = world.url();
        let work = tokio::task::spawn_blocking(move || {
            let client = BlockingClient::new(client(&url)).unwrap();
            client.call("supervisor.getState", &[]).unwrap();
            client.call_within(None, "supervisor.getState", &[]).unwrap()
        });
        assert!(work.await.unwrap().get("statecode").is_some());
    });
}
