//! SplitMix64 (Steele, Lea, Flood 2014): a small generator whose sequence is fixed by its seed alone. Not for secrets.

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An independent stream for item `index` of the group `group`, so that an item can be made without those
    /// before it.
    pub fn derived(seed: u64, group: u64, index: u64) -> Self {
        let group = Self(seed ^ group.wrapping_mul(0xD6E8_FEB8_6659_FD93)).next_u64();
        Self(Self(group ^ index.wrapping_mul(0xA076_1D64_78BD_642F)).next_u64())
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).unsigned_abs()) as i64
    }

    /// A number below `n` in which small ones are frequent: a quarter of the draws falls into the first sixteenth.
    pub fn skewed(&mut self, n: u64) -> u64 {
        let wide = u128::from(self.next_u64() >> 32);
        ((wide * wide * u128::from(n)) >> 64) as u64
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which are never empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// A version 4 UUID in lower case.
    pub fn uuid(&mut self) -> String {
        let wide = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        uuid::Builder::from_random_bytes(wide.to_be_bytes()).into_uuid().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence() {
        let mut rng = SplitMix64::new(1234567);
        let first: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(first, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn draws_stay_inside() {
        let mut rng = SplitMix64::new(7);
        let mut seen = [false; 5];
        for _ in 0..1000 {
            seen[rng.below(5) as usize] = true;
            assert!((-3..=3).contains(&rng.range(-3, 3)));
            assert!(rng.skewed(10) < 10);
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn streams_of_neighbours_differ() {
        let a = SplitMix64::derived(1, 2, 3).next_u64();
        assert_eq!(a, SplitMix64::derived(1, 2, 3).next_u64());
        for other in [(2, 2, 3), (1, 3, 3), (1, 2, 4)] {
            assert_ne!(a, SplitMix64::derived(other.0, other.1, other.2).next_u64());
        }
    }
}
