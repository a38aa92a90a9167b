//! What holds for any bytes that are read as a value: they are refused, or they are a value that is whole, that can
//! be written, and that comes back when it is.

use bobbin_engine::rdb::{
    Checksum, Compression, Error, Limits, Reader, ValueType, Writer, open, read_entry, seal, type_of,
    write_value,
};
use bobbin_engine::store::encoding::listpack::Element;
use bobbin_engine::store::encoding::quicklist::{ChunkLimit, End};
use bobbin_engine::store::encoding::stream::{NewId, NodeLimits, Order, StreamId};
use bobbin_engine::store::{
    Entry, Hash, HashLimits, List, Object, Set, SetLimits, Stream, Value, Zset, ZsetLimits,
};

const KEY: &[u8] = b"key";
pub(crate) const STRING_LEN_MAX: usize = 1 << 20;

/// Small, so that every encoding is reached.
pub(crate) fn limits() -> Limits {
    Limits {
        list: ChunkLimit::from_directive(4),
        set: SetLimits { ints_len_max: 6, packed_len_max: 4, packed_member_len_max: 20, seed: 1 },
        zset: ZsetLimits { packed_len_max: 4, packed_member_len_max: 20, seed: 1 },
        hash: HashLimits { packed_len_max: 4, packed_text_len_max: 20, seed: 1 },
    }
}

/// Reads a type and a value. A type that is not known is refused too.
pub(crate) fn read(input: &[u8]) -> Result<Entry, Error> {
    let unknown = Error::Malformed("an unknown type");
    let (&number, value) = input.split_first().ok_or(Error::Truncated)?;
    let value_type = ValueType::from_number(number).ok_or(unknown)?;
    read_entry(&mut Reader::new(value, STRING_LEN_MAX), value_type, KEY, None, &limits())
}

/// Reads a payload, checksum and all.
#[allow(dead_code, reason = "the fuzz target has bytes without a footer")]
pub(crate) fn restore(payload: &[u8]) -> Option<Entry> {
    let (value_type, mut value) = open(payload, Checksum::Checked, STRING_LEN_MAX).ok()?;
    read_entry(&mut value, value_type, KEY, None, &limits()).ok()
}

/// The type and the value.
pub(crate) fn write(entry: &Entry, compression: Compression) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), compression);
    writer.byte(type_of(entry.value()).number());
    write_value(&mut writer, entry.value());
    writer.into_sink()
}

/// The property. Says whether the bytes were a value.
pub(crate) fn check_value(input: &[u8]) -> bool {
    check_payload(input);
    check_extent(input);
    let Ok(entry) = read(input) else { return false };
    check_entry(&entry);
    for compression in [Compression::Off, Compression::On] {
        let written = write(&entry, compression);
        let again = read(&written).expect("what is written can be read");
        check_entry(&again);
        // Written member by member, a packed set of integers is an intset when it is read.
        if (entry.encoding(), again.encoding()) != ("listpack", "intset") {
            assert_eq!(write(&again, Compression::Off), write(&entry, Compression::Off));
        }
    }
    true
}

/// Where a value ends is known without reading it.
fn check_extent(input: &[u8]) {
    let Some((&number, bytes)) = input.split_first() else { return };
    let Some(value_type) = ValueType::from_number(number) else { return };
    let (mut skimmed, mut read) = (Reader::new(bytes, STRING_LEN_MAX), Reader::new(bytes, STRING_LEN_MAX));
    let extent = skimmed.value(value_type).map(<[u8]>::len);
    if read_entry(&mut read, value_type, KEY, None, &limits()).is_ok() {
        assert_eq!(extent, Ok(bytes.len() - read.rest().len()));
    }
}

/// A payload is opened only if it is intact.
fn check_payload(input: &[u8]) {
    let _ = open(input, Checksum::Ignored, STRING_LEN_MAX);
    let mut payload = input.to_vec();
    let known = input.first().and_then(|&number| ValueType::from_number(number));
    seal(&mut payload, known.unwrap_or(ValueType::String));
    assert_eq!(open(&payload, Checksum::Checked, STRING_LEN_MAX).is_ok(), known.is_some());
    payload[0] ^= 1;
    assert!(open(&payload, Checksum::Checked, STRING_LEN_MAX).is_err());
}

pub(crate) fn check_entry(entry: &Entry) {
    match entry.value() {
        Value::Object(Object::List(list)) => check_list(list),
        Value::Object(Object::Set(set)) => check_set(set),
        Value::Object(Object::Stream(stream)) => check_stream(stream),
        Value::Object(Object::Zset(zset)) => check_zset(zset),
        Value::Object(Object::Hash(hash)) => check_hash(hash),
        Value::Object(Object::String(_)) | Value::Int(_) | Value::Bytes(_) => {}
    }
}

fn check_list(list: &List) {
    assert!(!list.is_empty());
    let forwards: Vec<_> = list.iter(0, End::Front).collect();
    let mut backwards: Vec<_> = list.iter(list.len() - 1, End::Back).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_eq!(forwards.len(), list.len());
    let mut copy = list.clone();
    let limit = limits().list;
    copy.push(End::Back, std::iter::once(&b"pushed"[..]), limit);
    copy.replace(0, b"replaced", limit);
    copy.insert(list.len() / 2, b"inserted", limit);
    assert_eq!(copy.remove_matching(b"inserted", 1, End::Back, limit), 1);
    assert_eq!(copy.len(), list.len() + 1);
    while !copy.is_empty() {
        copy.remove_end(End::Front, limit);
    }
}

fn check_set(set: &Set) {
    assert!(!set.is_empty());
    let members: Vec<Vec<u8>> = set.iter().map(Element::to_vec).collect();
    assert_eq!(members.len(), set.len());
    let mut copy = set.clone();
    for (place, member) in members.iter().enumerate() {
        assert_eq!(set.place_of(Element::Str(member)), Some(place));
        assert!(!copy.add(Element::Str(member), &limits().set));
    }
    assert!(copy.add(Element::Str(b"another"), &limits().set));
    for member in &members {
        assert!(copy.remove(Element::Str(member)));
    }
    assert_eq!(copy.len(), 1);
}

fn check_stream(stream: &Stream) {
    for (_, group) in stream.groups() {
        let owned: usize = group.consumers().map(|consumer| consumer.pending().len()).sum();
        assert_eq!(owned, group.pending().len());
        group.lag(&stream.log);
    }
    let log = &stream.log;
    let ids = |order| log.range(StreamId::MIN, StreamId::MAX, order).map(|entry| entry.id);
    let forwards: Vec<_> = ids(Order::Ascending).collect();
    let mut backwards: Vec<_> = ids(Order::Descending).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_eq!(forwards.len() as u64, log.len());
    assert!(forwards.is_sorted_by(|a, b| a < b));
    assert_eq!(log.first_id(), forwards.first().copied().unwrap_or_default());
    let mut copy = log.clone();
    if let Ok(id) = copy.resolve(NewId::Auto, 1) {
        copy.append(id, [&b"name"[..], b"value"].into_iter(), NodeLimits { bytes_max: 0, entries_max: 0 });
        assert_eq!(copy.delete(&[id]), 1);
    }
    assert_eq!(copy.delete(&forwards), forwards.len());
    assert!(copy.is_empty());
}

fn check_zset(zset: &Zset) {
    assert!(!zset.is_empty());
    let members: Vec<(Vec<u8>, f64)> = zset.iter().map(|(member, score)| (member.to_vec(), score)).collect();
    assert_eq!(members.len(), zset.len());
    for pair in members.windows(2) {
        assert!((pair[0].1, &pair[0].0) < (pair[1].1, &pair[1].0), "in order");
    }
    let mut copy = zset.clone();
    for (rank, (member, score)) in members.iter().enumerate() {
        assert_eq!(zset.rank(member), Some((rank, *score)));
        copy.set(member, score + 1.0, &limits().zset);
    }
    for (member, _) in &members {
        assert!(copy.remove(member).is_some());
    }
    assert!(copy.is_empty());
}

fn check_hash(hash: &Hash) {
    assert!(!hash.is_empty());
    let fields: Vec<_> =
        hash.iter().map(|(field, value, at_ms)| (field.to_vec(), (value.to_vec(), at_ms))).collect();
    assert_eq!(fields.len(), hash.len());
    assert_eq!(hash.next_deadline(), fields.iter().filter_map(|field| field.1.1).min());
    let mut copy = hash.clone();
    for (field, known) in &fields {
        assert_eq!(hash.get(field).map(|(value, at_ms)| (value.to_vec(), at_ms)).as_ref(), Some(known));
        assert!(!copy.set(field, b"another", &limits().hash));
        copy.set_deadline(field, known.1.map_or(Some(1), |_| None));
    }
    for (field, _) in &fields {
        assert!(copy.remove(field));
    }
    assert!(copy.is_empty());
}
