//! Geohashes: a position as one integer, which is the score of a member.
//!
//! ```text
//!  bit 51  50  49  48      1   0
//!     lon lat lon lat …  lon lat      26 bits of each, the one that halves the whole range first
//! ```
//! Longitude and latitude are counted from -180 and -85.05112878 in 2^26 parts. A prefix of the bits, two at a time,
//! is a cell: all positions that share it have scores in one range, and cells of one size make a grid.
//!
//! The greatest longitude and the greatest latitude are counted as one part too many, and the bit carried stands
//! above the others. Such scores lie in cells of no width beyond the last column and row: [`Cell::edges`]. Where
//! that is bit 53 a double has no room for bit 0.
//!
//! Invariant: every score decodes to a position in range, also one that was not made here.
//!
//! Source: Morton, "A computer oriented geodetic data base" (1966); ranges, order of the bits and the arithmetic,
//! on which the last digits depend, are those of redis-server 7.0.15.

use std::ops::Range;

/// Bits of each coordinate in a score.
pub(super) const STEP_MAX: u32 = 26;
pub(super) const LONGITUDE_MAX: f64 = 180.0;
/// Where a square map of the world, Mercator's, ends.
pub(super) const LATITUDE_MAX: f64 = 85.051_128_78;

const LONGITUDES: Axis = Axis { min: -LONGITUDE_MAX, max: LONGITUDE_MAX };
const LATITUDES: Axis = Axis { min: -LATITUDE_MAX, max: LATITUDE_MAX };
/// What geohashes in letters count latitudes in.
const POLE_TO_POLE: Axis = Axis { min: -90.0, max: 90.0 };

/// The letters of geohashes; each stands for five bits.
const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
const TEXT_LEN: usize = 11;

/// Below it, every integer is a double.
const INTEGERS_END: f64 = (1u64 << 53) as f64;

/// In degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

impl Position {
    pub(super) fn is_in_range(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }

    /// The score of a member at this position.
    pub(super) fn score(self) -> f64 {
        Cell::of(self, STEP_MAX).bits() as f64
    }

    /// The middle of the smallest cell that a score stands for.
    pub(super) fn from_score(score: f64) -> Self {
        let bits = truncated(score);
        let middle = |axis: Axis, part| axis.part(part, STEP_MAX).clamp(axis.min, axis.max);
        Self {
            longitude: middle(LONGITUDES, gathered(bits >> 1)),
            latitude: middle(LATITUDES, gathered(bits)),
        }
    }

    /// The geohash in letters, as other systems know it. The last stands for bits that a score does not have.
    pub(super) fn text(self) -> [u8; TEXT_LEN] {
        let column = LONGITUDES.part_of(self.longitude, STEP_MAX);
        let row = POLE_TO_POLE.part_of(self.latitude, STEP_MAX);
        let bits = interleaved(column, row);
        let mut text = [LETTERS[0]; TEXT_LEN];
        for (at, letter) in text[..TEXT_LEN - 1].iter_mut().enumerate() {
            *letter = LETTERS[(bits >> (2 * STEP_MAX as usize - 5 * (at + 1)) & 31) as usize];
        }
        text
    }
}

/// What x86-64 makes of a double that is to be a u64: scores that are no geohashes decode as in Redis.
fn truncated(score: f64) -> u64 {
    const HALF: f64 = (1u64 << 63) as f64;
    let signed = |value: f64| if (-HALF..HALF).contains(&value) { value as i64 } else { i64::MIN };
    if score < HALF { signed(score) as u64 } else { signed(score - HALF) as u64 ^ 1 << 63 }
}

/// A coordinate's range, divided into parts.
#[derive(Clone, Copy, Debug)]
struct Axis {
    min: f64,
    max: f64,
}

impl Axis {
    fn len(self) -> f64 {
        self.max - self.min
    }

    /// Which of `2^step` parts a coordinate is in.
    fn part_of(self, coordinate: f64, step: u32) -> u32 {
        ((coordinate - self.min) / self.len() * parts(step)) as u32
    }

    fn start(self, part: u32, step: u32) -> f64 {
        self.min + f64::from(part) / parts(step) * self.len()
    }

    fn span(self, part: u32, step: u32) -> Range<f64> {
        self.start(part, step)..self.start(part.wrapping_add(1), step)
    }

    /// The middle of a part.
    fn part(self, part: u32, step: u32) -> f64 {
        let span = self.span(part, step);
        f64::midpoint(span.start, span.end)
    }
}

fn parts(step: u32) -> f64 {
    f64::from(1u32 << step)
}

/// One square of the grid that has `2^step` columns, from west to east, and as many rows, from south to north.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    column: u32,
    row: u32,
    step: u32,
}

impl Cell {
    fn of(position: Position, step: u32) -> Self {
        Self {
            column: LONGITUDES.part_of(position.longitude, step),
            row: LATITUDES.part_of(position.latitude, step),
            step,
        }
    }

    /// The cell around a position: the last of its column or row for the greatest coordinates.
    pub(super) fn around(position: Position, step: u32) -> Self {
        let cell = Self::of(position, step);
        Self { column: cell.column.min(cell.last()), row: cell.row.min(cell.last()), step }
    }

    /// So many cells further; the grid's ends meet.
    pub(super) fn neighbour(self, east: i32, north: i32) -> Self {
        let within = |part: u32, by| part.wrapping_add_signed(by) & self.last();
        Self { column: within(self.column, east), row: within(self.row, north), ..self }
    }

    pub(super) fn longitudes(self) -> Range<f64> {
        LONGITUDES.span(self.column, self.step)
    }

    pub(super) fn latitudes(self) -> Range<f64> {
        LATITUDES.span(self.row, self.step)
    }

    /// The cells of no width that this one borders on.
    pub(super) fn edges(self) -> impl Iterator<Item = Self> {
        let beyond = |part: u32| (part == self.last()).then_some(part + 1);
        let (column, row) = (beyond(self.column), beyond(self.row));
        let corner = column.zip(row);
        [(column, Some(self.row)), (Some(self.column), row), (corner.map(|at| at.0), corner.map(|at| at.1))]
            .into_iter()
            .filter_map(move |(column, row)| Some(Self { column: column?, row: row?, ..self }))
    }

    /// Those of the positions in the cell. Beyond the last column also some of others: doubles are two apart there.
    pub(super) fn scores(self) -> Range<f64> {
        let shift = 2 * (STEP_MAX - self.step);
        let (start, end) = ((self.bits() << shift) as f64, ((self.bits() + 1) << shift) as f64);
        if start < INTEGERS_END { start..end } else { start - 2.0..end + 2.0 }
    }

    fn last(self) -> u32 {
        (1 << self.step) - 1
    }

    fn bits(self) -> u64 {
        interleaved(self.column, self.row)
    }
}

fn interleaved(odd: u32, even: u32) -> u64 {
    spread(odd) << 1 | spread(even)
}

/// How far bits are moved apart, or together, and which remain, in five steps.
const SPREADS: [(u32, u64); 5] = [
    (16, 0x0000_FFFF_0000_FFFF),
    (8, 0x00FF_00FF_00FF_00FF),
    (4, 0x0F0F_0F0F_0F0F_0F0F),
    (2, 0x3333_3333_3333_3333),
    (1, 0x5555_5555_5555_5555),
];

/// Puts a zero before every bit.
fn spread(value: u32) -> u64 {
    SPREADS.iter().fold(u64::from(value), |value, &(shift, mask)| (value | value << shift) & mask)
}

/// Every other bit, the lowest first.
fn gathered(value: u64) -> u32 {
    let every_other = value & SPREADS[4].1;
    let halves = SPREADS.iter().rev().fold(every_other, |value, &(shift, mask)| {
        let value = value & mask;
        value | value >> shift
    });
    halves as u32
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) fn positions() -> impl Strategy<Value = Position> {
        let longitude = prop_oneof![
            8 => -LONGITUDE_MAX..LONGITUDE_MAX,
            1 => prop_oneof![Just(-LONGITUDE_MAX), Just(LONGITUDE_MAX), Just(0.0)],
            1 => 179.99..LONGITUDE_MAX,
        ];
        let latitude = prop_oneof![
            8 => -LATITUDE_MAX..LATITUDE_MAX,
            1 => prop_oneof![Just(-LATITUDE_MAX), Just(LATITUDE_MAX), Just(0.0)],
            2 => prop_oneof![80.0..LATITUDE_MAX, -LATITUDE_MAX..-80.0],
        ];
        (longitude, latitude).prop_map(|(longitude, latitude)| Position { longitude, latitude })
    }

    #[test]
    fn known_places() {
        let places = [
            (13.361_389, 38.115_556, 3_479_099_956_230_698.0, b"sqc8b49rny0"),
            (15.087_269, 37.502_669, 3_479_447_370_796_909.0, b"sqdtr74hyu0"),
            (0.0, 0.0, 3_377_699_720_527_872.0, b"s0000000000"),
        ];
        for (longitude, latitude, score, text) in places {
            let place = Position { longitude, latitude };
            assert_eq!(place.score().to_bits(), f64::to_bits(score));
            assert_eq!(&Position::from_score(score).text(), text);
        }
    }

    proptest! {
        #[test]
        fn a_position_survives_to_half_a_cell(place in positions()) {
            let decoded = Position::from_score(place.score());
            prop_assert!(decoded.is_in_range());
            // Beyond the last column the last bit is lost.
            let halves = if place.longitude == LONGITUDE_MAX { 3.0 } else { 1.0 };
            let half = |axis: Axis| halves * axis.len() / parts(STEP_MAX) / 2.0 + 1e-12;
            prop_assert!((decoded.longitude - place.longitude).abs() <= half(LONGITUDES));
            prop_assert!((decoded.latitude - place.latitude).abs() <= half(LATITUDES));
        }

        #[test]
        fn a_middle_is_its_own_cells(place in positions()) {
            let middle = Position::from_score(place.score());
            if place.longitude < LONGITUDE_MAX && place.latitude < LATITUDE_MAX {
                prop_assert_eq!(middle.score().to_bits(), place.score().to_bits());
            }
        }

        #[test]
        fn any_score_decodes_to_a_place(score in any::<f64>().prop_filter("a number", |score| !score.is_nan())) {
            prop_assert!(Position::from_score(score).is_in_range());
        }

        #[test]
        fn bits_are_interleaved_and_back(odd in any::<u32>(), even in any::<u32>()) {
            let bits = interleaved(odd, even);
            prop_assert_eq!((gathered(bits >> 1), gathered(bits)), (odd, even));
            prop_assert_eq!(bits.count_ones(), odd.count_ones() + even.count_ones());
        }

        #[test]
        fn a_cell_has_the_scores_of_its_positions(place in positions(), step in 1..=STEP_MAX) {
            let cell = Cell::around(place, step);
            let with_edges = std::iter::once(cell).chain(cell.edges());
            let score = place.score();
            prop_assert!(with_edges.into_iter().any(|cell| cell.scores().contains(&score)));
        }
    }
}
