//! Hashes as bytes, both ways.
//!
//! ```text
//!  fields        count · each: field, value        a table is written
//!  zipmap        fields and values in turn         oldest
//!  ziplist       the same
//!  listpack      the same                          a packed one is written
//!
//!                with deadlines, which Redis 7.4 came with; 0 is none
//!  deadlines     earliest deadline · count · each: deadline, field, value; the earliest is 1, those after it are
//!                counted from there                a table is written
//!  absolute      count · each: deadline, field, value
//!  listpack ex   earliest deadline · fields, values and deadlines in turn
//!                                                  a packed one is written
//!  bare          the latter without the former
//! ```

use super::packed::EMPTY;
use super::{Error, Reader, Scratch, Sink, ValueType, Writer};
use crate::store::encoding::listpack::Listpack;
use crate::store::{FIELD_DEADLINE_MAX_MS, Hash, HashLimits};

/// Without deadlines a form that redis-server 7.0 knows.
pub(super) fn type_of(hash: &Hash) -> ValueType {
    match (hash, hash.next_deadline()) {
        (Hash::Packed(_), _) => ValueType::HashListpack,
        (Hash::Expiring(_), Some(_)) => ValueType::HashListpackEx,
        (Hash::Table(_), Some(_)) => ValueType::HashDeadlines,
        (Hash::Expiring(_) | Hash::Table(_), None) => ValueType::Hash,
    }
}

pub(super) fn write<S: Sink>(writer: &mut Writer<S>, hash: &Hash) {
    let first_ms = hash.next_deadline();
    first_ms.into_iter().for_each(|first_ms| writer.millis(first_ms));
    match type_of(hash) {
        ValueType::HashListpack | ValueType::HashListpackEx => {
            hash.as_listpack().into_iter().for_each(|pack| writer.string(pack.as_bytes()));
        }
        _ => write_fields(writer, hash, first_ms),
    }
}

fn write_fields<S: Sink>(writer: &mut Writer<S>, hash: &Hash, first_ms: Option<u64>) {
    writer.length(hash.len() as u64);
    for (field, value, at_ms) in hash.iter() {
        if let Some(first_ms) = first_ms {
            writer.length(at_ms.map_or(0, |at_ms| at_ms - first_ms + 1));
        }
        writer.element(field);
        writer.element(value);
    }
}

const TWICE: Error = Error::Malformed("a field that is there twice");
const OUT_OF_RANGE: Error = Error::Malformed("a deadline out of range");

pub(super) fn read_fields(reader: &mut Reader<'_>, limits: &HashLimits) -> Result<Hash, Error> {
    read_each(reader, limits, |_| Ok(None))
}

/// Fields behind their deadlines, which count from what `read_first` reads on, that being 1.
pub(super) fn read_deadlines<'a>(
    reader: &mut Reader<'a>,
    read_first: impl FnOnce(&mut Reader<'a>) -> Result<u64, Error>,
    limits: &HashLimits,
) -> Result<Hash, Error> {
    let first_ms = read_first(reader)?;
    read_each(reader, limits, |reader| {
        let Some(behind) = reader.length()?.checked_sub(1) else { return Ok(None) };
        let at_ms = first_ms.checked_add(behind);
        at_ms.filter(|at_ms| (1..=FIELD_DEADLINE_MAX_MS).contains(at_ms)).ok_or(OUT_OF_RANGE).map(Some)
    })
}

/// Fields, with what `read_deadline` reads in front of each.
fn read_each<'a>(
    reader: &mut Reader<'a>,
    limits: &HashLimits,
    read_deadline: impl Fn(&mut Reader<'a>) -> Result<Option<u64>, Error>,
) -> Result<Hash, Error> {
    let mut hash = Hash::with_room_for(std::iter::empty(), limits);
    let [mut field_scratch, mut value_scratch] = [Scratch::new(), Scratch::new()];
    for _ in 0..reader.count()? {
        let at_ms = read_deadline(reader)?;
        let field = reader.string(&mut field_scratch)?;
        if !hash.set(field, reader.string(&mut value_scratch)?, limits) {
            return Err(TWICE);
        }
        if at_ms.is_some() {
            hash.set_deadline(field, at_ms);
        }
    }
    if hash.is_empty() { Err(EMPTY) } else { Ok(hash) }
}

pub(super) fn of_pairs(pairs: Listpack, limits: &HashLimits) -> Result<Hash, Error> {
    match pairs.len() {
        0 => Err(EMPTY),
        len if len.is_multiple_of(2) => Hash::from_listpack(pairs, limits).ok_or(TWICE),
        _ => Err(Error::Malformed("a field without a value")),
    }
}

pub(super) fn of_triples(triples: Listpack, limits: &HashLimits) -> Result<Hash, Error> {
    if triples.is_empty() {
        return Err(EMPTY);
    }
    let hash = Hash::from_expiring_listpack(triples, limits);
    hash.ok_or(Error::Malformed("a field twice, or deadlines in disorder"))
}
