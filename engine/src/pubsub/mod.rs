//! Pub/sub: who is subscribed to what, and messages on their way.
//!
//! A channel has an owner core, like a key: the core that owns the slot of its name. The owner keeps the channel's
//! subscribers of all cores, and alone decides, at one moment, who gets a message: every subscriber of a channel sees
//! its messages in one order. Patterns are registered on every core, because any channel may match; so are the channels
//! of keyspace notifications, which the owner of the key delivers.
//!
//! ```text
//! publisher's core          channel's owner             subscribers' cores
//!     ├── PUBLISH ─────────────►├ finds the subscribers       │
//!     │                         ├── Deliver ─────────────────►├ appends to the output of each
//!     │                         │◄─────────────── Delivered ──┤   one for a whole batch
//!     │◄──────────── :3 ────────┤
//! ```
//!
//! Invariants:
//! - The reply of a command that says something leaves once every other core has appended it, so that a reply received
//!   orders all that follows. Where the reply takes the lane that the message has taken before it, nobody waits.
//! - A message is encoded once, and shared by all of its subscribers.
//! - A connection is in a registry only while it is there, or while a command of its that subscribes is under way.
//!
//! `core/pubsub` is how a core plays its parts.

mod notify;
mod push;
mod receipts;
mod registry;

pub use notify::EventClasses;
pub use push::Push;
pub use receipts::{Receipts, Told, Withheld};
pub use registry::{Delivery, Registry, Subscriber};

/// What a subscription is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Channel,
    Pattern,
    /// A channel of SPUBLISH: a name of its own, and no pattern matches it.
    ShardChannel,
}

impl Topic {
    pub const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::ShardChannel];

    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A shard's part in pub/sub: its registry, and what its commands have said.
#[derive(Debug, Default)]
pub struct Bus {
    pub registry: Registry,
    /// Which events of keys are told.
    pub classes: EventClasses,
    /// Messages that are not on their way yet.
    outgoing: Vec<Delivery>,
}

impl Bus {
    /// Says something to the subscribers of a channel, and of the patterns that match it. Returns how many get it.
    pub fn publish(&mut self, topic: Topic, channel: &[u8], payload: &[u8]) -> usize {
        self.registry.publish(topic, channel, payload, &mut self.outgoing)
    }

    /// Something was said that is not on its way yet.
    #[inline]
    pub fn has_news(&self) -> bool {
        !self.outgoing.is_empty()
    }

    pub fn take_news(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.outgoing)
    }
}

/// The channels of keyspace notifications begin so.
const NOTIFICATIONS: [&[u8]; 2] = [b"__keyspace@", b"__keyevent@"];

/// Whether a channel is one of keyspace notifications, which every core may deliver.
pub fn is_notification(channel: &[u8]) -> bool {
    NOTIFICATIONS.iter().any(|prefix| channel.starts_with(prefix))
}
