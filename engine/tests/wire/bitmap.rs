//! Bitmaps and BITFIELD.

use bobbin_proto::Version;

use crate::support::{Pair, same_replies};

#[test]
fn bits_are_those_of_redis() {
    same_replies(&[
        "SETBIT bm a 1",
        "SETBIT bm -1 1",
        "SETBIT bm 4294967296 1",
        "SETBIT bm 0 2",
        "SETBIT bm 0 a",
        "SETBIT bm 0 01",
        "SETBIT bm 7 1",
        "SETBIT bm 7 0",
        "SETBIT bm 7 1",
        "SETBIT bm 1000 1",
        "GET bm",
        "GETBIT bm 7",
        "GETBIT bm 1000",
        "GETBIT bm 1001",
        "GETBIT bm 100000",
        "GETBIT nobm 0",
        "GETBIT bm -1",
        "GETBIT bm 4294967296",
        "GETBIT bm 4294967295",
        "GETBIT bm a",
        "SET n 123",
        "GETBIT n 3",
        "SETBIT n 3 0",
        "GET n",
        "BITCOUNT bm",
        "BITCOUNT bm 0",
        "BITCOUNT nok 0",
        "BITCOUNT nok a b",
        "BITCOUNT bm a b",
        "BITCOUNT bm 0 b",
        "BITCOUNT bm 0 1 foo",
        "BITCOUNT bm -1 -2 foo",
        "BITCOUNT bm 0 1 bit 1",
        "BITCOUNT bm 0 1 bit",
        "BITCOUNT bm 0 -1 bit",
        "BITCOUNT bm 5 30 bit",
        "BITCOUNT bm -9 -1 BYTE",
        "BITCOUNT bm -1 -9",
        "BITCOUNT bm 7 1000 bit",
        "BITCOUNT bm 9223372036854775807 -9223372036854775808",
        "BITCOUNT bm -9223372036854775808 9223372036854775807 bit",
        "BITCOUNT nok 0 1 foo",
        "BITPOS bm 2",
        "BITPOS bm a",
        "BITPOS nok 2",
        "BITPOS nok 1 a",
        "BITPOS nok 0",
        "BITPOS nok 1",
        "BITPOS bm 1",
        "BITPOS bm 0",
        "BITPOS bm 1 1",
        "BITPOS bm 1 a",
        "BITPOS bm 1 0 a",
        "BITPOS bm 1 a foo",
        "BITPOS bm 1 a 1 foo",
        "BITPOS bm 1 0 1 foo",
        "BITPOS bm 1 0 a foo",
        "BITPOS bm 1 0 1 bit 7",
        "BITPOS bm 1 8 -1 bit",
        "BITPOS bm 1 8 -1 byte",
        "BITPOS bm 0 7 7 bit",
        "BITPOS bm 1 7 7 bit",
        "BITPOS bm 0 -1 -5",
        r#"SET ff "\xff\xff\xff""#,
        "BITPOS ff 0",
        "BITPOS ff 0 0",
        "BITPOS ff 0 3",
        "BITPOS ff 0 2",
        "BITPOS ff 0 0 -1",
        "BITPOS ff 0 1 1",
        "BITPOS ff 0 0 -1 bit",
        "BITPOS ff 1 5 -1 bit",
        r#"SET em """#,
        "BITPOS em 0",
        "BITPOS em 1",
        "BITPOS em 0 0",
        "BITCOUNT em",
        "BITCOUNT em 0 -1",
        "SET n 1 ex 100",
        "SETBIT n 1 1",
        "TTL n",
        "OBJECT encoding n",
        "DEL n",
        "SETBIT n 9 0",
        "OBJECT encoding n",
        "STRLEN n",
        "SETBIT n 0",
        "GETBIT n",
        "BITCOUNT",
        "BITPOS n",
    ]);
}

#[test]
fn bitop_is_that_of_redis() {
    same_replies(&[
        r#"SET k "Hello""#,
        "BITOP foo k a",
        "BITOP not k a b",
        "BITOP and",
        r#"SET x1 "\x0f\xf0abc""#,
        r#"SET x2 "\xff\x00zz""#,
        "BITOP and dd x1 x2",
        "GET dd",
        "BITOP or dd x1 x2",
        "GET dd",
        "BITOP xor dd x1 x2 x1",
        "GET dd",
        "BITOP not dd x1",
        "GET dd",
        "BITOP and dd x1 nokey",
        "GET dd",
        "BITOP and dd nokey x1",
        "GET dd",
        "BITOP or dd nokey x1 nokey",
        "GET dd",
        "BITOP and dd nokey nokey2",
        "GET dd",
        "BITOP and dd dd dd",
        "BITOP not x1 x1",
        "GET x1",
        "BITOP or x1 x1 x2",
        "GET x1",
        "BITOP xor dd x1",
        "GET dd",
        "SET n 123",
        "BITOP not dd n",
        "GET dd",
        "BITOP AND dd n n",
        "GET dd",
        "SET dd x ex 100",
        "BITOP not dd x1",
        "TTL dd",
        "OBJECT encoding dd",
        "SET dd x",
        "BITOP and dd nokey",
        "EXISTS dd",
    ]);
}

#[test]
fn bitfield_is_that_of_redis() {
    same_replies(&[
        "BITFIELD bf get i65 0",
        "BITFIELD bf get u64 0",
        "BITFIELD bf get I8 0",
        "BITFIELD bf get i8 a",
        "BITFIELD bf get i0 0",
        "BITFIELD bf get i 0",
        r#"BITFIELD bf get "" 0"#,
        "BITFIELD bf get i08 0",
        r#"BITFIELD bf get i8 """#,
        "BITFIELD bf get i8 #",
        "BITFIELD bf get i8 #-1",
        "BITFIELD bf get i8 -1",
        "BITFIELD bf get i8 4294967296",
        "BITFIELD bf get i8 4294967295",
        "BITFIELD bf get i8 #536870911",
        "BITFIELD bf get i8 #536870912",
        "BITFIELD bf foo",
        "BITFIELD bf get i8",
        "BITFIELD bf get",
        "BITFIELD bf set i8 0",
        "BITFIELD bf set i8 0 a",
        "BITFIELD bf set i8 a a",
        "BITFIELD bf set a a a",
        "BITFIELD bf overflow foo",
        "BITFIELD bf overflow",
        "BITFIELD bf overflow sat",
        "BITFIELD bf overflow sat overflow fail",
        "GET bf",
        "BITFIELD bf get u8 0 set u8 0 a",
        "BITFIELD_RO bf set u8 0 0",
        "BITFIELD_RO bf set u8 0 a",
        "BITFIELD_RO bf overflow sat get u8 0",
        "BITFIELD_RO bf get u8 0 incrby u8 0 1",
        "BITFIELD_RO bf overflow foo",
        "BITFIELD bf set u8 0 1 get u8 0 get u9 #3 overflow fail incrby u2 0 100",
        "BITFIELD bf",
        "BITFIELD_RO bf",
        "GET bf",
        "BITFIELD bf overflow sat incrby u2 100 3 overflow wrap incrby u2 102 3 incrby u2 102 3 overflow fail incrby u2 100 1",
        "BITFIELD bf set i64 200 -1 get i64 200 incrby i64 200 -9223372036854775808 overflow sat incrby i64 200 -9223372036854775808",
        "BITFIELD bf set u63 300 -1 get u63 300 overflow sat set u63 300 -1 incrby u63 300 -9223372036854775808 overflow fail set u4 0 16 set i4 0 8 set i4 0 -8 set i4 0 -9",
        "BITFIELD bf overflow wrap set i4 0 8 set i4 0 -9 overflow sat set i4 0 8 get i4 0 set i4 0 -9 get i4 0 set u4 0 -1 get u4 0",
        "GET bf",
        "BITFIELD n2 overflow fail incrby u1 1000 2",
        "STRLEN n2",
        "BITFIELD n get u8 0 set u8 #1 50",
        "GET n",
        "BITFIELD",
        "DEL n",
        "SET n 12 ex 100",
        "BITFIELD n set u8 0 50",
        "TTL n",
        "OBJECT encoding n",
        "BITFIELD n get u8 0",
    ]);
}

#[test]
fn random_bits_are_counted_found_and_combined_as_in_redis() {
    let mut random = fastrand::Rng::with_seed(0xb17);
    let mut pair = Pair::start(&[], Version::Resp2);
    for _ in 0..300 {
        for key in ["a", "b", "c"] {
            let fill = [0, 0xff][random.usize(..2)];
            let mut bytes = vec![fill; random.usize(..40)];
            if let Some(byte) = random.choice(bytes.iter_mut()) {
                *byte = random.u8(..);
            }
            pair.same_call(&[b"SET", key.as_bytes(), &bytes]);
        }
        let (start, end) = (random.i32(-350..350), random.i32(-350..350));
        let unit = ["BIT", "BYTE"][random.usize(..2)];
        let bit = random.u8(..2);
        pair.same(&format!("BITCOUNT a {start} {end} {unit}"));
        pair.same(&format!("BITPOS a {bit} {start} {end} {unit}"));
        pair.same(&format!("BITPOS a {bit} {start}"));
        pair.same(&format!("BITPOS a {bit}"));
        let operation = ["AND", "OR", "XOR"][random.usize(..3)];
        let target = ["a", "d"][random.usize(..2)];
        pair.same(&format!("BITOP {operation} {target} a b c"));
        pair.same(&format!("GET {target}"));
    }
}

#[test]
fn random_fields_are_read_and_written_as_in_redis() {
    let mut random = fastrand::Rng::with_seed(0xf1e1d);
    let mut pair = Pair::start(&[], Version::Resp2);
    for _ in 0..600 {
        let mut words = vec!["BITFIELD".to_owned(), "k".to_owned()];
        for _ in 0..random.usize(1..6) {
            words.extend(operation(&mut random));
        }
        pair.same_call(&words);
        pair.same("GET k");
    }
}

fn operation(random: &mut fastrand::Rng) -> Vec<String> {
    let overflow = ["WRAP", "SAT", "FAIL"][random.usize(..3)];
    let encoding =
        if random.bool() { format!("i{}", random.u8(1..=64)) } else { format!("u{}", random.u8(1..=63)) };
    let hash = if random.bool() { "#" } else { "" };
    let offset = format!("{hash}{}", random.u8(..20));
    let operand = (random.i64(..) >> random.u32(..64)).to_string();
    let action = ["GET", "SET", "INCRBY"][random.usize(..3)];
    let mut words = vec!["OVERFLOW", overflow, action, &encoding, &offset];
    if action != "GET" {
        words.push(&operand);
    }
    words.into_iter().map(str::to_owned).collect()
}
