//! `maxmemory-clients`: who is cut off, and who stays.

use super::Cores;
use crate::config::{Config, MemoryOrPercent};

const MIB: usize = 1 << 20;

fn limited(config: &mut Config) {
    config.maxmemory_clients = MemoryOrPercent::Bytes(MIB as u64);
}

/// Sends the beginning of a request that has so many bytes, for which a core takes twice as many; and lets every core look.
fn fill(cores: &mut Cores, client: usize, len: usize) {
    let mut bytes = b"*2\r\n$4\r\nECHO\r\n$90000000\r\n".to_vec();
    bytes.resize(len, b'x');
    cores.send_bytes(client, &bytes);
    look(cores);
}

fn look(cores: &mut Cores) {
    for index in [0, 1, 0, 1] {
        cores.iterate(index);
    }
}

fn evicted(cores: &Cores) -> u64 {
    cores.all.iter().map(|core| core.observed.counts.evicted_clients).sum()
}

#[test]
fn the_largest_is_cut_off_whichever_core_serves_it() {
    for large_on in 0..2 {
        let mut cores = Cores::new(2, |config| config.maxmemory_clients = MemoryOrPercent::Bytes(1_700_000));
        let large = cores.connect_to(large_on);
        let others = [cores.connect_to(1 - large_on), cores.connect_to(large_on)];
        fill(&mut cores, large, 500_000);
        fill(&mut cores, others[0], 250_000);
        assert_eq!(evicted(&cores), 0);
        fill(&mut cores, others[1], 250_000);
        assert!(cores.is_closed(large) && others.iter().all(|&other| !cores.is_closed(other)));
        assert_eq!(evicted(&cores), 1);
    }
}

#[test]
fn as_many_are_cut_off_as_have_to_be() {
    let mut cores = Cores::new(2, |_| ());
    let clients: Vec<usize> = (0..8).map(|_| cores.connect()).collect();
    let asker = cores.connect();
    for (number, &client) in clients.iter().enumerate() {
        fill(&mut cores, client, 100_000 * (number + 1));
    }
    assert_eq!(cores.call(asker, "CONFIG SET maxmemory 10mb maxmemory-clients 10%"), "+OK\r\n");
    (0..8).for_each(|_| look(&mut cores));
    let stay: Vec<bool> = clients.iter().map(|&client| !cores.is_closed(client)).collect();
    assert!(stay.is_sorted_by(|smaller, larger| smaller >= larger), "{stay:?}");
    assert!(stay[0] && stay[1] && !stay[7], "{stay:?}");
    assert!(!cores.is_closed(asker));
    assert_eq!(evicted(&cores), stay.iter().filter(|&&stays| !stays).count() as u64);
}

#[test]
fn who_is_to_be_spared_stays_and_counts() {
    let mut cores = Cores::new(2, limited);
    let (spared, other) = (cores.connect(), cores.connect());
    assert_eq!(cores.call(spared, "CLIENT NO-EVICT ON"), "+OK\r\n");
    fill(&mut cores, spared, 2 * MIB);
    assert!(!cores.is_closed(spared));
    assert!(cores.is_closed(other), "there is no room for anybody else");
}

#[test]
fn what_was_taken_is_given_back() {
    let mut cores = Cores::new(2, limited);
    for _ in 0..10 {
        let client = cores.connect();
        fill(&mut cores, client, 400_000);
        cores.hang_up(client);
        look(&mut cores);
    }
    assert_eq!(evicted(&cores), 0);
    assert!(cores.all.iter().all(|core| core.conns.memory() == 0));
}
