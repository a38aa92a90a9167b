//! Hashes as bytes, both ways.
//!
//! ```text
//!  fields    count · each: field, value        a table is written
//!  zipmap    fields and values in turn         oldest
//!  ziplist   the same
//!  listpack  the same                          a packed one is written
//! ```

use super::packed::EMPTY;
use super::{Error, Reader, Scratch, Sink, Writer};
use crate::store::encoding::listpack::Listpack;
use crate::store::{Hash, HashLimits};

pub(super) fn write<S: Sink>(writer: &mut Writer<S>, hash: &Hash) {
    if let Some(pairs) = hash.as_listpack() {
        return writer.string(pairs.as_bytes());
    }
    writer.length(hash.len() as u64);
    for (field, value) in hash.iter() {
        writer.element(field);
        writer.element(value);
    }
}

const TWICE: Error = Error::Malformed("a field that is there twice");

pub(super) fn read_fields(reader: &mut Reader<'_>, limits: &HashLimits) -> Result<Hash, Error> {
    let mut hash = Hash::with_room_for(std::iter::empty(), limits);
    let [mut field_scratch, mut value_scratch] = [Scratch::new(), Scratch::new()];
    for _ in 0..reader.count()? {
        let field = reader.string(&mut field_scratch)?;
        if !hash.set(field, reader.string(&mut value_scratch)?, limits) {
            return Err(TWICE);
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
