//! What clients ask and are answered, written down as it happens.

use std::collections::VecDeque;

use bobbin_proto::Value;

use crate::history::{Call, Ending, History, Operation};
use crate::world::World;

/// A call on its way.
#[derive(Debug)]
struct Pending {
    call: Call,
    /// Bytes that its client has sent once it is sent.
    end: usize,
    /// Replies that are still to come.
    replies: usize,
    /// Which operation it is, once it is sent.
    op: Option<usize>,
}

/// A world and the history of its clients.
pub(crate) struct Record {
    pub(crate) world: World,
    cores: usize,
    pending: Vec<VecDeque<Pending>>,
    operations: Vec<Operation>,
    steps: usize,
}

/// Steps of a history that comes to rest.
const STEPS_MAX: usize = 20_000;

impl Record {
    pub(crate) fn new(seed: u64, cores: usize, clients: usize) -> Self {
        let world = World::new(seed, cores, clients);
        let pending = (0..clients).map(|_| VecDeque::new()).collect();
        Self { world, cores, pending, operations: Vec::new(), steps: 0 }
    }

    /// Has a client ask for something, behind what it has asked for.
    pub(crate) fn ask(&mut self, client: usize, call: Call) {
        let requests = call.requests();
        let to = &mut self.world.clients[client];
        for words in &requests {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            to.request(&words);
        }
        let end = to.sent + to.unsent_len();
        self.pending[client].push_back(Pending { call, end, replies: requests.len(), op: None });
    }

    /// The client has an answer to everything.
    pub(crate) fn is_idle(&self, client: usize) -> bool {
        self.pending[client].is_empty()
    }

    /// Lets one thing happen, and writes down what came of it. Returns false when nothing can.
    pub(crate) fn step(&mut self) -> bool {
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "the world does not come to rest");
        let stepped = self.world.step();
        (0..self.pending.len()).for_each(|client| self.look_at(client));
        stepped
    }

    /// Lets things happen until nothing can. Whoever is not answered then stands in line.
    pub(crate) fn run(&mut self) {
        while self.step() {}
        self.note_quiet();
    }

    pub(crate) fn note_quiet(&mut self) {
        for pending in &self.pending {
            let Some(Pending { call, op: Some(op), .. }) = pending.front() else { continue };
            assert!(call.may_wait(), "stalled: {}", self.operations[*op]);
            self.operations[*op].in_line_us.get_or_insert(self.world.now_us());
        }
    }

    pub(crate) fn disconnect(&mut self, client: usize) {
        self.world.disconnect(client);
        self.look_at(client);
    }

    pub(crate) fn close_half(&mut self, client: usize) {
        if self.world.clients[client].is_served() {
            self.world.close_half(client);
            self.look_at(client);
        }
    }

    fn look_at(&mut self, client: usize) {
        let now_us = self.world.now_us();
        let sent = self.world.clients[client].sent;
        for pending in self.pending[client].iter_mut().filter(|p| p.op.is_none() && p.end <= sent) {
            pending.op = Some(self.operations.len());
            let (call, ending) = (pending.call.clone(), Ending::Behind);
            self.operations.push(Operation { client, call, sent_us: now_us, in_line_us: None, ending });
        }
        while let Some(reply) = self.world.clients[client].reply() {
            self.answered(client, reply, now_us);
        }
        if !self.world.clients[client].is_served() {
            for op in self.pending[client].drain(..).filter_map(|pending| pending.op) {
                self.operations[op].ending = Ending::Gone { at_us: now_us };
            }
        }
    }

    fn answered(&mut self, client: usize, reply: Value, at_us: u64) {
        let Some(pending) = self.pending[client].front_mut() else {
            panic!("an answer to nothing: {reply:?}")
        };
        pending.replies -= 1;
        if pending.replies == 0
            && let Some(op) = self.pending[client].pop_front().and_then(|pending| pending.op)
        {
            self.operations[op].ending = Ending::Answered { at_us, reply };
        }
    }

    /// Ends the history, and then the world: whoever is still there goes away, and nothing may be left of anybody.
    pub(crate) fn end(mut self) -> History {
        self.run();
        let mut operations = std::mem::take(&mut self.operations);
        for pending in &mut self.pending {
            if let Some(op) = pending.pop_front().and_then(|pending| pending.op) {
                operations[op].ending = Ending::Waits;
            }
            pending.clear();
        }
        for client in 0..self.pending.len() {
            self.world.disconnect(client);
        }
        while self.step() {}
        assert!(self.world.is_at_rest(), "something is still under way");
        assert_eq!(self.world.left_of_clients(), [""; 0], "left of clients that are gone");
        History { cores: self.cores, operations }
    }
}
