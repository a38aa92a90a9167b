//! HyperLogLog: a string that estimates how many different elements were added to it.
//!
//! ```text
//!   0      4          5         8                    16
//! ┌──────┬──────────┬─────────┬────────────────────┬───────────────────────
//! │ HYLL │ encoding │ 0  0  0 │ cached cardinality │ registers …
//! └──────┴──────────┴─────────┴────────────────────┴───────────────────────
//!   4 B    0: dense   3 B       u64, little endian; its highest bit set: out of date
//!          1: sparse
//!
//! dense: 16384 registers of 6 bits, the first in the lowest bits of the first byte. 12288 bytes.
//!
//! sparse: runs of equal registers, 16384 in all
//!   00llllll              l + 1 registers that are 0
//!   01llllll llllllll     l + 1 registers that are 0
//!   1vvvvvll              l + 1 registers that are v + 1
//! ```
//!
//! The bytes are those that Redis makes of the same elements: which runs an update leaves behind, which of them are
//! merged, and when the sparse form gives way to the dense one are part of the format as it is here.
//!
//! Refuses: strings without this header ([`Hll::parse`]), and registers that do not add up to 16384 ([`Corrupt`]).
//! Clients can write any bytes with SET, so nothing here trusts them.
//!
//! Sources: Heule, Nunkesser, Hall, "HyperLogLog in Practice", 2013 (the sparse idea); Ertl, "New cardinality
//! estimation algorithms for HyperLogLog sketches", 2017 (the estimator, section 4); the bytes that redis-server
//! 7.0.15 makes.

const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING_AT: usize = MAGIC.len();
const CACHE_AT: usize = ENCODING_AT + 4;
const CACHE_END: usize = CACHE_AT + 8;
const HEADER_SIZE: usize = CACHE_END;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// In the cache's last byte.
const STALE: u8 = 1 << 7;

const INDEX_BITS: u32 = 14;
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of the hash that are not the index.
const COUNT_BITS: u32 = u64::BITS - INDEX_BITS;
const REGISTER_BITS: usize = 6;
const REGISTER_MAX: u8 = (1 << REGISTER_BITS) - 1;
const DENSE_SIZE: usize = HEADER_SIZE + REGISTERS * REGISTER_BITS / 8;

const ZEROS_SHORT_MAX: usize = 64;
const VALUE_RUN_MAX: usize = 4;
/// Largest register the sparse form holds.
const SPARSE_REGISTER_MAX: u8 = 32;
/// Runs that are looked at for merging after an update: the one before, up to three new ones, the one behind.
const MERGE_RUNS_MAX: usize = 5;

const HASH_SEED: u64 = 0xadc8_3b19;

/// Registers one by one: what several strings are merged in.
pub type Registers = [u8; REGISTERS];

/// The runs do not add up to the registers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Dense,
    Sparse,
}

/// Where an element goes: its register, and what that must be at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    index: usize,
    count: u8,
}

impl Place {
    pub fn of(element: &[u8]) -> Self {
        let hash = murmur64a(element, HASH_SEED);
        let index = hash as usize & (REGISTERS - 1);
        // The bit behind the last ends the count.
        let rest = hash >> INDEX_BITS | 1 << COUNT_BITS;
        Self { index, count: rest.trailing_zeros() as u8 + 1 }
    }

    pub fn new(index: usize, count: u8) -> Self {
        assert!(index < REGISTERS && count <= REGISTER_MAX, "a register that there is, and a value it holds");
        Self { index, count }
    }
}

/// A string that begins like a HyperLogLog.
#[derive(Clone, Copy, Debug)]
pub struct Hll<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
}

impl<'a> Hll<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() < HEADER_SIZE || !bytes.starts_with(MAGIC) {
            return None;
        }
        let encoding = match bytes[ENCODING_AT] {
            DENSE if bytes.len() == DENSE_SIZE => Encoding::Dense,
            SPARSE => Encoding::Sparse,
            _ => return None,
        };
        Some(Self { bytes, encoding })
    }

    pub fn encoding(self) -> Encoding {
        self.encoding
    }

    /// The cardinality as last computed, unless registers have changed since.
    pub fn cached(self) -> Option<u64> {
        let cache: [u8; 8] = self.bytes[CACHE_AT..CACHE_END].try_into().ok()?;
        (cache[7] & STALE == 0).then(|| u64::from_le_bytes(cache))
    }

    /// Whether adding the element would change a register.
    pub fn misses(self, place: Place) -> Result<bool, Corrupt> {
        let register = match self.encoding {
            Encoding::Dense => dense_register(self.registers(), place.index),
            Encoding::Sparse => self.sparse_run(place.index)?.value,
        };
        Ok(register < place.count)
    }

    pub fn cardinality(self) -> Result<u64, Corrupt> {
        let mut histogram = Histogram::default();
        match self.encoding {
            Encoding::Dense => {
                each_dense_register(self.registers(), |_, value| histogram.add(value, 1));
            }
            Encoding::Sparse => each_run(self.registers(), |run| histogram.add(run.value, run.len))?,
        }
        Ok(histogram.estimate())
    }

    /// Raises each of `registers` to what it is here.
    pub fn merge_into(self, registers: &mut Registers) -> Result<(), Corrupt> {
        match self.encoding {
            Encoding::Dense => each_dense_register(self.registers(), |index, value| {
                registers[index] = registers[index].max(value);
            }),
            Encoding::Sparse => each_run(self.registers(), |run| {
                for register in &mut registers[run.first..run.first + run.len] {
                    *register = (*register).max(run.value);
                }
            })?,
        }
        Ok(())
    }

    /// The dense form of the same.
    pub fn to_dense(self) -> Result<Vec<u8>, Corrupt> {
        let mut dense = self.bytes[..HEADER_SIZE].to_vec();
        dense[ENCODING_AT] = DENSE;
        dense.resize(DENSE_SIZE, 0);
        each_run(self.registers(), |run| {
            if run.value > 0 {
                (run.first..run.first + run.len)
                    .for_each(|index| write_dense(&mut dense[HEADER_SIZE..], index, run.value));
            }
        })?;
        Ok(dense)
    }

    /// The runs of the sparse form, as PFDEBUG DECODE shows them: `z` and `Z` of zeros, `v` of a value.
    pub fn describe(self) -> String {
        let runs: Vec<String> = Runs::new(self.registers())
            .map(|run| match run {
                Run { value: 0, size: 1, len, .. } => format!("z:{len}"),
                Run { value: 0, len, .. } => format!("Z:{len}"),
                Run { value, len, .. } => format!("v:{value},{len}"),
            })
            .collect();
        runs.join(" ")
    }

    fn registers(self) -> &'a [u8] {
        &self.bytes[HEADER_SIZE..]
    }

    fn sparse_run(self, index: usize) -> Result<Run, Corrupt> {
        Runs::new(self.registers()).find(|run| run.covers(index)).ok_or(Corrupt)
    }
}

/// The cardinality of registers that are no string.
pub fn cardinality_of(registers: &Registers) -> u64 {
    let mut histogram = Histogram::default();
    registers.iter().for_each(|&value| histogram.add(value, 1));
    histogram.estimate()
}

/// A HyperLogLog to which nothing was added.
pub fn empty() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(SPARSE);
    bytes.resize(HEADER_SIZE, 0);
    push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// Keeps a cardinality with the string it was computed from.
pub fn set_cached(bytes: &mut [u8], cardinality: u64) {
    bytes[CACHE_AT..CACHE_END].copy_from_slice(&cardinality.to_le_bytes());
}

/// Marks the cached cardinality as out of date.
pub fn forget_cached(bytes: &mut [u8]) {
    bytes[CACHE_END - 1] |= STALE;
}

/// Raises a register of a dense string.
pub fn set_dense(bytes: &mut [u8], place: Place) {
    write_dense(&mut bytes[HEADER_SIZE..], place.index, place.count);
    forget_cached(bytes);
}

/// Raises a register of a sparse string, which becomes dense if it would get longer than `bytes_max`, or if the
/// register needs more than the sparse form's five bits.
pub fn set_sparse(bytes: &mut Vec<u8>, place: Place, bytes_max: usize) -> Result<(), Corrupt> {
    let fits = place.count <= SPARSE_REGISTER_MAX;
    if let Some(previous) = fits.then(|| split_run(bytes, place, bytes_max)).transpose()?.flatten() {
        merge_runs(bytes, previous);
        forget_cached(bytes);
    } else {
        *bytes = Hll { bytes, encoding: Encoding::Sparse }.to_dense()?;
        set_dense(bytes, place);
    }
    Ok(())
}

/// Replaces the run that covers a register by the registers before it, the register, and those behind it. Returns
/// where the run before begins, or None where the string would get too long.
fn split_run(bytes: &mut Vec<u8>, place: Place, bytes_max: usize) -> Result<Option<usize>, Corrupt> {
    let mut previous_at = 0;
    let mut run = None;
    for candidate in Runs::new(&bytes[HEADER_SIZE..]) {
        if candidate.covers(place.index) {
            run = Some(candidate);
            break;
        }
        previous_at = candidate.at;
    }
    let run = run.ok_or(Corrupt)?;
    let mut split = Vec::with_capacity(5);
    push_run(&mut split, run.value, place.index - run.first);
    push_run(&mut split, place.count, 1);
    push_run(&mut split, run.value, run.first + run.len - 1 - place.index);
    if split.len() > run.size && bytes.len() + split.len() - run.size > bytes_max {
        return Ok(None);
    }
    let at = HEADER_SIZE + run.at;
    bytes.splice(at..at + run.size, split);
    Ok(Some(HEADER_SIZE + previous_at))
}

/// Joins neighbouring runs of one value, where together they are no longer than a run may be.
fn merge_runs(bytes: &mut Vec<u8>, from: usize) {
    let mut at = from;
    for _ in 0..MERGE_RUNS_MAX {
        let Some(run) = Run::read(&bytes[at..]) else { return };
        if run.value > 0
            && let Some(next) = Run::read(&bytes[at + 1..])
            && next.value == run.value
            && next.len + run.len <= VALUE_RUN_MAX
        {
            bytes[at + 1] = value_run(run.value, run.len + next.len);
            bytes.remove(at);
        } else {
            at += run.size;
        }
    }
}

/// Checks registers and estimates on random elements. Some milliseconds.
pub fn self_test(mut random: impl FnMut() -> u64) -> Result<(), String> {
    test_registers(&mut random)?;
    test_estimates(random())
}

fn test_registers(mut random: impl FnMut() -> u64) -> Result<(), String> {
    const ROUNDS: usize = 16;
    let mut dense = vec![0; DENSE_SIZE];
    for round in 0..ROUNDS {
        let expected: Vec<u8> = (0..REGISTERS).map(|_| random() as u8 & REGISTER_MAX).collect();
        for (index, &value) in expected.iter().enumerate() {
            write_dense(&mut dense[HEADER_SIZE..], index, value);
        }
        for (index, &value) in expected.iter().enumerate() {
            let found = dense_register(&dense[HEADER_SIZE..], index);
            if found != value {
                return Err(format!("round {round}: register {index} is {found}, not {value}"));
            }
        }
    }
    Ok(())
}

/// Adds more and more elements; a sparse string must agree with a dense one, and both with the truth.
fn test_estimates(seed: u64) -> Result<(), String> {
    const ELEMENTS: u64 = 100_000;
    const SPARSE_MAX: usize = 3000;
    let corrupt = |_| "a string made here is corrupt".to_owned();
    let cardinality = |bytes: &[u8]| Hll::parse(bytes).ok_or(Corrupt)?.cardinality();
    let mut sparse = empty();
    let mut dense = Hll { bytes: &sparse, encoding: Encoding::Sparse }.to_dense().map_err(corrupt)?;
    for added in 1..=ELEMENTS {
        let place = Place::of(&(seed ^ added).to_le_bytes());
        for bytes in [&mut sparse, &mut dense] {
            let hll = Hll::parse(bytes).ok_or("a string made here has no header")?;
            if hll.misses(place).map_err(corrupt)? {
                match hll.encoding() {
                    Encoding::Dense => set_dense(bytes, place),
                    Encoding::Sparse => set_sparse(bytes, place, SPARSE_MAX).map_err(corrupt)?,
                }
            }
        }
        if added.is_power_of_two() || added == ELEMENTS {
            let estimates = (cardinality(&sparse).map_err(corrupt)?, cardinality(&dense).map_err(corrupt)?);
            check_estimates(estimates, added)?;
        }
    }
    Ok(())
}

fn check_estimates((sparse, dense): (u64, u64), truth: u64) -> Result<(), String> {
    // Six standard errors, and one element where that is less.
    let tolerance = (6.0 * 1.04 / (REGISTERS as f64).sqrt() * truth as f64).ceil() as u64;
    if sparse != dense {
        return Err(format!("sparse estimates {sparse}, dense {dense}"));
    }
    if dense.abs_diff(truth) > tolerance {
        return Err(format!("{truth} elements are estimated as {dense}"));
    }
    Ok(())
}

/// Registers of one value in a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Where its bytes begin, and how many they are.
    at: usize,
    size: usize,
    /// The first register, and how many there are.
    first: usize,
    len: usize,
    value: u8,
}

impl Run {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (size, value, len) = match *bytes {
            [byte, ..] if byte & 0x80 != 0 => (1, (byte >> 2 & 0x1f) + 1, usize::from(byte & 3) + 1),
            [byte, ..] if byte & 0x40 == 0 => (1, 0, usize::from(byte) + 1),
            [high, low, ..] => (2, 0, (usize::from(high & 0x3f) << 8 | usize::from(low)) + 1),
            _ => return None,
        };
        Some(Self { at: 0, size, first: 0, len, value })
    }

    fn covers(&self, index: usize) -> bool {
        (self.first..self.first + self.len).contains(&index)
    }
}

struct Runs<'a> {
    bytes: &'a [u8],
    at: usize,
    first: usize,
}

impl<'a> Runs<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, first: 0 }
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let run = Run { at: self.at, first: self.first, ..Run::read(&self.bytes[self.at..])? };
        self.at += run.size;
        self.first += run.len;
        Some(run)
    }
}

/// Visits all runs; they must cover the registers exactly, and nothing may be left behind them.
fn each_run(bytes: &[u8], mut each: impl FnMut(Run)) -> Result<(), Corrupt> {
    let mut runs = Runs::new(bytes);
    for run in &mut runs {
        if run.first + run.len > REGISTERS {
            return Err(Corrupt);
        }
        each(run);
    }
    if runs.first == REGISTERS && runs.at == bytes.len() { Ok(()) } else { Err(Corrupt) }
}

fn push_run(bytes: &mut Vec<u8>, value: u8, len: usize) {
    match (value, len) {
        (_, 0) => {}
        (0, _) => push_zeros(bytes, len),
        _ => bytes.push(value_run(value, len)),
    }
}

fn push_zeros(bytes: &mut Vec<u8>, len: usize) {
    let stored = len - 1;
    if len > ZEROS_SHORT_MAX {
        bytes.push(0x40 | (stored >> 8) as u8);
    }
    bytes.push(stored as u8);
}

fn value_run(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

fn dense_register(registers: &[u8], index: usize) -> u8 {
    let (byte, shift) = dense_position(index);
    let high = registers.get(byte + 1).copied().unwrap_or_default();
    (u16::from_le_bytes([registers[byte], high]) >> shift) as u8 & REGISTER_MAX
}

fn write_dense(registers: &mut [u8], index: usize, value: u8) {
    let (byte, shift) = dense_position(index);
    let high = registers.get(byte + 1).copied().unwrap_or_default();
    let cleared = u16::from_le_bytes([registers[byte], high]) & !(u16::from(REGISTER_MAX) << shift);
    let [low, high] = (cleared | u16::from(value) << shift).to_le_bytes();
    registers[byte] = low;
    // The last register ends with the last byte.
    if let Some(next) = registers.get_mut(byte + 1) {
        *next = high;
    }
}

/// Byte and bit at which a register begins.
fn dense_position(index: usize) -> (usize, usize) {
    let bit = index * REGISTER_BITS;
    (bit / 8, bit % 8)
}

/// Visits all registers, four to each three bytes.
fn each_dense_register(registers: &[u8], mut each: impl FnMut(usize, u8)) {
    for (group, &[a, b, c]) in registers.as_chunks::<3>().0.iter().enumerate() {
        let word = u32::from_le_bytes([a, b, c, 0]);
        for place in 0..4 {
            each(group * 4 + place, (word >> (place * REGISTER_BITS)) as u8 & REGISTER_MAX);
        }
    }
}

/// How many registers have each value.
struct Histogram([u32; REGISTER_MAX as usize + 1]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; REGISTER_MAX as usize + 1])
    }
}

impl Histogram {
    fn add(&mut self, value: u8, registers: usize) {
        self.0[usize::from(value)] += registers as u32;
    }

    /// Ertl's improved raw estimator. A forged string may have every register beyond what a hash can give; the
    /// estimate is infinite then, and answered as the conversion to a C `long long` leaves it.
    fn estimate(&self) -> u64 {
        /// 1 / (2 ln 2)
        const ALPHA_INFINITY: f64 = 0.721_347_520_444_481_7;
        let registers = REGISTERS as f64;
        let saturated = f64::from(self.0[COUNT_BITS as usize + 1]);
        let mut z = registers * tau((registers - saturated) / registers);
        for value in (1..=COUNT_BITS as usize).rev() {
            z = (z + f64::from(self.0[value])) * 0.5;
        }
        z += registers * sigma(f64::from(self.0[0]) / registers);
        let estimate = (ALPHA_INFINITY * registers * registers / z).round();
        if estimate.is_finite() { estimate as u64 } else { i64::MIN as u64 }
    }
}

/// Ertl's σ: what registers that are still zero contribute.
#[expect(clippy::float_cmp, reason = "the series is summed until it no longer changes")]
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// Ertl's τ: what registers at their largest contribute.
#[expect(clippy::float_cmp, reason = "the series is summed until it no longer changes")]
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// Appleby's second Murmur hash, 64 bits, variant A, as a little-endian machine computes it.
fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let (words, tail) = bytes.as_chunks::<8>();
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    for word in words {
        let word = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        hash = (hash ^ (word ^ word >> SHIFT).wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let word = tail.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        hash = (hash ^ word).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(MULTIPLIER);
    hash ^ hash >> SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Registers of a string, one by one.
    fn registers(bytes: &[u8]) -> Vec<u8> {
        let mut registers = [0; REGISTERS];
        Hll::parse(bytes).expect("a header").merge_into(&mut registers).expect("sound");
        registers.to_vec()
    }

    /// Register and value as redis-server 7.0.15 shows them by PFDEBUG GETREG; lengths around those of words.
    #[test]
    fn elements_go_where_redis_puts_them() {
        let places = [
            ("", 5938, 2),
            ("a", 12711, 2),
            ("foobar1", 12029, 1),
            ("foobar12", 15489, 2),
            ("foobar123", 638, 1),
            ("the quick brown fox jumps over the lazy dog", 5508, 3),
        ];
        for (element, index, count) in places {
            assert_eq!(Place::of(element.as_bytes()), Place { index, count }, "{element}");
        }
    }

    #[test]
    fn the_self_test_passes() {
        let mut random = fastrand::Rng::with_seed(7);
        assert_eq!(self_test(|| random.u64(..)), Ok(()));
    }

    proptest! {
        #[test]
        fn sparse_and_dense_hold_the_same_registers(
            places in prop::collection::vec((0usize..REGISTERS, 1u8..=40), 1..200),
            low in prop::collection::vec((0usize..200, 1u8..=3), 1..200),
            bytes_max in prop_oneof![Just(3000usize), 18..400usize],
        ) {
            let mut model = vec![0; REGISTERS];
            let mut bytes = empty();
            for (index, count) in places.into_iter().chain(low) {
                let place = Place::new(index, count);
                let hll = Hll::parse(&bytes).expect("a header");
                prop_assert_eq!(hll.misses(place), Ok(model[index] < count));
                if model[index] < count {
                    model[index] = count;
                    match hll.encoding() {
                        Encoding::Dense => set_dense(&mut bytes, place),
                        Encoding::Sparse => set_sparse(&mut bytes, place, bytes_max).expect("sound"),
                    }
                }
            }
            prop_assert_eq!(registers(&bytes), model);
        }

        #[test]
        fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..64), index in 0..REGISTERS, count in 1u8..=51) {
            let mut bytes = empty();
            bytes.truncate(HEADER_SIZE);
            bytes.extend_from_slice(&body);
            let hll = Hll::parse(&bytes).expect("a header");
            let _ = (hll.cardinality(), hll.to_dense(), hll.describe(), hll.merge_into(&mut [0; REGISTERS]));
            if hll.misses(Place::new(index, count)) == Ok(true) {
                let _ = set_sparse(&mut bytes, Place::new(index, count), 3000);
            }
        }
    }
}
