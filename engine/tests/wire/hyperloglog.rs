//! HyperLogLog: replies, and the bytes of the keys.

use bobbin_proto::Version;

use crate::support::{Pair, bobbin, same_replies};

#[test]
fn replies_and_bytes_are_those_of_redis() {
    same_replies(&[
        "GETDEL h",
        "GETDEL h2",
        "GETDEL h3",
        "PFADD h",
        "GET h",
        "PFADD h",
        "PFADD h a b c",
        "GET h",
        "PFCOUNT h",
        "GET h",
        "PFADD h a",
        "GET h",
        "PFADD h d a",
        "GET h",
        "PFCOUNT h nokey",
        "PFCOUNT nokey",
        "PFCOUNT nokey nokey2",
        "PFADD h2 x y z",
        "PFCOUNT h h2",
        "PFCOUNT h h",
        "PFMERGE h3 h h2",
        "GET h3",
        "PFCOUNT h3",
        "PFMERGE h3",
        "GET h3",
        "PFMERGE h4",
        "GET h4",
        "GETDEL h4",
        "PFMERGE h3 nokey",
        "PFMERGE h h",
        "PFADD n a",
        "PFCOUNT n",
        "PFCOUNT h n",
        "PFMERGE d n",
        "PFMERGE n h",
        "OBJECT encoding h",
        "OBJECT encoding h3",
        "PFMERGE",
        "PFADD",
        "PFCOUNT",
        "SET h x",
        "PFADD h x",
        "EXPIRE h2 100",
        "PFADD h2 new",
        "TTL h2",
        "PFMERGE h2 h3",
        "TTL h2",
    ]);
}

#[test]
fn forged_strings_are_refused_as_in_redis() {
    same_replies(&[
        "PFADD h a b c",
        r#"SET bad "HYLL\x00aaaaaaaaaaaaaaaaaaaa""#,
        "PFADD bad a",
        "PFCOUNT bad",
        r#"SET bad "HYLL\x02aaaaaaaaaaaaaaaaaaaa""#,
        "PFCOUNT bad",
        r#"SET bad "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80""#,
        "PFCOUNT bad",
        "PFCOUNT bad bad",
        "PFCOUNT bad h",
        "PFADD bad a",
        "PFMERGE bad h",
        "PFDEBUG todense bad",
        "PFDEBUG getreg bad",
        "PFDEBUG decode bad",
        "GET bad",
        r#"SET bad "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff\x00""#,
        "PFCOUNT bad",
        "PFMERGE bad h",
        "PFCOUNT bad bad",
        "PFDEBUG todense bad",
        "PFDEBUG decode bad",
        "PFADD bad a",
        "GET bad",
        r#"SET bad "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xfe""#,
        "PFCOUNT bad",
        "PFADD bad a",
        "GET bad",
        r#"SET bad "HYLL\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x7f\xfe""#,
        "PFCOUNT bad",
        r#"SET bad "HYLL\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00""#,
        "PFCOUNT bad",
    ]);
}

#[test]
fn pfdebug_is_that_of_redis() {
    same_replies(&[
        "SET k v",
        "PFADD h a b c d",
        "PFADD h2 x y z",
        "PFADD h3 a z",
        "PFDEBUG getreg nokey",
        "PFDEBUG foo k",
        "PFDEBUG foo nokey",
        "PFDEBUG foo h",
        "PFDEBUG foo",
        "PFDEBUG decode h",
        "PFDEBUG encoding h",
        "PFDEBUG getreg h",
        "PFDEBUG encoding h",
        "PFDEBUG todense h",
        "PFDEBUG decode h",
        "PFDEBUG todense h2",
        "PFDEBUG todense h2",
        "GET h2",
        "PFADD h2 q",
        "PFADD h2 q",
        "PFCOUNT h2",
        "GET h2",
        "PFMERGE h3 h2",
        "GET h3",
        "PFMERGE h5 h2",
        "GET h5",
        "GETDEL h5",
        "PFADD",
    ]);
}

/// The sparse form's splits and merges, its change to the dense form, and every estimate on the way.
#[test]
fn random_elements_leave_the_bytes_they_leave_in_redis() {
    for bytes_max in ["3000", "200", "0"] {
        let mut random = fastrand::Rng::with_seed(0x411);
        let mut pair = Pair::start(&["--hll-sparse-max-bytes", bytes_max], Version::Resp2);
        for round in 0..400 {
            let key = ["a", "b", "c"][random.usize(..3)];
            let elements: Vec<String> =
                (0..random.usize(1..=1 + round / 8)).map(|_| random.u32(..200_000).to_string()).collect();
            let mut words = vec!["PFADD", key];
            words.extend(elements.iter().map(String::as_str));
            pair.same_call(&words);
            pair.same(&format!("GET {key}"));
            pair.same(&format!("PFCOUNT {key}"));
            pair.same(&format!("GET {key}"));
            if round % 16 == 0 {
                pair.same("PFCOUNT a b c");
                pair.same("PFMERGE d a b");
                pair.same("GET d");
                pair.same(&format!("PFMERGE e {key}"));
                pair.same("GET e");
            }
        }
    }
}

#[test]
fn any_bytes_behind_the_header_are_taken_as_redis_takes_them() {
    let mut random = fastrand::Rng::with_seed(0xbad);
    let mut pair = Pair::start(&[], Version::Resp2);
    for _ in 0..400 {
        // The last byte is none that begins a run of two.
        let mut body: Vec<u8> = (0..random.usize(..30)).map(|_| random.u8(..)).collect();
        body.push(random.u8(..) | 0x80);
        let mut forged = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80".to_vec();
        forged.extend_from_slice(&body);
        pair.same_call(&[b"SET".as_slice(), b"h", forged.as_slice()]);
        pair.same("PFCOUNT h");
        pair.same("PFDEBUG DECODE h");
        pair.same("PFCOUNT h h");
        pair.same(&format!("PFADD h {}", random.u32(..)));
        pair.same("GET h");
        pair.same("PFDEBUG TODENSE h");
    }
}

/// Registers that no hash gives: the estimate is what Redis makes of it.
#[test]
fn forged_registers_are_estimated_as_in_redis() {
    let mut pair = Pair::start(&[], Version::Resp2);
    for byte in [0u8, 0xff, 0x55, 0xaa, 0x33] {
        let mut forged = b"HYLL\0\0\0\0\0\0\0\0\0\0\0\x80".to_vec();
        forged.resize(16 + 12_288, byte);
        pair.same_call(&[b"SET".as_slice(), b"h", forged.as_slice()]);
        pair.same("PFCOUNT h");
        pair.same("PFCOUNT h h");
        pair.same("PFADD h a b c");
        pair.same("PFCOUNT h");
    }
}

#[test]
fn the_self_test_answers_ok() {
    let server = bobbin();
    assert_eq!(server.connect().call_raw(&["PFSELFTEST"]), b"+OK\r\n");
}

/// A byte behind the runs that is half a run.
#[test]
fn what_is_left_behind_the_registers_is_corrupt() {
    let mut script = Vec::new();
    for command in ["PFCOUNT h", "PFCOUNT h h", "PFMERGE h", "PFMERGE k h", "PFADD h a", "PFADD h"] {
        for tail in ["w", "@", r"\x00", r"\xff"] {
            script.extend(["DEL h k", "PFADD h"].map(str::to_owned));
            script.extend([format!(r#"APPEND h "{tail}""#), command.to_owned()]);
        }
    }
    same_replies(&script);
}

/// What looks at a string as a HyperLogLog readies it to be modified in place, also if it is not.
#[test]
fn encodings_are_those_of_redis() {
    let mut script = Vec::new();
    let (cached, stale) = (r"\x01\x00\x00\x00\x00\x00\x00\x00", r"\x00\x00\x00\x00\x00\x00\x00\x80");
    for cardinality in [cached, stale] {
        for command in
            ["PFADD h", "PFADD h a", "PFCOUNT h", "PFCOUNT h h", "PFMERGE h", "PFMERGE h h", "PFMERGE k h"]
        {
            script.push(format!(r#"SET h "HYLL\x01\x00\x00\x00{cardinality}\x7f\xff""#));
            script.extend([command, "OBJECT ENCODING h", "OBJECT ENCODING k", "DEL k"].map(str::to_owned));
        }
    }
    same_replies(&script);
}
