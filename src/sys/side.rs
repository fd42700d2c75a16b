//! Threads for what may block, or hang in a file system for ever.
//!
//! One stands as long as the process lives, so that there is one when the system gives no further ones (EAGAIN): what is
//! to be done waits for it then. Others are made while there is more to do than threads are free, and end when they are idle.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::heap;

/// So many at once, those included that hang. At the limit what is to be done waits for one of them.
pub const THREADS_MAX: usize = 16;

/// More than a new thread takes: its stack of 2 MiB, another one for signals, what is its own in libraries.
const THREAD_BYTES: usize = 3 * 1024 * 1024;

/// After so long without work a thread ends, unless it is the last one.
const IDLE_MAX: Duration = Duration::from_millis(500);

type Job = Box<dyn FnOnce() + Send>;

/// All of this process' side threads.
static POOL: Pool =
    Pool { state: Mutex::new(State { jobs: VecDeque::new(), threads: 0, idle: 0 }), news: Condvar::new() };

struct Pool {
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Those that wait for a job, and those that were woken for one and have not taken it.
    idle: usize,
}

/// Makes the thread that stands. To be called before anything depends on there being one.
///
/// # Errors
///
/// There is none to be had: EAGAIN, no memory.
pub fn stand() -> io::Result<()> {
    let mut state = POOL.lock();
    if state.threads == 0 { POOL.add_thread(&mut state) } else { Ok(()) }
}

/// Does `work` on a side thread, when there is one. What comes out need not be waited for; it is an error if `work` panics.
pub fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (sender, outcome) = oneshot::channel();
    let job = move || {
        // Nobody need wait for it.
        let _ = sender.send(work());
    };
    let mut state = POOL.lock();
    state.jobs.push_back(Box::new(job));
    if state.jobs.len() > state.idle && state.threads < THREADS_MAX {
        // Without another one it waits for those that there are.
        let _ = POOL.add_thread(&mut state);
    }
    drop(state);
    POOL.news.notify_one();
    outcome
}

/// Takes a thread out of the count, also when its job panicked.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        POOL.lock().threads -= 1;
    }
}

impl Pool {
    /// Never poisoned in a way that matters: what is inside is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_thread(&'static self, state: &mut State) -> io::Result<()> {
        // A thread that gets a stack, and then nothing for what std gives each thread, ends the process.
        if !heap::has_room(THREAD_BYTES) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        std::thread::Builder::new().name("side".to_owned()).spawn(|| self.work())?;
        state.threads += 1;
        Ok(())
    }

    fn work(&self) {
        let counted = Counted;
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let is_over;
            (state, is_over) = self.wait(state);
            state.idle -= 1;
            if is_over && state.jobs.is_empty() && state.threads > 1 {
                drop(state);
                return drop(counted);
            }
        }
    }

    /// Until there is news; true if there was none for too long.
    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        if state.threads == 1 {
            return (self.news.wait(state).unwrap_or_else(PoisonError::into_inner), false);
        }
        let (state, waited) = self.news.wait_timeout(state, IDLE_MAX).unwrap_or_else(PoisonError::into_inner);
        (state, waited.timed_out())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_hangs_holds_up_nobody_and_a_panic_costs_its_own_answer_alone() {
        stand().unwrap();
        let (release, hung) = mpsc::channel::<()>();
        let first = run(move || hung.recv().is_err());
        assert_eq!(run(|| 7).blocking_recv(), Ok(7));
        let panicked = run(|| assert!(first_is_none(Some(1)), "as a job may")).blocking_recv();
        assert!(panicked.is_err());
        assert_eq!(run(|| 8).blocking_recv(), Ok(8));
        drop(release);
        assert_eq!(first.blocking_recv(), Ok(true));
    }

    fn first_is_none(first: Option<i32>) -> bool {
        first.is_none()
    }

    #[test]
    fn many_jobs_are_all_done_by_few_threads() {
        let outcomes: Vec<_> = (0..200).map(|number| run(move || number)).collect();
        assert!(POOL.lock().threads <= THREADS_MAX);
        for (number, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome.blocking_recv(), Ok(number));
        }
    }
}
