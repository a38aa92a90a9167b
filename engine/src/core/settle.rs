//! The shard's side of blocking commands: standing in line, and settling keys that a command has filled. The protocol
//! is drawn in `block`.
//!
//! Settling a key is offering it to whoever waits for it, one after the other, under its lock, until nobody can be
//! served any more. The lock is that of the transaction that filled the key; a command that took none takes one for it.

use std::collections::VecDeque;

use super::Core;
use super::block::{Accepted, settled_wait};
use crate::command;
use crate::error::CommandError;
use crate::ids::{ReactorId, ReplyTo, TxId, WatchId};
use crate::rules::{Rule, holds};
use crate::store::{Lookup, Type};
use crate::txn::{Change, Grant, Job, Lent, Part, Settling, Turn, TxMessage, Wait};

const KEY_GONE: CommandError = CommandError::text("UNBLOCKED the stream key no longer exists");

/// What came of one look at a key's line.
enum Look {
    /// The wait at this turn was served, or cannot be.
    Past(Turn),
    /// Nobody is left in line.
    Done,
    /// An offer is under way.
    Offered,
    /// One of these keys, which are needed as well, is locked.
    Locked(Vec<Box<[u8]>>),
}

impl Core {
    /// Runs a command that may wait, of a connection elsewhere.
    pub(super) fn take_wait(&mut self, job: Job, reply_to: ReplyTo) {
        let row = command::row(job.command);
        if self.is_locked(job.session, row, job.args.as_args()) {
            return self.schedule_alone(Part::Alone { job, reply_to });
        }
        self.try_wait(&job, reply_to);
        self.settle_ready();
    }

    /// Runs a command for a connection of any core, and puts it in line if it may wait and finds nothing.
    pub(super) fn try_wait(&mut self, job: &Job, reply_to: ReplyTo) {
        let (reply, ns, ok) = self.run_job(job);
        if reply.is_empty() && command::row(job.command).run.blocking().is_some() {
            self.stand_in_line(job, reply_to);
            let shard = self.id;
            return self.post_tx(reply_to.reactor, TxMessage::Waiting { shard, wait: reply_to });
        }
        self.observe_away(reply_to, command::row(job.command), job.args.as_args(), ns, ok);
        self.answer(reply_to, &reply);
    }

    pub(super) fn stand_in_line(&mut self, job: &Job, reply_to: ReplyTo) {
        let wait = settled_wait(&mut self.shard.keyspace, &mut self.shard.rest, &self.env, job, reply_to);
        self.put_in_line(wait);
    }

    /// Puts a wait in the lines of the keys that this shard owns.
    pub(super) fn put_in_line(&mut self, wait: Wait) {
        let owned: Vec<bool> = wait.keys().map(|key| self.owner(key) == self.id).collect();
        self.shard.rest.waits.insert(wait, &owned);
        self.shard.rest.attend();
    }

    pub(super) fn withdraw(&mut self, wait: ReplyTo) {
        self.shard.rest.waits.remove(wait);
        self.shard.rest.attend();
    }

    /// The client is gone before its command has its locks: nothing is to be taken out for it.
    pub(super) fn withdraw_attempt(&mut self, wait: ReplyTo) {
        if let Some(id) = self.schedule.attempt_of(wait) {
            self.release(id);
        }
    }

    /// Settles keys that commands have filled that took no locks. Called before anything else runs on them.
    #[inline]
    pub(super) fn settle_ready(&mut self) {
        if !self.shard.rest.ready.is_empty() {
            self.lap = None;
            self.settle_all_ready();
        }
    }

    #[cold]
    fn settle_all_ready(&mut self) {
        // Serving one may fill another: in a loop, because chains may be long.
        if std::mem::replace(&mut self.is_settling, true) {
            return;
        }
        let mut held = VecDeque::new();
        while let Some(key) = self.shard.rest.ready.pop_front() {
            if self.schedule.is_held(&key.1) {
                held.push_back(key);
            } else {
                self.schedule_alone(Part::Settle(Box::new(Settling::new([key].into()))));
            }
        }
        self.shard.rest.ready = held;
        self.is_settling = false;
    }

    /// A part has run, and still holds its locks: what it has filled is settled under them. Returns who has all of
    /// its locks because of the release.
    pub(super) fn finish_part(&mut self, id: TxId) -> Vec<TxId> {
        if self.shard.rest.ready.is_empty() {
            return self.schedule.release(id).1;
        }
        let held = self.take_filled(id);
        if held.is_empty() {
            return self.schedule.release(id).1;
        }
        self.schedule.replace(id, self.id, Part::Settle(Box::new(Settling::new(held))));
        self.settle_part(id)
    }

    /// The keys that a part has filled under its locks, and somebody waits for.
    pub(super) fn take_filled(&mut self, id: TxId) -> VecDeque<(u16, Box<[u8]>)> {
        let ready = std::mem::take(&mut self.shard.rest.ready);
        let (held, other) = ready
            .into_iter()
            .partition(|(_, key)| self.schedule.holds(id, key) && holds(Rule::OffersAreLocked));
        self.shard.rest.ready = other;
        held
    }

    /// Goes on with a settling part. Returns who has all of its locks because it is done.
    pub(super) fn settle_part(&mut self, id: TxId) -> Vec<TxId> {
        loop {
            let Some((_, Part::Settle(settling))) = self.schedule.part(id) else { return Vec::new() };
            if settling.offered.is_some() {
                return Vec::new();
            }
            if let Some((coordinator, 0)) = settling.due {
                self.post_tx(coordinator, TxMessage::Settled { id });
                return Vec::new();
            }
            let Some((db, key)) = settling.keys.front().cloned() else {
                return self.schedule.release(id).1;
            };
            let after = settling.after;
            match self.look(id, db, &key, after) {
                Look::Past(turn) => self.settling(id, |settling| settling.after = Some(turn)),
                Look::Done => self.settling(id, Settling::end_first),
                Look::Offered => return Vec::new(),
                Look::Locked(also) => return self.settle_again(id, &also),
            }
        }
    }

    pub(super) fn settling(&mut self, id: TxId, change: impl FnOnce(&mut Settling)) {
        if let Some((_, Part::Settle(settling))) = self.schedule.part(id) {
            change(settling);
        }
    }

    /// Looks at who is next in a key's line.
    fn look(&mut self, id: TxId, db: u16, key: &[u8], after: Option<Turn>) -> Look {
        let Some((turn, wait)) = self.shard.rest.waits.next(db, key, after) else { return Look::Done };
        let wait = wait.clone();
        if !self.may_serve(&wait, db, key) {
            return Look::Past(turn);
        }
        let job = wait.narrowed(key);
        let row = command::row(job.command);
        let mut is_away = false;
        let mut here = Vec::new();
        row.keys_of(job.args.as_args(), |index, _| {
            let key = job.args.as_args().at(index);
            if self.owner(key) == self.id { here.push(key) } else { is_away = true }
        });
        if !self.schedule.extend(id, here.iter().copied()) {
            return Look::Locked(here.into_iter().map(Box::from).collect());
        }
        if is_away || wait.reply_to.reactor != self.id {
            let away = is_away.then(|| Box::new(job));
            self.settling(id, |settling| settling.offered = Some((turn, wait.reply_to)));
            let offer = TxMessage::Offer { id, shard: self.id, wait: wait.reply_to, away };
            self.post_tx(wait.reply_to.reactor, offer);
            return Look::Offered;
        }
        match self.accept(self.id, wait.reply_to) {
            Accepted::Yes if self.serve(&wait, db, key) => {}
            Accepted::Yes => self.waits_on(wait.reply_to),
            Accepted::Busy => {}
            Accepted::Gone => self.withdraw(wait.reply_to),
        }
        Look::Past(turn)
    }

    /// Whether there is something that can end a wait.
    fn may_serve(&self, wait: &Wait, db: u16, key: &[u8]) -> bool {
        wait.blocking()
            .is_some_and(|blocking| blocking.ends_with_key || self.type_of(db, key) == Some(blocking.serves))
    }

    fn type_of(&self, db: u16, key: &[u8]) -> Option<Type> {
        match self.shard.keyspace.db(db.into()).find_live(key, self.env.now.unix_ms()) {
            Lookup::Live(entry) => Some(entry.type_of()),
            Lookup::Missing | Lookup::Expired => None,
        }
    }

    /// Runs a waiting command for one of its keys. False if there is nothing in it for the command.
    fn serve(&mut self, wait: &Wait, db: u16, key: &[u8]) -> bool {
        let is_gone = wait.blocking().is_some_and(|blocking| self.type_of(db, key) != Some(blocking.serves));
        let mut reply = Vec::new();
        if is_gone {
            KEY_GONE.write(&mut bobbin_proto::Reply::new(&mut reply, wait.job.session.version()));
        } else {
            let job = wait.narrowed(key);
            let (out, ns, ok) = self.run_job(&job);
            if out.is_empty() {
                return false;
            }
            reply = out;
            let asked = wait.job.args.as_args();
            self.observe_away(wait.reply_to, command::row(job.command), asked, ns, ok);
        }
        self.withdraw(wait.reply_to);
        self.answer(wait.reply_to, &reply);
        true
    }

    /// The offer is accepted.
    pub(super) fn take_offer(&mut self, id: TxId, wait: ReplyTo) {
        let Some((turn, db, key)) = self.end_of_offer(id, wait) else { return };
        self.settling(id, |settling| settling.after = Some(turn));
        let found = self.shard.rest.waits.find(wait).cloned();
        if !found.is_some_and(|found| self.serve(&found, db, &key)) {
            self.post_tx(wait.reactor, TxMessage::Unserved { wait });
        }
        self.go_on_settling(id);
    }

    /// Whoever it was made to is gone, or is taking another.
    pub(super) fn decline_offer(&mut self, id: TxId, wait: ReplyTo, stays: bool) {
        let Some((turn, ..)) = self.end_of_offer(id, wait) else { return };
        if !stays {
            self.withdraw(wait);
        }
        self.settling(id, |settling| settling.after = Some(turn));
        self.go_on_settling(id);
    }

    /// Whose turn it was, and for which key.
    fn end_of_offer(&mut self, id: TxId, wait: ReplyTo) -> Option<(Turn, u16, Box<[u8]>)> {
        let Some((_, Part::Settle(settling))) = self.schedule.part(id) else { return None };
        let (turn, _) = settling.offered.take_if(|(_, offered)| *offered == wait)?;
        let (db, key) = settling.keys.front()?.clone();
        Some((turn, db, key))
    }

    pub(super) fn go_on_settling(&mut self, id: TxId) {
        let next = self.settle_part(id);
        self.hold_locks(next);
        self.settle_ready();
    }

    /// The offer is accepted by a command that needs keys of other shards: this one's go there.
    pub(super) fn lend_offered(&mut self, id: TxId, under: TxId, keys: &[Box<[u8]>]) {
        let Some((from, Part::Settle(settling))) = self.schedule.part(id) else { return };
        let Some((_, wait)) = settling.offered else { return };
        debug_assert_eq!(from, self.id, "settling is the shard's own");
        settling.is_lent = true;
        self.lend(under, wait.reactor, keys, None);
    }

    /// The other offer came to nothing.
    pub(super) fn recheck(&mut self, wait: ReplyTo) {
        let Some(found) = self.shard.rest.waits.find(wait).cloned() else { return };
        let owned: Vec<_> = found.keys().filter(|key| self.owner(key) == self.id).map(Box::from).collect();
        self.shard.rest.ready.extend(owned.into_iter().map(|key| (found.job.db, key)));
        self.settle_ready();
    }

    /// What was lent for an offer is back; it was taken, or will be in a transaction of its own.
    pub(super) fn settle_returned(&mut self, id: TxId) {
        let Some((_, Part::Settle(settling))) = self.schedule.part(id) else { return };
        settling.is_lent = false;
        let Some((turn, _)) = settling.offered.take() else { return };
        settling.after = Some(turn);
        self.go_on_settling(id);
    }

    /// Gives the locks back and settles what is left under a new txid, with more keys locked. Returns who has all of its
    /// locks because of it.
    fn settle_again(&mut self, id: TxId, also: &[Box<[u8]>]) -> Vec<TxId> {
        let (part, next) = self.schedule.release(id);
        if let Some(Part::Settle(settling)) = part {
            if let Some((coordinator, _)) = settling.due {
                self.post_tx(coordinator, TxMessage::Settled { id });
            }
            let Settling { keys, also: before, .. } = *settling;
            let also = before.into_iter().chain(also.iter().cloned()).collect();
            let settling = Settling { also, ..Settling::new(keys) };
            self.schedule_alone(Part::Settle(Box::new(settling)));
        }
        next
    }

    /// Takes keys out and sends them with the grant.
    pub(super) fn lend(&mut self, id: TxId, to: ReactorId, keys: &[Box<[u8]>], watch: Option<WatchId>) {
        // Before the keys leave: what is away cannot be looked at.
        let grant = self.look_at_watch(watch);
        let waits = &self.shard.rest.waits;
        let is_awaited = !waits.is_empty() && keys.iter().any(|key| waits.has_any_line(key));
        let lent: Vec<Lent> = keys.iter().map(|key| self.shard.take_out(key)).collect();
        self.schedule.note_lent(lent.len());
        self.grant(id, to, Grant { lent, is_awaited, ..grant });
    }

    /// Keys changed while they were away.
    pub(super) fn note_changed(&mut self, changed: &[Change]) {
        for Change { db, key, concerns, event } in changed {
            self.shard.rest.note_changed(*db, key, *concerns, *event);
        }
    }
}
