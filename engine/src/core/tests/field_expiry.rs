//! Fields that expire, by a clock of the test's own: packed, and in tables.

use super::Cores;

/// Limits on how many fields are packed: those of a table from the first on, and the default.
const ENTRIES: [u64; 2] = [0, 512];

fn both_encodings(test: impl Fn(&mut Cores, usize)) {
    for entries in ENTRIES {
        let mut cores = Cores::new(2, |config| config.hash_max_listpack_entries = entries);
        let client = cores.connect();
        // Only what commands do themselves is looked at.
        cores.all.iter_mut().for_each(|core| core.shard.rest.active_expire = false);
        test(&mut cores, client);
    }
}

fn same(cores: &mut Cores, client: usize, script: &[(&str, &str)]) {
    for (line, expected) in script {
        let reply = cores.call(client, line);
        assert_eq!(reply.replace("\r\n", " ").trim_end(), *expected, "{line}");
    }
}

fn expired_fields(cores: &Cores) -> u64 {
    cores.all.iter().map(|core| core.shard.rest.stats.expired_fields).sum()
}

#[test]
fn a_field_is_there_through_the_millisecond_of_its_deadline_and_not_after() {
    both_encodings(|cores, client| {
        let deadline = cores.now_ms + 50;
        cores.call(client, "HSET h a 1 b 2 c 3");
        cores.call(client, "RPUSH list h");
        let expire = format!("HPEXPIREAT h {deadline} FIELDS 2 a b");
        same(cores, client, &[(&expire, "*2 :1 :1")]);
        cores.now_ms = deadline;
        same(cores, client, &[("HGET h a", "$1 1"), ("HLEN h", ":3"), ("HPTTL h FIELDS 2 a c", "*2 :0 :-1")]);
        cores.now_ms = deadline + 1;
        let script = [
            ("HGET h a", "$-1"),
            ("HMGET h a c b", "*3 $-1 $1 3 $-1"),
            ("HGETALL h", "*2 $1 c $1 3"),
            ("HKEYS h", "*1 $1 c"),
            ("HVALS h", "*1 $1 3"),
            ("HLEN h", ":1"),
            ("HEXISTS h b", ":0"),
            ("HSTRLEN h b", ":0"),
            ("HSCAN h 0", "*2 $1 0 *2 $1 c $1 3"),
            ("HSCAN h 0 NOVALUES", "*2 $1 0 *1 $1 c"),
            ("HRANDFIELD h", "$1 c"),
            ("HRANDFIELD h 5 WITHVALUES", "*2 $1 c $1 3"),
            ("HRANDFIELD h -2", "*2 $1 c $1 c"),
            ("HTTL h FIELDS 3 a b c", "*3 :-2 :-2 :-1"),
            ("HEXPIRETIME h FIELDS 1 a", "*1 :-2"),
            ("SORT list BY nosort GET *->a GET *->c", "*2 $-1 $1 3"),
        ];
        same(cores, client, &script);
        assert_eq!(expired_fields(cores), 0, "reads remove nothing");
        same(cores, client, &[("HPERSIST h FIELDS 2 a c", "*2 :-2 :-1"), ("HLEN h", ":1")]);
        assert_eq!(expired_fields(cores), 2, "a write does");
    });
}

#[test]
fn to_writes_a_field_whose_time_is_over_is_missing() {
    let writes = [
        ("HSET h a 5", ":1"),
        ("HSETNX h a 5", ":1"),
        ("HINCRBY h a 5", ":5"),
        ("HINCRBYFLOAT h a 0.5", "$3 0.5"),
        ("HDEL h a", ":0"),
        ("HDEL h a b", ":1"),
        ("HEXPIRE h 10 FIELDS 1 a", "*1 :-2"),
        ("HEXPIRE h 10 LT FIELDS 1 a", "*1 :-2"),
        ("HPERSIST h FIELDS 1 a", "*1 :-2"),
        ("HGETDEL h FIELDS 1 a", "*1 $-1"),
        ("HGETEX h EX 10 FIELDS 1 a", "*1 $-1"),
        ("HSETEX h FXX FIELDS 1 a 5", ":0"),
        ("HSETEX h FNX KEEPTTL FIELDS 1 a 5", ":1"),
    ];
    for (write, reply) in writes {
        both_encodings(|cores, client| {
            cores.call(client, "HSET h a 100 b 2");
            cores.call(client, "HPEXPIRE h 10 FIELDS 1 a");
            cores.now_ms += 11;
            same(cores, client, &[(write, reply)]);
            let is_set = reply != ":0" && !reply.starts_with('*') && !write.starts_with("HDEL");
            let ttl = if is_set { "*1 :-1" } else { "*1 :-2" };
            same(cores, client, &[("HTTL h FIELDS 1 a", ttl)]);
            assert_eq!(expired_fields(cores), 1, "{write}");
        });
    }
}

#[test]
fn a_write_that_finds_no_field_left_removes_the_key() {
    for write in
        ["HDEL h other", "HGETDEL h FIELDS 1 a", "HPERSIST h FIELDS 1 a", "HSETEX h FXX FIELDS 1 a v"]
    {
        both_encodings(|cores, client| {
            for field in 0..200 {
                cores.call(client, &format!("HSET h f{field} v"));
                cores.call(client, &format!("HPEXPIRE h 10 FIELDS 1 f{field}"));
            }
            cores.now_ms += 11;
            same(cores, client, &[("HLEN h", ":0"), ("EXISTS h", ":1"), ("HRANDFIELD h", "$-1")]);
            same(
                cores,
                client,
                &[("HGETALL h", "*0"), ("HRANDFIELD h 3", "*0"), ("HSCAN h 0 COUNT 999", "*2 $1 0 *0")],
            );
            cores.call(client, write);
            same(cores, client, &[("EXISTS h", ":0")]);
        });
    }
}

/// More fields are over than a write removes beside those it meets.
#[test]
fn many_fields_over_are_all_missing_to_a_write() {
    let mut cores = Cores::new(1, |_| ());
    let client = cores.connect();
    cores.all[0].shard.rest.active_expire = false;
    for field in 0..2000 {
        cores.call(client, &format!("HSET h f{field} 1"));
    }
    let fields: Vec<String> = (0..1900).map(|field| format!("f{field}")).collect();
    cores.call(client, &format!("HPEXPIRE h 10 FIELDS 1900 {}", fields.join(" ")));
    cores.now_ms += 11;
    let script = [
        ("HLEN h", ":100"),
        ("HSETNX h f1899 5", ":1"),
        ("HINCRBY h f1898 5", ":5"),
        ("HDEL h f1897 f1999", ":1"),
        ("HLEN h", ":101"),
    ];
    same(&mut cores, client, &script);
    assert!(expired_fields(&cores) < 1000);
    let drawn = cores.call(client, "HRANDFIELD h 100");
    assert!(drawn.starts_with("*100\r\n") && !drawn.contains("f1000"), "{drawn}");
    cores.all[0].shard.rest.active_expire = true;
    cores.now_ms += 100;
    for _ in 0..5 {
        let before = expired_fields(&cores);
        cores.iterate(0);
        assert!(expired_fields(&cores) - before < 1500, "in steps");
        cores.now_ms += 1;
    }
    assert_eq!(expired_fields(&cores), 1900);
    same(&mut cores, client, &[("HLEN h", ":101")]);
}

#[test]
fn what_becomes_of_a_deadline() {
    both_encodings(|cores, client| {
        let renew = "HPEXPIRE {h}h 5000 FIELDS 1 a";
        cores.call(client, "HSET {h}h a 1 b 2");
        let script = [
            (renew, "*1 :1"),
            ("HSET {h}h a 2", ":0"),
            ("HTTL {h}h FIELDS 1 a", "*1 :-1"),
            (renew, "*1 :1"),
            ("HINCRBY {h}h a 2", ":4"),
            ("HINCRBYFLOAT {h}h a 0.5", "$3 4.5"),
            ("HSETNX {h}h a 2", ":0"),
            ("HPTTL {h}h FIELDS 2 a b", "*2 :5000 :-1"),
            ("COPY {h}h {h}copy", ":1"),
            ("RENAME {h}h {h}other", "+OK"),
            ("MOVE {h}other 3", ":1"),
            ("HPTTL {h}copy FIELDS 2 a b", "*2 :5000 :-1"),
            ("SELECT 3", "+OK"),
            ("HPTTL {h}other FIELDS 2 a b", "*2 :5000 :-1"),
            ("HDEL {h}other a", ":1"),
            ("HSET {h}other a 1", ":1"),
            ("HTTL {h}other FIELDS 1 a", "*1 :-1"),
        ];
        same(cores, client, &script);
        cores.now_ms += 5001;
        same(cores, client, &[("HLEN {h}other", ":2"), ("SELECT 0", "+OK"), ("HLEN {h}copy", ":1")]);
    });
}

#[test]
fn fields_nobody_asks_for_go_within_a_tick_and_the_last_takes_the_key() {
    for entries in ENTRIES {
        let mut cores = Cores::new(2, |config| config.hash_max_listpack_entries = entries);
        let client = cores.connect();
        let start = cores.now_ms;
        for key in 0..100 {
            cores.call(client, &format!("HSET h{key} stays v f1 v f2 v"));
            cores.call(client, &format!("HSET gone{key} f1 v f2 v"));
            for (field, at) in [("f1", 1000), ("f2", 2000)] {
                for prefix in ["h", "gone"] {
                    let at = start + at + key;
                    cores.call(client, &format!("HPEXPIREAT {prefix}{key} {at} FIELDS 1 {field}"));
                }
            }
        }
        for step in 0..30 {
            cores.now_ms = start + step * 100;
            for index in 0..2 {
                cores.iterate(index);
            }
            let now = cores.now_ms - start;
            let due = |from: u64| now.saturating_sub(from).min(100);
            assert_eq!(expired_fields(&cores), 2 * due(1000) + 2 * due(2000), "at {now} ms");
            let keys: usize = cores.all.iter().map(|core| core.shard.keyspace.len()).sum();
            assert_eq!(keys as u64, 200 - due(2000), "at {now} ms");
        }
    }
}

#[test]
fn fields_are_counted_in_info() {
    let mut cores = Cores::new(2, |_| ());
    let client = cores.connect();
    for key in 0..10 {
        cores.call(client, &format!("HSETEX h{key} PX 50 FIELDS 1 f v"));
    }
    cores.call(client, "HSET stays f v");
    assert!(cores.call(client, "INFO keyspace").contains("keys=11,expires=0,avg_ttl=0,subexpiry=10"));
    cores.now_ms += 200;
    (0..2).for_each(|index| cores.iterate(index));
    assert!(cores.call(client, "INFO keyspace").contains("keys=1,expires=0,avg_ttl=0,subexpiry=0"));
    assert!(cores.call(client, "INFO stats").contains("expired_subkeys:10\r\n"));
}
