//! Lists, on one shard and on two.

use bobbin_proto::{Value, Version};

use crate::support::{Pair, bobbin_with, same_replies};

#[test]
fn pushes_and_pops_are_those_of_redis() {
    same_replies(&[
        "RPUSH l a b c",
        "LPUSH l x y z",
        r#"RPUSH l "" 0 -1 9223372036854775807 9223372036854775808 007 -0 "\x00\xff\r\n""#,
        "LRANGE l 0 -1",
        "LLEN l",
        "LPUSHX l 1 2",
        "RPUSHX l 1 2",
        "LPUSHX missing 1",
        "RPUSHX missing 1",
        "EXISTS missing",
        "LPOP l",
        "RPOP l",
        "LPOP l 0",
        "LPOP l 2",
        "RPOP l 3",
        "LPOP l 9223372036854775807",
        "EXISTS l",
        "LPOP l",
        "RPOP l",
        "LPOP l 0",
        "RPOP l 5",
        "LPOP l x",
        "LPOP l -1",
        "RPOP l 9223372036854775808",
        "LPOP l 1 2",
        "RPOP l 1 2",
        "LPOP",
        "LPUSH l",
        "RPUSHX l",
        "LLEN l",
        "LLEN",
        "RPUSH l only",
        "RPOP l 1",
        "TYPE l",
        "RPUSH l a",
        "TYPE l",
        "EXPIRE l 100",
        "RPUSH l b",
        "TTL l",
        "PEXPIREAT l 1",
        "RPUSH l c",
        "LRANGE l 0 -1",
        "TTL l",
    ]);
}

#[test]
fn reads_are_those_of_redis() {
    same_replies(&[
        "RPUSH l a b c d e a b 5 a 5",
        "LRANGE l 0 -1",
        "LRANGE l 2 4",
        "LRANGE l -3 -2",
        "LRANGE l 5 2",
        "LRANGE l -100 100",
        "LRANGE l 100 200",
        "LRANGE l -9223372036854775808 9223372036854775807",
        "LRANGE l 9223372036854775807 -9223372036854775808",
        "LRANGE l x 1",
        "LRANGE l 1 x",
        "LRANGE missing 0 -1",
        "LRANGE missing 0 x",
        "LRANGE l 0",
        "LINDEX l 0",
        "LINDEX l -1",
        "LINDEX l 7",
        "LINDEX l 10",
        "LINDEX l -11",
        "LINDEX l -9223372036854775808",
        "LINDEX l x",
        "LINDEX missing 0",
        "LINDEX missing x",
        "LPOS l a",
        "LPOS l 5",
        "LPOS l 05",
        "LPOS l zz",
        "LPOS l a RANK 2",
        "LPOS l a RANK -1",
        "LPOS l a RANK 4",
        "LPOS l a COUNT 0",
        "LPOS l a COUNT 2",
        "LPOS l a COUNT 0 RANK -2",
        "LPOS l a count 2 rank 2 maxlen 6",
        "LPOS l a MAXLEN 0",
        "LPOS l b MAXLEN 1",
        "LPOS l b MAXLEN 1 COUNT 0",
        "LPOS l a RANK -1 MAXLEN 1",
        "LPOS l a RANK -1 MAXLEN 2",
        "LPOS l a RANK 0",
        "LPOS l a RANK x",
        "LPOS l a RANK -9223372036854775808",
        "LPOS l a RANK 9223372036854775807 COUNT 0",
        "LPOS l a COUNT -1",
        "LPOS l a COUNT x",
        "LPOS l a MAXLEN -1",
        "LPOS l a MAXLEN x",
        "LPOS l a RANK",
        "LPOS l a COUNT 1 RANK",
        "LPOS l a FOO 1",
        "LPOS l a RANK 1 RANK 2",
        "LPOS missing a",
        "LPOS missing a COUNT 0",
        "LPOS missing a RANK 0",
        "LPOS l",
    ]);
}

#[test]
fn changes_in_the_middle_are_those_of_redis() {
    same_replies(&[
        "RPUSH l a b c d e a b 5 a 5",
        "LSET l 0 A",
        "LSET l -1 12345",
        "LSET l 10 x",
        "LSET l -11 x",
        "LSET l x x",
        "LSET missing 0 x",
        "LSET missing x x",
        "LSET l 0",
        "LINSERT l BEFORE b 1",
        "LINSERT l after b 2",
        "LINSERT l AFTER 12345 end",
        "LINSERT l BEFORE A begin",
        "LINSERT l BEFORE zz x",
        "LINSERT l BESIDE b x",
        "LINSERT missing BEFORE b x",
        "LINSERT missing BESIDE b x",
        "LINSERT l BEFORE b",
        "LRANGE l 0 -1",
        "LREM l 1 a",
        "LREM l -1 b",
        "LREM l 0 5",
        "LREM l 0 zz",
        "LREM l x a",
        "LREM missing 0 a",
        "LREM missing x a",
        "LREM l -9223372036854775808 a",
        "LREM l 9223372036854775807 b",
        "LRANGE l 0 -1",
        "LTRIM l 1 -2",
        "LRANGE l 0 -1",
        "LTRIM l -3 100",
        "LRANGE l 0 -1",
        "LTRIM l x 1",
        "LTRIM l 1 x",
        "LTRIM missing 0 1",
        "LTRIM missing x 1",
        "LTRIM l -100 -3",
        "LRANGE l 0 -1",
        "LTRIM l 1 0",
        "EXISTS l",
        "RPUSH l a a a",
        "LREM l 0 a",
        "EXISTS l",
        "RPUSH l a b",
        "LTRIM l 5 6",
        "EXISTS l",
        "RPUSH l a b",
        "LTRIM l -9223372036854775808 9223372036854775807",
        "LRANGE l 0 -1",
    ]);
}

/// `{a}` and `b` are on different shards, most likely; `{a}l` and `{a}m` on one.
#[test]
fn moves_between_lists_are_those_of_redis() {
    same_replies(&[
        "RPUSH {a}l 1 2 3 4 5 6",
        "LMOVE {a}l {a}m LEFT RIGHT",
        "LMOVE {a}l {a}m right left",
        "LMOVE {a}l b LEFT LEFT",
        "LMOVE {a}l c RIGHT RIGHT",
        "LMOVE {a}l d LEFT LEFT",
        "LMOVE {a}l {a}l LEFT RIGHT",
        "LMOVE {a}l b LEFT RIGHT",
        "EXISTS {a}l",
        "RPUSH one x",
        "LMOVE one one LEFT RIGHT",
        "RPOPLPUSH one one",
        "RPOPLPUSH one two",
        "RPOPLPUSH one two",
        "LRANGE two 0 -1",
        "LRANGE {a}m 0 -1",
        "LRANGE b 0 -1",
        "LRANGE c 0 -1",
        "SET s string",
        "LMOVE missing s LEFT RIGHT",
        "LMOVE b s LEFT RIGHT",
        "LMOVE s b LEFT RIGHT",
        "LMOVE s s LEFT RIGHT",
        "LMOVE b b UP LEFT",
        "LMOVE missing b LEFT UP",
        "LMOVE b b LEFT",
        "RPOPLPUSH missing s",
        "RPOPLPUSH b s",
        "RPOPLPUSH s b",
        "RPOPLPUSH b",
        "LRANGE b 0 -1",
        "RPUSH l a b c d e",
        "LMPOP 1 l LEFT",
        "LMPOP 2 missing l RIGHT COUNT 2",
        "LMPOP 3 missing nor_this l left count 10",
        "EXISTS l",
        "LMPOP 2 missing l LEFT",
        "RPUSH l a b c d e",
        "LMPOP 0 l LEFT",
        "LMPOP x l LEFT",
        "LMPOP -1 l LEFT",
        "LMPOP 9223372036854775807 l LEFT",
        "LMPOP 2 l LEFT",
        "LMPOP 1 l",
        "LMPOP 1 l UP",
        "LMPOP 1 l LEFT COUNT",
        "LMPOP 1 l LEFT COUNT 0",
        "LMPOP 1 l LEFT COUNT x",
        "LMPOP 1 l LEFT COUNT 1 COUNT 2",
        "LMPOP 1 l LEFT COUNT x more",
        "LMPOP 1 l LEFT FOO 1",
        "LMPOP 1 s LEFT",
        "LMPOP 2 missing s LEFT",
        "LMPOP 2 l s LEFT",
        "LRANGE l 0 -1",
    ]);
}

#[test]
fn wrong_types_are_refused_both_ways() {
    let on_a_string = [
        "LPUSH s a",
        "RPUSH s a",
        "LPUSHX s a",
        "RPUSHX s a",
        "LPOP s",
        "LPOP s 0",
        "LPOP s x",
        "RPOP s 2",
        "LLEN s",
        "LINDEX s 0",
        "LINDEX s x",
        "LRANGE s 0 1",
        "LRANGE s 0 x",
        "LSET s 0 a",
        "LSET s x a",
        "LINSERT s BEFORE a b",
        "LREM s 0 a",
        "LREM s x a",
        "LTRIM s 0 1",
        "LTRIM s x 1",
        "LPOS s a",
        "LPOS s a RANK 0",
    ];
    let on_a_list = [
        "GET l",
        "APPEND l x",
        "INCR l",
        "STRLEN l",
        "SETRANGE l 0 x",
        "GETRANGE l 0 1",
        "GETBIT l 0",
        "SETBIT l 0 1",
        "GETSET l x",
        "GETDEL l",
        "PFADD l x",
        "SET l x GET",
        "MGET l s",
        "LRANGE l 0 -1",
        "SET l x",
        "GET l",
    ];
    let mut script = vec!["SET s string", "RPUSH l a 1"];
    script.extend(on_a_string);
    script.extend(["GET s"]);
    script.extend(on_a_list);
    same_replies(&script);
    // A number stands in its entry, a long string beside it.
    let long = format!("SET s {}", "x".repeat(5000));
    for set in ["SET s 5", &long] {
        let mut script = vec![set];
        script.extend(on_a_string);
        script.push("GET s");
        same_replies(&script);
    }
}

#[test]
fn generic_commands_take_lists() {
    same_replies(&[
        "RPUSH l a b 3",
        "COPY l {copy}",
        "RPUSH {copy} c",
        "LRANGE l 0 -1",
        "LRANGE {copy} 0 -1",
        "RENAME l m",
        "LRANGE m 0 -1",
        "MOVE m 1",
        "SELECT 1",
        "LRANGE m 0 -1",
        "DEBUG DIGEST-VALUE m",
        "ZADD z 1 a 2.5 b -inf c",
        "DEBUG DIGEST-VALUE z",
        "DEBUG DIGEST",
        "OBJECT REFCOUNT m",
        "UNLINK m",
        "EXISTS m",
        "SCAN 0 TYPE list",
        "RPUSH m x",
        "SCAN 0 TYPE list",
        "COMMAND INFO lpush rpush lpushx rpushx lpop rpop llen lindex lrange lset linsert lrem ltrim lpos lmove rpoplpush lmpop",
        "COMMAND GETKEYS LMPOP 2 a b LEFT",
    ]);
}

/// Elements up to some KiB, under limits of a chunk that make lists of many chunks: what has been done is read back
/// now and then.
#[test]
fn long_lists_stay_those_of_redis() {
    for (seed, limit) in [(1, "3"), (2, "-1"), (3, "-2"), (4, "1")] {
        let mut pair = Pair::start(&["--list-max-listpack-size", limit], Version::Resp2);
        let mut rng = fastrand::Rng::with_seed(seed);
        println!("seed {seed}");
        for step in 0..1500 {
            pair.same(&random_call(&mut rng));
            if step % 50 == 0 {
                let whole = ["LRANGE l 0 -1", "LRANGE m 0 -1", "DEBUG DIGEST-VALUE l m"];
                whole.iter().for_each(|line| pair.same(line));
            }
        }
    }
}

fn random_call(rng: &mut fastrand::Rng) -> String {
    let key = one_of(rng, &["l", "l", "l", "m"]);
    let (index, other_index) = (rng.i32(-60..60), rng.i32(-60..60));
    let (element, elements) = (random_element(rng), random_elements(rng));
    match rng.u8(0..20) {
        0..4 => format!("RPUSH {key} {elements}"),
        4..8 => format!("LPUSH {key} {elements}"),
        8 => format!("LPOP {key}"),
        9 => format!("RPOP {key} {}", rng.u8(0..6)),
        10 | 11 => format!("LSET {key} {index} {element}"),
        12 | 13 => {
            format!("LINSERT {key} {} {element} {}", one_of(rng, &["BEFORE", "AFTER"]), random_element(rng))
        }
        14 => format!("LREM {key} {} {element}", rng.i32(-3..4)),
        15 if rng.u8(0..4) == 0 => format!("LTRIM {key} {} {}", rng.u8(0..4), -rng.i32(1..4)),
        15 => format!("LRANGE {key} {index} {other_index}"),
        16 => format!("LPOS {key} {element} RANK {} COUNT 0", one_of(rng, &["-2", "-1", "1", "2"])),
        17 => format!("LMOVE {key} {} {} {}", one_of(rng, &["l", "m"]), random_side(rng), random_side(rng)),
        18 => format!("LMPOP 2 {key} m {} COUNT 3", random_side(rng)),
        _ => format!("LINDEX {key} {index}"),
    }
}

fn one_of(rng: &mut fastrand::Rng, words: &[&'static str]) -> &'static str {
    words[rng.usize(..words.len())]
}

fn random_side(rng: &mut fastrand::Rng) -> &'static str {
    one_of(rng, &["LEFT", "RIGHT"])
}

fn random_elements(rng: &mut fastrand::Rng) -> String {
    let elements: Vec<_> = (0..rng.u8(1..4)).map(|_| random_element(rng)).collect();
    elements.join(" ")
}

fn random_element(rng: &mut fastrand::Rng) -> String {
    match rng.u8(0..20) {
        0..8 => rng.u8(0..8).to_string(),
        8..14 => one_of(rng, &["a", "b", "c", r#""""#, "-0"]).to_owned(),
        14..18 => "x".repeat(rng.usize(60..70)),
        18 => "y".repeat(rng.usize(1000..1003)),
        _ => "z".repeat(rng.usize(9000..9002)),
    }
}

/// Redis 7.0 calls every list a quicklist: the names here are those of Redis 7.2.
#[test]
fn encodings_follow_the_directive() {
    let server = bobbin_with(&[]);
    let mut client = server.connect();
    let encoding = |client: &mut crate::support::Client, setup: &[&str]| {
        setup.iter().for_each(|line| drop(client.run(line)));
        match client.run("OBJECT ENCODING l") {
            Value::Bulk(name) => String::from_utf8(name).expect("a name"),
            other => panic!("{other:?}"),
        }
    };
    let big = "x".repeat(4000);
    assert_eq!(encoding(&mut client, &["RPUSH l a b"]), "listpack");
    assert_eq!(encoding(&mut client, &[&format!("RPUSH l {big} {big}")]), "listpack");
    assert_eq!(encoding(&mut client, &[&format!("RPUSH l {big}")]), "quicklist");
    assert_eq!(encoding(&mut client, &["RPOP l"]), "quicklist");
    assert_eq!(encoding(&mut client, &["RPOP l", "RPOP l"]), "listpack");
    assert_eq!(encoding(&mut client, &["CONFIG SET list-max-listpack-size 4", "RPUSH l c d"]), "listpack");
    assert_eq!(encoding(&mut client, &["LINSERT l BEFORE c e"]), "quicklist");
    assert_eq!(encoding(&mut client, &["LPOP l 2"]), "quicklist");
    assert_eq!(encoding(&mut client, &["LPOP l"]), "listpack");
}

/// A list of a million elements is emptied, trimmed and removed; the server stays ready and gives the memory back.
#[test]
fn a_large_list_comes_and_goes() {
    let server = bobbin_with(&[]);
    let mut client = server.connect();
    let elements: Vec<String> = (0..10_000).map(|number| format!("element:{number:010}")).collect();
    let push: Vec<&str> = ["RPUSH", "l"].into_iter().chain(elements.iter().map(String::as_str)).collect();
    for round in 1..=100 {
        assert_eq!(client.call(&push), Value::Int(round * 10_000));
    }
    assert_eq!(client.run("LINDEX l 500000"), Value::Bulk(elements[0].clone().into_bytes()));
    assert_eq!(client.run("LTRIM l 400000 599999"), Value::Simple(b"OK".to_vec()));
    assert_eq!(client.run("LLEN l"), Value::Int(200_000));
    assert_eq!(client.run("LINDEX l -1"), Value::Bulk(elements[9999].clone().into_bytes()));
    assert_eq!(client.run("DEL l"), Value::Int(1));
    assert_eq!(client.run("EXISTS l"), Value::Int(0));
}
