//! The workloads, by name. Keys are random over all that were written before, so that the database is
//! measured and not one cache line.

use crate::peers::Journal;
use crate::workload::Pattern;

/// One row of the comparison.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub name: &'static str,
    /// Commands and their shares.
    pub mix: &'static [(u32, &'static str)],
    pub pattern: Pattern,
    pub fill: Fill,
    pub clients: usize,
    pub pipeline: usize,
    pub pace: Pace,
    pub keys: u64,
    pub data_size: usize,
    pub journal: Journal,
    /// Connections that have subscribed to [`CHANNEL`].
    pub subscribers: usize,
    /// The numbers of reactors it says something about.
    pub reactors: &'static [u16],
}

/// What is there before the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Every key's value; read back before and after.
    Values,
    /// What the first command of the mix, once per key, makes.
    Itself,
    /// What this command, once per key, makes.
    Line(&'static str),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as it is answered.
    Closed,
    /// An open loop at this part of what [`PACE_MAKER`] answers in a closed one.
    PartOfPeak(f64),
}

/// All servers are sent the same open loop: one that this one can bear.
pub const PACE_MAKER: &str = "redis";
/// What is published, and where.
pub const CHANNEL: &str = "news";

const GET: &str = "GET __key__";
const SET: &str = "SET __key__ __data__";
const EXEC_5: &str = "MULTI ; SET __key__ __data__ ; SET __key__ __data__ ; SET __key__ __data__ ; \
     SET __key__ __data__ ; SET __key__ __data__ ; EXEC";
const MSET_10: &str = "MSET __key__ __data__ __key__ __data__ __key__ __data__ __key__ __data__ __key__ __data__ \
     __key__ __data__ __key__ __data__ __key__ __data__ __key__ __data__ __key__ __data__";
const MGET_10: &str = "MGET __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__";

const FILL_LISTS: &str = "RPUSH __key__ e00 e01 e02 e03 e04 e05 e06 e07 e08 e09 e10 e11 e12 e13 e14 e15 e16 e17 e18 e19 \
     e20 e21 e22 e23 e24 e25 e26 e27 e28 e29 e30 e31 e32 e33 e34 e35 e36 e37 e38 e39 e40 e41 e42 e43 \
     e44 e45 e46 e47 e48 e49 e50 e51 e52 e53 e54 e55 e56 e57 e58 e59 e60 e61 e62 e63";
const FILL_SETS: &str = "SADD __key__ e00 e01 e02 e03 e04 e05 e06 e07 e08 e09 e10 e11 e12 e13 e14 e15 e16 e17 e18 e19 e20 \
     e21 e22 e23 e24 e25 e26 e27 e28 e29 e30 e31 e32 e33 e34 e35 e36 e37 e38 e39 e40 e41 e42 e43 e44 \
     e45 e46 e47 e48 e49 e50 e51 e52 e53 e54 e55 e56 e57 e58 e59 e60 e61 e62 e63";
const FILL_ZSETS: &str = "ZADD __key__ 0 e00 1 e01 2 e02 3 e03 4 e04 5 e05 6 e06 7 e07 8 e08 9 e09 10 e10 11 e11 12 e12 13 \
     e13 14 e14 15 e15 16 e16 17 e17 18 e18 19 e19 20 e20 21 e21 22 e22 23 e23 24 e24 25 e25 26 e26 \
     27 e27 28 e28 29 e29 30 e30 31 e31 32 e32 33 e33 34 e34 35 e35 36 e36 37 e37 38 e38 39 e39 40 \
     e40 41 e41 42 e42 43 e43 44 e44 45 e45 46 e46 47 e47 48 e48 49 e49 50 e50 51 e51 52 e52 53 e53 \
     54 e54 55 e55 56 e56 57 e57 58 e58 59 e59 60 e60 61 e61 62 e62 63 e63";
const FILL_100: &str = "RPUSH __key__ e00 e01 e02 e03 e04 e05 e06 e07 e08 e09 e10 e11 e12 e13 e14 e15 e16 e17 e18 e19 \
     e20 e21 e22 e23 e24 e25 e26 e27 e28 e29 e30 e31 e32 e33 e34 e35 e36 e37 e38 e39 e40 e41 e42 e43 \
     e44 e45 e46 e47 e48 e49 e50 e51 e52 e53 e54 e55 e56 e57 e58 e59 e60 e61 e62 e63 e64 e65 e66 e67 \
     e68 e69 e70 e71 e72 e73 e74 e75 e76 e77 e78 e79 e80 e81 e82 e83 e84 e85 e86 e87 e88 e89 e90 e91 \
     e92 e93 e94 e95 e96 e97 e98 e99";

type Commands = &'static [(u32, &'static str)];

const ONE_AND_TWO: &[u16] = &[1, 2];

/// A command on keys of one type, filled by itself.
const fn of_type(name: &'static str, mix: Commands) -> Workload {
    Workload { name, mix, fill: Fill::Itself, pipeline: 16, ..BASE }
}

/// A command that takes members out, of keys filled with 64 each.
const fn taking(name: &'static str, mix: Commands, fill: &'static str) -> Workload {
    Workload { name, mix, fill: Fill::Line(fill), pipeline: 16, ..BASE }
}

/// SETs that are written down.
const fn journalled(name: &'static str, pipeline: usize, journal: Journal) -> Workload {
    Workload { name, mix: &[(1, SET)], pipeline, journal, reactors: ONE_AND_TWO, ..BASE }
}

const BASE: Workload = Workload {
    name: "",
    mix: &[(1, GET)],
    pattern: Pattern::Uniform,
    fill: Fill::Values,
    clients: 50,
    pipeline: 1,
    pace: Pace::Closed,
    keys: 100_000,
    data_size: 16,
    journal: Journal::Off,
    subscribers: 0,
    reactors: &[1],
};

const BASE_GET: Workload = BASE;
const BASE_SET: Workload = Workload { mix: &[(1, SET)], ..BASE };
const GET_5M: Workload = Workload { pipeline: 16, keys: 5_000_000, data_size: 64, ..BASE_GET };
const SET_5M: Workload = Workload { mix: BASE_SET.mix, ..GET_5M };

pub const WORKLOADS: [Workload; 34] = [
    Workload { name: "get-p1", reactors: ONE_AND_TWO, ..BASE_GET },
    Workload { name: "set-p1", reactors: ONE_AND_TWO, ..BASE_SET },
    Workload { name: "get-p16", pipeline: 16, reactors: ONE_AND_TWO, ..BASE_GET },
    Workload { name: "set-p16", pipeline: 16, reactors: ONE_AND_TWO, ..BASE_SET },
    Workload { name: "get-p64", clients: 16, pipeline: 64, ..BASE_GET },
    Workload { name: "set-p64", clients: 16, pipeline: 64, ..BASE_SET },
    Workload { name: "get-4k-p4", pipeline: 4, data_size: 4096, ..BASE_GET },
    Workload { name: "set-4k-p4", pipeline: 4, data_size: 4096, ..BASE_SET },
    Workload { name: "get-64k-p4", pipeline: 4, data_size: 65_536, keys: 4000, ..BASE_GET },
    Workload { name: "set-64k-p4", pipeline: 4, data_size: 65_536, keys: 4000, ..BASE_SET },
    Workload { name: "get-5m-p16", ..GET_5M },
    Workload { name: "set-5m-p16", ..SET_5M },
    of_type("incr-p16", &[(1, "INCR __key__")]),
    Workload { name: "mset10-p4", mix: &[(1, MSET_10)], pipeline: 4, reactors: ONE_AND_TWO, ..BASE },
    Workload { name: "mget10-p4", mix: &[(1, MGET_10)], pipeline: 4, ..BASE },
    of_type("lpush-p16", &[(1, "LPUSH __key__ __data__")]),
    of_type("rpush-p16", &[(1, "RPUSH __key__ __data__")]),
    taking("lpop-p16", &[(1, "LPOP __key__")], FILL_LISTS),
    of_type("sadd-p16", &[(1, "SADD __key__ __key__")]),
    of_type("sadd-one-p16", &[(1, "SADD set __key__")]),
    taking("spop-p16", &[(1, "SPOP __key__")], FILL_SETS),
    of_type("hset-p16", &[(1, "HSET __key__ __key__ __data__")]),
    of_type("zadd-p16", &[(1, "ZADD __key__ 1 __key__")]),
    of_type("zadd-one-p16", &[(1, "ZADD zset 1 __key__")]),
    taking("zpopmin-p16", &[(1, "ZPOPMIN __key__")], FILL_ZSETS),
    of_type("xadd-p16", &[(1, "XADD stream * field __data__ other __key__")]),
    Workload {
        name: "lrange-p4",
        mix: &[(1, "LRANGE __key__ 0 99")],
        fill: Fill::Line(FILL_100),
        pipeline: 4,
        keys: 1000,
        ..BASE
    },
    Workload { name: "exec5-p16", mix: &[(1, EXEC_5)], pipeline: 16, reactors: ONE_AND_TWO, ..BASE },
    Workload {
        name: "publish-p16",
        mix: &[(1, "PUBLISH news __data__")],
        fill: Fill::Nothing,
        clients: 10,
        pipeline: 16,
        subscribers: 50,
        reactors: ONE_AND_TWO,
        ..BASE
    },
    Workload {
        name: "mix-zipf-p16",
        mix: &[(8, GET), (2, SET)],
        pattern: Pattern::Zipfian { exponent: 1.0 },
        pipeline: 16,
        reactors: ONE_AND_TWO,
        ..BASE
    },
    Workload {
        name: "mix-open-70",
        mix: &[(1, GET), (1, SET)],
        pipeline: 16,
        pace: Pace::PartOfPeak(0.7),
        reactors: ONE_AND_TWO,
        ..BASE
    },
    journalled("set-p16-everysec", 16, Journal::EverySec),
    journalled("set-p1-always", 1, Journal::Always),
    journalled("set-p16-always", 16, Journal::Always),
];

impl Workload {
    /// The same over a part of the keys, one at least.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        Self { keys: ((self.keys as f64 * scale) as u64).max(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{KeySpace, Template};

    #[test]
    fn every_workload_has_its_own_name_and_commands_that_parse() {
        let keys = KeySpace::new(b"key:", 12, 0, 9).unwrap();
        let mut names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), WORKLOADS.len());
        for Workload { name, mix, fill, data_size, .. } in WORKLOADS {
            let parse = |line| Template::parse(line, &keys, data_size).unwrap();
            let commands: Vec<String> =
                mix.iter().map(|(_, line)| parse(line).name().to_lowercase()).collect();
            assert!(name.starts_with("mix") || name.starts_with(&commands[0]), "{name}");
            if let Fill::Line(line) = fill {
                parse(line);
            }
        }
    }

    #[test]
    fn what_is_published_goes_to_the_subscribers() {
        for workload in WORKLOADS.iter().filter(|workload| workload.subscribers > 0) {
            assert!(workload.mix[0].1.starts_with(&format!("PUBLISH {CHANNEL} ")));
        }
    }

    #[test]
    fn scaling_leaves_a_key() {
        assert_eq!(WORKLOADS[0].scaled(0.5).keys, 50_000);
        assert_eq!(WORKLOADS[0].scaled(0.0).keys, 1);
    }
}
