//! The search for a row (Wing and Gong, 1993), with what has been tried remembered (Lowe, 2017): two ways to the same
//! state by the same operations have the same futures.
//!
//! An operation that only reads is put in the row as soon as it may be and its answer fits: whatever row there is, it can be
//! moved there. So only writes branch.

use std::hash::{BuildHasher, Hasher};

use bobbin_cluster::SlotMap;
use bobbin_proto::Value;
use hashbrown::HashSet;

use super::name::Name;
use super::operation::{Call, Command, Ending, History, Operation};
use super::run::{Cx, Halt, ok};
use super::state::{State, Waiter};

/// Operations of a history: bits of a mask.
const OPERATIONS_MAX: usize = 128;
/// States looked at before the search gives up.
const STATES_MAX: usize = 300_000;

/// Why a history is not strictly serializable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Anomaly {
    /// The longest row found.
    pub(crate) row: Vec<String>,
    /// The search gave up: nothing is known.
    pub(crate) is_undecided: bool,
}

/// Looks for a row.
pub(crate) fn check(history: &History) -> Result<(), Anomaly> {
    let operations = &history.operations;
    assert!(operations.len() <= OPERATIONS_MAX, "{} operations are too many", operations.len());
    let mut search = Search {
        operations,
        before: before(history),
        may_miss: may_miss(history),
        visited: HashSet::default(),
        trail: Vec::new(),
        best: Vec::new(),
        is_undecided: false,
    };
    if search.explore(&State::default(), 0) {
        return Ok(());
    }
    let row = search.best.iter().map(|event| event.show(operations)).collect();
    Err(Anomaly { row, is_undecided: search.is_undecided })
}

/// Of each operation, the earlier ones of its connection that come before it.
fn before(history: &History) -> Vec<u128> {
    let slots = SlotMap::new(history.cores);
    let of = |at: usize| {
        let later = &history.operations[at];
        let earlier = history.operations[..at].iter().enumerate();
        let precedes = |op: &Operation| op.client == later.client && op.call.precedes(&later.call, slots);
        earlier.filter(|(_, op)| precedes(op)).fold(0, |mask, (at, _)| mask | bit(at))
    };
    (0..history.operations.len()).map(of).collect()
}

/// The operations that may miss their turn.
fn may_miss(history: &History) -> u128 {
    let slots = SlotMap::new(history.cores);
    let misses = |op: &Operation| matches!(&op.call, Call::One(command) if command.waits_over_shards(slots));
    let all = history.operations.iter().enumerate();
    all.filter(|(_, op)| misses(op)).fold(0, |mask, (at, _)| mask | bit(at))
}

fn bit(at: usize) -> u128 {
    1 << at
}

/// What a row is made of.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Runs; one that finds nothing begins to wait.
    Run(usize),
    /// Takes what it has missed.
    Retry(usize),
    /// Waits no more.
    Leave(usize),
    /// Keys whose time is over then are gone.
    Expire(u64),
}

impl Event {
    fn show(self, operations: &[Operation]) -> String {
        match self {
            Self::Run(at) => format!("{at:>3}: client {} {}", operations[at].client, operations[at].call),
            Self::Retry(at) => format!("{at:>3}: client {} takes what it has missed", operations[at].client),
            Self::Leave(at) => format!("{at:>3}: client {} waits no more", operations[at].client),
            Self::Expire(at_us) => format!("     keys expire at {at_us}"),
        }
    }
}

struct Search<'a> {
    operations: &'a [Operation],
    before: Vec<u128>,
    may_miss: u128,
    visited: HashSet<(u128, u64), foldhash::fast::FixedState>,
    trail: Vec<Event>,
    best: Vec<Event>,
    is_undecided: bool,
}

impl Search<'_> {
    /// Whether a row can be completed.
    fn explore(&mut self, state: &State, done: u128) -> bool {
        if self.trail.len() > self.best.len() {
            self.best.clone_from(&self.trail);
        }
        if self.is_complete(state, done) {
            return true;
        }
        if self.visited.len() >= STATES_MAX {
            self.is_undecided = true;
        }
        if self.is_undecided || !self.visited.insert((done, hash(state))) {
            return false;
        }
        let limit_us = self.limit_us(state, done);
        let ready: Vec<usize> = self.may_run(state, done, limit_us).collect();
        if let Some(&at) = ready.iter().find(|&&at| self.is_free(state, at))
            && let Some((next, done)) = self.run(state, done, at).pop()
        {
            return self.follow(Event::Run(at), &next, done);
        }
        ready.iter().any(|&at| self.follow_all(Event::Run(at), self.run(state, done, at)))
            || self.go_on_waiting(state, done)
            || self.expire(state, done, limit_us)
    }

    fn follow_all(&mut self, event: Event, ways: Vec<(State, u128)>) -> bool {
        ways.into_iter().any(|(next, done)| self.follow(event, &next, done))
    }

    fn follow(&mut self, event: Event, next: &State, done: u128) -> bool {
        self.trail.push(event);
        let found = self.explore(next, done);
        self.trail.pop();
        found
    }

    /// Whoever waits takes what it has missed, or waits no more.
    fn go_on_waiting(&mut self, state: &State, done: u128) -> bool {
        state.waiters.iter().any(|waiter| {
            let op = waiter.op;
            let retry = |&(_, key): &(usize, Name)| self.retry(state, done, op, key);
            let ways = waiter.missed.iter().flat_map(retry).collect();
            if self.follow_all(Event::Retry(op), ways) {
                return true;
            }
            if !self.may_leave(op) {
                return false;
            }
            let mut next = state.clone();
            next.leave(op);
            self.follow(Event::Leave(op), &next, done | bit(op))
        })
    }

    fn expire(&mut self, state: &State, done: u128, limit_us: u64) -> bool {
        let Some(at_us) = state.next_expiry().filter(|&at_us| at_us <= limit_us) else { return false };
        let mut next = state.clone();
        next.expire(at_us);
        self.follow(Event::Expire(at_us), &next, done)
    }

    fn is_complete(&self, state: &State, done: u128) -> bool {
        self.operations.iter().enumerate().all(|(at, op)| match op.ending {
            Ending::Answered { .. } => done & bit(at) != 0,
            Ending::Waits => state.waiter(at).is_some_and(|waiter| {
                waiter.missed.iter().all(|&(_, key)| self.retry(state, done, at, key).is_empty())
            }),
            Ending::Gone { .. } | Ending::Behind => true,
        })
    }

    /// Nothing that was sent later may come next.
    fn limit_us(&self, state: &State, done: u128) -> u64 {
        let undone = self.operations.iter().enumerate().filter(|(at, _)| done & bit(*at) == 0);
        let limits = undone.filter_map(|(at, op)| {
            let in_line_us = op.in_line_us.filter(|_| !state.waits(at));
            op.answered_us().into_iter().chain(in_line_us).min()
        });
        limits.min().unwrap_or(u64::MAX)
    }

    fn may_run(&self, state: &State, done: u128, limit_us: u64) -> impl Iterator<Item = usize> {
        let may = move |&at: &usize| {
            done & bit(at) == 0
                && self.before[at] & !done == 0
                && !matches!(self.operations[at].ending, Ending::Behind)
                && !state.waits(at)
        };
        let sent = self.operations.iter().take_while(move |op| op.sent_us <= limit_us).count();
        (0..sent).filter(may)
    }

    /// Whether an operation can be put next without loss, if its answer fits.
    fn is_free(&self, state: &State, at: usize) -> bool {
        let op = &self.operations[at];
        op.call.only_reads()
            && op.answered_us().is_some()
            && state.next_expiry().is_none_or(|at_us| at_us > op.sent_us)
    }

    /// Runs an operation, and serves those who wait for what it filled: the ways in which that may go, none if somebody
    /// was answered otherwise.
    fn run(&self, state: &State, mut done: u128, at: usize) -> Vec<(State, u128)> {
        let op = &self.operations[at];
        let mut next = state.clone();
        next.advance(op.sent_us);
        match answer(&mut next, op) {
            Some(reply) => {
                done |= bit(at);
                let fits = match &op.ending {
                    Ending::Answered { reply: answered, .. } => op.call.is_walk() || fits(&reply, answered),
                    Ending::Gone { .. } => true,
                    Ending::Waits | Ending::Behind => false,
                };
                if !fits {
                    return Vec::new();
                }
            }
            None => next.waiters.push(self.waiter(&next, at)),
        }
        let mut ways = Vec::new();
        self.serve(next, done, at, 0, &mut ways);
        ways
    }

    /// Runs an operation for a key whose turn it has missed; no way if there is nothing in it.
    fn retry(&self, state: &State, done: u128, at: usize, key: Name) -> Vec<(State, u128)> {
        let (command, mut next, mut ways) = (self.waiting(at), state.clone(), Vec::new());
        let Some(waiter) = state.waiter(at) else { return ways };
        let words = command.narrowed(&waiter.words, key);
        let ran = (command.row.run)(&mut Cx { state: &mut next, db: command.db, words: &words });
        if let Ok(reply) = ran
            && self.is_served(at, at, &reply)
        {
            next.leave(at);
            self.serve(next, done | bit(at), at, 0, &mut ways);
        }
        ways
    }

    /// A command as it waits: `$` is the last entry that is there now.
    fn waiter(&self, state: &State, op: usize) -> Waiter {
        let command = self.waiting(op);
        let mut words = command.words.clone();
        let keys = words.iter().position(|word| word.is("STREAMS")).map_or(words.len(), |at| at + 1);
        let count = (words.len() - keys) / 2;
        for at in keys..keys + count {
            if words[at + count].is("$") {
                words[at + count] = state.last_id(command.db, words[at]);
            }
        }
        Waiter { op, words: words.into(), missed: Vec::new() }
    }

    fn waiting(&self, op: usize) -> &Command {
        let Call::One(command) = &self.operations[op].call else { unreachable!("a block does not wait") };
        command
    }

    /// Serves those who wait, the keys in the order in which they came to be there, of each whoever came first; of
    /// the first key's line, those from a place on.
    fn serve(&self, mut state: State, done: u128, by: usize, mut from: usize, ways: &mut Vec<(State, u128)>) {
        while let Some(&(db, key)) = state.ready.first() {
            let in_line = |waiter: &Waiter| {
                let command = self.waiting(waiter.op);
                let has_missed = waiter.missed.iter().any(|&(filled, _)| filled == by);
                command.db == db && command.waits_for(key) && !has_missed
            };
            let Some(place) = state.waiters.iter().skip(from).position(in_line).map(|at| from + at) else {
                state.ready.remove(0);
                from = 0;
                continue;
            };
            let waiter = state.waiters[place].clone();
            let command = self.waiting(waiter.op);
            let words = command.narrowed(&waiter.words, key);
            let mut served = state.clone();
            let Ok(reply) = (command.row.run)(&mut Cx { state: &mut served, db, words: &words }) else {
                from = place + 1;
                continue;
            };
            let is_over_shards = self.may_miss & bit(waiter.op) != 0;
            if self.is_served(waiter.op, by, &reply) {
                served.waiters.remove(place);
                if is_over_shards && served.ready.len() > 1 {
                    let mut other_first = served.clone();
                    other_first.ready.rotate_right(1);
                    self.serve(other_first, done | bit(waiter.op), by, 0, ways);
                }
                self.serve(served, done | bit(waiter.op), by, place, ways);
            }
            if !is_over_shards {
                return;
            }
            state.waiters[place].missed.push((by, key));
            from = place + 1;
        }
        ways.push((state, done));
    }

    fn is_served(&self, waiter: usize, by: usize, reply: &Value) -> bool {
        match &self.operations[waiter].ending {
            Ending::Answered { reply: answered, .. } => fits(reply, answered),
            Ending::Gone { at_us } => self.operations[by].sent_us <= *at_us,
            Ending::Waits | Ending::Behind => false,
        }
    }

    fn may_leave(&self, waiter: usize) -> bool {
        match &self.operations[waiter].ending {
            Ending::Answered { reply, .. } => fits(&Value::Null, reply),
            Ending::Gone { .. } => true,
            Ending::Waits | Ending::Behind => false,
        }
    }
}

/// What the database answers; `None` if the command found nothing and waits.
fn answer(state: &mut State, op: &Operation) -> Option<Value> {
    match &op.call {
        Call::One(command) => {
            let ran = (command.row.run)(&mut Cx { state, db: command.db, words: &command.words });
            match ran {
                Err(Halt::Waits) if command.may_wait() => None,
                ran => Some(value(ran)),
            }
        }
        Call::Exec(block) => {
            if state.unwatch(op.client) {
                return Some(Value::Null);
            }
            let run = |command: &Command| {
                value((command.row.run)(&mut Cx { state, db: command.db, words: &command.words }))
            };
            Some(Value::Array(block.iter().map(run).collect()))
        }
        Call::Watch { db, keys } => {
            state.watch(op.client, keys.iter().map(|key| (*db, *key)));
            Some(ok())
        }
        Call::Unwatch { .. } => {
            state.unwatch(op.client);
            Some(ok())
        }
    }
}

fn value(ran: Result<Value, Halt>) -> Value {
    match ran {
        Ok(value) => value,
        Err(Halt::Waits) => Value::Null,
        Err(Halt::WrongType) => Value::Error(b"WRONGTYPE".to_vec()),
        Err(Halt::Error(code)) => Value::Error(code.as_bytes().to_vec()),
    }
}

/// Whether an answer is what the model says: nothing is nothing however it is written, and of errors the code counts.
fn fits(model: &Value, answer: &Value) -> bool {
    match (model, answer) {
        (Value::Array(model), Value::Array(answer)) => {
            model.len() == answer.len() && model.iter().zip(answer).all(|(model, answer)| fits(model, answer))
        }
        (Value::Null, Value::Null | Value::NullBulk | Value::NullArray) => true,
        (Value::Error(code), Value::Error(text)) => text.split(|&byte| byte == b' ').next() == Some(code),
        (model, answer) => model == answer,
    }
}

fn hash(state: &State) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    std::hash::Hash::hash(state, &mut hasher);
    hasher.finish()
}
