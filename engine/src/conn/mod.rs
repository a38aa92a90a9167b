//! A connection: what the server knows of one client.
//!
//! The reactor owns the socket; this is the rest: the half-read request, the replies on their way out, their order,
//! and the session (database, protocol, name …). All bounds are in [`crate::limits`].

mod blocked;
mod describe;
mod gates;
mod multi;
mod order;
mod subscribed;
mod table;

use std::net::SocketAddr;

use bobbin_proto::{Parser, Version};

pub use blocked::{Blocked, BlockedState, Unserved};
pub use gates::Gates;
pub use multi::{Multi, Reach, Running, Watching};
pub use order::ReplyOrder;
pub use subscribed::Subscribed;
pub use table::ConnTable;

use crate::ids::{CommandId, ConnId, ReactorId};
use crate::mesh::SessionBits;
use crate::rules::{Rule, holds};

/// The two ends of a connection, as CLIENT LIST shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    Tcp { peer: SocketAddr, local: SocketAddr },
    Unix { path: String },
}

impl Endpoints {
    pub fn peer(&self) -> String {
        match self {
            Self::Tcp { peer, .. } => address(*peer),
            Self::Unix { path } => format!("{path}:0"),
        }
    }

    pub fn local(&self) -> String {
        match self {
            Self::Tcp { local, .. } => address(*local),
            Self::Unix { path } => format!("{path}:0"),
        }
    }

    /// The other end as MONITOR shows it.
    pub fn monitored(&self) -> String {
        match self {
            Self::Tcp { .. } => self.peer(),
            Self::Unix { path } => format!("unix:{path}"),
        }
    }

    /// Whether the other end is on this machine: what protected mode lets in.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp { peer, .. } => peer.ip().to_canonical().is_loopback(),
            Self::Unix { .. } => true,
        }
    }
}

/// IPv6 in brackets; an IPv4 peer of a dual-stack socket as IPv4.
fn address(addr: SocketAddr) -> String {
    SocketAddr::new(addr.ip().to_canonical(), addr.port()).to_string()
}

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// Not for the next command.
    SkipNext,
    /// Not for the command being run.
    Skip,
}

impl ReplyMode {
    /// A command has been answered, or would have been.
    #[inline]
    pub fn command_done(&mut self) {
        *self = match *self {
            Self::SkipNext => Self::Skip,
            Self::Skip => Self::On,
            mode => mode,
        };
    }
}

/// What becomes of a connection once its output is out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closing {
    #[default]
    No,
    /// After the commands that have come, and their replies.
    AfterInput,
    /// After the replies to what has run.
    AfterFlush,
    /// At once.
    Now,
}

/// Why a connection does not read on in its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    #[default]
    None,
    /// Until every awaited reply has come: a barrier command is next, or one is under way.
    Order,
    /// Until a lane to another shard has room.
    Lane,
    /// CLIENT PAUSE.
    Paused,
    /// Until the client has read replies.
    Output,
    /// An EXEC runs step by step.
    Exec,
}

/// Commands of one kind that one reactor does in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Following {
    Publishes(ReactorId),
    /// EXECs whose blocks run there in one step.
    Blocks(ReactorId),
}

/// One client.
#[derive(Debug)]
pub struct Conn {
    pub id: ConnId,
    /// CLIENT ID: unique over the life of the server.
    pub client_id: u64,
    pub parser: Parser,
    /// Received and not yet consumed.
    pub query: Vec<u8>,
    /// Bytes of `query` without which its first command is not whole.
    pub query_wanted: usize,
    /// Replies ready to be sent.
    pub out: Vec<u8>,
    /// Which of them wait for the journal.
    pub gates: Gates,
    /// Some of them may be those of writes.
    pub has_written: bool,
    pub order: ReplyOrder,
    pub db: u16,
    pub session: SessionBits,
    pub authenticated: bool,
    pub reply_mode: ReplyMode,
    pub closing: Closing,
    pub hold: Hold,
    /// The driver has not been told of it yet.
    pub adopted: bool,
    /// In the list of connections that the reactor has to look at.
    pub listed: bool,
    /// A buffer of replies is with the reactor; its bytes.
    pub sending: usize,
    /// What the stopwatch showed when it was given that.
    pub sent_at: u64,
    /// The reactor was told to stop reading.
    pub reading_paused: bool,
    pub monitor: bool,
    pub multi: Multi,
    /// What WATCH has named.
    pub watching: Option<Box<Watching>>,
    /// An EXEC that runs step by step.
    pub running: Option<Box<Running>>,
    /// A command that may wait.
    pub blocked: Option<Box<Blocked>>,
    /// What it is subscribed to, if it is to anything.
    pub subscribed: Option<Box<Subscribed>>,
    /// What it awaits, if more of the kind need not wait for it.
    pub following: Option<Following>,
    /// Its socket is gone, and it stays for what is under way.
    pub is_orphan: bool,
    pub last_active_ms: u64,
    /// What the table of connections has counted for this one.
    pub counted_bytes: usize,
    /// When the output first was over the soft limit; 0: it is not.
    pub over_soft_since_ms: u64,
    pub commands: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub last_command: Option<CommandId>,
    pub about: Box<About>,
}

/// The user of whoever has not said otherwise.
pub const DEFAULT_USER: &[u8] = b"default";

/// What is rarely asked for.
#[derive(Clone, Debug)]
pub struct About {
    pub endpoints: Endpoints,
    pub fd: i32,
    pub created_ms: u64,
    pub name: Vec<u8>,
    pub lib_name: Vec<u8>,
    pub lib_version: Vec<u8>,
    pub user: Vec<u8>,
}

/// A socket that was accepted, on its way to the reactor that will serve it.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub fd: i32,
    pub endpoints: Endpoints,
    /// It came by a reactor's own port.
    pub is_direct: bool,
}

impl Conn {
    pub fn new(id: ConnId, client_id: u64, accepted: Accepted, now_ms: u64, authenticated: bool) -> Self {
        Self {
            id,
            client_id,
            parser: Parser::default(),
            query: Vec::new(),
            query_wanted: 0,
            out: Vec::new(),
            gates: Gates::default(),
            has_written: false,
            order: ReplyOrder::default(),
            db: 0,
            session: SessionBits(if accepted.is_direct { SessionBits::AS_NODE } else { 0 }),
            authenticated,
            reply_mode: ReplyMode::On,
            closing: Closing::No,
            hold: Hold::None,
            adopted: false,
            listed: false,
            sending: 0,
            sent_at: 0,
            reading_paused: false,
            monitor: false,
            multi: Multi::default(),
            watching: None,
            running: None,
            blocked: None,
            subscribed: None,
            following: None,
            is_orphan: false,
            last_active_ms: now_ms,
            counted_bytes: 0,
            over_soft_since_ms: 0,
            commands: 0,
            bytes_in: 0,
            bytes_out: 0,
            last_command: None,
            about: Box::new(About {
                endpoints: accepted.endpoints,
                fd: accepted.fd,
                created_ms: now_ms,
                name: Vec::new(),
                lib_name: Vec::new(),
                lib_version: Vec::new(),
                user: DEFAULT_USER.to_vec(),
            }),
        }
    }

    #[inline]
    pub fn version(&self) -> Version {
        self.session.version()
    }

    /// Not every command may be run, or not at once: checked for each, so it is one test.
    #[inline]
    pub fn is_restricted(&self) -> bool {
        !self.authenticated
            | self.monitor
            | self.multi.is_open
            | self.subscribed.is_some()
            | self.session.has(SessionBits::AS_NODE)
    }

    /// A command ran, or is on its way.
    #[inline]
    pub fn count_command(&mut self, id: CommandId) {
        self.commands += 1;
        self.last_command = Some(id);
        self.reply_mode.command_done();
    }

    /// RESET: the session is as new. What the client library said of itself stays true.
    pub fn reset(&mut self, authenticated: bool) {
        self.db = 0;
        self.session = SessionBits(self.session.0 & SessionBits::AS_NODE);
        self.authenticated = authenticated;
        self.reply_mode = ReplyMode::On;
        self.monitor = false;
        self.multi.end();
        self.about.name = Vec::new();
        self.about.user = DEFAULT_USER.to_vec();
    }

    /// Replies of the command being run are dropped.
    #[inline]
    pub fn is_silent(&self) -> bool {
        matches!(self.reply_mode, ReplyMode::Off | ReplyMode::Skip)
    }

    /// Writes a reply into its place in the order.
    #[inline]
    pub fn reply(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_silent() {
            return;
        }
        if self.order.is_empty() {
            write(&mut self.out);
        } else {
            write(self.order.aside());
            self.order.keep();
        }
    }

    /// Bytes of replies that the client has not been sent.
    pub fn output_len(&self) -> usize {
        let aside = self.subscribed.as_ref().map_or(0, |subscribed| subscribed.aside_len());
        self.out.len() + self.sending + self.order.aside_len() + aside
    }

    /// Whether a barrier that is next has to wait for what was sent before it; its reply is then awaited.
    #[inline]
    pub fn has_to_wait(&mut self) -> bool {
        let has_to_wait = !self.order.is_empty() && holds(Rule::BarriersWait);
        if has_to_wait {
            self.hold = Hold::Order;
        }
        has_to_wait
    }

    /// Commands in its input may be run.
    #[inline]
    pub fn runs_on(&self) -> bool {
        self.hold == Hold::None && self.running.is_none() && self.closing < Closing::AfterFlush
    }

    /// The next move is the server's: its silence is not the client's.
    pub fn waits_for_server(&self) -> bool {
        self.hold == Hold::Paused || !self.order.is_empty()
    }

    pub fn close(&mut self, when: Closing) {
        self.closing = self.closing.max(when);
    }
}
