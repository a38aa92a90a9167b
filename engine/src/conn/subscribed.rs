//! What a connection is subscribed to.

use std::collections::BTreeSet;

use super::Conn;
use crate::mesh::SessionBits;
use crate::pubsub::{Push, Topic};

/// The names a connection is subscribed to, or is about to be.
#[derive(Debug, Default)]
pub struct Subscribed {
    names: [BTreeSet<Box<[u8]>>; Topic::ALL.len()],
    /// A command that subscribes is under way: messages stand aside until it is confirmed.
    pub is_growing: bool,
    aside: Vec<u8>,
}

impl Subscribed {
    /// False if it is subscribed already.
    pub fn add(&mut self, topic: Topic, name: &[u8]) -> bool {
        self.names[topic.index()].insert(name.into())
    }

    /// False if it is not subscribed.
    pub fn remove(&mut self, topic: Topic, name: &[u8]) -> bool {
        self.names[topic.index()].remove(name)
    }

    pub fn names(&self, topic: Topic) -> impl Iterator<Item = &[u8]> {
        self.names[topic.index()].iter().map(|name| &**name)
    }

    pub fn count(&self, topic: Topic) -> usize {
        self.names[topic.index()].len()
    }

    /// As confirmations count: shard channels by themselves, channels and patterns together.
    pub fn count_told(&self, topic: Topic) -> usize {
        match topic {
            Topic::ShardChannel => self.count(topic),
            Topic::Channel | Topic::Pattern => self.count(Topic::Channel) + self.count(Topic::Pattern),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.names.iter().all(BTreeSet::is_empty)
    }

    pub fn aside_len(&self) -> usize {
        self.aside.len()
    }
}

impl Conn {
    pub fn is_subscribed(&self) -> bool {
        self.subscribed.as_ref().is_some_and(|subscribed| !subscribed.is_empty())
    }

    /// In RESP2 a message cannot be told from a reply, so few commands are open to who gets messages.
    pub fn is_listening_only(&self) -> bool {
        !self.session.has(SessionBits::RESP3) && self.is_subscribed()
    }

    /// The server speaks to it unasked: its own silence is in order.
    pub fn is_listener(&self) -> bool {
        self.monitor || self.is_subscribed()
    }

    pub fn subscriptions(&self, topic: Topic) -> usize {
        self.subscribed.as_ref().map_or(0, |subscribed| subscribed.count(topic))
    }

    /// Appends a message, whatever replies are awaited; behind the confirmation of the command that brings it. A
    /// connection that is subscribed to nothing gets none.
    pub fn push(&mut self, push: &Push) {
        let version = self.version();
        let Some(subscribed) = &mut self.subscribed else { return };
        if subscribed.is_growing && !self.order.is_empty() {
            return push.write(version, &mut subscribed.aside);
        }
        self.settle_subscriptions();
        push.write(version, &mut self.out);
    }

    /// What it has asked for is confirmed: messages that came meanwhile follow.
    pub fn settle_subscriptions(&mut self) {
        let Some(subscribed) = &mut self.subscribed else { return };
        if !self.order.is_empty() {
            return;
        }
        subscribed.is_growing = false;
        self.out.append(&mut subscribed.aside);
        subscribed.aside = Vec::new();
        self.subscribed.take_if(|subscribed| subscribed.is_empty());
    }
}
