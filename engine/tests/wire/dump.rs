//! DUMP and RESTORE, between Bobbin and redis-server in both directions.

use std::fmt::Write as _;

use bobbin_proto::{Value, Version};

use crate::support::{Client, Pair, Server, bobbin_with, oracle_with, words};

const ALLOWED: [&str; 2] = ["--enable-debug-command", "yes"];

/// How much alike the two servers' payloads of a value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// The same bytes, unless they are compressed.
    Same,
    /// Each its own.
    Own,
}

/// A value, as the commands that make it under the key `k`.
pub(crate) struct Sample {
    pub(crate) commands: Vec<Vec<Vec<u8>>>,
    pub(crate) payload: Payload,
}

fn sample(payload: Payload, command: &str, args: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Sample {
    const ARGS_MAX: usize = 1000;
    let args: Vec<Vec<u8>> = args.into_iter().map(|arg| arg.as_ref().to_vec()).collect();
    let prefix = words(&format!("{command} k"));
    let commands = args.chunks(ARGS_MAX).map(|chunk| [&prefix, chunk].concat()).collect();
    Sample { commands, payload }
}

/// Bytes that do not compress, the same in every run.
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let next = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    (0..len).map(next).collect()
}

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

pub(crate) fn strings() -> Vec<Sample> {
    let texts = [
        "",
        "a",
        "12",
        "-5",
        "127",
        "128",
        "-128",
        "-129",
        "32767",
        "32768",
        "-32769",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "012",
        "-0",
        "1.5",
        "aaaaaaaaaaaaaaaaaaaa",
        "aaaaaaaaaaaaaaaaaaaaa",
        "1111111111111111111111111",
    ];
    let mut all: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).to_vec();
    all.extend([63, 64, 100, 5000, 16_383, 16_384, 1_000_000].map(|len| noise(len, len as u64)));
    all.extend([
        (0..=u8::MAX).collect(),
        b"abc".repeat(10_000),
        vec![0; 1_000_000],
        noise(3000, 9).repeat(3),
        noise(9000, 9).repeat(3),
    ]);
    let mut samples: Vec<Sample> = all.iter().map(|text| sample(Payload::Same, "SET", [text])).collect();
    samples.push(sample(Payload::Same, "APPEND", ["raw"]));
    samples.push(sample(Payload::Same, "PFADD", numbered("", 500)));
    samples
}

pub(crate) fn lists() -> Vec<Sample> {
    let mixed: Vec<Vec<u8>> = (0..3000)
        .map(|n| match n % 4 {
            0 => (n as i64 * n as i64 * n as i64 - 1000).to_string().into_bytes(),
            1 => noise(n % 90, n as u64),
            2 => Vec::new(),
            _ => vec![b'x'; n % 300],
        })
        .collect();
    let mut with_large = numbered("small:", 100).into_iter().map(String::into_bytes).collect::<Vec<_>>();
    with_large.insert(50, noise(100_000, 3));
    with_large.insert(20, vec![b'y'; 9000]);
    vec![
        sample(
            Payload::Same,
            "RPUSH",
            ["1", "-1", "127", "4095", "-4096", "32768", "8388607", "2147483648", "a"],
        ),
        sample(Payload::Same, "RPUSH", ["", "012", "9223372036854775807", "-9223372036854775808"]),
        sample(Payload::Same, "RPUSH", &mixed[..50]),
        sample(Payload::Same, "RPUSH", &mixed),
        sample(Payload::Same, "LPUSH", &mixed),
        sample(Payload::Same, "RPUSH", numbered("element:", 20_000)),
        sample(Payload::Own, "RPUSH", with_large),
        sample(Payload::Own, "RPUSH", [noise(20_000, 1)]),
    ]
}

/// A table's members are in an order of its own.
pub(crate) fn sets() -> Vec<Sample> {
    vec![
        sample(Payload::Same, "SADD", ["1", "2", "3", "-70000"]),
        sample(Payload::Same, "SADD", ["9223372036854775807", "-9223372036854775808", "0"]),
        sample(Payload::Same, "SADD", (0..512).map(|n| (n * n).to_string())),
        sample(Payload::Own, "SADD", (0..513).map(|n| (n * n).to_string())),
        sample(Payload::Own, "SADD", ["a", "", "12", "012", "-5"]),
        sample(Payload::Own, "SADD", numbered("member:", 128)),
        sample(Payload::Own, "SADD", numbered("member:", 129)),
        sample(Payload::Own, "SADD", [noise(65, 1), noise(5000, 2)]),
        sample(Payload::Own, "SADD", numbered("member:", 5000)),
    ]
}

pub(crate) fn zsets() -> Vec<Sample> {
    let pairs = |count: usize, member_len: usize| {
        (0..count).flat_map(move |n| [((n * 7919) % 1000).to_string(), format!("{n:0>member_len$}")])
    };
    let scores =
        ["1", "-1", "0", "-0", "inf", "-inf", "1e300", "-2.5e-300", "9007199254740993", "4.9e-324", "3.0"];
    let mut odd = Vec::new();
    for (n, score) in scores.iter().enumerate() {
        odd.extend([(*score).to_owned(), format!("m{n}"), (*score).to_owned(), n.to_string()]);
    }
    vec![
        sample(Payload::Same, "ZADD", ["1", "a", "2", "b", "3", "12", "3", ""]),
        sample(Payload::Own, "ZADD", &odd),
        sample(Payload::Own, "ZADD", ["0.1", "a", "1e17", "b", "0.30000000000000004", "c"]),
        sample(Payload::Same, "ZADD", pairs(128, 10)),
        sample(Payload::Same, "ZADD", pairs(129, 10)),
        sample(Payload::Same, "ZADD", pairs(3, 65)),
        sample(Payload::Same, "ZADD", pairs(5000, 20)),
    ]
}

pub(crate) fn hashes() -> Vec<Sample> {
    let pairs = |count: usize, len: usize| {
        (0..count).flat_map(move |n| [format!("field:{n}"), format!("{:0>len$}", n * n * n)])
    };
    let odd: Vec<Vec<u8>> =
        (0..100).flat_map(|n| [noise(n % 60 + 2, n as u64), noise(n % 7, n as u64)]).collect();
    vec![
        sample(Payload::Same, "HSET", ["f", "v", "12", "-5", "", "", "012", "1.5"]),
        sample(Payload::Same, "HSET", pairs(512, 3)),
        sample(Payload::Same, "HSET", odd),
        sample(Payload::Own, "HSET", pairs(513, 30)),
        sample(Payload::Own, "HSET", pairs(3, 65)),
        sample(Payload::Own, "HSET", pairs(5000, 500)),
    ]
}

pub(crate) fn scripted(payload: Payload, script: impl IntoIterator<Item = String>) -> Sample {
    Sample { commands: script.into_iter().map(|line| words(&line)).collect(), payload }
}

pub(crate) fn streams() -> Vec<Sample> {
    let add = |n: u64| match n % 7 {
        0 => format!("XADD k {n}-{n} other {n}"),
        1 => format!("XADD k {n}-0 a {} b x{n}", "long".repeat(1 + n as usize % 50)),
        _ => format!("XADD k {n}-1 a {n} b x{n}"),
    };
    let lines = |script: &[&str]| script.iter().map(ToString::to_string).collect::<Vec<_>>();
    let delete = |n: u64| format!("XDEL k {n}-1");
    vec![
        scripted(Payload::Same, lines(&["XADD k 1-1 a 1"])),
        scripted(Payload::Same, lines(&["XADD k 1-1 a 1", "XDEL k 1-1"])),
        scripted(Payload::Same, lines(&["XADD k 5 a 1", "XADD k 18446744073709551615-1 a 1", "XDEL k 5"])),
        scripted(Payload::Same, lines(&["XADD k 5 a 1", "XSETID k 9-9 ENTRIESADDED 70000 MAXDELETEDID 3-3"])),
        scripted(
            Payload::Same,
            lines(&["XGROUP CREATE k g 5 MKSTREAM", "XGROUP CREATE k h 5 ENTRIESREAD 70000"]),
        ),
        scripted(Payload::Same, (1..=1000).map(add)),
        scripted(Payload::Same, (1..=300).map(add).chain((0..200).map(|n| delete(n * 3)))),
        scripted(Payload::Same, (1..=500).map(add).chain(lines(&["XTRIM k MAXLEN 77"]))),
        scripted(Payload::Same, (1..=500).map(add).chain(lines(&["XTRIM k MINID ~ 77"]))),
        scripted(Payload::Same, (1..=5).map(add).chain(lines(&["XDEL k 4-1 5-1", "XTRIM k MINID 5"]))),
    ]
}

/// Servers side by side, each with the values of the other.
struct Exchange {
    bobbin: Client,
    oracle: Client,
    _servers: [Server; 2],
}

impl Exchange {
    fn start(directives: &[&str]) -> Self {
        let directives = [&ALLOWED, directives].concat();
        let servers = [bobbin_with(&directives), oracle_with(&directives)];
        Self { bobbin: servers[0].connect(), oracle: servers[1].connect(), _servers: servers }
    }

    /// Makes the value on both, hands each payload to the other server, and compares what is there then.
    fn check(&mut self, sample: &Sample, compressed: bool) {
        for client in [&mut self.bobbin, &mut self.oracle] {
            client.run("DEL k from-redis from-bobbin");
            sample.commands.iter().for_each(|command| not_error(&client.call(command)));
        }
        let of_redis = bulk(self.oracle.run("DUMP k"));
        let of_bobbin = bulk(self.bobbin.run("DUMP k"));
        let what = shown(&sample.commands[0]);
        if sample.payload == Payload::Same && !compressed {
            assert!(
                of_redis == of_bobbin,
                "{what}:\n{}\n{}",
                of_redis.escape_ascii(),
                of_bobbin.escape_ascii()
            );
        }
        for (name, payload) in [("from-redis", &of_redis), ("from-bobbin", &of_bobbin)] {
            for client in [&mut self.bobbin, &mut self.oracle] {
                let reply = client.call(&[&b"RESTORE"[..], name.as_bytes(), b"0", payload]);
                assert_eq!(reply, Value::Simple(b"OK".to_vec()), "{what}: {}", payload.escape_ascii());
            }
        }
        self.assert_all_equal(&what);
    }

    fn assert_all_equal(&mut self, what: &str) {
        const KEYS: [&str; 3] = ["k", "from-redis", "from-bobbin"];
        let digests = |client: &mut Client| client.run(&format!("DEBUG DIGEST-VALUE {}", KEYS.join(" ")));
        let (Value::Array(here), Value::Array(there)) =
            (digests(&mut self.bobbin), digests(&mut self.oracle))
        else {
            panic!("not digests");
        };
        for digest in here.iter().chain(&there) {
            assert_eq!(digest, &there[0], "{what}");
        }
        for key in &KEYS[1..] {
            let encoding = |client: &mut Client| bulk(client.run(&format!("OBJECT ENCODING {key}")));
            let (here, there) = (encoding(&mut self.bobbin), encoding(&mut self.oracle));
            // Only from 7.2 on are there a list that is no quicklist, and a set that is a listpack.
            let before_7_2 = if what.starts_with("SADD") { &b"hashtable"[..] } else { b"quicklist" };
            assert!(here == there || here == b"listpack" && there == before_7_2, "{what}");
        }
    }
}

pub(crate) fn bulk(value: Value) -> Vec<u8> {
    let Value::Bulk(bytes) = value else { panic!("not a string: {value:?}") };
    bytes
}

pub(crate) fn not_error(value: &Value) {
    assert!(!matches!(value, Value::Error(_)), "{value:?}");
}

fn shown(command: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for arg in command.iter().take(6) {
        let _ = write!(text, "{} ", arg[..arg.len().min(60)].escape_ascii());
    }
    text
}

fn exchange(samples: &[Sample]) {
    for (directive, compressed) in [("no", false), ("yes", true)] {
        let mut exchange = Exchange::start(&["--rdbcompression", directive]);
        samples.iter().for_each(|sample| exchange.check(sample, compressed));
    }
}

#[test]
fn strings_go_both_ways() {
    exchange(&strings());
}

#[test]
fn lists_go_both_ways() {
    exchange(&lists());
    let mut exchange = Exchange::start(&["--list-max-listpack-size", "3", "--rdbcompression", "no"]);
    lists()
        .iter()
        .filter(|sample| sample.payload == Payload::Same)
        .for_each(|sample| exchange.check(sample, false));
}

#[test]
fn sets_go_both_ways() {
    exchange(&sets());
    let mut exchange = Exchange::start(&["--set-max-intset-entries", "0", "--rdbcompression", "no"]);
    for sample in sets() {
        exchange.check(&Sample { payload: Payload::Own, ..sample }, false);
    }
}

#[test]
fn sorted_sets_go_both_ways() {
    exchange(&zsets());
    let mut exchange = Exchange::start(&["--zset-max-listpack-entries", "0", "--rdbcompression", "no"]);
    zsets().iter().for_each(|sample| exchange.check(sample, false));
}

#[test]
fn hashes_go_both_ways() {
    exchange(&hashes());
    let mut exchange = Exchange::start(&["--hash-max-listpack-entries", "0", "--rdbcompression", "no"]);
    for sample in hashes() {
        exchange.check(&Sample { payload: Payload::Own, ..sample }, false);
    }
}

#[test]
fn streams_go_both_ways() {
    exchange(&streams());
    let mut exchange = Exchange::start(&["--stream-node-max-entries", "3", "--rdbcompression", "no"]);
    streams().iter().for_each(|sample| exchange.check(sample, false));
}

/// What groups have read and what is pending goes with the stream.
#[test]
fn groups_of_streams_go_both_ways() {
    let mut script: Vec<String> = (1..=300).map(|n| format!("XADD k {n}-1 a {n}")).collect();
    let more = [
        "XGROUP CREATE k idle $",
        "XGROUP CREATE k unknown 7-7",
        "XGROUP CREATE k reading 0",
        "XREADGROUP GROUP reading alice COUNT 100 STREAMS k >",
        "XREADGROUP GROUP reading bob COUNT 70 STREAMS k >",
        "XACK k reading 3-1 4-1 150-1",
        "XDEL k 5-1 200-1",
        "XCLAIM k reading bob 0 8-1 9-1 TIME 1 RETRYCOUNT 70000",
    ];
    script.extend(more.map(String::from));
    let sample = scripted(Payload::Own, script);
    for compression in ["yes", "no"] {
        let mut exchange = Exchange::start(&["--rdbcompression", compression]);
        exchange.check(&sample, true);
        let Exchange { bobbin, oracle, .. } = &mut exchange;
        for (key, maker) in
            [("from-redis", what_groups_have(oracle, "k")), ("from-bobbin", what_groups_have(bobbin, "k"))]
        {
            assert_eq!(what_groups_have(bobbin, key), maker);
            assert_eq!(what_groups_have(oracle, key), maker);
        }
    }
}

/// How far the groups of a stream have read, and what is pending, with the times.
fn what_groups_have(client: &mut Client, key: &str) -> (Value, Vec<Value>) {
    let progress = client.run(&format!("XINFO GROUPS {key}"));
    let full = client.run(&format!("XINFO STREAM {key} FULL COUNT 0"));
    let Value::Array(groups) = field(&full, "groups") else { panic!("no groups: {full:?}") };
    (progress, groups.iter().map(|group| field(group, "pending")).collect())
}

fn field(reply: &Value, name: &str) -> Value {
    let Value::Array(fields) = reply else { panic!("no fields: {reply:?}") };
    let at = fields.iter().position(|field| *field == Value::Bulk(name.as_bytes().to_vec()));
    fields[at.expect("a field of that name") + 1].clone()
}

/// Until the last deadline is gone.
#[test]
fn a_hash_whose_fields_expire_is_too_new_for_redis_7_0() {
    let mut exchange = Exchange::start(&[]);
    let (bobbin, oracle) = (&mut exchange.bobbin, &mut exchange.oracle);
    let restore =
        |payload: &[u8]| [b"RESTORE", &b"restored"[..], b"0", payload, b"REPLACE"].map(<[u8]>::to_vec);
    for limit in ["512", "0"] {
        bobbin.run(&format!("CONFIG SET hash-max-listpack-entries {limit}"));
        bobbin.run("DEL k");
        bobbin.run("HSET k a 1 b 2");
        bobbin.run("HPEXPIREAT k 4000000000000 FIELDS 1 a");
        let payload = bulk(bobbin.run("DUMP k"));
        assert_eq!(bobbin.call(&restore(&payload)), Value::Simple(b"OK".to_vec()));
        let deadlines = Value::Array(vec![Value::Int(4_000_000_000_000), Value::Int(-1)]);
        assert_eq!(bobbin.run("HPEXPIRETIME restored FIELDS 2 a b"), deadlines);
        let refusal = b"ERR DUMP payload version or checksum are wrong".to_vec();
        assert_eq!(oracle.call(&restore(&payload)), Value::Error(refusal));
        bobbin.run("HPERSIST k FIELDS 1 a");
        let payload = bulk(bobbin.run("DUMP k"));
        assert_eq!(oracle.call(&restore(&payload)), Value::Simple(b"OK".to_vec()));
        assert_eq!(oracle.run("HGET restored a"), Value::Bulk(b"1".to_vec()));
    }
}

/// Both answer `DUMP a` with these bytes after `SET a v`.
fn pair_with_payload(version: Version) -> (Pair, Vec<u8>) {
    let mut pair = Pair::start(&ALLOWED, version);
    pair.same("SET a v");
    let (reply, _) = pair.both("DUMP a");
    pair.same("DUMP a");
    let payload = reply.splitn(2, |&byte| byte == b'\n').nth(1).map(|rest| rest[..rest.len() - 2].to_vec());
    (pair, payload.expect("a bulk string"))
}

#[test]
fn options_and_errors() {
    for version in [Version::Resp2, Version::Resp3] {
        let (mut pair, payload) = pair_with_payload(version);
        let mut restore = |line: &str| {
            let args: Vec<Vec<u8>> = words(line)
                .into_iter()
                .map(|word| if word == b"$" { payload.clone() } else { word })
                .collect();
            pair.same_call(&args);
        };
        for line in [
            "DUMP",
            "DUMP missing",
            "DUMP a b",
            "RESTORE",
            "RESTORE b 0",
            "RESTORE b 0 $",
            "RESTORE b 0 $",
            "RESTORE a 0 $",
            "RESTORE b 0 $ REPLACE",
            "RESTORE b 0 $ replace REPLACE absttl",
            "RESTORE-ASKING b 0 $ REPLACE",
            "RESTORE c 0 $ BUSY",
            "RESTORE a 0 $ BUSY",
            "RESTORE c 0 $ REPLACE X",
            "RESTORE c 0 $ IDLETIME",
            "RESTORE c 0 $ IDLETIME -1",
            "RESTORE c 0 $ IDLETIME x",
            "RESTORE a 0 $ IDLETIME -1",
            "RESTORE c 0 $ FREQ",
            "RESTORE c 0 $ FREQ 256",
            "RESTORE c 0 $ FREQ -1",
            "RESTORE c 0 $ FREQ x",
            "RESTORE c 0 $ IDLETIME 1 FREQ 1",
            "RESTORE c 0 $ FREQ 1 IDLETIME 1",
            "RESTORE c 0 $ FREQ 1 FREQ 2",
            "RESTORE c 0 $ IDLETIME 1 IDLETIME 2 REPLACE",
            "RESTORE c -1 $",
            "RESTORE c x $",
            "RESTORE c -1 $ REPLACE",
            "RESTORE c -1 x REPLACE",
            "RESTORE c x x REPLACE",
            "RESTORE c x x",
            r#"RESTORE d 0 """#,
            "RESTORE d 0 123456789",
            "RESTORE d 0 1234567890",
            "RESTORE d 0 12345678901",
            "RESTORE a 0 12345678901 REPLACE",
            "GET a",
            "RESTORE d 1 $ ABSTTL",
            "EXISTS d",
            "RESTORE d 1 12345678901 ABSTTL",
            "RESTORE c 1 $ ABSTTL",
            "RESTORE c 1 $ ABSTTL REPLACE",
            "EXISTS c",
            "RESTORE e 9999999999999 $ ABSTTL",
            "PEXPIRETIME e",
            "RESTORE e 0 $ REPLACE",
            "TTL e",
            "RESTORE f 100000 $",
            "TTL f",
            "RESTORE g 0 $ IDLETIME 1000",
            "OBJECT IDLETIME g",
            "RESTORE h 0 $ FREQ 7",
            "OBJECT FREQ h",
            "CONFIG SET maxmemory-policy allkeys-lfu",
            "RESTORE g 0 $ IDLETIME 1000 REPLACE",
            "OBJECT FREQ g",
            "RESTORE h 0 $ FREQ 7 REPLACE",
            "OBJECT FREQ h",
            "RESTORE i 0 $ FREQ 255",
            "OBJECT FREQ i",
            "RPUSH l 1",
            "RESTORE l 0 $",
            "RESTORE l 0 $ REPLACE",
            "TYPE l",
            "DBSIZE",
        ] {
            restore(line);
        }
    }
}

#[test]
fn checksums_are_skipped_where_a_test_says_so() {
    let (mut pair, mut payload) = pair_with_payload(Version::Resp2);
    let last = payload.len() - 1;
    payload[last] ^= 1;
    let restore = |pair: &mut Pair, payload: &[u8]| pair.same_call(&[&b"RESTORE"[..], b"b", b"0", payload]);
    restore(&mut pair, &payload);
    pair.same("DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
    restore(&mut pair, &payload);
    pair.same("GET b");
    pair.same("DEL b");
    // What is behind the value is not looked at.
    restore(&mut pair, &[&payload[..3], &b"more"[..], &payload[3..]].concat());
    pair.same("GET b");
    pair.same("DEL b");
    // Values that end too soon, of types that are not, and that are no collection.
    for body in [&b"\x00"[..], b"\x00\x3fabcd", b"\x08", b"\xfe", b"\x06\x01", b"\x12\x00", b"\x05\x00"] {
        restore(&mut pair, &[body, &[10, 0], &[0; 8]].concat());
        pair.same("EXISTS b");
    }
    pair.same("DEBUG SET-SKIP-CHECKSUM-VALIDATION 0");
    restore(&mut pair, &payload);
}

/// A value that takes several steps to free and one of another type give way alike; so does one on another shard.
#[test]
fn a_value_replaces_any_other() {
    let (mut pair, payload) = pair_with_payload(Version::Resp2);
    for n in 0..20 {
        let large: Vec<String> = numbered("", 3000);
        let (list, string) = (format!("l{n}"), format!("s{n}"));
        let rpush: Vec<&str> = ["RPUSH", &list].into_iter().chain(large.iter().map(String::as_str)).collect();
        pair.same_call(&rpush);
        pair.same(&format!("SET {string} x PX 100000"));
        for key in [&list, &string] {
            pair.same_call(&[&b"RESTORE"[..], key.as_bytes(), b"0", &payload, b"REPLACE"]);
            pair.same(&format!("GET {key}"));
            pair.same(&format!("TTL {key}"));
        }
    }
    pair.same("DBSIZE");
    pair.same("DEBUG DIGEST");
}

/// `serializedlength` is what DUMP answers less type, version and checksum.
#[test]
fn debug_object_tells_the_length_of_a_dump() {
    const FRAME_LEN: usize = 1 + 2 + 8;
    let mut exchange = Exchange::start(&["--rdbcompression", "no"]);
    for sample in strings().iter().chain(&lists()).chain(&zsets()).chain(&hashes()) {
        let client = &mut exchange.bobbin;
        client.run("DEL k");
        sample.commands.iter().for_each(|command| not_error(&client.call(command)));
        let len = bulk(client.run("DUMP k")).len() - FRAME_LEN;
        let Value::Simple(text) = client.run("DEBUG OBJECT k") else { panic!("not a status") };
        let text = String::from_utf8(text).expect("a text");
        assert!(text.contains(&format!(" serializedlength:{len} ")), "{len}: {text}");
    }
}
