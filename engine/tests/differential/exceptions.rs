//! What is not compared, or not byte for byte, and why. Nothing else is excepted.
//!
//! Left out:
//! - lifetimes that end while a case runs, other than those that end at once and are waited for;
//! - waiting for longer than a few milliseconds, or for ever;
//! - random members by the thousands, which neither server refuses;
//! - what a newer Redis than the oracle added to commands that both have: ZRANK's WITHSCORE; what it newly refuses: XSETID
//!   to an id below the last deleted;
//! - lifetimes so long that the oracle's sum with the time overflows;
//! - bit fields at offsets, and saturated from values, at which the oracle's own arithmetic overflows;
//! - SORT of packed sorted sets, which the oracle unpacks for good; stores of what ALPHA orders by other keys, where equals
//!   come in any order;
//! - COMMAND GETKEYS with a number of keys that is none, of which the oracle takes what looks like a number;
//! - consumers that only a newer Redis makes: both servers are told to make them before;
//! - lexical ranges of sorted sets with more than one score, whose order Redis leaves open;
//! - searches around places farther than 3000 km, near which the oracle misses members at poles and the date line, and
//!   stores of the nearest, of which several may be equally near;
//! - XADD with an id made from the clock; XAUTOCLAIM counts for which the oracle wants all memory.
//!
//! Compared by meaning:
//! - replies without an order (KEYS, SMEMBERS, …) as sets; SCAN and its like as what the whole walk returns;
//! - random members by whether they are members; what SPOP took is then taken from the other server too;
//! - members at the same distance in any order;
//! - times to live with a tolerance; idle times and reference counts not at all, as the oracle shares objects;
//! - errors that Redis 7.2 words otherwise than 7.0;
//! - encodings of small lists and of sets, which Redis 7.2 names and chooses otherwise;
//! - payloads of DUMP, by what RESTORE makes of them.

use bobbin_proto::Value;

use super::call::Call;
use super::vocabulary::{BLOCKS, TIMEOUTS};

/// Milliseconds by which the servers' clocks and a busy machine may put the same moment apart.
const TOLERANCE_MS: i64 = 5000;
/// Lifetimes up to which a case waits for their end, in milliseconds, and from which on they outlast it.
const SOON_MS: i64 = 3;
const LATE_MS: i64 = 1_000_000;
const DRAWN_MAX: i64 = 1000;

/// Whether the two servers must do the same.
pub fn is_comparable(call: &Call) -> bool {
    let name = call.name();
    let is_lifetime =
        |ms: &i64| (SOON_MS + 1..LATE_MS).contains(ms) || name == "RESTORE" && *ms > i64::MAX / 2;
    match name.as_str() {
        "SRANDMEMBER" | "HRANDFIELD" | "ZRANDMEMBER" => {
            (1..call.0.len()).all(|at| call.number(at).is_none_or(|count| count >= -DRAWN_MAX))
        }
        "ZRANK" | "ZREVRANK" => call.0.len() <= 3,
        "BITFIELD" | "BITFIELD_RO" => !overflows_the_oracle(call),
        "GEORADIUS" | "GEORADIUSBYMEMBER" | "GEOSEARCHSTORE" => {
            let stores = call.has("STORE") || call.has("STOREDIST") || call.name() == "GEOSEARCHSTORE";
            !(is_far(call) || stores && call.has("COUNT"))
        }
        "GEORADIUS_RO" | "GEORADIUSBYMEMBER_RO" | "GEOSEARCH" => !is_far(call),
        "SORT" => !(call.has("STORE") && call.has("BY") && call.has("ALPHA")),
        "XADD" => !call.has("*"),
        "XAUTOCLAIM" => (1..call.0.len()).all(|at| call.number(at).is_none_or(|count| count < 100_000)),
        "COMMAND" => {
            let is_about_keys = call.is(1, "GETKEYS") || call.is(1, "GETKEYSANDFLAGS");
            is_about_keys && has_comparable_keys(&Call(call.0[2..].to_vec()))
        }
        "BLPOP" | "BRPOP" | "BRPOPLPUSH" | "BLMOVE" | "BZPOPMIN" | "BZPOPMAX" => {
            is_wait(call, call.0.len() - 1, TIMEOUTS)
        }
        "BLMPOP" | "BZMPOP" => is_wait(call, 1, TIMEOUTS),
        "XREAD" | "XREADGROUP" => {
            (1..call.0.len()).filter(|&at| call.is(at, "BLOCK")).all(|at| is_wait(call, at + 1, BLOCKS))
        }
        _ => !lifetimes_ms(call).iter().any(is_lifetime),
    }
}

/// Whether the time to wait, if there is one, is among those.
fn is_wait(call: &Call, at: usize, times: &[&str]) -> bool {
    call.0.get(at).is_none_or(|arg| times.iter().any(|time| time.as_bytes() == arg))
}

/// Whether a search may reach far: its units are in any place.
fn is_far(call: &Call) -> bool {
    const KM_MAX: f64 = 3000.0;
    let number = |at: usize| std::str::from_utf8(&call.0[at]).ok()?.parse::<f64>().ok();
    let limit = if call.has("km") || call.has("mi") { KM_MAX } else { KM_MAX * 1000.0 };
    (2..call.0.len()).any(|at| !call.is(at - 1, "COUNT") && number(at).is_some_and(|number| number > limit))
}

/// Whether what is found is put in order by its distance, where equals come in any.
pub fn is_nearest_first(call: &Call) -> bool {
    let is_search = matches!(
        call.name().as_str(),
        "GEORADIUS" | "GEORADIUS_RO" | "GEORADIUSBYMEMBER" | "GEORADIUSBYMEMBER_RO" | "GEOSEARCH"
    );
    is_search && (call.has("COUNT") || call.has("ASC") || call.has("DESC"))
}

/// Of a command that is asked about and not run.
fn has_comparable_keys(call: &Call) -> bool {
    let count_at = match call.name().as_str() {
        // Bobbin does not have it.
        "SYNC" => return false,
        // The oracle takes what is stored to for one more STORE.
        "SORT" => return (1..call.0.len()).filter(|&at| call.is(at, "STORE")).count() < 2,
        "ZDIFF" | "ZINTER" | "ZUNION" | "ZINTERCARD" | "SINTERCARD" | "LMPOP" | "ZMPOP" => 1,
        "ZDIFFSTORE" | "ZINTERSTORE" | "ZUNIONSTORE" => 2,
        _ => return is_comparable(call),
    };
    call.number(count_at).is_some_and(|count| (-1000..1000).contains(&count))
}

fn overflows_the_oracle(call: &Call) -> bool {
    let is_far = |arg: &Vec<u8>| {
        let number = arg.strip_prefix(b"#").map(|digits| Call(vec![digits.to_vec()]).number(0));
        number.is_some_and(|number| number.is_none_or(|number| number.unsigned_abs() > 1 << 56))
    };
    let is_low = |at: usize| call.number(at).is_some_and(|number| number < i64::MIN / 2);
    let is_bounded = call.has("SAT") || call.has("FAIL");
    call.0.iter().any(is_far) || is_bounded && (1..call.0.len()).any(is_low)
}

/// Whether a key may expire right behind it.
pub fn passes_soon(call: &Call) -> bool {
    lifetimes_ms(call).iter().any(|ms| (1..=SOON_MS).contains(ms))
}

/// All that may be lifetimes from now on.
fn lifetimes_ms(call: &Call) -> Vec<i64> {
    let at = |index: usize, unit: i64| call.number(index).map(|number| number.saturating_mul(unit));
    let behind = |word: &str, unit: i64| {
        let words = (1..call.0.len()).filter(|&index| call.is(index, word));
        words.filter_map(|index| at(index + 1, unit)).collect::<Vec<_>>()
    };
    match call.name().as_str() {
        "EXPIRE" | "SETEX" => at(2, 1000).into_iter().collect(),
        "PEXPIRE" | "PSETEX" | "RESTORE" => at(2, 1).into_iter().collect(),
        "SET" | "GETEX" => [behind("EX", 1000), behind("PX", 1)].concat(),
        _ => Vec::new(),
    }
}

/// The sorted set that a lexical range is asked of.
pub fn lexical_source(call: &Call) -> Option<&[u8]> {
    let at = match call.name().as_str() {
        "ZRANGEBYLEX" | "ZREVRANGEBYLEX" | "ZREMRANGEBYLEX" | "ZLEXCOUNT" => 1,
        "ZRANGE" if call.has("BYLEX") => 1,
        "ZRANGESTORE" if call.has("BYLEX") => 2,
        _ => return None,
    };
    call.0.get(at).map(|key| &key[..])
}

/// Whether it cannot be one of several commands in a write, because the servers are asked more before or behind it.
pub fn needs_a_step(call: &Call) -> bool {
    is_interactive(call)
        || passes_soon(call)
        || lexical_source(call).is_some()
        || call.name() == "XSETID"
        || !consumers(call).is_empty()
}

/// What makes the consumers of a call, as Redis 7.2 makes them for any call, and the oracle for one that has entries.
pub fn consumers(call: &Call) -> Vec<Call> {
    let args = &call.0;
    let (keys, group_at) = match call.name().as_str() {
        "XCLAIM" | "XAUTOCLAIM" => (args.get(1..2).unwrap_or_default(), 2),
        "XREADGROUP" => {
            let streams = (1..args.len()).find(|&at| call.is(at, "STREAMS")).map_or(args.len(), |at| at + 1);
            (&args[streams..streams + (args.len() - streams) / 2], 2)
        }
        _ => return Vec::new(),
    };
    let Some([group, consumer]) = args.get(group_at..group_at + 2) else { return Vec::new() };
    let create = |key: &Vec<u8>| {
        let head = [&b"XGROUP"[..], b"CREATECONSUMER", key, group, consumer];
        Call(head.map(<[u8]>::to_vec).to_vec())
    };
    keys.iter().map(create).collect()
}

/// The key that is sorted.
pub fn sorted_source(call: &Call) -> Option<&[u8]> {
    let is_sort = matches!(call.name().as_str(), "SORT" | "SORT_RO");
    call.0.get(1).filter(|_| is_sort).map(|key| &key[..])
}

/// Whether replies are not compared as they are, but by what more the servers are then asked; see `follow`.
pub fn is_interactive(call: &Call) -> bool {
    is_nearest_first(call)
        || matches!(
            call.name().as_str(),
            "SPOP"
                | "SRANDMEMBER"
                | "HRANDFIELD"
                | "ZRANDMEMBER"
                | "RANDOMKEY"
                | "SCAN"
                | "SSCAN"
                | "HSCAN"
                | "ZSCAN"
                | "SORT"
                | "SORT_RO"
        )
}

/// Whether replies that are not the same bytes say the same.
pub fn is_same(call: &Call, bobbin: &Value, oracle: &Value) -> bool {
    if let (Value::Error(bobbin), Value::Error(oracle)) = (bobbin, oracle) {
        return is_reworded(bobbin, oracle);
    }
    match call.name().as_str() {
        "KEYS" | "SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" | "HKEYS" | "HVALS" => {
            unordered(bobbin, 1) == unordered(oracle, 1)
        }
        "HGETALL" => unordered(bobbin, 2) == unordered(oracle, 2),
        "TTL" | "EXPIRETIME" => is_near(bobbin, oracle, TOLERANCE_MS / 1000),
        "PTTL" | "PEXPIRETIME" => is_near(bobbin, oracle, TOLERANCE_MS),
        "OBJECT" if call.is(1, "ENCODING") => is_same_encoding(bobbin, oracle),
        "OBJECT" if call.is(1, "IDLETIME") || call.is(1, "REFCOUNT") => {
            matches!((bobbin, oracle), (Value::Int(0..), Value::Int(0..)))
        }
        "DUMP" => matches!((bobbin, oracle), (Value::Bulk(_), Value::Bulk(_))),
        "XINFO" | "XPENDING" => is_same_but_for_times(bobbin, oracle),
        _ => false,
    }
}

/// The items of a flat reply, so many together, in an order of their own.
pub fn unordered(reply: &Value, together: usize) -> Option<Vec<Vec<Value>>> {
    let flat = match reply {
        Value::Array(items) | Value::Set(items) => items.clone(),
        Value::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect(),
        _ => return None,
    };
    let mut items: Vec<Vec<Value>> = flat.chunks(together).map(<[Value]>::to_vec).collect();
    items.sort_by_cached_key(|item| format!("{item:?}"));
    Some(items)
}

/// Errors that Redis 7.2 words otherwise: its words, and those of the oracle.
const REWORDED: &[(&str, &str)] = &[
    (
        "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
    ),
    (
        "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.",
        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
    ),
];

/// What Redis 7.2 refuses and the oracle does.
const NEWLY_REFUSED: &[u8] =
    b"-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id\r\n";

/// Whether the oracle is not to be asked at all, as Bobbin has refused by a newer rule.
pub fn is_newly_refused(bobbin: &[u8]) -> bool {
    bobbin == NEWLY_REFUSED
}

/// Whether an error is the oracle's in newer words.
fn is_reworded(bobbin: &[u8], oracle: &[u8]) -> bool {
    REWORDED.iter().any(|(new, old)| new.as_bytes() == bobbin && old.as_bytes() == oracle)
}

fn is_near(bobbin: &Value, oracle: &Value, tolerance: i64) -> bool {
    // What is below zero is no time.
    matches!((bobbin, oracle), (Value::Int(bobbin), Value::Int(oracle))
        if *bobbin >= 0 && *oracle >= 0 && bobbin.abs_diff(*oracle) <= tolerance as u64)
}

/// Redis 7.2 names what 7.0 has no name for: a list in one piece, and a small set of more than integers. It begins a set
/// by how many members SADD has, of which 7.0 counts the different ones only.
fn is_same_encoding(bobbin: &Value, oracle: &Value) -> bool {
    let (Value::Bulk(bobbin), Value::Bulk(oracle)) = (bobbin, oracle) else { return false };
    let is_renamed = bobbin == b"listpack" && (oracle == b"quicklist" || oracle == b"hashtable");
    is_renamed || oracle == b"intset"
}

/// Replies about streams: equal, but for times, and for what only one server's inside explains.
fn is_same_but_for_times(bobbin: &Value, oracle: &Value) -> bool {
    match (bobbin, oracle) {
        (Value::Array(bobbin), Value::Array(oracle)) => {
            let (bobbin, oracle) = (without_inside(bobbin), without_inside(oracle));
            bobbin.len() == oracle.len()
                && (0..oracle.len()).all(|at| {
                    is_same_but_for_times(&bobbin[at], &oracle[at])
                        || is_time(&oracle, at) && is_near(&bobbin[at], &oracle[at], TOLERANCE_MS)
                })
        }
        (Value::Map(bobbin), Value::Map(oracle)) => {
            let flat = |pairs: &[(Value, Value)]| {
                Value::Array(pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect())
            };
            is_same_but_for_times(&flat(bobbin), &flat(oracle))
        }
        _ => bobbin == oracle,
    }
}

/// Whether a time stands there: behind its name, or in an entry that is pending, between its id (and consumer) and the
/// number of its deliveries.
fn is_time(fields: &[Value], at: usize) -> bool {
    const NAMES: [&[u8]; 2] = [b"idle", b"seen-time"];
    match fields {
        [Value::Bulk(_), Value::Int(_), Value::Int(_)] => at == 1,
        [Value::Bulk(_), Value::Bulk(_), Value::Int(_), Value::Int(_)] => at == 2,
        _ => at > 0 && matches!(&fields[at - 1], Value::Bulk(name) if NAMES.contains(&&name[..])),
    }
}

/// Fields that tell of a radix tree, and those that are newer than the oracle.
fn without_inside(fields: &[Value]) -> Vec<Value> {
    const NAMES: [&[u8]; 4] = [b"radix-tree-keys", b"radix-tree-nodes", b"active-time", b"inactive"];
    let is_inside = |field: &Value| matches!(field, Value::Bulk(name) if NAMES.contains(&&name[..]));
    let mut left = Vec::with_capacity(fields.len());
    let mut fields = fields.iter();
    while let Some(field) = fields.next() {
        if is_inside(field) {
            fields.next();
        } else {
            left.push(field.clone());
        }
    }
    left
}
