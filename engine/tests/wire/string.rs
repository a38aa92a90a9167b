//! Strings, counters and LCS.

use bobbin_proto::Version;

use crate::support::{Pair, same_replies};

#[test]
fn set_and_its_kin_are_those_of_redis() {
    same_replies(&[
        "SET k v",
        "SET k v ex",
        "SET k v ex 10 ex 20",
        "SET k v px 10 ex 20",
        "SET k v nx nx get get",
        "SET k v xx nx",
        "SET k v keepttl ex 10",
        "SET k v ex 10 keepttl",
        "SET k v ex 0",
        "SET k v ex -1",
        "SET k v ex 9223372036854775807",
        "SET k v ex 9223372036854775",
        "SET k v px 9223372036854775807",
        "SET k v px 9223372036854775806",
        "SET k v pxat 9223372036854775807",
        "SET k v exat 9223372036854775",
        "SET k v exat 9223372036854776",
        "SET k v ex abc",
        r#"SET k v ex " 1""#,
        "SET k v exat 1",
        "GET k",
        "SET k v xx",
        "SET k v xx get",
        "SET k v nx",
        "SET k v nx",
        "SET k w nx get",
        "SET k w xx get",
        "GET k",
        "SET k x get",
        "SET k v persist",
        "SET k v foo",
        "SET k v keepttl keepttl",
        "SET k v KeepTtl Xx",
        "SET k 12 EX 100",
        "SET k 13 keepttl get",
        "SETNX k 2",
        "SETNX nk 3",
        "GETDEL nk",
        "GETDEL nk",
        "SETEX k 0 v",
        "SETEX k a v",
        "PSETEX k -1 v",
        "SETEX k 10 v",
        "PSETEX k 100000 v",
        "PSETEX k 9223372036854775807 v",
        "SETEX k 9223372036854775807 v",
        "GETSET k 100",
        "GETSET k2 100",
        "GETSET k2 abc",
        "GETDEL k2",
        "GETDEL k2",
        "SET k v ex 100",
        "TTL k",
        "SET k v px 100400",
        "TTL k",
        "SET k w",
        "TTL k",
        "SET k v pxat 99999999999999",
        "PEXPIRETIME k",
        "SET k w keepttl",
        "PEXPIRETIME k",
        "SET k w exat 99999999999",
        "PEXPIRETIME k",
        "SET k w get",
        "PEXPIRETIME k",
        "OBJECT encoding k",
        "SET k 10",
        "OBJECT encoding k",
        "SETNX k2 10",
        "OBJECT encoding k2",
        "GETSET k2 0123",
        "OBJECT encoding k2",
        "PSETEX k 500400 x",
        "TTL k",
        "SET k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "OBJECT encoding k",
        "SET",
        "SET k",
        "GET",
        "GET a b",
        "SETNX a",
        "SETEX a 1",
        "GETSET a",
        "GETDEL",
        "STRLEN",
        "APPEND a",
        "GETRANGE a 1",
    ]);
}

#[test]
fn getex_is_that_of_redis() {
    same_replies(&[
        "GETEX k",
        "GETEX k ex",
        "GETEX k ex abc",
        "GETEX k ex 0",
        "GETEX k px 9223372036854775807",
        "GETEX nokey ex abc",
        "GETEX nokey ex",
        "GETEX nokey",
        "GETEX k persist persist",
        "GETEX k persist ex 10",
        "GETEX k ex 10 persist",
        "GETEX k keepttl",
        "GETEX k foo",
        "GETEX k ex 10 ex 20",
        "GETEX k pxat 99999999999999",
        "GETEX k exat 1",
        "GET k",
        "SET k v",
        "GETEX k ex 100",
        "TTL k",
        "GETEX k px 200400",
        "TTL k",
        "GETEX k exat 99999999999",
        "PEXPIRETIME k",
        "GETEX k pxat 99999999999999",
        "PEXPIRETIME k",
        "GETEX k",
        "PEXPIRETIME k",
        "GETEX k persist",
        "PEXPIRETIME k",
        "GETEX k persist",
        "GETEX",
    ]);
}

#[test]
fn parts_are_read_and_written_as_in_redis() {
    same_replies(&[
        r#"SET k "Hello World""#,
        "GETRANGE k 0 4",
        "GETRANGE k -5 -1",
        "GETRANGE k -1 -5",
        "GETRANGE k -3 100",
        "GETRANGE k 100 200",
        "GETRANGE k -100 3",
        "GETRANGE k -100 -200",
        "GETRANGE k -200 -100",
        "GETRANGE k 5 2",
        "GETRANGE k 0 -1",
        "GETRANGE k 9223372036854775807 9223372036854775807",
        "GETRANGE k -9223372036854775808 9223372036854775807",
        "GETRANGE k -9223372036854775808 -9223372036854775808",
        "GETRANGE k 0 -12",
        "GETRANGE k 0 -11",
        "GETRANGE nokey 0 -1",
        "SUBSTR k 1 2",
        "GETRANGE k a 1",
        "GETRANGE k 0 z",
        "GETRANGE k 0",
        "SET n 12345",
        "GETRANGE n 1 2",
        "STRLEN n",
        "STRLEN k",
        "STRLEN nokey",
        "SETRANGE k -1 x",
        "SETRANGE k a x",
        "SETRANGE k 6 Redis",
        "GET k",
        "SETRANGE k 20 x",
        "GET k",
        "SETRANGE n 1 x",
        "GET n",
        r#"SETRANGE nk 0 """#,
        "GET nk",
        "SETRANGE nk 5 ab",
        "GET nk",
        "GETDEL nk",
        "SETRANGE k 536870912 x",
        "SETRANGE k 9223372036854775807 x",
        r#"SETRANGE k 536870911 """#,
        r#"SETRANGE k 9223372036854775807 """#,
        "APPEND nk 12",
        "APPEND nk 34",
        "INCR nk",
        r#"APPEND nk """#,
        r#"APPEND nk2 """#,
        "GET nk2",
        "GETDEL nk2",
        "APPEND nk abc",
        "GET nk",
        "GETDEL nk",
        "SET k 12",
        "APPEND k 3",
        "OBJECT encoding k",
        "SET k 12",
        "SETRANGE k 0 3",
        "OBJECT encoding k",
        "DEL k",
        "APPEND k 12",
        "OBJECT encoding k",
        "DEL k",
        "SETRANGE k 0 12",
        "OBJECT encoding k",
        "SET k v ex 100",
        "APPEND k w",
        "TTL k",
        "SETRANGE k 0 x",
        "TTL k",
    ]);
}

#[test]
fn integers_count_as_in_redis() {
    same_replies(&[
        "SET n 10",
        "INCR n",
        "DECR n",
        "INCRBY n 5",
        "DECRBY n 3",
        "INCRBY n -5",
        "DECRBY n -3",
        "INCR nn",
        "GETDEL nn",
        "DECR nn",
        "GETDEL nn",
        "INCRBY nn -7",
        "GETDEL nn",
        "DECRBY nn 7",
        "GETDEL nn",
        "SET n abc",
        "INCR n",
        r#"SET n " 1""#,
        "INCR n",
        "SET n 01",
        "INCR n",
        "SET n 1.0",
        "INCR n",
        r#"SET n """#,
        "INCR n",
        "SET n 9223372036854775807",
        "INCR n",
        "DECRBY n -9223372036854775808",
        "DECRBY n 9223372036854775807",
        "DECRBY n -1",
        "SET n -9223372036854775808",
        "DECR n",
        "INCRBY n abc",
        "DECRBY n abc",
        "INCRBY n 1.5",
        "INCRBY n +1",
        "INCRBY n -0",
        "SET k 1 ex 100",
        "INCR k",
        "TTL k",
        "OBJECT encoding k",
        "DEL k",
        "APPEND k 1",
        "APPEND k 0",
        "INCR k",
        "OBJECT encoding k",
        "INCR",
        "INCRBY k",
        "DECRBY",
        "INCRBYFLOAT k",
    ]);
}

#[test]
fn floats_count_as_in_redis() {
    same_replies(&[
        "INCRBYFLOAT n abc",
        "SET f abc",
        "INCRBYFLOAT f 1",
        "INCRBYFLOAT f abc",
        "GETDEL f",
        "INCRBYFLOAT f 3.0e3",
        "INCRBYFLOAT f 200",
        "INCRBYFLOAT f -.0001",
        "GETDEL f",
        "INCRBYFLOAT f 10.5",
        "INCRBYFLOAT f 0.1",
        "INCRBYFLOAT f -5",
        "GETDEL f",
        "INCRBYFLOAT nf inf",
        "INCRBYFLOAT nf -inf",
        "INCRBYFLOAT nf INFINITY",
        "INCRBYFLOAT nf nan",
        r#"INCRBYFLOAT nf " 1""#,
        r#"INCRBYFLOAT nf "1 ""#,
        "INCRBYFLOAT nf 0x10",
        "INCRBYFLOAT nf 0x1p-1",
        "INCRBYFLOAT nf 0x.8",
        "INCRBYFLOAT nf 0x1e5",
        "INCRBYFLOAT nf 0x",
        "INCRBYFLOAT nf 0x1p",
        "INCRBYFLOAT nf 1e",
        "INCRBYFLOAT nf 1e+",
        "INCRBYFLOAT nf 1e-4960",
        "INCRBYFLOAT nf 1e-4951",
        "INCRBYFLOAT nf 1e5000",
        r#"INCRBYFLOAT nf """#,
        "INCRBYFLOAT nf .",
        "INCRBYFLOAT nf +",
        "INCRBYFLOAT nf .5",
        "INCRBYFLOAT nf 5.",
        "INCRBYFLOAT nf +1",
        "INCRBYFLOAT nf 1e-17",
        "INCRBYFLOAT nf 1e4000",
        "INCRBYFLOAT nf 1e4932",
        "INCRBYFLOAT nf 1e4932",
        "GET nf",
        "GETDEL nf",
        "SET nf inf",
        "INCRBYFLOAT nf 1",
        "INCRBYFLOAT nf -inf",
        "SET nf -0",
        "INCRBYFLOAT nf 0",
        "INCRBYFLOAT nf -0",
        "GETDEL nf",
        "INCRBYFLOAT nf -0",
        "GETDEL nf",
        "INCRBYFLOAT nf -1e-20",
        "GETDEL nf",
        "SET f 1 ex 100",
        "INCRBYFLOAT f 1",
        "TTL f",
        "OBJECT encoding f",
        "DEL f",
        "INCRBYFLOAT f 1.5",
        "OBJECT encoding f",
    ]);
}

#[test]
fn several_keys_are_set_and_read_as_in_redis() {
    same_replies(&[
        "MSET a 1 b",
        "MSET a",
        "MSET a 1 b 2 c 3 d 4 e 5",
        "MGET a b c d e f a",
        "MGET a",
        "MSET a x a y",
        "MGET a a b",
        "MSETNX a 1 z 2",
        "MGET a z",
        "MSETNX y1 1 y2 2 y3 3 y1 4",
        "MGET y1 y2 y3",
        "MSETNX a 1 b",
        "GETDEL y1",
        "GETDEL y2",
        "GETDEL y3",
        "MSETNX",
        "MSET",
        "MGET",
        "SET a 1 ex 100",
        "MSET a 5 q 6",
        "TTL a",
        "OBJECT encoding a",
        "MSETNX a 1 q 2",
        "DEL a q",
        "MSETNX a 1 q 2",
        "TTL a",
        "DBSIZE",
    ]);
}

#[test]
fn lcs_is_that_of_redis() {
    same_replies(&[
        "LCS a b foo",
        "SET a ohmytext",
        "SET b mynewtext",
        "LCS a b",
        "LCS a b len",
        "LCS a b idx",
        "LCS a b idx minmatchlen 4",
        "LCS a b idx minmatchlen 4 withmatchlen",
        "LCS a b idx withmatchlen",
        "LCS a b idx minmatchlen -1",
        "LCS a b minmatchlen 4",
        "LCS a b len idx",
        "LCS a b idx len",
        "LCS a b minmatchlen abc",
        "LCS a b minmatchlen",
        "LCS a b withmatchlen",
        "LCS a nn",
        "LCS nn mm",
        "LCS nn mm idx",
        "LCS nn mm len",
        "LCS a a idx",
        "LCS a",
        "SET n 12345",
        "LCS n a",
        "LCS n n idx withmatchlen",
    ]);
}

/// Thousands of sums of numbers of every size and spelling: each digit is that of x87 arithmetic.
#[test]
fn random_floats_are_added_digit_by_digit_as_in_redis() {
    let mut random = fastrand::Rng::with_seed(0x11ad);
    let mut pair = Pair::start(&[], Version::Resp2);
    for _ in 0..3000 {
        let (old, more) = (number(&mut random), number(&mut random));
        pair.same_call(&["SET", "f", &old]);
        pair.same_call(&["INCRBYFLOAT", "f", &more]);
        // The sum as it was stored, read again.
        pair.same_call(&["INCRBYFLOAT", "f", &old]);
    }
}

fn number(random: &mut fastrand::Rng) -> String {
    let sign = ["", "-", "+"][random.usize(..3)];
    let digits = |random: &mut fastrand::Rng| {
        let len_max = [3, 20, 60][random.usize(..3)];
        let len = random.usize(1..=len_max);
        (0..len).map(|_| char::from(random.u8(b'0'..=b'9'))).collect::<String>()
    };
    match random.usize(..8) {
        0 => format!("{sign}{}", digits(random)),
        1..=3 => format!("{sign}{}.{}", digits(random), digits(random)),
        4 => format!("{sign}{}e{}", digits(random), random.i32(-40..40)),
        5 => format!("{sign}{}.{}E{}", digits(random), digits(random), random.i32(-5000..5000)),
        6 => format!("{sign}0x{:x}.{:x}p{}", random.u64(..), random.u32(..), random.i32(-16_500..16_400)),
        _ => format!("{sign}0X{:X}", random.u64(..)),
    }
}

#[test]
fn random_strings_have_the_common_subsequence_that_redis_finds() {
    let mut random = fastrand::Rng::with_seed(0x1c5);
    let mut pair = Pair::start(&[], Version::Resp2);
    for _ in 0..300 {
        for key in ["a", "b"] {
            let text: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(b'a'..=b'd')).collect();
            pair.same_call(&[b"SET", key.as_bytes(), &text]);
        }
        pair.same("LCS a b");
        pair.same("LCS a b IDX WITHMATCHLEN");
    }
}

#[test]
fn strings_beyond_the_limit_are_refused_and_lcs_keeps_to_it() {
    let mut pair = Pair::start(&["--proto-max-bulk-len", "1mb"], Version::Resp2);
    let half = vec![b'x'; 512 << 10];
    pair.same_call(&[b"SET".as_slice(), b"a", half.as_slice()]);
    pair.same_call(&[b"APPEND".as_slice(), b"a", half.as_slice()]);
    pair.same("APPEND a x");
    pair.same("SETRANGE a 1048575 x");
    pair.same("SETRANGE a 1048576 x");
    pair.same("SETRANGE b 1048575 x");
    pair.same("SETRANGE c 1048576 x");
    pair.same("SETBIT d 8388607 1");
    pair.same("SETBIT d 8388608 1");
    pair.same("GETBIT d 8388608");
    pair.same("LCS a b");
    pair.same("LCS a b LEN");
    pair.same_call(&[b"SET".as_slice(), b"e", &[b'y'; 511][..]]);
    pair.same_call(&[b"SET".as_slice(), b"f", &[b'y'; 511][..]]);
    pair.same("LCS e f LEN");
    pair.same("APPEND f y");
    pair.same("LCS e f LEN");
    pair.same("STRLEN a");
}

/// Each time over, a key is as if it had been removed before the command.
#[test]
fn what_has_expired_is_not_there() {
    let mut pair = Pair::start(&[], Version::Resp2);
    let commands = [
        "SET k w XX",
        "SET k w NX",
        "SET k w GET",
        "SET k w KEEPTTL",
        "SET k w",
        "SETNX k w",
        "GETSET k w",
        "GETDEL k",
        "GETEX k PERSIST",
        "GETRANGE k 0 -1",
        "SETRANGE k 1 w",
        "APPEND k w",
        "STRLEN k",
        "INCR k",
        "INCRBYFLOAT k 1",
        "MGET k k",
        "MSETNX k w",
        "LCS k k",
        "SETBIT k 9 1",
        "GETBIT k 1",
        "BITCOUNT k",
        "BITPOS k 1",
        "BITOP NOT k k",
        "BITOP OR d k",
        "BITFIELD k GET u8 0",
        "BITFIELD k INCRBY u8 0 1",
        "PFADD k a",
        "PFCOUNT k",
        "PFMERGE k",
        "PFDEBUG ENCODING k",
    ];
    for command in commands {
        pair.same("DEBUG SET-ACTIVE-EXPIRE 0");
        pair.same("SET k value PXAT 1");
        pair.same(command);
        pair.same("GET k");
        pair.same("TTL k");
        pair.same("DEL k d");
    }
}

/// The access counter goes up by one with each access here, so it shows how many there were.
#[test]
fn accesses_are_counted_as_in_redis() {
    let directives = ["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0"];
    let mut pair = Pair::start(&directives, Version::Resp2);
    let commands = [
        "SET a v",
        "SET a w",
        "SET a w XX",
        "SET a w GET",
        "SET a w NX",
        "SETNX a x",
        "SETEX a 100 x",
        "GETSET a x",
        "GETEX a PERSIST",
        "GETRANGE a 0 1",
        "STRLEN a",
        "APPEND a y",
        "SETRANGE a 1 z",
        "MSET a 1 b 2",
        "MGET a b",
        "MSETNX a 1",
        "INCR a",
        "INCRBYFLOAT a 1",
        "SETBIT a 1 0",
        "GETBIT a 1",
        "BITCOUNT a",
        "BITFIELD a GET u8 0",
        "BITFIELD a SET u8 0 1",
        "BITOP NOT a a",
        "BITOP NOT b a",
        "LCS a b",
    ];
    for command in commands {
        pair.same(command);
        pair.same("OBJECT FREQ a");
    }
}
