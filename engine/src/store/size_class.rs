//! jemalloc's size classes: how many bytes a request really takes.
//!
//! Multiples of 16 up to 128, then four classes to each doubling (jemalloc(3), table "Size classes", 16-byte
//! quantum). Requests are rounded up to them, so the room behind a value is known without asking the
//! allocator, and what is accounted is what is held.

/// The bytes an allocation of `size` bytes takes; 0 for 0.
#[inline]
pub(crate) const fn size_class(size: usize) -> usize {
    const QUANTUM: usize = 16;
    const LINEAR_MAX: usize = 128;
    let spacing = if size <= LINEAR_MAX { QUANTUM } else { 1 << ((size - 1).ilog2() - 2) };
    (size + spacing - 1) & !(spacing - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_jemalloc_documents() {
        let documented = [
            16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024,
            1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288, 14336,
            16384, 20480,
        ];
        let mut below = 0;
        for class in documented {
            assert_eq!(size_class(below + 1), class);
            assert_eq!(size_class(class), class);
            below = class;
        }
        assert_eq!(size_class(0), 0);
    }
}
