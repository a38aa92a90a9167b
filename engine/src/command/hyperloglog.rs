//! HyperLogLog commands. The bytes and the arithmetic are in [`crate::store::encoding::hyperloglog`].
//!
//! A HyperLogLog is a string, and clients may have written anything into it: what has no header is a wrong type, what
//! has broken registers an invalid object. PFCOUNT of one key keeps its answer in the string, so it is a read that
//! writes; its key specification says so. Where another node writes the key it only reads.
//! Source: replies, errors and bytes are those of redis-server 7.0.15.

use bobbin_proto::Reply;

use super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::string::bytes_of;
use super::{Args, Cx, Event, Session};
use crate::error::CommandError;
use crate::store::encoding::hyperloglog::{self as hll, Corrupt, Encoding, Hll, Place, REGISTERS, Registers};
use crate::store::{BytesEncoding, Entry, EntryMut, Value};

const GROWING: u32 = flag::WRITE | flag::DENYOOM;

pub const ROWS: &[Command] = &[
    command("pfadd", -2, GROWING | flag::FAST, Group::Hyperloglog, Run::Shard(pfadd))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::INSERT)])
        .docs(
            "2.8.9",
            "O(1) for each element",
            "Adds elements to a HyperLogLog, which is created if missing.",
            "key [element [element ...]]",
        ),
    command("pfcount", -2, flag::READONLY, Group::Hyperloglog, Run::Shard(pfcount))
        .keys(&[KeySpec::range(1, -1, 1, key_flag::RW | key_flag::ACCESS)])
        .docs(
            "2.8.9",
            "O(1) for one key, from memory if nothing was added since; O(N) for N keys",
            "Estimates how many different elements were added to one HyperLogLog, or to any of several.",
            "key [key ...]",
        ),
    command("pfmerge", -2, GROWING, Group::Hyperloglog, Run::Shard(pfmerge))
        .keys(&[
            KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::INSERT),
            KeySpec::range(2, -1, 1, key_flag::RO | key_flag::ACCESS),
        ])
        .docs(
            "2.8.9",
            "O(N) with N keys, each of them costly",
            "Merges HyperLogLogs into one.",
            "destkey [sourcekey [sourcekey ...]]",
        ),
    command("pfdebug", 3, GROWING | flag::ADMIN, Group::Hyperloglog, Run::Shard(pfdebug))
        .keys(&[KeySpec::one(2, key_flag::RW | key_flag::ACCESS)])
        .docs("2.8.9", "O(1)", "Shows how a HyperLogLog is kept.", "subcommand key"),
    command("pfselftest", 1, flag::ADMIN, Group::Hyperloglog, Run::Conn(pfselftest)).docs(
        "2.8.9",
        "O(1), some milliseconds",
        "Checks the HyperLogLog arithmetic on random elements.",
        "",
    ),
];

const PFADD: Event = Event::string("pfadd");

impl From<Corrupt> for CommandError {
    fn from(_: Corrupt) -> Self {
        Self::text("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// An entry's HyperLogLog.
fn hll_of(entry: &Entry) -> Result<Hll<'_>, CommandError> {
    match entry.value() {
        Value::Bytes(bytes) => Hll::parse(bytes),
        Value::Int(_) => None,
        Value::Object(_) => return Err(CommandError::WrongType),
    }
    .ok_or(CommandError::text("WRONGTYPE Key is not a valid HyperLogLog string value."))
}

fn pfadd(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = args.at(1);
    let bytes_max = cx.env.config.hll_sparse_max_bytes as usize;
    let mut changed = match cx.find_mut(key) {
        Some(entry) => hll_of(&entry).map(|_| false)?,
        None => create(cx, key),
    };
    let Some(mut entry) = cx.db().find_mut(key) else { return Ok(()) };
    for element in args.iter_from(2) {
        changed |= add(&mut entry, Place::of(element), bytes_max)?;
    }
    // "raw" from here on, changed or not.
    let bytes = entry.string_mut(0);
    if changed {
        bytes.map(hll::forget_cached);
        cx.changed(key, PFADD);
    }
    reply.int(changed.into());
    Ok(())
}

/// Puts an empty HyperLogLog under a key that holds nothing; returns that it did.
fn create(cx: &mut Cx<'_>, key: &[u8]) -> bool {
    cx.db()
        .find_or_insert_with(key, || Entry::bytes(key, b"", None))
        .set_bytes(&hll::empty(), BytesEncoding::Raw);
    true
}

/// Raises a register. Returns whether it was lower before.
fn add(entry: &mut EntryMut<'_>, place: Place, bytes_max: usize) -> Result<bool, CommandError> {
    let found = hll_of(entry)?;
    if !found.misses(place)? {
        return Ok(false);
    }
    match found.encoding() {
        Encoding::Dense => {
            if let Some(bytes) = entry.string_mut(0) {
                hll::set_dense(bytes, place);
            }
        }
        Encoding::Sparse => {
            let mut bytes = bytes_of(entry, &mut itoa::Buffer::new())?.to_vec();
            hll::set_sparse(&mut bytes, place, bytes_max)?;
            entry.set_bytes(&bytes, BytesEncoding::Raw);
        }
    }
    Ok(true)
}

fn pfcount(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if args.len() > 2 {
        let mut registers = [0; REGISTERS];
        merge(cx, args.iter_from(1), &mut registers)?;
        reply.int(hll::cardinality_of(&registers) as i64);
        return Ok(());
    }
    let key = args.at(1);
    let Some(entry) = cx.find(key) else {
        reply.int(0);
        return Ok(());
    };
    let found = hll_of(entry)?;
    if let Some(cached) = found.cached() {
        if entry.encoding() != "raw" && cx.may_write(key) {
            make_raw(cx, key);
        }
        reply.int(cached as i64);
        return Ok(());
    }
    let cardinality = found.cardinality()?;
    if cx.may_write(key) {
        keep_cardinality(cx, key, cardinality);
    }
    reply.int(cardinality as i64);
    Ok(())
}

/// As Redis, which readies the string to take a cardinality before it looks whether there is one.
#[cold]
fn make_raw(cx: &mut Cx<'_>, key: &[u8]) {
    if let Some(mut entry) = cx.db().find_mut(key) {
        entry.string_mut(0);
    }
}

fn keep_cardinality(cx: &mut Cx<'_>, key: &[u8], cardinality: u64) {
    if let Some(mut entry) = cx.db().find_mut(key)
        && let Some(bytes) = entry.string_mut(0)
    {
        hll::set_cached(bytes, cardinality);
        cx.changed_unannounced(key);
        // No command that writes by its row, and it has written.
        cx.tell([b"PFCOUNT", key]);
    }
}

/// Raises `registers` by what the keys that there are hold. Returns whether one of them was dense.
fn merge<'a>(
    cx: &mut Cx<'_>,
    keys: impl Iterator<Item = &'a [u8]>,
    registers: &mut Registers,
) -> Result<bool, CommandError> {
    let mut dense = false;
    for key in keys {
        if let Some(entry) = cx.find(key) {
            let found = hll_of(entry)?;
            dense |= found.encoding() == Encoding::Dense;
            found.merge_into(registers)?;
        }
    }
    Ok(dense)
}

fn pfmerge(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = args.at(1);
    let bytes_max = cx.env.config.hll_sparse_max_bytes as usize;
    let mut registers = [0; REGISTERS];
    let dense = merge(cx, args.iter_from(1), &mut registers)?;
    if cx.find_mut(key).is_none() {
        create(cx, key);
    }
    let Some(mut entry) = cx.db().find_mut(key) else { return Ok(()) };
    if dense {
        make_dense(&mut entry)?;
    }
    for (index, &count) in registers.iter().enumerate().filter(|&(_, &count)| count > 0) {
        add(&mut entry, Place::new(index, count), bytes_max)?;
    }
    if let Some(bytes) = entry.string_mut(0) {
        hll::forget_cached(bytes);
    }
    cx.changed(key, PFADD);
    reply.ok();
    Ok(())
}

/// Returns whether it was sparse before.
fn make_dense(entry: &mut EntryMut<'_>) -> Result<bool, CommandError> {
    let found = hll_of(entry)?;
    if found.encoding() == Encoding::Dense {
        return Ok(false);
    }
    let dense = found.to_dense()?;
    entry.set_bytes(&dense, BytesEncoding::Raw);
    Ok(true)
}

fn pfdebug(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = args.at(2);
    let Some(mut entry) = cx.find_mut(key) else {
        return Err(CommandError::text("ERR The specified key does not exist"));
    };
    let encoding = hll_of(&entry)?.encoding();
    if args.is(1, "GETREG") {
        let was_sparse = make_dense(&mut entry)?;
        reply_registers(&entry, reply)?;
        if was_sparse {
            cx.changed_unannounced(key);
        }
    } else if args.is(1, "DECODE") {
        if encoding != Encoding::Sparse {
            return Err(CommandError::text("ERR HLL encoding is not sparse"));
        }
        reply.bulk(hll_of(&entry)?.describe().as_bytes());
    } else if args.is(1, "ENCODING") {
        reply.simple(if encoding == Encoding::Dense { "dense" } else { "sparse" });
    } else if args.is(1, "TODENSE") {
        let was_sparse = make_dense(&mut entry)?;
        if was_sparse {
            cx.changed_unannounced(key);
        }
        reply.int(was_sparse.into());
    } else {
        return Err(CommandError::quoting("ERR Unknown PFDEBUG subcommand '", args.at(1), "'"));
    }
    Ok(())
}

fn reply_registers(entry: &Entry, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut registers = [0; REGISTERS];
    hll_of(entry)?.merge_into(&mut registers)?;
    reply.array(REGISTERS);
    registers.iter().for_each(|&register| reply.int(register.into()));
    Ok(())
}

fn pfselftest(session: &mut Session<'_>, _args: Args<'_>) -> Result<(), CommandError> {
    hll::self_test(|| session.core.shard.rest.rng.u64(..))
        .map_err(|failure| CommandError::owned(format!("TESTFAILED {failure}")))?;
    session.ok();
    Ok(())
}
