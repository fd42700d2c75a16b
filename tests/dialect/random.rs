//! Texts made from a seed.

/// A small generator (xorshift64*), so that a seed gives the same texts everywhere.
pub(crate) struct Random {
    state: u64,
}

/// The seed of this run: `DIALECT_SEED`, or always the same.
pub(crate) fn seed() -> u64 {
    number_from_environment("DIALECT_SEED", 1)
}

/// How many texts of each kind: `DIALECT_CASES`, or 5,000.
pub(crate) fn cases() -> usize {
    usize::try_from(number_from_environment("DIALECT_CASES", 5_000)).unwrap()
}

fn number_from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

impl Random {
    /// Different kinds of text get different streams of the same seed.
    pub(crate) fn new(seed: u64, stream: &str) -> Self {
        let mixed = stream.bytes().fold(seed ^ 0x9e37_79b9_7f4a_7c15, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
        });
        Random { state: mixed | 1 }
    }

    /// Below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let drawn = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % bound
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// Up to `max` pieces in a row.
    pub(crate) fn soup(&mut self, from: &[&str], max: usize) -> String {
        let count = self.below(max + 1);
        (0..count).map(|_| self.pick(from)).collect()
    }

    /// `text` with a few characters taken out, doubled, exchanged or put in.
    pub(crate) fn mutated(&mut self, text: &str, put_in: &[&str]) -> String {
        let mut chars: Vec<String> = text.chars().map(String::from).collect();
        for _ in 0..=self.below(6) {
            let at = self.below(chars.len() + 1);
            match self.below(4) {
                0 if at < chars.len() => drop(chars.remove(at)),
                1 if at < chars.len() => chars.insert(at, chars[at].clone()),
                2 if at < chars.len() => {
                    let other = self.below(chars.len());
                    chars.swap(at, other);
                }
                _ => chars.insert(at, self.pick(put_in).to_owned()),
            }
        }
        chars.concat()
    }
}
