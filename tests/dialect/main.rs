//! The dialect primitives of the configuration against the originals: Python's and Supervisor's own.

#[path = "../fixture/venv.rs"]
mod venv;

#[test]
fn the_environment_is_made_once() {
    let found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(venv::supervisor_venv)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    println!("{found:?}");
}
