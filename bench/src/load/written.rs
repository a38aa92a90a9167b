//! Which keys a session has overwritten, a bit each, so that a read-back knows the generation to expect.

#[derive(Clone, Debug)]
pub struct Written {
    minimum: u64,
    words: Vec<u64>,
}

impl Written {
    /// `count` keys from `minimum` up, none written.
    pub fn new(minimum: u64, count: u64) -> Self {
        Self { minimum, words: vec![0; count.div_ceil(64) as usize] }
    }

    pub fn insert(&mut self, key: u64) {
        let bit = key - self.minimum;
        self.words[(bit / 64) as usize] |= 1 << (bit % 64);
    }

    pub fn contains(&self, key: u64) -> bool {
        let bit = key - self.minimum;
        self.words[(bit / 64) as usize] >> (bit % 64) & 1 == 1
    }

    pub fn add(&mut self, other: &Self) {
        for (word, theirs) in self.words.iter_mut().zip(&other.words) {
            *word |= theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_and_sets_unite() {
        let (mut ours, mut theirs) = (Written::new(10, 100), Written::new(10, 100));
        ours.insert(10);
        theirs.insert(74);
        theirs.insert(109);
        ours.add(&theirs);
        let written: Vec<u64> = (10..110).filter(|key| ours.contains(*key)).collect();
        assert_eq!(written, [10, 74, 109]);
    }
}
