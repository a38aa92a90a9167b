//! Replies leave in request order, whichever shard answers first.
//!
//! While nothing is awaited, a reply is written straight into the output. Once a command is on its way to another
//! shard, it holds a place; what is answered behind it is kept aside until every place before it is filled.

use std::collections::VecDeque;

use crate::limits::{AWAITED_REPLIES_MAX, OUTPUT_PAUSE_BYTES, REPLY_BYTES_ASSUMED};

/// One place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A reply on its way. `silent`: the client asked not to be answered (CLIENT REPLY).
    /// So many replies come at once.
    Awaited { silent: bool, replies: u32 },
    /// A reply kept aside: a range of [`ReplyOrder::aside`].
    Kept { start: usize, len: usize },
}

/// The reply order of one connection.
#[derive(Debug)]
pub struct ReplyOrder {
    places: VecDeque<Place>,
    /// Sequence number of the front place.
    front: u32,
    /// Places that are awaited.
    awaited: usize,
    aside: Vec<u8>,
    /// Bytes of `aside` that have yet to leave.
    kept: usize,
    /// Where a reply under way into `aside` began.
    open: usize,
    /// Bytes of the largest awaited reply that came lately, or what is assumed before there was one.
    largest: usize,
}

impl Default for ReplyOrder {
    fn default() -> Self {
        Self {
            places: VecDeque::new(),
            front: 0,
            awaited: 0,
            aside: Vec::new(),
            kept: 0,
            open: 0,
            largest: REPLY_BYTES_ASSUMED,
        }
    }
}

impl ReplyOrder {
    /// No reply is awaited: the next one may go straight out.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Replies that are awaited.
    pub fn awaited(&self) -> usize {
        self.awaited
    }

    /// Whether one reply more may be awaited.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.awaited < self.room()
    }

    /// How many replies may be awaited: so many at most that all of them, were they as large as those that came lately,
    /// stay within what is kept for a client.
    #[inline]
    pub fn room(&self) -> usize {
        (OUTPUT_PAUSE_BYTES / self.largest.max(1)).clamp(1, AWAITED_REPLIES_MAX)
    }

    /// Bytes kept aside.
    #[inline]
    pub fn aside_len(&self) -> usize {
        self.kept
    }

    /// Holds the next place for a reply to come; returns its sequence number.
    #[inline]
    pub fn hold(&mut self, silent: bool) -> u32 {
        let seq = self.front.wrapping_add(self.places.len() as u32);
        self.places.push_back(Place::Awaited { silent, replies: 1 });
        self.awaited += 1;
        seq
    }

    /// One reply more will come for a place, with the others for it.
    pub fn await_more(&mut self, seq: u32) {
        if let Some(Place::Awaited { replies, .. }) =
            self.places.get_mut(seq.wrapping_sub(self.front) as usize)
        {
            *replies += 1;
        }
    }

    /// Where a reply is written that is ready behind awaited ones; [`Self::keep`] closes it.
    #[inline]
    pub fn aside(&mut self) -> &mut Vec<u8> {
        self.open = self.aside.len();
        &mut self.aside
    }

    /// Takes what was written to [`Self::aside`] into the order.
    #[inline]
    pub fn keep(&mut self) {
        let len = self.aside.len() - self.open;
        self.kept += len;
        if let Some(Place::Kept { start, len: before }) = self.places.back_mut()
            && *start + *before == self.open
        {
            *before += len;
        } else {
            self.places.push_back(Place::Kept { start: self.open, len });
        }
    }

    /// Takes back what was written to [`Self::aside`].
    pub fn take_aside(&mut self) -> Vec<u8> {
        self.aside.split_off(self.open)
    }

    /// Fills an awaited place and moves everything that is due into `out`. Returns false when nobody awaits `seq`.
    pub fn fill(&mut self, seq: u32, reply: &[u8], out: &mut Vec<u8>) -> bool {
        let index = seq.wrapping_sub(self.front) as usize;
        let Some(&Place::Awaited { silent, replies }) = self.places.get(index) else { return false };
        let reply = if silent { &[] } else { reply };
        self.awaited -= 1;
        self.largest = (reply.len() / replies as usize).max(self.largest - self.largest / 8);
        if index > 0 {
            let start = self.aside.len();
            self.aside.extend_from_slice(reply);
            self.kept += reply.len();
            self.places[index] = Place::Kept { start, len: reply.len() };
            return true;
        }
        out.extend_from_slice(reply);
        self.pop_front();
        self.release(out);
        true
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        while let Some(&Place::Kept { start, len }) = self.places.front() {
            out.extend_from_slice(&self.aside[start..start + len]);
            self.kept -= len;
            self.pop_front();
        }
        if self.places.is_empty() {
            self.aside.clear();
            self.aside.shrink_to(ASIDE_KEPT_BYTES);
        } else if self.aside.len() - self.kept > self.kept.max(ASIDE_LEFT_MAX) {
            self.compact();
        }
    }

    /// Drops what has left from `aside`: a client that never stops sending always awaits something.
    #[cold]
    fn compact(&mut self) {
        let mut packed = Vec::with_capacity(self.kept);
        for place in &mut self.places {
            if let Place::Kept { start, len } = place {
                let from = std::mem::replace(start, packed.len());
                packed.extend_from_slice(&self.aside[from..from + *len]);
            }
        }
        self.aside = packed;
    }

    fn pop_front(&mut self) {
        self.places.pop_front();
        self.front = self.front.wrapping_add(1);
    }
}

/// Capacity an idle connection may hold on to; a pipeline of small replies fits.
const ASIDE_KEPT_BYTES: usize = 4096;
/// Bytes that may stay in place after they have left; so many that it costs little to look at every place then.
const ASIDE_LEFT_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order of arrival, the output is the replies in the order of the requests.
        #[test]
        fn replies_leave_in_request_order(
            remote in prop::collection::vec(prop::option::of(any::<bool>()), 1..40),
            arrival in prop::collection::vec(any::<prop::sample::Index>(), 40),
            wrap in any::<bool>(),
        ) {
            let mut order = ReplyOrder { front: if wrap { u32::MAX - 5 } else { 0 }, ..Default::default() };
            let (mut out, mut expected, mut awaited) = (Vec::new(), Vec::new(), Vec::new());
            for (number, remote) in remote.into_iter().enumerate() {
                let reply = format!("<{number}>").into_bytes();
                if let Some(silent) = remote {
                    awaited.push((order.hold(silent), reply.clone()));
                    if !silent {
                        expected.extend(reply);
                    }
                } else {
                    expected.extend(&reply);
                    if order.is_empty() {
                        out.extend(reply);
                    } else {
                        order.aside().extend(reply);
                        order.keep();
                    }
                }
            }
            for pick in arrival {
                if awaited.is_empty() {
                    break;
                }
                let (seq, reply) = awaited.swap_remove(pick.index(awaited.len()));
                prop_assert!(order.fill(seq, &reply, &mut out));
                prop_assert_eq!(order.awaited(), awaited.len());
            }
            prop_assert_eq!(out, expected);
            prop_assert!(order.is_empty());
        }
    }

    /// A client that never stops sending is never owed nothing.
    #[test]
    fn replies_that_have_left_take_no_room() {
        let mut order = ReplyOrder::default();
        let (mut out, mut awaited) = (Vec::new(), VecDeque::from([order.hold(false)]));
        for _ in 0..10_000 {
            order.aside().extend_from_slice(&[b'x'; 100]);
            order.keep();
            awaited.push_back(order.hold(false));
            let seq = awaited.pop_front().expect("one is awaited");
            assert!(order.fill(seq, b"y", &mut out));
            assert_eq!(order.aside_len(), 0);
        }
        assert_eq!(out.len(), 10_000 * 101);
        assert!(order.aside.capacity() < 1 << 20, "{} bytes are held", order.aside.capacity());
    }

    const FIRST: usize = OUTPUT_PAUSE_BYTES / REPLY_BYTES_ASSUMED;

    #[test]
    fn fewer_replies_are_awaited_where_they_are_large() {
        let mut order = ReplyOrder::default();
        let hold = |order: &mut ReplyOrder| {
            let before = order.awaited();
            while order.has_room() {
                order.hold(false);
            }
            order.awaited() - before
        };
        assert_eq!(hold(&mut order), FIRST, "nothing is known of their size");
        let (large, mut out) = (vec![0; OUTPUT_PAUSE_BYTES / 4], Vec::new());
        assert!(order.fill(0, &large, &mut out));
        assert_eq!(hold(&mut order), 0, "those under way may be as large");
        (1..FIRST as u32).for_each(|seq| assert!(order.fill(seq, b"+OK\r\n", &mut out)));
        assert_eq!(hold(&mut order), AWAITED_REPLIES_MAX, "small ones again");
        let mut order = ReplyOrder::default();
        let seq = order.hold(false);
        order.fill(seq, &large, &mut out);
        assert_eq!(hold(&mut order), 4);
    }

    #[test]
    fn a_reply_that_nobody_awaits_is_refused() {
        let mut order = ReplyOrder::default();
        assert!(!order.fill(0, b"+OK\r\n", &mut Vec::new()));
        let seq = order.hold(false);
        assert!(!order.fill(seq.wrapping_add(1), b"+OK\r\n", &mut Vec::new()));
    }
}
