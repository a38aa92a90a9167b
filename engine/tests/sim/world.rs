//! A whole server in one thread: cores, lanes and clients under a scheduler with a seed.
//!
//! Every step the scheduler picks one thing that may happen next: a batch arrives, a client sends some bytes of its
//! next requests, a client goes away, the control thread changes scopes, time passes. Lanes keep their order, as the
//! real ones do; between lanes anything may overtake anything. A lane has room for few batches; a core that has one
//! left over, or a deadline, is looked at when its time has come, and not before. Equal seeds give equal runs.

use std::collections::VecDeque;
use std::sync::Arc;

use bobbin_cluster::NodeName;
use bobbin_cluster::catalog::{Catalog, CatalogLog, Change};
use bobbin_engine::config::Config;
use bobbin_engine::conn::{Accepted, Endpoints};
use bobbin_engine::core::{About, Core, Now, Piece, ScopeChange, Shared, Stopwatch};
use bobbin_engine::ids::{ConnId, ReactorId};
use bobbin_engine::journal;
use bobbin_engine::mesh::Batch;
use bobbin_engine::scopes::Scopes;
use bobbin_proto::Value;
use bobbin_proto::decode::decode;

/// Batches that a lane has room for.
const LANE_BATCHES_MAX: usize = 2;
/// How far ahead a deadline may be for the scheduler to wait for it when nothing else is left to do.
const SOON_US: u64 = 1000;

/// A client and what it has sent and got.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// Where the server serves it.
    home: Option<(usize, ConnId)>,
    /// Bytes it has yet to send.
    pub(crate) unsent: VecDeque<u8>,
    received: Vec<u8>,
    pub(crate) gone: bool,
    /// Bytes of requests it has sent.
    pub(crate) sent: usize,
}

impl Client {
    /// The server serves it.
    pub(crate) fn is_served(&self) -> bool {
        self.home.is_some()
    }

    /// Adds a request behind those it has yet to send.
    pub(crate) fn request(&mut self, args: &[&str]) {
        let mut bytes = Vec::new();
        bobbin_proto::encode_command(&mut bytes, args.iter().copied());
        self.unsent.extend(bytes);
    }

    pub(crate) fn unsent_len(&self) -> usize {
        self.unsent.len()
    }

    /// The next reply, if it has come.
    pub(crate) fn reply(&mut self) -> Option<Value> {
        let (value, len) = decode(&self.received).expect("replies are well-formed")?;
        self.received.drain(..len);
        Some(value)
    }
}

/// The server and its clients.
pub(crate) struct World {
    pub(crate) rng: fastrand::Rng,
    pub(crate) cores: Vec<Core>,
    /// Batches under way, by sender and receiver.
    lanes: Vec<Vec<VecDeque<Box<Batch>>>>,
    pub(crate) clients: Vec<Client>,
    /// Sockets that are being closed: their cores are told later.
    closing: Vec<(usize, ConnId)>,
    pub(crate) shared: Arc<Shared>,
    /// The catalog as the control thread has it, of the nodes `us`, which this is, and `them`.
    catalog: CatalogLog,
    /// Changes of it that the control thread is asked for.
    scope_changes: VecDeque<ScopeChange>,
    pub(crate) now_us: u64,
    /// What those of the cores have done that keep effects, in the order of the stamps.
    pub(crate) journal: Vec<journal::Batch>,
    /// The journal's file, if cores give what they have done to its writer; they walk over their keys then when they are
    /// told to.
    pub(crate) journal_file: Option<Box<dyn journal::DiskFile>>,
    /// What has come of walks.
    pub(crate) pieces: Vec<Piece>,
}

impl World {
    pub(crate) fn new(seed: u64, cores: usize, clients: usize) -> Self {
        Self::configured(seed, cores, clients, Config::default())
    }

    pub(crate) fn configured(seed: u64, cores: usize, clients: usize, config: Config) -> Self {
        let config = Arc::new(config);
        let shared = Arc::new(Shared::new(cores, Arc::clone(&config), about(seed)));
        let core = |index| {
            let stopwatch = Stopwatch::Virtual(std::cell::Cell::new(0));
            Core::new(ReactorId::from_index(index), Arc::clone(&shared), Arc::clone(&config), stopwatch)
        };
        let mut world = Self {
            rng: fastrand::Rng::with_seed(seed),
            cores: (0..cores).map(core).collect(),
            shared,
            lanes: (0..cores).map(|_| (0..cores).map(|_| VecDeque::new()).collect()).collect(),
            clients: (0..clients).map(|_| Client::default()).collect(),
            closing: Vec::new(),
            catalog: catalog(),
            scope_changes: VecDeque::new(),
            now_us: 1_000_000_000_000_000,
            journal: Vec::new(),
            journal_file: None,
            pieces: Vec::new(),
        };
        for client in 0..clients {
            world.connect(client);
        }
        while world.clients.iter().any(|client| client.home.is_none()) {
            world.step();
        }
        world
    }

    fn connect(&mut self, client: usize) {
        let address = ([127, 0, 0, 1], 6379).into();
        let endpoints = Endpoints::Tcp { peer: address, local: address };
        let accepted = Accepted { fd: client as i32, endpoints, is_direct: false };
        let core = self.rng.usize(..self.cores.len());
        self.input(core, |core| core.accepted(accepted));
    }

    /// Lets one thing happen. Returns false when nothing can.
    pub(crate) fn step(&mut self) -> bool {
        self.now_us += self.rng.u64(1..50);
        let arrivals: Vec<(usize, usize)> = (0..self.cores.len())
            .flat_map(|from| (0..self.cores.len()).map(move |to| (from, to)))
            .filter(|&(from, to)| !self.lanes[from][to].is_empty())
            .collect();
        let senders: Vec<usize> = (0..self.clients.len())
            .filter(|&client| self.clients[client].home.is_some() && !self.clients[client].unsent.is_empty())
            .collect();
        let busy: Vec<usize> = (0..self.cores.len()).filter(|&core| self.is_due(core)).collect();
        let calls = arrivals.len() + senders.len() + busy.len();
        let choices = calls + self.closing.len() + self.scope_changes.len().min(1);
        if choices == 0 {
            return self.wait();
        }
        let choice = self.rng.usize(..choices);
        if let Some(&(from, to)) = arrivals.get(choice) {
            self.arrive(from, to);
        } else if let Some(&client) = senders.get(choice - arrivals.len()) {
            self.send(client);
        } else if let Some(&core) = busy.get(choice - arrivals.len() - senders.len()) {
            self.input(core, |_| {});
        } else if choice < calls + self.closing.len() {
            let (core, conn) = self.closing.swap_remove(choice - calls);
            self.input(core, |core| core.closed(conn));
        } else {
            self.change_scopes();
        }
        true
    }

    /// What the control thread does with a change.
    fn change_scopes(&mut self) {
        let Some(change) = self.scope_changes.pop_front() else { return };
        let us = NodeName::new(b"us").expect("a name");
        let saved = self.catalog.save(self.catalog.current().version(), change.change.clone());
        let outcome =
            saved.map(|_| self.shared.set_scopes(Arc::new(Scopes::new(self.catalog.clone(), Some(&us)))));
        let outcome = outcome.map_err(|error| error.to_string());
        self.input(change.reactor().index(), |core| core.scopes_changed(change, outcome));
    }

    fn is_due(&self, core: usize) -> bool {
        self.cores[core].has_work() || self.cores[core].next_deadline_us() <= self.now_us
    }

    /// Nothing can happen but by a deadline. Returns false if none is near.
    fn wait(&mut self) -> bool {
        let next_us = self.cores.iter().map(Core::next_deadline_us).min().unwrap_or(u64::MAX);
        let is_near = next_us <= self.now_us + SOON_US;
        if is_near {
            self.now_us = self.now_us.max(next_us);
        }
        is_near
    }

    /// Lets things happen until nothing can.
    pub(crate) fn run(&mut self) {
        while self.step() {}
    }

    /// A client goes away in the middle of whatever it was doing.
    pub(crate) fn disconnect(&mut self, client: usize) {
        let Some((core, conn)) = self.clients[client].home.take() else { return };
        self.clients[client].gone = true;
        self.input(core, |core| core.hung_up(conn));
    }

    /// A client closes its half behind what it has sent: what it has not sent is never sent.
    pub(crate) fn close_half(&mut self, client: usize) {
        let Some((core, conn)) = self.clients[client].home else { return };
        self.clients[client].unsent.clear();
        self.input(core, |core| core.input_ended(conn));
    }

    /// No two steps have the same.
    pub(crate) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// What is kept for clients that are gone: their waits, their watches.
    pub(crate) fn left_of_clients(&self) -> Vec<&'static str> {
        let rests = || self.cores.iter().map(|core| &core.shard.rest);
        let mut left = Vec::new();
        left.extend(rests().any(|rest| !rest.waits.is_empty()).then_some("waits"));
        left.extend(rests().any(|rest| !rest.watches.is_empty()).then_some("watches"));
        left
    }

    /// Nothing is under way anywhere: no lock, no transaction, no reply awaited.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.cores.iter().all(Core::is_at_rest)
    }

    /// Some registry knows of somebody.
    pub(crate) fn has_subscribers(&self) -> bool {
        self.cores.iter().any(|core| !core.shard.rest.bus.registry.is_empty())
    }

    fn arrive(&mut self, from: usize, to: usize) {
        let Some(batch) = self.lanes[from][to].pop_front() else { return };
        self.input(to, |core| core.deliver(ReactorId::from_index(from), batch));
    }

    fn send(&mut self, client: usize) {
        let Some((core, conn)) = self.clients[client].home else { return };
        let unsent = &mut self.clients[client].unsent;
        let len = if self.rng.bool() { unsent.len() } else { self.rng.usize(1..=unsent.len()) };
        let bytes: Vec<u8> = unsent.drain(..len).collect();
        self.clients[client].sent += len;
        self.input(core, |core| core.receive(conn, &bytes));
    }

    /// An iteration of a core in which another input comes behind all that its clients have yet to send.
    #[allow(dead_code, reason = "the tests of snapshots alone need it")]
    pub(crate) fn input_behind_clients(&mut self, index: usize, input: impl FnOnce(&mut Core)) {
        let mut sent = Vec::new();
        for client in &mut self.clients {
            if let Some((_, conn)) = client.home.filter(|(core, _)| *core == index) {
                let bytes: Vec<u8> = client.unsent.drain(..).collect();
                client.sent += bytes.len();
                sent.push((conn, bytes));
            }
        }
        self.input(index, |core| {
            sent.iter().for_each(|(conn, bytes)| core.receive(*conn, bytes));
            input(core);
        });
    }

    /// One iteration of a core: an input, then its outputs.
    pub(crate) fn input(&mut self, index: usize, input: impl FnOnce(&mut Core)) {
        let core = &mut self.cores[index];
        core.begin(Now { unix_us: self.now_us, mono_us: self.now_us }, 0);
        input(core);
        core.settle();
        if let Some(file) = &self.journal_file {
            core.seal_effects();
            write_journal(core, &**file);
            if self.rng.u8(..4) == 0 {
                core.walk_some();
                self.pieces.extend(std::iter::from_fn(|| core.next_piece()));
            }
        } else {
            self.journal.extend(core.take_effects(journal::Batch::default));
        }
        for to in 0..self.lanes.len() {
            let Some(batch) = core.take_batch(ReactorId::from_index(to)) else { continue };
            let lane = &mut self.lanes[index][to];
            if lane.len() < LANE_BATCHES_MAX {
                lane.push_back(batch);
            } else {
                core.return_batch(ReactorId::from_index(to), batch);
            }
        }
        self.scope_changes.extend(std::iter::from_fn(|| core.take_scope_change()));
        while let Some(action) = core.next_action() {
            if let Some(fd) = action.adopt {
                self.clients[fd as usize].home = Some((index, action.conn));
            }
            if let Some(bytes) = action.send {
                let at = |client: &&mut Client| client.home == Some((index, action.conn));
                if let Some(client) = self.clients.iter_mut().find(at) {
                    client.received.extend(&bytes);
                }
                core.sent(action.conn, bytes);
            }
            if action.close {
                if !self.closing.contains(&(index, action.conn)) {
                    self.closing.push((index, action.conn));
                }
                if let Some(client) = self.clients.iter_mut().find(|c| c.home == Some((index, action.conn))) {
                    client.home = None;
                }
            }
        }
    }
}

fn catalog() -> CatalogLog {
    let mut log = CatalogLog::new(Catalog::default(), 0);
    for line in ["node us 10.0.0.1:1", "node them 10.0.0.2:1"] {
        let change = Change::parse_line(line.as_bytes()).expect("a change");
        log.save(log.current().version(), change).expect("it can be made");
    }
    log
}

/// The disk does at once what the writer asks for.
fn write_journal(core: &mut Core, file: &dyn journal::DiskFile) {
    while let Some(job) = core.next_disk_job() {
        match job {
            journal::Job::Write { bytes, at } => {
                let written = file.write_at(bytes, at);
                core.disk_written(written);
            }
            journal::Job::Sync => core.disk_synced(file.sync()),
        }
    }
}

pub(crate) fn about(seed: u64) -> About {
    About {
        run_id: "0".repeat(40),
        pid: 1,
        started_unix_ms: 0,
        executable: String::new(),
        config_file: String::new(),
        os: String::new(),
        port: 6379,
        supervisor: "no",
        seed,
    }
}
