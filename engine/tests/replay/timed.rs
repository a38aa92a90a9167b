//! Commands whose effects depend on the time or on chance.

use fastrand::Rng;

use super::call::Call;
use super::template::{Sequence, expand, parse};

/// `0000` stands for a lifetime that a case outlives, in milliseconds.
const LINES: &[&str] = &[
    "SET <string> <value> PX 0000 [GET] [NX|XX]",
    "PSETEX <string> 0000 <value>",
    "GETEX <string> PX 0000",
    "PEXPIRE <any> 0000 [NX|XX|GT|LT]",
    "RESTORE <any> 0000 <payload> REPLACE",
    "HPEXPIRE <hash> 0000 [NX|XX|GT|LT] FIELDS #{<member>}",
    "HPEXPIRE <hash> 0000 FIELDS #{<member>}",
    "HPEXPIREAT <hash> <at-millis> FIELDS #{<member>}",
    "HSETEX <hash> [FNX|FXX] PX 0000 FIELDS #{<member> <value>}",
    "HGETEX <hash> (PX 0000|PERSIST) FIELDS #{<member>}",
    "HGETDEL <hash> FIELDS #{<member>}",
    "HPERSIST <hash> FIELDS #{<member>}",
    "HDEL <hash> {<member>}",
    "HSET <hash> {<member> <value>}",
    "HINCRBY <hash> <member> <int>",
    "SPOP <set>",
    "SPOP <set> <count>",
    "XADD <stream> * a 1",
    "XADD <stream> MAXLEN ~ <small> * a 1",
    "XADD <stream> [NOMKSTREAM] MINID ~ <id> * a 1",
    "XTRIM <stream> MAXLEN ~ <small>",
    "XGROUP CREATE <stream> <group> (0|$) MKSTREAM",
    "XREADGROUP GROUP <group> <consumer> COUNT <small> STREAMS <stream> (>|0)",
    "XCLAIM <stream> <group> <consumer> 0 {<id>} FORCE",
    "XCLAIM <stream> <group> <consumer> 1 {<id>} IDLE 3 LASTID <id>",
    "XAUTOCLAIM <stream> <group> <consumer> 0000 - COUNT <small>",
    "SORT <set> BY nosort GET <sort-by> STORE <list>",
    "SORT <set> ALPHA BY <sort-by> STORE <any>",
    "GEOSEARCHSTORE <geo> <geo> FROMMEMBER <member> BYRADIUS 2500 km COUNT 2 ANY",
    "PFADD <hll> {<member>}",
    "PFCOUNT <hll>",
    "EXISTS {<any>}",
    "MULTI",
    "DBSIZE",
    "EXEC",
];
/// Milliseconds.
const LIFETIMES: &[u64] = &[1, 2, 3, 10, 100, 100_000];

pub struct Timed {
    lines: Vec<Sequence>,
}

impl Timed {
    pub fn new() -> Self {
        Self { lines: LINES.iter().map(|line| parse(line)).collect() }
    }

    pub fn call(&self, rng: &mut Rng) -> Call {
        let mut call = Call(expand(&self.lines[rng.usize(..self.lines.len())], rng));
        let lifetime = LIFETIMES[rng.usize(..LIFETIMES.len())].to_string().into_bytes();
        call.0.iter_mut().filter(|arg| *arg == b"0000").for_each(|arg| arg.clone_from(&lifetime));
        call
    }

    /// How long nothing happens.
    pub fn pause_us(rng: &mut Rng) -> u64 {
        [1000, 3000, 20_000, 200_000][rng.usize(..4)]
    }
}
