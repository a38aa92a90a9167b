//! When fields of a large hash expire: a deadline by the field's place, and places by deadline.
//!
//! ```text
//! chunks   ┌────────┬────────┬────────┐   by place: one of 256 places each, there once one of them has a deadline
//!          │   ●    │  none  │   ●    │
//!          └───┼────┴────────┴───┼────┘
//!              ▼                 ▼
//!           256 u64           256 u64     0: none
//!
//! order    ScoreTree of (deadline, place), the earliest first
//! ```
//!
//! A deadline takes 21 to 27 bytes where all fields have one. Nothing is copied as a whole when it grows. Deadlines
//! are milliseconds of up to 2^53, which the tree's doubles hold exactly.
//!
//! Invariant: both hold the same deadlines, and none is 0.

use super::score_tree::ScoreTree;
use crate::store::size_class::size_class;

const CHUNK_LEN: usize = 256;
const NONE: u64 = 0;

type Chunk = Box<[u64; CHUNK_LEN]>;
const CHUNK_SIZE: usize = size_class(CHUNK_LEN * size_of::<u64>());

#[derive(Clone, Debug)]
pub(crate) struct FieldDeadlines {
    chunks: Vec<Option<Chunk>>,
    order: ScoreTree,
    chunks_memory: usize,
}

impl FieldDeadlines {
    pub(crate) fn new() -> Self {
        Self { chunks: Vec::new(), order: ScoreTree::new(), chunks_memory: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.len() == 0
    }

    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        let directory = size_class(self.chunks.capacity() * size_of::<Option<Chunk>>());
        self.chunks_memory + directory + self.order.memory()
    }

    #[inline]
    pub(crate) fn get(&self, place: usize) -> Option<u64> {
        let chunk = self.chunks.get(place / CHUNK_LEN)?.as_deref()?;
        Some(chunk[place % CHUNK_LEN]).filter(|&at_ms| at_ms != NONE)
    }

    /// The earliest deadline and its place.
    pub(crate) fn first(&self) -> Option<(u64, usize)> {
        let run = self.order.run_at(0);
        let (&at_ms, &place) = run.scores.first().zip(run.ids.first())?;
        Some((at_ms as u64, place as usize))
    }

    /// How many deadlines are before a time.
    pub(crate) fn count_before(&self, time_ms: u64) -> usize {
        self.order.partition_point(|at_ms, _| (at_ms as u64) < time_ms)
    }

    pub(crate) fn set(&mut self, place: usize, at_ms: Option<u64>) {
        let old = self.get(place);
        if old == at_ms {
            return;
        }
        if let Some(old) = old {
            self.order.remove(self.rank_of(old, place), 1, |_, _| {});
        }
        if let Some(at_ms) = at_ms {
            self.order.insert(self.rank_of(at_ms, place), at_ms as f64, place as u32);
        }
        self.write(place, at_ms.unwrap_or(NONE));
    }

    /// Follows the removal of a field, and the move of another into its place.
    pub(crate) fn vacate(&mut self, place: usize, moved_from: Option<usize>) {
        let moved = moved_from.and_then(|from| self.get(from));
        moved_from.into_iter().for_each(|from| self.set(from, None));
        self.set(place, moved);
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        let mut left = budget;
        while left > 0 && (self.order.free_leaf() || self.chunks.pop().is_some()) {
            left -= 1;
        }
        left
    }

    fn rank_of(&self, at_ms: u64, place: usize) -> usize {
        self.order.partition_point(|other, id| (other as u64, id as usize) < (at_ms, place))
    }

    fn write(&mut self, place: usize, at_ms: u64) {
        let number = place / CHUNK_LEN;
        if number >= self.chunks.len() {
            self.chunks.resize(number + 1, None);
        }
        let memory = &mut self.chunks_memory;
        let chunk = self.chunks[number].get_or_insert_with(|| {
            *memory += CHUNK_SIZE;
            Box::new([NONE; CHUNK_LEN])
        });
        chunk[place % CHUNK_LEN] = at_ms;
        // Fields go from the end of the places on: a chunk that is given back stays away.
        if at_ms == NONE && place.is_multiple_of(CHUNK_LEN) && chunk.iter().all(|&at_ms| at_ms == NONE) {
            self.chunks[number] = None;
            self.chunks_memory -= CHUNK_SIZE;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Set(usize, Option<u64>),
        Remove(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Push),
            4 => (any::<usize>(), prop::option::weighted(0.8, 1..50u64)).prop_map(|(at, ms)| Step::Set(at, ms)),
            2 => any::<usize>().prop_map(Step::Remove),
        ];
        prop::collection::vec(step, 0..2000)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn deadlines_stay_with_their_fields(steps in steps()) {
            let (mut deadlines, mut model) = (FieldDeadlines::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Push => model.push(None),
                    Step::Set(_, _) | Step::Remove(_) if model.is_empty() => {}
                    Step::Set(at, deadline) => {
                        let at = at % model.len();
                        deadlines.set(at, deadline);
                        model[at] = deadline;
                    }
                    Step::Remove(at) => {
                        let (at, last) = (at % model.len(), model.len() - 1);
                        deadlines.vacate(at, (at != last).then_some(last));
                        model.swap_remove(at);
                    }
                }
                let first = (0..model.len()).filter_map(|at| Some((model[at]?, at))).min();
                prop_assert_eq!(deadlines.first(), first);
            }
            prop_assert!((0..model.len() + 300).all(|at| deadlines.get(at) == model.get(at).copied().flatten()));
            let before = model.iter().flatten().filter(|&&at_ms| at_ms < 25).count();
            prop_assert_eq!(deadlines.count_before(25), before);
            let chunks = deadlines.chunks.iter().flatten().count();
            prop_assert_eq!(deadlines.chunks_memory, chunks * CHUNK_SIZE);
        }
    }

    #[test]
    fn a_deadline_takes_no_more_than_27_bytes_and_gives_them_back() {
        let mut deadlines = FieldDeadlines::new();
        let empty = deadlines.memory();
        let mut rng = fastrand::Rng::with_seed(1);
        (0..100_000).for_each(|place| deadlines.set(place, Some(rng.u64(1..1 << 46))));
        assert!(deadlines.memory() <= 27 * 100_000, "{}", deadlines.memory());
        for last in (0..100_000).rev() {
            let place = rng.usize(0..=last);
            deadlines.vacate(place, (place != last).then_some(last));
        }
        assert!(deadlines.is_empty() && deadlines.memory() < empty + 10_000, "{}", deadlines.memory());
        (0..1000).for_each(|place| deadlines.set(place, Some(1)));
        let mut steps = 0;
        while deadlines.free_step(2) == 0 {
            steps += 1;
        }
        assert!(steps > 5);
    }
}
