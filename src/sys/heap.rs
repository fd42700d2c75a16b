//! Keeps the allocator of this process small.

/// One arena for all threads, and free memory goes back to the system early: our threads allocate little, and each arena
/// of glibc keeps what it once had. To be called before threads are started. Other allocators are left alone.
pub fn keep_small() {
    #[cfg(target_env = "gnu")]
    {
        const ARENAS_MAX: libc::c_int = 1;
        const LARGE_BYTES: libc::c_int = 64 * 1024;
        // SAFETY: sets numbers inside the allocator; there is one thread.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, ARENAS_MAX);
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE_BYTES);
        }
    }
}

/// Gives free memory back to the system that lies between used one, where the allocator leaves it to itself: what an
/// answer about thousands of programs was made of. Takes milliseconds at most.
pub fn give_back() {
    // SAFETY: the allocator's own function, for any thread at any time.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
