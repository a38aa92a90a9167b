//! LATENCY DOCTOR: what the samples show, in words, and what to do about it.

use std::fmt::Write;

use crate::config::Config;
use crate::observe::{Series, Work};

const OFF: &str = "Nothing is watched. CONFIG SET latency-monitor-threshold <milliseconds> starts it.\n";
const FINE: &str = "Nothing took as long as the threshold so far.\n";

const HUGE_PAGES: &str = "The process holds huge pages: giving them back in part costs memory or time. To be without: \
                          echo never > /sys/kernel/mm/transparent_hugepage/enabled, and start the server again.";
const SEE_SLOW_LOG: &str = "See SLOWLOG GET for the commands that took long.";
const LARGE_VALUES: &str = "Commands on a whole value take as long as the value is large: split large ones, or read \
                            and write them in parts.";
const NOISY_MACHINE: &str = "Fast commands are slow when the reactor does not get its core: look for other work on \
                             the machine, give the server cores of its own (reactor-cpus), and see what `redis-cli \
                             --intrinsic-latency 100` measures there.";
const OFTEN: &str = "Expiry does little at a time if it runs often: CONFIG SET hz 100.";
const NO_ROOM: &str = "Room was made for new data: a larger maxmemory, or data that expires before it comes to that, \
                       keeps it from happening at once.";

/// What `samples` show. `huge_page_bytes`: of the process.
pub(super) fn diagnosis(
    samples: &[(Work, Series)],
    config: &Config,
    now_s: u64,
    huge_page_bytes: u64,
) -> String {
    let advice = advice(samples, config, huge_page_bytes);
    if samples.is_empty() && config.latency_monitor_threshold == 0 {
        return OFF.to_owned();
    }
    let mut text = String::new();
    for (number, (work, series)) in samples.iter().enumerate() {
        writeln!(text, "{}. {}: {}", number + 1, work.name(), Summary::of(series, now_s))
            .expect("a String takes all");
    }
    if samples.is_empty() {
        text.push_str(FINE);
    }
    if !advice.is_empty() {
        text.push('\n');
    }
    text.extend(advice.iter().flat_map(|line| ["- ", line, "\n"]));
    text
}

fn advice(samples: &[(Work, Series)], config: &Config, huge_page_bytes: u64) -> Vec<String> {
    let mut advice: Vec<String> = Vec::new();
    for (work, _) in samples {
        match work {
            Work::Command => {
                advice.extend(slow_log_advice(config));
                advice.push(SEE_SLOW_LOG.to_owned());
                advice.push(LARGE_VALUES.to_owned());
            }
            Work::FastCommand => advice.push(NOISY_MACHINE.to_owned()),
            Work::ExpireCycle if config.hz.per_second() < 100 => advice.push(OFTEN.to_owned()),
            Work::ExpireCycle => {}
            Work::EvictionCycle => advice.push(NO_ROOM.to_owned()),
        }
    }
    if huge_page_bytes > 0 {
        advice.push(HUGE_PAGES.to_owned());
    }
    advice
}

/// The slow log should see what the monitor sees.
fn slow_log_advice(config: &Config) -> Option<String> {
    let slower_than_us = config.slowlog_log_slower_than;
    let threshold_us = config.latency_monitor_threshold.max(1).saturating_mul(1000);
    let blind = slower_than_us < 0 || slower_than_us > threshold_us || config.slowlog_max_len == 0;
    blind.then(|| {
        format!("The slow log leaves some of these out: CONFIG SET slowlog-log-slower-than {threshold_us}.")
    })
}

/// One kind of event in figures.
struct Summary {
    samples: usize,
    average_ms: u64,
    deviation_ms: u64,
    period_s: f64,
    worst_ms: u64,
}

impl Summary {
    fn of(series: &Series, now_s: u64) -> Self {
        let samples = series.len().max(1);
        let average_ms = series.iter().map(|sample| sample.ms).sum::<u64>() / samples as u64;
        let deviations = series.iter().map(|sample| sample.ms.abs_diff(average_ms));
        let since_s = series.iter().next().map_or(0, |first| now_s.saturating_sub(first.unix_s));
        Self {
            samples,
            average_ms,
            deviation_ms: deviations.sum::<u64>() / samples as u64,
            period_s: since_s.max(1) as f64 / samples as f64,
            worst_ms: series.worst_ms(),
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} spikes, {} ms on average (mean deviation {} ms), one every {:.2} s. The worst ever took {} ms.",
            self.samples, self.average_ms, self.deviation_ms, self.period_s, self.worst_ms
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::LatencyMonitor;

    fn watched(threshold_ms: i64) -> Config {
        Config { latency_monitor_threshold: threshold_ms, ..Config::default() }
    }

    fn spikes(work: Work, samples: &[(u64, u64)]) -> (Work, Series) {
        let mut monitor = LatencyMonitor::default();
        monitor.configure(1);
        samples.iter().for_each(|&(s, ms)| monitor.note(work, s * 1000, ms * 1_000_000));
        (work, monitor.series(work).clone())
    }

    #[test]
    fn nothing_seen_is_told_from_nothing_watched() {
        assert_eq!(diagnosis(&[], &watched(0), 0, 0), OFF);
        assert_eq!(diagnosis(&[], &watched(100), 0, 0), FINE);
    }

    #[test]
    fn figures_are_those_of_the_samples() {
        let text = diagnosis(&[spikes(Work::FastCommand, &[(10, 4), (12, 8)])], &watched(1), 20, 0);
        assert!(
            text.starts_with(
                "1. fast-command: 2 spikes, 6 ms on average (mean deviation 2 ms), one every 5.00 s. \
                 The worst ever took 8 ms.\n\n- Fast commands"
            ),
            "{text}"
        );
    }

    #[test]
    fn advice_fits_the_settings() {
        let slow = [spikes(Work::Command, &[(1, 50)])];
        let text = diagnosis(&slow, &watched(5), 2, 0);
        assert!(text.contains("slowlog-log-slower-than 5000") && text.contains("SLOWLOG GET"), "{text}");
        assert!(!diagnosis(&slow, &watched(100), 2, 0).contains("slowlog-log-slower-than"));
        assert!(diagnosis(&slow, &watched(100), 2, 4096).contains("transparent_hugepage"));
        let expiry = [spikes(Work::ExpireCycle, &[(1, 50)])];
        assert!(diagnosis(&expiry, &watched(5), 2, 0).contains("hz 100"));
    }
}
