//! One thread's event loop: an epoll instance over its connections, and alarms for what is due.
//!
//! Level-triggered and one read per report, so that no connection starves another. A closed loop costs
//! three system calls per pipeline at most: the wait, shared by all that are ready, a read and a write.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

use super::cluster::{Map, Routes, Topology};
use super::connection::{Assignment, Connection, Place, Shared};
use super::session::Phase;
use super::tally::Tally;
use super::target::Target;
use super::written::Written;
use crate::Error;
use crate::interrupt;
use crate::process;

const BUFFER_LEN: usize = 256 * 1024;
const EVENTS_MAX: usize = 256;
/// How often deadlines and interrupts are looked at when nothing arrives.
const TICK_NS: u64 = 50_000_000;
/// How long a server may leave all requests unanswered.
const STALL_MAX: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct Worker {
    epoll: OwnedFd,
    target: Target,
    /// The clients it has, of all threads'.
    clients: Range<usize>,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    /// Due times, soonest first, with the connection whose request is due.
    alarms: BinaryHeap<Reverse<(u64, usize)>>,
    pub(crate) written: Option<Written>,
    /// None where one server has all keys.
    topology: Option<Topology>,
}

/// The clock and the counter of a phase.
pub(crate) struct Run<'a> {
    pub(crate) began: Instant,
    pub(crate) replies: &'a AtomicU64,
    /// Set when another thread has failed.
    pub(crate) aborted: &'a AtomicBool,
    /// Empty where one server has all keys.
    pub(crate) routes: &'a Routes,
}

impl Run<'_> {
    fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }
}

impl Worker {
    pub(crate) fn connect(
        target: &Target,
        topology: Option<&Topology>,
        clients: Range<usize>,
    ) -> Result<Self, Error> {
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|errno| Error::system("epoll", errno))?;
        let mut this = Self {
            epoll,
            target: target.clone(),
            clients,
            connections: Vec::new(),
            buffer: vec![0; BUFFER_LEN],
            alarms: BinaryHeap::new(),
            written: None,
            topology: topology.cloned(),
        };
        this.complete()?;
        Ok(this)
    }

    /// Makes sure that every client has a connection to every node, those included that MOVED has named.
    pub(crate) fn complete(&mut self) -> Result<(), Error> {
        let nodes = self.topology.as_ref().map_or(1, Topology::nodes);
        let known: HashSet<Place> = self.places().collect();
        let wanted =
            self.clients.clone().flat_map(|client| (0..nodes).map(move |node| Place { client, node }));
        for place in wanted.filter(|place| !known.contains(place)) {
            let of_node = self.topology.as_ref().map(|topology| topology.target(place.node));
            let target = of_node.unwrap_or_else(|| self.target.clone());
            self.join(&target, place)?;
        }
        Ok(())
    }

    /// Which connections there are, in the order of the assignments.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.connections.iter().map(|connection| connection.place)
    }

    fn join(&mut self, target: &Target, place: Place) -> Result<usize, Error> {
        let connection = Connection::new(target.connect()?.into_socket()?, place);
        let index = self.connections.len();
        epoll::add(&self.epoll, &connection, EventData::new_u64(index as u64), EventFlags::IN)
            .map_err(|errno| Error::system("epoll", errno))?;
        self.connections.push(connection);
        Ok(index)
    }

    /// Runs a phase to its end, every request answered. `assignments` has an entry per connection.
    pub(crate) fn run(
        &mut self,
        phase: &Phase,
        mut assignments: Vec<Assignment>,
        run: &Run<'_>,
    ) -> Result<Tally, Error> {
        let cpu_before = process::own_thread_cpu_ns();
        let mut tally = Tally::new(phase.mix.rows.len());
        let end_ns = phase.limit.time.map_or(u64::MAX, |time| time.as_nanos() as u64);
        let (mut written, mut topology) = (self.written.take(), self.topology.take());
        let mut shared = Shared {
            mix: &phase.mix,
            generation: phase.generation,
            end_ns,
            check: &phase.check,
            written: written.as_mut(),
            cluster: topology.as_mut().map(|topology| Map::new(run.routes, topology)),
            tally: &mut tally,
        };
        let result = self.drive(&mut assignments, &mut shared, run);
        (self.written, self.topology) = (written, topology);
        result?;
        let foreground = assignments.into_iter().filter(|assignment| !assignment.background);
        tally.overdue = foreground.map(|assignment| assignment.overdue(end_ns)).sum();
        tally.elapsed_ns = run.now_ns();
        tally.client_cpu_ns = process::own_thread_cpu_ns().saturating_sub(cpu_before);
        Ok(tally)
    }

    fn drive(
        &mut self,
        assignments: &mut Vec<Assignment>,
        shared: &mut Shared<'_>,
        run: &Run<'_>,
    ) -> Result<(), Error> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut sending = true;
        let mut last_reply_ns = run.now_ns();
        self.alarms.clear();
        for (index, assignment) in assignments.iter_mut().enumerate() {
            self.connections[index].reset();
            self.feed(index, assignment, shared, run.now_ns())?;
            self.watch_writable(index)?;
        }
        while (sending && !foreground_done(assignments)) || self.unanswered() > 0 {
            let had_replies = self.poll(&mut events, assignments, shared, run, sending)?;
            let now_ns = run.now_ns();
            if had_replies {
                last_reply_ns = now_ns;
            }
            if sending && (now_ns >= shared.end_ns || foreground_done(assignments)) {
                sending = false;
                self.alarms.clear();
            }
            self.check_patience(run, now_ns, last_reply_ns)?;
        }
        Ok(())
    }

    fn unanswered(&self) -> usize {
        self.connections.iter().map(Connection::unanswered).sum()
    }

    fn check_patience(&self, run: &Run<'_>, now_ns: u64, last_reply_ns: u64) -> Result<(), Error> {
        if interrupt::requested() || run.aborted.load(Relaxed) {
            return Err(Error::Interrupted);
        }
        let waited = Duration::from_nanos(now_ns.saturating_sub(last_reply_ns));
        if waited > STALL_MAX && self.unanswered() > 0 {
            return Err(Error::Stalled { seconds: STALL_MAX.as_secs(), in_flight: self.unanswered() });
        }
        Ok(())
    }

    /// Waits once, and serves what is ready and what is due. Returns whether anything was received.
    fn poll(
        &mut self,
        events: &mut Vec<epoll::Event>,
        assignments: &mut Vec<Assignment>,
        shared: &mut Shared<'_>,
        run: &Run<'_>,
        sending: bool,
    ) -> Result<bool, Error> {
        self.wait(events, run.now_ns())?;
        let mut answered = 0;
        for event in events.iter() {
            let (index, flags) = (event.data.u64() as usize, event.flags);
            let connection = &mut self.connections[index];
            let before = connection.in_flight();
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                connection.receive(&mut self.buffer, shared, || run.now_ns())?;
            }
            if flags.contains(EventFlags::OUT) {
                connection.flush()?;
            }
            answered += (before - connection.in_flight()) as u64;
            self.feed_phase(index, &mut assignments[index], shared, run, sending)?;
            answered -= self.pass_on(index, assignments, shared, run, sending)?;
        }
        run.replies.fetch_add(answered, Relaxed);
        self.ring_alarms(assignments, shared, run)?;
        Ok(!events.is_empty())
    }

    /// Gives requests that a connection's node has refused with MOVED to its client's connections to the
    /// nodes named; returns how many.
    fn pass_on(
        &mut self,
        from: usize,
        assignments: &mut Vec<Assignment>,
        shared: &mut Shared<'_>,
        run: &Run<'_>,
        sending: bool,
    ) -> Result<u64, Error> {
        let Some(cluster) = &mut shared.cluster else { return Ok(0) };
        let moved = std::mem::take(&mut cluster.moved);
        for &(request, node) in &moved {
            let place = Place { node, ..self.connections[from].place };
            let known = self.places().position(|known| known == place);
            let to = match (known, &shared.cluster) {
                (None, Some(cluster)) => {
                    assignments.push(Assignment::idle(shared.mix, assignments[from].pipeline)?);
                    self.join(&cluster.target(node), place)?
                }
                (known, _) => known.unwrap_or(from),
            };
            self.connections[to].owe(request);
            self.feed_phase(to, &mut assignments[to], shared, run, sending)?;
        }
        Ok(moved.len() as u64)
    }

    /// Sends what the connection may send in this part of the phase.
    fn feed_phase(
        &mut self,
        index: usize,
        assignment: &mut Assignment,
        shared: &mut Shared<'_>,
        run: &Run<'_>,
        sending: bool,
    ) -> Result<(), Error> {
        if sending {
            self.feed(index, assignment, shared, run.now_ns())?;
        } else {
            self.connections[index].send_owed(assignment, shared)?;
        }
        self.watch_writable(index)
    }

    fn wait(&self, events: &mut Vec<epoll::Event>, now_ns: u64) -> Result<(), Error> {
        let until_alarm = self.alarms.peek().map(|Reverse((due_ns, _))| due_ns.saturating_sub(now_ns));
        let timeout_ns = until_alarm.unwrap_or(TICK_NS).min(TICK_NS);
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout_ns as _ };
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::system("epoll_wait", errno)),
        }
    }

    fn ring_alarms(
        &mut self,
        assignments: &mut [Assignment],
        shared: &mut Shared<'_>,
        run: &Run<'_>,
    ) -> Result<(), Error> {
        if self.alarms.is_empty() {
            return Ok(());
        }
        let now_ns = run.now_ns();
        while let Some(Reverse((due_ns, index))) = self.alarms.peek().copied() {
            if due_ns > now_ns {
                break;
            }
            self.alarms.pop();
            self.connections[index].has_alarm = false;
            self.feed(index, &mut assignments[index], shared, now_ns)?;
            self.watch_writable(index)?;
        }
        Ok(())
    }

    /// Sends what the connection may send now; in an open loop sets the alarm for the next request,
    /// unless the pipeline is full, when the next reply does it.
    fn feed(
        &mut self,
        index: usize,
        assignment: &mut Assignment,
        shared: &mut Shared<'_>,
        now_ns: u64,
    ) -> Result<(), Error> {
        let connection = &mut self.connections[index];
        if assignment.is_done() && !connection.owes() {
            return Ok(());
        }
        if assignment.schedule.is_none() {
            return connection.send_pipeline(assignment, shared, now_ns);
        }
        connection.send_due(assignment, shared, now_ns)?;
        if let Some(schedule) = &assignment.schedule
            && schedule.due_ns() < shared.end_ns
            && connection.has_room(assignment)
            && !connection.has_alarm
            && !assignment.is_done()
        {
            connection.has_alarm = true;
            self.alarms.push(Reverse((schedule.due_ns(), index)));
        }
        Ok(())
    }

    /// Asks for reports of writability only while bytes wait for it.
    fn watch_writable(&mut self, index: usize) -> Result<(), Error> {
        let connection = &mut self.connections[index];
        if connection.has_unsent() == connection.watches_writable {
            return Ok(());
        }
        connection.watches_writable = connection.has_unsent();
        let mut flags = EventFlags::IN;
        flags.set(EventFlags::OUT, connection.watches_writable);
        epoll::modify(&self.epoll, &*connection, EventData::new_u64(index as u64), flags)
            .map_err(|errno| Error::system("epoll_ctl", errno))
    }
}

fn foreground_done(assignments: &[Assignment]) -> bool {
    assignments.iter().filter(|assignment| !assignment.background).all(Assignment::is_done)
}
