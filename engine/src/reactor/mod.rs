//! The reactor: one pinned thread that drives one core through one ring.
//!
//! ```text
//!   ┌─► wait ─► reap completions ─► drain lanes ─► settle ─► flush lanes ─► act on connections ─┐
//!   └──────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! No step runs unboundedly: completions, batches and messages of one iteration are counted. With nothing to do the
//! reactor sleeps in the kernel until a completion, a call from another reactor, or the core's next deadline.

mod buffers;
pub mod listener;
mod memory;
mod ring;
mod sockets;
mod token;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, TrySendError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_queue::SegQueue;

pub use listener::Listener;
pub use memory::{Helper, MemoryBook};
pub use ring::LOCKED_BYTES;

use crate::core::{Action, Core, Load, LoadFailure, Now, ScopeChange, Shutdown};
use crate::error::CommandError;
use crate::faults::{self, Point};
use crate::ids::{ReactorId, ReplyTo, Stamp};
use crate::journal::{Job, JournalFile, Writer};
use crate::limits::LANE_DRAIN_MAX;
use crate::mesh::Lanes;
use crate::observe::Report;
use crate::saver::{Outlet, Turned};
use crate::saves::Request;
use crate::txn::Cut;
use ring::{Completion, Ring};
use sockets::Sockets;
use token::Token;

/// Completions handled in one iteration.
const COMPLETIONS_MAX: usize = 512;
/// Longest sleep: the clock in INFO and the caches of time stay fresh.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// How long the journal may take to become durable when the server stops, and how often is looked.
const FINISH_MAX: Duration = Duration::from_secs(10);
const FINISH_STEP: Duration = Duration::from_millis(10);
/// How long a listener rests when the process is out of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// A want of descriptors or memory is over, and the next one told of, when none was noticed for so long.
const WANT_OVER: Duration = Duration::from_secs(10);

/// What the control thread says to a reactor.
#[derive(Debug)]
pub enum Order {
    /// Load this, and say so when it is done.
    Load { load: Load, done: Sender<Result<ReactorId, LoadFailure>> },
    /// Journal what is done from now on, and say so; the reactor that gets a start writes it.
    Journal { start: Option<Box<JournalStart>>, done: Sender<Result<ReactorId, LoadFailure>> },
    /// Everything is loaded, and all journal if there is a journal: serve, and say so.
    Loaded { done: Sender<Result<ReactorId, LoadFailure>> },
    /// Add one, as a sign of life.
    Answer(Arc<AtomicUsize>),
    /// Tell the figures, with those of every command.
    Report { done: Sender<(ReactorId, Report)> },
    /// What came of a change of scopes that it asked for.
    ScopesChanged { change: ScopeChange, outcome: Result<(), String> },
    /// Write the journal from here on. What is to be written comes from the moment on at which shards begin it.
    Write(Box<JournalStart>),
    /// Make durable at once what was done up to a stamp, and say so.
    Reach(Reach),
    /// What was journalled is durable, or nobody tries any more: nothing waits for it.
    JournalEnded,
    /// Finish the journal's file, and say with what the next begins.
    Turn,
    /// Go on in this file, or in the present one after all.
    GoOn(Option<Box<(JournalFile, File)>>),
    /// The manifest cannot be stored for the moment: neither file may be written to.
    Stuck(Arc<str>),
    /// The pieces of the next snapshot go here.
    Walk(Outlet),
    /// Make a cut over all shards.
    Cut(Cut),
    /// Have nothing written from now on on any shard, and say when all that was done is durable, or why it is not.
    StandStill,
    /// The server does not end after all: what stood still may be written again.
    GoOnServing,
    /// What a client has waited for has been done, or not.
    Reply { reply_to: ReplyTo, outcome: Result<(), CommandError> },
    /// Stop serving, and end.
    Stop,
}

/// What a reactor says to the control thread.
#[derive(Debug)]
pub enum Notice {
    /// A client asks the server to stop.
    Shutdown(Shutdown),
    /// A client asks for a change of scopes.
    Scopes(ScopeChange),
    /// A snapshot is to be made.
    Save(Request),
    /// The journal's file is finished, or durable as far as was asked for.
    Turned(Turned),
    /// Nothing is written any more, and all that was done is durable; or why it is not.
    StoodStill(Result<(), Arc<str>>),
}

/// What the reactor that writes the journal starts with.
#[derive(Debug)]
pub struct JournalStart {
    pub writer: Writer,
    pub file: File,
}

/// What of the journal is to be made durable at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    pub until: Stamp,
    /// The journal has ended there on all shards: no more is written.
    pub is_end: bool,
}

/// What all reactors and the control thread share.
#[derive(Debug)]
pub struct Plant {
    pub lanes: Lanes,
    pub listeners: Vec<Listener>,
    pub memory: MemoryBook,
    /// Descriptors of the reactors' rings, once they are made.
    rings: Vec<AtomicI32>,
    inboxes: Vec<Inbox>,
    started: Instant,
    /// When a reactor last could not accept for want of descriptors, in microseconds since the start; 0: never.
    last_want_us: AtomicU64,
}

#[derive(Debug)]
struct Inbox {
    orders: SegQueue<Order>,
    bell: OwnedFd,
}

impl Plant {
    pub fn new(reactors: usize, listeners: Vec<Listener>) -> io::Result<Self> {
        let inbox = |_| -> io::Result<Inbox> {
            let bell = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?;
            Ok(Inbox { orders: SegQueue::new(), bell })
        };
        Ok(Self {
            lanes: Lanes::new(reactors),
            listeners,
            memory: MemoryBook::new(reactors),
            rings: (0..reactors).map(|_| AtomicI32::new(-1)).collect(),
            inboxes: (0..reactors).map(inbox).collect::<io::Result<_>>()?,
            started: Instant::now(),
            last_want_us: AtomicU64::new(0),
        })
    }

    pub fn reactors(&self) -> impl ExactSizeIterator<Item = ReactorId> + use<> {
        (0..self.rings.len()).map(ReactorId::from_index)
    }

    /// Says something to a reactor, asleep or not.
    pub fn order(&self, reactor: ReactorId, order: Order) -> io::Result<()> {
        let inbox = &self.inboxes[reactor.index()];
        inbox.orders.push(order);
        rustix::io::write(&inbox.bell, &1u64.to_ne_bytes())?;
        Ok(())
    }

    /// Notes that a connection cannot be accepted, and tells of it once, whichever reactors notice and how often they
    /// try again.
    fn note_want(&self, error: &io::Error) {
        let now_us = self.started.elapsed().as_micros() as u64;
        let last_us = self.last_want_us.swap(now_us, Ordering::Relaxed);
        if last_us == 0 || now_us.saturating_sub(last_us) > WANT_OVER.as_micros() as u64 {
            tracing::warn!("cannot accept connections: {error}; {}", outlook(error));
        }
    }

    fn ring(&self, reactor: ReactorId) -> RawFd {
        self.rings[reactor.index()].load(Ordering::Acquire)
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { unix_us: unix.as_micros() as u64, mono_us: self.started.elapsed().as_micros() as u64 }
    }
}

/// What becomes of connections that cannot be accepted, and what helps.
fn outlook(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => {
            "they wait until descriptors are free. Raise the limit on open files (ulimit -n, LimitNOFILE)"
        }
        Some(libc::ENFILE) => {
            "they wait until descriptors are free. Raise the limit on open files of the whole system (sysctl fs.file-max)"
        }
        _ => "they wait until the kernel has memory for them",
    }
}

/// A reactor, on its thread.
#[derive(Debug)]
pub struct Reactor {
    id: ReactorId,
    core: Core,
    ring: Ring,
    sockets: Sockets,
    plant: Arc<Plant>,
    completions: Vec<Completion>,
    /// Sockets whose receive ended for want of a buffer.
    starved: Vec<u32>,
    /// Listeners that rest, and until when.
    resting: Vec<(u32, Instant)>,
    /// Who is told of each load that the core has been given.
    loads: VecDeque<Sender<Result<ReactorId, LoadFailure>>>,
    /// The journal's file, on the reactor that writes it.
    journal: Option<File>,
    /// Writes and syncs of it that are under way.
    disk_jobs: usize,
    /// The control side waits for the end of the journal's file.
    is_turning: bool,
    /// It waits for this to be durable.
    reaching: Option<Reach>,
    /// It waits for the server to stand still.
    is_stopping_writes: bool,
    /// Where the pieces of a snapshot go.
    outlet: Option<Outlet>,
    stopping: bool,
}

impl Reactor {
    /// Makes the reactor on the thread that will run it.
    pub fn new(core: Core, plant: Arc<Plant>) -> io::Result<Self> {
        let ring = Ring::new()?;
        let id = core.id;
        plant.rings[id.index()].store(ring.fd(), Ordering::Release);
        Ok(Self {
            id,
            core,
            ring,
            sockets: Sockets::default(),
            plant,
            completions: Vec::with_capacity(COMPLETIONS_MAX),
            starved: Vec::new(),
            resting: Vec::new(),
            loads: VecDeque::new(),
            journal: None,
            disk_jobs: 0,
            is_turning: false,
            reaching: None,
            is_stopping_writes: false,
            outlet: None,
            stopping: false,
        })
    }

    /// Serves until told to stop. `tell` is called with what the control thread is to know.
    pub fn run(mut self, tell: impl Fn(Notice)) -> io::Result<()> {
        let plant = Arc::clone(&self.plant);
        self.ring.poll_readable(plant.inboxes[self.id.index()].bell.as_raw_fd(), Token::Control);
        for (index, listener) in plant.listeners.iter().enumerate() {
            if listener.serves(self.id) {
                self.ring.accept(listener.fd(), Token::Accept(index as u32));
            }
        }
        while !self.stopping {
            self.wait()?;
            self.core.begin(plant.now(), plant.memory.total());
            self.handle_completions();
            self.drain_lanes();
            self.load_some();
            self.core.settle();
            self.core.seal_effects();
            self.flush_lanes();
            self.write_journal();
            self.act();
            self.give_pieces()?;
            self.core.note_walk();
            plant.memory.publish(self.id);
            self.core.end();
            self.tell_all(&tell);
        }
        let finished = self.finish_journal();
        // The replies of the last iteration leave, as far as the sockets take them.
        self.ring.submit()?;
        finished
    }

    fn tell_all(&mut self, tell: &impl Fn(Notice)) {
        while let Some(shutdown) = self.core.next_shutdown() {
            tell(Notice::Shutdown(shutdown));
        }
        while let Some(change) = self.core.take_scope_change() {
            tell(Notice::Scopes(change));
        }
        while let Some(request) = self.core.next_save_request() {
            tell(Notice::Save(request));
        }
        if self.is_turning
            && let Some(turned) = self.core.journal_turned()
        {
            self.is_turning = false;
            tell(Notice::Turned(turned));
        }
        if let Some(outcome) = self.take_reached() {
            tell(Notice::Turned(outcome));
        }
        if self.is_stopping_writes
            && let Some(outcome) = self.core.journal_hurried()
        {
            self.is_stopping_writes = false;
            tell(Notice::StoodStill(outcome));
        }
    }

    /// How far the journal is durable that was asked for, or why it is not. Where it has ended, its file is let go of once
    /// the kernel has nothing of the writer's any more.
    fn take_reached(&mut self) -> Option<Turned> {
        let Reach { until, is_end } = self.reaching?;
        // Again, because a stop of the server that is refused has it go on as before.
        self.core.close_journal();
        if is_end && self.disk_jobs > 0 {
            return None;
        }
        let outcome = self.core.journal_reached(until)?;
        self.reaching = None;
        if is_end {
            self.core.set_journal_writer(None);
            self.journal = None;
        } else {
            self.core.reopen_journal();
        }
        Some(outcome.map(|()| until))
    }

    /// Goes on with the walk of a snapshot, and hands over what has come of it, as far as there is room.
    fn give_pieces(&mut self) -> io::Result<()> {
        let Some(outlet) = &self.outlet else { return Ok(()) };
        faults::pass(Point::Walk)?;
        self.core.walk_some();
        if outlet.is_abandoned.load(Ordering::Relaxed) {
            self.core.abandon_walk();
        }
        while let Some(piece) = self.core.next_piece() {
            let is_last = piece.chunk.is_none();
            match outlet.give(piece) {
                Ok(()) => {}
                Err(TrySendError::Full(piece)) => {
                    self.core.return_piece(piece);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => self.core.abandon_walk(),
            }
            if is_last {
                self.outlet = None;
                break;
            }
        }
        Ok(())
    }

    fn load_some(&mut self) {
        match self.core.load_some() {
            Ok(false) => {}
            done => {
                if let Some(whom) = self.loads.pop_front() {
                    // Whoever gave it may have given up.
                    let _ = whom.send(done.map(|_| self.id));
                }
            }
        }
    }

    fn write_journal(&mut self) {
        let Some(file) = &self.journal else { return };
        let fd = file.as_raw_fd();
        while let Some(job) = self.core.next_disk_job() {
            self.disk_jobs += 1;
            match job {
                // SAFETY: the writer keeps a group's bytes, unchanged, until it is told that their write has ended; it is
                // replaced only when nothing is under way (`take_reached`), and else lives as long as the core, which the
                // reactor keeps until nothing of the journal is under way.
                Job::Write { bytes, at } => unsafe {
                    self.ring.write(fd, faults::part(bytes), at, Token::Write);
                },
                Job::Sync => self.ring.sync(fd, Token::Sync),
            }
        }
    }

    /// The last of what was done becomes durable.
    fn finish_journal(&mut self) -> io::Result<()> {
        let began = Instant::now();
        self.core.close_journal();
        loop {
            self.core.begin(self.plant.now(), self.plant.memory.total());
            self.handle_completions();
            self.drain_lanes();
            self.core.seal_effects();
            // A batch that does not reach who writes leaves a hole, and what follows is not written.
            self.flush_lanes();
            self.write_journal();
            let is_settled = self.core.is_journal_settled() && self.plant.lanes.is_empty(self.id);
            if (is_settled || began.elapsed() > FINISH_MAX) && self.disk_jobs == 0 {
                let lost =
                    |why| Err(io::Error::other(format!("what was done last is not in the journal: {why}")));
                return self.core.journal_loss().map_or(Ok(()), lost);
            }
            self.ring.submit_and_wait(FINISH_STEP)?;
        }
    }

    /// Submits, and sleeps if there is nothing to do.
    fn wait(&mut self) -> io::Result<()> {
        if self.core.has_work() || self.ring.has_completions() || !self.plant.lanes.is_empty(self.id) {
            return self.ring.submit();
        }
        let plant = Arc::clone(&self.plant);
        let parking = plant.lanes.parking(self.id);
        parking.announce();
        let slept = if plant.lanes.is_empty(self.id) {
            self.ring.submit_and_wait(self.sleep_time())
        } else {
            self.ring.submit()
        };
        parking.awake();
        slept
    }

    fn sleep_time(&self) -> Duration {
        let now_us = self.plant.started.elapsed().as_micros() as u64;
        let tick = Duration::from_micros(self.core.next_deadline_us().saturating_sub(now_us));
        let rest = if self.resting.is_empty() { SLEEP_MAX } else { ACCEPT_REST };
        tick.min(rest).min(SLEEP_MAX)
    }

    fn handle_completions(&mut self) {
        let mut completions = std::mem::take(&mut self.completions);
        self.ring.reap(&mut completions, COMPLETIONS_MAX);
        for completion in completions.drain(..) {
            match completion.token {
                Token::Recv(index) => self.received(index, completion),
                Token::Send(index) => self.sent(index, completion),
                Token::Accept(index) => self.accepted(index, completion),
                Token::Control => self.take_orders(),
                Token::Write => {
                    self.disk_jobs -= 1;
                    self.core.disk_written(faults::written(completion.outcome()));
                }
                Token::Sync => {
                    self.disk_jobs -= 1;
                    let outcome = completion.outcome().map(drop);
                    self.core.disk_synced(faults::synced(self.journal.as_ref(), outcome));
                }
                Token::Wake | Token::Cancel => {}
            }
        }
        self.completions = completions;
        // The buffers are back with the kernel by now.
        for index in std::mem::take(&mut self.starved) {
            self.receive_more(index);
        }
        self.end_rests();
    }

    fn received(&mut self, index: u32, completion: Completion) {
        let Some(socket) = self.sockets.find(index) else { return };
        let conn = socket.conn;
        socket.receiving = completion.more();
        let wanted = !socket.closing;
        match completion.outcome() {
            Ok(len) if len > 0 => {
                let Some(buffer) = completion.buffer() else { return };
                if wanted {
                    self.core.receive(conn, self.ring.buffers.filled(buffer, len));
                }
                self.ring.buffers.done(buffer, len, completion.flags);
                self.receive_more(index);
            }
            Ok(_) => self.core.input_ended(conn),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOBUFS) => self.starved.push(index),
                Some(libc::ECANCELED | libc::EINTR | libc::EAGAIN) => self.receive_more(index),
                _ => self.core.hung_up(conn),
            },
        }
        self.close_if_done(index);
    }

    /// Arms the receive of a socket that should be read and is not.
    fn receive_more(&mut self, index: u32) {
        let Some(socket) = self.sockets.find(index) else { return };
        if !socket.receiving && !socket.paused && !socket.closing {
            socket.receiving = true;
            self.ring.receive(socket.fd(), Token::Recv(index));
        }
    }

    fn sent(&mut self, index: u32, completion: Completion) {
        let Some(socket) = self.sockets.find(index) else { return };
        let Some((bytes, out)) = socket.sending.take() else { return };
        match completion.outcome() {
            Ok(len) if out + len < bytes.len() && !socket.closing => self.send(index, bytes, out + len),
            Ok(_) => {
                let conn = socket.conn;
                self.core.sent(conn, bytes);
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {
                self.send(index, bytes, out);
            }
            Err(_) => {
                let conn = socket.conn;
                self.core.hung_up(conn);
            }
        }
        self.close_if_done(index);
    }

    fn send(&mut self, index: u32, bytes: Vec<u8>, out: usize) {
        let Some(socket) = self.sockets.find(index) else { return };
        let fd = socket.fd();
        let (bytes, _) = socket.sending.insert((bytes, out));
        // SAFETY: the bytes are kept in the socket, unchanged, until its send completes; the socket is removed only
        // when nothing is in flight; a Vec's bytes do not move when the Vec does.
        unsafe { self.ring.send(fd, &bytes[out..], Token::Send(index)) };
    }

    fn accepted(&mut self, index: u32, completion: Completion) {
        let plant = Arc::clone(&self.plant);
        let Some(listener) = plant.listeners.get(index as usize) else { return };
        match completion.outcome() {
            Ok(fd) => {
                // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
                let socket = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
                if let Ok(accepted) = listener.accepted(rustix::fd::AsFd::as_fd(&socket)) {
                    let _ = std::os::fd::IntoRawFd::into_raw_fd(socket);
                    self.core.accepted(accepted);
                }
            }
            Err(error) => {
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
                ) {
                    plant.note_want(&error);
                    self.resting.push((index, Instant::now() + ACCEPT_REST));
                    return;
                }
            }
        }
        if !completion.more() {
            self.ring.accept(listener.fd(), Token::Accept(index));
        }
    }

    fn end_rests(&mut self) {
        if self.resting.is_empty() {
            return;
        }
        let now = Instant::now();
        let (over, resting) =
            std::mem::take(&mut self.resting).into_iter().partition(|(_, until)| *until <= now);
        self.resting = resting;
        for (index, _) in Vec::<(u32, Instant)>::from_iter(over) {
            let listener = self.plant.listeners[index as usize].fd();
            self.ring.accept(listener, Token::Accept(index));
        }
    }

    fn take_orders(&mut self) {
        let plant = Arc::clone(&self.plant);
        let inbox = &plant.inboxes[self.id.index()];
        let _ = rustix::io::read(&inbox.bell, &mut [0u8; 8]);
        while let Some(order) = inbox.orders.pop() {
            match order {
                Order::Load { load, done } => {
                    self.core.load(load);
                    self.loads.push_back(done);
                }
                Order::Journal { start, done } => {
                    let (writer, file) = start.map(|start| (start.writer, start.file)).unzip();
                    self.journal = file;
                    self.core.begin_journal(writer);
                    let _ = done.send(Ok(self.id));
                }
                Order::Loaded { done } => {
                    self.core.end_loading();
                    let _ = done.send(Ok(self.id));
                }
                Order::Answer(answered) => {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Order::Report { done } => {
                    // Whoever asked may have given up.
                    let _ = done.send((self.id, Report::whole(&mut self.core)));
                }
                Order::ScopesChanged { change, outcome } => self.core.scopes_changed(change, outcome),
                Order::Write(start) => {
                    self.journal = Some(start.file);
                    self.core.set_journal_writer(Some(start.writer));
                }
                Order::Reach(reach) => {
                    self.core.close_journal();
                    self.reaching = Some(reach);
                }
                Order::JournalEnded => self.core.end_journal(),
                Order::Turn => {
                    self.core.turn_journal();
                    self.is_turning = true;
                }
                Order::GoOn(next) => {
                    let (facts, file) = next.map(|next| *next).unzip();
                    self.core.go_on_journal(facts);
                    self.journal = file.or(self.journal.take());
                }
                Order::Stuck(why) => self.core.journal_stuck(why),
                Order::Walk(outlet) => self.outlet = Some(outlet),
                Order::Cut(cut) => self.core.cut(cut),
                Order::StandStill => {
                    self.core.cut(Cut { walks: false, journals: None, holds: true });
                    self.is_stopping_writes = true;
                }
                Order::GoOnServing => self.core.let_write(),
                Order::Reply { reply_to, outcome } => self.core.answer_saved(reply_to, &outcome),
                Order::Stop => self.stopping = true,
            }
        }
        self.ring.poll_readable(inbox.bell.as_raw_fd(), Token::Control);
    }

    fn drain_lanes(&mut self) {
        let plant = Arc::clone(&self.plant);
        for from in (0..plant.rings.len()).map(ReactorId::from_index).filter(|&from| from != self.id) {
            for _ in 0..LANE_DRAIN_MAX {
                let Some(batch) = plant.lanes.pop(from, self.id) else { break };
                self.core.deliver(from, batch);
            }
        }
    }

    /// Sends every batch off, and wakes whoever sleeps, once each.
    fn flush_lanes(&mut self) {
        for to in (0..self.plant.rings.len()).map(ReactorId::from_index) {
            let Some(batch) = self.core.take_batch(to) else { continue };
            if let Err(batch) = self.plant.lanes.push(self.id, to, batch) {
                self.core.return_batch(to, batch);
            }
            if self.plant.lanes.parking(to).must_wake() {
                self.ring.wake(self.plant.ring(to));
            }
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.core.next_action() {
            self.act_on(action);
        }
        let stall_us = self.core.take_stall_us();
        if stall_us > 0 {
            std::thread::sleep(Duration::from_micros(stall_us));
        }
    }

    fn act_on(&mut self, action: Action) {
        let index = action.conn.index;
        if let Some(fd) = action.adopt {
            // SAFETY: the descriptor was let go of in `accepted`, here or on the reactor that sent it, for this
            // connection alone.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            self.sockets.seat(action.conn, fd);
            self.receive_more(index);
        }
        if let Some(bytes) = action.send {
            self.send(index, bytes, 0);
        }
        match action.read {
            Some(true) => {
                if let Some(socket) = self.sockets.find(index) {
                    socket.paused = false;
                }
                self.receive_more(index);
            }
            Some(false) => {
                if let Some(socket) = self.sockets.find(index) {
                    socket.paused = true;
                    self.ring.cancel(Token::Recv(index));
                }
            }
            None => {}
        }
        if action.close {
            if let Some(socket) = self.sockets.find(index) {
                socket.shut_down();
            }
            self.close_if_done(index);
        }
    }

    /// Closes a socket that is to be closed once nothing of it is in flight.
    fn close_if_done(&mut self, index: u32) {
        let Some(socket) = self.sockets.find(index) else { return };
        if socket.closing && !socket.in_flight() {
            let conn = socket.conn;
            self.sockets.remove(index);
            self.core.closed(conn);
        }
    }
}

/// Borrowed for as long as the plant lives: the control thread closes nothing while reactors run.
impl Plant {
    pub fn bell(&self, reactor: ReactorId) -> BorrowedFd<'_> {
        rustix::fd::AsFd::as_fd(&self.inboxes[reactor.index()].bell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_to_be_raised_only_where_it_is_the_reason() {
        let outlook = |code| outlook(&io::Error::from_raw_os_error(code));
        assert!(outlook(libc::EMFILE).contains("Raise the limit on open files (ulimit -n"));
        assert!(outlook(libc::ENFILE).contains("fs.file-max"));
        for code in [libc::ENOMEM, libc::ENOBUFS] {
            assert!(!outlook(code).contains("limit") && outlook(code).contains("memory"));
        }
    }
}
