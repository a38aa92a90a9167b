//! Servers side by side: each workload on each server in turn, several rounds of all, medians.
//!
//! Every measurement has a server of its own, started fresh, filled, read back, warmed up, measured and
//! read back again, so that none inherits another's memory; taking turns spreads what else the machine does over
//! all. The figure to trust is the server's CPU per request: on few cores the generator is the limit of
//! requests per second.

mod table;
pub mod workload;

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::args::seconds;
use crate::histogram::median;
use crate::load::{Limit, Phase, Session, SessionShape, Tally};
use crate::machine::Machine;
use crate::peers::{Peer, PeerArgs, Running};
use crate::workload::{KeySpace, Mix, Pattern};
use crate::{Error, interrupt};
use workload::{Fill, WORKLOADS, Workload};

const SEED: u64 = 12_345;
const KEY_DIGITS: usize = 12;

#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    #[command(flatten)]
    pub peers: PeerArgs,
    /// Workloads to run [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Reactors of each server (io-threads, threads), one comparison for each number
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1",
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
    /// The server the ratios are to
    #[arg(long, default_value = "redis")]
    pub baseline: String,
}

/// One measurement, or the medians of several.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    pub requests_per_second: f64,
    /// User and system time of the whole server process.
    pub server_cpu_us_per_request: f64,
    pub client_cpu_us_per_request: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub resident_bytes: f64,
}

/// One server on one workload.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub workload: &'static str,
    pub reactors: u16,
    pub peer: &'static str,
    pub median: Figures,
    /// Server CPU per request and requests per second, as parts of the baseline's.
    pub cpu_ratio: Option<f64>,
    pub rate_ratio: Option<f64>,
    pub rounds: Vec<Figures>,
    /// Why there are no more rounds.
    pub failure: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Comparison {
    pub machine: Machine,
    pub versions: Vec<Version>,
    pub baseline: String,
    pub server_cpus: String,
    pub client_cpus: String,
    pub entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
pub struct Version {
    pub peer: &'static str,
    pub version: Option<String>,
}

impl Comparison {
    /// Whether every figure asked for is there.
    pub fn is_whole(&self) -> bool {
        self.entries.iter().all(|entry| entry.failure.is_none())
    }
}

impl Entry {
    /// Figures of a server that failed once are not to be trusted; the others' are.
    fn fail(&mut self, error: &Error) {
        eprintln!("{error}");
        self.rounds.clear();
        self.failure = Some(error.to_string());
    }
}

/// Runs all that was selected. A server that fails at a workload is left out of it from then on.
pub fn compare(args: &CompareArgs) -> Result<Comparison, Error> {
    let workloads = select(&args.only)?;
    let peers = args.peers.find()?;
    let mut entries = blank_entries(args, &workloads, &peers);
    for round in 1..=args.rounds {
        for entry in entries.iter_mut().filter(|entry| entry.failure.is_none()) {
            let workload = workloads.iter().find(|workload| workload.name == entry.workload);
            let peer = peers.iter().find(|peer| peer.name == entry.peer);
            let (Some(workload), Some(peer)) = (workload, peer) else { continue };
            eprintln!(
                "round {round}/{}: {} × {}, {}",
                args.rounds, entry.workload, entry.reactors, entry.peer
            );
            match measure(args, &workload.scaled(args.scale), peer, entry.reactors) {
                Ok(figures) => entry.rounds.push(figures),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => entry.fail(&error),
            }
            interrupt::check()?;
        }
    }
    entries.iter_mut().for_each(|entry| entry.median = medians(&entry.rounds));
    relate(&mut entries, &args.baseline);
    Ok(Comparison {
        machine: Machine::this(),
        versions: versions(&peers, args),
        baseline: args.baseline.clone(),
        server_cpus: args.peers.server_cpus.to_string(),
        client_cpus: args.peers.client_cpus.to_string(),
        entries,
    })
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
    let mut entries = Vec::new();
    for &reactors in &args.reactors {
        for workload in workloads {
            entries.extend(peers.iter().map(|peer| Entry {
                workload: workload.name,
                reactors,
                peer: peer.name,
                median: medians(&[]),
                cpu_ratio: None,
                rate_ratio: None,
                rounds: Vec::new(),
                failure: None,
            }));
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

fn measure(args: &CompareArgs, workload: &Workload, peer: &Peer, reactors: u16) -> Result<Figures, Error> {
    let server = peer.start(usize::from(reactors), &args.peers.server_cpus)?;
    let keys = KeySpace::new(b"key:", KEY_DIGITS, 0, workload.keys - 1)?;
    let threads = args.peers.client_cpus.count();
    let clients = workload.clients.div_ceil(threads);
    let shape = SessionShape { clients, threads, cpus: Some(args.peers.client_cpus.clone()), seed: SEED };
    let mut session = Session::connect(&server.target, &shape)?;
    let bench = Bench { workload, peer, keys };
    bench.fill(&mut session)?;
    let mix = Mix::single(workload.line, &bench.keys, workload.data_size, Pattern::Uniform)?;
    let limit = |time| Limit { time: Some(time), ..Limit::default() };
    session.run(&Phase::closed(mix.clone(), workload.pipeline, limit(args.warmup_time)), &mut |_| {})?;
    let phase = Phase::closed(mix, workload.pipeline, limit(args.test_time));
    let figures = bench.measured(&mut session, &phase, &server)?;
    bench.read_back(&mut session)?;
    Ok(figures)
}

/// One workload on one server.
struct Bench<'a> {
    workload: &'a Workload,
    peer: &'a Peer,
    keys: KeySpace,
}

impl Bench<'_> {
    fn fill(&self, session: &mut Session) -> Result<(), Error> {
        if !self.peer.keeps_values() {
            return Ok(());
        }
        let line = match self.workload.fill {
            Fill::Values => "SET __key__ __data__",
            Fill::Line(line) => line,
        };
        let Workload { data_size, pipeline, .. } = *self.workload;
        let filled = session.fill(line, &self.keys, data_size, pipeline, &mut |_| {})?;
        self.refuse_errors(&filled)?;
        self.read_back(session)?;
        session.remember_writes(&self.keys);
        Ok(())
    }

    fn measured(&self, session: &mut Session, phase: &Phase, server: &Running) -> Result<Figures, Error> {
        let cpu_before = server.process.cpu_ns()?;
        let tally = session.run(phase, &mut |_| {})?;
        let cpu_ns = server.process.cpu_ns()?.saturating_sub(cpu_before);
        self.refuse_errors(&tally)?;
        let latency = tally.latency();
        let per_request_us = |ns: u64| ns as f64 / 1000.0 / tally.requests().max(1) as f64;
        Ok(Figures {
            requests_per_second: tally.requests_per_second(),
            server_cpu_us_per_request: per_request_us(cpu_ns),
            client_cpu_us_per_request: per_request_us(tally.client_cpu_ns),
            p50_us: latency.percentile_us(50.0),
            p99_us: latency.percentile_us(99.0),
            p999_us: latency.percentile_us(99.9),
            resident_bytes: server.process.resident_bytes()? as f64,
        })
    }

    /// Every value as written last: a server that drops writes must not look good.
    fn read_back(&self, session: &mut Session) -> Result<(), Error> {
        if !self.peer.keeps_values() || self.workload.fill != Fill::Values {
            return Ok(());
        }
        let Workload { data_size, pipeline, .. } = *self.workload;
        let tally = session.read_back(&self.keys, data_size, pipeline, true, &mut |_| {})?;
        self.refuse_errors(&tally)?;
        match tally.mismatches() {
            0 => Ok(()),
            wrong => Err(self.invalid(format!("{wrong} of {} values are not as written", self.keys.count()))),
        }
    }

    fn refuse_errors(&self, tally: &Tally) -> Result<(), Error> {
        match tally.error_texts.first() {
            Some(text) => Err(self.invalid(format!("{} error replies, the first {text}", tally.errors()))),
            None => Ok(()),
        }
    }

    fn invalid(&self, reason: String) -> Error {
        Error::Invalid { peer: self.peer.name.to_owned(), workload: self.workload.name.to_owned(), reason }
    }
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
        resident_bytes: of(|figures| figures.resident_bytes),
    }
}

fn relate(entries: &mut [Entry], baseline: &str) {
    let bases: Vec<(&str, u16, Figures)> = entries
        .iter()
        .filter(|entry| entry.peer == baseline)
        .map(|entry| (entry.workload, entry.reactors, entry.median))
        .collect();
    for entry in entries {
        let base = bases.iter().find(|base| (base.0, base.1) == (entry.workload, entry.reactors));
        let Some((.., base)) = base else { continue };
        let ratio = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let median = &entry.median;
        entry.cpu_ratio = ratio(median.server_cpu_us_per_request, base.server_cpu_us_per_request);
        entry.rate_ratio = ratio(median.requests_per_second, base.requests_per_second);
    }
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale > 0.0 && scale <= 1.0 => Ok(scale),
        _ => Err("a number above 0 and up to 1 is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(cpu: f64, rate: f64) -> Figures {
        Figures { requests_per_second: rate, server_cpu_us_per_request: cpu, ..medians(&[]) }
    }

    fn entry(workload: &'static str, peer: &'static str, median: Figures) -> Entry {
        Entry {
            workload,
            reactors: 1,
            peer,
            median,
            cpu_ratio: None,
            rate_ratio: None,
            rounds: Vec::new(),
            failure: None,
        }
    }

    #[test]
    fn medians_are_taken_figure_by_figure() {
        let median = medians(&[figures(3.0, 10.0), figures(1.0, 30.0), figures(2.0, 20.0)]);
        assert!((median.server_cpu_us_per_request - 2.0).abs() < 1e-9);
        assert!((median.requests_per_second - 20.0).abs() < 1e-9);
    }

    #[test]
    fn ratios_are_to_the_baseline_of_the_same_workload() {
        let mut entries = [
            entry("get", "redis", figures(2.0, 100.0)),
            entry("get", "bobbin", figures(1.0, 150.0)),
            entry("set", "bobbin", figures(1.0, 150.0)),
        ];
        relate(&mut entries, "redis");
        assert_eq!((entries[0].cpu_ratio, entries[1].cpu_ratio), (Some(1.0), Some(0.5)));
        assert_eq!((entries[1].rate_ratio, entries[2].rate_ratio), (Some(1.5), None));
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
