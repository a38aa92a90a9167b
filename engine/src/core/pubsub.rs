//! Pub/sub as a core plays its parts: the subscriber's core, the channel's owner, the publisher's core. The protocol is
//! drawn in [`crate::pubsub`].
//!
//! | a command that subscribes, or does not any more | what it does |
//! |---|---|
//! | names of this core alone, unlocked | changes the registry at once |
//! | names of one other core | an errand to it |
//! | names of several cores, or patterns | an errand to all of them, as one atomic step |
//!
//! Channels are no keys: in locks all of them are the shard itself, of which neither PUBLISH nor SUBSCRIBE touches a key.
//! So they wait only for who has the whole shard, and those that wait keep their order.
//!
//! A connection that goes while it subscribes stays, without its socket, until all registries know of it: only then is
//! there nothing that could enter it behind its back.

use bobbin_proto::Reply;

use super::Core;
use super::exec::holds_locks;
use super::submit::Flow;
use crate::collections::Map;
use crate::command::{Args, Command, Session, ShardFn};
use crate::conn::{Closing, Conn, Following, Hold, ReplyMode, Subscribed};
use crate::errand::{Errand, Need, Targets};
use crate::error::CommandError;
use crate::ids::{ConnId, ReactorId, ReplyTo};
use crate::mesh::Message;
use crate::pubsub::{Delivery, Push, Subscriber, Told, Topic, Withheld, is_notification};

/// Replies that wait for other shards to tell what has happened to their keys.
#[derive(Debug, Default)]
pub(super) struct Telling {
    last: u64,
    /// How many shards have yet to tell.
    replies: Map<u64, (usize, ReplyTo, Vec<u8>)>,
}

impl Telling {
    pub(super) fn is_idle(&self) -> bool {
        self.replies.is_empty()
    }
}

/// A name that somebody is subscribed to.
type Name = (Topic, Box<[u8]>);

/// What a command has a connection told, once all registries know.
#[derive(Debug)]
enum Confirmation {
    /// Each name, if there was any, and how many the connection is subscribed to then.
    Each {
        word: &'static str,
        names: Vec<(Option<Box<[u8]>>, usize)>,
    },
    Reset,
    /// It is gone.
    Nobody,
}

impl Confirmation {
    fn write(&self, reply: &mut Reply<'_>) {
        match self {
            Self::Each { word, names } => {
                for (name, count) in names {
                    reply.push(3);
                    reply.bulk(word.as_bytes());
                    match name {
                        Some(name) => reply.bulk(name),
                        None => reply.null(),
                    }
                    reply.int(*count as i64);
                }
            }
            Self::Reset => reply.simple("RESET"),
            Self::Nobody => {}
        }
    }
}

/// Has registries take a connection in, or forget it.
#[derive(Debug)]
struct Resubscribe {
    who: Subscriber,
    adds: bool,
    names: Vec<Name>,
    need: Need,
    confirmation: Confirmation,
}

impl Errand for Resubscribe {
    type Answer = ();

    fn need(&self) -> Need {
        self.need
    }

    fn visit(&self, core: &mut Core) {
        for (topic, name) in &self.names {
            if !core.is_home(*topic, name) {
                continue;
            }
            let registry = &mut core.shard.rest.bus.registry;
            if self.adds {
                registry.add(*topic, name, self.who);
            } else {
                registry.remove(*topic, name, self.who);
            }
        }
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        self.confirmation.write(reply);
        Ok(())
    }
}

impl Session<'_> {
    /// Subscribes the connection to what the arguments name.
    pub fn subscribe(&mut self, topic: Topic, args: Args<'_>) {
        let subscribed = self.conn.subscribed.get_or_insert_default();
        let (mut added, mut told) = (Vec::new(), Vec::new());
        for name in args.iter_from(1) {
            if subscribed.add(topic, name) {
                added.push((topic, name.into()));
            }
            told.push((Some(name.into()), subscribed.count_told(topic)));
        }
        self.resubscribe(true, added, Confirmation::Each { word: self.command.name, names: told });
    }

    /// Ends the subscriptions that the arguments name, or all.
    pub fn unsubscribe(&mut self, topic: Topic, args: Args<'_>) {
        let mut nothing = Subscribed::default();
        let subscribed = self.conn.subscribed.as_deref_mut().unwrap_or(&mut nothing);
        let all = if args.len() == 1 { subscribed.names(topic).map(Box::from).collect() } else { Vec::new() };
        let names: Vec<Box<[u8]>> = all.into_iter().chain(args.iter_from(1).map(Box::from)).collect();
        let (mut removed, mut told) = (Vec::new(), Vec::new());
        for name in names {
            if subscribed.remove(topic, &name) {
                removed.push((topic, name.clone()));
            }
            told.push((Some(name), subscribed.count_told(topic)));
        }
        if told.is_empty() {
            told.push((None, subscribed.count_told(topic)));
        }
        self.resubscribe(false, removed, Confirmation::Each { word: self.command.name, names: told });
    }

    /// Ends all subscriptions for RESET, and answers it.
    pub fn end_subscriptions(&mut self) {
        let names = self.conn.take_subscriptions();
        self.resubscribe(false, names, Confirmation::Reset);
    }

    /// Changes what registries know. The confirmation is sent whatever CLIENT REPLY says.
    fn resubscribe(&mut self, adds: bool, names: Vec<Name>, confirmation: Confirmation) {
        let who = Subscriber { reactor: self.core.id, conn: self.conn.id };
        let homes = self.core.homes(&names);
        let need = match (homes.len(), holds_locks(self.conn.session)) {
            (0, _) | (1, true) => Need::Nothing,
            (1, false) => Need::Keys,
            _ => Need::Atomic,
        };
        let errand = Resubscribe { who, adds, names, need, confirmation };
        let mode = std::mem::replace(&mut self.conn.reply_mode, ReplyMode::On);
        let is_here = homes.iter().all(|&home| home == self.core.id);
        if is_here && !self.core.schedule.blocks_visit(&errand) {
            Errand::visit(&errand, self.core);
            self.reply(|reply| errand.confirmation.write(reply));
            self.conn.settle_subscriptions();
        } else {
            if let Some(subscribed) = &mut self.conn.subscribed {
                subscribed.is_growing = adds;
            }
            self.ask(errand, Targets::These(homes));
        }
        self.conn.reply_mode = mode;
    }
}

impl Conn {
    fn take_subscriptions(&mut self) -> Vec<Name> {
        let Some(subscribed) = &mut self.subscribed else { return Vec::new() };
        let subscribed = std::mem::take(&mut **subscribed);
        let names =
            |topic| subscribed.names(topic).map(move |name| (topic, Box::from(name))).collect::<Vec<_>>();
        Topic::ALL.into_iter().flat_map(names).collect()
    }

    /// A registry is about to take it in.
    pub(super) fn is_subscribing(&self) -> bool {
        self.subscribed.as_ref().is_some_and(|subscribed| subscribed.is_growing) && !self.order.is_empty()
    }
}

impl Core {
    /// Whether this core's registry keeps a name.
    pub(crate) fn is_home(&self, topic: Topic, name: &[u8]) -> bool {
        is_everywhere(topic, name) || self.owner(name) == self.id
    }

    /// Names that have subscribers, each with its owner alone: patterns too, though every core knows them.
    pub(crate) fn owned_topics(&self, topic: Topic) -> impl Iterator<Item = &[u8]> {
        self.shard.rest.bus.registry.names(topic).filter(|name| self.owner(name) == self.id)
    }

    /// The cores whose registries keep these names.
    fn homes(&self, names: &[Name]) -> Vec<ReactorId> {
        if names.iter().any(|(topic, name)| is_everywhere(*topic, name)) {
            return (0..self.env.shared.reactors()).map(ReactorId::from_index).collect();
        }
        let mut homes: Vec<_> = names.iter().map(|(_, name)| self.owner(name)).collect();
        homes.sort_unstable();
        homes.dedup();
        homes
    }

    /// The connection is gone, and nothing of it is under way: no registry keeps it.
    pub(super) fn forget_subscriber(&mut self, conn: &mut Conn) {
        let names = conn.take_subscriptions();
        conn.subscribed = None;
        if names.is_empty() {
            return;
        }
        let who = Subscriber { reactor: self.id, conn: conn.id };
        let homes = self.homes(&names);
        let errand =
            Resubscribe { who, adds: false, names, need: Need::Nothing, confirmation: Confirmation::Nobody };
        self.tell(homes.into_iter(), errand);
    }

    /// Submits a command that says something. It is a barrier on its connection, but to its like: those of one channel's
    /// owner follow each other in one lane.
    pub(super) fn submit_publish(
        &mut self,
        conn: &mut Conn,
        row: &'static Command,
        run: ShardFn,
        args: Args<'_>,
    ) -> Flow {
        let owner = self.sole_owner(row, args).unwrap_or(self.id);
        let following = Some(Following::Publishes(owner));
        let follows = conn.following == following && conn.order.has_room();
        if !conn.order.is_empty() && !follows {
            conn.hold = Hold::Order;
            return Flow::NotYet;
        }
        conn.following = following;
        self.submit_keyed(conn, row, run, None, args)
    }

    /// Sends what a command of a connection here has said, then its reply, or withholds that.
    #[cold]
    pub(super) fn reply_behind_news(&mut self, conn: &mut Conn, reply: Vec<u8>) {
        let told = self.send_news();
        self.deliver_here(Some(conn));
        if told.holds_up(self.id) {
            let reply_to = self.hold_reply(conn);
            self.receipts.withhold(Withheld::Reply(reply_to, reply));
        } else {
            conn.reply(|out| out.extend_from_slice(&reply));
        }
    }

    /// The same for a connection of any core that awaits the reply.
    #[cold]
    pub(super) fn answer_behind_news(&mut self, to: ReplyTo, reply: Vec<u8>) {
        if self.send_news().holds_up(to.reactor) {
            self.receipts.withhold(Withheld::Reply(to, reply));
        } else {
            self.send_reply(to, &reply);
        }
    }

    /// Puts what was said on its way: to other cores in the lanes, to connections here in line.
    fn send_news(&mut self) -> Told {
        let number = self.receipts.begin();
        let mut told = Told::Nobody;
        for delivery in self.shard.rest.bus.take_news() {
            let Delivery { to, conns, push } = delivery;
            if to == self.id {
                self.undelivered.push_back((conns, push));
                continue;
            }
            told = told.and(to);
            self.receipts.note_sent(to);
            self.outbox.post(to, Message::Deliver { from: self.id, number, conns, push });
        }
        told
    }

    /// Tells what no reply waits for, and hands out what is for connections here. None of them may be taken out.
    #[inline]
    pub(super) fn spread_news(&mut self) {
        if self.shard.rest.bus.has_news() {
            self.send_news();
        }
        if !self.undelivered.is_empty() {
            self.deliver_here(None);
        }
    }

    /// Hands out what is for connections here, of which one may be taken out.
    fn deliver_here(&mut self, mut taken_out: Option<&mut Conn>) {
        while let Some((conns, push)) = self.undelivered.pop_front() {
            for &id in &*conns {
                match &mut taken_out {
                    Some(conn) if conn.id == id => {
                        conn.push(&push);
                        self.list(conn);
                    }
                    _ => self.push_to(id, &push),
                }
            }
        }
    }

    fn push_to(&mut self, id: ConnId, push: &Push) {
        let Some(conn) = self.conns.find(id) else { return };
        if conn.is_orphan || conn.closing == Closing::Now {
            return;
        }
        conn.push(push);
        if !conn.listed {
            conn.listed = true;
            self.listed.push(id);
        }
    }

    /// Another core has said something to connections here.
    pub(super) fn take_delivery(&mut self, from: ReactorId, number: u64, conns: &[ConnId], push: &Push) {
        conns.iter().for_each(|&id| self.push_to(id, push));
        self.arrived = Some((from, number));
    }

    /// The batch is handled: its sender is told how far its messages have come.
    pub(super) fn acknowledge_deliveries(&mut self) {
        if let Some((from, up_to)) = self.arrived.take() {
            self.outbox.post(from, Message::Delivered { by: self.id, up_to });
        }
    }

    pub(super) fn take_receipt(&mut self, by: ReactorId, up_to: u64) {
        self.receipts.acknowledged(by, up_to);
        self.release_withheld();
    }

    fn release_withheld(&mut self) {
        while let Some(due) = self.receipts.next_due() {
            match due {
                Withheld::Reply(to, reply) => self.send_reply(to, &reply),
                Withheld::Message(to, message) => self.outbox.post(to, message),
            }
        }
    }

    /// Sends a message behind what was said before it.
    pub(super) fn post_behind_news(&mut self, to: ReactorId, message: Message) {
        if self.shard.rest.bus.has_news() && self.send_news().holds_up(to) {
            self.receipts.withhold(Withheld::Message(to, message));
        } else {
            self.outbox.post(to, message);
        }
    }

    /// Answers a command whose keys were brought together, and are on their way home with what has happened to them:
    /// once their shards have told that.
    pub(super) fn answer_behind_shards(&mut self, reply_to: ReplyTo, shards: Vec<ReactorId>, reply: &[u8]) {
        if shards.is_empty() {
            return self.answer(reply_to, reply);
        }
        self.telling.last += 1;
        self.telling.replies.insert(self.telling.last, (shards.len(), reply_to, reply.to_vec()));
        for shard in shards {
            self.outbox.post(shard, Message::TellFirst { from: self.id, ticket: self.telling.last });
        }
    }

    /// The shard's side: everything that came before has been told, once the receipts are there.
    pub(super) fn tell_first(&mut self, from: ReactorId, ticket: u64) {
        self.spread_news();
        self.receipts.withhold(Withheld::Message(from, Message::ToldFirst { ticket }));
        self.release_withheld();
    }

    pub(super) fn told_first(&mut self, ticket: u64) {
        let Some((missing, ..)) = self.telling.replies.get_mut(&ticket) else { return };
        *missing -= 1;
        if *missing == 0
            && let Some((_, to, reply)) = self.telling.replies.remove(&ticket)
        {
            self.answer(to, &reply);
        }
    }
}

/// Every core may have something to say to whoever is subscribed to this.
fn is_everywhere(topic: Topic, name: &[u8]) -> bool {
    topic == Topic::Pattern || (topic == Topic::Channel && is_notification(name))
}
