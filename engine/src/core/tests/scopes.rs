//! Scopes on the submit path: nothing writes what another node writes, whichever command, key and moment.

use std::sync::Arc;

use bobbin_cluster::NodeName;
use bobbin_cluster::catalog::{Catalog, CatalogLog, Change};

use super::Cores;
use super::effects::effects;
use crate::command::{TABLE, commands, subcommands};
use crate::scopes::Scopes;

const NODES: [&str; 2] = ["node us 10.0.0.1:6379", "node them 10.0.0.2:6379"];
/// What begins so is ours, theirs, or moves to them.
const SCOPES: [&str; 4] =
    ["scope our: writer us", "scope their: writer them", "scope moving: writer us", "move moving: to them"];

const MISDIRECTED: &str = "-MISDIRECTED writer is 10.0.0.2:6379\r\n";
const QUIESCED: &str = "-QUIESCED migrating to 10.0.0.2:6379\r\n";
const SEVERAL: &str = "-CROSSSCOPE the transaction's keys are in more than one scope\r\n";
const ALL_KEYS: &str = "-CROSSSCOPE the command changes all keys, and other nodes write some of them\r\n";

/// Every command that writes, with a `?` for each of its keys.
const WRITES: &[&str] = &[
    "BITFIELD ? SET u8 0 1",
    "BITFIELD ? GET u8 0",
    "SETBIT ? 0 1",
    "BITOP AND ? ? ?",
    "INCR ?",
    "DECR ?",
    "INCRBY ? 1",
    "DECRBY ? 1",
    "INCRBYFLOAT ? 1",
    "RESTORE ? 0 x",
    "RESTORE-ASKING ? 0 x",
    "EXPIRE ? 10",
    "PEXPIRE ? 10",
    "EXPIREAT ? 1",
    "PEXPIREAT ? 1",
    "PERSIST ?",
    "GEOADD ? 1 1 m",
    "GEOSEARCHSTORE ? ? FROMLONLAT 1 1 BYRADIUS 1 M",
    "GEORADIUS ? 1 1 1 M",
    "GEORADIUS ? 1 1 1 M STORE ?",
    "GEORADIUS ? 1 1 1 M STOREDIST ?",
    "GEORADIUS ? 1 1 1 M COUNT 1 STORE x STORE ?",
    "GEORADIUSBYMEMBER ? m 1 M STORE ?",
    "GEORADIUSBYMEMBER ? m 1 M STOREDIST ?",
    "HINCRBY ? f 1",
    "HINCRBYFLOAT ? f 1",
    "HEXPIRE ? 10 FIELDS 1 f",
    "HPEXPIRE ? 10 FIELDS 1 f",
    "HEXPIREAT ? 1 FIELDS 1 f",
    "HPEXPIREAT ? 1 FIELDS 1 f",
    "HPERSIST ? FIELDS 1 f",
    "HSETEX ? FIELDS 1 f v",
    "HGETEX ? FIELDS 1 f",
    "HGETDEL ? FIELDS 1 f",
    "HSET ? f v",
    "HMSET ? f v",
    "HSETNX ? f v",
    "HDEL ? f",
    "PFADD ? a",
    "PFMERGE ? ? ?",
    "PFDEBUG ENCODING ?",
    "DEL ? ? ?",
    "UNLINK ? ?",
    "RENAME ? ?",
    "RENAMENX ? ?",
    "COPY ? ? REPLACE",
    "MOVE ? 1",
    "LPUSH ? a",
    "RPUSH ? a",
    "LPUSHX ? a",
    "RPUSHX ? a",
    "LPOP ?",
    "RPOP ?",
    "LSET ? 0 a",
    "LINSERT ? BEFORE a b",
    "LREM ? 1 a",
    "LTRIM ? 0 1",
    "BLPOP ? ? ? 0",
    "BRPOP ? ? 0",
    "BLMOVE ? ? LEFT RIGHT 0",
    "BRPOPLPUSH ? ? 0",
    "BLMPOP 0 2 ? ? LEFT",
    "LMOVE ? ? LEFT RIGHT",
    "RPOPLPUSH ? ?",
    "LMPOP 2 ? ? LEFT",
    "SADD ? a",
    "SMOVE ? ? a",
    "SINTERSTORE ? ? ?",
    "SUNIONSTORE ? ? ?",
    "SDIFFSTORE ? ? ?",
    "SREM ? a",
    "SPOP ?",
    "XADD ? * f v",
    "XSETID ? 1-1",
    "XCLAIM ? g c 0 1-1",
    "XAUTOCLAIM ? g c 0 1-1",
    "XGROUP CREATE ? g $ MKSTREAM",
    "XGROUP CREATECONSUMER ? g c",
    "XGROUP DELCONSUMER ? g c",
    "XGROUP DESTROY ? g",
    "XGROUP SETID ? g $",
    "XACK ? g 1-1",
    "XREADGROUP GROUP g c STREAMS ? ? > >",
    "XREADGROUP GROUP g c BLOCK 0 COUNT 1 STREAMS ? >",
    "XREADGROUP COUNT 1 GROUP g streams STREAMS ? >",
    "XREADGROUP NOACK GROUP streams c STREAMS ? >",
    "XTRIM ? MAXLEN 1",
    "XDEL ? 1-1",
    "SORT ?",
    "SORT ? BY nosort GET # STORE ?",
    "SORT ? STORE x STORE ?",
    "SET ? v",
    "SETNX ? v",
    "SETEX ? 10 v",
    "PSETEX ? 10 v",
    "GETSET ? v",
    "GETDEL ?",
    "GETEX ?",
    "SETRANGE ? 0 v",
    "APPEND ? v",
    "MSET ? v ? v ? v",
    "MSETNX ? v ? v",
    "ZADD ? 1 m",
    "ZINCRBY ? 1 m",
    "BZPOPMIN ? ? 0",
    "BZPOPMAX ? ? 0",
    "BZMPOP 0 2 ? ? MIN",
    "ZUNIONSTORE ? 2 ? ? WEIGHTS 1 2",
    "ZINTERSTORE ? 2 ? ?",
    "ZDIFFSTORE ? 2 ? ?",
    "ZRANGESTORE ? ? 0 1",
    "ZREM ? m",
    "ZREMRANGEBYRANK ? 0 1",
    "ZREMRANGEBYSCORE ? 0 1",
    "ZREMRANGEBYLEX ? - +",
    "ZPOPMIN ?",
    "ZPOPMAX ?",
    "ZMPOP 2 ? ? MIN",
];

/// Those that name no keys, and change all.
const OF_ALL_KEYS: &[&str] = &["FLUSHALL", "FLUSHDB", "SWAPDB 0 1"];

fn scopes(lines: &[&str]) -> Arc<Scopes> {
    let mut log = CatalogLog::new(Catalog::default(), 32);
    for line in NODES.iter().chain(lines) {
        let change = Change::parse_line(line.as_bytes()).unwrap();
        log.save(log.current().version(), change).unwrap();
    }
    Arc::new(Scopes::new(log, Some(&NodeName::new(b"us").unwrap())))
}

impl Cores {
    /// All cores go by these from now on.
    fn adopt(&mut self, lines: &[&str]) {
        self.all[0].env.shared.set_scopes(scopes(lines));
        for index in 0..self.all.len() {
            self.begin(index);
            self.all[index].adopt_scopes();
            self.end(index);
        }
        self.run();
    }
}

fn with_scopes() -> (Cores, usize) {
    let mut cores = Cores::new(2, |_| ());
    let client = cores.connect();
    cores.adopt(&SCOPES);
    (cores, client)
}

/// A request with keys for its marks, by their numbers.
fn filled(line: &str, key: impl Fn(usize) -> String) -> String {
    let mut parts = line.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.enumerate().fold(first, |request, (number, part)| request + &key(number) + part)
}

#[test]
fn every_write_is_refused_if_any_of_its_keys_is_elsewhere() {
    let (mut cores, client) = with_scopes();
    for line in WRITES {
        for at in 0..line.matches('?').count() {
            for (elsewhere, refusal) in [("their", MISDIRECTED), ("moving", QUIESCED)] {
                for other in ["our:", "free"] {
                    let prefix = |number| if number == at { format!("{elsewhere}:") } else { other.into() };
                    let request = filled(line, |number| format!("{}{number}", prefix(number)));
                    assert_eq!(cores.call(client, &request), refusal, "{request}");
                    assert!(!cores.conn(client).has_to_wait(), "{request}");
                }
            }
        }
    }
    assert_eq!(cores.call(client, "DBSIZE"), ":0\r\n");
}

#[test]
fn what_is_ours_or_nobodys_may_be_written() {
    for (line, prefix) in WRITES.iter().flat_map(|line| ["our:", "free"].map(|prefix| (line, prefix))) {
        let (mut cores, client) = with_scopes();
        let reply = cores.call(client, &filled(line, |number| format!("{prefix}{number}")));
        for refusal in ["-MISDIRECTED", "-QUIESCED", "-CROSSSCOPE", "-ERR syntax", "-ERR wrong number"] {
            assert!(!reply.starts_with(refusal), "{line}: {reply}");
        }
    }
}

#[test]
fn every_write_of_the_table_is_tried() {
    let names: Vec<String> = [WRITES, OF_ALL_KEYS].concat().iter().map(|line| line.to_lowercase()).collect();
    let is_tried = |name: &str| {
        let words = name.replace('|', " ");
        names.iter().any(|line| *line == words || line.starts_with(&format!("{words} ")))
    };
    let forgotten: Vec<_> =
        TABLE.iter().filter(|row| row.is_write() && !is_tried(row.name)).map(|row| row.name).collect();
    assert!(forgotten.is_empty(), "no request of {forgotten:?} is tried");
    let keyless: Vec<_> = TABLE.iter().filter(|row| row.is_write() && row.keys.is_empty()).collect();
    assert_eq!(keyless.len(), OF_ALL_KEYS.len(), "{keyless:?}");
}

#[test]
fn what_changes_all_keys_needs_all_scopes_to_be_ours() {
    let (mut cores, client) = with_scopes();
    for line in OF_ALL_KEYS {
        assert_eq!(cores.call(client, line), ALL_KEYS, "{line}");
        cores.call(client, "MULTI");
        assert_eq!(cores.call(client, line), "+QUEUED\r\n");
        assert_eq!(cores.call(client, "EXEC"), ALL_KEYS, "{line}");
    }
    cores.adopt(&["scope our: writer us"]);
    for line in OF_ALL_KEYS {
        assert_eq!(cores.call(client, line), "+OK\r\n", "{line}");
    }
}

#[test]
fn reads_are_served_here() {
    let (mut cores, client) = with_scopes();
    cores.adopt(&[]);
    cores.call(client, "MSET their:1 a moving:1 b");
    cores.adopt(&SCOPES);
    for (request, reply) in [
        ("GET their:1", "$1\r\na\r\n"),
        ("MGET their:1 moving:1 our:1", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n"),
        ("EXISTS their:1 moving:1", ":2\r\n"),
        ("SORT_RO their:2", "*0\r\n"),
        ("WATCH their:1", "+OK\r\n"),
    ] {
        assert_eq!(cores.call(client, request), reply, "{request}");
    }
}

/// PFCOUNT keeps its answer in the key, unless that is another's.
#[test]
fn a_read_leaves_the_keys_of_others_as_they_are() {
    for (key, is_kept) in [("their:1", false), ("moving:1", false), ("our:1", true), ("free", true)] {
        let count = format!("PFCOUNT {key}");
        for (requests, reply) in
            [(&[count.as_str()][..], ":3\r\n"), (&["MULTI", "DBSIZE", &count, "EXEC"], "*2\r\n:1\r\n:3\r\n")]
        {
            let (mut cores, client) = with_scopes();
            cores.all.iter_mut().for_each(|core| core.set_journalled(true));
            cores.adopt(&[]);
            cores.call(client, &format!("PFADD {key} a b c"));
            cores.adopt(&SCOPES);
            effects(&mut cores);
            // Set in byte 15: no answer is kept.
            let has_none = format!("GETBIT {key} 120");
            assert_eq!(cores.call(client, &has_none), ":1\r\n");
            let replies: Vec<String> = requests.iter().map(|request| cores.call(client, request)).collect();
            assert_eq!(replies.last().unwrap(), reply);
            assert_eq!(cores.call(client, &has_none) == ":0\r\n", is_kept, "{key}: {requests:?}");
            assert_eq!(effects(&mut cores).contains(&count), is_kept, "{key}: {requests:?}");
        }
    }
}

/// Nor is the form changed in which a key is kept: PFCOUNT does so where the answer is there already.
#[test]
fn a_read_leaves_the_form_of_the_keys_of_others_as_it_is() {
    // An empty HyperLogLog, its answer in it, short enough to be kept beside its key.
    let value = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff";
    for (key, encoding) in [("their:1", "$6\r\nembstr\r\n"), ("our:1", "$3\r\nraw\r\n")] {
        let (mut cores, client) = with_scopes();
        cores.adopt(&[]);
        let mut bytes = Vec::new();
        bobbin_proto::encode_command(&mut bytes, [&b"SET"[..], key.as_bytes(), value]);
        cores.send_bytes(client, &bytes);
        cores.run();
        assert_eq!(cores.received(client), "+OK\r\n");
        cores.adopt(&SCOPES);
        assert_eq!(cores.call(client, &format!("PFCOUNT {key}")), ":0\r\n");
        assert_eq!(cores.call(client, &format!("OBJECT ENCODING {key}")), encoding, "{key}");
    }
}

#[test]
fn only_writes_are_looked_at() {
    let (mut cores, client) = with_scopes();
    let reads = commands()
        .chain(commands().flat_map(subcommands))
        .filter(|row| !row.is_write() && !row.keys.is_empty());
    for row in reads.filter(|row| row.name != "watch") {
        let count = usize::from(row.arity.unsigned_abs()).max(4);
        let name = row.name.replace('|', " ");
        let request = format!("{name}{}", " their:1".repeat(count - name.split(' ').count()));
        let reply = cores.call(client, &request);
        assert!(!reply.starts_with("-MISDIRECTED"), "{request}");
    }
}

#[test]
fn a_transaction_is_refused_whole() {
    let (mut cores, client) = with_scopes();
    for (block, reply, keys) in [
        (&["SET free1 v", "SET their:1 v", "GET their:1"][..], MISDIRECTED, 0),
        (&["SET their:1 v", "SET their:2 v"], MISDIRECTED, 0),
        (&["SET free1 v", "SET moving:1 v"], QUIESCED, 0),
        (&["SET our:1 v", "SET their:1 v"], SEVERAL, 0),
        (&["SET their:1 v", "SET our:1 v"], SEVERAL, 0),
        (&["MSET our:1 v free1 v moving:1 v"], SEVERAL, 0),
        (&["SET our:1 v", "GET their:1", "SET our:2 v"], "*3\r\n+OK\r\n$-1\r\n+OK\r\n", 2),
        (&["DEL our:1 our:2", "GET their:1"], "*2\r\n:2\r\n$-1\r\n", 0),
    ] {
        assert_eq!(cores.call(client, "WATCH free9"), "+OK\r\n");
        assert_eq!(cores.call(client, "MULTI"), "+OK\r\n");
        for request in block {
            assert_eq!(cores.call(client, request), "+QUEUED\r\n", "{request}");
        }
        assert_eq!(cores.call(client, "EXEC"), reply, "{block:?}");
        assert_eq!(cores.call(client, "EXEC"), "-ERR EXEC without MULTI\r\n");
        assert_eq!(cores.call(client, "DBSIZE"), format!(":{keys}\r\n"), "{block:?}");
    }
}

#[test]
fn errors_before_exec_are_answered_as_ever() {
    let (mut cores, client) = with_scopes();
    cores.call(client, "MULTI");
    cores.call(client, "SET their:1 v");
    cores.call(client, "SET their:1");
    assert!(cores.call(client, "EXEC").starts_with("-EXECABORT"));
    assert_eq!(cores.call(client, "EXEC"), "-ERR EXEC without MULTI\r\n");
}

#[test]
fn exec_goes_by_the_scopes_of_its_own_moment() {
    let (mut cores, client) = with_scopes();
    let queue = |cores: &mut Cores| {
        cores.call(client, "MULTI");
        cores.call(client, "SET our:1 v");
        cores.call(client, "SET free1 v");
    };
    queue(&mut cores);
    cores.adopt(&["scope our: writer them"]);
    assert_eq!(cores.call(client, "EXEC"), MISDIRECTED);
    queue(&mut cores);
    cores.adopt(&SCOPES);
    assert_eq!(cores.call(client, "EXEC"), "*2\r\n+OK\r\n+OK\r\n");
    cores.adopt(&[]);
    queue(&mut cores);
    cores.adopt(&["scope our: writer us", "scope free writer us"]);
    assert_eq!(cores.call(client, "EXEC"), SEVERAL);
    // Half of it queued by other scopes than the rest.
    cores.adopt(&SCOPES);
    cores.call(client, "MULTI");
    cores.call(client, "SET their:1 v");
    cores.adopt(&["scope their: writer us"]);
    cores.call(client, "SET their:2 v");
    assert_eq!(cores.call(client, "EXEC"), "*2\r\n+OK\r\n+OK\r\n");
}

#[test]
fn whoever_waits_for_keys_that_go_elsewhere_is_told() {
    for reactor in 0..2 {
        let mut cores = Cores::new(2, |_| ());
        let here = cores.key_of(reactor);
        let (client, reader) = (cores.connect_to(0), cores.connect_to(1));
        for request in [
            format!("BLPOP free {here} 0"),
            format!("BLMOVE {here} free LEFT LEFT 0"),
            format!("BLMOVE free {here} LEFT LEFT 0"),
            format!("BZMPOP 0 1 {here} MIN"),
        ] {
            assert_eq!(cores.call(client, &request), "", "{request}");
            assert_eq!(cores.call(reader, &format!("XREAD BLOCK 0 STREAMS {here} $")), "");
            cores.adopt(&["scope other writer them"]);
            assert_eq!(cores.received(client), "", "{request} is not concerned");
            cores.adopt(&[&format!("scope {here} writer them")]);
            assert_eq!(cores.received(client), MISDIRECTED, "{request}");
            assert_eq!(cores.received(reader), "", "a read goes on waiting");
            cores.adopt(&[]);
            assert_eq!(cores.call(client, "PING"), "+PONG\r\n");
            cores.call(client, &format!("XADD {here} 1-1 f v"));
            assert_ne!(cores.received(reader), "");
            assert_eq!(cores.call(client, &format!("DEL {here}")), ":1\r\n");
        }
        for shard in &cores.all {
            assert!(shard.shard.rest.waits.is_empty(), "nobody is left in line");
            assert!(shard.is_at_rest());
        }
    }
}

#[test]
fn a_change_is_answered_when_all_cores_go_by_it_also_if_nobody_waits_for_the_answer() {
    for gone in [false, true] {
        let mut cores = Cores::new(3, |_| ());
        let client = cores.connect_to(1);
        cores.adopt(&[]);
        cores.send(client, "SCOPE ADD our: WRITER us");
        let change = cores.core_of(client).take_scope_change().expect("it is asked for");
        assert_eq!(change.change, Change::parse_line(b"scope our: writer us").unwrap());
        if gone {
            let id = cores.conn(client).id;
            cores.core_of(client).hung_up(id);
            cores.run();
        }
        let asker = change.reactor().index();
        cores.all[0].env.shared.set_scopes(scopes(&["scope our: writer us"]));
        cores.begin(asker);
        cores.all[asker].scopes_changed(change, Ok(()));
        cores.end(asker);
        let version = |cores: &Cores, index: usize| cores.all[index].env.scopes.version().0;
        while (0..3).any(|index| version(&cores, index) != 3) {
            assert_eq!(cores.received(client), "");
            cores.iterate(asker);
            cores.deliver(0);
        }
        cores.run();
        assert_eq!(cores.received(client), if gone { "" } else { "+OK\r\n" });
    }
}

#[test]
fn a_change_that_is_not_made_is_told_and_changes_nothing() {
    let (mut cores, client) = with_scopes();
    cores.send(client, "SCOPE DEL nothing");
    let change = cores.core_of(client).take_scope_change().expect("it is asked for");
    let asker = change.reactor().index();
    cores.begin(asker);
    cores.all[asker].scopes_changed(change, Err("there is no scope 'nothing'".into()));
    cores.end(asker);
    cores.run();
    assert_eq!(cores.received(client), "-ERR there is no scope 'nothing'\r\n");
    assert_eq!(cores.call(client, "SCOPE VERSION"), ":6\r\n");
}
