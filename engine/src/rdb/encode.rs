//! Values as bytes. One pass over a value, and nothing of it is copied but into the sink.

use super::stream::write_stream;
use super::{ByteCount, Compression, Sink, ValueType, Writer};
use crate::store::{Hash, List, Object, Piece, Set, Value, Zset};

/// What stands before a quicklist's element that has no listpack.
pub(super) const LARGE: u64 = 1;
/// And before a listpack.
pub(super) const PACK: u64 = 2;

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
        Value::Object(Object::Hash(Hash::Packed(_))) => ValueType::HashListpack,
        Value::Object(Object::Hash(Hash::Table(_))) => ValueType::Hash,
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

/// Bytes that [`write_value`] writes.
pub fn value_len(value: Value<'_>, compression: Compression) -> usize {
    let mut writer = Writer::new(ByteCount::default(), compression);
    write_value(&mut writer, value);
    writer.into_sink().0
}

fn write_object<S: Sink>(writer: &mut Writer<S>, object: &Object) {
    match object {
        Object::String(bytes) => writer.string(bytes),
        Object::List(list) => write_list(writer, list),
        Object::Set(set) => write_set(writer, set),
        Object::Stream(stream) => write_stream(writer, stream),
        Object::Zset(zset) => write_zset(writer, zset),
        Object::Hash(hash) => write_hash(writer, hash),
    }
}

fn write_list<S: Sink>(writer: &mut Writer<S>, list: &List) {
    writer.length(list.piece_count() as u64);
    for piece in list.pieces() {
        let (container, bytes) = match piece {
            Piece::Pack(pack) => (PACK, pack.as_bytes()),
            Piece::Large(text) => (LARGE, text),
        };
        writer.length(container);
        writer.string(bytes);
    }
}

/// A listpack member by member: as a whole only Redis 7.2 and later read it.
fn write_set<S: Sink>(writer: &mut Writer<S>, set: &Set) {
    if let Set::Ints(ints) = set {
        writer.string(ints.as_bytes());
    } else {
        writer.length(set.len() as u64);
        set.iter().for_each(|member| writer.element(member));
    }
}

/// A table from its last member to its first, as Redis does.
fn write_zset<S: Sink>(writer: &mut Writer<S>, zset: &Zset) {
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

fn write_hash<S: Sink>(writer: &mut Writer<S>, hash: &Hash) {
    if let Some(pairs) = hash.as_listpack() {
        return writer.string(pairs.as_bytes());
    }
    writer.length(hash.len() as u64);
    for (field, value) in hash.iter() {
        writer.element(field);
        writer.element(value);
    }
}
