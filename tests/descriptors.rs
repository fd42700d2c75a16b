//! A process without descriptors. Tests of their own, one after the other, because the limit is the process's.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::Duration;

use galaxyd::config::{Access, PageConfig, ServerConfig, UnixServer};
use galaxyd::http::{bind, serve};
use galaxyd::sys::{pidfd, proc_table};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use tokio::sync::mpsc;

/// One at a time.
static LIMIT: Mutex<()> = Mutex::new(());

#[test]
fn a_process_of_which_nothing_can_be_found_out_is_not_taken_for_one_that_is_gone() {
    let _alone = LIMIT.lock().unwrap();
    let me = i32::try_from(std::process::id()).unwrap();
    let identity = proc_table::one(me).unwrap().unwrap().identity;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
    let (one, all, held) = (proc_table::one(me), proc_table::all(), pidfd::open(identity));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    for error in [one.unwrap_err(), all.unwrap_err(), held.unwrap_err()] {
        assert_eq!(error.raw_os_error(), Some(nix::libc::EMFILE));
    }
}

#[test]
fn without_descriptors_accepting_waits_without_spinning_and_goes_on_when_there_are_some() {
    let _alone = LIMIT.lock().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.sock");
    let section = "unix_http_server".to_owned();
    let server = ServerConfig::Unix(UnixServer {
        section,
        file: file.clone(),
        chmod: 0o700,
        chown: None,
        auth: None,
        access: Access::default(),
        page: PageConfig::default(),
    });
    let listener = bind(&server).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (control, _requests) = mpsc::channel(1);
    runtime.block_on(async {
        let _endpoint = serve(listener, &server, control, std::sync::Arc::default()).unwrap();
        let mut client = UnixStream::connect(&file).unwrap();
        client.write_all(b"GET /nope HTTP/1.0\r\n\r\n").unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
        let before = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let used =
            (after.user_time() + after.system_time() - before.user_time() - before.system_time()).num_milliseconds();
        assert!(used < 100, "{used} ms of a second were spent");
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            client.read_to_string(&mut answer).map(|_| answer)
        });
        assert!(answer.await.unwrap().unwrap().starts_with("HTTP/1.0 404"));
    });
}
