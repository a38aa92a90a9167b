//! Expiry and freeing, by a clock of the test's own.

use super::Cores;
use crate::store::Expiry;

fn len(cores: &Cores) -> usize {
    cores.all.iter().map(|core| core.shard.keyspace.len()).sum()
}

fn expired(cores: &Cores) -> u64 {
    cores.all.iter().map(|core| core.shard.rest.stats.expired).sum()
}

#[test]
fn a_key_is_there_through_the_millisecond_of_its_deadline_and_not_after() {
    let mut cores = Cores::new(2, |_| ());
    let client = cores.connect();
    let deadline = cores.now_ms + 50;
    cores.call(client, "SET key value");
    assert_eq!(cores.call(client, &format!("PEXPIREAT key {deadline}")), ":1\r\n");
    cores.now_ms = deadline;
    assert_eq!(cores.call(client, "PTTL key"), ":0\r\n");
    cores.now_ms = deadline + 1;
    for (command, reply) in [
        ("GET key", "$-1\r\n"),
        ("TTL key", ":-2\r\n"),
        ("TYPE key", "+none\r\n"),
        ("PERSIST key", ":0\r\n"),
        ("PEXPIRE key 100", ":0\r\n"),
        ("RENAME key other", "-ERR no such key\r\n"),
        ("DEL key", ":0\r\n"),
    ] {
        assert_eq!(cores.call(client, command), reply, "{command}");
    }
    assert_eq!(expired(&cores), 1);
}

#[test]
fn keys_nobody_asks_for_go_within_a_tick_of_their_deadline() {
    let mut cores = Cores::new(2, |_| ());
    let client = cores.connect();
    let start = cores.now_ms;
    for index in 0..2000 {
        cores.call(client, &format!("SET k{index} v"));
        assert_eq!(cores.call(client, &format!("PEXPIREAT k{index} {}", start + 1000 + index)), ":1\r\n");
    }
    for step in 0..35 {
        cores.now_ms = start + step * 100;
        run_as_driven(&mut cores);
        let now = cores.now_ms - start;
        let due = now.saturating_sub(1000).min(2000);
        assert_eq!(expired(&cores), due, "at {now} ms");
    }
    assert_eq!(len(&cores), 0);
}

#[test]
fn active_expiry_can_be_switched_off() {
    let mut cores = Cores::new(1, |_| ());
    let client = cores.connect();
    cores.all[0].shard.rest.active_expire = false;
    cores.call(client, "SET key value");
    cores.call(client, "PEXPIRE key 10");
    cores.now_ms += 1000;
    run_as_driven(&mut cores);
    assert_eq!(len(&cores), 1);
    assert_eq!(cores.call(client, "EXISTS key"), ":0\r\n");
    assert_eq!(len(&cores), 0);
}

#[test]
fn many_keys_expire_in_steps_with_pauses_between() {
    let mut cores = Cores::new(1, |_| ());
    let at = Expiry::At(cores.now_ms + 100);
    let db = cores.all[0].shard.keyspace.db_mut(3);
    for i in 0..200_000u32 {
        db.set_string(&i.to_be_bytes(), b"value", at);
    }
    cores.iterate(0);
    cores.now_ms += 1000;
    let mut iterations = 0;
    while len(&cores) > 0 {
        let before = len(&cores);
        cores.iterate(0);
        assert!(before - len(&cores) < 10_000, "{before} to {}", len(&cores));
        let next_us = cores.all[0].next_deadline_us();
        assert!(next_us <= cores.mono_us() + 1000, "the pass goes on soon");
        cores.now_ms += 1;
        iterations += 1;
    }
    assert!(iterations > 20);
    run_as_driven(&mut cores);
    assert!(cores.all[0].next_deadline_us() > cores.mono_us() + 50_000, "then it rests");
}

#[test]
fn what_flushall_removes_is_freed_in_steps() {
    let mut cores = Cores::new(2, |_| ());
    let client = cores.connect();
    for core in &mut cores.all {
        let db = core.shard.keyspace.db_mut(0);
        for i in 0..100_000u32 {
            db.set_string(&i.to_be_bytes(), b"value", Expiry::None);
        }
    }
    assert_eq!(cores.call(client, "FLUSHALL"), "+OK\r\n");
    assert_eq!(cores.call(client, "DBSIZE"), ":0\r\n");
    let mut iterations = 0;
    while cores.all[0].next_deadline_us() <= cores.mono_us() {
        cores.iterate(0);
        iterations += 1;
    }
    assert!((300..1000).contains(&iterations), "{iterations} steps");
}

/// Iterates every core as often as it asks for at this moment.
fn run_as_driven(cores: &mut Cores) {
    for index in 0..cores.all.len() {
        cores.iterate(index);
        while cores.all[index].next_deadline_us() <= cores.mono_us() {
            cores.iterate(index);
        }
    }
}
