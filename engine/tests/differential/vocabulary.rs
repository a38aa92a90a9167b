//! The values that commands are made of: few enough that commands meet, with those at which things break.

use fastrand::Rng;

use super::call::PAYLOAD;

macro_rules! kinds {
    ($($kind:ident $name:literal,)*) => {
        /// What a template's `<name>` stands for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($kind),* }

        impl Kind {
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$kind),)* _ => None }
            }
        }
    };
}

kinds! {
    Any "any",
    Text "string",
    Counter "counter",
    Bits "bits",
    Hll "hll",
    List "list",
    Set "set",
    Hash "hash",
    Zset "zset",
    Stream "stream",
    Geo "geo",
    Database "db",
    Value "value",
    Member "member",
    Pattern "pattern",
    Int "int",
    Small "small",
    Index "index",
    Count "count",
    Draw "draw",
    Offset "offset",
    Bit "bit",
    Float "float",
    Score "score",
    ScoreBound "score-bound",
    LexBound "lex-bound",
    Seconds "seconds",
    Millis "millis",
    AtSeconds "at-seconds",
    AtMillis "at-millis",
    FieldType "field-type",
    FieldOffset "field-offset",
    TypeName "type-name",
    EntryId "id",
    EntryBound "id-bound",
    Group "group",
    Consumer "consumer",
    Longitude "longitude",
    Latitude "latitude",
    Radius "radius",
    Unit "unit",
    SortBy "sort-by",
    Timeout "timeout",
    Block "block",
    Payload "payload",
    Wild "wild",
}

/// Keys that mostly hold one kind of value. `{a}` and `{b}` are on different shards.
const HOMES: &[(Kind, &[&[u8]])] = &[
    (Kind::Text, &[b"s", b"{a}s", b"{b}s\x00\xff\r\n"]),
    (Kind::Counter, &[b"{a}n", b"{b}n"]),
    (Kind::Bits, &[b"{a}b", b"b\xfe"]),
    (Kind::Hll, &[b"{a}p", b"{b}p"]),
    (Kind::List, &[b"l", b"{a}l", b"{b}l"]),
    (Kind::Set, &[b"u", b"{a}u", b"{b}u"]),
    (Kind::Hash, &[b"h", b"{b}h\n"]),
    (Kind::Zset, &[b"z", b"{a}z", b"{b}z"]),
    (Kind::Stream, &[b"{a}x", b"{b}x"]),
    (Kind::Geo, &[b"{a}g", b"g"]),
];
/// Keys that hold whatever came last.
const SHARED: &[&[u8]] = &[b"k", b"{a}", b"{b}\x00", b"", b"nobody"];

/// What SORT ALPHA compares, up to a zero byte, differs from one to the other.
const VALUES: &[&[u8]] = &[
    b"",
    b"v",
    b"w",
    b"foobar",
    b"mynewtext",
    b"0",
    b"7",
    b"-1",
    b"12345",
    b"9223372036854775807",
    b"1.5",
    b"01",
    b" 1",
    b"n\x00\xff",
    b"a b\r\n\"'\\",
    b"\x80\x01\xf0",
];
const MEMBERS: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"e",
    b"f",
    b"g",
    b"h",
    b"1",
    b"2",
    b"3",
    b"-1",
    b"300",
    b"70000",
    b"-5000000000",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"007",
    b"1.5",
    b"",
    b"n\x00\xff",
    b"a b",
];
const PATTERNS: &[&[u8]] =
    &[b"*", b"a*", b"?", b"[a-c]*", b"{a}*", b"*\x00*", b"[^a]", b"\\a", b"", b"[", b"*1*", b"nothing"];
/// Seconds to wait, and milliseconds: no more than a case can wait, and what is refused.
pub const TIMEOUTS: &[&str] = &["0.001", "0.004", "-1", "-0.5", "1e400", "nan", "x", ""];
pub const BLOCKS: &[&str] = &["1", "4", "-1", "0.5", "9223372036854775808", "x", ""];
/// Integers at which something begins or ends.
const EDGES: &[&[u8]] = &[
    b"0",
    b"-1",
    b"1",
    b"-0",
    b"+1",
    b"01",
    b" 1",
    b"1 ",
    b"",
    b"x",
    b"1.0",
    b"1e3",
    b"127",
    b"128",
    b"-129",
    b"65536",
    b"2147483647",
    b"-2147483648",
    b"2147483648",
    b"4294967295",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775806",
    b"-9223372036854775808",
    b"-9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999999999999999999999999",
];
const FLOATS: &[&[u8]] = &[
    b"0",
    b"-0",
    b"-0.0",
    b"1.5",
    b"-2.25",
    b"0.1",
    b"3.0",
    b"1e3",
    b"1e17",
    b"5e-324",
    b"1e308",
    b"-1e308",
    b"1e309",
    b"1e4933",
    b"inf",
    b"-inf",
    b"+inf",
    b"Infinity",
    b"nan",
    b"-nan",
    b"0x10",
    b" 1",
    b"1 ",
    b"",
    b"x",
    b"1_0",
    b".5",
    b"5.",
    b"9007199254740993",
    b"123456789012345678901234567890",
    b"3.14159265358979323846264338327950288",
];
/// What stands anywhere in Redis's syntax, to stand where it should not.
const WORDS: &[&str] = &[
    "NX",
    "XX",
    "GT",
    "LT",
    "CH",
    "INCR",
    "GET",
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "KEEPTTL",
    "PERSIST",
    "LIMIT",
    "WITHSCORES",
    "BYSCORE",
    "BYLEX",
    "REV",
    "WEIGHTS",
    "AGGREGATE",
    "SUM",
    "MIN",
    "MAX",
    "COUNT",
    "MATCH",
    "TYPE",
    "LEFT",
    "RIGHT",
    "BEFORE",
    "AFTER",
    "RANK",
    "MAXLEN",
    "MINID",
    "REPLACE",
    "DB",
    "ABSTTL",
    "IDX",
    "LEN",
    "MINMATCHLEN",
    "WITHMATCHLEN",
    "OVERFLOW",
    "WRAP",
    "SAT",
    "FAIL",
    "SET",
    "INCRBY",
    "BIT",
    "BYTE",
    "AND",
    "NOT",
    "WITHVALUES",
    "BY",
    "ASC",
    "DESC",
    "ALPHA",
    "STORE",
    "STOREDIST",
    "WITHCOORD",
    "WITHDIST",
    "WITHHASH",
    "ANY",
    "FROMMEMBER",
    "FROMLONLAT",
    "BYRADIUS",
    "BYBOX",
    "NOMKSTREAM",
    "~",
    "=",
    "STREAMS",
    "GROUP",
    "NOACK",
    "IDLE",
    "TIME",
    "RETRYCOUNT",
    "FORCE",
    "JUSTID",
    "LASTID",
    "MKSTREAM",
    "ENTRIESREAD",
    "FULL",
    "FREQ",
    "IDLETIME",
    "ASYNC",
    "SYNC",
    "*",
    "$",
    ">",
    "-",
    "+",
];

/// A value of that kind, seldom one that has no place there.
pub fn value(kind: Kind, rng: &mut Rng) -> Vec<u8> {
    match kind {
        Kind::Text
        | Kind::Counter
        | Kind::Bits
        | Kind::Hll
        | Kind::List
        | Kind::Set
        | Kind::Hash
        | Kind::Zset
        | Kind::Stream
        | Kind::Geo => key_of(kind, rng),
        Kind::Any => any_key(rng),
        Kind::Value => text(rng),
        Kind::Member => member(rng),
        Kind::Pattern => pick(PATTERNS, rng),
        Kind::Payload => PAYLOAD.to_vec(),
        Kind::Wild => wild(rng),
        Kind::Float | Kind::Score => float(rng),
        Kind::ScoreBound => score_bound(rng),
        Kind::LexBound => lex_bound(rng),
        Kind::TypeName => word(rng, &["string", "list", "set", "zset", "hash", "stream", "ZSET", "other"]),
        Kind::FieldType => field_type(rng),
        Kind::FieldOffset => field_offset(rng),
        Kind::EntryId => entry_id(rng),
        Kind::EntryBound => entry_bound(rng),
        Kind::Group => word(rng, &["g1", "g2", "nogroup"]),
        Kind::Consumer => word(rng, &["alice", "bob", "\u{0}c"]),
        Kind::Longitude => coordinate(rng, 180.0),
        Kind::Latitude => coordinate(rng, 85.05),
        Kind::Radius => word(rng, &["0", "1", "100", "700.5", "2500", "200000", "1e6", "-1", "nan", "x"]),
        Kind::Unit => word(rng, &["m", "km", "ft", "mi", "KM", "parsec"]),
        Kind::Timeout => word(rng, TIMEOUTS),
        Kind::Block => word(rng, BLOCKS),
        Kind::SortBy => word(rng, &["nosort", "*", "{a}*", "s*", "{b}h*->a", "h->*", "*->", "nosort*"]),
        _ => integer(kind, rng),
    }
}

fn integer(kind: Kind, rng: &mut Rng) -> Vec<u8> {
    if rng.u8(..14) == 0 {
        return pick(EDGES, rng);
    }
    let number = match kind {
        Kind::Database => [0, 0, 0, 1, 1, 2][rng.usize(..6)],
        Kind::Index => rng.i64(-6..12),
        Kind::Count => rng.i64(-2..12),
        Kind::Draw => rng.i64(-8..12),
        Kind::Offset => [rng.i64(0..40), rng.i64(0..2000)][rng.usize(..2)],
        Kind::Bit => rng.i64(0..2),
        Kind::Int => [rng.i64(-20..20), rng.i64(-100_000..100_000), rng.i64(..)][rng.usize(..3)],
        Kind::Seconds => [100_000, 2_000_000, -1, 0][rng.usize(..4)],
        Kind::Millis => [100_000_000, 2_000_000_001, 1, -1, 0][rng.usize(..5)],
        Kind::AtSeconds => [4_000_000_000, 5_000_000_000, 1, 0, -1][rng.usize(..5)],
        Kind::AtMillis => [4_000_000_000_000, 5_000_000_000_001, 1, 0, -1][rng.usize(..5)],
        _ => rng.i64(-5..40),
    };
    number.to_string().into_bytes()
}

fn pick(pool: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    pool[rng.usize(..pool.len())].to_vec()
}

fn word(rng: &mut Rng, words: &[&str]) -> Vec<u8> {
    words[rng.usize(..words.len())].as_bytes().to_vec()
}

fn key_of(kind: Kind, rng: &mut Rng) -> Vec<u8> {
    if rng.u8(..12) == 0 {
        return any_key(rng);
    }
    let (_, home) = HOMES.iter().find(|(of, _)| *of == kind).expect("every kind of key has a home");
    pick(home, rng)
}

fn any_key(rng: &mut Rng) -> Vec<u8> {
    if rng.u8(..3) == 0 {
        return pick(SHARED, rng);
    }
    let (_, home) = HOMES[rng.usize(..HOMES.len())];
    pick(home, rng)
}

fn text(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..) {
        // Around what is kept in one piece with its key, and beyond what a listpack holds.
        0..30 => repeated(rng, &[43, 44, 45, 63, 64, 65, 300]),
        30 => repeated(rng, &[5000, 9000, 20_000]),
        31..60 => rng.i64(-300..300).to_string().into_bytes(),
        60..80 => float(rng),
        _ => pick(VALUES, rng),
    }
}

fn repeated(rng: &mut Rng, lens: &[usize]) -> Vec<u8> {
    let len = lens[rng.usize(..lens.len())];
    let first = rng.u8(b'a'..b'd');
    (0..len).map(|at| first + u8::from(at % 7 == 3)).collect()
}

fn member(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..) {
        0..8 => repeated(rng, &[8, 9, 63, 64, 65, 300]),
        8..40 => rng.u16(..1000).to_string().into_bytes(),
        40..50 => format!("m{}", rng.u16(..1000)).into_bytes(),
        _ => pick(MEMBERS, rng),
    }
}

fn float(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..10) {
        0..6 => rng.i64(-4..8).to_string().into_bytes(),
        6..8 => (rng.i64(-4000..4000) as f64 / 8.0).to_string().into_bytes(),
        _ => pick(FLOATS, rng),
    }
}

fn score_bound(rng: &mut Rng) -> Vec<u8> {
    let infinite = [&b"-inf"[..], b"+inf", b"inf"];
    let mut bound = if rng.u8(..5) == 0 { b"(".to_vec() } else { Vec::new() };
    bound.extend(if rng.u8(..3) == 0 { pick(&infinite, rng) } else { float(rng) });
    bound
}

fn lex_bound(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..10) {
        0..2 => b"-".to_vec(),
        2..4 => b"+".to_vec(),
        4 => member(rng),
        open => [if open < 8 { &b"["[..] } else { b"(" }, &member(rng)].concat(),
    }
}

fn field_type(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..12) {
        0 => word(rng, &["u64", "i65", "u0", "i0", "x8", "", "u", "i-1", "u08", "I8"]),
        1..7 => format!("u{}", rng.u8(1..64)).into_bytes(),
        _ => format!("i{}", rng.u8(1..65)).into_bytes(),
    }
}

fn field_offset(rng: &mut Rng) -> Vec<u8> {
    let offset = integer(Kind::Offset, rng);
    if rng.u8(..3) == 0 { [b"#", &offset[..]].concat() } else { offset }
}

fn entry_id(rng: &mut Rng) -> Vec<u8> {
    const EDGES: &[&str] = &[
        "0-0",
        "0",
        "0-1",
        "18446744073709551615-18446744073709551615",
        "18446744073709551615",
        "18446744073709551616",
        "1-x",
        "",
        "-",
        "1-2-3",
        "1-18446744073709551615",
    ];
    match rng.u8(..20) {
        0 => word(rng, EDGES),
        1..3 => format!("{}-*", rng.u8(..60)).into_bytes(),
        3..8 => rng.u8(1..60).to_string().into_bytes(),
        _ => format!("{}-{}", rng.u8(..60), rng.u8(..4)).into_bytes(),
    }
}

fn entry_bound(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..10) {
        0..3 => b"-".to_vec(),
        3..6 => b"+".to_vec(),
        6 => [&b"("[..], &entry_id(rng)].concat(),
        _ => entry_id(rng),
    }
}

fn coordinate(rng: &mut Rng, limit: f64) -> Vec<u8> {
    match rng.u8(..10) {
        0 => word(rng, &["-180", "180.1", "-85.05112878", "85.06", "nan", "x", "0"]),
        1..5 => format!("{:.6}", (rng.f64() - 0.5) * 1.4 * limit).into_bytes(),
        // Close together, so that radii part them.
        _ => format!("{:.4}", limit / 6.0 + rng.f64() / 10.0).into_bytes(),
    }
}

/// Something for any place.
pub fn wild(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..6) {
        0..2 => pick(EDGES, rng),
        2 => pick(FLOATS, rng),
        3 => any_key(rng),
        4 => member(rng),
        _ => word(rng, WORDS),
    }
}
