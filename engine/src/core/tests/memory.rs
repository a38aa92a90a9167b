//! `maxmemory` with a figure of memory that the test makes up.

use super::Cores;
use crate::config::{Config, MaxmemoryPolicy};

const LIMIT: u64 = 10_000_000;
/// What a server uses beside its keys.
const BASE: u64 = 1_000_000;

fn limited(policy: MaxmemoryPolicy) -> impl FnOnce(&mut Config) {
    move |config| {
        config.maxmemory = LIMIT;
        config.maxmemory_policy = policy;
    }
}

#[test]
fn a_policy_that_is_changed_is_followed() {
    let mut cores = Cores::new(2, limited(MaxmemoryPolicy::Noeviction));
    let client = cores.connect();
    assert_eq!(cores.call(client, "CONFIG SET maxmemory-policy allkeys-random"), "+OK\r\n");
    assert!(fill(&mut cores, client, 0, 15_000, 100).is_empty());
    assert!(evicted(&cores) > 0);
}

fn held(cores: &Cores) -> u64 {
    cores.all.iter().map(|core| core.shard.keyspace.memory() as u64).sum()
}

fn evicted(cores: &Cores) -> u64 {
    cores.all.iter().map(|core| core.shard.rest.stats.evicted).sum()
}

/// Sets keys from `from` on, with a figure renewed every `every` commands. Returns the replies that were errors.
fn fill(cores: &mut Cores, client: usize, from: usize, keys: usize, every: usize) -> Vec<String> {
    let value = "v".repeat(1000);
    let mut errors = Vec::new();
    for index in from..from + keys {
        if index % every == 0 {
            cores.memory_used = BASE + held(cores);
        }
        let reply = cores.call(client, &format!("SET key:{index} {value}"));
        if reply != "+OK\r\n" {
            errors.push(reply);
        }
    }
    errors
}

#[test]
fn without_a_limit_nothing_is_evicted_or_refused() {
    let mut cores = Cores::new(2, |config| config.maxmemory_policy = MaxmemoryPolicy::AllkeysLru);
    let client = cores.connect();
    cores.memory_used = u64::MAX / 2;
    assert_eq!(fill(&mut cores, client, 0, 100, 1000), Vec::<String>::new());
    assert_eq!(evicted(&cores), 0);
}

#[test]
fn eviction_keeps_the_server_at_its_limit_and_not_far_below() {
    for every in [1, 100] {
        let mut cores = Cores::new(3, limited(MaxmemoryPolicy::AllkeysLru));
        let client = cores.connect();
        let errors = fill(&mut cores, client, 0, 20_000, every);
        assert_eq!(errors, Vec::<String>::new());
        cores.memory_used = BASE + held(&cores);
        cores.run();
        let used = BASE + held(&cores);
        assert!((LIMIT * 9 / 10..=LIMIT).contains(&used), "{used} with a figure every {every}");
        assert!(evicted(&cores) > 10_000);
    }
}

#[test]
fn keys_that_are_evicted_are_told() {
    let mut cores = Cores::new(2, limited(MaxmemoryPolicy::AllkeysRandom));
    let client = cores.connect();
    let listener = cores.connect();
    assert_eq!(cores.call(client, "CONFIG SET notify-keyspace-events Ee"), "+OK\r\n");
    cores.call(listener, "SUBSCRIBE __keyevent@0__:evicted");
    assert!(fill(&mut cores, client, 0, 15_000, 100).is_empty());
    cores.run();
    let told = cores.received(listener).matches("$7\r\nmessage\r\n").count() as u64;
    assert!(told > 0);
    assert_eq!(told, evicted(&cores), "each is told once");
}

#[test]
fn a_figure_that_stays_old_does_not_empty_the_server() {
    let mut cores = Cores::new(2, limited(MaxmemoryPolicy::AllkeysRandom));
    let client = cores.connect();
    fill(&mut cores, client, 0, 8000, 1);
    let before = held(&cores);
    cores.memory_used = LIMIT + 500_000;
    (0..1000).for_each(|_| cores.run());
    let given_up = before - held(&cores);
    assert!((490_000..600_000).contains(&given_up), "{given_up} for an excess of 500,000");
}

#[test]
fn noeviction_refuses_what_needs_memory_and_nothing_else() {
    let mut cores = Cores::new(2, limited(MaxmemoryPolicy::Noeviction));
    let client = cores.connect();
    cores.call(client, "SET key value");
    cores.memory_used = LIMIT + 1;
    cores.run();
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    assert_eq!(cores.call(client, "SET key other"), oom);
    assert_eq!(cores.call(client, "COPY key key2"), oom);
    assert_eq!(cores.call(client, "GET key"), "$5\r\nvalue\r\n");
    assert_eq!(cores.call(client, "RENAME key key2"), "+OK\r\n");
    assert_eq!(cores.call(client, "DEL key2"), ":1\r\n");
    cores.memory_used = LIMIT;
    assert_eq!(cores.call(client, "SET key value"), "+OK\r\n");
    assert_eq!(evicted(&cores), 0);
}

#[test]
fn noeviction_counts_what_was_written_since_the_figure() {
    let mut cores = Cores::new(1, limited(MaxmemoryPolicy::Noeviction));
    let client = cores.connect();
    cores.memory_used = BASE;
    let errors = fill(&mut cores, client, 1, 20_000, usize::MAX);
    assert!(errors.len() > 10_000, "{} refused", errors.len());
    assert!(BASE + held(&cores) < LIMIT + 10_000);
}

#[test]
fn a_volatile_policy_gives_up_what_expires_then_refuses() {
    let mut cores = Cores::new(2, limited(MaxmemoryPolicy::VolatileTtl));
    let client = cores.connect();
    assert_eq!(fill(&mut cores, client, 0, 4000, 1), Vec::<String>::new());
    for index in 0..1000 {
        cores.call(client, &format!("EXPIRE key:{index} 1000"));
    }
    let errors = fill(&mut cores, client, 4000, 10_000, 1);
    assert_eq!(evicted(&cores), 1000, "all that expire are gone first");
    assert!(errors.len() > 1000 && errors[0].starts_with("-OOM"), "then writes are refused");
    assert_eq!(cores.call(client, "EXISTS key:1500 key:3999"), ":2\r\n");
}

#[test]
fn an_eviction_step_is_bounded() {
    let mut cores = Cores::new(1, limited(MaxmemoryPolicy::AllkeysRandom));
    let client = cores.connect();
    fill(&mut cores, client, 0, 8000, 1);
    cores.memory_used = LIMIT * 2;
    let before = evicted(&cores);
    cores.iterate(0);
    assert_eq!(evicted(&cores) - before, 500);
    cores.all[0].env.config = std::sync::Arc::new(Config {
        maxmemory_eviction_tenacity: 100,
        ..(*cores.all[0].env.config).clone()
    });
    cores.iterate(0);
    assert!(held(&cores) < 200_000);
}
