//! Values in RDB: what Redis's documentation says of each type is read; what is damaged is refused or is a value.

use bobbin_engine::rdb::{Compression, Error};
use bobbin_engine::store::encoding::quicklist::End;
use bobbin_engine::store::{Entry, Object, Stream, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

mod file;

#[path = "../properties/rdb.rs"]
mod property;

use property::{check_value, read, write};

/// A ziplist of "one", 2, "" and "longer than that".
const ZIPLIST: &[u8] = b"\x26\0\0\0\x13\0\0\0\x04\0\x00\x03one\x05\xf3\x02\x00\x02\x10longer than that\xff";
/// One of the members "a" and "b" with the scores 1 and "2.5".
const ZIPLIST_PAIRS: &[u8] = b"\x18\0\0\0\x12\0\0\0\x04\0\x00\x01a\x03\xf2\x02\x01b\x03\x032.5\xff";
/// A listpack of the same pairs.
const LISTPACK_PAIRS: &[u8] = b"\x14\0\0\0\x04\0\x81a\x02\x01\x01\x81b\x02\x832.5\x04\xff";
/// One of "a", "b" and "c" with values, and the deadlines 7 and 9 and none.
const LISTPACK_TRIPLES: &[u8] =
    b"\x1f\0\0\0\x09\0\x81a\x02\x81x\x02\x07\x01\x81b\x02\x81y\x02\x09\x01\x81c\x02\x81z\x02\0\x01\xff";
const LISTPACK_NO_DEADLINES: &[u8] = b"\x0f\0\0\0\x03\0\x81a\x02\x81x\x02\0\x01\xff";
const FIRST_MS: [u8; 8] = 5u64.to_le_bytes();
/// One of "x" and 1000.
const LISTPACK: &[u8] = b"\x0d\0\0\0\x02\0\x81x\x02\xc3\xe8\x02\xff";
/// An intset of -1 and 5.
const INTSET: &[u8] = b"\x02\0\0\0\x02\0\0\0\xff\xff\x05\0";

/// One node of a stream with two entries, and one that is deleted, between them.
const STREAM_NODE: &[u8] = b"\x01\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x37\x37\0\0\0\x16\0\
    \x02\x01\x01\x01\x01\x01\x81a\x02\x00\x01\
    \x02\x01\x00\x01\x00\x01\x01\x01\x04\x01\
    \x03\x01\x00\x01\x01\x01\x81x\x02\x04\x01\
    \x00\x01\x02\x01\xdf\xff\x02\x01\x01\x81b\x02\x02\x01\x06\x01\xff";
/// Entries, last id, first id, highest deleted id, entries added.
const STREAM_STATE: &[u8] = b"\x02\x03\x00\x01\x01\x01\x02\x03";

const STREAM_ID: &[u8] = b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01";
const MILLIS: &[u8] = b"\0\x10\xa5\xd4\xe8\0\0\0";

/// A group of a stream that has read one entry, which is pending.
fn stream_group(entries_read: &[u8], active: &[u8]) -> Vec<u8> {
    let pending = [b"\x01", STREAM_ID, MILLIS, b"\x02"].concat();
    let consumer = [b"\x01c", MILLIS, active, b"\x01", STREAM_ID].concat();
    [b"\x01\x01g\x01\x01", entries_read, &pending, b"\x01", &consumer].concat()
}

/// A type and what is to follow it.
fn value(number: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[number], parts.concat().as_slice()].concat()
}

/// Bytes behind their number, which takes one byte.
fn text(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 0x40);
    [&[bytes.len() as u8], bytes].concat()
}

/// One value of each type and form, and what it holds as text.
fn samples() -> Vec<(Vec<u8>, &'static str)> {
    let compressed: &[u8] = b"\xc3\x0b\x1e\x03abca\xe0\x0f\x02\x01bc";
    vec![
        (value(0, &[b"\x05hello"]), "hello"),
        (value(0, &[b"\xc1\x10\x27"]), "10000"),
        (value(0, &[b"\x40\x05hello"]), "hello"),
        (value(0, &[b"\x80\0\0\0\x05hello"]), "hello"),
        (value(0, &[b"\x81\0\0\0\0\0\0\0\x05hello"]), "hello"),
        (value(0, &[compressed]), "abcabcabcabcabcabcabcabcabcabc"),
        (value(1, &[b"\x03\x01a\xc0\xff\x00"]), "a -1 "),
        (value(10, &[&text(ZIPLIST)]), "one 2  longer than that"),
        (
            value(14, &[b"\x02", &text(ZIPLIST), &text(ZIPLIST)]),
            "one 2  longer than that one 2  longer than that",
        ),
        (
            value(18, &[b"\x03\x02", &text(LISTPACK), b"\x01\x05alone\x02", &text(LISTPACK)]),
            "x 1000 alone x 1000",
        ),
        (value(18, &[b"\x01\x02", &text(LISTPACK)]), "x 1000"),
        (value(3, &[b"\x03\x01a\x031.5\x01b\xff\x01c\xfe"]), "b -inf a 1.5 c inf"),
        (value(5, &[b"\x02\x01b\0\0\0\0\0\0\x04\x40\x01a\0\0\0\0\0\0\xf0\x3f"]), "a 1 b 2.5"),
        (value(12, &[&text(ZIPLIST_PAIRS)]), "a 1 b 2.5"),
        (value(17, &[&text(LISTPACK_PAIRS)]), "a 1 b 2.5"),
        (value(2, &[b"\x03\x01b\xc0\xff\x00"]), "b -1 "),
        (value(2, &[b"\x02\xc0\x05\xc0\xff"]), "-1 5"),
        (value(11, &[&text(INTSET)]), "-1 5"),
        (value(20, &[&text(LISTPACK)]), "x 1000"),
        (value(4, &[b"\x02\x01f\x01v\xc0\x05\x00"]), "f v 5 "),
        (value(9, &[&text(b"\x02\x01a\x01\x001\x01b\x03\x022.5__\xff")]), "a 1 b 2.5"),
        (value(13, &[&text(ZIPLIST_PAIRS)]), "a 1 b 2.5"),
        (value(16, &[&text(LISTPACK_PAIRS)]), "a 1 b 2.5"),
        (value(15, &[STREAM_NODE, b"\x02\x03\x00", b"\x00"]), "1-1 a 1 3-0 b 2"),
        (value(19, &[STREAM_NODE, STREAM_STATE, b"\x00"]), "1-1 a 1 3-0 b 2"),
        (value(21, &[STREAM_NODE, STREAM_STATE, b"\x00"]), "1-1 a 1 3-0 b 2"),
        (
            value(15, &[STREAM_NODE, b"\x02\x03\x00", &stream_group(b"", b"")]),
            "1-1 a 1 3-0 b 2 group g 1-1 Some(1) c 1-1 1000000000000 2",
        ),
        (
            value(19, &[STREAM_NODE, STREAM_STATE, &stream_group(b"\x01", b"")]),
            "1-1 a 1 3-0 b 2 group g 1-1 Some(1) c 1-1 1000000000000 2",
        ),
        (
            value(21, &[STREAM_NODE, STREAM_STATE, &stream_group(b"\x01", MILLIS)]),
            "1-1 a 1 3-0 b 2 group g 1-1 Some(1) c 1-1 1000000000000 2",
        ),
        (value(22, &[b"\x02\x00\x01f\x01v\x40\x63\x01g\x01w"]), "g w @99 f v"),
        (value(23, &[&text(LISTPACK_TRIPLES)]), "a x @7 b y @9 c z"),
        (value(24, &[&FIRST_MS, b"\x03\x00\x01f\x01v\x03\x01g\x01w\x01\x01h\x01x"]), "h x @5 g w @7 f v"),
        (value(25, &[&FIRST_MS, &text(LISTPACK_TRIPLES)]), "a x @7 b y @9 c z"),
        (value(25, &[&[0; 8], &text(LISTPACK_NO_DEADLINES)]), "a x"),
    ]
}

fn contents(entry: &Entry) -> String {
    let mut words: Vec<String> = Vec::new();
    let word = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a text");
    match entry.value() {
        Value::Int(number) => words.push(number.to_string()),
        Value::Bytes(bytes) => words.push(word(bytes.to_vec())),
        Value::Object(Object::List(list)) => {
            words.extend(list.iter(0, End::Front).map(|element| word(element.to_vec())));
        }
        Value::Object(Object::Set(set)) => words.extend(set.iter().map(|member| word(member.to_vec()))),
        Value::Object(Object::Stream(stream)) => stream_contents(stream, &mut words),
        Value::Object(Object::Zset(zset)) => {
            words.extend(zset.iter().flat_map(|(member, score)| [word(member.to_vec()), score.to_string()]));
        }
        Value::Object(Object::Hash(hash)) => {
            for (field, value, at_ms) in hash.iter() {
                words.extend([word(field.to_vec()), word(value.to_vec())]);
                words.extend(at_ms.map(|at_ms| format!("@{at_ms}")));
            }
        }
        Value::Object(Object::String(_)) => unreachable!("a string is bytes"),
    }
    words.join(" ")
}

fn stream_contents(stream: &Stream, words: &mut Vec<String>) {
    let word = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a text");
    for entry in stream.log.entries() {
        words.push(word(&entry.id.text()));
        let fields = entry.fields.flat_map(|(name, value)| [name, value]);
        words.extend(fields.map(|text| word(&text.to_vec())));
    }
    for (name, group) in stream.groups() {
        let read = format!("{:?}", group.entries_read);
        words.extend(["group".to_owned(), word(name), word(&group.last_id.text()), read]);
        for (id, pending) in group.pending() {
            words.extend([word(group.owner(pending).name()), word(&id.text())]);
            words.extend([pending.delivered_ms, pending.deliveries].map(|number| number.to_string()));
        }
    }
}

#[test]
fn every_type_is_read() {
    for (bytes, expected) in samples() {
        let entry = read(&bytes).unwrap_or_else(|error| panic!("{error}: {}", bytes.escape_ascii()));
        assert_eq!(contents(&entry), expected, "{}", bytes.escape_ascii());
        assert!(check_value(&bytes));
    }
}

/// Of types that redis-server 7.0 does not know, with the footers they came in.
#[test]
fn payloads_of_redis_7_4_are_read() {
    let payloads: [(&[u8], &str); 5] = [
        (b"\x14\x10\x10\0\0\0\x03\0\x81a\x02\x07\x01\x82bc\x03\xff\x0c\0\x1ehgc\xca8:\x82", "a 7 bc"),
        // The first of three entries is deleted.
        (
            b"\x15\x01\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x0177\0\0\0\x16\0\x02\x01\x01\x01\x01\x01\x81f\x02\0\x01\
            \x03\x01\0\x01\0\x01\x81v\x02\x04\x01\x02\x01\x01\x01\0\x01\x81w\x02\x04\x01\0\x01\x01\x01\x02\x01\x01\x01\x81g\
            \x02\x07\x01\x06\x01\xff\x02\x02\x03\x02\x01\x01\x01\x03\0\x0c\0\xfbln/K\xa2\x0a\xa2",
            "2-1 f w 2-3 g 7",
        ),
        // A group in which alice has the first of two entries, and bob none.
        (
            b"\x15\x01\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01((\0\0\0\x0f\0\x02\x01\0\x01\x01\x01\x81f\x02\0\x01\x02\x01\
            \0\x01\0\x01\x81v\x02\x04\x01\x02\x01\x01\x01\0\x01\x81w\x02\x04\x01\xff\x02\x02\x01\x01\x01\0\0\x02\x01\x01g\
            \x01\x01\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x15\x1d\xa7\xfc\xa1\x01\0\0\x01\x02\x05alice\x15\x1d\
            \xa7\xfc\xa1\x01\0\0\x15\x1d\xa7\xfc\xa1\x01\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x03bob\x17\x1d\
            \xa7\xfc\xa1\x01\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\x0c\0\xd3\x83/Ep\xf2\x81\xa6",
            "1-1 f v 2-1 f w group g 1-1 Some(1) alice 1-1 1795240172821 1",
        ),
        // Fields that expire, packed and not.
        (
            b"\x19\0X\x1d\x0a\x8c\x03\0\0//\0\0\0\x09\0\x81c\x02\x03\x01\xf4\0X\x1d\x0a\x8c\x03\0\0\x09\x81b\x02\x83two\x04\xf4\
            \0@\x94R\xa3\x03\0\0\x09\x81a\x02\x01\x01\0\x01\xff\x0c\0JK&.\xa0\x0b\xcf\x7f",
            "c 3 @3900000000000 b two @4000000000000 a 1",
        ),
        (
            b"\x18\0X\x1d\x0a\x8c\x03\0\0\x03\x01\x01c\xc0\x03\x81\0\0\0\x17Hv\xe8\x01\x01b\x03two\0\x01a\xc0\x01\x0c\0`\xa4\xb2\
            bc\xc1\x05\xa8",
            "c 3 @3900000000000 b two @4000000000000 a 1",
        ),
    ];
    for (payload, expected) in payloads {
        assert_eq!(contents(&property::restore(payload).expect("a payload")), expected);
    }
}

#[test]
fn what_is_cut_short_is_refused() {
    for (bytes, _) in samples() {
        for len in 0..bytes.len() {
            assert!(!check_value(&bytes[..len]), "{}", bytes[..len].escape_ascii());
        }
    }
}

/// Every byte in turn becomes every other.
#[test]
fn a_damaged_byte_is_refused_or_makes_another_value() {
    for (bytes, _) in samples() {
        for at in 0..bytes.len() {
            for byte in 0..=u8::MAX {
                let mut damaged = bytes.clone();
                damaged[at] = byte;
                check_value(&damaged);
            }
        }
    }
}

#[test]
fn what_is_there_twice_or_empty_or_out_of_order_is_refused() {
    let twice = |number: u8, score: &[u8]| value(number, &[b"\x02\x01a", score, b"\x01a", score]);
    let listpacks: [&[u8]; 5] = [
        // No pair, half a pair, the same member at two scores, as text and as number, and pairs in the wrong order.
        b"\x07\0\0\0\0\0\xff",
        b"\x0a\0\0\0\x01\0\x81a\x02\xff",
        b"\x11\0\0\0\x04\0\x81a\x02\x01\x01\x81a\x02\x02\x01\xff",
        b"\x10\0\0\0\x04\0\x07\x01\x01\x01\x817\x02\x02\x01\xff",
        b"\x11\0\0\0\x04\0\x81a\x02\x02\x01\x81b\x02\x01\x01\xff",
    ];
    let refused = [
        vec![value(1, &[b"\0"]), value(18, &[b"\0"]), value(18, &[b"\x01\x02\x07\x07\0\0\0\0\0\xff"])],
        vec![value(3, &[b"\0"]), value(5, &[b"\0"]), twice(3, b"\x011"), twice(5, &[0; 8])],
        vec![value(3, &[b"\x01\x01a\xfd"]), value(5, &[b"\x01\x01a", &f64::NAN.to_le_bytes()])],
        listpacks.iter().map(|pack| value(17, &[&text(pack)])).collect(),
        // For a hash all but the order is wrong as well.
        listpacks[..4].iter().map(|pack| value(16, &[&text(pack)])).collect(),
        // Twice, as text and as number; nothing; out of order.
        vec![value(2, &[b"\0"]), value(2, &[b"\x03\x01a\x01b\x01a"]), value(2, &[b"\x02\xc0\x05\x015"])],
        vec![
            value(20, &[&text(listpacks[0])]),
            value(20, &[&text(b"\x0c\0\0\0\x02\0\x07\x01\x817\x02\xff")]),
        ],
        vec![value(11, &[&text(&INTSET[..8])]), value(11, &[&text(b"\x02\0\0\0\x02\0\0\0\x05\0\xff\xff")])],
        vec![value(4, &[b"\0"]), twice(4, b"\x01v")],
        vec![value(9, &[b"\x02\0\xff"]), value(9, &[&text(b"\x02\x01a\x01\x001\x01a\x01\x002\xff")])],
        vec![value(18, &[b"\x01\x03", &text(LISTPACK)]), value(10, &[b"\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff"])],
    ];
    for bytes in refused.concat() {
        assert!(matches!(read(&bytes), Err(Error::Malformed(_))), "{}", bytes.escape_ascii());
    }
}

/// A few bytes that claim thousands of millions of elements.
#[test]
fn claims_are_not_believed() {
    for number in [1, 2, 3, 5, 14, 18] {
        for claim in [&b"\x80\xff\xff\xff\xff"[..], b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert!(read(&value(number, &[claim, b"\x01a\x01a"])).is_err());
        }
    }
}

/// Always the same inputs: looking for new ones is the fuzz target's work (`fuzz/fuzz_targets/rdb.rs`).
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 10_000,
        rng_seed: RngSeed::Fixed(0x0b0b_b117),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_damage_is_refused_or_makes_another_value(
        sample in prop::sample::select(samples()),
        damage in vec((any::<usize>(), any::<u8>()), 1..5),
        cut in any::<usize>(),
    ) {
        let mut bytes = sample.0;
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        check_value(&bytes);
        check_value(&bytes[..cut % bytes.len()]);
    }

    #[test]
    fn any_bytes_are_refused_or_a_value(number in 0..25u8, bytes in vec(any::<u8>(), 0..60)) {
        check_value(&value(number, &[&bytes]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..config() })]

    #[test]
    fn compression_does_not_change_a_value(elements in vec(vec(b'a'..b'c', 0..60), 1..40)) {
        let parts: Vec<Vec<u8>> = elements.iter().map(|element| text(element)).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let bytes = value(1, &[&[elements.len() as u8], parts.concat().as_slice()]);
        let entry = read(&bytes).expect("a list");
        let packed = write(&entry, Compression::On);
        prop_assert_eq!(contents(&read(&packed).expect("a list")), contents(&entry));
        prop_assert!(check_value(&packed));
    }
}
