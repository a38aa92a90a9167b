//! Commands over keys of several shards, in every order of delivery.

use super::Cores;

/// Runs what was sent, each batch chosen at random among those that may come next.
fn run_shuffled(cores: &mut Cores, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    while cores.deliver(rng.usize(..)) {}
    cores.run();
}

#[test]
fn a_key_lent_to_one_command_is_not_missing_for_another() {
    for seed in 0..200 {
        let mut cores = Cores::new(3, |_| ());
        let clients: Vec<usize> = (0..6).map(|_| cores.connect()).collect();
        assert_eq!(cores.call(clients[0], "SET source 1"), "+OK\r\n");
        for (client, command) in [
            (0, "COPY source a"),
            (1, "COPY source b"),
            (2, "COPY source c DB 3"),
            (3, "GET source"),
            (4, "MGET source a1 a2 a3"),
            (5, "EXISTS source x y z source"),
        ] {
            cores.send(clients[client], command);
        }
        run_shuffled(&mut cores, seed);
        let replies = clients.iter().map(|&client| cores.received(client)).collect::<Vec<_>>();
        assert_eq!(
            replies,
            [":1\r\n", ":1\r\n", ":1\r\n", "$1\r\n1\r\n", "*4\r\n$1\r\n1\r\n$-1\r\n$-1\r\n$-1\r\n", ":2\r\n"],
            "seed {seed}"
        );
    }
}

#[test]
fn what_is_lent_comes_home_to_its_database() {
    let mut cores = Cores::new(2, |_| ());
    let client = cores.connect();
    for index in 0..50 {
        assert_eq!(cores.call(client, &format!("SET k{index} v{index}")), "+OK\r\n");
        assert_eq!(cores.call(client, &format!("COPY k{index} m{index} DB 9")), ":1\r\n");
        assert_eq!(cores.call(client, &format!("RENAME k{index} n{index}")), "+OK\r\n");
    }
    assert_eq!(cores.call(client, "DBSIZE"), ":50\r\n");
    let keys = |db: usize| cores.all.iter().map(|core| core.shard.keyspace.db(db).len()).sum::<usize>();
    assert_eq!([keys(0), keys(9), keys(1)], [50, 50, 0]);
}
