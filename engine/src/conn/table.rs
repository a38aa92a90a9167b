//! The connections of one reactor, found by [`ConnId`] in one step; and, where it is asked for, what they take.

use super::Conn;
use crate::ids::ConnId;

#[derive(Debug, Default)]
struct Seat {
    generation: u32,
    conn: Option<Box<Conn>>,
}

/// Seats are reused; a seat's generation counts its occupants.
#[derive(Debug, Default)]
pub struct ConnTable {
    seats: Vec<Seat>,
    free: Vec<u32>,
    len: usize,
    /// Whether memory is counted: it costs a look at every connection that is put back.
    counts: bool,
    /// What all take, as of when each was last put back.
    memory: usize,
    /// No connection that may be evicted takes more; one did once.
    largest: usize,
}

impl ConnTable {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Seats the connection made for the id that is free.
    pub fn insert(&mut self, make: impl FnOnce(ConnId) -> Conn) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.seats.push(Seat::default());
            self.seats.len() as u32 - 1
        });
        let seat = &mut self.seats[index as usize];
        let id = ConnId { index, generation: seat.generation };
        seat.conn = Some(Box::new(make(id)));
        self.len += 1;
        id
    }

    #[inline]
    pub fn find(&mut self, id: ConnId) -> Option<&mut Conn> {
        let seat = self.seats.get_mut(id.index as usize)?;
        if seat.generation == id.generation { seat.conn.as_deref_mut() } else { None }
    }

    /// Takes a connection out to work with it beside the rest of the core; [`Self::put_back`] returns it.
    #[inline]
    pub fn take_out(&mut self, id: ConnId) -> Option<Box<Conn>> {
        let seat = self.seats.get_mut(id.index as usize)?;
        if seat.generation == id.generation { seat.conn.take() } else { None }
    }

    #[inline]
    pub fn put_back(&mut self, mut conn: Box<Conn>) {
        if self.counts {
            self.count(&mut conn);
        }
        let index = conn.id.index as usize;
        self.seats[index].conn = Some(conn);
    }

    fn count(&mut self, conn: &mut Conn) {
        let claimed = conn.claimed();
        self.memory = self.memory - conn.counted_bytes + claimed;
        conn.counted_bytes = claimed;
        self.largest = self.largest.max(conn.evictable_bytes());
    }

    /// Counts what connections take from now on, or no more.
    pub fn count_memory(&mut self, counts: bool) {
        if self.counts == counts {
            return;
        }
        self.counts = counts;
        (self.memory, self.largest) = (0, 0);
        for seat in 0..self.seats.len() {
            if let Some(mut conn) = self.seats[seat].conn.take() {
                conn.counted_bytes = 0;
                self.put_back(conn);
            }
        }
    }

    /// What all connections take, if it is counted.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// What the largest takes that may be evicted, or more.
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// Whoever has looked at all knows it better.
    pub fn set_largest(&mut self, largest: usize) {
        self.largest = largest;
    }

    /// Those that may be evicted, the largest last.
    pub fn by_memory(&self) -> Vec<(usize, ConnId)> {
        let mut sizes: Vec<_> = self.iter().map(|conn| (conn.evictable_bytes(), conn.id)).collect();
        sizes.retain(|&(bytes, _)| bytes > 0);
        sizes.sort_unstable_by_key(|&(bytes, _)| bytes);
        sizes
    }

    pub fn remove(&mut self, id: ConnId) -> Option<Box<Conn>> {
        let conn = self.take_out(id)?;
        self.memory -= conn.counted_bytes;
        let seat = &mut self.seats[id.index as usize];
        seat.generation = seat.generation.wrapping_add(1);
        self.free.push(id.index);
        self.len -= 1;
        Some(conn)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.seats.iter().filter_map(|seat| seat.conn.as_deref())
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Conn> {
        self.seats.iter_mut().filter_map(|seat| seat.conn.as_deref_mut())
    }

    /// The connection in the first occupied seat from `index` on, wherever that is within `seats` seats; and the
    /// seat to go on from.
    pub fn walk(&self, index: usize, seats: usize) -> (impl Iterator<Item = &Conn>, usize) {
        let end = (index + seats).min(self.seats.len());
        let next = if end >= self.seats.len() { 0 } else { end };
        (self.seats[index.min(end)..end].iter().filter_map(|seat| seat.conn.as_deref()), next)
    }
}
