//! Places on the globe, beside redis-server.

use bobbin_proto::{Value, Version};

use crate::support::{Client, Pair, bobbin, same_replies, same_replies_with};

/// What makes every sorted set a table from the first member on.
const ALWAYS_TABLE: &[&str] = &["--zset-max-listpack-entries", "0"];

const SICILY: &str = "GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania";

#[test]
fn adding() {
    same_replies(&[
        "GEOADD",
        "GEOADD g",
        "GEOADD g 1 2",
        "GEOADD g 1 2 a",
        "GEOADD g 1 2 a 3",
        "GEOADD g 1 2 a 3 4 b",
        "GEOADD g 1 2.5 a 3 4 b",
        "GEOADD g CH 1 2.6 a 5 6 c",
        "GEOADD g NX 7 7 a 7 7 d",
        "GEOADD g XX 8 8 a 8 8 e",
        "GEOADD g XX CH 9 9 a 9 9 e",
        "GEOADD g nx ch 9 9 a 9 9 f",
        "GEOADD g NX XX 1 1 a",
        "GEOADD g NX XX 1 1",
        "GEOADD g NX XX CH",
        "GEOADD g CH CH CH",
        "GEOADD g CH NX 1",
        "GEOADD g GT 1 1 a",
        "GEOADD g INCR 1 1 a",
        "GEOADD g 180 85.05112878 corner -180 -85.05112878 opposite 180 0 line",
        "GEOADD g 180.0001 0 x",
        "GEOADD g -180.0001 0 x",
        "GEOADD g 0 85.05112879 x",
        "GEOADD g 0 -86 x",
        "GEOADD g 200 10 a",
        "GEOADD g 1e300 10 a",
        "GEOADD g inf 10 a",
        "GEOADD g 10 -inf a",
        "GEOADD g 1000.0078125 0.0000005 a",
        "GEOADD g nan 10 a",
        "GEOADD g x 10 a",
        "GEOADD g 10 x a",
        "GEOADD g 1 1 ok 2 x bad",
        "ZSCORE g ok",
        "GEOADD g 1 1 ok 200 1 bad",
        "ZSCORE g ok",
        "ZRANGE g 0 -1 WITHSCORES",
        "SET s v",
        "GEOADD s 1 1 a",
        "GEOADD s 1 x a",
        "GEOADD s 1 200 a",
        "GEOADD missing XX 1 1 a",
        "EXISTS missing",
        "TYPE g",
        "OBJECT ENCODING g",
    ]);
}

#[test]
fn telling_where_members_are() {
    let mut script: Vec<String> = [
        SICILY,
        "GEODIST Sicily Palermo Catania",
        "GEODIST Sicily Palermo Catania m",
        "GEODIST Sicily Palermo Catania KM",
        "GEODIST Sicily Palermo Catania mi",
        "GEODIST Sicily Palermo Catania Ft",
        "GEODIST Sicily Palermo Catania furlong",
        "GEODIST Sicily Palermo Catania km more",
        "GEODIST Sicily Palermo nobody",
        "GEODIST Sicily Palermo Palermo",
        "GEODIST missing a b",
        "GEODIST missing a b furlong",
        "GEODIST Sicily a",
        "GEOHASH Sicily Palermo nobody Catania",
        "GEOHASH Sicily",
        "GEOHASH missing",
        "GEOHASH missing a b",
        "GEOPOS Sicily Palermo nobody Catania",
        "GEOPOS Sicily",
        "GEOPOS missing",
        "GEOPOS missing a b",
        "GEOPOS",
        "SET s v",
        "GEODIST s a b",
        "GEODIST s a b furlong",
        "GEOHASH s a",
        "GEOPOS s a",
    ]
    .map(String::from)
    .into();
    // Of any score, whether or not it is a position's.
    let scores = [
        "0",
        "-0",
        "-1",
        "1.5",
        "4503599627370495",
        "4503599627370496",
        "9007199254740992",
        "13510798882111487",
        "18014398509481984",
        "9223372036854775807",
        "9.3e18",
        "18446744073709551615",
        "1e30",
        "-1e30",
        "inf",
        "-inf",
    ];
    for score in scores {
        script.push(format!("ZADD odd {score} {score}"));
        script.push(format!("GEOPOS odd {score}"));
        script.push(format!("GEOHASH odd {score}"));
        script.push(format!("GEODIST odd {score} 0"));
    }
    same_replies(&script);
}

#[test]
fn searching() {
    let script = [
        SICILY,
        "GEOADD Sicily 12.758489 38.788135 edge1 17.241510 38.788135 edge2",
        "GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 200 km ASC",
        "GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 200 km DESC",
        "GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHDIST",
        "GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 km WITHCOORD WITHDIST WITHHASH DESC",
        "GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 km WITHHASH",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 100000 m ASC",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 0 m WITHDIST",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 0 0 m WITHDIST",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS inf m ASC",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1e300 mi",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX inf inf m ASC WITHDIST",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1e10 5 km ASC",
        "GEOSEARCH Sicily FROMMEMBER nobody BYRADIUS 1 km",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT 2",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT 2 DESC",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT 2 ANY",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT 2 ANY DESC WITHDIST",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT 100",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km ANY",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km ANY COUNT 1",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT 0",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT -1",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT x",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT 9223372036854775807",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 300 km COUNT 9223372036854775808",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS -1 km",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS x km",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 league",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS x league",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS -1 league",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX -1 1 km",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 -1 km",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX x 1 km",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 x km",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 1 league",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 1",
        "GEOSEARCH Sicily FROMMEMBER Palermo FROMLONLAT 15 37 BYRADIUS 1 km",
        "GEOSEARCH Sicily FROMLONLAT 15 37 FROMMEMBER Palermo BYRADIUS 1 km",
        "GEOSEARCH Sicily FROMLONLAT 15 37 FROMLONLAT 13 38 BYRADIUS 100 km",
        "GEOSEARCH Sicily FROMMEMBER Catania FROMMEMBER Palermo BYRADIUS 100 km",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 km BYBOX 1 1 km",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 1 km BYRADIUS 1 km",
        "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 km BYRADIUS 200 km ASC",
        "GEOSEARCH Sicily BYRADIUS 1 km ASC WITHDIST",
        "geoSEARCH Sicily BYRADIUS 1 km ASC WITHDIST",
        "geosearch Sicily FROMMEMBER Palermo ASC WITHDIST DESC",
        "GEOSEARCH Sicily ASC WITHDIST DESC ANY WITHCOORD",
        "GEOSEARCH Sicily FROMLONLAT 200 37 BYRADIUS 1 km",
        "GEOSEARCH Sicily FROMLONLAT x 37 BYRADIUS 1 km",
        "GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 1 km STORE x",
        "GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 1 km STOREDIST",
        "GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 1 km nonsense",
        "GEOSEARCH Sicily FROMLONLAT 15 37",
        "GEOSEARCH missing FROMMEMBER a BYRADIUS 1 km",
        "GEOSEARCH missing FROMMEMBER a FROMLONLAT 1 1 BYRADIUS 1 km",
        "GEOSEARCH missing FROMMEMBER a BYRADIUS -1 km",
        "GEOSEARCH missing FROMMEMBER a WITHDIST WITHCOORD WITHHASH",
        "GEOSEARCH missing FROMMEMBER a BYRADIUS 1 km ANY",
        "SET s v",
        "GEOSEARCH s FROMMEMBER a BYRADIUS x km",
        "GEOSEARCH s nonsense a BYRADIUS x km",
    ];
    same_replies(&script);
    same_replies_with(ALWAYS_TABLE, &script);
}

#[test]
fn searching_around_a_place_in_the_old_way() {
    let script = [
        SICILY,
        "GEORADIUS Sicily 15 37 200 km",
        "GEORADIUS Sicily 15 37 200 km WITHDIST WITHCOORD WITHHASH",
        "GEORADIUS Sicily 15 37 200 km WITHDIST DESC",
        "GEORADIUS Sicily 15 37 200 km COUNT 1",
        "GEORADIUS Sicily 15 37 200 km COUNT 1 ANY",
        "GEORADIUS Sicily 15 37 200 km ANY",
        "GEORADIUS Sicily 15 37 -1 km",
        "GEORADIUS Sicily 15 37 x km",
        "GEORADIUS Sicily 15 37 1 league",
        "GEORADIUS Sicily 15 370 x km",
        "GEORADIUS Sicily 15 y x km",
        "GEORADIUS Sicily 15 37 1",
        "GEORADIUS Sicily 15 37 1 km nonsense",
        "GEORADIUS Sicily 15 37 1 km FROMMEMBER Palermo",
        "GEORADIUS Sicily 15 37 1 km COUNT",
        "GEORADIUS Sicily 15 37 1 km STORE",
        "GEORADIUS_RO Sicily 15 37 200 km ASC",
        "GEORADIUS_RO Sicily 15 37 200 km STORE to",
        "GEORADIUS_RO Sicily 15 37 200 km STOREDIST to",
        "GEORADIUSBYMEMBER Sicily Palermo 200 km WITHDIST",
        "GEORADIUSBYMEMBER Sicily nobody 200 km",
        "GEORADIUSBYMEMBER Sicily nobody x km",
        "GEORADIUSBYMEMBER Sicily Palermo x km",
        "GEORADIUSBYMEMBER missing Palermo x league",
        "GEORADIUSBYMEMBER missing Palermo 1 km nonsense",
        "GEORADIUSBYMEMBER missing Palermo 1 km COUNT 0",
        "GEORADIUSBYMEMBER missing Palermo 1 km ANY",
        "GEORADIUSBYMEMBER_RO Sicily Palermo 200 km DESC",
        "GEORADIUSBYMEMBER_RO Sicily Palermo 200 km STORE to",
        "GEORADIUS missing 15 37 200 km",
        "GEORADIUS missing 15 37 x km",
        "SET s v",
        "GEORADIUS s 15 37 x km",
        "GEORADIUSBYMEMBER s a x km",
    ];
    same_replies(&script);
    same_replies_with(ALWAYS_TABLE, &script);
}

#[test]
fn storing() {
    let script = [
        SICILY,
        "GEOSEARCHSTORE to Sicily FROMLONLAT 15 37 BYRADIUS 200 km",
        "ZRANGE to 0 -1 WITHSCORES",
        "GEOSEARCHSTORE to Sicily FROMLONLAT 15 37 BYBOX 400 400 km STOREDIST",
        "ZRANGE to 0 -1 WITHSCORES",
        "OBJECT ENCODING to",
        "GEOSEARCHSTORE to Sicily FROMLONLAT 15 37 BYBOX 400 400 km COUNT 1 DESC",
        "GEOHASH to Palermo Catania",
        "GEOSEARCHSTORE to Sicily FROMLONLAT 15 37 BYBOX 400 400 km STORE x",
        "GEOSEARCHSTORE to Sicily FROMLONLAT 15 37 BYBOX 400 400 km WITHDIST",
        "GEOSEARCHSTORE to Sicily FROMLONLAT 15 37 WITHHASH ASC DESC",
        "GEOSEARCHSTORE to Sicily FROMMEMBER nobody BYRADIUS 1 km",
        "EXISTS to",
        "GEOSEARCHSTORE to Sicily FROMLONLAT 0 0 BYRADIUS 1 m",
        "EXISTS to",
        "SET to v EX 100",
        "GEOSEARCHSTORE to Sicily FROMLONLAT 15 37 BYRADIUS 200 km",
        "TYPE to",
        "TTL to",
        "GEOSEARCHSTORE to missing FROMMEMBER a BYRADIUS 1 km",
        "EXISTS to",
        "GEOSEARCHSTORE to missing FROMMEMBER a BYRADIUS -1 km",
        "GEORADIUS Sicily 15 37 200 km STORE to",
        "ZRANGE to 0 -1 WITHSCORES",
        "GEORADIUS Sicily 15 37 200 mi STOREDIST to",
        "ZRANGE to 0 -1 WITHSCORES",
        "GEORADIUS Sicily 15 37 200 km STORE one STOREDIST two",
        "EXISTS one two",
        "GEORADIUS Sicily 15 37 200 km STOREDIST two STORE one",
        "ZRANGE one 0 -1 WITHSCORES",
        "GEORADIUS Sicily 15 37 200 km STORE first STORE second STORE third",
        "EXISTS first",
        "EXISTS second",
        "EXISTS third",
        "GEORADIUSBYMEMBER Sicily Palermo 200 km STORE STORE",
        "ZCARD STORE",
        "GEORADIUSBYMEMBER Sicily Palermo 200 km STORE first COUNT 1 STORE second",
        "EXISTS first second",
        "GEORADIUS Sicily 15 37 200 km STORE to WITHDIST",
        "GEORADIUS missing 15 37 200 km STORE to",
        "EXISTS to",
        "GEORADIUSBYMEMBER missing a 200 km STOREDIST one",
        "EXISTS one",
        "GEOSEARCHSTORE Sicily Sicily FROMMEMBER Palermo BYRADIUS 1 km",
        "ZRANGE Sicily 0 -1 WITHSCORES",
        "SET s v",
        "GEOSEARCHSTORE to s FROMMEMBER Palermo BYRADIUS 1 km",
        "GEOSEARCHSTORE s Sicily FROMMEMBER Palermo BYRADIUS 1 km",
        "TYPE s",
        "COMMAND GETKEYS GEORADIUS k 1 1 1 m STORE a STOREDIST b",
        "COMMAND GETKEYSANDFLAGS GEORADIUS k 1 1 1 m STORE a",
        "COMMAND GETKEYSANDFLAGS GEORADIUSBYMEMBER k m 1 m STOREDIST a",
        "COMMAND GETKEYSANDFLAGS GEORADIUSBYMEMBER k m 1 m STORE",
        "COMMAND GETKEYSANDFLAGS GEOSEARCHSTORE a b FROMMEMBER c BYRADIUS 1 m",
    ];
    same_replies(&script);
    same_replies_with(ALWAYS_TABLE, &script);
}

/// A place of one of the kinds that searches find hard: anywhere, in a crowd, at the date line, far north.
fn place(rng: &mut fastrand::Rng) -> (f64, f64) {
    let between = |rng: &mut fastrand::Rng, from: f64, to: f64| from + (to - from) * rng.f64();
    match rng.u32(0..8) {
        0 => (between(rng, 179.5, 179.999), between(rng, -60.0, 60.0)),
        1 => (between(rng, -180.0, -179.5), between(rng, -60.0, 60.0)),
        2 => (between(rng, -180.0, 179.999), between(rng, 80.0, 85.05)),
        3 => (between(rng, -180.0, 179.999), between(rng, -85.05, -80.0)),
        4 => (between(rng, -0.01, 0.01), between(rng, -0.01, 0.01)),
        5 => (between(rng, 2.3, 2.4), between(rng, 48.8, 48.9)),
        _ => (between(rng, -180.0, 179.999), between(rng, -85.0, 85.0)),
    }
}

/// From metres to all there is, evenly over the orders of magnitude.
fn kilometres(rng: &mut fastrand::Rng) -> f64 {
    (-6.0 + 16.0 * rng.f64()).exp()
}

#[test]
fn random_searches_find_what_redis_finds() {
    for (directives, version) in [(&[][..], Version::Resp3), (ALWAYS_TABLE, Version::Resp2)] {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::start(directives, version);
        let members = if directives.is_empty() { 120 } else { 3000 };
        let mut places = Vec::new();
        for member in 0..members {
            let (longitude, latitude) = place(&mut rng);
            pair.same(&format!("GEOADD g {longitude} {latitude} m{member}"));
            places.push(latitude);
        }
        pair.same("ZRANGE g 0 -1 WITHSCORES");
        for _ in 0..1500 {
            let (longitude, latitude) = place(&mut rng);
            let (one, other) = (rng.usize(0..members), rng.usize(0..members));
            let (center, latitude) = if rng.bool() {
                (format!("FROMLONLAT {longitude} {latitude}"), latitude)
            } else {
                (format!("FROMMEMBER m{one}"), places[one])
            };
            // What Redis leaves out of large areas near a pole is a test of its own.
            let most = if latitude.abs() > 70.0 { 200.0 } else { 1000.0 };
            let (width, height) = (kilometres(&mut rng).min(most), kilometres(&mut rng).min(most));
            let area = if rng.bool() {
                format!("BYRADIUS {width} km")
            } else {
                format!("BYBOX {width} {height} km")
            };
            let order = ["", "ASC", "DESC", "COUNT 3", "COUNT 5 ANY", "COUNT 10000 DESC"];
            let order = order[rng.usize(0..order.len())];
            pair.same(&format!("GEOSEARCH g {center} {area} {order} WITHDIST WITHHASH WITHCOORD"));
            pair.same(&format!("GEODIST g m{one} m{other} ft"));
            pair.same(&format!("GEOHASH g m{one} m{other}"));
            if rng.u32(0..20) == 0 {
                pair.same(&format!("GEOSEARCHSTORE to g {center} {area} STOREDIST"));
                pair.same("ZRANGE to 0 -1 WITHSCORES");
            }
        }
    }
}

/// A radius that is exactly a member's distance, as told, and a little less and more.
#[test]
fn a_boundary_is_where_redis_has_it() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut pair = Pair::start(&[], Version::Resp2);
    for member in 0..60 {
        let (longitude, latitude) = (10.0 + rng.f64(), 50.0 + rng.f64());
        pair.same(&format!("GEOADD g {longitude} {latitude} m{member}"));
    }
    for member in 1..60 {
        let (distance, _) = pair.both(&format!("GEODIST g m0 m{member}"));
        let Value::Bulk(distance) = bobbin_proto::decode::decode(&distance).unwrap().unwrap().0 else {
            panic!("a distance")
        };
        let distance: f64 = String::from_utf8(distance).unwrap().parse().unwrap();
        for by in [-0.0002, -0.0001, 0.0, 0.0001] {
            pair.same(&format!("GEOSEARCH g FROMMEMBER m0 BYRADIUS {} m", distance + by));
            pair.same(&format!("GEOSEARCH g FROMMEMBER m0 BYBOX {0} {0} m ASC", 2.0 * (distance + by)));
        }
    }
}

fn found(client: &mut Client, search: &str) -> Vec<Vec<u8>> {
    let Value::Array(members) = client.run(search) else { panic!("{search}") };
    let name = |member| if let Value::Bulk(name) = member { name } else { panic!("a member") };
    members.into_iter().map(name).collect()
}

/// Redis leaves these out.
#[test]
fn members_at_the_end_of_the_map_are_found() {
    let server = bobbin();
    let mut client = server.connect();
    client.run("GEOADD line 180 0 east -180 0 west 179.999 0.5 before");
    for search in ["FROMLONLAT 179.9 0", "FROMLONLAT -179.9 0", "FROMLONLAT 180 0", "FROMMEMBER east"] {
        let mut members = found(&mut client, &format!("GEOSEARCH line {search} BYRADIUS 100 km"));
        members.sort_unstable();
        assert_eq!(members, [&b"before"[..], b"east", b"west"], "{search}");
    }
    client.run("GEOADD top 10 85.05112878 a 180 85.05112878 corner");
    assert_eq!(found(&mut client, "GEOSEARCH top FROMLONLAT 10 85 BYRADIUS 100 km"), [b"a"]);
    assert_eq!(found(&mut client, "GEOSEARCH top FROMLONLAT -179 85 BYRADIUS 100 km"), [b"corner"]);
    assert_eq!(found(&mut client, "GEOSEARCH top FROMMEMBER corner BYRADIUS 0 m"), [b"corner"]);
    client.run("GEOADD pole -135 84.85 around");
    assert_eq!(found(&mut client, "GEOSEARCH pole FROMLONLAT 80 79.9 BYBOX 2240 1110 km"), [b"around"]);
    client.run("GEOADD ice 32.4 -84.97 here -21.9 -84.5 there");
    assert_eq!(
        found(&mut client, "GEOSEARCH ice FROMMEMBER here BYRADIUS 560 km ASC"),
        [&b"here"[..], b"there"]
    );
}

/// Source and destination on either reactor.
#[test]
fn storing_over_shards() {
    let mut pair = Pair::start(&[], Version::Resp2);
    for n in 0..12 {
        pair.same(&format!("GEOADD from{n} 10 50 a 10.1 50.1 b 11 51 c"));
        for to in 0..4 {
            pair.same(&format!("GEOSEARCHSTORE to{to} from{n} FROMMEMBER a BYRADIUS 50 km"));
            pair.same(&format!("ZRANGE to{to} 0 -1 WITHSCORES"));
            pair.same(&format!("GEORADIUS from{n} 10 50 200 km STORE x{to} STORE y{n} STOREDIST to{to}"));
            pair.same(&format!("ZRANGE to{to} 0 -1 WITHSCORES"));
            pair.same(&format!("GEORADIUSBYMEMBER from{n} a 200 km STORE x{to} STORE y{to}"));
            pair.same(&format!("ZRANGE y{to} 0 -1 WITHSCORES"));
        }
    }
    pair.same("DBSIZE");
}
