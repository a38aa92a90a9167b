//! Which command comes next: rows with ratios, run in turn as memtier runs them (all of a row's share,
//! then the next row's).

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::template::Shape;
use super::{KeySpace, KeyStream, Pattern, Template};
use crate::Error;

/// The commands of one phase, over one key space.
#[derive(Clone, Debug)]
pub struct Mix {
    pub keys: KeySpace,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub template: Template,
    pub ratio: u32,
    pub pattern: Pattern,
}

/// One connection's place in a mix.
#[derive(Debug)]
pub struct Source {
    schedule: Vec<usize>,
    cursor: usize,
    streams: Vec<KeyStream>,
    rng: Xoshiro256PlusPlus,
}

impl Mix {
    /// A mix of one command.
    pub fn single(line: &str, keys: &KeySpace, data_size: usize, pattern: Pattern) -> Result<Self, Error> {
        Self::of(&[(1, line)], keys, data_size, pattern)
    }

    /// A mix of several, all with the same keys and sizes.
    pub fn of(
        lines: &[(u32, &str)],
        keys: &KeySpace,
        data_size: usize,
        pattern: Pattern,
    ) -> Result<Self, Error> {
        let row = |(ratio, line): &(u32, &str)| -> Result<Row, Error> {
            Ok(Row { template: Template::parse(line, keys, data_size)?, ratio: *ratio, pattern })
        };
        Ok(Self { keys: keys.clone(), rows: lines.iter().map(row).collect::<Result<_, _>>()? })
    }

    /// The requests of connection `index` of `of`, the same for the same seed.
    pub fn source(&self, index: usize, of: usize, seed: u64) -> Result<Source, Error> {
        let schedule: Vec<usize> =
            self.rows.iter().enumerate().flat_map(|(row, spec)| vec![row; spec.ratio as usize]).collect();
        self.source_of(schedule, index, of, seed)
    }

    /// As [`Mix::source`], of one row only.
    pub fn source_of_row(&self, row: usize, index: usize, of: usize, seed: u64) -> Result<Source, Error> {
        self.source_of(vec![row], index, of, seed)
    }

    fn source_of(&self, schedule: Vec<usize>, index: usize, of: usize, seed: u64) -> Result<Source, Error> {
        let streams = self.rows.iter().map(|row| self.keys.stream(row.pattern, index, of));
        let streams = streams.collect::<Result<_, _>>()?;
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_add(index as u64));
        Ok(Source { schedule, cursor: 0, streams, rng })
    }

    pub fn writes_values(&self) -> bool {
        self.rows.iter().any(|row| row.template.shape() == Shape::WritesValue)
    }
}

impl Source {
    /// The row of the next request.
    #[inline]
    pub fn next_row(&mut self) -> usize {
        let row = self.schedule[self.cursor];
        self.cursor += 1;
        if self.cursor == self.schedule.len() {
            self.cursor = 0;
        }
        row
    }

    /// The next key of `row`.
    #[inline]
    pub fn draw(&mut self, row: usize) -> u64 {
        self.streams[row].draw(&mut self.rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(ratios: &[u32]) -> Mix {
        let keys = KeySpace::new(b"key:", 12, 0, 99).unwrap();
        let lines: Vec<(u32, &str)> = ratios.iter().map(|ratio| (*ratio, "GET __key__")).collect();
        Mix::of(&lines, &keys, 16, Pattern::Uniform).unwrap()
    }

    #[test]
    fn rows_come_in_their_ratio_in_turn() {
        let mut source = mix(&[1, 0, 3]).source(0, 1, 1).unwrap();
        let rows: Vec<usize> = (0..9).map(|_| source.next_row()).collect();
        assert_eq!(rows, [0, 2, 2, 2, 0, 2, 2, 2, 0]);
    }

    #[test]
    fn a_seed_repeats_its_keys_and_connections_differ() {
        let mix = mix(&[1]);
        let keys = |index| {
            let mut source = mix.source(index, 2, 7).unwrap();
            (0..20).map(|_| source.draw(0)).collect::<Vec<u64>>()
        };
        assert_eq!(keys(0), keys(0));
        assert_ne!(keys(0), keys(1));
    }
}
