//! Servers side by side: each workload on each server in turn, several rounds of all, medians.
//!
//! Every measurement has a server of its own (`measure`), so that none inherits another's memory; taking turns
//! spreads what else the machine does over all. The figure to trust is the server's CPU per request: on few
//! cores the generator is the limit of requests per second.

mod measure;
mod table;
pub mod workload;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::args::seconds;
use crate::histogram::{Latency, PERCENTILES, Percentile, median};
use crate::machine::Machine;
use crate::peers::{Peer, PeerArgs};
use crate::report::Sample;
use crate::{Error, interrupt};
use measure::{Bench, Outcome};
use workload::{PACE_MAKER, Pace, WORKLOADS, Workload};

#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    #[command(flatten)]
    pub peers: PeerArgs,
    /// Workloads to run [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Reactors of each server (io-threads, threads), one comparison for each number [default: what each
    /// workload is for, one or two]
    #[arg(long, value_name = "LIST", value_delimiter = ',',
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub reactors: Vec<u16>,
    /// Measurements of each workload on each server
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Seconds of a measurement
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub test_time: Duration,
    /// Seconds of load before a measurement
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub warmup_time: Duration,
    /// Part of each workload's keys, up to 1
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
    /// A look at everything: one round of half a second over a tenth of the keys
    #[arg(long, conflicts_with_all = ["rounds", "test_time", "warmup_time", "scale"])]
    pub quick: bool,
    /// The servers the ratios are to
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "redis,kevy")]
    pub baseline: Vec<String>,
    /// Write the results as NAME.txt, NAME.json and NAME.html too
    #[arg(long, value_name = "NAME")]
    pub save: Option<PathBuf>,
}

/// One measurement, or the medians of several.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    pub requests_per_second: f64,
    /// User and system time of the whole server process.
    pub server_cpu_us_per_request: f64,
    /// Of the threads that send, without the subscribers'.
    pub client_cpu_us_per_request: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    /// Of an open loop's requests: those that were due and never sent, because the server was behind.
    pub overdue_part: f64,
    pub resident_bytes: f64,
}

/// Figures as parts of another server's on the same workload.
#[derive(Clone, Debug, Serialize)]
pub struct Ratios {
    pub to: String,
    pub server_cpu: Option<f64>,
    pub rate: Option<f64>,
    pub p999: Option<f64>,
    pub resident: Option<f64>,
}

/// One server on one workload.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub workload: &'static str,
    pub reactors: u16,
    pub peer: &'static str,
    /// Requests per second of an open loop.
    pub rate: Option<f64>,
    pub median: Figures,
    pub ratios: Vec<Ratios>,
    pub rounds: Vec<Figures>,
    /// Of all rounds together.
    pub latency_us: Vec<Percentile>,
    /// Of the first round.
    pub timeline: Vec<Sample>,
    /// Why there are no more rounds.
    pub failure: Option<String>,
    #[serde(skip)]
    latency: Option<Latency>,
}

#[derive(Debug, Serialize)]
pub struct Comparison {
    pub machine: Machine,
    pub versions: Vec<Version>,
    pub baselines: Vec<String>,
    pub server_cpus: String,
    pub client_cpus: String,
    pub entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
pub struct Version {
    pub peer: &'static str,
    pub version: Option<String>,
}

impl CompareArgs {
    /// What `--quick` stands for, filled in.
    fn settled(&self) -> Self {
        if !self.quick {
            return self.clone();
        }
        let (test_time, warmup_time) = (Duration::from_millis(500), Duration::from_millis(100));
        Self { rounds: 1, test_time, warmup_time, scale: 0.1, ..self.clone() }
    }
}

impl Comparison {
    /// Whether every figure asked for is there.
    pub fn is_whole(&self) -> bool {
        self.entries.iter().all(|entry| entry.failure.is_none())
    }
}

impl Entry {
    fn blank(workload: &'static str, reactors: u16, peer: &'static str) -> Self {
        Self {
            workload,
            reactors,
            peer,
            rate: None,
            median: medians(&[]),
            ratios: Vec::new(),
            rounds: Vec::new(),
            latency_us: Vec::new(),
            timeline: Vec::new(),
            failure: None,
            latency: None,
        }
    }

    fn take(&mut self, outcome: Outcome) {
        if self.rounds.is_empty() {
            self.timeline = outcome.timeline;
        }
        self.rounds.push(outcome.figures);
        self.latency.get_or_insert_default().add(&outcome.latency);
    }

    /// Figures of a server that failed once are not to be trusted; the others' are.
    fn fail(&mut self, error: &Error) {
        eprintln!("{error}");
        self.rounds.clear();
        self.timeline.clear();
        self.latency = None;
        self.failure = Some(error.to_string());
    }

    fn conclude(&mut self) {
        self.median = medians(&self.rounds);
        let at = |latency: Latency| latency.summary(&PERCENTILES).percentiles_us;
        self.latency_us = self.latency.take().map(at).unwrap_or_default();
    }
}

/// Runs all that was selected. A server that fails at a workload is left out of it from then on.
pub fn compare(args: &CompareArgs) -> Result<Comparison, Error> {
    let args = &args.settled();
    let workloads = select(&args.only)?;
    let peers = args.peers.find()?;
    let mut entries = blank_entries(args, &workloads, &peers);
    let mut pace = PaceMaker { args, peers: &peers, rates: HashMap::new() };
    for round in 1..=args.rounds {
        for entry in entries.iter_mut().filter(|entry| entry.failure.is_none()) {
            let workload = workloads.iter().find(|workload| workload.name == entry.workload);
            let peer = peers.iter().find(|peer| peer.name == entry.peer);
            let (Some(workload), Some(peer)) = (workload, peer) else { continue };
            let Entry { workload: name, reactors, peer: server, .. } = entry;
            eprintln!("round {round}/{}: {name} × {reactors}, {server}", args.rounds);
            match run(args, *workload, peer, entry, &mut pace) {
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => entry.fail(&error),
                Ok(outcome) => entry.take(outcome),
            }
            interrupt::check()?;
        }
    }
    entries.iter_mut().for_each(Entry::conclude);
    let baselines: Vec<String> =
        args.baseline.iter().filter(|name| peers.iter().any(|peer| peer.name == **name)).cloned().collect();
    relate(&mut entries, &baselines);
    Ok(Comparison {
        machine: Machine::this(),
        versions: versions(&peers, args),
        baselines,
        server_cpus: args.peers.server_cpus.to_string(),
        client_cpus: args.peers.client_cpus.to_string(),
        entries,
    })
}

fn run(
    args: &CompareArgs,
    workload: Workload,
    peer: &Peer,
    entry: &mut Entry,
    pace: &mut PaceMaker<'_>,
) -> Result<Outcome, Error> {
    let (workload, reactors) = (workload.scaled(args.scale), entry.reactors);
    entry.rate = pace.rate(&workload, reactors)?;
    Bench { args, workload, peer, reactors, rate: entry.rate }.measure()
}

/// Finds the rates of open loops: each workload's peak is measured once, the same for all servers.
struct PaceMaker<'a> {
    args: &'a CompareArgs,
    peers: &'a [Peer],
    rates: HashMap<(&'static str, u16), f64>,
}

impl PaceMaker<'_> {
    fn rate(&mut self, workload: &Workload, reactors: u16) -> Result<Option<f64>, Error> {
        let Pace::PartOfPeak(part) = workload.pace else { return Ok(None) };
        if let Some(rate) = self.rates.get(&(workload.name, reactors)) {
            return Ok(Some(*rate));
        }
        let Some(peer) = self.peers.iter().find(|peer| peer.name == PACE_MAKER) else {
            let reason = format!("its pace is {PACE_MAKER}'s, which is not among the servers");
            let (peer, workload) = (PACE_MAKER.to_owned(), workload.name.to_owned());
            return Err(Error::Invalid { peer, workload, reason });
        };
        let peak = Bench { args: self.args, workload: *workload, peer, reactors, rate: None }.measure()?;
        let rate = peak.figures.requests_per_second * part;
        self.rates.insert((workload.name, reactors), rate);
        Ok(Some(rate))
    }
}

/// In the table's order, whatever order they were named in.
fn select(only: &[String]) -> Result<Vec<Workload>, Error> {
    if let Some(unknown) = only.iter().find(|name| WORKLOADS.iter().all(|workload| workload.name != **name)) {
        let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
        return Err(Error::flag("--only", format!("{unknown:?} is none of {}", names.join(", "))));
    }
    let chosen = |workload: &Workload| only.is_empty() || only.iter().any(|name| name == workload.name);
    Ok(WORKLOADS.into_iter().filter(chosen).collect())
}

/// Peers innermost: those to be compared run one right after the other.
fn blank_entries(args: &CompareArgs, workloads: &[Workload], peers: &[Peer]) -> Vec<Entry> {
    let reactors_of = |workload: &Workload| match &args.reactors[..] {
        [] => workload.reactors.to_vec(),
        asked => asked.to_vec(),
    };
    let mut numbers: Vec<u16> = workloads.iter().flat_map(reactors_of).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut entries = Vec::new();
    for reactors in numbers {
        for workload in workloads.iter().filter(|workload| reactors_of(workload).contains(&reactors)) {
            let able = peers.iter().filter(|peer| peer.keeps(workload.journal));
            entries.extend(able.map(|peer| Entry::blank(workload.name, reactors, peer.name)));
        }
    }
    entries
}

/// None of a server that does not start or does not say.
fn versions(peers: &[Peer], args: &CompareArgs) -> Vec<Version> {
    let version = |peer: &Peer| {
        let started = peer.keeps_values().then(|| peer.version(&args.peers.server_cpus));
        started?.ok().flatten()
    };
    peers.iter().map(|peer| Version { peer: peer.name, version: version(peer) }).collect()
}

fn medians(rounds: &[Figures]) -> Figures {
    let of = |field: fn(&Figures) -> f64| median(rounds.iter().map(field).collect());
    Figures {
        requests_per_second: of(|figures| figures.requests_per_second),
        server_cpu_us_per_request: of(|figures| figures.server_cpu_us_per_request),
        client_cpu_us_per_request: of(|figures| figures.client_cpu_us_per_request),
        p50_us: of(|figures| figures.p50_us),
        p99_us: of(|figures| figures.p99_us),
        p999_us: of(|figures| figures.p999_us),
        overdue_part: of(|figures| figures.overdue_part),
        resident_bytes: of(|figures| figures.resident_bytes),
    }
}

fn relate(entries: &mut [Entry], baselines: &[String]) {
    let key = |entry: &Entry, peer: &str| (entry.workload, entry.reactors, peer.to_owned());
    let medians: HashMap<_, Figures> =
        entries.iter().map(|entry| (key(entry, entry.peer), entry.median)).collect();
    for entry in entries {
        let to = |baseline: &String| {
            let base = medians.get(&key(entry, baseline))?;
            Some(ratios(baseline, &entry.median, base))
        };
        entry.ratios = baselines.iter().filter_map(to).collect();
    }
}

fn ratios(to: &str, part: &Figures, whole: &Figures) -> Ratios {
    let ratio = |field: fn(&Figures) -> f64| {
        let (part, whole) = (field(part), field(whole));
        (part > 0.0 && whole > 0.0).then(|| part / whole)
    };
    Ratios {
        to: to.to_owned(),
        server_cpu: ratio(|figures| figures.server_cpu_us_per_request),
        rate: ratio(|figures| figures.requests_per_second),
        p999: ratio(|figures| figures.p999_us),
        resident: ratio(|figures| figures.resident_bytes),
    }
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale > 0.0 && scale <= 1.0 => Ok(scale),
        _ => Err("a number above 0 and up to 1 is expected".to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two servers on one workload, and on another, where the second failed.
    pub(crate) fn comparison() -> Comparison {
        let measured = |workload, peer, cpu, rate| {
            let figures = Figures { resident_bytes: 1e6, ..figures(cpu, rate) };
            let at = |percentile, us| Percentile { percentile, us };
            Entry {
                rounds: vec![figures],
                latency_us: vec![at(50.0, 10.0), at(99.0, 40.0)],
                timeline: vec![Sample { at_s: 0.1, requests_per_second: rate }],
                ..entry(workload, peer, figures)
            }
        };
        let failed = Entry { failure: Some("it <broke>".to_owned()), ..Entry::blank("set", 1, "bobbin") };
        let mut entries = vec![
            measured("get", "redis", 2.5, 1000.0),
            measured("get", "bobbin", 1.25, 1500.0),
            Entry { rate: Some(700.0), ..measured("set", "redis", 3.5, 800.0) },
            failed,
        ];
        let baselines = vec!["redis".to_owned()];
        relate(&mut entries, &baselines);
        Comparison {
            machine: Machine::this(),
            versions: vec![Version { peer: "redis", version: Some("redis 7.0.15".to_owned()) }],
            baselines,
            server_cpus: "0".to_owned(),
            client_cpus: "1".to_owned(),
            entries,
        }
    }

    fn figures(cpu: f64, rate: f64) -> Figures {
        Figures { requests_per_second: rate, server_cpu_us_per_request: cpu, ..medians(&[]) }
    }

    fn entry(workload: &'static str, peer: &'static str, median: Figures) -> Entry {
        Entry { median, ..Entry::blank(workload, 1, peer) }
    }

    #[test]
    fn medians_are_taken_figure_by_figure() {
        let median = medians(&[figures(3.0, 10.0), figures(1.0, 30.0), figures(2.0, 20.0)]);
        assert!((median.server_cpu_us_per_request - 2.0).abs() < 1e-9);
        assert!((median.requests_per_second - 20.0).abs() < 1e-9);
    }

    #[test]
    fn ratios_are_to_each_baseline_on_the_same_workload() {
        let mut entries = [
            entry("get", "redis", figures(2.0, 100.0)),
            entry("get", "kevy", figures(4.0, 100.0)),
            entry("get", "bobbin", figures(1.0, 150.0)),
            entry("set", "bobbin", figures(1.0, 150.0)),
        ];
        relate(&mut entries, &["redis".to_owned(), "kevy".to_owned()]);
        let of = |entry: &Entry| -> Vec<(String, Option<f64>, Option<f64>)> {
            entry.ratios.iter().map(|ratios| (ratios.to.clone(), ratios.server_cpu, ratios.rate)).collect()
        };
        let to_redis = ("redis".to_owned(), Some(0.5), Some(1.5));
        assert_eq!(of(&entries[2]), [to_redis, ("kevy".to_owned(), Some(0.25), Some(1.5))]);
        assert_eq!(of(&entries[0])[0], ("redis".to_owned(), Some(1.0), Some(1.0)));
        assert_eq!(of(&entries[3]), []);
        assert_eq!(entries[2].ratios[0].p999, None, "nothing was measured");
    }

    #[test]
    fn workloads_are_selected_by_name_in_table_order() {
        let names = |only: &[&str]| -> Vec<&str> {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            select(&only).unwrap().iter().map(|workload| workload.name).collect()
        };
        assert_eq!(names(&["set-p16", "get-p16"]), ["get-p16", "set-p16"]);
        assert_eq!(names(&[]).len(), WORKLOADS.len());
        assert!(select(&["nonesuch".to_owned()]).is_err());
    }
}
