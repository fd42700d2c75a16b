//! Choices made from a seed, and what they do to bytes.

/// xorshift64*: a seed makes the same inputs everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    /// Of `GALAXYD_SEED`, or the usual one; printed, as a failure is looked into with it.
    pub(crate) fn of_environment(what: &str) -> Dice {
        let seed = std::env::var("GALAXYD_SEED").ok().map_or(20_260, |text| text.parse().unwrap());
        eprintln!("{what}: GALAXYD_SEED={seed}");
        Dice((seed ^ 0x9e37_79b9_7f4a_7c15_u64).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1)
    }

    /// Below `sides`, which is not zero.
    pub(crate) fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % sides
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.throw(chances) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.throw(from.len())]
    }

    /// Flips, cuts, doubles and strews in, one to four times.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>, spices: &[&[u8]]) {
        for _ in 0..=self.throw(4) {
            if bytes.len() < 2 {
                return;
            }
            let at = self.throw(bytes.len());
            match self.throw(6) {
                0 => bytes[at] = u8::try_from(self.throw(256)).unwrap(),
                1 => bytes[at] ^= 1 << self.throw(8),
                2 => drop(bytes.remove(at)),
                3 => {
                    // A cut at the end is what a broken connection leaves; half of the cuts are in the middle.
                    let to = if self.one_in(2) { bytes.len() } else { (at + self.throw(40)).min(bytes.len()) };
                    bytes.drain(at.max(1)..to.max(at.max(1)));
                }
                4 => drop(bytes.splice(at..at, self.pick(spices).iter().copied())),
                _ => {
                    let to = (at + self.throw(200)).min(bytes.len());
                    let copy = bytes[at..to].to_vec();
                    drop(bytes.splice(at..at, copy));
                }
            }
        }
    }
}
