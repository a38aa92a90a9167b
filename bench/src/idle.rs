//! What connections that do nothing cost.

use std::fmt;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use crate::args::seconds;
use crate::machine::Machine;
use crate::peers::{Peer, PeerArgs};
use crate::{Error, interrupt};

const SETTLE: Duration = Duration::from_secs(1);

#[derive(Args, Clone, Debug)]
pub struct IdleArgs {
    #[command(flatten)]
    pub peers: PeerArgs,
    /// Connections, each of which has sent one PING
    #[arg(short, long, default_value_t = 1000)]
    pub clients: usize,
    /// Seconds to watch
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub test_time: Duration,
    /// Reactors of each server
    #[arg(long, default_value_t = 1)]
    pub reactors: u16,
}

#[derive(Debug, Serialize)]
pub struct Idle {
    pub machine: Machine,
    pub clients: usize,
    pub servers: Vec<Rest>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rest {
    pub peer: &'static str,
    /// Of one core.
    pub cpu_percent: f64,
    pub resident_bytes: u64,
}

pub fn idle(args: &IdleArgs) -> Result<Idle, Error> {
    let servers = args.peers.find()?.iter().map(|peer| rest(args, peer)).collect::<Result<_, _>>()?;
    Ok(Idle { machine: Machine::this(), clients: args.clients, servers })
}

fn rest(args: &IdleArgs, peer: &Peer) -> Result<Rest, Error> {
    let server = peer.start(usize::from(args.reactors), &args.peers.server_cpus)?;
    let mut connections = Vec::with_capacity(args.clients);
    for _ in 0..args.clients {
        let mut connection = server.target.connect()?;
        connection.call(&["PING"])?;
        connections.push(connection);
    }
    interrupt::sleep(SETTLE)?;
    let (began, before) = (Instant::now(), server.process.cpu_ns()?);
    interrupt::sleep(args.test_time)?;
    let cpu_ns = server.process.cpu_ns()?.saturating_sub(before);
    Ok(Rest {
        peer: peer.name,
        cpu_percent: cpu_ns as f64 / began.elapsed().as_nanos() as f64 * 100.0,
        resident_bytes: server.process.resident_bytes()?,
    })
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.machine.text())?;
        writeln!(f, "{} idle connections\n\n{:<10} {:>8} {:>9}", self.clients, "server", "CPU %", "RSS MiB")?;
        for Rest { peer, cpu_percent, resident_bytes } in &self.servers {
            let mib = *resident_bytes as f64 / f64::from(1 << 20);
            writeln!(f, "{peer:<10} {cpu_percent:>8.3} {mib:>9.1}")?;
        }
        Ok(())
    }
}
