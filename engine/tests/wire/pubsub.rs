//! Pub/sub: subscribers and publishers on both reactors, channels of both.

use std::fmt::Write;
use std::time::{Duration, Instant};

use bobbin_proto::Version;

use crate::support::{Client, Pair, bobbin, bobbin_with, eventually, same_replies, words};

const VERSIONS: [Version; 2] = [Version::Resp2, Version::Resp3];
/// Channels of both reactors, and one of keyspace notifications, which both keep.
const CHANNELS: [&str; 5] = ["a", "b", "c", "{t}a", "__keyspace@0__:k"];

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

#[test]
fn what_is_subscribed_to_is_confirmed_and_counted() {
    for version in VERSIONS {
        let mut pair = Pair::start(&[], version);
        let mut say = |line: &str, replies: usize| {
            pair.same(line);
            (1..replies).for_each(|_| pair.same_next());
        };
        say("SUBSCRIBE a b a c", 4);
        say("PSUBSCRIBE a* b* a*", 3);
        say("SSUBSCRIBE a b", 2);
        say("UNSUBSCRIBE b zz", 2);
        say("PUNSUBSCRIBE zz a*", 2);
        say("SUNSUBSCRIBE b b", 2);
        say("PING", 1);
        say("PING hello", 1);
        say("PING hello more", 1);
        say("SUNSUBSCRIBE", 1);
        say("PUNSUBSCRIBE", 1);
        say("UNSUBSCRIBE a c", 2);
        say("UNSUBSCRIBE", 1);
        say("PUNSUBSCRIBE", 1);
        say("SUNSUBSCRIBE", 1);
        say("PING", 1);
        say("SUBSCRIBE a", 1);
        say("UNSUBSCRIBE", 1);
        say("PING", 1);
        say("SUBSCRIBE", 1);
        say("PSUBSCRIBE", 1);
        say("SSUBSCRIBE", 1);
        say("PUBLISH a", 1);
        say("SPUBLISH a b c", 1);
        say("PUBLISH nobody x", 1);
        say("SPUBLISH nobody x", 1);
    }
}

#[test]
fn who_speaks_resp2_and_is_subscribed_may_do_little_else() {
    for version in VERSIONS {
        for channel in CHANNELS {
            let mut pair = Pair::start(&[], version);
            pair.same(&format!("SUBSCRIBE {channel}"));
            for line in [
                "GET k",
                "PUBLISH nobody x",
                "SPUBLISH nobody x",
                "CONFIG GET port-of-nothing",
                "FOO",
                "GET",
                "PING x",
                "MULTI",
                "EXEC",
                "WATCH k",
                "RESET",
                "PING",
                "PUBLISH a x",
                "GET k",
            ] {
                pair.same(line);
            }
            pair.same("SUBSCRIBE a");
            pair.same("QUIT");
        }
    }
}

#[test]
fn messages_go_to_channels_and_patterns_of_all_reactors() {
    for version in VERSIONS {
        for channel in CHANNELS {
            let mut pair = Pair::start(&[], version);
            for subscriber in 1..=4 {
                pair.client(subscriber).same(&format!("SUBSCRIBE {channel}"));
            }
            pair.client(2).same("PSUBSCRIBE *");
            pair.client(5).same(&format!("SSUBSCRIBE {channel}"));
            for publisher in [0, 6] {
                pair.client(publisher).same(&format!("PUBLISH {channel} one"));
                pair.same(&format!("PUBLISH {channel} \"\""));
                pair.same(&format!("SPUBLISH {channel} two"));
            }
            for subscriber in 1..=4 {
                (0..4).for_each(|_| pair.client(subscriber).same_next());
            }
            (0..4).for_each(|_| pair.client(2).same_next());
            (0..2).for_each(|_| pair.client(5).same_next());
            pair.client(3).same(&format!("UNSUBSCRIBE {channel}"));
            pair.client(0).same(&format!("PUBLISH {channel} three"));
            pair.client(4).same_next();
            pair.client(3).same("PING");
        }
    }
}

#[test]
fn who_says_something_to_itself_gets_it_before_the_count() {
    for channel in CHANNELS {
        for client in [0, 1] {
            let mut pair = Pair::start(&[], Version::Resp3);
            pair.client(client).same(&format!("SUBSCRIBE {channel}"));
            pair.same(&format!("PUBLISH {channel} x"));
            pair.same_next();
            pair.same("PSUBSCRIBE *");
            pair.same(&format!("PUBLISH {channel} y"));
            (0..2).for_each(|_| pair.same_next());
        }
    }
}

#[test]
fn pubsub_tells_who_is_subscribed_to_what() {
    for version in VERSIONS {
        let mut pair = Pair::start(&[], version);
        pair.client(1).same("SUBSCRIBE a b");
        pair.same_next();
        pair.client(2).same("SUBSCRIBE b __keyspace@0__:k");
        pair.same_next();
        pair.client(3).same("PSUBSCRIBE x* a?");
        pair.same_next();
        pair.client(4).same("PSUBSCRIBE x*");
        pair.client(5).same("SSUBSCRIBE s");
        pair.client(0);
        for line in [
            "PUBSUB NUMSUB",
            "PUBSUB NUMSUB a b c s __keyspace@0__:k b",
            "PUBSUB SHARDNUMSUB a s",
            "PUBSUB SHARDNUMSUB",
            "PUBSUB NUMPAT",
            "PUBSUB NUMPAT x",
            "PUBSUB CHANNELS a*",
            "PUBSUB CHANNELS x y",
            "PUBSUB CHANNELS none",
            "PUBSUB SHARDCHANNELS",
            "PUBSUB SHARDCHANNELS x",
            "PUBSUB SHARDCHANNELS x y",
            "PUBSUB",
            "PUBSUB NOTHING",
        ] {
            pair.same(line);
        }
        let (bobbin, _) = pair.both("PUBSUB CHANNELS");
        assert!(bobbin.starts_with(b"*3\r\n"), "{}", bobbin.escape_ascii());
        pair.same("CLIENT KILL TYPE pubsub");
        // Registries of other reactors are told, not asked.
        eventually(|| pair.both("PUBSUB CHANNELS").0 == b"*0\r\n");
        for line in ["PUBSUB NUMPAT", "PUBSUB NUMSUB a b", "PUBSUB CHANNELS"] {
            pair.same(line);
        }
    }
}

#[test]
fn counts_are_shown_in_client_info_and_info() {
    let server = bobbin();
    let mut client = server.connect();
    let mut subscriber = server.connect();
    for line in ["HELLO 3", "SUBSCRIBE a", "PSUBSCRIBE p*", "PSUBSCRIBE q*", "SSUBSCRIBE s"] {
        subscriber.call(&words(line));
    }
    let shown = text(client.call_raw(&words("CLIENT LIST TYPE pubsub")));
    assert!(shown.contains(" flags=P ") && shown.contains(" sub=1 psub=2 ssub=1 "), "{shown}");
    let info = text(client.call_raw(&words("INFO stats")));
    for field in ["pubsub_channels:1\r", "pubsub_patterns:2\r", "pubsubshard_channels:1\r"] {
        assert!(info.contains(field), "{info}");
    }
    subscriber.call(&words("RESET"));
    let shown = text(client.call_raw(&words("CLIENT LIST TYPE pubsub")));
    assert!(!shown.contains("id="), "{shown}");
    assert!(text(client.call_raw(&words("INFO stats"))).contains("pubsub_patterns:0\r"));
}

#[test]
fn subscribing_and_saying_something_work_in_transactions() {
    for version in VERSIONS {
        for channel in CHANNELS {
            let mut pair = Pair::start(&[], version);
            pair.client(1).same(&format!("SUBSCRIBE {channel}"));
            for client in [0, 2] {
                pair.client(client);
                for line in [
                    "MULTI".to_owned(),
                    format!("PUBLISH {channel} x"),
                    "EXEC".to_owned(),
                    "MULTI".to_owned(),
                    "SET a 1".to_owned(),
                    "SET b 1".to_owned(),
                    format!("PUBLISH {channel} y"),
                    "GET a".to_owned(),
                    "EXEC".to_owned(),
                    "MULTI".to_owned(),
                    "PING".to_owned(),
                    format!("SET {channel} 1"),
                    format!("PUBLISH {channel} z"),
                    "EXEC".to_owned(),
                ] {
                    pair.same(&line);
                }
            }
            (0..6).for_each(|_| pair.client(1).same_next());
            pair.client(3);
            for line in
                ["MULTI", "SUBSCRIBE a b", "GET a", "PUBLISH a 1", "PING", "UNSUBSCRIBE a", "EXEC", "PING"]
            {
                pair.same(line);
            }
        }
    }
}

#[test]
fn confirmations_and_messages_come_whatever_client_reply_says() {
    for version in VERSIONS {
        for channel in CHANNELS {
            let mut pair = Pair::start(&[], version);
            pair.client(1);
            pair.send("CLIENT REPLY OFF");
            pair.send(&format!("SUBSCRIBE {channel}"));
            pair.same_next();
            pair.client(0).same(&format!("PUBLISH {channel} x"));
            pair.client(1).same_next();
            pair.send("PING");
            pair.silent();
        }
    }
}

/// Who publishes has written before: whoever gets the message finds what was written, wherever it is.
#[test]
fn a_pipeline_says_things_in_its_order() {
    let server = bobbin();
    let mut subscribers: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    for subscriber in &mut subscribers {
        subscriber.call(&words("SUBSCRIBE a"));
        subscriber.call(&words("SUBSCRIBE b"));
    }
    let mut publisher = server.connect();
    let mut lines = String::new();
    for round in 0..2000 {
        let channel = ["a", "b"][round / 3 % 2];
        write!(lines, "PUBLISH {channel} {round}\r\n").expect("a String takes all");
        if round % 7 == 0 {
            write!(lines, "SET k{} {round}\r\n", round % 5).expect("a String takes all");
        }
    }
    publisher.send_raw(lines.as_bytes()).expect("the server reads");
    for round in 0..2000 {
        assert_eq!(publisher.read_raw().expect("a count"), b":4\r\n", "round {round}");
        if round % 7 == 0 {
            assert_eq!(publisher.read_raw().expect("a reply"), b"+OK\r\n");
        }
    }
    for subscriber in &mut subscribers {
        for round in 0..2000 {
            let channel = ["a", "b"][round / 3 % 2];
            let text = round.to_string();
            let expected = format!("*3\r\n$7\r\nmessage\r\n$1\r\n{channel}\r\n${}\r\n{text}\r\n", text.len());
            let got = subscriber.read_raw().expect("a message");
            assert_eq!(got, expected.as_bytes(), "{}", got.escape_ascii());
        }
    }
}

/// It is cut off at its limit; the others get everything, and soon.
#[test]
fn a_subscriber_that_never_reads_is_cut_off_and_holds_nobody_up() {
    let server = bobbin_with(&["--client-output-buffer-limit", "pubsub 1mb 0 0"]);
    let mut lazy: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    let mut keen: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    for client in lazy.iter_mut().chain(&mut keen) {
        client.call(&words("SUBSCRIBE ch"));
    }
    let mut publisher = server.connect();
    let payload = "x".repeat(100_000);
    let began = Instant::now();
    let mut receivers = Vec::new();
    for _ in 0..300 {
        receivers.push(publisher.call_raw(&["PUBLISH", "ch", &payload]));
        for client in &mut keen {
            assert!(client.read_raw().expect("a message").len() > 100_000);
        }
    }
    assert_eq!(receivers[0], b":4\r\n");
    assert_eq!(receivers[299], b":2\r\n", "both were cut off");
    assert!(began.elapsed() < Duration::from_secs(20), "took {:?}", began.elapsed());
    let info = text(publisher.call_raw(&words("INFO stats")));
    assert!(info.contains("client_output_buffer_limit_disconnections:2\r"), "{info}");
}

#[test]
fn table_and_help_are_those_of_redis() {
    same_replies(&[
        "COMMAND INFO subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe publish spublish",
        "COMMAND GETKEYS publish a b",
        "COMMAND GETKEYS spublish a b",
        "COMMAND GETKEYS ssubscribe a b",
    ]);
}

#[test]
fn messages_do_not_wait_for_a_command_that_waits() {
    for channel in CHANNELS {
        let mut pair = Pair::start(&[], Version::Resp3);
        pair.client(1).same(&format!("SUBSCRIBE {channel}"));
        pair.send("BLPOP list 0");
        pair.client(0).same(&format!("PUBLISH {channel} x"));
        pair.client(1).same_next();
        pair.client(0).same("RPUSH list y");
        pair.client(1).same_next();
    }
}
