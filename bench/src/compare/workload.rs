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

const BASE: Workload = Workload {
    name: "",
    line: GET,
    fill: Fill::Values,
    clients: 50,
    pipeline: 1,
    keys: 100_000,
    data_size: 16,
};

pub const WORKLOADS: [Workload; 12] = [
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
