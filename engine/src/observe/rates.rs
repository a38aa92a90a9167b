//! Rates over the last seconds: what INFO calls `instantaneous`.

/// Samples averaged, and the least time between two of them; as in Redis.
const SAMPLES: usize = 16;
const PERIOD_US: u64 = 100_000;

/// How fast a total grows.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    /// Per second, one for each period.
    samples: [u64; SAMPLES],
    next: usize,
    total: u64,
}

impl Rate {
    fn sample(&mut self, total: u64, elapsed_us: u64) {
        let grown = total.saturating_sub(self.total);
        self.samples[self.next] = grown.saturating_mul(1_000_000) / elapsed_us;
        self.next = (self.next + 1) % SAMPLES;
        self.total = total;
    }

    pub fn per_second(&self) -> u64 {
        self.samples.iter().sum::<u64>() / SAMPLES as u64
    }
}

/// The rates of one reactor.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    pub commands: Rate,
    pub net_in: Rate,
    pub net_out: Rate,
    pub loops: Rate,
    /// Of the monotonic clock.
    sampled_us: u64,
}

/// The totals that rates are made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub commands: u64,
    pub net_in: u64,
    pub net_out: u64,
    pub loops: u64,
}

impl Rates {
    /// Takes a sample if it is time for one.
    pub fn tick(&mut self, now_us: u64, totals: Totals) {
        let elapsed_us = now_us.saturating_sub(self.sampled_us);
        if elapsed_us < PERIOD_US {
            return;
        }
        self.commands.sample(totals.commands, elapsed_us);
        self.net_in.sample(totals.net_in, elapsed_us);
        self.net_out.sample(totals.net_out, elapsed_us);
        self.loops.sample(totals.loops, elapsed_us);
        self.sampled_us = now_us;
    }

    /// Forgets what was seen (CONFIG RESETSTAT): the totals begin at 0 again.
    pub fn reset(&mut self) {
        *self = Self { sampled_us: self.sampled_us, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(commands: u64) -> Totals {
        Totals { commands, ..Totals::default() }
    }

    #[test]
    fn a_steady_total_gives_a_steady_rate() {
        let mut rates = Rates::default();
        for second in 1..=20 {
            rates.tick(second * 1_000_000, totals(second * 500));
        }
        assert_eq!(rates.commands.per_second(), 500);
    }

    #[test]
    fn samples_are_a_period_apart() {
        let mut rates = Rates::default();
        rates.tick(1_000_000, totals(0));
        rates.tick(1_000_001, totals(1_000_000));
        assert_eq!(rates.commands.per_second(), 0);
    }

    #[test]
    fn a_total_that_starts_again_counts_as_none() {
        let mut rates = Rates::default();
        rates.tick(1_000_000, totals(100));
        rates.reset();
        rates.tick(2_000_000, totals(1600));
        assert_eq!(rates.commands.per_second(), 100);
    }
}
