//! What the growth of the table costs the others: one connection loads an empty server as fast as it is
//! answered, a second sends a GET at a steady interval, and its longest reply tells of the longest pause.
//! The probe's latency counts from when each GET was due. Both connections are one thread's: on a core
//! that they shared as two, the loader's time slices would show as the server's pauses.

use std::fmt;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::Error;
use crate::load::{Limit, Phase, Role, Session, SessionShape};
use crate::machine::Machine;
use crate::peers::{Peer, PeerArgs};
use crate::workload::{KeySpace, Mix, Pattern, Row, Template};

const KEY_DIGITS: usize = 12;
const SEED: u64 = 12_345;
/// The rows of the mix.
const LOADER: usize = 0;
const PROBE: usize = 1;

#[derive(Args, Clone, Debug)]
pub struct GrowthArgs {
    #[command(flatten)]
    pub peers: PeerArgs,
    /// Keys to load
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub keys: u64,
    /// Bytes of a value
    #[arg(short, long, value_name = "BYTES", default_value_t = 16)]
    pub data_size: usize,
    /// SETs the loader sends before it waits
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub pipeline: u16,
    /// Milliseconds between two GETs
    #[arg(long, value_name = "MS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub interval: u64,
    /// Reactors of each server
    #[arg(long, default_value_t = 1)]
    pub reactors: u16,
}

#[derive(Debug, Serialize)]
pub struct Growth {
    pub machine: Machine,
    pub keys: u64,
    pub interval_ms: u64,
    pub servers: Vec<Pauses>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pauses {
    pub peer: &'static str,
    pub probes: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub longest_us: f64,
    pub sets_per_second: f64,
}

pub fn growth(args: &GrowthArgs) -> Result<Growth, Error> {
    let servers = args.peers.find()?.iter().map(|peer| pauses(args, peer)).collect::<Result<_, _>>()?;
    Ok(Growth { machine: Machine::this(), keys: args.keys, interval_ms: args.interval, servers })
}

fn pauses(args: &GrowthArgs, peer: &Peer) -> Result<Pauses, Error> {
    let server = peer.start(usize::from(args.reactors), &args.peers.server_cpus)?;
    let cpus = Some(args.peers.client_cpus.clone());
    let shape = SessionShape { clients: 2, threads: 1, cpus, seed: SEED };
    let tally = Session::connect(&server.target, &shape)?.run(&phase(args)?, &mut |_| {})?;
    if let Some(text) = tally.error_texts.first() {
        let (peer, workload) = (peer.name.to_owned(), "growth".to_owned());
        return Err(Error::Invalid { peer, workload, reason: text.clone() });
    }
    let probe = &tally.rows[PROBE].latency;
    Ok(Pauses {
        peer: peer.name,
        probes: probe.count(),
        p50_us: probe.percentile_us(50.0),
        p99_us: probe.percentile_us(99.0),
        p999_us: probe.percentile_us(99.9),
        longest_us: probe.max_us(),
        sets_per_second: args.keys as f64 * 1e9 / tally.elapsed_ns as f64,
    })
}

fn phase(args: &GrowthArgs) -> Result<Phase, Error> {
    let keys = KeySpace::new(b"key:", KEY_DIGITS, 0, args.keys - 1)?;
    let row = |line, pattern| -> Result<Row, Error> {
        Ok(Row { template: Template::parse(line, &keys, args.data_size)?, ratio: 1, pattern })
    };
    let rows = vec![row("SET __key__ __data__", Pattern::Sequential)?, row("GET __key__", Pattern::Uniform)?];
    let limit = Limit { requests: Some(args.keys), ..Limit::default() };
    let interval = Duration::from_millis(args.interval);
    let roles = vec![Role::Closed { row: LOADER }, Role::Probe { row: PROBE, interval }];
    Ok(Phase { roles, ..Phase::closed(Mix { keys, rows }, usize::from(args.pipeline), limit) })
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.machine.text())?;
        writeln!(f, "GET every {} ms while {} keys are loaded; times in ms\n", self.interval_ms, self.keys)?;
        writeln!(
            f,
            "{:<10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}",
            "server", "probes", "p50", "p99", "p99.9", "longest", "SET/s"
        )?;
        for server in &self.servers {
            let Pauses { peer, probes, p50_us, p99_us, p999_us, longest_us, sets_per_second } = *server;
            let [p50, p99, p999, longest] = [p50_us, p99_us, p999_us, longest_us].map(|us| us / 1000.0);
            writeln!(
                f,
                "{peer:<10} {probes:>8} {p50:>8.3} {p99:>8.3} {p999:>8.3} {longest:>8.3} {sets_per_second:>9.0}"
            )?;
        }
        Ok(())
    }
}
