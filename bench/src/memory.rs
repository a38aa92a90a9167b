//! Resident bytes per key after a load of distinct keys: strings, or whatever one command makes of each.

use std::fmt;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::load::{Session, SessionShape};
use crate::machine::Machine;
use crate::peers::{Peer, PeerArgs};
use crate::workload::KeySpace;
use crate::{Error, interrupt};

const KEY_DIGITS: usize = 12;
const CLIENTS: usize = 4;
const PIPELINE: usize = 64;
/// For buffers to be given back and tables to finish growing.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Args, Clone, Debug)]
pub struct MemoryArgs {
    #[command(flatten)]
    pub peers: PeerArgs,
    /// Keys of 16 bytes
    #[arg(long, default_value_t = 3_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub keys: u64,
    /// Bytes of a value
    #[arg(short, long, value_name = "BYTES", default_value_t = 64)]
    pub data_size: usize,
    /// The command that makes a key, with `__key__` and `__data__` in it, where it is not SET
    #[arg(long, value_name = "LINE", conflicts_with = "ttl")]
    pub command: Option<String>,
    /// Give every key a time to live
    #[arg(long, value_name = "SECONDS")]
    pub ttl: Option<u64>,
    /// Reactors of each server
    #[arg(long, default_value_t = 1)]
    pub reactors: u16,
}

#[derive(Debug, Serialize)]
pub struct Memory {
    pub machine: Machine,
    pub keys: u64,
    pub data_size: usize,
    pub command: Option<String>,
    pub ttl_s: Option<u64>,
    pub servers: Vec<Footprint>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Footprint {
    pub peer: &'static str,
    pub empty_bytes: u64,
    pub loaded_bytes: u64,
    /// All of the loaded server's memory over the keys.
    pub bytes_per_key: f64,
    /// Its growth over the keys.
    pub growth_per_key: f64,
}

pub fn memory(args: &MemoryArgs) -> Result<Memory, Error> {
    let peers = args.peers.find()?.into_iter().filter(Peer::keeps_values);
    let servers = peers.map(|peer| footprint(args, &peer)).collect::<Result<_, _>>()?;
    let MemoryArgs { keys, data_size, ttl, .. } = *args;
    let command = args.command.clone();
    Ok(Memory { machine: Machine::this(), keys, data_size, command, ttl_s: ttl, servers })
}

fn footprint(args: &MemoryArgs, peer: &Peer) -> Result<Footprint, Error> {
    let server = peer.start(usize::from(args.reactors), &args.peers.server_cpus)?;
    let empty_bytes = server.process.resident_bytes()?;
    let keys = KeySpace::new(b"key:", KEY_DIGITS, 0, args.keys - 1)?;
    let line = match (&args.command, args.ttl) {
        (Some(line), _) => line.clone(),
        (None, Some(seconds)) => format!("SET __key__ __data__ EX {seconds}"),
        (None, None) => "SET __key__ __data__".to_owned(),
    };
    let shape =
        SessionShape { clients: CLIENTS, threads: 1, cpus: Some(args.peers.client_cpus.clone()), seed: 1 };
    let mut session = Session::connect(&server.target, &shape)?;
    let filled = session.fill(&line, &keys, args.data_size, PIPELINE, &mut |_| {})?;
    let mut failures = filled.errors();
    if args.command.is_none() {
        let checked = session.read_back(&keys, args.data_size, PIPELINE, true, &mut |_| {})?;
        failures += checked.errors() + checked.mismatches();
    }
    if failures > 0 {
        let reason = format!("values are not as written; {:?}", filled.error_texts);
        return Err(Error::Invalid { peer: peer.name.to_owned(), workload: "memory".to_owned(), reason });
    }
    drop(session);
    interrupt::sleep(SETTLE)?;
    let loaded_bytes = server.process.resident_bytes()?;
    Ok(Footprint {
        peer: peer.name,
        empty_bytes,
        loaded_bytes,
        bytes_per_key: loaded_bytes as f64 / args.keys as f64,
        growth_per_key: loaded_bytes.saturating_sub(empty_bytes) as f64 / args.keys as f64,
    })
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.machine.text())?;
        let ttl = self.ttl_s.map_or(String::new(), |seconds| format!(", living {seconds} s"));
        match &self.command {
            Some(line) => writeln!(f, "{} keys of 16 bytes, by {line}\n", self.keys)?,
            None => writeln!(f, "{} keys of 16 bytes, values of {} bytes{ttl}\n", self.keys, self.data_size)?,
        }
        writeln!(
            f,
            "{:<10} {:>10} {:>11} {:>10} {:>11}",
            "server", "empty MiB", "loaded MiB", "bytes/key", "growth/key"
        )?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        for server in &self.servers {
            let Footprint { peer, empty_bytes, loaded_bytes, bytes_per_key, growth_per_key } = *server;
            let (empty, loaded) = (mib(empty_bytes), mib(loaded_bytes));
            writeln!(
                f,
                "{peer:<10} {empty:>10.1} {loaded:>11.1} {bytes_per_key:>10.1} {growth_per_key:>11.1}"
            )?;
        }
        Ok(())
    }
}
