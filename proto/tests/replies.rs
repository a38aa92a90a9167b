//! Replies come back from the decoder as they went into the encoder; the decoder takes any bytes.

use bobbin_proto::decode::{DEPTH_MAX, decode, skip};
use bobbin_proto::{DecodeError, Reply, Value, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[path = "properties/replies.rs"]
mod property;

/// Always the same inputs: looking for new ones is the fuzz target's work (`fuzz_targets/replies.rs`).
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
    fn resp3_tells_every_reply_apart(value in value()) {
        let bytes = encode(&value, Version::Resp3);
        prop_assert_eq!(decode(&bytes), Ok(Some((value, bytes.len()))));
        property::check_replies(&bytes);
    }

    #[test]
    fn resp2_says_the_same_in_fewer_types(value in value()) {
        let bytes = encode(&value, Version::Resp2);
        prop_assert_eq!(decode(&bytes), Ok(Some((in_resp2(value), bytes.len()))));
        property::check_replies(&bytes);
    }

    #[test]
    fn damaged_replies_are_measured_as_they_are_built(
        value in value(),
        index in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"0123456789-+:$*_#,(!=%~>|\r\n".to_vec())],
    ) {
        let mut bytes = encode(&value, Version::Resp3);
        let index = index.index(bytes.len());
        bytes[index] = byte;
        property::check_replies(&bytes);
    }

    #[test]
    fn any_bytes_are_measured_as_they_are_built(
        bytes in "([-+:$*_#,(!=%~>|][-0-9a-z:]{0,3}(\r\n)?){0,6}"
    ) {
        property::check_replies(bytes.as_bytes());
    }
}

#[test]
fn what_is_no_reply_is_refused() {
    let long_line = [b"+".as_slice(), &vec![b'x'; 2 << 20]].concat();
    let rows: &[(&[u8], DecodeError)] = &[
        (b"?", DecodeError::UnknownType(b'?')),
        (b"*1\r\nx", DecodeError::UnknownType(b'x')),
        (b":\r\n", DecodeError::InvalidNumber),
        (b":-\r\n", DecodeError::InvalidNumber),
        (b":1x\r\n", DecodeError::InvalidNumber),
        (b":9223372036854775808\r\n", DecodeError::InvalidNumber),
        (b",1.x\r\n", DecodeError::InvalidNumber),
        (b"(12a\r\n", DecodeError::InvalidNumber),
        (b"(-\r\n", DecodeError::InvalidNumber),
        (b"$?\r\n", DecodeError::InvalidNumber),
        (b"$-2\r\n", DecodeError::LengthOutOfRange),
        (b"*-2\r\n", DecodeError::LengthOutOfRange),
        (b"%-1\r\n", DecodeError::LengthOutOfRange),
        (b"%9223372036854775807\r\n", DecodeError::LengthOutOfRange),
        (b"$9223372036854775807\r\n", DecodeError::LengthOutOfRange),
        (b"$1\r\nabc", DecodeError::MissingTerminator),
        (b"+OK\rx", DecodeError::MissingTerminator),
        (b"#x\r\n", DecodeError::Malformed),
        (b"_x\r\n", DecodeError::Malformed),
        (b"=3\r\ntxt\r\n", DecodeError::Malformed),
        (&long_line, DecodeError::LineTooLong(1 << 20)),
    ];
    for (bytes, error) in rows {
        let shown = bytes[..bytes.len().min(40)].escape_ascii();
        assert_eq!(decode(bytes), Err(*error), "{shown}");
        assert_eq!(skip(bytes), Err(*error), "{shown}");
    }
}

#[test]
fn replies_nest_only_so_deep() {
    let nested = |depth: usize| b"*1\r\n".repeat(depth);
    let deepest = [nested(DEPTH_MAX).as_slice(), b":1\r\n"].concat();
    assert_eq!(skip(&deepest), Ok(Some(deepest.len())));
    assert!(matches!(decode(&deepest), Ok(Some(_))));
    let deeper = nested(DEPTH_MAX + 1);
    assert_eq!(skip(&deeper), Err(DecodeError::TooDeep(DEPTH_MAX)));
    assert_eq!(decode(&deeper), Err(DecodeError::TooDeep(DEPTH_MAX)));
}

#[test]
fn a_huge_announcement_reserves_nothing() {
    assert_eq!(decode(b"*1000000000000000\r\n:1\r\n"), Ok(None));
    assert_eq!(decode(b"$1000000000000000\r\nabc"), Ok(None));
}

fn encode(value: &Value, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut Reply::new(&mut out, version));
    out
}

fn write(value: &Value, reply: &mut Reply) {
    match value {
        Value::Simple(text) => reply.simple(text),
        Value::Error(text) => reply.error(text),
        Value::Int(value) => reply.int(*value),
        Value::Bulk(bytes) => reply.bulk(bytes),
        Value::NullBulk => reply.raw(b"$-1\r\n"),
        Value::NullArray => reply.raw(b"*-1\r\n"),
        Value::Null => reply.null(),
        Value::Bool(value) => reply.bool(*value),
        Value::Double(value) => reply.double(*value),
        Value::BigNumber(digits) => reply.big_number(std::str::from_utf8(digits).expect("digits")),
        Value::BulkError(_) => unreachable!("no reply of ours"),
        Value::Verbatim { format, text } => reply.verbatim(*format, text),
        Value::Array(items) => {
            reply.array(items.len());
            write_all(items, reply);
        }
        Value::Set(items) => {
            reply.set(items.len());
            write_all(items, reply);
        }
        Value::Push(items) => {
            reply.push(items.len());
            write_all(items, reply);
        }
        Value::Map(pairs) => {
            reply.map(pairs.len());
            write_pairs(pairs, reply);
        }
        Value::Attribute { pairs, of } => {
            if reply.attribute(pairs.len()) {
                write_pairs(pairs, reply);
            }
            write(of, reply);
        }
    }
}

fn write_all(items: &[Value], reply: &mut Reply) {
    for item in items {
        write(item, reply);
    }
}

fn write_pairs(pairs: &[(Value, Value)], reply: &mut Reply) {
    for (key, value) in pairs {
        write(key, reply);
        write(value, reply);
    }
}

/// What of `value` a client that speaks RESP2 is told.
fn in_resp2(value: Value) -> Value {
    let all = |items: Vec<Value>| Value::Array(items.into_iter().map(in_resp2).collect());
    match value {
        Value::Null => Value::NullBulk,
        Value::Bool(value) => Value::Int(value.into()),
        Value::Double(value) => {
            let mut text = Vec::new();
            bobbin_proto::format_double(value, &mut text);
            Value::Bulk(text)
        }
        Value::BigNumber(text) | Value::Verbatim { text, .. } => Value::Bulk(text),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => all(items),
        Value::Map(pairs) => all(pairs.into_iter().flat_map(|(k, v)| [k, v]).collect()),
        Value::Attribute { of, .. } => in_resp2(*of),
        other => other,
    }
}

fn value() -> impl Strategy<Value = Value> {
    let text = || "[ -~]{0,20}".prop_map(String::into_bytes);
    let leaf = prop_oneof![
        text().prop_map(Value::Simple),
        text().prop_map(Value::Error),
        any::<i64>().prop_map(Value::Int),
        vec(any::<u8>(), 0..40).prop_map(Value::Bulk),
        Just(Value::NullBulk),
        Just(Value::NullArray),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>().prop_filter("equal to itself", |value| !value.is_nan()).prop_map(Value::Double),
        "-?[0-9]{1,40}".prop_map(|digits| Value::BigNumber(digits.into_bytes())),
        (any::<[u8; 3]>(), vec(any::<u8>(), 0..40))
            .prop_map(|(format, text)| Value::Verbatim { format, text }),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let items = vec(inner.clone(), 0..5);
        let pairs = vec((inner.clone(), inner.clone()), 0..4);
        prop_oneof![
            items.clone().prop_map(Value::Array),
            items.clone().prop_map(Value::Set),
            items.prop_map(Value::Push),
            pairs.clone().prop_map(Value::Map),
            (pairs, inner).prop_map(|(pairs, of)| Value::Attribute { pairs, of: of.into() }),
        ]
    })
}
