//! Keys: a prefix and a zero-padded number of fixed width, drawn by one of memtier's patterns.
//!
//! The fixed width is what lets a request be patched in place. Padding is ours; memtier's keys vary in
//! length with the number.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Normal, Zipf};

use crate::Error;

/// All keys of a run, `minimum` and `maximum` both included.
#[derive(Clone, Debug)]
pub struct KeySpace {
    prefix: Vec<u8>,
    digits: usize,
    minimum: u64,
    maximum: u64,
}

/// How the next key is drawn; the letters are memtier's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    /// `R`
    Uniform,
    /// `Z`: rank 1 is the lowest key.
    Zipfian { exponent: f64 },
    /// `G`: draws outside the range are drawn again.
    Gaussian { median: f64, deviation: f64 },
    /// `S`: each connection walks the whole range and starts over.
    Sequential,
    /// `P`: each connection walks its own part of the range.
    Parallel,
}

/// One connection's endless supply of keys.
#[derive(Debug)]
pub enum KeyStream {
    Uniform { minimum: u64, maximum: u64 },
    Zipfian { minimum: u64, maximum: u64, ranks: Zipf<f64> },
    Gaussian { minimum: u64, maximum: u64, curve: Normal<f64> },
    Walk { first: u64, last: u64, next: u64 },
}

impl KeySpace {
    pub fn new(prefix: &[u8], digits: usize, minimum: u64, maximum: u64) -> Result<Self, Error> {
        if minimum > maximum {
            let reason = format!("must not be below --key-minimum ({minimum})");
            return Err(Error::flag("--key-maximum", reason));
        }
        let width = digits.max(maximum.checked_ilog10().unwrap_or(0) as usize + 1);
        Ok(Self { prefix: prefix.to_vec(), digits: width, minimum, maximum })
    }

    /// How many keys there are; saturates for the full range of numbers.
    pub fn count(&self) -> u64 {
        (self.maximum - self.minimum).saturating_add(1)
    }

    pub fn minimum(&self) -> u64 {
        self.minimum
    }

    pub fn maximum(&self) -> u64 {
        self.maximum
    }

    /// Bytes of every key.
    pub fn key_len(&self) -> usize {
        self.prefix.len() + self.digits
    }

    /// A key's bytes before its number is written.
    pub fn blank(&self) -> Vec<u8> {
        let mut key = self.prefix.clone();
        key.resize(self.key_len(), b'0');
        key
    }

    /// Writes the number of `key` into `bytes`, which starts as [`KeySpace::blank`] or as another key.
    pub fn write(&self, bytes: &mut [u8], mut key: u64) {
        for digit in bytes[self.prefix.len()..].iter_mut().rev() {
            *digit = b'0' + (key % 10) as u8;
            key /= 10;
        }
    }

    /// The keys connection `index` of `of` draws.
    pub fn stream(&self, pattern: Pattern, index: usize, of: usize) -> Result<KeyStream, Error> {
        let (minimum, maximum) = (self.minimum, self.maximum);
        Ok(match pattern {
            Pattern::Uniform => KeyStream::Uniform { minimum, maximum },
            Pattern::Zipfian { exponent } => {
                let ranks = Zipf::new(self.count() as f64, exponent)
                    .map_err(|error| Error::flag("--key-zipf-exp", error.to_string()))?;
                KeyStream::Zipfian { minimum, maximum, ranks }
            }
            Pattern::Gaussian { median, deviation } => {
                let curve = Normal::new(median, deviation)
                    .map_err(|error| Error::flag("--key-stddev", error.to_string()))?;
                KeyStream::Gaussian { minimum, maximum, curve }
            }
            Pattern::Sequential => KeyStream::Walk { first: minimum, last: maximum, next: minimum },
            Pattern::Parallel => {
                let first = self.part_start(index, of).min(maximum);
                let last = self.part_start(index + 1, of).saturating_sub(1).max(first);
                KeyStream::Walk { first, last, next: first }
            }
        })
    }

    /// How many keys of the range are connection `index`'s own under [`Pattern::Parallel`].
    pub fn part_len(&self, index: usize, of: usize) -> u64 {
        self.part_start(index + 1, of) - self.part_start(index, of)
    }

    fn part_start(&self, index: usize, of: usize) -> u64 {
        let offset = u128::from(self.count()) * index as u128 / of as u128;
        self.minimum.saturating_add(offset as u64)
    }
}

impl KeyStream {
    #[inline]
    pub fn draw(&mut self, rng: &mut Xoshiro256PlusPlus) -> u64 {
        match self {
            Self::Uniform { minimum, maximum } => rng.random_range(*minimum..=*maximum),
            Self::Zipfian { minimum, maximum, ranks } => {
                let rank = ranks.sample(rng) as u64;
                minimum.saturating_add(rank.saturating_sub(1)).min(*maximum)
            }
            Self::Gaussian { minimum, maximum, curve } => draw_within(curve, rng, *minimum, *maximum),
            Self::Walk { first, last, next } => {
                let key = *next;
                *next = if key == *last { *first } else { key + 1 };
                key
            }
        }
    }
}

/// A draw within the range; a curve that misses it 64 times in a row yields the nearest end.
fn draw_within(curve: &Normal<f64>, rng: &mut Xoshiro256PlusPlus, minimum: u64, maximum: u64) -> u64 {
    const ATTEMPTS: usize = 64;
    let range = minimum as f64..maximum as f64 + 1.0;
    let drawn = (0..ATTEMPTS).map(|_| curve.sample(rng)).find(|key| range.contains(key));
    (drawn.unwrap_or_else(|| curve.mean()) as u64).clamp(minimum, maximum)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const DRAWS: u64 = 200_000;

    fn space(minimum: u64, maximum: u64) -> KeySpace {
        KeySpace::new(b"key:", 12, minimum, maximum).unwrap()
    }

    fn counts(space: &KeySpace, pattern: Pattern) -> Vec<u64> {
        let mut stream = space.stream(pattern, 0, 1).unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut counts = vec![0; space.count() as usize];
        for _ in 0..DRAWS {
            counts[(stream.draw(&mut rng) - space.minimum) as usize] += 1;
        }
        counts
    }

    #[test]
    fn keys_have_the_same_width_whatever_their_number() {
        let space = space(0, 99_999);
        let mut key = space.blank();
        assert_eq!(key, b"key:000000000000");
        space.write(&mut key, 99_999);
        assert_eq!(key, b"key:000000099999");
        space.write(&mut key, 7);
        assert_eq!(key, b"key:000000000007");
        assert_eq!(KeySpace::new(b"", 2, 0, 12_345).unwrap().key_len(), 5, "padding never cuts a number");
    }

    #[test]
    fn uniform_draws_fill_the_range_evenly() {
        let counts = counts(&space(10, 19), Pattern::Uniform);
        for count in counts {
            assert!((19_000..21_000).contains(&count), "{count}");
        }
    }

    #[test]
    fn zipfian_draws_fall_as_the_inverse_of_the_rank() {
        let counts = counts(&space(0, 999), Pattern::Zipfian { exponent: 1.0 });
        // 200,000 draws over the 1000th harmonic number, 7.485.
        assert!((25_900..27_500).contains(&counts[0]), "{}", counts[0]);
        assert!((12_900..13_900).contains(&counts[1]), "{}", counts[1]);
        assert!((2_450..2_900).contains(&counts[9]), "{}", counts[9]);
    }

    #[test]
    fn gaussian_draws_stay_in_range_and_centre_on_the_median() {
        let space = space(0, 999);
        let counts = counts(&space, Pattern::Gaussian { median: 500.0, deviation: 100.0 });
        let within: u64 = counts[400..600].iter().sum();
        assert!((133_000..140_000).contains(&within), "68 % within one deviation: {within}");
        let far = space.stream(Pattern::Gaussian { median: 1e9, deviation: 1.0 }, 0, 1);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        assert_eq!(far.unwrap().draw(&mut rng), 999);
    }

    #[test]
    fn sequential_walks_the_range_and_starts_over() {
        let mut stream = space(3, 5).stream(Pattern::Sequential, 1, 2).unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let keys: Vec<u64> = (0..7).map(|_| stream.draw(&mut rng)).collect();
        assert_eq!(keys, [3, 4, 5, 3, 4, 5, 3]);
    }

    #[test]
    fn parallel_parts_cover_every_key_once() {
        let space = space(5, 14);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for of in [1, 3, 7, 10, 13] {
            let mut keys = Vec::new();
            for index in 0..of {
                let mut stream = space.stream(Pattern::Parallel, index, of).unwrap();
                keys.extend((0..space.part_len(index, of)).map(|_| stream.draw(&mut rng)));
            }
            assert_eq!(keys, (5..=14).collect::<Vec<u64>>(), "{of} connections");
        }
    }

    #[test]
    fn extremes_of_the_range_are_accepted() {
        let space = space(0, u64::MAX);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for pattern in [Pattern::Uniform, Pattern::Zipfian { exponent: 1.0 }, Pattern::Parallel] {
            space.stream(pattern, 3, 4).unwrap().draw(&mut rng);
        }
        assert!(KeySpace::new(b"", 1, 2, 1).is_err());
    }
}
