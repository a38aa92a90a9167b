//! Where segments live: numbered places, kept in chunks so that adding one copies no more than a chunk, however
//! many there are.

use super::segment::Segment;

const CHUNK_BITS: u32 = 7;
const CHUNK_LEN: usize = 1 << CHUNK_BITS;

#[derive(Debug, Default)]
pub(crate) struct Slab {
    chunks: Vec<Vec<Segment>>,
    free: Vec<u32>,
}

impl Slab {
    #[inline]
    pub(crate) fn at(&self, id: u32) -> &Segment {
        &self.chunks[id as usize >> CHUNK_BITS][id as usize & (CHUNK_LEN - 1)]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, id: u32) -> &mut Segment {
        &mut self.chunks[id as usize >> CHUNK_BITS][id as usize & (CHUNK_LEN - 1)]
    }

    pub(crate) fn insert(&mut self, segment: Segment) -> u32 {
        if let Some(id) = self.free.pop() {
            *self.at_mut(id) = segment;
            return id;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_LEN) {
            // The first chunk grows from one place: most databases of a keyspace stay empty or nearly so.
            let room = if self.chunks.is_empty() { 1 } else { CHUNK_LEN };
            self.chunks.push(Vec::with_capacity(room));
        }
        let chunk = self.chunks.last_mut().expect("a chunk with room was just seen to");
        chunk.push(segment);
        let place = chunk.len() - 1;
        ((self.chunks.len() - 1) * CHUNK_LEN + place) as u32
    }

    pub(crate) fn remove(&mut self, id: u32) -> Segment {
        self.free.push(id);
        std::mem::replace(self.at_mut(id), Segment::new(0, 0))
    }

    /// Takes any segment out, for good: numbers are not valid after that.
    pub(crate) fn pop(&mut self) -> Option<Segment> {
        let chunk = self.chunks.last_mut()?;
        let segment = chunk.pop();
        if chunk.is_empty() {
            self.chunks.pop();
        }
        segment
    }

    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        let in_last = self.chunks.last().map_or(0, Vec::capacity);
        let places = self.chunks.len().saturating_sub(1) * CHUNK_LEN + in_last;
        places * size_of::<Segment>()
            + self.chunks.capacity() * size_of::<Vec<Segment>>()
            + self.free.capacity() * size_of::<u32>()
    }
}
