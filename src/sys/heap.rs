//! Where the memory of this process comes from: the system, and a reserve when that gives none.
//!
//! An allocation that fails ends a program of Rust: only few of its callers can say that they do without. So small ones come
//! from a reserve (`sys/reserve.rs`) then, and everybody is told by [`is_short`], to begin nothing that can be refused until there is memory again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use super::reserve::Reserve;

#[global_allocator]
static HEAP: Heap<System> = Heap::new(System);

/// There is memory again when so much of it is to be had at once, bytes.
const ENOUGH_BYTES: usize = 1024 * 1024;

/// Whether an allocation has failed and the system has still no memory. Costs a system call while that is so.
pub fn is_short() -> bool {
    HEAP.is_short()
}

/// Whether the system has so much memory at once. To be asked before what can be refused and takes so much in many pieces,
/// each of which would end the process if it was not there.
pub fn has_room(bytes: usize) -> bool {
    HEAP.has_room(bytes)
}

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

/// An allocator with a reserve behind it.
struct Heap<A> {
    system: A,
    reserve: Reserve,
    short: AtomicBool,
}

impl<A: GlobalAlloc> Heap<A> {
    const fn new(system: A) -> Heap<A> {
        Heap { system, reserve: Reserve::new(), short: AtomicBool::new(false) }
    }

    fn is_short(&self) -> bool {
        if !self.short.load(Ordering::Relaxed) {
            return false;
        }
        let is_over = self.has_room(ENOUGH_BYTES);
        if is_over {
            self.short.store(false, Ordering::Relaxed);
            self.reserve.give_back();
        }
        !is_over
    }

    fn has_room(&self, bytes: usize) -> bool {
        let Ok(layout) = Layout::array::<u8>(bytes.max(1)) else { return false };
        // SAFETY: the size is not zero. A compiler that sees an allocation go unused may leave it out, and take it for granted.
        let memory = black_box(unsafe { self.system.alloc(layout) });
        if !memory.is_null() {
            // SAFETY: it was just given for this layout.
            unsafe { self.system.dealloc(memory, layout) };
        }
        !memory.is_null()
    }

    /// The system has none: null where the reserve has none either, or where somebody wants very much.
    #[cold]
    fn take(&self, layout: Layout) -> *mut u8 {
        let piece = self.reserve.take(layout);
        if !piece.is_null() {
            self.short.store(true, Ordering::Relaxed);
        }
        piece
    }

    /// A piece for another size with what was in the former one, which is the caller's if there is none.
    ///
    /// # Safety
    ///
    /// As for [`GlobalAlloc::realloc`].
    #[cold]
    unsafe fn exchange(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that the size, rounded up, is less than `isize::MAX`; the alignment is a piece's.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller says that the size is not zero.
        let other = if self.reserve.owns(piece) { unsafe { self.alloc(wanted) } } else { self.take(wanted) };
        if !other.is_null() {
            // SAFETY: both are at least as long, and a new piece overlaps no other.
            unsafe { other.copy_from_nonoverlapping(piece, size.min(layout.size())) };
            // SAFETY: the caller's piece, which he gives up.
            unsafe { self.dealloc(piece, layout) };
        }
        other
    }
}

// SAFETY: pieces are the system's, or the reserve's, where the addresses say whose, and as large and aligned as was asked.
// Nothing here panics or allocates.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Heap<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        let piece = unsafe { self.system.alloc(layout) };
        if piece.is_null() { self.take(layout) } else { piece }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        let piece = unsafe { self.system.alloc_zeroed(layout) };
        if !piece.is_null() {
            return piece;
        }
        let piece = self.take(layout);
        if !piece.is_null() {
            // SAFETY: it was just taken for so many bytes.
            unsafe { piece.write_bytes(0, layout.size()) };
        }
        piece
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if self.reserve.owns(piece) {
            self.reserve.put(piece, layout.size());
        } else {
            // SAFETY: as the caller says, and whose it is was asked.
            unsafe { self.system.dealloc(piece, layout) };
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let other = if self.reserve.owns(piece) {
            null_mut()
        } else {
            // SAFETY: as the caller says, and whose it is was asked.
            unsafe { self.system.realloc(piece, layout, size) }
        };
        if other.is_null() {
            // SAFETY: as the caller says.
            unsafe { self.exchange(piece, layout, size) }
        } else {
            other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reserve::PIECE_MAX;
    use super::*;

    /// Has memory until it is told to have none.
    struct Fickle(AtomicBool);

    impl Fickle {
        fn has_none(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    // SAFETY: the system's allocator, or nothing.
    unsafe impl GlobalAlloc for Fickle {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as the caller says.
            if self.has_none() { null_mut() } else { unsafe { System.alloc(layout) } }
        }

        unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
            // SAFETY: as the caller says.
            unsafe { System.dealloc(piece, layout) };
        }
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// So many bytes that can be told from others.
    fn fill(heap: &Heap<Fickle>, piece: *mut u8, size: usize) {
        assert!(!piece.is_null());
        // SAFETY: the tests write to pieces of at least that size.
        unsafe { piece.write_bytes(7, size) };
        assert!(!heap.reserve.owns(piece) || heap.short.load(Ordering::Relaxed));
    }

    fn holds(piece: *mut u8, size: usize, byte: u8) -> bool {
        // SAFETY: the tests read what they have written, or what must be zero.
        unsafe { std::slice::from_raw_parts(piece, size) }.iter().all(|found| *found == byte)
    }

    #[test]
    fn small_pieces_come_from_the_reserve_while_the_system_has_none() {
        static HEAP: Heap<Fickle> = Heap::new(Fickle(AtomicBool::new(false)));
        let small = layout(100);
        // SAFETY: none of the sizes is zero, and each piece is given back once, with its layout.
        unsafe {
            let before = HEAP.alloc(small);
            fill(&HEAP, before, 100);
            HEAP.system.0.store(true, Ordering::Relaxed);
            assert!(!HEAP.is_short(), "nobody was refused");
            assert!(HEAP.alloc(layout(PIECE_MAX + 1)).is_null());
            assert!(!HEAP.is_short(), "who wants much may be told no");
            let zeroed = HEAP.alloc_zeroed(small);
            assert!(HEAP.reserve.owns(zeroed) && holds(zeroed, 100, 0));
            assert!(HEAP.is_short());
            let grown = HEAP.realloc(before, small, 5000);
            assert!(HEAP.reserve.owns(grown) && holds(grown, 100, 7));
            fill(&HEAP, grown, 5000);
            assert!(HEAP.realloc(grown, layout(5000), PIECE_MAX + 1).is_null());
            HEAP.system.0.store(false, Ordering::Relaxed);
            assert!(!HEAP.is_short());
            // What was taken from the reserve stays good, and leaves it when it moves.
            assert!(holds(grown, 5000, 7));
            let moved = HEAP.realloc(grown, layout(5000), PIECE_MAX + 1);
            assert!(!HEAP.reserve.owns(moved) && holds(moved, 5000, 7));
            HEAP.dealloc(moved, layout(PIECE_MAX + 1));
            HEAP.dealloc(zeroed, small);
        }
    }

    #[test]
    fn what_the_reserve_lends_it_gets_back() {
        static HEAP: Heap<Fickle> = Heap::new(Fickle(AtomicBool::new(true)));
        for _ in 0..3 {
            let pieces: Vec<_> = std::iter::repeat_with(|| {
                // SAFETY: the size is not zero.
                unsafe { HEAP.alloc(layout(PIECE_MAX)) }
            })
            .take_while(|piece| !piece.is_null())
            .collect();
            assert_eq!(pieces.len(), 8);
            for piece in pieces {
                // SAFETY: it was given for this layout.
                unsafe { HEAP.dealloc(piece, layout(PIECE_MAX)) };
            }
        }
        assert!(HEAP.is_short() && !HEAP.has_room(1));
    }

    #[test]
    fn there_is_room_for_what_can_be_had() {
        assert!(has_room(0) && has_room(ENOUGH_BYTES));
        assert!(!has_room(usize::MAX) && !has_room(usize::MAX >> 1));
    }
}
