//! Cores driven in process: a clock and a figure of memory of the test's own, clients without sockets.

mod client_memory;
mod clients;
mod effects;
mod expiry;
mod field_expiry;
mod large_blocks;
mod lending;
mod memory;
mod output;
mod pubsub;
mod scopes;
mod trains;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;

use bobbin_proto::encode_command;

use super::{About, Core, Now, Shared, Stopwatch};
use crate::config::Config;
use crate::conn::{Accepted, Conn, Endpoints};
use crate::ids::{ConnId, ReactorId};
use crate::mesh::Batch;

const START_MS: u64 = 1_800_000_000_000;

/// Several cores in one thread, with a lane between every two.
pub(super) struct Cores {
    pub(super) all: Vec<Core>,
    pub(super) now_ms: u64,
    /// How far the wall clock was set back.
    pub(super) set_back_ms: u64,
    pub(super) memory_used: u64,
    /// Batches under way: from, to, batch.
    lanes: VecDeque<(ReactorId, ReactorId, Box<Batch>)>,
    clients: Vec<Client>,
}

struct Client {
    reactor: ReactorId,
    conn: ConnId,
    received: Vec<u8>,
    closed: bool,
}

impl Cores {
    pub(super) fn new(reactors: usize, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let config = Arc::new(config);
        let about = About {
            run_id: String::new(),
            pid: 1,
            started_unix_ms: START_MS,
            executable: String::new(),
            config_file: String::new(),
            os: String::new(),
            port: 0,
            supervisor: "no",
            seed: 7,
        };
        let shared = Arc::new(Shared::new(reactors, Arc::clone(&config), about));
        let all = (0..reactors)
            .map(|index| {
                let stopwatch = Stopwatch::Virtual(std::cell::Cell::new(0));
                Core::new(ReactorId::from_index(index), Arc::clone(&shared), Arc::clone(&config), stopwatch)
            })
            .collect();
        Self {
            all,
            now_ms: START_MS,
            set_back_ms: 0,
            memory_used: 0,
            lanes: VecDeque::new(),
            clients: Vec::new(),
        }
    }

    /// A client of one reactor; its number.
    pub(super) fn connect(&mut self) -> usize {
        self.connect_from(Endpoints::Unix { path: String::from("/test") })
    }

    /// A client at the other end of these.
    pub(super) fn connect_from(&mut self, endpoints: Endpoints) -> usize {
        let accepted_by = self.clients.len() % self.all.len();
        self.begin(accepted_by);
        self.all[accepted_by].accepted(Accepted { fd: 0, endpoints, is_direct: false });
        self.run();
        self.clients.len() - 1
    }

    /// Sends a command, its arguments separated by spaces, without waiting.
    pub(super) fn send(&mut self, client: usize, command: &str) {
        let mut bytes = Vec::new();
        let args: Vec<&str> = command.split(' ').collect();
        encode_command(&mut bytes, args);
        self.send_bytes(client, &bytes);
    }

    /// Sends one command many times over, all at once.
    pub(super) fn send_repeated(&mut self, client: usize, command: &str, times: usize) {
        let mut bytes = Vec::new();
        encode_command(&mut bytes, command.split(' ').collect::<Vec<_>>());
        self.send_bytes(client, &bytes.repeat(times));
    }

    pub(super) fn send_bytes(&mut self, client: usize, bytes: &[u8]) {
        let index = self.clients[client].reactor.index();
        self.arrive(client, bytes);
        self.end(index);
    }

    /// Bytes of a client arrive, in an iteration that is not over.
    pub(super) fn arrive(&mut self, client: usize, bytes: &[u8]) {
        let (reactor, conn) = (self.clients[client].reactor, self.clients[client].conn);
        self.begin(reactor.index());
        self.all[reactor.index()].receive(conn, bytes);
    }

    /// The core that serves a client.
    pub(super) fn core_of(&mut self, client: usize) -> &mut Core {
        &mut self.all[self.clients[client].reactor.index()]
    }

    /// A client's connection.
    pub(super) fn conn(&mut self, client: usize) -> &mut Conn {
        let id = self.clients[client].conn;
        self.core_of(client).conns.find(id).expect("it is connected")
    }

    /// Connects clients until one is served by a reactor.
    pub(super) fn connect_to(&mut self, reactor: usize) -> usize {
        loop {
            let client = self.connect();
            if self.clients[client].reactor.index() == reactor {
                return client;
            }
        }
    }

    /// A key of a reactor's shard.
    pub(super) fn key_of(&self, reactor: usize) -> String {
        let mut names = (0..).map(|number| format!("k{number}"));
        names
            .find(|name| self.all[0].owner(name.as_bytes()).index() == reactor)
            .expect("every shard has keys")
    }

    /// Whether the core has closed a client's connection.
    pub(super) fn is_closed(&self, client: usize) -> bool {
        self.clients[client].closed
    }

    /// What has come back to a client, taken.
    pub(super) fn received(&mut self, client: usize) -> String {
        let bytes = std::mem::take(&mut self.clients[client].received);
        String::from_utf8(bytes).expect("tests send text")
    }

    /// Sends a command and lets everything run until nothing is left to do.
    pub(super) fn call(&mut self, client: usize, command: &str) -> String {
        self.send(client, command);
        self.run();
        self.received(client)
    }

    /// Delivers batches until none is under way.
    pub(super) fn run(&mut self) {
        (0..self.all.len()).for_each(|index| self.iterate(index));
        while self.deliver(0) {}
    }

    /// Delivers one of the batches under way: one of those whose lane has none before it. False if there is none.
    pub(super) fn deliver(&mut self, choice: usize) -> bool {
        let firsts: Vec<usize> = (0..self.lanes.len())
            .filter(|&at| {
                let (from, to, _) = &self.lanes[at];
                !self.lanes.iter().take(at).any(|(f, t, _)| (f, t) == (from, to))
            })
            .collect();
        if firsts.is_empty() {
            return false;
        }
        let Some((from, to, batch)) = self.lanes.remove(firsts[choice % firsts.len()]) else { return false };
        self.begin(to.index());
        self.all[to.index()].deliver(from, batch);
        self.end(to.index());
        true
    }

    /// A client goes away.
    pub(super) fn hang_up(&mut self, client: usize) {
        let (reactor, conn) = (self.clients[client].reactor, self.clients[client].conn);
        self.begin(reactor.index());
        self.all[reactor.index()].hung_up(conn);
        self.end(reactor.index());
    }

    /// One iteration of a core without inputs.
    pub(super) fn iterate(&mut self, index: usize) {
        self.begin(index);
        self.end(index);
    }

    pub(super) fn mono_us(&self) -> u64 {
        (self.now_ms - START_MS) * 1000
    }

    fn begin(&mut self, index: usize) {
        let now = Now { unix_us: (self.now_ms - self.set_back_ms) * 1000, mono_us: self.mono_us() };
        self.all[index].begin(now, self.memory_used);
    }

    fn end(&mut self, index: usize) {
        let me = ReactorId::from_index(index);
        self.all[index].settle();
        while let Some(action) = self.all[index].next_action() {
            if action.adopt.is_some() {
                self.clients.push(Client {
                    reactor: me,
                    conn: action.conn,
                    received: Vec::new(),
                    closed: false,
                });
            }
            let client = self.clients.iter_mut().find(|c| c.reactor == me && c.conn == action.conn);
            let client = client.expect("only clients are served");
            if let Some(bytes) = action.send {
                client.received.extend_from_slice(&bytes);
                self.all[index].sent(action.conn, bytes);
            }
            if action.close {
                client.closed = true;
                self.all[index].closed(action.conn);
            }
        }
        for to in (0..self.all.len()).map(ReactorId::from_index).filter(|&to| to != me) {
            if let Some(batch) = self.all[index].take_batch(to) {
                self.lanes.push_back((me, to, batch));
            }
        }
        self.all[index].end();
    }
}
