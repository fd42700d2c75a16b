//! Memory set aside at the start, for what is needed when the system gives none.
//!
//! It costs addresses only: no page of it is there before it is used. Where addresses are limited (`RLIMIT_AS`) or memory is
//! promised strictly (`vm.overcommit_memory=2`), it was counted when the program was executed.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is taken together, bytes.
const GRANULE: usize = 64;

/// Granules of a page: one word of the map says which of them are taken.
const PER_PAGE: usize = u64::BITS as usize;

const PAGE: usize = GRANULE * PER_PAGE;

const PAGES: usize = 512;

/// All of it: what a full house of connections holds while they are turned away, and the restarts of a turn, many times.
const BYTES: usize = PAGE * PAGES;

/// No single piece is larger: whoever wants more than that can do without it, or should have asked before.
pub(super) const PIECE_MAX: usize = BYTES / 8;

#[repr(C, align(4096))]
struct Memory(UnsafeCell<MaybeUninit<[u8; BYTES]>>);

/// Pieces of a fixed piece of memory. For all threads.
pub(super) struct Reserve {
    memory: Memory,
    taken: Mutex<Map>,
}

// SAFETY: a part of `memory` belongs to whom the map, behind its lock, has given it, and to nobody else.
unsafe impl Sync for Reserve {}

impl Reserve {
    pub(super) const fn new() -> Reserve {
        Reserve { memory: Memory(UnsafeCell::new(MaybeUninit::uninit())), taken: Mutex::new(Map { words: [0; PAGES] }) }
    }

    /// A piece of uninitialized memory, or null if there is none of that size and alignment.
    pub(super) fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() > PIECE_MAX || layout.align() > PAGE {
            return null_mut();
        }
        let count = layout.size().div_ceil(GRANULE);
        let mut map = self.lock();
        let Some(first) = map.find(count, layout.align().div_ceil(GRANULE)) else { return null_mut() };
        map.set(first, count);
        self.base().wrapping_add(first * GRANULE)
    }

    /// Whether a piece comes from here.
    pub(super) fn owns(&self, piece: *const u8) -> bool {
        self.place_of(piece).is_some()
    }

    /// Takes a piece back that [`Reserve::take`] gave for so many bytes.
    pub(super) fn put(&self, piece: *const u8, bytes: usize) {
        if let Some(place) = self.place_of(piece) {
            self.lock().clear(place / GRANULE, bytes.div_ceil(GRANULE));
        }
    }

    /// Gives the pages back to the system on which nothing is.
    pub(super) fn give_back(&self) {
        let map = self.lock();
        for (page, _) in map.words.iter().enumerate().filter(|(_, word)| **word == 0) {
            let Some(begin) = NonNull::new(self.base().wrapping_add(page * PAGE).cast()) else { continue };
            // SAFETY: the page is ours and anonymous, nobody has a piece of it, and nobody gets one while the map is locked.
            // Where a page of the system is larger than ours, the call fails, and the page stays.
            let _ = unsafe { nix::sys::mman::madvise(begin, PAGE, nix::sys::mman::MmapAdvise::MADV_DONTNEED) };
        }
    }

    fn base(&self) -> *mut u8 {
        self.memory.0.get().cast()
    }

    /// Where in the reserve it is, bytes.
    fn place_of(&self, piece: *const u8) -> Option<usize> {
        piece.addr().checked_sub(self.base().addr()).filter(|place| *place < BYTES)
    }

    /// Locking takes no memory. Source: std's mutex on Linux is a futex.
    fn lock(&self) -> MutexGuard<'_, Map> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which granules are taken: a bit for each, the lowest of a word first.
struct Map {
    words: [u64; PAGES],
}

impl Map {
    /// The first of `count` free granules that follow each other, at a multiple of `step`.
    fn find(&self, count: usize, step: usize) -> Option<usize> {
        let (mut begin, mut end) = (0, 0);
        while let Some(word) = self.words.get(end / PER_PAGE) {
            let left = PER_PAGE - end % PER_PAGE;
            let rest = word >> (end % PER_PAGE);
            if rest & 1 == 0 {
                end += left.min(rest.trailing_zeros() as usize);
            } else {
                begin = (end + rest.trailing_ones() as usize).next_multiple_of(step);
                end = begin;
            }
            if end >= begin + count {
                return Some(begin);
            }
        }
        None
    }

    fn set(&mut self, first: usize, count: usize) {
        self.each_word(first, count, |word, mask| *word |= mask);
    }

    fn clear(&mut self, first: usize, count: usize) {
        self.each_word(first, count, |word, mask| *word &= !mask);
    }

    /// Calls `change` with each word that has some of these granules, and their bits.
    fn each_word(&mut self, first: usize, count: usize, change: impl Fn(&mut u64, u64)) {
        let (mut next, end) = (first, first + count);
        while next < end
            && let Some(word) = self.words.get_mut(next / PER_PAGE)
        {
            let low = next % PER_PAGE;
            let here = (PER_PAGE - low).min(end - next);
            change(word, (u64::MAX >> (PER_PAGE - here)) << low);
            next += here;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn a_reserve_gives_all_it_has_and_no_more_and_takes_it_back() {
        static RESERVE: Reserve = Reserve::new();
        let piece = layout(PIECE_MAX, 1);
        for _ in 0..3 {
            let pieces: Vec<_> =
                std::iter::repeat_with(|| RESERVE.take(piece)).take_while(|at| !at.is_null()).collect();
            assert_eq!(pieces.len(), BYTES / PIECE_MAX);
            assert!(RESERVE.take(layout(1, 1)).is_null());
            for at in pieces {
                assert!(RESERVE.owns(at));
                RESERVE.put(at, PIECE_MAX);
            }
            RESERVE.give_back();
        }
        assert!(RESERVE.take(layout(PIECE_MAX + 1, 1)).is_null());
        assert!(RESERVE.take(layout(1, 2 * PAGE)).is_null());
        assert!(!RESERVE.owns(std::ptr::null()) && !RESERVE.owns((&raw const RESERVE).wrapping_add(1).cast()));
    }

    #[test]
    fn pages_without_a_piece_are_given_back_and_the_others_keep_what_is_on_them() {
        static RESERVE: Reserve = Reserve::new();
        let [kept, dropped] = [1, 2].map(|_| RESERVE.take(layout(PAGE, 1)));
        for (piece, byte) in [(kept, 1_u8), (dropped, 2)] {
            // SAFETY: so many bytes were taken.
            unsafe { piece.write_bytes(byte, PAGE) };
        }
        RESERVE.put(dropped, PAGE);
        RESERVE.give_back();
        // SAFETY: the first piece is still ours. What was dropped is read as the memory of the static that it is.
        let (first, second) = unsafe { (kept.add(PAGE - 1).read(), dropped.read()) };
        assert_eq!((first, second), (1, 0));
    }

    proptest! {
        #[test]
        fn no_two_pieces_overlap(sizes in proptest::collection::vec((1_usize..9000, 0_u32..10, any::<bool>()), 1..200)) {
            let mut map = Map { words: [0; PAGES] };
            let mut held: Vec<(usize, usize)> = Vec::new();
            for (size, align, drops) in sizes {
                let (count, step) = (size.div_ceil(GRANULE), (1_usize << align).div_ceil(GRANULE));
                if let Some(first) = map.find(count, step) {
                    prop_assert_eq!(first % step, 0);
                    prop_assert!(first + count <= PAGES * PER_PAGE);
                    prop_assert!(held.iter().all(|(other, length)| first + count <= *other || other + length <= first));
                    map.set(first, count);
                    held.push((first, count));
                } else {
                    prop_assert!(held.iter().map(|(_, length)| length).sum::<usize>() > 0);
                }
                if drops {
                    let (first, count) = held.swap_remove(held.len() / 2);
                    map.clear(first, count);
                }
            }
            let taken: usize = held.iter().map(|(_, length)| length).sum();
            prop_assert_eq!(map.words.iter().map(|word| word.count_ones() as usize).sum::<usize>(), taken);
        }
    }
}
