//! Requests one after the other, from several threads, until enough were made; every one that is not answered counts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const THREADS: usize = 4;

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// One request; the body of its answer.
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

/// Clients at work.
pub(crate) struct Load {
    made: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    pub(crate) fn start(port: u16) -> Load {
        let (made, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let client = |_| {
            let (made, enough) = (Arc::clone(&made), Arc::clone(&enough));
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    failed.extend(ask(port).err());
                    made.fetch_add(1, Ordering::Relaxed);
                }
                failed
            })
        };
        let threads = (0..THREADS).map(client).collect();
        Load { made, enough, threads }
    }

    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// How many requests were made, and what became of those that failed.
    pub(crate) fn end(self) -> (usize, Vec<String>) {
        self.enough.store(true, Ordering::Relaxed);
        let failed = self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (self.made.load(Ordering::Relaxed), failed)
    }
}
