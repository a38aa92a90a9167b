//! Strings as rows of bits, the first bit the highest of the first byte. BITFIELD's integers are in `bitfield`.
//!
//! A string is as if zeros followed it without end: reading beyond it gives 0, writing beyond it makes it grow.
//!
//! Refused: bits beyond what `proto-max-bulk-len` lets a string hold.
//! Source: replies, errors and their precedence are those of redis-server 7.0.15.

use std::ops::Range;

use bobbin_proto::Reply;

use super::number::integer;
use super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::string::{find_bytes, len_of};
use super::{Args, Cx, Event};
use crate::error::CommandError;
use crate::store::{BytesEncoding, Entry};

const GROWING: u32 = flag::WRITE | flag::DENYOOM;
const READ: u16 = key_flag::RO | key_flag::ACCESS;

pub const ROWS: &[Command] = &[
    command("setbit", 4, GROWING, Group::Bitmap, Run::Shard(setbit))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::UPDATE)])
        .docs(
            "2.2.0",
            "O(1), or the bytes the string grows by",
            "Sets or clears a bit of a string, and answers what it was.",
            "key offset bit",
        ),
    command("getbit", 3, flag::READONLY | flag::FAST, Group::Bitmap, Run::Shard(getbit))
        .keys(&[KeySpec::one(1, READ)])
        .docs("2.2.0", "O(1)", "Answers a bit of a string.", "key offset"),
    command("bitcount", -2, flag::READONLY, Group::Bitmap, Run::Shard(bitcount))
        .keys(&[KeySpec::one(1, READ)])
        .docs("2.6.0", "O(N) with N bytes", "Counts the bits that are set.", "key [start end [BYTE|BIT]]"),
    command("bitpos", -3, flag::READONLY, Group::Bitmap, Run::Shard(bitpos))
        .keys(&[KeySpec::one(1, READ)])
        .docs(
            "2.8.7",
            "O(N) with N bytes",
            "Finds the first bit that is set, or clear.",
            "key bit [start [end [BYTE|BIT]]]",
        ),
    command("bitop", -4, GROWING, Group::Bitmap, Run::Shard(bitop))
        .keys(&[KeySpec::one(2, key_flag::OW | key_flag::UPDATE), KeySpec::range(3, -1, 1, READ)])
        .docs(
            "2.6.0",
            "O(N) with N bytes in all sources",
            "Combines strings bit by bit into another.",
            "<AND|OR|XOR|NOT> destkey key [key ...]",
        ),
];

/// How many bits a string may have.
pub(super) fn bits_max(cx: &Cx<'_>) -> u64 {
    cx.env.string_len_max().saturating_mul(8)
}

/// An offset below `bits_max`, counted in units of `scale` bits.
pub(super) fn bit_offset(arg: &[u8], scale: u64, bits_max: u64) -> Result<u64, CommandError> {
    integer(arg)
        .ok()
        .and_then(|offset| u64::try_from(offset).ok()?.checked_mul(scale))
        .filter(|&offset| offset < bits_max)
        .ok_or(CommandError::text("ERR bit offset is not an integer or out of range"))
}

fn setbit(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = args.at(1);
    let offset = bit_offset(args.at(2), 1, bits_max(cx))?;
    let value = match args.at(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err(CommandError::text("ERR bit is not an integer or out of range")),
    };
    let (bytes, grown) = writable(cx, key, offset)?;
    let byte = &mut bytes[(offset / 8) as usize];
    let mask = mask_of(offset);
    let old = *byte & mask != 0;
    *byte = if value { *byte | mask } else { *byte & !mask };
    if grown || old != value {
        cx.changed(key, Event::string("setbit"));
    }
    reply.int(old.into());
    Ok(())
}

/// A string's bytes up to at least the bit at `offset`, created or extended with zeros; and whether it was.
pub(super) fn writable<'a>(
    cx: &'a mut Cx<'_>,
    key: &[u8],
    offset: u64,
) -> Result<(&'a mut [u8], bool), CommandError> {
    let old_len = cx.find_mut(key).map_or(Ok(0), |entry| len_of(&entry))?;
    let len = (offset / 8) as usize + 1;
    let bytes = cx.db().string_mut(key, len).ok_or(CommandError::WrongType)?;
    Ok((bytes, len > old_len))
}

const fn mask_of(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

fn getbit(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let offset = bit_offset(args.at(2), 1, bits_max(cx))?;
    let mut digits = itoa::Buffer::new();
    let bytes = find_bytes(cx, args.at(1), &mut digits)?.unwrap_or_default();
    let byte = bytes.get((offset / 8) as usize).copied().unwrap_or_default();
    reply.int((byte & mask_of(offset) != 0).into());
    Ok(())
}

fn bitcount(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut digits = itoa::Buffer::new();
    let Some(bytes) = find_bytes(cx, args.at(1), &mut digits)? else {
        reply.int(0);
        return Ok(());
    };
    let bits = match args.len() {
        2 => 0..bytes.len() * 8,
        4 | 5 => {
            let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
            // Before the unit is looked at, as in Redis.
            if start < 0 && end < 0 && start > end {
                reply.int(0);
                return Ok(());
            }
            unit(args, 4)?.span(start, end, bytes.len())
        }
        _ => return Err(CommandError::Syntax),
    };
    reply.int(count_ones(bytes, bits) as i64);
    Ok(())
}

fn bitpos(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let wanted = match integer(args.at(2))? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::text("ERR The bit argument must be 1 or 0.")),
    };
    let mut digits = itoa::Buffer::new();
    let Some(bytes) = find_bytes(cx, args.at(1), &mut digits)? else {
        reply.int(if wanted { -1 } else { 0 });
        return Ok(());
    };
    let bits = match args.len() {
        3 => Unit::Byte.span(0, -1, bytes.len()),
        4..=6 => {
            let start = integer(args.at(3))?;
            let unit = unit(args, 5)?;
            let end = args.get(4).map_or(Ok(-1), integer)?;
            unit.span(start, end, bytes.len())
        }
        _ => return Err(CommandError::Syntax),
    };
    let found = find_bit(bytes, bits.clone(), wanted);
    // Without an end the zeros behind the string count.
    let behind = (!wanted && args.len() < 5 && !bits.is_empty()).then_some(bits.end);
    reply.int(found.or(behind).map_or(-1, |at| at as i64));
    Ok(())
}

/// What the indices of a range count.
#[derive(Clone, Copy)]
enum Unit {
    Byte,
    Bit,
}

fn unit(args: Args<'_>, index: usize) -> Result<Unit, CommandError> {
    if args.len() <= index || args.is(index, "BYTE") {
        Ok(Unit::Byte)
    } else if args.is(index, "BIT") {
        Ok(Unit::Bit)
    } else {
        Err(CommandError::Syntax)
    }
}

impl Unit {
    /// The bits from `start` to `end`, both included and counted from the end where negative, that exist.
    fn span(self, start: i64, end: i64, bytes: usize) -> Range<usize> {
        let bits_each = match self {
            Self::Byte => 8,
            Self::Bit => 1,
        };
        let len = (bytes * 8 / bits_each) as i64;
        let from_start = |index: i64| if index < 0 { (len + index).max(0) } else { index };
        let (start, end) = (from_start(start), from_start(end).min(len - 1));
        if start > end {
            return 0..0;
        }
        start as usize * bits_each..(end as usize + 1) * bits_each
    }
}

fn count_ones(bytes: &[u8], bits: Range<usize>) -> u64 {
    let ones = |bytes: &[u8]| -> u64 {
        let (words, rest) = bytes.as_chunks::<8>();
        let in_words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
        in_words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
    };
    let whole = ones(&bytes[bits.start / 8..bits.end.div_ceil(8)]);
    // What the first and the last byte have outside the range.
    let before =
        if bits.start.is_multiple_of(8) { 0 } else { bytes[bits.start / 8] & !(0xff >> (bits.start % 8)) };
    let behind = if bits.end.is_multiple_of(8) { 0 } else { bytes[bits.end / 8] & (0xff >> (bits.end % 8)) };
    whole - u64::from(before.count_ones() + behind.count_ones())
}

/// The first bit of a range that is `wanted`.
fn find_bit(bytes: &[u8], bits: Range<usize>, wanted: bool) -> Option<usize> {
    let mut at = bits.start / 8;
    let end = bits.end.div_ceil(8);
    let passed_over: u8 = if wanted { 0 } else { 0xff };
    let mut ignored = 0xff_u8 >> (bits.start % 8);
    while at < end {
        // Only bits that are wanted are left as ones.
        let candidates = (bytes[at] ^ passed_over) & ignored;
        if candidates != 0 {
            let found = at * 8 + candidates.leading_zeros() as usize;
            return (found < bits.end).then_some(found);
        }
        ignored = 0xff;
        at += 1 + skip_words(&bytes[at + 1..end], passed_over);
    }
    None
}

/// How many bytes at the front, in whole words, are all `byte`.
fn skip_words(bytes: &[u8], byte: u8) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().take_while(|word| **word == [byte; 8]).count() * 8
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        [("AND", Self::And), ("OR", Self::Or), ("XOR", Self::Xor), ("NOT", Self::Not)]
            .into_iter()
            .find_map(|(word, operation)| args.is(1, word).then_some(operation))
            .ok_or(CommandError::Syntax)
    }

    /// Combines a further source into what those before it gave.
    fn combine(self, result: &mut Vec<u8>, source: &[u8]) {
        result.resize(result.len().max(source.len()), 0);
        let (covered, behind) = result.split_at_mut(source.len());
        let pairs = covered.iter_mut().zip(source);
        match self {
            Self::And => {
                pairs.for_each(|(bits, &more)| *bits &= more);
                behind.fill(0);
            }
            Self::Or => pairs.for_each(|(bits, &more)| *bits |= more),
            Self::Xor => pairs.for_each(|(bits, &more)| *bits ^= more),
            Self::Not => pairs.for_each(|(bits, &more)| *bits = !more),
        }
    }
}

fn bitop(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let operation = Operation::parse(args)?;
    if operation == Operation::Not && args.len() != 4 {
        return Err(CommandError::text("ERR BITOP NOT must be called with a single source key."));
    }
    let mut digits = itoa::Buffer::new();
    let mut result = Vec::new();
    for (nth, source) in args.iter_from(3).enumerate() {
        let bytes = find_bytes(cx, source, &mut digits)?.unwrap_or_default();
        if nth == 0 && operation != Operation::Not {
            result.extend_from_slice(bytes);
        } else {
            operation.combine(&mut result, bytes);
        }
    }
    replace(cx, args.at(2), &result);
    reply.int(result.len() as i64);
    Ok(())
}

/// Makes a key hold these bytes and nothing else; no bytes, no key.
fn replace(cx: &mut Cx<'_>, key: &[u8], bytes: &[u8]) {
    if bytes.is_empty() {
        if cx.remove(key) {
            cx.changed(key, Event::generic("del"));
        }
        return;
    }
    // Expires it, or counts the access.
    cx.find_mut(key);
    let mut entry = cx.db().find_or_insert_with(key, || Entry::bytes(key, b"", None));
    entry.set_expiry(None);
    entry.set_bytes(bytes, BytesEncoding::Raw);
    cx.changed(key, Event::string("set"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit(bytes: &[u8], at: usize) -> bool {
        bytes[at / 8] & mask_of(at as u64) != 0
    }

    proptest! {
        #[test]
        fn bits_are_counted_and_found_as_one_by_one(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 1..64),
            from: prop::sample::Index,
            to: prop::sample::Index,
        ) {
            let (from, to) = (from.index(bytes.len() * 8), to.index(bytes.len() * 8 + 1));
            let bits = from.min(to)..to;
            let ones = bits.clone().filter(|&at| bit(&bytes, at)).count();
            prop_assert_eq!(count_ones(&bytes, bits.clone()), ones as u64);
            for wanted in [false, true] {
                let first = bits.clone().find(|&at| bit(&bytes, at) == wanted);
                prop_assert_eq!(find_bit(&bytes, bits.clone(), wanted), first);
            }
        }
    }
}
