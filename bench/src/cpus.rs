//! Sets of CPUs, as `taskset -c` writes them, and pinning to them.

use std::fmt;
use std::str::FromStr;

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::Error;

/// One CPU or more, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpus(Vec<usize>);

impl FromStr for Cpus {
    type Err = String;

    /// `0`, `0,2`, `0-3,8`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| match text.parse::<usize>() {
                Ok(cpu) if cpu < CpuSet::MAX_CPU => Ok(cpu),
                _ => Err(format!("{text:?} is not a CPU number below {}", CpuSet::MAX_CPU)),
            };
            let range = number(first)?..=number(last)?;
            if range.is_empty() {
                return Err(format!("{part:?} is an empty range"));
            }
            cpus.extend(range);
        }
        Ok(Self(cpus))
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

impl Cpus {
    /// Binds the calling thread, and what it starts, to all of the set.
    pub fn pin_current(&self) -> Result<(), Error> {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|cpu| set.set(*cpu));
        sched_setaffinity(None, &set)
            .map_err(|errno| Error::system(format!("cannot pin to CPU {self}"), errno))
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The CPU of thread `index`, round and round.
    #[must_use]
    pub fn one(&self, index: usize) -> Self {
        Self(vec![self.0[index % self.0.len()]])
    }

    /// The first `count`, or all when there are fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self(self.0[..count.clamp(1, self.0.len())].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_read() {
        assert_eq!("0".parse(), Ok(Cpus(vec![0])));
        assert_eq!("3,0-2".parse(), Ok(Cpus(vec![3, 0, 1, 2])));
        for text in ["", "a", "1,", "2-1", "-1", "99999999", "1-2-3"] {
            assert!(text.parse::<Cpus>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn threads_take_the_cpus_in_turn() {
        let cpus: Cpus = "4,6".parse().unwrap();
        let taken: Vec<String> = (0..3).map(|index| cpus.one(index).to_string()).collect();
        assert_eq!(taken, ["4", "6", "4"]);
        assert_eq!(cpus.first(1).to_string(), "4");
        assert_eq!(cpus.first(9).to_string(), "4,6");
    }
}
