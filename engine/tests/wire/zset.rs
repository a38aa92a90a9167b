//! Sorted sets, beside redis-server, packed and as tables.

use bobbin_proto::{Value, Version};

use crate::support::{Pair, bobbin, bobbin_with, same_replies, same_replies_with};

/// What makes every sorted set a table from the first member on.
const ALWAYS_TABLE: &[&str] = &["--zset-max-listpack-entries", "0"];

/// The same replies as redis-server's, whatever the encoding.
fn same_in_both_encodings(script: &[&str]) {
    same_replies(script);
    same_replies_with(ALWAYS_TABLE, script);
}

#[test]
fn adding() {
    same_in_both_encodings(&[
        "ZADD",
        "ZADD z",
        "ZADD z 1",
        "ZADD z 1 a 2",
        "ZADD z 1 a",
        "ZADD z 1 a 2 b 3 c",
        "ZADD z NX 5 a 5 d",
        "ZADD z XX 5 a 5 e",
        "ZADD z CH 5 a 6 b 7 f",
        "ZADD z GT 4 a 7 b",
        "ZADD z GT CH 4 a 8 b",
        "ZADD z LT CH 4 a 9 b",
        "ZADD z XX GT CH 10 a 10 nobody",
        "ZADD z GT LT 1 a",
        "ZADD z NX GT 1 a",
        "ZADD z NX LT 1 a",
        "ZADD z NX XX 1 a",
        "ZADD z nx xx gt lt 1 a",
        "ZADD z INCR 1 a 1 b",
        "ZADD z INCR 1 a",
        "ZADD z INCR NX 1 a",
        "ZADD z INCR XX 1 nobody",
        "ZADD z INCR GT -1 a",
        "ZADD z INCR LT 1 a",
        "ZADD z INCR LT -1 a",
        "ZADD z INCR CH 1.5 a",
        "ZADD z XX",
        "ZADD z INCR",
        "ZADD z CH NX a",
        "ZADD z x a",
        "ZADD z 1 ok x bad",
        "ZSCORE z ok",
        "ZADD missing XX 1 a",
        "EXISTS missing",
        "ZADD missing XX INCR 1 a",
        "ZADD missing INCR x a",
        "EXISTS missing",
        "ZADD z nan a",
        "ZADD z inf a -inf b +Infinity c",
        "ZADD z INCR -inf a",
        "ZINCRBY z -inf a",
        "ZINCRBY z inf a",
        "ZRANGE z 0 -1 WITHSCORES",
        "ZINCRBY z 1.5 d",
        "ZINCRBY z NX d",
        "ZINCRBY z incr d",
        "ZINCRBY z 1.5 new",
        "ZINCRBY z x new",
        "ZINCRBY z nan new",
        "ZINCRBY z 1",
        "ZADD same 1 a 2 a 3 a",
        "ZADD same CH 3 a 3 a",
        "ZADD same 3.0 a",
        "ZCARD same",
        r#"ZADD bytes 1 "" 1 "\x00" 1 "\xff" 1 "a b" 1 12 1 -5 1 012"#,
        "ZRANGE bytes 0 -1",
        "ZADD 1 1 nx",
        "ZADD z NX",
        "SET s v",
        "ZADD s 1 a",
        "ZADD s x a",
        "ZADD s NX XX 1 a",
        "ZINCRBY s 1 a",
        "GET s",
    ]);
}

#[test]
fn scores_are_read_and_written_as_redis_does() {
    let texts = [
        "0",
        "-0",
        "1",
        "-1",
        "+1",
        "1.5",
        ".5",
        "5.",
        "-.5",
        "1e3",
        "1E3",
        "1e+3",
        "1e-3",
        "0x10",
        "0X1p4",
        "0x1.8p1",
        "-0x1",
        "0x",
        "0x1p",
        "inf",
        "-inf",
        "+inf",
        "Infinity",
        "INF",
        "infinit",
        "nan",
        "nan(1)",
        "-nan",
        "1e308",
        "1e309",
        "-1e309",
        "1e-307",
        "4.9e-324",
        "1e-400",
        "0e-400",
        "2.2250738585072014e-308",
        "3.0",
        "0.1",
        "0.30000000000000004",
        "1e17",
        "1e16",
        "123456789012345678",
        "9007199254740993",
        "4503599627370496",
        "4503599627370495",
        "-4503599627370496",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "18446744073709551616",
        "1_0",
        "1 ",
        " 1",
        "\\\"1\\\"",
        "",
        "1e",
        "e1",
        ".",
        "-",
        "+",
        "--1",
        "1e5.5",
        "00012",
        "1\\x00",
        "\\x001",
        "1e0000000000000000000003",
    ];
    let mut script = Vec::new();
    for text in texts {
        script.push(format!(r#"ZADD z "{text}" a"#));
        script.push("ZSCORE z a".to_owned());
        script.push("ZRANGE z 0 -1 WITHSCORES".to_owned());
        script.push("ZSCAN z 0".to_owned());
        script.push(format!(r#"ZINCRBY z "{text}" b"#));
        for bound in ["", "("] {
            script.push(format!(r#"ZCOUNT z "{bound}{text}" +inf"#));
            script.push(format!(r#"ZCOUNT z -inf "{bound}{text}""#));
        }
        script.push("DEL z".to_owned());
    }
    script
        .extend([r#"ZCOUNT z " 1" "\t2""#, r#"ZCOUNT z "( 1" "(""#, r#"ZCOUNT z "((1" 2"#].map(String::from));
    let script: Vec<&str> = script.iter().map(String::as_str).collect();
    same_in_both_encodings(&script);
}

#[test]
fn reading() {
    same_in_both_encodings(&[
        "ZADD z 1 a 2 b 2 c 3 d -0.5 e inf f",
        "ZCARD z",
        "ZCARD missing",
        "ZCARD",
        "ZSCORE z a",
        "ZSCORE z nobody",
        "ZSCORE missing a",
        "ZSCORE z",
        "ZMSCORE z a nobody f e",
        "ZMSCORE missing a b",
        "ZMSCORE z",
        "ZRANK z a",
        "ZRANK z e",
        "ZRANK z c",
        "ZRANK z nobody",
        "ZRANK missing a",
        "ZRANK z",
        "ZREVRANK z a",
        "ZREVRANK z f",
        "ZREVRANK z nobody",
        "ZREVRANK missing a",
        "ZCOUNT z -inf +inf",
        "ZCOUNT z 1 2",
        "ZCOUNT z (1 2",
        "ZCOUNT z 1 (2",
        "ZCOUNT z (1 (2",
        "ZCOUNT z (2 (2",
        "ZCOUNT z 2 2",
        "ZCOUNT z 3 1",
        "ZCOUNT z (inf inf",
        "ZCOUNT z x 1",
        "ZCOUNT z 1 x",
        "ZCOUNT missing 1 x",
        "ZCOUNT missing 1 2",
        "ZCOUNT z 1",
        "ZADD l 0 a 0 b 0 bb 0 c 0 d",
        "ZLEXCOUNT l - +",
        "ZLEXCOUNT l + -",
        "ZLEXCOUNT l - -",
        "ZLEXCOUNT l + +",
        "ZLEXCOUNT l [b [c",
        "ZLEXCOUNT l (b [c",
        "ZLEXCOUNT l (b (c",
        "ZLEXCOUNT l (b (b",
        "ZLEXCOUNT l [b (b",
        "ZLEXCOUNT l [b [b",
        "ZLEXCOUNT l [c [b",
        "ZLEXCOUNT l [ (",
        "ZLEXCOUNT l b c",
        "ZLEXCOUNT l [b 1",
        "ZLEXCOUNT l -x +",
        r#"ZLEXCOUNT l "-\x00x" "+\x00""#,
        r#"ZLEXCOUNT l "" +"#,
        "ZLEXCOUNT missing b c",
        "ZLEXCOUNT missing - +",
        "TYPE z",
        "OBJECT REFCOUNT z",
        "SET s v",
        "ZCARD s",
        "ZSCORE s a",
        "ZMSCORE s a",
        "ZRANK s a",
        "ZREVRANK s a",
        "ZCOUNT s 1 2",
        "ZCOUNT s x 2",
        "ZLEXCOUNT s - +",
        "GET z",
        "APPEND z x",
        "INCR z",
        "STRLEN z",
        "SETRANGE z 0 x",
    ]);
}

#[test]
fn ranges_of_ranks() {
    same_in_both_encodings(&[
        "ZADD z 1 a 2 b 3 c 4 d 5 5",
        "ZRANGE z 0 -1",
        "ZRANGE z 0 -1 WITHSCORES",
        "ZRANGE z 1 3",
        "ZRANGE z -2 -1",
        "ZRANGE z -100 100",
        "ZRANGE z 3 1",
        "ZRANGE z 5 9",
        "ZRANGE z 4 9",
        "ZRANGE z -9223372036854775808 9223372036854775807",
        "ZRANGE z 9223372036854775807 -9223372036854775808",
        "ZRANGE z 0 -1 REV",
        "ZRANGE z 0 1 REV WITHSCORES",
        "ZRANGE z -2 -1 rev withscores",
        "ZRANGE z 0 -1 REV REV",
        "ZRANGE z 0 -1 LIMIT 0 1",
        "ZRANGE z 0 -1 LIMIT 0 -1",
        "ZRANGE z 0 -1 LIMIT 1",
        "ZRANGE z 0 -1 LIMIT x 1",
        "ZRANGE z 0 -1 LIMIT 1 x",
        "ZRANGE z x 1",
        "ZRANGE z 0 1.5",
        "ZRANGE z 0 (1",
        "ZRANGE z 0",
        "ZRANGE z 0 1 NONSENSE",
        "ZRANGE missing 0 -1",
        "ZRANGE missing x -1",
        "ZREVRANGE z 0 -1",
        "ZREVRANGE z 0 1 WITHSCORES",
        "ZREVRANGE z 1 1",
        "ZREVRANGE z -1 -1",
        "ZREVRANGE z 0 1 REV",
        "ZREVRANGE z 0 1 BYSCORE",
        "ZREVRANGE z 0 1 LIMIT 0 1",
        "ZREVRANGE missing 0 1",
        "SET s v",
        "ZRANGE s 0 -1",
        "ZREVRANGE s 0 -1",
    ]);
}

#[test]
fn ranges_of_scores() {
    same_in_both_encodings(&[
        "ZADD z 1 a 2 b 2 bb 3 c 4 d inf e -inf f",
        "ZRANGE z 1 3 BYSCORE",
        "ZRANGE z (1 3 BYSCORE WITHSCORES",
        "ZRANGE z 1 (3 BYSCORE",
        "ZRANGE z -inf +inf BYSCORE",
        "ZRANGE z (-inf (+inf BYSCORE",
        "ZRANGE z 3 1 BYSCORE",
        "ZRANGE z 3 1 BYSCORE REV",
        "ZRANGE z 1 3 BYSCORE REV",
        "ZRANGE z (3 (1 BYSCORE REV WITHSCORES",
        "ZRANGE z -inf +inf BYSCORE LIMIT 0 2",
        "ZRANGE z -inf +inf BYSCORE LIMIT 2 2",
        "ZRANGE z -inf +inf BYSCORE LIMIT 2 -1",
        "ZRANGE z -inf +inf BYSCORE LIMIT 2 -5",
        "ZRANGE z -inf +inf BYSCORE LIMIT -1 2",
        "ZRANGE z -inf +inf BYSCORE LIMIT 100 2",
        "ZRANGE z -inf +inf BYSCORE LIMIT 0 0",
        "ZRANGE z +inf -inf BYSCORE REV LIMIT 1 2",
        "ZRANGE z +inf -inf BYSCORE REV LIMIT 100 2",
        "ZRANGE z +inf -inf BYSCORE REV LIMIT -1 2",
        "ZRANGE z +inf -inf BYSCORE REV LIMIT 2 -1 WITHSCORES",
        "ZRANGE z x 1 BYSCORE",
        "ZRANGE z 1 [2 BYSCORE",
        "ZRANGE z 1 2 BYSCORE BYLEX",
        "ZRANGE z 1 2 BYLEX BYSCORE",
        "ZRANGE z 1 2 BYSCORE LIMIT",
        "ZRANGE missing 1 2 BYSCORE",
        "ZRANGEBYSCORE z 1 3",
        "ZRANGEBYSCORE z 1 3 WITHSCORES LIMIT 1 1",
        "ZRANGEBYSCORE z 1 3 LIMIT 1 1 WITHSCORES",
        "ZRANGEBYSCORE z 1 3 LIMIT 0 1 LIMIT 1 1",
        "ZRANGEBYSCORE z (1 (2",
        "ZRANGEBYSCORE z 1 3 REV",
        "ZRANGEBYSCORE z 1 3 BYSCORE",
        "ZRANGEBYSCORE z 1 x",
        "ZRANGEBYSCORE z 1",
        "ZRANGEBYSCORE missing 1 3",
        "ZREVRANGEBYSCORE z 3 1",
        "ZREVRANGEBYSCORE z 1 3",
        "ZREVRANGEBYSCORE z +inf -inf WITHSCORES LIMIT 1 3",
        "ZREVRANGEBYSCORE z (3 1",
        "ZREVRANGEBYSCORE missing 3 1",
        "SET s v",
        "ZRANGE s 1 2 BYSCORE",
        "ZRANGEBYSCORE s 1 2",
        "ZREVRANGEBYSCORE s 1 2",
        "ZRANGEBYSCORE s x 2",
    ]);
}

#[test]
fn ranges_of_names() {
    same_in_both_encodings(&[
        r#"ZADD z 0 a 0 b 0 c 0 cc 0 d 0 "" 0 1 0 10 0 "\xff""#,
        "ZRANGE z - + BYLEX",
        "ZRANGE z + - BYLEX",
        "ZRANGE z + - BYLEX REV",
        "ZRANGE z - + BYLEX REV",
        "ZRANGE z [a [c BYLEX",
        "ZRANGE z (a (cc BYLEX",
        "ZRANGE z [1 [a BYLEX",
        "ZRANGE z [ [a BYLEX",
        "ZRANGE z ( [a BYLEX",
        "ZRANGE z [c [a BYLEX REV",
        "ZRANGE z - + BYLEX LIMIT 1 2",
        "ZRANGE z - + BYLEX LIMIT 1 -1",
        "ZRANGE z - + BYLEX LIMIT -1 1",
        "ZRANGE z + - BYLEX REV LIMIT 1 2",
        "ZRANGE z - + BYLEX WITHSCORES",
        "ZRANGE z a c BYLEX",
        "ZRANGE z 1 2 BYLEX",
        "ZRANGE missing a c BYLEX",
        "ZRANGE missing - + BYLEX",
        "ZRANGEBYLEX z [a [c",
        "ZRANGEBYLEX z - + LIMIT 2 3",
        "ZRANGEBYLEX z - + WITHSCORES",
        "ZRANGEBYLEX z - x",
        "ZRANGEBYLEX missing - +",
        "ZREVRANGEBYLEX z [c [a",
        "ZREVRANGEBYLEX z + - LIMIT 2 3",
        "ZREVRANGEBYLEX z [a [c",
        "ZREVRANGEBYLEX missing + -",
        "SET s v",
        "ZRANGEBYLEX s - +",
        "ZREVRANGEBYLEX s + -",
    ]);
}

#[test]
fn storing_ranges() {
    same_in_both_encodings(&[
        "ZADD z 1 a 2 b 3 c 4 d",
        "ZRANGESTORE to z 0 -1",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZRANGESTORE to z 1 2 REV",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZRANGESTORE to z (1 3 BYSCORE LIMIT 0 1",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZRANGESTORE to z [a [b BYLEX",
        "ZRANGESTORE to z 3 1 BYSCORE REV",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZRANGESTORE to z 0 -1 WITHSCORES",
        "ZRANGESTORE to z 0 -1 LIMIT 0 1",
        "ZRANGESTORE to z 0 x",
        "ZRANGESTORE to z 9 10",
        "EXISTS to",
        "ZRANGESTORE to missing 0 -1",
        "SET to v EX 100",
        "ZRANGESTORE to z 0 0",
        "TTL to",
        "TYPE to",
        "ZRANGESTORE to missing 0 -1",
        "EXISTS to",
        "ZRANGESTORE z z 1 -1",
        "ZRANGE z 0 -1",
        "SET s v",
        "ZRANGESTORE to s 0 -1",
        "ZRANGESTORE s z 0 -1",
        "TYPE s",
        "ZRANGESTORE to z 0",
    ]);
}

#[test]
fn removing() {
    same_in_both_encodings(&[
        "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i",
        "ZREM z a nobody b b",
        "ZREM z nobody",
        "ZREM missing a",
        "ZREM z",
        "ZREMRANGEBYRANK z 0 0",
        "ZREMRANGEBYRANK z -1 -1",
        "ZREMRANGEBYRANK z 5 1",
        "ZREMRANGEBYRANK z 50 100",
        "ZREMRANGEBYRANK z x 1",
        "ZREMRANGEBYRANK z 0 1.5",
        "ZREMRANGEBYRANK missing 0 1",
        "ZREMRANGEBYRANK missing x 1",
        "ZREMRANGEBYSCORE z 4 (5",
        "ZREMRANGEBYSCORE z 9 10",
        "ZREMRANGEBYSCORE z x 10",
        "ZREMRANGEBYSCORE missing 1 x",
        "ZREMRANGEBYSCORE missing 1 2",
        "ZRANGE z 0 -1 WITHSCORES",
        "ZREMRANGEBYSCORE z -inf +inf",
        "EXISTS z",
        "ZADD z 0 a 0 b 0 c 0 d",
        "ZREMRANGEBYLEX z [b (c",
        "ZREMRANGEBYLEX z b c",
        "ZREMRANGEBYLEX missing b c",
        "ZREMRANGEBYLEX missing - +",
        "ZREMRANGEBYLEX z + -",
        "ZRANGE z 0 -1",
        "ZREMRANGEBYLEX z - +",
        "EXISTS z",
        "ZADD z 1 a 2 b",
        "ZREM z a b c",
        "EXISTS z",
        "ZADD z 1 a 2 b",
        "ZREMRANGEBYRANK z 0 -1",
        "EXISTS z",
        "SET s v",
        "ZREM s a",
        "ZREMRANGEBYRANK s 0 1",
        "ZREMRANGEBYRANK s x 1",
        "ZREMRANGEBYSCORE s 0 1",
        "ZREMRANGEBYLEX s - +",
    ]);
}

#[test]
fn popping() {
    same_in_both_encodings(&[
        "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i 10 j",
        "ZPOPMIN z",
        "ZPOPMAX z",
        "ZPOPMIN z 1",
        "ZPOPMAX z 1",
        "ZPOPMIN z 2",
        "ZPOPMAX z 2",
        "ZPOPMIN z 0",
        "ZPOPMIN z -1",
        "ZPOPMIN z x",
        "ZPOPMIN z 1 2",
        "ZPOPMIN missing",
        "ZPOPMIN missing 3",
        "ZPOPMIN missing -3",
        "ZPOPMAX missing 0",
        "ZRANGE z 0 -1 WITHSCORES",
        "ZPOPMAX z 9223372036854775807",
        "EXISTS z",
        "ZADD {z}1 1 a 2 b 3 c",
        "ZADD {z}2 1 a 2 b 3 c",
        "ZMPOP 1 {z}1 MIN",
        "ZMPOP 2 {z}0 {z}1 MAX",
        "ZMPOP 3 {z}0 {z}1 {z}2 MIN COUNT 5",
        "ZMPOP 3 {z}0 {z}1 {z}2 max count 2",
        "ZMPOP 2 {z}0 {z}1 MIN COUNT 2",
        "ZMPOP 0 {z}1 MIN",
        "ZMPOP -1 {z}1 MIN",
        "ZMPOP x {z}1 MIN",
        "ZMPOP 9223372036854775807 {z}1 MIN",
        "ZMPOP 9223372036854775808 {z}1 MIN",
        "ZMPOP 2 {z}1 MIN",
        "ZMPOP 1 {z}1 MIDDLE",
        "ZMPOP 1 {z}1 MIN COUNT",
        "ZMPOP 1 {z}1 MIN COUNT 0",
        "ZMPOP 1 {z}1 MIN COUNT -1",
        "ZMPOP 1 {z}1 MIN COUNT x",
        "ZMPOP 1 {z}1 MIN COUNT 1 COUNT 2",
        "ZMPOP 1 {z}1 MIN COUNT x COUNT 2",
        "ZMPOP 1 {z}1 MIN NONSENSE",
        "ZMPOP 1 {z}1",
        "SET s v",
        "ZPOPMIN s",
        "ZPOPMIN s 0",
        "ZPOPMIN s x",
        "ZMPOP 1 s MIN",
        "ZMPOP 2 {z}0 s MIN",
        "ZADD p 5 a",
        "ZMPOP 2 p s MIN",
        "ZMPOP 2 p s MIN",
    ]);
}

/// Keys with and without a common hash tag, so that some are on one shard and some are not.
#[test]
fn combining() {
    same_in_both_encodings(&[
        "ZADD a 1 x 2 y 3 z inf i -inf n",
        "ZADD b 10 y 20 z 30 w -inf i inf n",
        "ZADD c 100 z 200 v",
        "ZUNION 1 a",
        "ZUNION 2 a b",
        "ZUNION 2 a b WITHSCORES",
        "ZUNION 3 a b c WITHSCORES AGGREGATE MIN",
        "ZUNION 3 a b c AGGREGATE MAX WITHSCORES",
        "ZUNION 3 a b c WEIGHTS 1 2 3 AGGREGATE SUM WITHSCORES",
        "ZUNION 2 a b WEIGHTS 0 0.5 WITHSCORES",
        "ZUNION 2 a b WEIGHTS inf -inf WITHSCORES",
        "ZUNION 2 a b WEIGHTS -1 -1 WITHSCORES",
        "ZUNION 2 a a WITHSCORES",
        "ZUNION 2 a missing WITHSCORES",
        "ZUNION 2 missing gone",
        "ZUNION 2 a b WEIGHTS 1",
        "ZUNION 2 a b WEIGHTS 1 x",
        "ZUNION 2 a b WEIGHTS 1 nan",
        "ZUNION 2 a b WEIGHTS 1 2 3",
        "ZUNION 2 a b WEIGHTS 1 2 WEIGHTS 2 1 WITHSCORES",
        "ZUNION 2 a b AGGREGATE",
        "ZUNION 2 a b AGGREGATE avg",
        "ZUNION 2 a b NONSENSE",
        "ZUNION 2 a b LIMIT 1",
        "ZUNION 0 a",
        "ZUNION -1 a",
        "ZUNION x a",
        "ZUNION 3 a b",
        "ZUNION 9223372036854775807 a",
        "ZUNION 1",
        "zInter 0 a",
        "ZINTER 2 a b WITHSCORES",
        "ZINTER 3 a b c WITHSCORES",
        "ZINTER 3 a b c WEIGHTS 2 3 4 AGGREGATE MAX WITHSCORES",
        "ZINTER 2 a b WEIGHTS 0 1 AGGREGATE MIN WITHSCORES",
        "ZINTER 2 a b WEIGHTS 0 0 WITHSCORES",
        "ZINTER 2 a missing",
        "ZINTER 2 a a WITHSCORES",
        "ZDIFF 1 a WITHSCORES",
        "ZDIFF 2 a b",
        "ZDIFF 3 a b c WITHSCORES",
        "ZDIFF 2 a c WITHSCORES",
        "ZDIFF 2 a a",
        "ZDIFF 2 missing a",
        "ZDIFF 2 a missing WITHSCORES",
        "ZDIFF 2 a b WEIGHTS 1 2",
        "ZDIFF 2 a b AGGREGATE SUM",
        "ZDIFF 0 a",
        "ZINTERCARD 2 a b",
        "ZINTERCARD 3 a b c",
        "ZINTERCARD 2 a b LIMIT 1",
        "ZINTERCARD 2 a b LIMIT 0",
        "ZINTERCARD 2 a b LIMIT 100",
        "ZINTERCARD 2 a b LIMIT -1",
        "ZINTERCARD 2 a b LIMIT x",
        "ZINTERCARD 2 a b LIMIT",
        "ZINTERCARD 2 a b LIMIT 1 LIMIT 2",
        "ZINTERCARD 2 a b WITHSCORES",
        "ZINTERCARD 2 a missing",
        "ZINTERCARD 0 a",
        "ZINTERCARD 3 a b",
        "ZUNIONSTORE to 2 a b",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZUNIONSTORE to 2 a b WITHSCORES",
        "ZUNIONSTORE to 2 a b WEIGHTS 2 3 AGGREGATE MAX",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZUNIONSTORE to 2 a b WEIGHTS 0 0",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZINTERSTORE to 2 a b",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZINTERSTORE to 2 a missing",
        "EXISTS to",
        "ZDIFFSTORE to 2 a b",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZDIFFSTORE to 2 a a",
        "EXISTS to",
        "SET to v EX 100",
        "ZUNIONSTORE to 1 a",
        "TTL to",
        "ZUNIONSTORE a 2 a b",
        "ZRANGE a 0 -1 WITHSCORES",
        "ZUNIONSTORE to 0 a",
        "ZUNIONSTORE to x a",
        "ZUNIONSTORE to 3 a b",
        "ZUNIONSTORE to 2",
        "SET s v",
        "ZUNION 2 a s",
        "ZUNION 2 a s NONSENSE",
        "ZINTER 2 missing s",
        "ZDIFF 2 missing s",
        "ZINTERCARD 2 missing s",
        "ZUNIONSTORE to 2 a s",
        "ZUNIONSTORE s 1 a",
        "TYPE s",
    ]);
}

#[test]
fn sums_are_in_the_order_of_redis() {
    same_in_both_encodings(&[
        "ZADD a 0.1 x 1 y 1 z",
        "ZADD b 0.2 x 1 y",
        "ZADD c 0.3 x",
        "ZADD d 1e17 x 1 y 1 z 1 w",
        "ZUNION 4 a b c d WITHSCORES",
        "ZINTER 4 d c b a WITHSCORES",
        "ZUNION 3 c a b WITHSCORES",
    ]);
}

#[test]
fn walking() {
    same_in_both_encodings(&[
        "ZADD z 1.5 a",
        "ZSCAN z 0",
        "ZSCAN z 0 COUNT 5 MATCH *",
        "ZSCAN z 0 MATCH b*",
        "ZSCAN z 0 MATCH a*",
        "ZSCAN z 0 COUNT 0",
        "ZSCAN z 0 COUNT x",
        "ZSCAN z 0 COUNT -1",
        "ZSCAN z 0 COUNT",
        "ZSCAN z 0 MATCH",
        "ZSCAN z 0 TYPE zset",
        "ZSCAN z 0 NOVALUES",
        "ZSCAN z x",
        "ZSCAN z",
        "ZSCAN missing 0",
        "ZSCAN missing 5 COUNT x",
        "ZSCAN missing x",
        "ZRANDMEMBER z",
        "ZRANDMEMBER z 1",
        "ZRANDMEMBER z 5 WITHSCORES",
        "ZRANDMEMBER z -3",
        "ZRANDMEMBER z -3 WITHSCORES",
        "ZRANDMEMBER z 0",
        "ZRANDMEMBER z 0 WITHSCORES",
        "ZRANDMEMBER z x",
        "ZRANDMEMBER z 1 NONSENSE",
        "ZRANDMEMBER z x NONSENSE",
        "ZRANDMEMBER z 1 WITHSCORES MORE",
        "ZRANDMEMBER z -9223372036854775808",
        "ZRANDMEMBER z 9223372036854775807",
        "ZRANDMEMBER z -9223372036854775807 WITHSCORES",
        "ZRANDMEMBER z 9223372036854775807 WITHSCORES",
        "ZRANDMEMBER missing",
        "ZRANDMEMBER missing 3",
        "ZRANDMEMBER missing -3",
        "ZRANDMEMBER missing 3 WITHSCORES",
        "SET s v",
        "ZSCAN s 0",
        "ZSCAN s x",
        "ZRANDMEMBER s",
        "ZRANDMEMBER s 1",
        "ZADD w 1 a 2 b 3 c",
        "ZRANDMEMBER w 3",
        "ZRANDMEMBER w 100 WITHSCORES",
    ]);
}

#[test]
fn encodings_follow_the_directives() {
    let long = "x".repeat(65);
    let mut script: Vec<String> = vec!["ZADD z 1 a".into(), "OBJECT ENCODING z".into()];
    script.push(format!("ZADD long 1 {long}"));
    script.push("OBJECT ENCODING long".into());
    script.push(format!("ZADD z 1 {}", &long[1..]));
    script.push("OBJECT ENCODING z".into());
    script.push(format!("ZADD z 1 {long}"));
    script.push("OBJECT ENCODING z".into());
    for n in 0..129 {
        script.push(format!("ZADD many {n} member:{n}"));
        script.push("OBJECT ENCODING many".into());
    }
    script.extend(
        [
            "ZREMRANGEBYRANK many 0 100",
            "OBJECT ENCODING many",
            "ZRANGESTORE few many 0 3",
            "OBJECT ENCODING few",
            "CONFIG SET zset-max-listpack-entries 2",
            "ZRANGESTORE few many 0 3",
            "OBJECT ENCODING few",
            "ZUNIONSTORE few 1 many",
            "OBJECT ENCODING few",
            "ZADD three 1 a 2 b",
            "OBJECT ENCODING three",
            "ZADD three 1 a 2 b",
            "OBJECT ENCODING three",
            "ZADD three 3 c",
            "OBJECT ENCODING three",
            "CONFIG SET zset-max-ziplist-value 3",
            "ZADD one 1 abcd",
            "OBJECT ENCODING one",
            "ZUNIONSTORE one 1 three",
            "OBJECT ENCODING one",
            "CONFIG GET zset-max-listpack-entries",
            "COPY three copy",
            "OBJECT ENCODING copy",
            "ZRANGE copy 0 -1 WITHSCORES",
            "RENAME copy other",
            "ZRANGE other 0 -1 WITHSCORES",
        ]
        .map(String::from),
    );
    same_replies(&script);
}

/// WITHSCORE is Redis 7.2's.
#[test]
fn ranks_with_scores() {
    let server = bobbin();
    let mut client = server.connect();
    client.run("ZADD z 1 a 2.5 b");
    let pair = |rank, score: &str| Value::Array(vec![Value::Int(rank), Value::Bulk(score.into())]);
    assert_eq!(client.run("ZRANK z b WITHSCORE"), pair(1, "2.5"));
    assert_eq!(client.run("ZREVRANK z b withscore"), pair(0, "2.5"));
    assert_eq!(client.call_raw(&["ZRANK", "z", "c", "WITHSCORE"]), b"*-1\r\n");
    assert_eq!(client.call_raw(&["ZRANK", "missing", "c", "WITHSCORE"]), b"*-1\r\n");
    assert_eq!(client.call_raw(&["ZRANK", "z", "b", "WITHSCORES"]), b"-ERR syntax error\r\n");
    assert_eq!(
        client.call_raw(&["ZRANK", "z", "b", "WITHSCORE", "x"]),
        b"-ERR wrong number of arguments for 'zrank' command\r\n"
    );
}

/// A scan of a large set in steps of any size meets every member, and few twice.
#[test]
fn a_scan_meets_every_member() {
    let server = bobbin_with(ALWAYS_TABLE);
    let mut client = server.connect();
    for n in 0..2000 {
        client.run(&format!("ZADD z {n} member:{n}"));
    }
    for count in [1, 10, 333, 100_000] {
        let (mut met, mut cursor) = (Vec::new(), b"0".to_vec());
        loop {
            let command = [
                b"ZSCAN".to_vec(),
                b"z".to_vec(),
                cursor.clone(),
                b"COUNT".to_vec(),
                count.to_string().into(),
            ];
            let Value::Array(page) = client.call(&command) else { panic!("a page is an array") };
            let [Value::Bulk(next), Value::Array(pairs)] = &page[..] else { panic!("cursor and pairs") };
            assert!(pairs.len() <= 2 * count);
            met.extend(pairs.iter().step_by(2).cloned());
            cursor.clone_from(next);
            if cursor == b"0" {
                break;
            }
        }
        assert_eq!(met.len(), 2000);
    }
}

/// Random members are all different, or where repetition is asked for, all met.
#[test]
fn random_members() {
    for directives in [&[], ALWAYS_TABLE] {
        let server = bobbin_with(directives);
        let mut client = server.connect();
        for n in 0..100 {
            client.run(&format!("ZADD z {n} member:{n}"));
        }
        for count in [1, 50, 99, 100, 200] {
            let Value::Array(members) = client.run(&format!("ZRANDMEMBER z {count}")) else {
                panic!("an array")
            };
            assert_eq!(members.len(), count.min(100));
            let different: std::collections::HashSet<_> =
                members.iter().map(|member| format!("{member:?}")).collect();
            assert_eq!(different.len(), members.len());
        }
        let Value::Array(members) = client.run("ZRANDMEMBER z -3000") else { panic!("an array") };
        let different: std::collections::HashSet<_> =
            members.iter().map(|member| format!("{member:?}")).collect();
        assert_eq!((members.len(), different.len()), (3000, 100));
        assert_eq!(
            client.call_raw(&["ZRANDMEMBER", "z", "-9223372036854775807"]),
            b"-ERR value is out of range\r\n"
        );
    }
}

/// Thousands of random changes, the whole compared now and then.
#[test]
fn random_changes_leave_the_same_set() {
    for directives in [&[], ALWAYS_TABLE] {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::start(directives, Version::Resp3);
        for step in 0..4000 {
            let (member, score) = (rng.u32(0..400), f64::from(rng.i32(-40..40)) / 4.0);
            let (a, b) = (rng.i32(-50..50), rng.i32(-50..50));
            pair.same(&match rng.u32(0..20) {
                0..9 => format!("ZADD z {score} m{member}"),
                9 => format!("ZADD z CH GT {score} m{member} {score} n{member}"),
                10 => format!("ZINCRBY z {score} m{member}"),
                11 => format!("ZREM z m{member} n{member}"),
                12 => format!("ZRANK z m{member}"),
                13 => format!("ZREVRANK z n{member}"),
                14 => format!("ZCOUNT z ({} {}", a / 4, b / 4),
                15 => format!("ZRANGE z {a} {b} WITHSCORES"),
                16 => format!("ZRANGE z {} {} BYSCORE REV LIMIT {} 5", b / 4, a / 4, rng.u32(0..5)),
                17 if step % 5 == 0 => format!("ZREMRANGEBYRANK z {a} {}", a + 3),
                18 if step % 5 == 0 => format!("ZREMRANGEBYSCORE z {} {}", a / 2, a / 2),
                19 => format!("ZPOPMIN z {}", rng.u32(0..2)),
                _ => format!("ZPOPMAX z {}", rng.u32(0..2)),
            });
            if step % 500 == 0 {
                pair.same("ZRANGE z 0 -1 WITHSCORES");
                pair.same("ZRANGE z 0 -1 REV");
                pair.same("OBJECT ENCODING z");
            }
        }
    }
}

#[test]
fn expired_sorted_sets_are_gone() {
    let mut pair = Pair::start(&[], Version::Resp2);
    for line in ["ZADD z 1 a", "PEXPIRE z 1"] {
        pair.same(line);
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    for line in ["ZADD z XX 5 a", "ZCARD z", "ZADD z 2 b", "TTL z", "ZRANGE z 0 -1", "PEXPIRE z 1"] {
        pair.same(line);
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    for line in ["ZUNIONSTORE to 1 z", "EXISTS to", "ZPOPMIN z", "DBSIZE"] {
        pair.same(line);
    }
}

/// Members are stored in the order of the range: a packed set, which a score of -0 is 0 in, may become a table on the way.
#[test]
fn what_is_stored_of_negative_zeros_is_that_of_redis() {
    let mut script = vec!["CONFIG SET zset-max-listpack-value 0".to_owned(), "ZADD z 0 0 -0 \"\"".to_owned()];
    script.extend(["CONFIG SET zset-max-listpack-entries 2", "ZADD z -0 1 0 2 -0 3 0 4"].map(str::to_owned));
    for options in ["", "REV", "BYSCORE", "BYSCORE LIMIT 1 2"] {
        let range = if options.starts_with("BYSCORE") { "-inf inf" } else { "0 -1" };
        script.push(format!("ZRANGESTORE d z {range} {options}"));
        script.push("ZRANGE d 0 -1 WITHSCORES".to_owned());
    }
    same_replies(&script);
}
