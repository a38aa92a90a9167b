//! LATENCY DOCTOR: what the samples show, in words, and what to do about it.

use std::fmt::Write;

use crate::config::{AppendFsync, Config};
use crate::observe::{Loops, Series, Stages, Timing, Work};

const OFF: &str = "Nothing is watched. CONFIG SET latency-monitor-threshold <milliseconds> starts it.\n";
const FINE: &str = "Nothing took as long as the threshold so far.\n";

const SEE_SLOW_LOG: &str = "See SLOWLOG GET for the commands that took long.";
const LARGE_VALUES: &str = "Commands on a whole value take as long as the value is large: split large ones, or read \
                            and write them in parts.";
const NOISY_MACHINE: &str = "Fast commands are slow when the reactor does not get its core: look for other work on \
                             the machine, give the server cores of its own (reactor-cpus), and see what `redis-cli \
                             --intrinsic-latency 100` measures there.";
const OFTEN: &str = "Expiry does little at a time if it runs often: CONFIG SET hz 100.";
const NO_ROOM: &str = "Room was made for new data: a larger maxmemory, or data that expires before it comes to that, \
                       keeps it from happening at once.";

/// Waits that are told of, in milliseconds, where no threshold says what is long.
const LONG_MS: u64 = 10;
/// Of a hundred waits the one that is told of.
const QUANTILE: f64 = 0.99;

/// What a request may wait for beside its command, on all reactors.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub(super) loops: Loops,
    pub(super) stages: Stages,
}

impl Waits {
    /// What took long, and why that may be.
    fn findings(&self, config: &Config) -> Vec<String> {
        let long_ms = match u64::try_from(config.latency_monitor_threshold) {
            Ok(ms @ 1..) => ms,
            _ => LONG_MS,
        };
        let longest_ms = self.loops.longest_us / 1000;
        let gap = (longest_ms >= long_ms).then(|| {
            format!(
                "An iteration of a reactor's loop took {longest_ms} ms, the longest since the start or CONFIG RESETSTAT: \
                 all clients of that core waited as long. INFO reactors tells which core (longest_loop_usec), SLOWLOG \
                 GET the command, if it was one. If not, it was expiry, eviction or a step of a snapshot, or the \
                 reactor did not get its core."
            )
        });
        let slow = |timing: &Timing| {
            let ms = timing.histogram().map_or(0, |times| times.value_at_quantile(QUANTILE) / 1_000_000);
            (ms >= long_ms).then_some(ms)
        };
        let lane = slow(&self.stages.lane).map(|ms| {
            format!(
                "Commands for keys of another core are under way to it for {ms} ms or more, one in a hundred: that core \
                 has too much to do, or has to share its time. INFO reactors tells which (busy_usec, longest_loop_usec), and so does \
                 the page of metrics (bobbin_loop_busy_seconds_total, bobbin_lane_batches)."
            )
        });
        let sync = slow(&self.stages.sync).map(|ms| {
            let who = match config.appendfsync {
                AppendFsync::Always => {
                    "Every write waits for that: a faster disk or appendfsync everysec ends it."
                }
                AppendFsync::EverySec | AppendFsync::No => {
                    "No client waits for that, but up to as much more is lost if the machine goes down."
                }
            };
            format!("Making the journal durable takes {ms} ms or more, one time in a hundred. {who}")
        });
        [gap, lane, sync].into_iter().flatten().collect()
    }
}

/// What `samples` and `waits` show.
pub(super) fn diagnosis(samples: &[(Work, Series)], waits: &Waits, config: &Config, now_s: u64) -> String {
    let is_off = samples.is_empty() && config.latency_monitor_threshold == 0;
    let mut advice = waits.findings(config);
    if !is_off {
        advice.extend(self::advice(samples, config));
    }
    let mut text = String::new();
    for (number, (work, series)) in samples.iter().enumerate() {
        writeln!(text, "{}. {}: {}", number + 1, work.name(), Summary::of(series, now_s))
            .expect("a String takes all");
    }
    if samples.is_empty() {
        text.push_str(if is_off { OFF } else { FINE });
    }
    if !advice.is_empty() {
        text.push('\n');
    }
    text.extend(advice.iter().flat_map(|line| ["- ", line, "\n"]));
    text
}

fn advice(samples: &[(Work, Series)], config: &Config) -> Vec<String> {
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
        assert_eq!(diagnosis(&[], &Waits::default(), &watched(0), 0), OFF);
        assert_eq!(diagnosis(&[], &Waits::default(), &watched(100), 0), FINE);
    }

    #[test]
    fn figures_are_those_of_the_samples() {
        let text =
            diagnosis(&[spikes(Work::FastCommand, &[(10, 4), (12, 8)])], &Waits::default(), &watched(1), 20);
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
        let text = diagnosis(&slow, &Waits::default(), &watched(5), 2);
        assert!(text.contains("slowlog-log-slower-than 5000") && text.contains("SLOWLOG GET"), "{text}");
        assert!(!diagnosis(&slow, &Waits::default(), &watched(100), 2).contains("slowlog-log-slower-than"));
        let expiry = [spikes(Work::ExpireCycle, &[(1, 50)])];
        assert!(diagnosis(&expiry, &Waits::default(), &watched(5), 2).contains("hz 100"));
    }

    #[test]
    fn what_a_request_waits_for_beside_commands_is_told() {
        let told = |waits: &Waits, config: &Config| diagnosis(&[], waits, config, 0);
        let mut waits = Waits::default();
        waits.loops.went_round(25_000);
        let text = told(&waits, &watched(0));
        assert!(text.starts_with(OFF) && text.contains("loop took 25 ms"), "{text}");
        assert!(text.contains("since the start or CONFIG RESETSTAT"), "{text}");
        assert!(text.contains("INFO reactors tells which core (longest_loop_usec)"), "{text}");
        ["expiry", "eviction", "snapshot"].iter().for_each(|cause| assert!(text.contains(cause), "{text}"));
        assert_eq!(told(&waits, &watched(30)), FINE);
        waits.stages.lane.record(50_000_000);
        waits.stages.sync.record(40_000_000);
        let text = told(&waits, &watched(30));
        assert!(text.contains("under way to it for 50 ms") && text.contains("durable takes 40 ms"), "{text}");
        assert!(text.contains("INFO reactors tells which (busy_usec, longest_loop_usec)"), "{text}");
        assert!(text.contains("bobbin_loop_busy_seconds_total, bobbin_lane_batches"), "{text}");
        assert!(text.contains("No client waits"), "{text}");
        let always = Config { appendfsync: AppendFsync::Always, ..watched(30) };
        assert!(told(&waits, &always).contains("appendfsync everysec ends it"));
        (0..200).for_each(|_| waits.stages.lane.record(1000));
        assert!(!told(&waits, &watched(30)).contains("under way"), "one of 201 is no rule");
    }
}
