//! Replies that wait for the journal: which of a connection's may leave when.
//!
//! Invariant: a byte leaves only when everything is durable that was done before it was written.

use std::collections::VecDeque;

use crate::ids::Stamp;

/// Ends of runs of replies in the output, and what has to be durable before each may leave.
#[derive(Debug, Default)]
pub struct Gates(VecDeque<(usize, Stamp)>);

impl Gates {
    /// The output has grown to `len` bytes, and who wrote it may have seen what was done up to `seen`. How many bytes may
    /// leave.
    pub fn pass(&mut self, len: usize, seen: Stamp, durable: Stamp) -> usize {
        let known = self.0.back().map_or(0, |(end, _)| *end);
        if len > known && seen > durable {
            self.0.push_back((len, seen));
        }
        // What lies before the first gate that is shut.
        let shut = self.0.iter().position(|(_, stamp)| *stamp > durable);
        match shut {
            Some(0) => 0,
            Some(at) => self.0[at - 1].0,
            None => len,
        }
    }

    /// So many bytes have left.
    pub fn sent(&mut self, len: usize) {
        while self.0.front().is_some_and(|(end, _)| *end <= len) {
            self.0.pop_front();
        }
        self.0.iter_mut().for_each(|(end, _)| *end -= len);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_when_what_they_saw_is_durable() {
        let mut gates = Gates::default();
        assert_eq!(gates.pass(10, Stamp(3), Stamp(3)), 10);
        gates.sent(10);
        assert_eq!(gates.pass(5, Stamp(5), Stamp(3)), 0);
        assert_eq!(gates.pass(5, Stamp(6), Stamp(4)), 0, "looked at again");
        assert_eq!(gates.pass(9, Stamp(7), Stamp(4)), 0);
        assert_eq!(gates.pass(9, Stamp(8), Stamp(5)), 5);
        gates.sent(5);
        assert_eq!(gates.pass(6, Stamp(8), Stamp(6)), 0);
        assert_eq!(gates.pass(6, Stamp(8), Stamp(7)), 4);
        assert_eq!(gates.pass(6, Stamp(8), Stamp(8)), 6);
        gates.sent(6);
        assert!(gates.0.is_empty());
    }

    /// A run with no gate of its own may follow one that has.
    #[test]
    fn nothing_overtakes() {
        let mut gates = Gates::default();
        assert_eq!(gates.pass(5, Stamp(9), Stamp(3)), 0);
        assert_eq!(gates.pass(8, Stamp(9), Stamp(3)), 0);
        assert_eq!(gates.pass(9, Stamp(9), Stamp(9)), 9);
    }
}
