//! The id of a stream entry: a time and a number within it, written `ms-seq`.

use arrayvec::ArrayVec;

/// Digits of a u64, twice, and the dash.
const TEXT_LEN_MAX: usize = 41;
const BYTES: usize = 2 * size_of::<u64>();

/// Ordered by time, then by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

impl StreamId {
    /// No entry has this one.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The least id above; `None` above the last.
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The greatest id below; `None` below the first.
    pub fn prev(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// How far it is from another, part by part, as nodes keep it: a distance beyond an i64 wraps.
    pub(super) fn delta_from(self, base: Self) -> [i64; 2] {
        [self.ms.wrapping_sub(base.ms) as i64, self.seq.wrapping_sub(base.seq) as i64]
    }

    /// The id that is so far from this one.
    pub(super) fn offset(self, [ms, seq]: [i64; 2]) -> Self {
        Self { ms: self.ms.wrapping_add(ms as u64), seq: self.seq.wrapping_add(seq as u64) }
    }

    /// `ms-seq`
    pub fn text(self) -> ArrayVec<u8, TEXT_LEN_MAX> {
        self.joined(b'-')
    }

    /// Both parts in decimal, with a byte between.
    pub fn joined(self, separator: u8) -> ArrayVec<u8, TEXT_LEN_MAX> {
        let mut text = ArrayVec::new();
        let mut digits = itoa::Buffer::new();
        text.extend(digits.format(self.ms).bytes());
        text.push(separator);
        text.extend(digits.format(self.seq).bytes());
        text
    }

    /// Both parts big-endian, as RDB files keep ids: they compare as ids do.
    pub fn to_bytes(self) -> [u8; BYTES] {
        ((u128::from(self.ms) << u64::BITS) | u128::from(self.seq)).to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; BYTES]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self { ms: (both >> u64::BITS) as u64, seq: both as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_cross_milliseconds() {
        let last = StreamId::new(5, u64::MAX);
        assert_eq!(last.next(), Some(StreamId::new(6, 0)));
        assert_eq!(StreamId::new(6, 0).prev(), Some(last));
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::MIN.prev(), None);
    }

    #[test]
    fn deltas_bring_back_any_id() {
        let ids = [StreamId::MIN, StreamId::MAX, StreamId::new(7, u64::MAX), StreamId::new(u64::MAX, 3)];
        for (base, id) in ids.iter().flat_map(|&base| ids.map(|id| (base, id))) {
            assert_eq!(base.offset(id.delta_from(base)), id);
        }
    }

    #[test]
    fn texts_and_bytes() {
        assert_eq!(&StreamId::new(1526, 7).text()[..], b"1526-7");
        assert_eq!(StreamId::MAX.text().len(), TEXT_LEN_MAX);
        assert_eq!(StreamId::new(1, 2).to_bytes(), [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(StreamId::from_bytes(StreamId::new(3, 4).to_bytes()), StreamId::new(3, 4));
    }
}
