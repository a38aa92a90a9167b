//! The comparison as text.

use std::fmt;

use super::{Comparison, Entry};

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
                write_head(f, entry.reactors, &self.baseline)?;
            } else if self.entries[index - 1].workload != entry.workload {
                writeln!(f)?;
            }
            write_entry(f, entry)?;
        }
        Ok(())
    }
}

fn write_head(f: &mut fmt::Formatter<'_>, reactors: u16, baseline: &str) -> fmt::Result {
    writeln!(f, "\n{reactors} reactor(s); server CPU in µs per request; ratios to {baseline}")?;
    writeln!(
        f,
        "{:<11} {:<10} {:>9} {:>8} {:>6} {:>6} {:>9} {:>9} {:>9} {:>8} {:>8}",
        "workload",
        "server",
        "req/s",
        "CPU µs",
        "CPU",
        "rate",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "RSS MiB",
        "gen. µs"
    )
}

fn write_entry(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    if let Some(failure) = &entry.failure {
        return writeln!(f, "{:<11} {:<10} FAILED: {failure}", entry.workload, entry.peer);
    }
    let ratio = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    let median = &entry.median;
    writeln!(
        f,
        "{:<11} {:<10} {:>9.0} {:>8.3} {:>6} {:>6} {:>9.0} {:>9.0} {:>9.0} {:>8.1} {:>8.3}",
        entry.workload,
        entry.peer,
        median.requests_per_second,
        median.server_cpu_us_per_request,
        ratio(entry.cpu_ratio),
        ratio(entry.rate_ratio),
        median.p50_us,
        median.p99_us,
        median.p999_us,
        median.resident_bytes / f64::from(1 << 20),
        median.client_cpu_us_per_request,
    )
}
