//! The comparison as text.

use std::fmt;

use super::{Comparison, Entry, Ratios};

/// With fewer requests than that unsent, a server has kept the rate of an open loop.
const OVERDUE_PERCENT_TOLD: f64 = 0.1;

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.machine.text())?;
        let Self { server_cpus, client_cpus, .. } = self;
        writeln!(f, "server on CPU {server_cpus} (as many as reactors), generator on CPU {client_cpus}")?;
        for version in &self.versions {
            if let Some(text) = &version.version {
                writeln!(f, "{}: {text}", version.peer)?;
            }
        }
        for (index, entry) in self.entries.iter().enumerate() {
            if index == 0 || self.entries[index - 1].reactors != entry.reactors {
                self.write_head(f, entry.reactors)?;
            } else if self.entries[index - 1].workload != entry.workload {
                writeln!(f)?;
            }
            self.write_entry(f, entry)?;
        }
        Ok(())
    }
}

impl Comparison {
    fn write_head(&self, f: &mut fmt::Formatter<'_>, reactors: u16) -> fmt::Result {
        writeln!(
            f,
            "\n{reactors} reactor(s); server CPU in µs per request; behind CPU and p99.9 their ratios to others' (/)"
        )?;
        write!(f, "{:<16} {:<10} {:>9} {:>8}", "workload", "server", "req/s", "CPU µs")?;
        self.baselines.iter().try_for_each(|baseline| write!(f, " {:>7}", format!("/{baseline}")))?;
        let [p50, p99, p999] = ["p50 µs", "p99 µs", "p99.9 µs"];
        write!(f, " {p50:>8} {p99:>8} {p999:>9}")?;
        self.baselines.iter().try_for_each(|baseline| write!(f, " {:>7}", format!("/{baseline}")))?;
        writeln!(f, " {:>8} {:>8}", "RSS MiB", "gen. µs")
    }

    fn write_entry(&self, f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
        write!(f, "{:<16} {:<10} ", entry.workload, entry.peer)?;
        if let Some(failure) = &entry.failure {
            return writeln!(f, "FAILED: {failure}");
        }
        let median = &entry.median;
        write!(f, "{:>9.0} {:>8.3}", median.requests_per_second, median.server_cpu_us_per_request)?;
        self.write_ratios(f, entry, |ratios| ratios.server_cpu)?;
        write!(f, " {:>8.0} {:>8.0} {:>9.0}", median.p50_us, median.p99_us, median.p999_us)?;
        self.write_ratios(f, entry, |ratios| ratios.p999)?;
        let mib = median.resident_bytes / f64::from(1 << 20);
        write!(f, " {mib:>8.1} {:>8.3}", median.client_cpu_us_per_request)?;
        match median.overdue_part * 100.0 {
            percent if percent >= OVERDUE_PERCENT_TOLD => writeln!(f, "  {percent:.1} % were never sent"),
            _ => writeln!(f),
        }
    }

    fn write_ratios(
        &self,
        f: &mut fmt::Formatter<'_>,
        entry: &Entry,
        field: impl Fn(&Ratios) -> Option<f64>,
    ) -> fmt::Result {
        for baseline in &self.baselines {
            let ratio = entry.ratios.iter().find(|ratios| ratios.to == *baseline).and_then(&field);
            let text = ratio.map(|ratio| format!("{ratio:.2}"));
            write!(f, " {:>7}", text.as_deref().unwrap_or("-"))?;
        }
        Ok(())
    }
}
