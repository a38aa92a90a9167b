//! BITFIELD: a string as integers of any width at any bit.
//!
//! All operations are read before the first is run, so a request that is wrong anywhere changes nothing. They are read
//! again as they run, which needs no memory however many there are.
//! Source: replies, errors and their precedence are those of redis-server 7.0.15.

use bobbin_proto::Reply;

use super::bitmap::{bit_offset, bits_max, writable};
use super::number::integer;
use super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::string::find_bytes;
use super::{Args, Cx, Event};
use crate::error::CommandError;

const READ: u16 = key_flag::RO | key_flag::ACCESS;
const CHANGE: u16 = key_flag::RW | key_flag::ACCESS | key_flag::UPDATE;

pub const ROWS: &[Command] = &[
    command("bitfield", -2, flag::WRITE | flag::DENYOOM, Group::Bitmap, Run::Shard(bitfield))
        .keys(&[KeySpec::one(1, CHANGE | key_flag::VARIABLE_FLAGS)])
        .actual_flags(|args| if only_reads(args) { READ } else { CHANGE })
        .docs(
            "3.2.0",
            "O(1) for each operation",
            "Reads, writes and counts with integers that are parts of a string.",
            "key [<GET encoding offset|<[OVERFLOW <WRAP|SAT|FAIL>] <SET encoding offset integer|INCRBY encoding offset increment>>> ...]",
        ),
    command("bitfield_ro", -2, flag::READONLY | flag::FAST, Group::Bitmap, Run::Shard(bitfield_ro))
        .keys(&[KeySpec::one(1, READ)])
        .docs(
            "6.0.0",
            "O(1) for each operation",
            "Reads integers that are parts of a string.",
            "key [GET encoding offset [GET encoding offset ...]]",
        ),
];

/// Whether every operation is a GET. What is not whole counts as a write, as in Redis.
fn only_reads(args: Args<'_>) -> bool {
    let mut at = 2;
    while at < args.len() {
        let words = if args.is(at, "GET") {
            3
        } else if args.is(at, "OVERFLOW") {
            2
        } else {
            return false;
        };
        at += words;
    }
    at == args.len()
}

fn bitfield(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let plan = Plan::check(cx, args)?;
    match plan.write_end {
        None => read_all(cx, args, &plan, reply),
        Some(end) => write_all(cx, args, &plan, end, reply),
    }
}

fn bitfield_ro(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let plan = Plan::check(cx, args)?;
    if plan.write_end.is_some() {
        return Err(CommandError::text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read_all(cx, args, &plan, reply)
}

fn read_all(cx: &mut Cx<'_>, args: Args<'_>, plan: &Plan, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let operations = Operations::new(cx, args);
    let mut digits = itoa::Buffer::new();
    let bytes = find_bytes(cx, args.at(1), &mut digits)?.unwrap_or_default();
    reply.array(plan.answers);
    for operation in operations {
        let Operation { field, offset, .. } = operation?;
        reply.int(field.value(load(bytes, offset, field.bits)) as i64);
    }
    Ok(())
}

fn write_all(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    plan: &Plan,
    write_end: u64,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let operations = Operations::new(cx, args);
    let (bytes, grown) = writable(cx, args.at(1), write_end)?;
    reply.array(plan.answers);
    let mut changed = false;
    for operation in operations {
        let outcome = operation?.run(bytes);
        changed |= outcome.written && (grown || outcome.differs);
        match outcome.answer {
            Some(value) => reply.int(value),
            None => reply.null(),
        }
    }
    if changed {
        cx.changed(args.at(1), Event::string("setbit"));
    } else if grown {
        // No event tells of it, and it is there.
        let db = cx.db;
        cx.effects().tell(db, args.iter());
    }
    Ok(())
}

/// What is known of a request that is right in every part.
struct Plan {
    answers: usize,
    /// The last bit written.
    write_end: Option<u64>,
}

impl Plan {
    fn check(cx: &Cx<'_>, args: Args<'_>) -> Result<Self, CommandError> {
        let mut plan = Self { answers: 0, write_end: None };
        for operation in Operations::new(cx, args) {
            let Operation { action, field, offset, .. } = operation?;
            plan.answers += 1;
            if !matches!(action, Action::Get) {
                plan.write_end = plan.write_end.max(Some(offset + u64::from(field.bits) - 1));
            }
        }
        Ok(plan)
    }
}

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    IncrBy(i64),
}

/// What becomes of a value that its field cannot hold.
#[derive(Clone, Copy)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy)]
struct Operation {
    action: Action,
    field: Field,
    offset: u64,
    overflow: Overflow,
}

struct Outcome {
    /// None: the value did not fit, and nothing was written.
    answer: Option<i64>,
    written: bool,
    differs: bool,
}

impl Operation {
    fn run(self, bytes: &mut [u8]) -> Outcome {
        let old = load(bytes, self.offset, self.field.bits);
        let old_value = self.field.value(old);
        let wanted = match self.action {
            Action::Get => {
                return Outcome { answer: Some(old_value as i64), written: false, differs: false };
            }
            Action::Set(value) if self.field.signed => value.into(),
            Action::Set(value) => (value as u64).into(),
            Action::IncrBy(step) => old_value + i128::from(step),
        };
        let Some(new) = self.field.fit(wanted, self.overflow) else {
            return Outcome { answer: None, written: false, differs: false };
        };
        store(bytes, self.offset, self.field.bits, new);
        let answer = if let Action::Set(_) = self.action { old_value } else { self.field.value(new) };
        Outcome { answer: Some(answer as i64), written: true, differs: old != new }
    }
}

/// The width of an integer, and whether it has a sign.
#[derive(Clone, Copy)]
struct Field {
    signed: bool,
    bits: u32,
}

impl Field {
    /// `i1` to `i64`, `u1` to `u63`.
    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        let (signed, width) = match arg {
            [b'i', width @ ..] => (true, width),
            [b'u', width @ ..] => (false, width),
            _ => (false, &[][..]),
        };
        let bits_max = if signed { 64 } else { 63 };
        match integer(width) {
            Ok(bits) if (1..=bits_max).contains(&bits) => Ok(Self { signed, bits: bits as u32 }),
            _ => Err(CommandError::text(
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
            )),
        }
    }

    fn value(self, raw: u64) -> i128 {
        let negative = self.signed && raw >> (self.bits - 1) & 1 == 1;
        i128::from(raw) - if negative { 1 << self.bits } else { 0 }
    }

    /// The bits of a value, made to fit.
    fn fit(self, value: i128, overflow: Overflow) -> Option<u64> {
        let (min, max) = if self.signed {
            (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1)
        } else {
            (0, (1 << self.bits) - 1)
        };
        let fitting = match overflow {
            _ if (min..=max).contains(&value) => value,
            Overflow::Wrap => value,
            Overflow::Saturate => value.clamp(min, max),
            Overflow::Fail => return None,
        };
        Some(fitting as u64 & mask(self.bits))
    }
}

/// Reads the operations of a request one after the other.
struct Operations<'a> {
    args: Args<'a>,
    index: usize,
    overflow: Overflow,
    bits_max: u64,
}

impl<'a> Operations<'a> {
    fn new(cx: &Cx<'_>, args: Args<'a>) -> Self {
        Self { args, index: 2, overflow: Overflow::Wrap, bits_max: bits_max(cx) }
    }

    fn read_overflow(&mut self) -> Result<(), CommandError> {
        self.overflow = if self.args.is(self.index + 1, "WRAP") {
            Overflow::Wrap
        } else if self.args.is(self.index + 1, "SAT") {
            Overflow::Saturate
        } else if self.args.is(self.index + 1, "FAIL") {
            Overflow::Fail
        } else {
            return Err(CommandError::text("ERR Invalid OVERFLOW type specified"));
        };
        self.index += 2;
        Ok(())
    }

    /// The next operation, with the overflow behaviour set before it.
    fn read(&mut self) -> Result<Option<Operation>, CommandError> {
        loop {
            let left = self.args.len().saturating_sub(self.index);
            match left {
                0 => return Ok(None),
                2.. if self.args.is(self.index, "OVERFLOW") => self.read_overflow()?,
                3.. if self.args.is(self.index, "GET") => {
                    return self.read_action(3, |_| Action::Get).map(Some);
                }
                4.. if self.args.is(self.index, "SET") => return self.read_action(4, Action::Set).map(Some),
                4.. if self.args.is(self.index, "INCRBY") => {
                    return self.read_action(4, Action::IncrBy).map(Some);
                }
                _ => return Err(CommandError::Syntax),
            }
        }
    }

    /// An operation of so many words, the last of four its operand.
    fn read_action(&mut self, words: usize, make: fn(i64) -> Action) -> Result<Operation, CommandError> {
        let field = Field::parse(self.args.at(self.index + 1))?;
        let offset = match self.args.at(self.index + 2) {
            [b'#', nth @ ..] => bit_offset(nth, field.bits.into(), self.bits_max)?,
            offset => bit_offset(offset, 1, self.bits_max)?,
        };
        let operand = if words == 4 { integer(self.args.at(self.index + 3))? } else { 0 };
        self.index += words;
        Ok(Operation { action: make(operand), field, offset, overflow: self.overflow })
    }
}

impl Iterator for Operations<'_> {
    type Item = Result<Operation, CommandError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

const fn mask(bits: u32) -> u64 {
    u64::MAX >> (u64::BITS - bits)
}

/// The bytes a field lies in, and how far its last bit is from the end of the last of them. Nine bytes at most.
fn place(offset: u64, bits: u32) -> (std::ops::RangeInclusive<usize>, u32) {
    let last = offset + u64::from(bits) - 1;
    ((offset / 8) as usize..=(last / 8) as usize, 7 - (last % 8) as u32)
}

/// Bits beyond the end are 0.
fn load(bytes: &[u8], offset: u64, bits: u32) -> u64 {
    let (at, shift) = place(offset, bits);
    let window = at
        .fold(0u128, |window, index| window << 8 | u128::from(bytes.get(index).copied().unwrap_or_default()));
    (window >> shift) as u64 & mask(bits)
}

/// The field lies within the bytes.
fn store(bytes: &mut [u8], offset: u64, bits: u32, raw: u64) {
    let (at, shift) = place(offset, bits);
    let mut cleared = !(u128::from(mask(bits)) << shift);
    let mut set = u128::from(raw) << shift;
    for index in at.rev() {
        bytes[index] = bytes[index] & cleared as u8 | set as u8;
        cleared >>= 8;
        set >>= 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_field_holds_what_was_stored_and_nothing_else_changes(
            mut bytes in prop::collection::vec(any::<u8>(), 24),
            offset in 0u64..128,
            bits in 1u32..=64,
            raw: u64,
        ) {
            let before = bytes.clone();
            store(&mut bytes, offset, bits, raw & mask(bits));
            prop_assert_eq!(load(&bytes, offset, bits), raw & mask(bits));
            for bit in (0..192).filter(|bit| !(offset..offset + u64::from(bits)).contains(bit)) {
                prop_assert_eq!(load(&bytes, bit, 1), load(&before, bit, 1));
            }
        }
    }
}
