//! The core: everything a reactor does except I/O.
//!
//! No clock, no socket, no thread, no randomness of its own. What happens to it are its inputs: [`Core::begin`],
//! [`Core::open`], [`Core::receive`], [`Core::sent`], [`Core::closed`], [`Core::deliver`]; what it wants done are its
//! outputs: [`Core::next_action`], [`Core::take_batch`], [`Core::next_deadline_us`]. The ring drives it in production,
//! a seeded driver drives several of them in tests; neither can tell which from inside.
//!
//! One iteration: `begin`, any number of inputs, [`Core::settle`], then the outputs, and [`Core::end`].

mod block;
mod boarding;
mod client_limits;
mod client_memory;
mod clients;
mod course;
mod driver_side;
mod env;
mod evict;
mod exec;
mod held;
mod input;
mod journalling;
mod loading;
mod observing;
mod outbox;
mod pubsub;
mod redirect;
mod scopes;
mod settle;
mod shard;
mod snapshot;
mod submit;
mod tick;
mod transact;
mod unwind;
mod visits;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;

use bobbin_cluster::SlotMap;

pub use driver_side::Action;
pub use env::{About, Now, Shared, Stopwatch};
pub use journalling::{UnknownEffect, WRITER};
pub use loading::{Load, LoadFailure, Portion};
pub use scopes::ScopeChange;
pub use shard::{Caller, Env, Shard, ShardRest};
pub use snapshot::Piece;

use crate::collections::Map;
use crate::config::Config;
use crate::conn::ConnTable;
use crate::ids::{ConnId, ReactorId, ReplyTo, TxId};
use crate::observe::Observed;
use crate::pubsub::{Push, Receipts};
use crate::saves::Request;
use crate::store::Keyspace;
use crate::txn::{Coordinator, Schedule};
use boarding::Boarding;
use evict::Allowance;
use input::Group;
use journalling::Journalling;
use loading::Loading;
use outbox::Outbox;
use pubsub::Telling;
use snapshot::Walking;
use tick::Timers;
use unwind::Unwinding;
use visits::Visits;

/// One reactor's core.
#[derive(Debug)]
pub struct Core {
    pub id: ReactorId,
    pub env: Env,
    pub shard: Shard,
    pub conns: ConnTable,
    pub observed: Observed,
    slots: SlotMap,
    outbox: Outbox,
    schedule: Schedule,
    coordinator: Coordinator,
    unwinding: Unwinding,
    journalling: Journalling,
    loading: Loading,
    walking: Walking,
    visits: Visits,
    /// Where the entries of keys brought together from several shards live while a command runs on them.
    workspace: Keyspace,
    group: Group,
    /// Commands of the connection at hand that will leave as one transaction.
    boarding: Option<Boarding>,
    frame_spans: Vec<bobbin_proto::Span>,
    /// Connections the driver has to look at.
    listed: Vec<ConnId>,
    /// Connections whose input may be run on.
    resumed: Vec<ConnId>,
    /// Connections that wait for room in a lane.
    stalled: Vec<ConnId>,
    /// Connections whose EXEC has its next step to make.
    stepping: Vec<ConnId>,
    /// When the blocks take effect that run step by step, by their connections.
    held_times: Map<(ReactorId, ConnId), (TxId, u64)>,
    /// Transactions that have more keys to ask for.
    claiming: Vec<TxId>,
    last_watch: u64,
    /// Keys are being settled, further out on the stack.
    is_settling: bool,
    receipts: Receipts,
    telling: Telling,
    /// What was said to connections of this core and has yet to be handed out.
    undelivered: VecDeque<(Arc<[ConnId]>, Push)>,
    /// The batch at hand had messages for connections here: whose, and the number of the last.
    arrived: Option<(ReactorId, u64)>,
    pub pause: Option<Pause>,
    /// Where the walk over connections that looks for idle ones goes on.
    walked: usize,
    timers: Timers,
    allowance: Allowance,
    /// What the stopwatch showed when the iteration began.
    iteration_start: u64,
    /// The same for the end of the command that the next one of a group follows at once, so that one look serves for both.
    /// `None` outside of groups.
    lap: Option<u64>,
    output_buffers: Vec<Vec<u8>>,
    /// The driver is asked to stand still this long (DEBUG SLEEP).
    stall_us: u64,
    /// How the server is asked to stop.
    shutdowns: VecDeque<Shutdown>,
    /// Changes of scopes that are asked for.
    scope_changes: VecDeque<ScopeChange>,
    /// Snapshots that are asked for.
    save_requests: VecDeque<Request>,
}

/// CLIENT PAUSE under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub until_ms: u64,
    /// Writes only, or all commands.
    pub writes_only: bool,
}

/// How the server was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// What the client said; if nothing, there is a snapshot if there are save points.
    pub save: Option<bool>,
    pub now: bool,
    pub force: bool,
    /// Who is told if it cannot be done.
    pub reply_to: Option<ReplyTo>,
}

impl Shutdown {
    /// Whether a snapshot is to be made before.
    pub fn saves(self, config: &Config) -> bool {
        self.save.unwrap_or(!config.save.0.is_empty())
    }
}

impl Core {
    /// The core of reactor `id`. Equal arguments and equal inputs give equal outputs.
    pub fn new(id: ReactorId, shared: Arc<Shared>, config: Arc<Config>, stopwatch: Stopwatch) -> Self {
        let reactors = shared.reactors();
        let seed = shared.about.seed;
        let mut observed = Observed::default();
        observed.configure(&config);
        let mut conns = ConnTable::default();
        conns.count_memory(client_memory::is_limited(&config));
        Self {
            id,
            shard: Shard::new(&config, seed, id),
            workspace: Keyspace::new(config.databases as usize, seed),
            env: Env::new(shared, config, stopwatch),
            conns,
            observed,
            slots: SlotMap::new(reactors),
            outbox: Outbox::new(id, reactors),
            schedule: Schedule::default(),
            coordinator: Coordinator::default(),
            unwinding: Unwinding::default(),
            journalling: Journalling::default(),
            loading: Loading::default(),
            walking: Walking::default(),
            visits: Visits::default(),
            group: Group::default(),
            boarding: None,
            frame_spans: Vec::new(),
            listed: Vec::new(),
            resumed: Vec::new(),
            stalled: Vec::new(),
            stepping: Vec::new(),
            claiming: Vec::new(),
            held_times: Map::default(),
            last_watch: 0,
            is_settling: false,
            receipts: Receipts::new(reactors),
            telling: Telling::default(),
            undelivered: VecDeque::new(),
            arrived: None,
            pause: None,
            walked: 0,
            timers: Timers::default(),
            allowance: Allowance::default(),
            iteration_start: 0,
            lap: None,
            output_buffers: Vec::new(),
            stall_us: 0,
            shutdowns: VecDeque::new(),
            scope_changes: VecDeque::new(),
            save_requests: VecDeque::new(),
        }
    }

    /// The reactor whose shard owns a key.
    #[inline]
    pub fn owner(&self, key: &[u8]) -> ReactorId {
        if self.env.shared.reactors() == 1 {
            return self.id;
        }
        ReactorId::from_index(self.slots.owner(bobbin_cluster::Slot::of(key)))
    }

    /// Which shard owns which slots, as [`Self::owner`] goes by.
    pub fn slots(&self) -> SlotMap {
        self.slots
    }

    /// Asks the driver to look at a connection when the iteration ends.
    #[inline]
    fn list(&mut self, conn: &mut crate::conn::Conn) {
        if !conn.listed {
            conn.listed = true;
            self.listed.push(conn.id);
        }
    }

    /// Takes over the newest configuration. Whoever changes it has every core do this afterwards; whatever the order
    /// of several changes and calls, the last call finds the last change.
    pub fn adopt_config(&mut self) {
        let config = self.env.shared.config();
        self.observed.configure(&config);
        self.shard.configure(&config);
        self.env.config = config;
        self.timers.tick_us = self.env.now.mono_us;
        self.conns.count_memory(client_memory::is_limited(&self.env.config));
    }

    /// CONFIG RESETSTAT.
    pub fn reset_stats(&mut self) {
        self.observed.reset();
        self.shard.rest.stats.reset();
    }

    pub fn ask_stall(&mut self, us: u64) {
        self.stall_us += us;
    }

    pub fn ask_shutdown(&mut self, how: Shutdown) {
        self.shutdowns.push_back(how);
    }
}

#[cfg(test)]
mod tests;
