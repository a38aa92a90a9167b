//! EXEC of very many commands: others go on meanwhile, and nobody sees a part of it.

use super::{Core, Cores};
use crate::config::MaxmemoryPolicy;
use crate::limits::EXEC_STEP_COMMANDS;

const COMMANDS: usize = 40 * EXEC_STEP_COMMANDS;

/// Every core makes an iteration, and what is under way arrives, each batch in an iteration of its own.
fn round(cores: &mut Cores) {
    let commands = |cores: &Cores| -> u64 { cores.all.iter().map(|core| core.observed.commands.total).sum() };
    let step = |cores: &mut Cores, iterate: &dyn Fn(&mut Cores)| {
        let before = commands(cores);
        iterate(cores);
        let run = commands(cores) - before;
        assert!(run <= 2 * EXEC_STEP_COMMANDS as u64, "{run} commands at once");
    };
    (0..cores.all.len()).for_each(|index| step(cores, &|cores| cores.iterate(index)));
    for _ in 0..cores.lanes.len() {
        step(cores, &|cores| {
            cores.deliver(0);
        });
    }
}

/// Makes rounds until everything is at rest; how many.
fn rest(cores: &mut Cores) -> usize {
    let mut rounds = 0;
    while !cores.all.iter().all(Core::is_at_rest) {
        round(cores);
        rounds += 1;
    }
    rounds
}

/// A client that has queued `SET k<n> value` many times over, and not sent EXEC.
fn with_a_block(reactors: usize, value: &str) -> (Cores, usize) {
    let mut cores = Cores::new(reactors, |_| ());
    let client = cores.connect_to(0);
    queue(&mut cores, client, value);
    (cores, client)
}

fn queue(cores: &mut Cores, client: usize, value: &str) {
    assert_eq!(cores.call(client, "MULTI"), "+OK\r\n");
    for number in 0..COMMANDS {
        cores.send(client, &format!("SET k{number} {value}"));
    }
    cores.run();
    assert_eq!(cores.received(client), "+QUEUED\r\n".repeat(COMMANDS));
}

#[test]
fn others_go_on_while_a_large_block_runs() {
    for reactors in [1, 2] {
        let (mut cores, client) = with_a_block(reactors, "x");
        let others: Vec<usize> = (0..reactors).map(|reactor| cores.connect_to(reactor)).collect();
        cores.send(client, "EXEC");
        let mut answered = 0;
        while !cores.all.iter().all(Core::is_at_rest) {
            others.iter().for_each(|&other| cores.send(other, "INCR beside"));
            (0..4).for_each(|_| round(&mut cores));
            for &other in &others {
                assert!(cores.received(other).starts_with(':'), "answered within a few iterations");
                answered += 1;
            }
        }
        assert!(answered >= COMMANDS / EXEC_STEP_COMMANDS / 4, "{answered} meanwhile");
        let expected = format!("*{COMMANDS}\r\n{}", "+OK\r\n".repeat(COMMANDS));
        assert!(cores.received(client) == expected);
    }
}

#[test]
fn a_large_block_is_seen_whole_or_not_at_all() {
    let (mut cores, client) = with_a_block(2, "1");
    let reader = cores.connect_to(1);
    let look = format!("MGET k0 k{} k{} k1", COMMANDS / 2, COMMANDS - 1);
    cores.send(client, "EXEC");
    let (mut looks, mut seen) = (0, String::new());
    while cores.clients[client].received.is_empty() {
        cores.send(reader, &look);
        looks += 1;
        (0..4).for_each(|_| round(&mut cores));
        seen += &cores.received(reader);
    }
    rest(&mut cores);
    seen += &cores.received(reader);
    let (old, new) = (format!("*4\r\n{}", "$-1\r\n".repeat(4)), format!("*4\r\n{}", "$1\r\n1\r\n".repeat(4)));
    let olds = seen.matches(&old).count();
    assert!(seen == old.repeat(olds) + &new.repeat(looks - olds), "{seen:?}");
    assert!(looks > olds);
}

#[test]
fn a_client_that_goes_away_leaves_a_large_block_whole_or_undone() {
    let (mut cores, client) = with_a_block(2, "1");
    cores.send(client, "EXEC");
    let all = rest(&mut cores);
    let mut whole = 0;
    for part in 0..9 {
        let (rounds, (mut cores, client)) = (all * part / 8, with_a_block(2, "1"));
        let other = cores.connect_to(1);
        cores.send(client, "EXEC");
        (0..rounds).for_each(|_| round(&mut cores));
        let id = cores.clients[client].conn;
        cores.all[0].hung_up(id);
        cores.end(0);
        rest(&mut cores);
        let size = cores.call(other, "DBSIZE");
        assert!([":0\r\n".to_owned(), format!(":{COMMANDS}\r\n")].contains(&size), "{rounds}: {size}");
        whole += usize::from(size != ":0\r\n");
    }
    assert!((1..9).contains(&whole), "both happen: {whole}");
}

#[test]
fn a_large_block_gets_through_whoever_else_writes_its_keys() {
    let (mut cores, client) = with_a_block(2, "1");
    let others: Vec<usize> = (0..4).map(|number| cores.connect_to(number % 2)).collect();
    cores.send(client, "EXEC");
    for turn in 0.. {
        for (number, &other) in others.iter().enumerate() {
            let at = (turn * 7919 + number * 4001) % (COMMANDS - 64);
            let keys: Vec<String> = (0..64).map(|key| format!("k{} 0", at + key)).collect();
            cores.send(other, &format!("MSET {}", keys.join(" ")));
        }
        round(&mut cores);
        if !cores.clients[client].received.is_empty() {
            break;
        }
        assert!(turn < 2000, "it is not starved");
    }
    rest(&mut cores);
}

#[test]
fn a_watch_holds_for_a_large_block() {
    for (key, is_run) in [("elsewhere", true), ("k0", false), ("k5", false), ("other", false)] {
        let mut cores = Cores::new(2, |_| ());
        let (client, other) = (cores.connect_to(0), cores.connect_to(1));
        assert_eq!(cores.call(client, "WATCH k0 k5 other"), "+OK\r\n");
        queue(&mut cores, client, "1");
        cores.call(other, &format!("SET {key} 0"));
        cores.send(client, "EXEC");
        rest(&mut cores);
        assert_eq!(cores.received(client).starts_with(&format!("*{COMMANDS}\r\n")), is_run, "{key}");
    }
}

/// What a block has written is there for its later commands, however little memory is left meanwhile.
#[test]
fn nothing_is_evicted_from_under_a_block() {
    for policy in [MaxmemoryPolicy::AllkeysRandom, MaxmemoryPolicy::AllkeysLru] {
        let mut cores = Cores::new(2, |config| {
            config.maxmemory = 1 << 30;
            config.maxmemory_policy = policy;
        });
        let client = cores.connect_to(0);
        queue(&mut cores, client, "1");
        for number in 0..COMMANDS / 64 {
            cores.send(client, &format!("EXISTS k{}", number * 64));
        }
        cores.run();
        cores.received(client);
        cores.send(client, "EXEC");
        (0..COMMANDS / EXEC_STEP_COMMANDS + 10).for_each(|_| round(&mut cores));
        cores.memory_used = 2 << 30;
        rest(&mut cores);
        let reply = cores.received(client);
        assert_eq!(reply.matches(":1\r\n").count(), COMMANDS / 64, "{policy:?}");
    }
}
