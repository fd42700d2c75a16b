//! What may hang (looking a host up, reading a file) on side threads, so few of them that the daemon has others left.

use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

use crate::sys::side;

/// So many such things at a time, those included that nobody waits for any more.
const SIDE_THREADS_MAX: usize = 4;

static THREADS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(SIDE_THREADS_MAX)));

/// Does it when a thread is free; `None` if it panicked.
pub(super) async fn on_a_side_thread<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let permit = Arc::clone(&THREADS).acquire_owned().await.ok()?;
    let work = move || {
        let done = what();
        drop(permit);
        done
    };
    side::run(work).await.ok()
}
