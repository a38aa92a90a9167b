//! Clients that count: each repeats a course of steps, one command or transaction after the other, so that what a
//! restart finds says how far each came.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bobbin_proto::Value;

use crate::rounds;
use crate::support::{Client, Server, bobbin_journalled};

pub(crate) const CLIENTS: usize = 6;
const ACCOUNTS: usize = 8;
const STEPS: usize = 11;
/// Milliseconds; beyond the life of any test.
const LATER_MS: u64 = 4_000_000_000_000;
/// With each start another.
pub(crate) const REACTORS: [&str; 3] = ["2", "1", "3"];

/// The commands of a step, the `n`th time; several are a transaction.
fn step(client: usize, step: usize, n: u64) -> Vec<String> {
    let i = client;
    match step {
        0 => vec![format!("INCR n:{i}")],
        1 => vec![format!("MSET a:{i} {n} b:{i} {n} c:{i} {n}")],
        2 => vec![format!("INCR x:{i}"), format!("RPUSH y:{i} {n}"), format!("ZADD z:{i} {n} m{n}")],
        3 => vec![format!("HSET h:{i} f{n} {n}")],
        4 => vec![format!("RPUSH from:{i} {n}")],
        5 => vec![format!("BLMOVE from:{i} to:{i} LEFT RIGHT 0")],
        6 => vec![format!("SADD s:{i} {n}")],
        7 => vec![format!("XADD t:{i} {n}-1 f v")],
        8 => vec![format!("SET d:{i} v PXAT {}", LATER_MS + n)],
        9 => vec![
            format!("SETBIT bits:{i} {n} 1"),
            format!("PFADD hll:{i} {n}"),
            format!("GEOADD geo:{i} 13.4 52.5 {n}"),
        ],
        _ => {
            let (from, to) = (n as usize % ACCOUNTS, (n as usize * 3 + i + 1) % ACCOUNTS);
            vec![
                format!("DECRBY account:{from} {n}"),
                format!("INCRBY account:{to} {n}"),
                format!("INCR moved:{i}"),
            ]
        }
    }
}

/// How often each step was done, as the server's keys say.
fn found(client: &mut Client, i: usize) -> [u64; STEPS] {
    let mut number = |line: String| match client.run(&line) {
        Value::Int(number) => number as u64,
        Value::Bulk(text) => String::from_utf8_lossy(&text).parse().expect("a number"),
        Value::NullBulk => 0,
        other => panic!("{line}: {other:?}"),
    };
    let mset = ["a", "b", "c"].map(|key| number(format!("GET {key}:{i}")));
    assert!(mset.iter().all(|n| *n == mset[0]), "half an MSET: {mset:?}");
    let exec = [format!("GET x:{i}"), format!("LLEN y:{i}"), format!("ZCARD z:{i}")].map(&mut number);
    assert!(exec.iter().all(|n| *n == exec[0]), "half a transaction: {exec:?}");
    let until = number(format!("PEXPIRETIME d:{i}")) as i64 - LATER_MS as i64;
    let kinds = [format!("BITCOUNT bits:{i}"), format!("ZCARD geo:{i}")].map(&mut number);
    assert!(kinds[0] == kinds[1], "half a transaction: {kinds:?}");
    let moved = number(format!("LLEN to:{i}"));
    [
        number(format!("GET n:{i}")),
        mset[0],
        exec[0],
        number(format!("HLEN h:{i}")),
        number(format!("LLEN from:{i}")) + moved,
        moved,
        number(format!("SCARD s:{i}")),
        number(format!("XLEN t:{i}")),
        until.max(0) as u64,
        kinds[0],
        number(format!("GET moved:{i}")),
    ]
}

/// Steps done, if what was found is a prefix of the client's course.
fn steps_done(found: [u64; STEPS]) -> u64 {
    let is_prefix = found.is_sorted_by(|a, b| a >= b) && found[0] - found[STEPS - 1] <= 1;
    assert!(is_prefix, "no prefix: {found:?}");
    found.iter().sum()
}

/// Goes on from so many steps until the server is gone. Returns how many were acknowledged.
fn course(port: u16, i: usize, mut done: u64, must_stop: &AtomicBool) -> u64 {
    let Ok(mut client) = Client::try_connect(port) else { return done };
    while !must_stop.load(Ordering::Relaxed) {
        let commands = step(i, done as usize % STEPS, done / STEPS as u64 + 1);
        if !is_acknowledged(&mut client, &commands) {
            break;
        }
        done += 1;
    }
    done
}

fn is_acknowledged(client: &mut Client, commands: &[String]) -> bool {
    let mut run = |line: &str| {
        let reply = client.send(&crate::support::words(line)).and_then(|()| client.read_raw());
        reply.is_ok_and(|reply| {
            assert!(!reply.starts_with(b"-"), "{line}: {}", reply.escape_ascii());
            true
        })
    };
    match commands {
        [only] => run(only),
        _ => run("MULTI") && commands.iter().all(|line| run(line)) && run("EXEC"),
    }
}

/// Lets all clients go on from where they are for a while, then ends the server. Returns how far each came.
pub(crate) fn run(
    server: &mut Server,
    done: &[u64],
    time: Duration,
    end: impl FnOnce(&mut Server),
) -> Vec<u64> {
    let must_stop = AtomicBool::new(false);
    let port = server.port;
    thread::scope(|scope| {
        let clients: Vec<_> = done
            .iter()
            .enumerate()
            .map(|(i, done)| {
                scope.spawn({
                    let must_stop = &must_stop;
                    move || course(port, i, *done, must_stop)
                })
            })
            .collect();
        thread::sleep(time);
        end(server);
        must_stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    })
}

/// What is there after a start; accounts balance.
pub(crate) fn look(server: &Server) -> Vec<u64> {
    let mut client = server.connect();
    let names: Vec<_> = (0..ACCOUNTS).map(|account| format!("account:{account}")).collect();
    let Value::Array(accounts) = client.run(&format!("MGET {}", names.join(" "))) else { panic!("an array") };
    let sum: i64 = accounts
        .iter()
        .map(|account| match account {
            Value::Bulk(text) => String::from_utf8_lossy(text).parse().expect("a number"),
            _ => 0,
        })
        .sum();
    assert_eq!(sum, 0, "half a transfer");
    (0..CLIENTS).map(|i| steps_done(found(&mut client, i))).collect()
}

/// Gives keys lifetimes in every way there is, of keys and of fields; until when they are.
fn lifetimes(client: &mut Client, policy: &str) -> Vec<Value> {
    let lines = [
        "SET life:0 v EX 1000",
        "SET life:1 v",
        "EXPIRE life:1 2000",
        "SETEX life:2 3000 v",
        "GETEX life:2 PX 5000000",
        "PSETEX life:3 4000000 v",
        "SET life:4 v",
        "COPY life:3 life:4 REPLACE",
        "HSET life:5 f v",
        "HPEXPIRE life:5 6000000 FIELDS 1 f",
    ];
    lines.iter().for_each(|line| drop(client.run(line)));
    // What is acknowledged under `always` is durable, and so is all before it: no kill takes it.
    client.run("CONFIG SET appendfsync always");
    client.run("SET life:6 v");
    client.run(&format!("CONFIG SET appendfsync {policy}"));
    expiry_times(client)
}

fn expiry_times(client: &mut Client) -> Vec<Value> {
    let keys = (0..5).map(|n| client.run(&format!("PEXPIRETIME life:{n}"))).collect::<Vec<_>>();
    keys.into_iter().chain([client.run("HPEXPIRETIME life:5 FIELDS 1 f")]).collect()
}

/// Ends the server again and again, in each of some ways. `may_lose`: so many acknowledged steps of a client may be gone.
pub(crate) fn end_again_and_again(policy: &str, may_lose: u64, ends: &[impl Fn(&mut Server)]) {
    end_with(&[], policy, may_lose, ends);
}

/// The same, with more directives. Returns the server, started again.
fn end_with(more: &[&str], policy: &str, may_lose: u64, ends: &[impl Fn(&mut Server)]) -> Server {
    let directives = [&["--appendfsync", policy], more].concat();
    let mut server = bobbin_journalled(REACTORS[0], &directives);
    let times = lifetimes(&mut server.connect(), policy);
    let mut done = vec![0; CLIENTS];
    for (round, end) in ends.iter().enumerate() {
        let time = Duration::from_millis(fastrand::u64(50..500));
        let acknowledged = run(&mut server, &done, time, end);
        server.start_again(REACTORS[(round + 1) % REACTORS.len()], &directives);
        assert_eq!(expiry_times(&mut server.connect()), times, "times of expiry have moved");
        done = look(&server);
        for (found, acknowledged) in done.iter().zip(&acknowledged) {
            let least = acknowledged.saturating_sub(may_lose);
            assert!(
                (least..=acknowledged + 1).contains(found),
                "{found} steps of {acknowledged} acknowledged"
            );
        }
    }
    assert!(done.iter().all(|steps| *steps > 0), "nothing was done: {done:?}");
    server
}

#[test]
fn with_always_no_acknowledged_write_is_lost_by_kill_9() {
    end_again_and_again("always", 0, &vec![Server::kill; rounds()]);
}

#[test]
fn with_everysec_what_is_left_by_kill_9_is_a_prefix() {
    end_again_and_again("everysec", u64::MAX, &vec![Server::kill; rounds()]);
}

#[test]
fn with_no_what_is_left_by_kill_9_is_a_prefix() {
    end_again_and_again("no", u64::MAX, &vec![Server::kill; rounds()]);
}

/// Snapshots are made all the time, one after the other, and each new one drops what is before it; the server is killed at
/// whatever point of that.
#[test]
fn with_snapshots_being_made_no_acknowledged_write_is_lost_by_kill_9() {
    for delay_us in ["0", "300"] {
        let growing = ["--auto-aof-rewrite-min-size", "1", "--auto-aof-rewrite-percentage", "1"];
        let more = [&growing[..], &["--rdb-key-save-delay", delay_us]].concat();
        let server = end_with(&more, "always", 0, &vec![Server::kill; rounds()]);
        assert!(server.log().contains("DB loaded from the snapshot"), "{}", server.log());
    }
}

#[test]
fn a_stop_by_sigterm_under_load_loses_nothing() {
    for policy in ["everysec", "no", "always"] {
        let directives = ["--appendfsync", policy];
        let mut server = bobbin_journalled("2", &directives);
        let mut done = vec![0; CLIENTS];
        for reactors in REACTORS {
            let time = Duration::from_millis(fastrand::u64(50..300));
            let acknowledged =
                run(&mut server, &done, time, |server| assert!(server.stop(), "it ended well"));
            server.start_again(reactors, &directives);
            done = look(&server);
            for (found, acknowledged) in done.iter().zip(&acknowledged) {
                assert!(
                    (*acknowledged..=acknowledged + 1).contains(found),
                    "{policy}: {found} of {acknowledged}"
                );
            }
        }
    }
}
