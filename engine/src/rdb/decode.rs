//! Bytes as values: of every type that `value_type` knows, each element checked.
//!
//! A value is kept as one given by commands would be, but for what came packed and is within the limits: that is
//! kept as it came.

use super::encode::{LARGE, PACK};
use super::stream::read_stream;
use super::{Error, Reader, Scratch, ValueType};
use super::{ziplist, zipmap};
use crate::store::encoding::intset::Intset;
use crate::store::encoding::listpack::{Element, Listpack};
use crate::store::encoding::quicklist::{ChunkLimit, End, Quicklist};
use crate::store::encoding::zset_packed::ZsetPacked;
use crate::store::encoding::zset_table::ZsetTable;
use crate::store::{Entry, Hash, HashLimits, List, Object, Set, SetLimits, Zset, ZsetLimits};

/// What decides how values are kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub list: ChunkLimit,
    pub set: SetLimits,
    pub zset: ZsetLimits,
    pub hash: HashLimits,
}

/// Reads a value that is written as said; gives it a key and a deadline in Unix milliseconds.
pub fn read_entry(
    reader: &mut Reader<'_>,
    value_type: ValueType,
    key: &[u8],
    expiry_ms: Option<u64>,
    limits: &Limits,
) -> Result<Entry, Error> {
    if value_type == ValueType::String {
        return Ok(Entry::string(key, reader.string(&mut Scratch::new())?, expiry_ms));
    }
    let object = read_object(reader, value_type, limits)?;
    Ok(Entry::with_object(key, object, expiry_ms))
}

fn read_object(reader: &mut Reader<'_>, value_type: ValueType, limits: &Limits) -> Result<Object, Error> {
    match value_type {
        ValueType::String => Ok(Object::string(reader.string(&mut Scratch::new())?)),
        ValueType::List => list_of_elements(reader, limits.list).map(Object::List),
        ValueType::ListZiplist => list_of_ziplist(reader, limits.list).map(Object::List),
        ValueType::ListQuicklist | ValueType::ListQuicklist2 => {
            list_of_pieces(reader, value_type, limits.list).map(Object::List)
        }
        ValueType::Set => set_of_members(reader, &limits.set).map(Object::Set),
        ValueType::SetIntset => set_of_ints(reader, &limits.set).map(Object::Set),
        ValueType::SetListpack => set_of_pack(reader, &limits.set).map(Object::Set),
        ValueType::StreamListpacks | ValueType::StreamListpacks2 | ValueType::StreamListpacks3 => {
            read_stream(reader, value_type).map(Object::from)
        }
        ValueType::Zset => zset_of_members(reader, Reader::double_text, &limits.zset).map(Object::Zset),
        ValueType::Zset2 => zset_of_members(reader, Reader::double, &limits.zset).map(Object::Zset),
        ValueType::ZsetZiplist => zset_of_pairs(from_ziplist(reader)?, &limits.zset).map(Object::Zset),
        ValueType::ZsetListpack => zset_of_pairs(listpack(reader)?, &limits.zset).map(Object::Zset),
        ValueType::Hash => hash_of_fields(reader, &limits.hash).map(Object::Hash),
        ValueType::HashZipmap => hash_of_pairs(from_zipmap(reader)?, &limits.hash).map(Object::Hash),
        ValueType::HashZiplist => hash_of_pairs(from_ziplist(reader)?, &limits.hash).map(Object::Hash),
        ValueType::HashListpack => hash_of_pairs(listpack(reader)?, &limits.hash).map(Object::Hash),
    }
}

const EMPTY: Error = Error::Malformed("a collection of nothing");
const TWICE: Error = Error::Malformed("a member that is there twice");

fn listpack(reader: &mut Reader<'_>) -> Result<Listpack, Error> {
    let mut scratch = Scratch::new();
    let bytes = reader.string(&mut scratch)?;
    Listpack::from_bytes(bytes).map_err(|_| Error::Malformed("bytes that are not a listpack"))
}

fn from_ziplist(reader: &mut Reader<'_>) -> Result<Listpack, Error> {
    let mut scratch = Scratch::new();
    ziplist::to_listpack(reader.string(&mut scratch)?)
}

fn from_zipmap(reader: &mut Reader<'_>) -> Result<Listpack, Error> {
    let mut scratch = Scratch::new();
    zipmap::to_listpack(reader.string(&mut scratch)?)
}

fn list_of_elements(reader: &mut Reader<'_>, limit: ChunkLimit) -> Result<List, Error> {
    let (mut list, mut scratch) = (List::with_room_for(b""), Scratch::new());
    for _ in 0..reader.count()? {
        let element = reader.string(&mut scratch)?;
        list.push(End::Back, std::iter::once(element), limit);
    }
    not_empty(list, List::is_empty)
}

/// Elements that were in one ziplist whatever their number.
fn list_of_ziplist(reader: &mut Reader<'_>, limit: ChunkLimit) -> Result<List, Error> {
    let pack = from_ziplist(reader)?;
    let (mut list, mut digits) = (List::with_room_for(b""), itoa::Buffer::new());
    for element in &pack {
        list.push(End::Back, std::iter::once(element.text(&mut digits)), limit);
    }
    not_empty(list, List::is_empty)
}

/// A quicklist, its pieces kept as they are. Empty ones are passed over, as Redis does.
fn list_of_pieces(reader: &mut Reader<'_>, value_type: ValueType, limit: ChunkLimit) -> Result<List, Error> {
    /// An empty listpack in a string.
    const PIECE_LEN_MIN: usize = 8;
    let pieces = reader.count()?;
    let mut list = Quicklist::with_capacity(pieces.min(reader.rest().len() / PIECE_LEN_MIN));
    for _ in 0..pieces {
        if value_type == ValueType::ListQuicklist {
            list.push_pack(from_ziplist(reader)?);
            continue;
        }
        match reader.length()? {
            PACK => list.push_pack(listpack(reader)?),
            LARGE => list.push_alone(reader.string(&mut Scratch::new())?, limit),
            _ => return Err(Error::Malformed("a piece of a list of no known kind")),
        }
    }
    not_empty(list, Quicklist::is_empty).map(|list| List::of_quicklist(list, limit))
}

fn set_of_members(reader: &mut Reader<'_>, limits: &SetLimits) -> Result<Set, Error> {
    let (mut set, mut scratch) = (Set::new(), Scratch::new());
    for _ in 0..reader.count()? {
        if !set.add(Element::Str(reader.string(&mut scratch)?), limits) {
            return Err(TWICE);
        }
    }
    not_empty(set, Set::is_empty)
}

fn set_of_ints(reader: &mut Reader<'_>, limits: &SetLimits) -> Result<Set, Error> {
    let mut scratch = Scratch::new();
    let ints = Intset::from_bytes(reader.string(&mut scratch)?);
    let ints = ints.map_err(|_| Error::Malformed("bytes that are not an intset"))?;
    not_empty(Set::of_ints(ints, limits), Set::is_empty)
}

fn set_of_pack(reader: &mut Reader<'_>, limits: &SetLimits) -> Result<Set, Error> {
    let set = Set::of_pack(listpack(reader)?, limits).ok_or(TWICE)?;
    not_empty(set, Set::is_empty)
}

fn zset_of_members<'a>(
    reader: &mut Reader<'a>,
    read_score: fn(&mut Reader<'a>) -> Result<f64, Error>,
    limits: &ZsetLimits,
) -> Result<Zset, Error> {
    let (mut table, mut scratch) = (ZsetTable::new(limits.seed), Scratch::new());
    for nth in 0..reader.count()? {
        let member = reader.string(&mut scratch)?;
        let score = read_score(reader)?;
        table.set(member, score);
        if table.len() != nth + 1 {
            return Err(TWICE);
        }
    }
    not_empty(Zset::within(table, limits), Zset::is_empty)
}

fn zset_of_pairs(pairs: Listpack, limits: &ZsetLimits) -> Result<Zset, Error> {
    let packed = ZsetPacked::from_pairs(pairs);
    let packed = packed.map_err(|_| Error::Malformed("members and scores out of order"))?;
    not_empty(Zset::of_packed(packed, limits), Zset::is_empty)
}

const FIELD_TWICE: Error = Error::Malformed("a field that is there twice");

fn hash_of_fields(reader: &mut Reader<'_>, limits: &HashLimits) -> Result<Hash, Error> {
    let mut hash = Hash::with_room_for(std::iter::empty(), limits);
    let [mut field_scratch, mut value_scratch] = [Scratch::new(), Scratch::new()];
    for _ in 0..reader.count()? {
        let field = reader.string(&mut field_scratch)?;
        if !hash.set(field, reader.string(&mut value_scratch)?, limits) {
            return Err(FIELD_TWICE);
        }
    }
    not_empty(hash, Hash::is_empty)
}

fn hash_of_pairs(pairs: Listpack, limits: &HashLimits) -> Result<Hash, Error> {
    if !pairs.len().is_multiple_of(2) {
        return Err(Error::Malformed("a field without a value"));
    }
    not_empty(Hash::from_listpack(pairs, limits).ok_or(FIELD_TWICE)?, Hash::is_empty)
}

fn not_empty<C>(collection: C, is_empty: impl FnOnce(&C) -> bool) -> Result<C, Error> {
    if is_empty(&collection) { Err(EMPTY) } else { Ok(collection) }
}
