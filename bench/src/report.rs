//! A run's outcome as text for the terminal and JSON for programs.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::Error;
use crate::histogram::{Latency, Step, Summary};
use crate::load::Tally;
use crate::machine::Machine;
use crate::workload::Mix;

/// Lines of the distribution for each halving of the distance to 100 %.
const STEPS_PER_HALF: u32 = 4;

#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub server: Option<String>,
    pub target: String,
    pub connections: usize,
    pub pipeline: usize,
    /// Requests per second asked for in all; none in a closed loop.
    pub rate: Option<f64>,
    /// Requests that were due and could not be sent: the server did not keep the rate.
    pub overdue: u64,
    /// Requests that a node of the cluster has sent on to another.
    pub moved: u64,
    pub elapsed_s: f64,
    pub client_cpu_us_per_request: f64,
    pub commands: Vec<Line>,
    pub totals: Line,
    pub error_texts: Vec<String>,
    pub read_back: Option<ReadBack>,
    pub timeline: Vec<Sample>,
    /// Empty if it was to be hidden.
    pub distribution: Vec<Step>,
}

/// One command of the mix, or all of them.
#[derive(Debug, Serialize)]
pub struct Line {
    pub command: String,
    pub requests: u64,
    pub requests_per_second: f64,
    pub errors: u64,
    pub misses: u64,
    pub mismatches: u64,
    pub latency: Summary,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReadBack {
    pub keys: u64,
    pub missing: u64,
    pub mismatches: u64,
}

/// Throughput between the sample before and this one.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    pub at_s: f64,
    pub requests_per_second: f64,
}

impl From<&Tally> for ReadBack {
    fn from(tally: &Tally) -> Self {
        Self {
            keys: tally.requests(),
            missing: tally.misses(),
            mismatches: tally.mismatches() + tally.errors(),
        }
    }
}

/// One line per command.
pub fn lines(mix: &Mix, tally: &Tally, percentiles: &[f64]) -> Vec<Line> {
    let line = |(row, counted): (&crate::workload::Row, &crate::load::RowTally)| Line {
        command: row.template.line().to_owned(),
        requests: counted.latency.count(),
        requests_per_second: per_second(counted.latency.count(), tally.elapsed_ns),
        errors: counted.errors,
        misses: counted.misses,
        mismatches: counted.mismatches,
        latency: counted.latency.summary(percentiles),
    };
    mix.rows.iter().zip(&tally.rows).map(line).collect()
}

pub fn totals(tally: &Tally, percentiles: &[f64]) -> Line {
    Line {
        command: "Totals".to_owned(),
        requests: tally.requests(),
        requests_per_second: tally.requests_per_second(),
        errors: tally.errors(),
        misses: tally.misses(),
        mismatches: tally.mismatches(),
        latency: tally.latency().summary(percentiles),
    }
}

pub fn timeline(tally: &Tally) -> Vec<Sample> {
    let (mut last_ns, mut last_count) = (0, 0);
    let sample = |(at_ns, count): &(u64, u64)| {
        let requests_per_second = per_second(count - last_count, at_ns - last_ns);
        (last_ns, last_count) = (*at_ns, *count);
        Sample { at_s: *at_ns as f64 / 1e9, requests_per_second }
    };
    tally.timeline.iter().map(sample).collect()
}

/// Writes any report as indented JSON.
pub fn write_json(path: &Path, report: &impl Serialize) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_path_buf(), source };
    let mut text = serde_json::to_string_pretty(report).map_err(|error| failed(error.into()))?;
    text.push('\n');
    write_text(path, &text)
}

pub fn write_page(path: &Path, page: Result<String, serde_json::Error>) -> Result<(), Error> {
    let page = page.map_err(|error| Error::File { path: path.to_path_buf(), source: error.into() })?;
    write_text(path, &page)
}

pub fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::File { path: path.to_path_buf(), source })
}

impl Report {
    /// Whether the figures stand for what was asked.
    pub fn is_sound(&self) -> bool {
        let read_back_ok = self.read_back.is_none_or(|read_back| read_back.mismatches == 0);
        self.totals.errors == 0 && self.totals.mismatches == 0 && read_back_ok
    }

    pub fn text(&self) -> String {
        let mut text = self.machine.text();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}\n", self.headline());
        self.write_table(&mut text);
        let (elapsed_s, cpu) = (self.elapsed_s, self.client_cpu_us_per_request);
        let _ = writeln!(text, "\n{elapsed_s:.2} s; the generator took {cpu:.3} µs of CPU per request");
        self.complaints().iter().for_each(|complaint| _ = writeln!(text, "{complaint}"));
        self.write_distribution(&mut text);
        text
    }

    pub(crate) fn headline(&self) -> String {
        let pace = self.rate.map_or("closed loop".to_owned(), |rate| format!("open loop at {rate:.0}/s"));
        let server = self.server.as_deref().unwrap_or("server of unknown version");
        let Self { target, connections, pipeline, .. } = self;
        format!("{server} at {target}: {connections} connections, pipeline {pipeline}, {pace}")
    }

    fn write_table(&self, text: &mut String) {
        let lines = || self.commands.iter().chain([&self.totals]);
        let name = |line: &Line| line.command.chars().take(40).collect::<String>();
        let width = lines().map(|line| name(line).chars().count()).max().unwrap_or(0).max(8);
        let _ = write!(
            text,
            "{:<width$} {:>12} {:>12} {:>8} {:>8} {:>9}",
            "Command", "Requests", "Per second", "Errors", "Misses", "Avg µs"
        );
        for percentile in &self.totals.latency.percentiles_us {
            let _ = write!(text, " {:>9}", format!("p{}", percentile.percentile));
        }
        let _ = writeln!(text, " {:>9}", "Max");
        for line in lines() {
            let latency = &line.latency;
            let _ = write!(
                text,
                "{:<width$} {:>12} {:>12.0} {:>8} {:>8} {:>9.1}",
                name(line),
                line.requests,
                line.requests_per_second,
                line.errors,
                line.misses,
                latency.mean_us
            );
            for percentile in &latency.percentiles_us {
                let _ = write!(text, " {:>9.1}", percentile.us);
            }
            let _ = writeln!(text, " {:>9.1}", latency.max_us);
        }
    }

    /// What went otherwise than asked, and how reading back ended.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut say = |text: String| complaints.push(text);
        if self.overdue > 0 {
            say(format!("the rate was not kept: {} requests were due and never sent", self.overdue));
        }
        if self.moved > 0 {
            say(format!("{} requests were sent on to another node (MOVED)", self.moved));
        }
        self.error_texts.iter().for_each(|error| say(format!("error reply: {error}")));
        if self.totals.mismatches > 0 {
            say(format!("WRONG VALUES in {} replies to GET", self.totals.mismatches));
        }
        if let Some(ReadBack { keys, missing, mismatches }) = self.read_back {
            let verdict = if mismatches == 0 { "all as written" } else { "NOT as written" };
            say(format!("read back {keys} keys: {verdict} ({mismatches} wrong, {missing} missing)"));
        }
        complaints
    }

    fn write_distribution(&self, text: &mut String) {
        if self.distribution.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{:>12} {:>12}", "µs", "percentile");
        for step in &self.distribution {
            let _ = writeln!(text, "{:>12.1} {:>12.5}", step.us, step.percentile);
        }
    }
}

/// The detailed distribution of a run.
pub fn distribution(latency: &Latency) -> Vec<Step> {
    latency.steps(STEPS_PER_HALF).collect()
}

fn per_second(count: u64, elapsed_ns: u64) -> f64 {
    if elapsed_ns == 0 { 0.0 } else { count as f64 * 1e9 / elapsed_ns as f64 }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::workload::{KeySpace, Pattern};

    pub(crate) fn report(tally: &Tally, read_back: Option<ReadBack>) -> Report {
        let keys = KeySpace::new(b"key:", 12, 0, 9).unwrap();
        let mix = Mix::single("GET __key__", &keys, 4, Pattern::Uniform).unwrap();
        Report {
            machine: Machine::this(),
            server: Some("redis 7.0.15".to_owned()),
            target: "127.0.0.1:1".to_owned(),
            connections: 2,
            pipeline: 1,
            rate: None,
            overdue: 3,
            moved: 2,
            elapsed_s: 2.0,
            client_cpu_us_per_request: 0.5,
            commands: lines(&mix, tally, &[50.0, 99.99]),
            totals: totals(tally, &[50.0, 99.99]),
            error_texts: tally.error_texts.clone(),
            read_back,
            timeline: timeline(tally),
            distribution: distribution(&tally.latency()),
        }
    }

    pub(crate) fn tally() -> Tally {
        let mut tally = Tally::new(1);
        tally.rows[0].latency.record(40_000, 100);
        tally.elapsed_ns = 2_000_000_000;
        tally.timeline = vec![(1_000_000_000, 80), (2_000_000_000, 100)];
        tally
    }

    #[test]
    fn text_and_json_carry_the_same_figures() {
        let report = report(&tally(), None);
        let text = report.text();
        for part in [
            "GET __key__",
            "p99.99",
            "40.0",
            "redis 7.0.15",
            "Linux",
            "3 requests were due",
            "2 requests were sent on",
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["totals"]["requests"], 100);
        assert_eq!(json["totals"]["latency"]["percentiles_us"][1]["percentile"], 99.99);
        assert_eq!(json["timeline"][1]["requests_per_second"], 20.0);
    }

    #[test]
    fn errors_and_wrong_values_make_a_run_unsound() {
        assert!(report(&tally(), None).is_sound());
        let mut wrong = tally();
        wrong.rows[0].mismatches = 1;
        assert!(!report(&wrong, None).is_sound());
        let mut failed = tally();
        failed.note_error(0, b"-ERR no\r\n");
        let failed = report(&failed, None);
        assert!(!failed.is_sound() && failed.text().contains("-ERR no"));
        let lost = ReadBack { keys: 9, missing: 1, mismatches: 1 };
        let lost = report(&tally(), Some(lost));
        assert!(!lost.is_sound() && lost.text().contains("NOT as written"));
    }
}
