//! `maxmemory` on a server: replies beside redis-server's, and the limit kept under load.

use bobbin_proto::Value;

use crate::support::{bobbin_with, same_replies_with};

#[test]
fn a_server_without_room_refuses_as_redis_does() {
    same_replies_with(
        &["--maxmemory", "1"],
        &[
            "SET a 1",
            "MSET a 1 b 2",
            "COPY a b",
            "GET a",
            "EXISTS a",
            "DEL a",
            "RENAME a b",
            "EXPIRE a 1",
            "DBSIZE",
        ],
    );
}

#[test]
fn an_evicting_server_takes_every_write_and_keeps_its_limit() {
    const LIMIT_KIB: usize = 40 << 10;
    let limit = format!("{LIMIT_KIB}kb");
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        let server = bobbin_with(&["--maxmemory", &limit, "--maxmemory-policy", policy]);
        let mut client = server.connect();
        let value = "v".repeat(1000);
        for first in (0..80_000).step_by(20) {
            let mut command = vec!["MSET".to_owned()];
            command.extend((first..first + 20).flat_map(|index| [format!("key:{index}"), value.clone()]));
            assert_eq!(client.call(&command), Value::Simple(b"OK".to_vec()), "{policy} at {first}");
        }
        let Value::Int(keys) = client.run("DBSIZE") else { panic!("an integer") };
        // 1 KiB of value, and what a server without keys uses beside.
        assert!(keys < LIMIT_KIB as i64 && keys > LIMIT_KIB as i64 / 4, "{policy}: {keys} keys left");
    }
}

#[test]
fn a_server_that_evicts_keys_with_a_lifetime_takes_writes_while_there_are_some() {
    let value = "v".repeat(10_000);
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
        let server = bobbin_with(&["--maxmemory", "20mb", "--maxmemory-policy", policy]);
        let mut client = server.connect();
        let ok = Value::Simple(b"OK".to_vec());
        for index in 0..4000 {
            let key = format!("passing:{index}");
            assert_eq!(client.call(&["SET", &key, &value, "EX", "10000"]), ok, "{policy} at {index}");
        }
        let Value::Int(keys) = client.run("DBSIZE") else { panic!("an integer") };
        assert!(keys < 2000, "{policy}: {keys} keys");
        let mut lasting = 0;
        while client.call(&["SET", &format!("lasting:{lasting}"), &value]) == ok {
            lasting += 1;
            assert!(lasting < 4000, "{policy}");
        }
        let refusal = Value::Error(b"OOM command not allowed when used memory > 'maxmemory'.".to_vec());
        assert_eq!(client.call(&["SET", "another", &value]), refusal, "{policy}");
        // All that was said to be kept is there, and can be read and deleted.
        assert_eq!(client.call(&["GET", "lasting:0"]), Value::Bulk(value.clone().into()), "{policy}");
        let kept: Vec<String> = (0..lasting).map(|index| format!("lasting:{index}")).collect();
        let exist: i64 = kept
            .chunks(1000)
            .map(|keys| match client.call(&[&["EXISTS".into()], keys].concat()) {
                Value::Int(count) => count,
                other => panic!("{other:?}"),
            })
            .sum();
        assert_eq!(exist, lasting, "{policy}");
        assert_eq!(client.run("DEL lasting:0"), Value::Int(1), "{policy}");
    }
}
