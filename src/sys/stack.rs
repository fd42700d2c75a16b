//! The stack of the thread that calls, the first one of its process: the kernel makes it longer as it is used.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};

use super::limits;

/// More than the loop has ever used, bytes.
const CLAIMED: usize = 1024 * 1024;

/// Pages so near to the end of the claim are left alone: they may be those of a caller.
const MARGIN: usize = 64 * 1024;

const PAGE: usize = 4096;

/// Has the kernel give the stack its addresses now. Later, when there are none (`RLIMIT_AS`, strict accounting), it would end
/// the process in the middle of a call. The pages themselves are given back.
pub fn claim() {
    let has_room = limits::get(limits::STACK).is_ok_and(|(soft, _)| soft >= 4 * CLAIMED as u64);
    let Some(begin) = has_room.then(reach_down).and_then(NonNull::new) else { return };
    // SAFETY: the frame of the call that has returned, without what is near to ours: nothing is in it. Where a page of the
    // system is larger than ours, the call fails, and the pages stay.
    let _ = unsafe { madvise(begin.cast(), CLAIMED - MARGIN - PAGE, MmapAdvise::MADV_DONTNEED) };
}

/// Has a frame so large on the stack for a moment. Where its first whole page was.
#[inline(never)]
fn reach_down() -> *mut u8 {
    let mut frame = MaybeUninit::<[u8; CLAIMED]>::uninit();
    let lowest: *mut u8 = black_box(frame.as_mut_ptr().cast());
    // SAFETY: the first byte of the frame. The compiler must not leave it out.
    unsafe { lowest.write_volatile(0) };
    lowest.map_addr(|begin| begin.next_multiple_of(PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_the_stack_stays_when_more_of_it_is_claimed() {
        // The stack of a test's thread is there from its beginning, and as long as the claim allows.
        let thread = std::thread::Builder::new().stack_size(4 * CLAIMED);
        let handle = thread.spawn(|| {
            let here = black_box([7_u8; 3 * PAGE]);
            claim();
            here.iter().all(|byte| *byte == 7)
        });
        assert!(handle.unwrap().join().unwrap());
    }
}
