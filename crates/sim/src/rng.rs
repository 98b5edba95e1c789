//! A small deterministic generator, so that one seed gives the same bytes on every machine and in every release.
//!
//! SplitMix64 (Steele, Lea, Flood 2014). A stream is forked by name, never by call order: adding a scenario does
//! not change what an unrelated person did.

/// One stream of pseudo-random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Rng {
    /// The stream of `seed` for one purpose; `a` and `b` tell apart persons, days, addresses.
    pub(crate) fn fork(seed: u64, purpose: &str, a: u64, b: u64) -> Rng {
        let mut state = seed ^ GOLDEN;
        for byte in purpose.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut rng =
            Rng(state ^ a.wrapping_mul(GOLDEN).rotate_left(17) ^ b.wrapping_mul(0xd6e8_feb8_6659_fd93));
        rng.next();
        rng.next();
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number in `low..high`; `low` where the range is empty.
    pub(crate) fn range(&mut self, low: i64, high: i64) -> i64 {
        if high <= low {
            return low;
        }
        let span = high.wrapping_sub(low) as u64;
        low.wrapping_add((self.next() % span) as i64)
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        if count == 0 { 0 } else { (self.next() % count as u64) as usize }
    }

    /// In `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Around zero, spread one, bounded by ±3: the sum of twelve uniform numbers.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len());
        from.get(at).expect("callers pass tables that are not empty")
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// `len` characters out of `alphabet`.
    pub(crate) fn text(&mut self, alphabet: &str, len: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..len).map(|_| *self.pick(&letters)).collect()
    }

    pub(crate) fn hex(&mut self, len: usize) -> String {
        self.text("0123456789abcdef", len)
    }

    pub(crate) fn upper_id(&mut self, len: usize) -> String {
        self.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", len)
    }

    pub(crate) fn token(&mut self, len: usize) -> String {
        self.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", len)
    }

    /// A random (version 4) UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            8 + (b & 3),
            (b >> 4) & 0xfff,
            (b >> 16) & 0xffff_ffff_ffff
        )
    }

    /// An unprivileged port.
    pub(crate) fn port(&mut self) -> i64 {
        self.range(20_000, 65_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_repeatable_and_apart() {
        let mut a = Rng::fork(7, "days", 1, 2);
        let mut b = Rng::fork(7, "days", 1, 2);
        let mut c = Rng::fork(7, "days", 2, 1);
        assert_eq!(a.next(), b.next());
        assert_ne!(a.next(), c.next());
    }

    #[test]
    fn ranges_keep_their_bounds() {
        let mut rng = Rng::fork(1, "bounds", 0, 0);
        for _ in 0..1000 {
            assert!((3..9).contains(&rng.range(3, 9)));
        }
        assert_eq!(rng.range(5, 5), 5);
        assert_eq!(rng.uuid().len(), 36);
    }
}
