//! What others feel while some clients behave badly: one connection sends a GET at a steady interval, and its latency
//! counts from when each was due, so that a pause is felt by every GET that it delays. Each trouble lasts as long as the
//! quiet it is compared with; every server is put through all of them.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bobbin_proto::decode::Value;
use clap::Args;
use rustix::io::Errno;
use serde::Serialize;

use crate::args::seconds;
use crate::histogram::Latency;
use crate::load::target::Blocking;
use crate::load::{Address, Target};
use crate::machine::Machine;
use crate::peers::{Peer, PeerArgs};
use crate::{Error, interrupt};

/// Clients that never read, and that send a byte a second.
const FEW_CLIENTS: usize = 200;
/// `maxclients` in the storm.
const CLIENTS_MAX: &str = "100";
const MAXMEMORY: &str = "64mb";
const VALUE_BYTES: usize = 4096;
/// A value whose replies fill a socket's buffers.
const LARGE_BYTES: usize = 256 << 10;
const POLICIES: [&str; 8] = [
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
];

#[derive(Args, Clone, Debug)]
pub struct OverloadArgs {
    #[command(flatten)]
    pub peers: PeerArgs,
    /// Seconds of each trouble
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub test_time: Duration,
    /// Microseconds between two GETs
    #[arg(long, value_name = "US", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(50..=1_000_000))]
    pub interval: u64,
    /// Connections that open at once
    #[arg(short, long, default_value_t = 10_000)]
    pub clients: usize,
    /// Reactors of each server
    #[arg(long, default_value_t = 1)]
    pub reactors: u16,
}

#[derive(Debug, Serialize)]
pub struct Overload {
    pub machine: Machine,
    pub interval_us: u64,
    pub felt: Vec<Felt>,
}

/// What the steady client felt of one trouble.
#[derive(Clone, Debug, Serialize)]
pub struct Felt {
    pub peer: &'static str,
    pub trouble: String,
    pub probes: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub longest_us: f64,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    ManyAtOnce,
    NeverRead,
    ByteASecond,
    Storm,
    Full(&'static str),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::ManyAtOnce => f.write_str("connections open at once"),
            Self::NeverRead => f.write_str("clients never read"),
            Self::ByteASecond => f.write_str("clients send a byte a second"),
            Self::Storm => f.write_str("storm past maxclients"),
            Self::Full(policy) => write!(f, "full, {policy}"),
        }
    }
}

pub fn overload(args: &OverloadArgs) -> Result<Overload, Error> {
    let few = [Trouble::None, Trouble::ManyAtOnce, Trouble::NeverRead, Trouble::ByteASecond, Trouble::Storm];
    let mut felt = Vec::new();
    for trouble in few.into_iter().chain(POLICIES.map(Trouble::Full)) {
        for peer in args.peers.find()?.iter().filter(|peer| peer.keeps_values()) {
            felt.push(feel(args, peer, trouble)?);
        }
    }
    Ok(Overload { machine: Machine::this(), interval_us: args.interval, felt })
}

/// Puts a new server through one trouble.
fn feel(args: &OverloadArgs, peer: &Peer, trouble: Trouble) -> Result<Felt, Error> {
    let server = peer.start(usize::from(args.reactors), &args.peers.server_cpus)?;
    let target = &server.target;
    let address = tcp_address(target, peer.name, trouble)?;
    prepare(target, trouble)?;
    // Ahead of the trouble: what is felt is that of a client who is there already.
    let mut client = target.connect()?;
    let is_over = AtomicBool::new(false);
    let times = std::thread::scope(|scope| {
        let troubling = scope.spawn(|| make_trouble(target, address, trouble, args.clients, &is_over));
        let times = probe(&mut client, args);
        is_over.store(true, Ordering::Relaxed);
        troubling.join().expect("the troubling thread does not panic")?;
        times
    })?;
    Ok(Felt {
        peer: peer.name,
        trouble: trouble.to_string(),
        probes: times.count(),
        p50_us: times.percentile_us(50.0),
        p99_us: times.percentile_us(99.0),
        p999_us: times.percentile_us(99.9),
        longest_us: times.max_us(),
    })
}

/// Where clients that behave badly connect to: by TCP only.
fn tcp_address<'a>(target: &'a Target, peer: &str, trouble: Trouble) -> Result<(&'a str, u16), Error> {
    match &target.address {
        Address::Tcp { host, port } => Ok((host, *port)),
        Address::Unix(_) => Err(Error::Invalid {
            peer: peer.to_owned(),
            workload: trouble.to_string(),
            reason: format!(
                "clients that behave badly come by TCP, and {} is no such address",
                target.address
            ),
        }),
    }
}

fn prepare(target: &Target, trouble: Trouble) -> Result<(), Error> {
    let mut client = target.connect()?;
    accepted(&client.call(&["SET", "probe", "value"])?)?;
    match trouble {
        Trouble::NeverRead => {
            accepted(&client.call(&["SET".as_bytes(), b"large", &vec![b'v'; LARGE_BYTES]])?)
        }
        Trouble::Storm => accepted(&client.call(&["CONFIG", "SET", "maxclients", CLIENTS_MAX])?),
        Trouble::Full(policy) => {
            let set = ["CONFIG", "SET", "maxmemory", MAXMEMORY, "maxmemory-policy", policy];
            accepted(&client.call(&set)?)
        }
        Trouble::None | Trouble::ManyAtOnce | Trouble::ByteASecond => Ok(()),
    }
}

fn accepted(reply: &Value) -> Result<(), Error> {
    match reply {
        Value::Error(text) => Err(Error::Unsolicited(String::from_utf8_lossy(text.as_ref()).into_owned())),
        _ => Ok(()),
    }
}

/// GETs at their times, each counted from when it was due.
fn probe(client: &mut Blocking, args: &OverloadArgs) -> Result<Latency, Error> {
    let mut times = Latency::default();
    let (began, interval) = (Instant::now(), Duration::from_micros(args.interval));
    let mut due = began;
    while due.duration_since(began) < args.test_time {
        interrupt::check()?;
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(early);
        }
        client.call(&["GET", "probe"])?;
        times.record(due.elapsed().as_nanos() as u64, 1);
        due += interval;
    }
    Ok(times)
}

/// Behaves badly until it is over. Being refused or cut off is what it may expect.
fn make_trouble(
    target: &Target,
    address: (&str, u16),
    trouble: Trouble,
    clients: usize,
    is_over: &AtomicBool,
) -> Result<(), Error> {
    let connect = || welcome(TcpStream::connect(address));
    let some = || (0..FEW_CLIENTS).filter_map(|_| connect().transpose()).collect::<Result<Vec<_>, _>>();
    let goes_on = || !is_over.load(Ordering::Relaxed);
    match trouble {
        Trouble::None => {}
        Trouble::ManyAtOnce => {
            let mut open = Vec::with_capacity(clients);
            while goes_on() && open.len() < clients {
                open.extend(connect()?);
            }
            wait_while(goes_on);
        }
        Trouble::NeverRead => {
            let streams = some()?;
            streams.iter().for_each(|stream| drop(stream.set_nonblocking(true)));
            let request = b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n".repeat(4);
            for mut stream in &streams {
                let _ = stream.write(&request);
            }
            wait_while(goes_on);
        }
        Trouble::ByteASecond => {
            let mut streams = some()?;
            for byte in
                b"*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$5\r\nvalue\r\n".iter().cycle().take_while(|_| goes_on())
            {
                streams.iter_mut().for_each(|stream| drop(stream.write(&[*byte])));
                let second = Instant::now() + Duration::from_secs(1);
                wait_while(|| goes_on() && Instant::now() < second);
            }
        }
        Trouble::Storm => {
            let mut kept = Vec::new();
            while goes_on() {
                let Some(mut stream) = connect()? else { continue };
                // The first stay, more than are allowed; who comes then waits to be told so.
                if kept.len() < FEW_CLIENTS {
                    kept.push(stream);
                } else {
                    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
                    let _ = stream.read(&mut [0; 64]);
                }
            }
        }
        Trouble::Full(_) => return fill(target, goes_on),
    }
    Ok(())
}

/// A connection, or `None` where the server would not have it. That this machine has no descriptor or port for one is a
/// failure of the measurement: the server would never feel the trouble.
fn welcome(connected: io::Result<TcpStream>) -> Result<Option<TcpStream>, Error> {
    let what = match connected.as_ref().map_err(Errno::from_io_error) {
        Ok(_) => return Ok(connected.ok()),
        Err(Some(Errno::MFILE | Errno::NFILE)) => {
            "no descriptors for so many clients; raise the limit on open files (ulimit -n) or take fewer (--clients)"
        }
        Err(Some(Errno::ADDRNOTAVAIL)) => {
            "no ports for so many clients; widen net.ipv4.ip_local_port_range or take fewer (--clients)"
        }
        Err(_) => return Ok(None),
    };
    connected.map(Some).map_err(|error| Error::system(what, error))
}

fn wait_while(goes_on: impl Fn() -> bool) {
    while goes_on() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes new keys, of which half expire, without end; that there is no room is no failure.
fn fill(target: &Target, goes_on: impl Fn() -> bool) -> Result<(), Error> {
    let mut client = target.connect()?;
    let value = vec![b'v'; VALUE_BYTES];
    for number in (0u64..).take_while(|_| goes_on()) {
        let key = format!("key:{number}");
        let request: [&[u8]; 5] = [b"SET", key.as_bytes(), &value, b"EX", b"1000"];
        client.call(&request[..if number % 2 == 0 { 5 } else { 3 }])?;
    }
    Ok(())
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.machine.text())?;
        writeln!(f, "a GET every {} µs, times in µs from when each was due\n", self.interval_us)?;
        writeln!(
            f,
            "{:<30} {:<10} {:>8} {:>9} {:>9} {:>9} {:>9}",
            "trouble", "server", "GETs", "p50", "p99", "p99.9", "longest"
        )?;
        for Felt { peer, trouble, probes, p50_us, p99_us, p999_us, longest_us } in &self.felt {
            writeln!(
                f,
                "{trouble:<30} {peer:<10} {probes:>8} {p50_us:>9.0} {p99_us:>9.0} {p999_us:>9.0} {longest_us:>9.0}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_out_of_descriptors_or_ports_is_no_server_that_refuses() {
        let outcome = |errno: Errno| welcome(Err(errno.into()));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL] {
            let error = outcome(errno).expect_err("the measurement has failed").to_string();
            assert!(error.contains("--clients"), "{error}");
        }
        for errno in [Errno::CONNREFUSED, Errno::CONNRESET, Errno::TIMEDOUT] {
            assert!(outcome(errno).expect("this is what a storm may expect").is_none());
        }
    }

    #[test]
    fn a_trouble_without_an_address_is_refused() {
        let target = Target { address: Address::Unix("/tmp/none.sock".into()), ..Target::local(1) };
        let error = tcp_address(&target, "bobbin", Trouble::Storm).expect_err("it is no TCP").to_string();
        assert!(error.contains("bobbin, storm past maxclients") && error.contains("none.sock"), "{error}");
    }
}
