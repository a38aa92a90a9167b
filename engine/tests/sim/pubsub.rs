//! Pub/sub under the scheduler: one order, behind what was written, ahead of the reply, and nothing left behind.

use std::collections::{BTreeMap, BTreeSet};

use bobbin_proto::Value;

use crate::for_seeds;
use crate::world::World;

const CHANNELS: [&str; 4] = ["a", "b", "c", "__keyspace@0__:k"];
const SUBSCRIBERS: usize = 4;
const PUBLISHERS: [usize; 3] = [4, 5, 6];
const ROUNDS: usize = 12;

fn text(value: &Value) -> String {
    match value {
        Value::Bulk(bytes) | Value::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Int(number) => number.to_string(),
        _ => String::new(),
    }
}

/// A push: its words.
fn words(value: &Value) -> Option<Vec<String>> {
    if let Value::Push(words) = value { Some(words.iter().map(text).collect()) } else { None }
}

/// What one publisher's pipeline is, and what it has to be answered with.
#[derive(Default)]
struct Publisher {
    /// What each reply to come is for: the message, if it is one.
    awaited: Vec<Option<String>>,
    answered: usize,
}

impl Publisher {
    fn request(&mut self, world: &mut World, client: usize, args: &[&str], message: Option<&str>) {
        world.clients[client].request(args);
        self.awaited.push(message.map(str::to_owned));
    }

    /// Writes a round's number somewhere, then says it to a channel.
    fn round(&mut self, world: &mut World, client: usize, round: usize) {
        let channel = CHANNELS[world.rng.usize(..CHANNELS.len())];
        let (key, number) = (format!("p{client}"), round.to_string());
        let message = format!("{client}:{round}");
        let publish = ["PUBLISH", channel, &message];
        match world.rng.u8(..6) {
            0 => {
                self.request(world, client, &["MULTI"], None);
                self.request(world, client, &["SET", &key, &number], None);
                self.request(world, client, &publish, None);
                self.request(world, client, &["EXEC"], Some(&message));
            }
            1 => {
                self.request(world, client, &["MSET", &key, &number, "x", "1", "y", "1", "z", "1"], None);
                self.request(world, client, &publish, Some(&message));
            }
            2 => {
                self.request(world, client, &["SET", &key, &number], None);
                self.request(world, client, &["MULTI"], None);
                self.request(world, client, &publish, None);
                self.request(world, client, &["EXEC"], Some(&message));
            }
            _ => {
                self.request(world, client, &["SET", &key, &number], None);
                self.request(world, client, &publish, Some(&message));
            }
        }
    }

    /// Messages whose replies have come, and how many got each.
    fn take_answered(&mut self, world: &mut World, client: usize) -> Vec<(String, i64)> {
        let mut messages = Vec::new();
        while let Some(reply) = world.clients[client].reply() {
            let awaited = self.awaited[self.answered].take();
            self.answered += 1;
            let count = match &reply {
                Value::Int(count) => Some(*count),
                Value::Array(replies) => match replies.last() {
                    Some(Value::Int(count)) => Some(*count),
                    _ => None,
                },
                _ => None,
            };
            messages.extend(awaited.map(|message| (message, count.expect("a count"))));
        }
        messages
    }
}

/// What a subscriber has got, in order.
#[derive(Default)]
struct Subscriber {
    /// Channel and message.
    got: Vec<(String, String)>,
    /// Messages for which it has asked what was written before, in the order of the requests.
    asked: Vec<String>,
    answered: usize,
}

impl Subscriber {
    fn has(&self, message: &str) -> bool {
        self.got.iter().any(|(_, got)| got == message)
    }

    /// Looks at what has come, and asks for what the publisher has written before.
    fn look(&mut self, world: &mut World, client: usize) {
        while let Some(reply) = world.clients[client].reply() {
            if let Some(words) = words(&reply) {
                if words[0] == "message" {
                    let message = words[2].clone();
                    let (publisher, _) = message.split_once(':').expect("a message");
                    world.clients[client].request(&["GET", &format!("p{publisher}")]);
                    self.got.push((words[1].clone(), message.clone()));
                    self.asked.push(message);
                }
                continue;
            }
            let reply = text(&reply);
            if let Some(message) = reply.strip_prefix("ping ") {
                assert!(self.has(message), "the reply to {message} came before the message");
            } else if let Ok(found) = reply.parse::<usize>() {
                let (publisher, round) = self.asked[self.answered].split_once(':').expect("a message");
                self.answered += 1;
                (1..found).map(|round| format!("{publisher}:{round}")).for_each(|earlier| {
                    assert!(self.has(&earlier), "what was written later came before {earlier}");
                });
                assert!(found >= round.parse().expect("a number"), "a message came before what was written");
            }
        }
    }
}

/// Subscribers of all channels, before anything is said. They get all messages of a channel in one order, and all of a
/// publisher in its order; each finds what the publisher has written before the message, and nothing that it has
/// written behind one that has not come; whoever has the count is behind them all.
#[test]
fn messages_come_in_one_order_behind_what_was_written() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, SUBSCRIBERS + PUBLISHERS.len());
        let listening = world.rng.usize(1..=SUBSCRIBERS);
        for client in 0..listening {
            world.clients[client].request(&["HELLO", "3"]);
            let mut request = vec!["SUBSCRIBE"];
            request.extend(CHANNELS);
            world.clients[client].request(&request);
        }
        world.run();
        let mut publishers: Vec<Publisher> = PUBLISHERS.map(|_| Publisher::default()).into();
        for round in 1..=ROUNDS {
            for (publisher, client) in publishers.iter_mut().zip(PUBLISHERS) {
                publisher.round(&mut world, client, round);
            }
        }
        let mut subscribers: Vec<Subscriber> = (0..listening).map(|_| Subscriber::default()).collect();
        while world.step() {
            for (publisher, client) in publishers.iter_mut().zip(PUBLISHERS) {
                for (message, count) in publisher.take_answered(&mut world, client) {
                    assert_eq!(count, listening as i64);
                    (0..listening).for_each(|client| {
                        world.clients[client].request(&["PING", &format!("ping {message}")]);
                    });
                }
            }
            for (client, subscriber) in subscribers.iter_mut().enumerate() {
                subscriber.look(&mut world, client);
            }
        }
        for subscriber in &subscribers {
            assert_eq!(subscriber.got.len(), ROUNDS * PUBLISHERS.len(), "everybody gets everything");
            assert_eq!(subscriber.answered, subscriber.got.len());
            for channel in CHANNELS {
                let of = |subscriber: &Subscriber| -> Vec<String> {
                    let messages = subscriber.got.iter().filter(|(on, _)| on == channel);
                    messages.map(|(_, message)| message.clone()).collect()
                };
                assert_eq!(of(subscriber), of(&subscribers[0]), "one order on {channel}");
            }
            for publisher in PUBLISHERS {
                let prefix = format!("{publisher}:");
                let rounds = subscriber.got.iter().filter_map(|(_, message)| message.strip_prefix(&prefix));
                let rounds: Vec<usize> = rounds.map(|round| round.parse().expect("a number")).collect();
                assert!(rounds.is_sorted(), "publisher {publisher} is heard in its order: {rounds:?}");
            }
        }
        assert!(world.is_at_rest());
    });
}

fn come_or_go(world: &mut World, client: usize) {
    let mut channels = CHANNELS;
    world.rng.shuffle(&mut channels);
    let request: &[&str] = match world.rng.u8(..12) {
        0 | 1 => &["SUBSCRIBE", channels[0]],
        2 | 3 => &["SUBSCRIBE", channels[0], channels[1], channels[2]],
        4 => &["UNSUBSCRIBE", channels[0]],
        5 => &["UNSUBSCRIBE", channels[0], channels[1]],
        6 => &["UNSUBSCRIBE"],
        7 => &["PSUBSCRIBE", "[ab]", "*"],
        8 => &["PUNSUBSCRIBE"],
        9 => &["SSUBSCRIBE", channels[0], channels[1]],
        10 => &["MSET", "x", "1", "y", "1", "z", "1"],
        _ => {
            for request in [&["MULTI"][..], &["SUBSCRIBE", channels[0], channels[1]], &["DBSIZE"]] {
                world.clients[client].request(request);
            }
            &["EXEC"]
        }
    };
    world.clients[client].request(request);
}

fn say_something(world: &mut World, client: usize, round: usize) {
    let mut channels = CHANNELS;
    world.rng.shuffle(&mut channels);
    let message = format!("{client}:{round}");
    match world.rng.u8(..4) {
        0 => world.clients[client].request(&["SPUBLISH", channels[0], &message]),
        1 => {
            for request in [&["MULTI"][..], &["PUBLISH", channels[0], &message], &["DBSIZE"], &["EXEC"]] {
                world.clients[client].request(request);
            }
        }
        _ => world.clients[client].request(&["PUBLISH", channels[0], &message]),
    }
}

/// A count, bare or the first of a block's replies.
fn count_of(reply: &Value) -> Option<i64> {
    match reply {
        Value::Int(count) => Some(*count),
        Value::Array(replies) => replies.first().and_then(count_of),
        _ => None,
    }
}

/// Confirmations and messages in a reply, a block's too.
fn pushes(reply: &Value) -> Vec<Vec<String>> {
    match reply {
        Value::Array(replies) => replies.iter().flat_map(pushes).collect(),
        reply => words(reply).into_iter().collect(),
    }
}

/// Subscribers come and go while others speak. Nobody gets what it is not subscribed to, and as many get a message as
/// its publisher is told.
#[test]
fn as_many_get_a_message_as_are_counted() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, SUBSCRIBERS + 2);
        for client in 0..SUBSCRIBERS {
            world.clients[client].request(&["HELLO", "3"]);
            (0..12).for_each(|_| come_or_go(&mut world, client));
        }
        for round in 0..15 {
            (SUBSCRIBERS..SUBSCRIBERS + 2).for_each(|client| say_something(&mut world, client, round));
        }
        world.run();
        let mut receivers: BTreeMap<String, i64> = BTreeMap::new();
        for client in 0..SUBSCRIBERS {
            let mut names: BTreeSet<(char, String)> = BTreeSet::new();
            while let Some(reply) = world.clients[client].reply() {
                assert!(!matches!(reply, Value::Error(_)), "{reply:?}");
                for push in pushes(&reply) {
                    let mut kind = push[0].chars().next().expect("a word");
                    if push[0] == "subscribe" || push[0] == "message" || push[0] == "unsubscribe" {
                        kind = 'c';
                    }
                    let name = (kind, push[1].clone());
                    if push[0].ends_with("message") {
                        assert!(names.contains(&name), "{push:?} without a subscription");
                        *receivers.entry(push[push.len() - 1].clone()).or_default() += 1;
                    } else if push[0].contains("unsubscribe") {
                        names.remove(&name);
                    } else {
                        names.insert(name);
                    }
                }
            }
        }
        for client in SUBSCRIBERS..SUBSCRIBERS + 2 {
            let replies = std::iter::from_fn(|| world.clients[client].reply());
            let counts: Vec<i64> = replies.filter_map(|reply| count_of(&reply)).collect();
            for (round, count) in counts.into_iter().enumerate() {
                let message = format!("{client}:{round}");
                assert_eq!(receivers.get(&message).copied().unwrap_or(0), count, "{message}");
            }
        }
        assert!(world.is_at_rest());
    });
}

/// Subscribers vanish at any moment, in the middle of whatever they were doing.
#[test]
fn who_is_gone_is_in_no_registry() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, SUBSCRIBERS + 2);
        for client in 0..SUBSCRIBERS {
            world.clients[client].request(&["HELLO", "3"]);
            for round in 0..6 {
                come_or_go(&mut world, client);
                if round == 4 && world.rng.bool() {
                    world.clients[client].request(&["RESET"]);
                    world.clients[client].request(&["HELLO", "3"]);
                }
            }
        }
        for round in 0..8 {
            (SUBSCRIBERS..SUBSCRIBERS + 2).for_each(|client| say_something(&mut world, client, round));
        }
        let mut leaving: Vec<usize> = (0..SUBSCRIBERS).collect();
        world.rng.shuffle(&mut leaving);
        for client in leaving {
            for _ in 0..world.rng.usize(..40) {
                world.step();
            }
            world.disconnect(client);
        }
        world.run();
        for client in SUBSCRIBERS..SUBSCRIBERS + 2 {
            let replies = std::iter::from_fn(|| world.clients[client].reply());
            assert_eq!(replies.filter_map(|reply| count_of(&reply)).count(), 8, "publishers are answered");
        }
        assert!(world.is_at_rest());
        assert!(!world.has_subscribers(), "a registry keeps who is gone");
    });
}

/// Who subscribes to channels of several cores, or to a pattern, does so at one moment: of what one publisher says, it
/// gets all from some message on.
#[test]
fn a_subscription_begins_at_one_moment() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, SUBSCRIBERS + 1);
        for round in 0..30 {
            let channel = CHANNELS[world.rng.usize(..3)];
            world.clients[SUBSCRIBERS].request(&["PUBLISH", channel, &round.to_string()]);
        }
        for client in 0..SUBSCRIBERS {
            let request: &[&str] =
                if client % 2 == 0 { &["PSUBSCRIBE", "?"] } else { &["SUBSCRIBE", "a", "b", "c"] };
            world.clients[client].request(&["HELLO", "3"]);
            world.clients[client].request(request);
        }
        world.run();
        for client in 0..SUBSCRIBERS {
            let replies = std::iter::from_fn(|| world.clients[client].reply());
            let heard = replies.flat_map(|reply| pushes(&reply)).filter(|push| push[0].ends_with("message"));
            let rounds: Vec<usize> =
                heard.map(|push| push[push.len() - 1].parse().expect("a number")).collect();
            let first = rounds.first().copied().unwrap_or(30);
            assert_eq!(rounds, (first..30).collect::<Vec<_>>(), "nothing is missing behind the first");
        }
    });
}

/// Requests of one writer, and for each reply the keys of which an event has to be there before it.
fn write_somewhere(world: &mut World, client: usize, round: usize, awaited: &mut Vec<Vec<String>>) {
    let [a, b, c] = ["a", "b", "c"].map(|name| format!("{client}:{round}:{name}"));
    let keys = |keys: &[&String]| keys.iter().map(|key| (*key).clone()).collect::<Vec<_>>();
    let none = Vec::new;
    let requests: Vec<(Vec<&str>, Vec<String>)> = match world.rng.u8(..6) {
        0 => vec![(vec!["SET", &a, "1"], keys(&[&a]))],
        1 => vec![(vec!["MSET", &a, "1", &b, "1", &c, "1"], keys(&[&a, &b, &c]))],
        2 => vec![(vec!["SADD", &a, "1"], keys(&[&a])), (vec!["SUNIONSTORE", &b, &a, &c], keys(&[&b]))],
        3 => vec![
            (vec!["RPUSH", &a, "1", "2"], keys(&[&a])),
            (vec!["LMOVE", &a, &b, "LEFT", "RIGHT"], keys(&[&a, &b])),
        ],
        4 => vec![
            (vec!["MULTI"], none()),
            (vec!["SET", &a, "1"], none()),
            (vec!["SET", &b, "1"], none()),
            (vec!["EXEC"], keys(&[&a, &b])),
        ],
        _ => vec![
            (vec!["MULTI"], none()),
            (vec!["SET", &a, "1"], none()),
            (vec!["DBSIZE"], none()),
            (vec!["RENAME", &a, &b], none()),
            (vec!["EXEC"], keys(&[&a, &b])),
        ],
    };
    for (request, keys) in requests {
        world.clients[client].request(&request);
        awaited.push(keys);
    }
}

/// Whoever has the reply of a write, whichever way it took, knows that every subscriber has its events.
#[test]
fn a_reply_comes_behind_its_notifications() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, SUBSCRIBERS + 2);
        world.clients[0].request(&["CONFIG", "SET", "notify-keyspace-events", "KA"]);
        world.run();
        world.clients[0].reply();
        let listening = world.rng.usize(1..=SUBSCRIBERS);
        for client in 0..listening {
            world.clients[client].request(&["HELLO", "3"]);
            world.clients[client].request(&["PSUBSCRIBE", "__keyspace@0__:*"]);
        }
        world.run();
        let mut awaited = [Vec::new(), Vec::new()];
        for round in 0..8 {
            for (writer, awaited) in awaited.iter_mut().enumerate() {
                write_somewhere(&mut world, SUBSCRIBERS + writer, round, awaited);
            }
        }
        let mut heard: Vec<BTreeSet<String>> = vec![BTreeSet::new(); SUBSCRIBERS];
        let mut answered = [0, 0];
        while world.step() {
            for writer in 0..2 {
                while let Some(reply) = world.clients[SUBSCRIBERS + writer].reply() {
                    assert!(!matches!(reply, Value::Error(_)), "{reply:?}");
                    for key in &awaited[writer][answered[writer]] {
                        for client in 0..listening {
                            world.clients[client].request(&["PING", &format!("ping {key}")]);
                        }
                    }
                    answered[writer] += 1;
                }
            }
            for (client, heard) in heard.iter_mut().enumerate() {
                while let Some(reply) = world.clients[client].reply() {
                    if let Some(words) = words(&reply) {
                        let key = words[2].strip_prefix("__keyspace@0__:").unwrap_or_default();
                        heard.insert(key.to_owned());
                    } else if let Some(key) = text(&reply).strip_prefix("ping ") {
                        assert!(heard.contains(key), "the reply came before the event of {key}");
                    }
                }
            }
        }
        assert!(answered.iter().zip(&awaited).all(|(answered, awaited)| *answered == awaited.len()));
        assert!(world.is_at_rest());
    });
}
