//! Sorted sets as bytes, both ways.
//!
//! ```text
//!  members   count · each: member, score as text          oldest
//!  members2  count · each: member, score as a double      a table is written, from its last member to its first
//!  ziplist   members and scores in turn
//!  listpack  the same                                     a packed one is written
//! ```

use super::packed::EMPTY;
use super::{Error, Reader, Scratch, Sink, Writer};
use crate::store::encoding::listpack::Listpack;
use crate::store::encoding::zset_packed::ZsetPacked;
use crate::store::encoding::zset_table::ZsetTable;
use crate::store::{Zset, ZsetLimits};

pub(super) fn write<S: Sink>(writer: &mut Writer<S>, zset: &Zset) {
    match zset {
        Zset::Packed(packed) => writer.string(packed.as_bytes()),
        Zset::Table(table) => {
            writer.length(table.len() as u64);
            for (member, score) in zset.iter().rev() {
                writer.element(member);
                writer.double(score);
            }
        }
    }
}

pub(super) fn read_members<'a>(
    reader: &mut Reader<'a>,
    read_score: fn(&mut Reader<'a>) -> Result<f64, Error>,
    limits: &ZsetLimits,
) -> Result<Zset, Error> {
    let (mut table, mut scratch) = (ZsetTable::new(limits.seed), Scratch::new());
    for nth in 0..reader.count()? {
        let member = reader.string(&mut scratch)?;
        table.set(member, read_score(reader)?);
        if table.len() != nth + 1 {
            return Err(Error::Malformed("a member that is there twice"));
        }
    }
    if table.len() == 0 { Err(EMPTY) } else { Ok(Zset::within(table, limits)) }
}

pub(super) fn of_pairs(pairs: Listpack, limits: &ZsetLimits) -> Result<Zset, Error> {
    let packed = ZsetPacked::from_pairs(pairs);
    let packed = packed.map_err(|_| Error::Malformed("members and scores that are not, or out of order"))?;
    if packed.len() == 0 { Err(EMPTY) } else { Ok(Zset::of_packed(packed, limits)) }
}
