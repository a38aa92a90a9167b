//! Values as bytes and back: which form a value takes, and who reads and writes that.
//!
//! A value that is read is kept as one given by commands would be, but for what came packed and is within the
//! limits: that is kept as it came.

use super::{ByteCount, Compression, Error, Reader, Scratch, Sink, ValueType, Writer};
use super::{hash, list, packed, set, stream, zset};
use crate::store::encoding::quicklist::ChunkLimit;
use crate::store::{Entry, HashLimits, Object, Set, SetLimits, Value, Zset, ZsetLimits};

/// What decides how values are kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub list: ChunkLimit,
    pub set: SetLimits,
    pub zset: ZsetLimits,
    pub hash: HashLimits,
}

/// How [`write_value`] writes a value.
pub fn type_of(value: Value<'_>) -> ValueType {
    match value {
        Value::Int(_) | Value::Bytes(_) | Value::Object(Object::String(_)) => ValueType::String,
        Value::Object(Object::List(_)) => ValueType::ListQuicklist2,
        Value::Object(Object::Set(Set::Ints(_))) => ValueType::SetIntset,
        Value::Object(Object::Set(Set::Packed(_) | Set::Table(_))) => ValueType::Set,
        Value::Object(Object::Stream(_)) => ValueType::StreamListpacks2,
        Value::Object(Object::Zset(Zset::Packed(_))) => ValueType::ZsetListpack,
        Value::Object(Object::Zset(Zset::Table(_))) => ValueType::Zset2,
        Value::Object(Object::Hash(hash)) => hash::type_of(hash),
    }
}

/// How [`write_newest`] writes a value: in the newest form there is, with all that is known of it.
pub fn newest_type_of(value: Value<'_>) -> ValueType {
    match type_of(value) {
        ValueType::StreamListpacks2 => ValueType::StreamListpacks3,
        newest => newest,
    }
}

/// Writes a value, without its type.
pub fn write_newest<S: Sink>(writer: &mut Writer<S>, value: Value<'_>) {
    match value {
        Value::Object(Object::Stream(stream)) => stream::write(writer, newest_type_of(value), stream),
        other => write_value(writer, other),
    }
}

/// Writes a value, without its type.
pub fn write_value<S: Sink>(writer: &mut Writer<S>, value: Value<'_>) {
    match value {
        Value::Int(number) => writer.integer(number),
        Value::Bytes(bytes) => writer.string(bytes),
        Value::Object(object) => write_object(writer, object),
    }
}

fn write_object<S: Sink>(writer: &mut Writer<S>, object: &Object) {
    match object {
        Object::String(bytes) => writer.string(bytes),
        Object::List(list) => list::write(writer, list),
        Object::Set(set) => set::write(writer, set),
        Object::Zset(zset) => zset::write(writer, zset),
        Object::Hash(hash) => hash::write(writer, hash),
        Object::Stream(stream) => stream::write(writer, ValueType::StreamListpacks2, stream),
    }
}

/// Bytes that [`write_value`] writes.
pub fn value_len(value: Value<'_>, compression: Compression) -> usize {
    let mut writer = Writer::new(ByteCount::default(), compression);
    write_value(&mut writer, value);
    writer.into_sink().0
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
    use ValueType as Of;
    Ok(match value_type {
        Of::String => Object::string(reader.string(&mut Scratch::new())?),
        Of::List => Object::List(list::read_elements(reader, limits.list)?),
        Of::ListZiplist => Object::List(list::read_ziplist(reader, limits.list)?),
        Of::ListQuicklist => Object::List(list::read_quicklist(reader, list::ziplist_piece, limits.list)?),
        Of::ListQuicklist2 => Object::List(list::read_quicklist(reader, list::piece, limits.list)?),
        Of::Set => Object::Set(set::read_members(reader, &limits.set)?),
        Of::SetIntset => Object::Set(set::read_intset(reader, &limits.set)?),
        Of::SetListpack => Object::Set(set::read_listpack(reader, &limits.set)?),
        Of::Zset => Object::Zset(zset::read_members(reader, Reader::double_text, &limits.zset)?),
        Of::Zset2 => Object::Zset(zset::read_members(reader, Reader::double, &limits.zset)?),
        Of::ZsetZiplist => Object::Zset(zset::of_pairs(packed::from_ziplist(reader)?, &limits.zset)?),
        Of::ZsetListpack => Object::Zset(zset::of_pairs(packed::listpack(reader)?, &limits.zset)?),
        Of::Hash => Object::Hash(hash::read_fields(reader, &limits.hash)?),
        Of::HashZipmap => Object::Hash(hash::of_pairs(packed::from_zipmap(reader)?, &limits.hash)?),
        Of::HashZiplist => Object::Hash(hash::of_pairs(packed::from_ziplist(reader)?, &limits.hash)?),
        Of::HashListpack => Object::Hash(hash::of_pairs(packed::listpack(reader)?, &limits.hash)?),
        Of::HashDeadlines => Object::Hash(hash::read_deadlines(reader, Reader::millis, &limits.hash)?),
        Of::HashDeadlinesAbsolute => Object::Hash(hash::read_deadlines(reader, |_| Ok(1), &limits.hash)?),
        Of::HashListpackEx => {
            // The earliest deadline, which is in the listpack as well.
            reader.millis()?;
            Object::Hash(hash::of_triples(packed::listpack(reader)?, &limits.hash)?)
        }
        Of::HashListpackExBare => Object::Hash(hash::of_triples(packed::listpack(reader)?, &limits.hash)?),
        Of::StreamListpacks | Of::StreamListpacks2 | Of::StreamListpacks3 => {
            stream::read(reader, value_type)?.into()
        }
    })
}
