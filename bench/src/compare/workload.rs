//! The workloads, by name. Keys are random over all that were written before, so that the database is
//! measured and not one cache line.

/// One row of the comparison.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub name: &'static str,
    pub line: &'static str,
    pub fill: Fill,
    pub clients: usize,
    pub pipeline: usize,
    pub keys: u64,
    pub data_size: usize,
}

/// What is there before the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Every key's value; read back before and after.
    Values,
    /// What this command, once per key, makes.
    Line(&'static str),
}

const GET: &str = "GET __key__";
const SET: &str = "SET __key__ __data__";
const INCR: &str = "INCR __key__";
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

/// A command on keys of one type, filled by itself.
const fn of_type(name: &'static str, line: &'static str) -> Workload {
    Workload { name, line, fill: Fill::Line(line), pipeline: 16, ..BASE }
}

/// A command that takes members out, of keys filled with 64 each.
const fn taking(name: &'static str, line: &'static str, fill: &'static str) -> Workload {
    Workload { name, line, fill: Fill::Line(fill), pipeline: 16, ..BASE }
}

const BASE: Workload = Workload {
    name: "",
    line: GET,
    fill: Fill::Values,
    clients: 50,
    pipeline: 1,
    keys: 100_000,
    data_size: 16,
};

pub const WORKLOADS: [Workload; 24] = [
    Workload { name: "get-p1", ..BASE },
    Workload { name: "set-p1", line: SET, ..BASE },
    Workload { name: "get-p16", pipeline: 16, ..BASE },
    Workload { name: "set-p16", line: SET, pipeline: 16, ..BASE },
    Workload { name: "get-p64", clients: 16, pipeline: 64, ..BASE },
    Workload { name: "set-p64", line: SET, clients: 16, pipeline: 64, ..BASE },
    Workload { name: "get-4k-p4", pipeline: 4, data_size: 4096, ..BASE },
    Workload { name: "set-4k-p4", line: SET, pipeline: 4, data_size: 4096, ..BASE },
    Workload { name: "set-5m-p16", line: SET, pipeline: 16, keys: 5_000_000, data_size: 64, ..BASE },
    Workload { name: "incr-p16", line: INCR, fill: Fill::Line(INCR), pipeline: 16, ..BASE },
    Workload { name: "mset10-p4", line: MSET_10, pipeline: 4, ..BASE },
    Workload { name: "mget10-p4", line: MGET_10, pipeline: 4, ..BASE },
    of_type("lpush-p16", "LPUSH __key__ __data__"),
    of_type("rpush-p16", "RPUSH __key__ __data__"),
    taking("lpop-p16", "LPOP __key__", FILL_LISTS),
    of_type("sadd-p16", "SADD __key__ __key__"),
    of_type("sadd-one-p16", "SADD set __key__"),
    taking("spop-p16", "SPOP __key__", FILL_SETS),
    of_type("hset-p16", "HSET __key__ __key__ __data__"),
    of_type("zadd-p16", "ZADD __key__ 1 __key__"),
    of_type("zadd-one-p16", "ZADD zset 1 __key__"),
    taking("zpopmin-p16", "ZPOPMIN __key__", FILL_ZSETS),
    of_type("xadd-p16", "XADD stream * field __data__ other __key__"),
    Workload {
        name: "lrange-p4",
        line: "LRANGE __key__ 0 99",
        fill: Fill::Line(FILL_100),
        pipeline: 4,
        keys: 1000,
        ..BASE
    },
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
        for workload in WORKLOADS {
            let template = Template::parse(workload.line, &keys, workload.data_size).unwrap();
            assert!(workload.name.starts_with(&template.name().to_lowercase()), "{}", workload.name);
            if let Fill::Line(line) = workload.fill {
                Template::parse(line, &keys, workload.data_size).unwrap();
            }
        }
    }

    #[test]
    fn scaling_leaves_a_key() {
        assert_eq!(WORKLOADS[0].scaled(0.5).keys, 50_000);
        assert_eq!(WORKLOADS[0].scaled(0.0).keys, 1);
    }
}
