//! Users behind a proxy that balances: requests from several threads until it is enough, every one that gets no good answer counts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wait::until;

const THREADS: usize = 4;

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// One request of one server; the body of its answer.
pub(crate) fn ask(port: u16) -> Result<String, String> {
    let told = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| told("connect", error))?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").map_err(|error| told("send", error))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| told("answer", error))?;
    let body = answer.split_once("\r\n\r\n").filter(|(head, body)| head.contains(" 200 ") && !body.is_empty());
    body.map(|(_, body)| body.trim().to_owned()).ok_or(format!("answer: {answer:?}"))
}

/// One request as a proxy hands it on: to the next server where one cannot be reached or says nothing at all, as nginx does
/// (`proxy_next_upstream error`). An answer that is not good is none that it would hide.
fn ask_any(ports: &[u16], first: usize) -> Result<String, String> {
    let mut last = String::new();
    for at in 0..ports.len() {
        match ask(ports[(first + at) % ports.len()]) {
            Err(why) if !why.contains("HTTP/") => last = why,
            answer => return answer,
        }
    }
    Err(last)
}

/// Users at work.
pub(crate) struct Load {
    made: Arc<AtomicUsize>,
    is_enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// On these servers in turn.
    pub(crate) fn start(ports: &[u16]) -> Load {
        let (made, is_enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let user = |_| {
            let (made, is_enough, ports) = (Arc::clone(&made), Arc::clone(&is_enough), ports.to_vec());
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                while !is_enough.load(Ordering::Relaxed) {
                    let number = made.fetch_add(1, Ordering::Relaxed);
                    failed.extend(ask_any(&ports, number).err());
                }
                failed
            })
        };
        let threads = (0..THREADS).map(user).collect();
        let load = Load { made, is_enough, threads };
        load.wait_for(THREADS);
        load
    }

    /// Until this many requests were made.
    pub(crate) fn wait_for(&self, count: usize) {
        let made = || self.made.load(Ordering::Relaxed);
        until("requests", || if made() >= count { Ok(()) } else { Err(format!("{} of {count}", made())) });
    }

    /// How many requests were made, and what became of those that failed.
    pub(crate) fn end(self) -> (usize, Vec<String>) {
        self.is_enough.store(true, Ordering::Relaxed);
        let failed = self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (self.made.load(Ordering::Relaxed), failed)
    }
}
