//! When a connection's requests are due. Times are nanoseconds since the phase began.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// How far apart the arrivals of an open loop are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly spaced.
    Fixed,
    /// As from many independent users: exponential gaps with the same mean.
    Poisson,
}

/// One connection's due times.
#[derive(Debug)]
pub struct Schedule {
    due_ns: f64,
    interval_ns: f64,
    arrivals: Arrivals,
    rng: Xoshiro256PlusPlus,
}

impl Schedule {
    /// Connection `index` of `of`, each with `rate` requests per second; connections are staggered so
    /// that together they arrive as evenly as each does.
    pub fn new(rate: f64, arrivals: Arrivals, index: usize, of: usize, seed: u64) -> Self {
        let interval_ns = 1e9 / rate;
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ (index as u64) << 32);
        let offset = interval_ns * index as f64 / of as f64;
        Self { due_ns: offset, interval_ns, arrivals, rng }
    }

    /// When the next request is due.
    pub fn due_ns(&self) -> u64 {
        self.due_ns as u64
    }

    /// Passes to the request after.
    pub fn advance(&mut self) {
        self.due_ns += match self.arrivals {
            Arrivals::Fixed => self.interval_ns,
            Arrivals::Poisson => {
                let uniform: f64 = self.rng.random();
                -self.interval_ns * (1.0 - uniform).ln()
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_arrivals_of_all_connections_interleave_evenly() {
        let mut due: Vec<u64> = (0..4)
            .flat_map(|index| {
                let mut schedule = Schedule::new(1000.0, Arrivals::Fixed, index, 4, 1);
                std::iter::repeat_with(move || {
                    let due = schedule.due_ns();
                    schedule.advance();
                    due
                })
                .take(3)
            })
            .collect();
        due.sort_unstable();
        assert_eq!(due, (0..12).map(|k| k * 250_000).collect::<Vec<u64>>());
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_spread_of_an_exponential() {
        let mut schedule = Schedule::new(1000.0, Arrivals::Poisson, 0, 1, 1);
        let gaps: Vec<f64> = (0..100_000)
            .map(|_| {
                let before = schedule.due_ns;
                schedule.advance();
                schedule.due_ns - before
            })
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let beyond = gaps.iter().filter(|gap| **gap > 1e6).count();
        assert!((0.98e6..1.02e6).contains(&mean), "{mean}");
        assert!((36_000..37_600).contains(&beyond), "1/e of the gaps exceed the mean: {beyond}");
    }
}
