//! Who is subscribed to what, as one core knows it: to the channels it owns, and to every pattern.
//!
//! Subscribers are grouped by their cores, and each group is a shared list that is made when it is first needed: a
//! delivery to a core is a list and a message, neither of them copied.
//!
//! Names are ordered, not hashed: clients choose them. Patterns are tried in that order, on every core the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Push, Topic};
use crate::collections::Set;
use crate::ids::{ConnId, ReactorId};
use crate::store::{Case, glob_matches};

/// A connection, as other cores know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    pub reactor: ReactorId,
    pub conn: ConnId,
}

/// A message on its way to connections of one core.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub to: ReactorId,
    pub conns: Arc<[ConnId]>,
    pub push: Push,
}

#[derive(Debug, Default)]
pub struct Registry {
    topics: [BTreeMap<Box<[u8]>, Audience>; Topic::ALL.len()],
}

impl Registry {
    pub fn add(&mut self, topic: Topic, name: &[u8], who: Subscriber) {
        let audiences = &mut self.topics[topic.index()];
        match audiences.get_mut(name) {
            Some(audience) => audience.add(who),
            None => audiences.entry(name.into()).or_default().add(who),
        }
    }

    /// Removes a subscriber, if it is one.
    pub fn remove(&mut self, topic: Topic, name: &[u8], who: Subscriber) {
        let audiences = &mut self.topics[topic.index()];
        let Some(audience) = audiences.get_mut(name) else { return };
        audience.remove(who);
        if audience.cores.is_empty() {
            audiences.remove(name);
        }
    }

    /// Adds what everybody concerned is to get. Returns how many that are; who matches twice counts twice.
    pub fn publish(
        &mut self,
        topic: Topic,
        channel: &[u8],
        payload: &[u8],
        out: &mut Vec<Delivery>,
    ) -> usize {
        let mut receivers = 0;
        if let Some(audience) = self.topics[topic.index()].get_mut(channel) {
            receivers += audience.tell(&Push::message(topic, channel, payload), out);
        }
        if topic == Topic::Channel {
            for (pattern, audience) in &mut self.topics[Topic::Pattern.index()] {
                if glob_matches(pattern, channel, Case::Sensitive) {
                    receivers += audience.tell(&Push::pattern_message(pattern, channel, payload), out);
                }
            }
        }
        receivers
    }

    /// How many are subscribed to one name.
    pub fn count(&self, topic: Topic, name: &[u8]) -> usize {
        let audience = self.topics[topic.index()].get(name);
        audience.map_or(0, |audience| audience.cores.iter().map(|listeners| listeners.conns.len()).sum())
    }

    /// Names that have subscribers.
    pub fn names(&self, topic: Topic) -> impl Iterator<Item = &[u8]> {
        self.topics[topic.index()].keys().map(|name| &**name)
    }

    pub fn is_empty(&self) -> bool {
        self.topics.iter().all(BTreeMap::is_empty)
    }
}

/// The subscribers of one name, by core.
#[derive(Debug, Default)]
struct Audience {
    cores: Vec<Listeners>,
}

/// Those of one core; there is at least one.
#[derive(Debug)]
struct Listeners {
    reactor: ReactorId,
    conns: Set<ConnId>,
    /// The same as a list, once it was needed and until it changes.
    shared: Option<Arc<[ConnId]>>,
}

impl Audience {
    fn add(&mut self, who: Subscriber) {
        let at = self.cores.iter().position(|listeners| listeners.reactor == who.reactor);
        let at = at.unwrap_or_else(|| {
            self.cores.push(Listeners { reactor: who.reactor, conns: Set::default(), shared: None });
            self.cores.len() - 1
        });
        self.cores[at].conns.insert(who.conn);
        self.cores[at].shared = None;
    }

    fn remove(&mut self, who: Subscriber) {
        let Some(at) = self.cores.iter().position(|listeners| listeners.reactor == who.reactor) else {
            return;
        };
        self.cores[at].conns.remove(&who.conn);
        self.cores[at].shared = None;
        if self.cores[at].conns.is_empty() {
            self.cores.remove(at);
        }
    }

    fn tell(&mut self, push: &Push, out: &mut Vec<Delivery>) -> usize {
        let mut receivers = 0;
        for listeners in &mut self.cores {
            let Listeners { reactor, conns, shared } = listeners;
            let conns = shared.get_or_insert_with(|| conns.iter().copied().collect());
            receivers += conns.len();
            out.push(Delivery { to: *reactor, conns: Arc::clone(conns), push: push.clone() });
        }
        receivers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bobbin_proto::Version;

    fn who(reactor: u16, index: u32) -> Subscriber {
        Subscriber { reactor: ReactorId(reactor), conn: ConnId { index, generation: 0 } }
    }

    /// Who gets what: reactor, connections in order, and the first words of the message.
    fn told(registry: &mut Registry, topic: Topic, channel: &str) -> (usize, Vec<(u16, Vec<u32>, String)>) {
        let mut out = Vec::new();
        let count = registry.publish(topic, channel.as_bytes(), b"x", &mut out);
        let shown = |delivery: Delivery| {
            let mut indices: Vec<u32> = delivery.conns.iter().map(|conn| conn.index).collect();
            indices.sort_unstable();
            let mut bytes = Vec::new();
            delivery.push.write(Version::Resp2, &mut bytes);
            let text = String::from_utf8(bytes).expect("text");
            let words: Vec<&str> = text.split("\r\n").skip(2).step_by(2).collect();
            (delivery.to.0, indices, words.join(" ").trim_end().to_owned())
        };
        (count, out.into_iter().map(shown).collect())
    }

    #[test]
    fn a_message_goes_once_to_every_core_that_has_a_subscriber() {
        let mut registry = Registry::default();
        for (reactor, index) in [(0, 1), (1, 1), (1, 2), (1, 2)] {
            registry.add(Topic::Channel, b"ch", who(reactor, index));
        }
        let expected =
            vec![(0, vec![1], "message ch x".to_owned()), (1, vec![1, 2], "message ch x".to_owned())];
        assert_eq!(told(&mut registry, Topic::Channel, "ch"), (3, expected));
        assert_eq!(registry.count(Topic::Channel, b"ch"), 3);
        assert_eq!(told(&mut registry, Topic::Channel, "c"), (0, vec![]));
    }

    #[test]
    fn who_comes_and_goes_is_told_from_then_on_and_no_longer() {
        let mut registry = Registry::default();
        registry.add(Topic::Channel, b"ch", who(0, 1));
        assert_eq!(told(&mut registry, Topic::Channel, "ch").0, 1);
        registry.add(Topic::Channel, b"ch", who(0, 2));
        assert_eq!(told(&mut registry, Topic::Channel, "ch").1[0].1, [1, 2]);
        registry.remove(Topic::Channel, b"ch", who(0, 1));
        assert_eq!(told(&mut registry, Topic::Channel, "ch").1[0].1, [2]);
        registry.remove(Topic::Channel, b"ch", who(1, 2));
        registry.remove(Topic::Channel, b"no", who(0, 2));
        assert!(!registry.is_empty());
        registry.remove(Topic::Channel, b"ch", who(0, 2));
        assert!(registry.is_empty(), "nothing is kept of names that nobody is subscribed to");
    }

    #[test]
    fn patterns_follow_the_channel_in_their_order_and_pass_over_shard_channels() {
        let mut registry = Registry::default();
        for pattern in ["n?ws", "*", "other*"] {
            registry.add(Topic::Pattern, pattern.as_bytes(), who(0, 7));
        }
        registry.add(Topic::Channel, b"news", who(0, 7));
        registry.add(Topic::ShardChannel, b"news", who(0, 7));
        let words = |(_, _, words): (u16, Vec<u32>, String)| words;
        let (count, all) = told(&mut registry, Topic::Channel, "news");
        let all: Vec<_> = all.into_iter().map(words).collect();
        assert_eq!(
            (count, all),
            (3, vec!["message news x".into(), "pmessage * news x".into(), "pmessage n?ws news x".into()])
        );
        let (count, all) = told(&mut registry, Topic::ShardChannel, "news");
        let all: Vec<_> = all.into_iter().map(words).collect();
        assert_eq!((count, all), (1, vec!["smessage news x".to_owned()]));
    }
}
