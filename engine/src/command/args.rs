//! A request's arguments: slices of the buffer they arrived in.

use std::ops::Index;

use bobbin_proto::Span;

/// The arguments of one request, the command's name first. Borrowed: copying it copies two slices.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// `spans` are relative to the first of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Self {
        Self { bytes, spans }
    }

    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "there is always a command name")]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    #[inline]
    pub fn at(&self, index: usize) -> &'a [u8] {
        let span = self.spans[index];
        &self.bytes[span.start as usize..][..span.len as usize]
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        (index < self.spans.len()).then(|| self.at(index))
    }

    /// The last argument.
    #[inline]
    pub fn last(&self) -> &'a [u8] {
        self.at(self.spans.len() - 1)
    }

    /// The arguments from `index` on.
    #[inline]
    pub fn iter_from(
        &self,
        index: usize,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        let bytes = self.bytes;
        self.spans[index.min(self.spans.len())..]
            .iter()
            .map(move |span| &bytes[span.start as usize..][..span.len as usize])
    }

    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        self.iter_from(0)
    }

    /// Some of the arguments, in this order.
    pub fn pick(&self, indices: impl Iterator<Item = usize>, spans: &'a mut Vec<Span>) -> Self {
        spans.clear();
        spans.extend(indices.map(|index| self.spans[index]));
        Self { bytes: self.bytes, spans }
    }

    /// Whether argument `index` is this word, in any case.
    #[inline]
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Bytes of all arguments together.
    pub fn total_len(&self) -> usize {
        self.spans.iter().map(|span| span.len as usize).sum()
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.at(index)
    }
}

/// A request kept beyond the life of its buffer: one that waits for a lock or travels in a transaction.
#[derive(Clone, Debug)]
pub struct OwnedArgs {
    bytes: Box<[u8]>,
    spans: Box<[Span]>,
}

impl OwnedArgs {
    pub fn new<'a>(args: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let mut bytes = Vec::with_capacity(args.clone().map(<[u8]>::len).sum());
        let spans = args
            .map(|arg| {
                let start = bytes.len() as u32;
                bytes.extend_from_slice(arg);
                Span { start, len: arg.len() as u32 }
            })
            .collect();
        Self { bytes: bytes.into_boxed_slice(), spans }
    }

    #[inline]
    pub fn as_args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.spans)
    }
}

impl From<Args<'_>> for OwnedArgs {
    fn from(args: Args<'_>) -> Self {
        Self::new(args.iter())
    }
}
