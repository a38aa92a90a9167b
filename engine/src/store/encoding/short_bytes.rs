//! Bytes that rarely change and are mostly short: in place up to [`INLINE_MAX`], on the heap beyond.
//!
//! ```text
//! offset  0       1       2                       23
//!        ┌───────┬───────┬────────────────────────┐
//! short  │ tag   │ len   │ bytes, the rest unused │
//!        ├───────┼───────┴────────┬───────────────┤
//! long   │ tag   │ 7 unused       │ pointer, len  │
//!        └───────┴────────────────┴───────────────┘
//! ```
//! (the compiler's layout, of which only the size is relied on). Crates that do this for strings want UTF-8, and
//! those for vectors of bytes hold 15 or 16 in the same 24.

use std::ops::Deref;

use crate::store::size_class::size_class;

/// Longest that needs no allocation.
pub(crate) const INLINE_MAX: usize = 22;

#[derive(Clone)]
pub(crate) enum ShortBytes {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Heap(Box<[u8]>),
}

const _: () = assert!(size_of::<ShortBytes>() == 24);

impl ShortBytes {
    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(bytes) => size_class(bytes.len()),
        }
    }
}

impl Default for ShortBytes {
    fn default() -> Self {
        Self::Inline { len: 0, bytes: [0; INLINE_MAX] }
    }
}

impl From<&[u8]> for ShortBytes {
    #[inline]
    fn from(from: &[u8]) -> Self {
        if from.len() > INLINE_MAX {
            return Self::Heap(from.into());
        }
        let mut bytes = [0; INLINE_MAX];
        bytes[..from.len()].copy_from_slice(from);
        Self::Inline { len: from.len() as u8, bytes }
    }
}

impl Deref for ShortBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for ShortBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_come_back() {
        let long: Vec<u8> = (0..300u32).map(|n| n as u8).collect();
        for len in [0, 1, INLINE_MAX, INLINE_MAX + 1, 300] {
            let bytes = ShortBytes::from(&long[..len]);
            assert_eq!(&*bytes, &long[..len]);
            assert_eq!(bytes.memory() > 0, len > INLINE_MAX);
        }
    }
}
