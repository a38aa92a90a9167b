//! One connection under load: what it will send, what is on its way, and what each reply means.
//!
//! Invariants: requests in flight are answered in order; `in_flight` and `batch` never hold more than
//! one pipeline; a batch is refilled only when all of it has left; what another node has sent on (`owed`)
//! goes first.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bobbin_proto::decode;
use rustix::io::Errno;

use super::batch::Batch;
use super::cluster::Map;
use super::pace::Schedule;
use super::session::Check;
use super::tally::Tally;
use super::written::Written;
use crate::Error;
use crate::workload::template::Shape;
use crate::workload::{Mix, Source, value};

/// How often a request follows MOVED before that is an error.
const DETOURS_MAX: u16 = 16;
/// How many keys in a row may belong to other nodes.
const FOREIGN_KEYS_MAX: u64 = 10_000_000;

/// The generation of values written before the measured part, and in it.
pub(crate) const GENERATIONS: [u8; 2] = [0, 1];

#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    pub(crate) place: Place,
    batch: Batch,
    unsent_from: usize,
    in_flight: VecDeque<InFlight>,
    /// Requests that other nodes have refused in favour of this one's.
    owed: VecDeque<InFlight>,
    /// The front of a reply whose rest has not arrived.
    partial: Vec<u8>,
    /// Whether epoll has been asked to report the socket writable.
    pub(crate) watches_writable: bool,
    /// Whether the worker has an alarm set for the next due request.
    pub(crate) has_alarm: bool,
}

/// Which of a session's connections it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Over all threads.
    pub(crate) client: usize,
    /// Of the cluster; the only one elsewhere.
    pub(crate) node: usize,
}

/// A run of requests alike in row and start is still one entry each: keys differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight {
    start_ns: u64,
    key: u64,
    row: u32,
    /// Replies that are still to come.
    replies: u16,
    /// Nodes that have refused it.
    detours: u16,
}

impl InFlight {
    fn row(&self) -> usize {
        self.row as usize
    }
}

/// What a connection has to do in a phase.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) source: Source,
    pub(crate) pipeline: usize,
    /// Requests still to send; none for as long as the phase lasts.
    pub(crate) left: Option<u64>,
    /// `left` counts keys drawn, those of other nodes included.
    pub(crate) left_is_draws: bool,
    /// None in a closed loop.
    pub(crate) schedule: Option<Schedule>,
    /// The phase does not wait for this connection.
    pub(crate) background: bool,
}

/// What all connections of a worker share in a phase.
pub(crate) struct Shared<'a> {
    pub(crate) mix: &'a Mix,
    pub(crate) generation: u8,
    /// Nothing due at this time or later is sent.
    pub(crate) end_ns: u64,
    pub(crate) check: &'a Check,
    pub(crate) written: Option<&'a mut Written>,
    /// None where one server has all keys.
    pub(crate) cluster: Option<Map<'a>>,
    pub(crate) tally: &'a mut Tally,
}

impl Assignment {
    /// To send only what is owed.
    pub(crate) fn idle(mix: &Mix, pipeline: usize) -> Result<Self, Error> {
        let (source, left) = (mix.source(0, 1, 0)?, Some(0));
        Ok(Self { source, pipeline, left, left_is_draws: false, schedule: None, background: true })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// How many requests were due before `end_ns` and have not been sent.
    pub(crate) fn overdue(mut self, end_ns: u64) -> u64 {
        let Some(schedule) = &mut self.schedule else { return 0 };
        let mut count = 0;
        while schedule.due_ns() < end_ns && self.left.is_none_or(|left| count < left) {
            schedule.advance();
            count += 1;
        }
        count
    }

    fn take(&mut self, count: u64) {
        if let Some(left) = &mut self.left {
            *left -= count;
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd, place: Place) -> Self {
        Self {
            socket,
            place,
            batch: Batch::default(),
            unsent_from: 0,
            in_flight: VecDeque::new(),
            owed: VecDeque::new(),
            partial: Vec::new(),
            watches_writable: false,
            has_alarm: false,
        }
    }

    /// Makes ready for a phase with a mix of its own; everything sent must have been answered.
    pub(crate) fn reset(&mut self) {
        self.batch = Batch::default();
        self.unsent_from = 0;
        self.has_alarm = false;
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Requests that are not answered, sent or not.
    pub(crate) fn unanswered(&self) -> usize {
        self.in_flight.len() + self.owed.len()
    }

    pub(crate) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Takes over a request that another node has refused.
    pub(crate) fn owe(&mut self, request: InFlight) {
        self.owed.push_back(request);
    }

    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent_from < self.batch.bytes().len()
    }

    /// Whether a due request could leave now.
    pub(crate) fn has_room(&self, assignment: &Assignment) -> bool {
        !self.has_unsent() && self.in_flight.len() < assignment.pipeline
    }

    /// Sends a whole pipeline if the last one is answered.
    pub(crate) fn send_pipeline(
        &mut self,
        assignment: &mut Assignment,
        shared: &mut Shared<'_>,
        now_ns: u64,
    ) -> Result<(), Error> {
        if !self.in_flight.is_empty() || self.has_unsent() {
            return Ok(());
        }
        self.refill();
        self.push_owed(assignment, shared);
        while self.in_flight.len() < assignment.pipeline && !assignment.is_done() {
            self.push(assignment, shared, now_ns)?;
        }
        self.flush()
    }

    /// Sends what is due, as far as the pipeline has room; latency counts from when it was due.
    pub(crate) fn send_due(
        &mut self,
        assignment: &mut Assignment,
        shared: &mut Shared<'_>,
        now_ns: u64,
    ) -> Result<(), Error> {
        if self.has_unsent() {
            return Ok(());
        }
        self.refill();
        self.push_owed(assignment, shared);
        while self.in_flight.len() < assignment.pipeline && !assignment.is_done() {
            let Some(schedule) = &mut assignment.schedule else { break };
            let due_ns = schedule.due_ns();
            if due_ns > now_ns || due_ns >= shared.end_ns {
                break;
            }
            schedule.advance();
            self.push(assignment, shared, due_ns)?;
        }
        self.flush()
    }

    /// Sends what other nodes have refused, and nothing new.
    pub(crate) fn send_owed(&mut self, assignment: &Assignment, shared: &Shared<'_>) -> Result<(), Error> {
        if self.owed.is_empty() || self.has_unsent() {
            return Ok(());
        }
        self.refill();
        self.push_owed(assignment, shared);
        self.flush()
    }

    fn refill(&mut self) {
        self.batch.clear();
        self.unsent_from = 0;
    }

    #[inline]
    fn push(
        &mut self,
        assignment: &mut Assignment,
        shared: &mut Shared<'_>,
        start_ns: u64,
    ) -> Result<(), Error> {
        let pushed = if shared.cluster.is_some() {
            self.push_of_node(assignment, shared)?
        } else {
            assignment.take(1);
            let written = shared.written.as_deref_mut();
            Some(self.batch.push(shared.mix, &mut assignment.source, shared.generation, written))
        };
        if let Some((row, key)) = pushed {
            let replies = shared.mix.rows[row].template.replies() as u16;
            self.in_flight.push_back(InFlight { start_ns, key, row: row as u32, replies, detours: 0 });
        }
        Ok(())
    }

    /// The next request of the client that is this node's; none if its keys have come to an end.
    fn push_of_node(
        &mut self,
        assignment: &mut Assignment,
        shared: &mut Shared<'_>,
    ) -> Result<Option<(usize, u64)>, Error> {
        let Some(cluster) = &shared.cluster else { return Ok(None) };
        let draws_max = assignment.left.filter(|_| assignment.left_is_draws).unwrap_or(FOREIGN_KEYS_MAX);
        let mut draws = draws_max;
        let node = self.place.node;
        let pushed = self.batch.push_accepted(
            (shared.mix, shared.generation),
            &mut assignment.source,
            shared.written.as_deref_mut(),
            &mut draws,
            |row, request| cluster.is_for(node, row, request),
        );
        if assignment.left_is_draws {
            assignment.take(draws_max - draws);
        } else if pushed.is_some() {
            assignment.take(1);
        } else {
            let target = cluster.target(node).address;
            return Err(Error::Cluster(format!("{draws_max} keys in a row, and none is of {target}")));
        }
        Ok(pushed)
    }

    fn push_owed(&mut self, assignment: &Assignment, shared: &Shared<'_>) {
        while self.in_flight.len() < assignment.pipeline
            && let Some(request) = self.owed.pop_front()
        {
            let values = (shared.mix, shared.generation);
            self.batch.push_again(values, request.row(), request.key);
            self.in_flight.push_back(InFlight { replies: 1, detours: request.detours + 1, ..request });
        }
    }

    /// Writes what is left of the batch, as much as the socket takes.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        while self.has_unsent() {
            match rustix::io::write(&self.socket, &self.batch.bytes()[self.unsent_from..]) {
                Ok(len) => self.unsent_from += len,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(self.broken(errno)),
            }
        }
        Ok(())
    }

    /// Reads once and takes in all whole replies. `buffer` is lent for the call and grown when a reply
    /// does not fit.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut Vec<u8>,
        shared: &mut Shared<'_>,
        now_ns: impl FnOnce() -> u64,
    ) -> Result<(), Error> {
        let kept = self.partial.len();
        if buffer.len() < 2 * kept {
            buffer.resize(2 * kept, 0);
        }
        buffer[..kept].copy_from_slice(&self.partial);
        let len = match rustix::io::read(&self.socket, &mut buffer[kept..]) {
            Ok(0) => return Err(Error::Closed { in_flight: self.in_flight.len() }),
            Ok(len) => len,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(errno) => return Err(self.broken(errno)),
        };
        let received = &buffer[..kept + len];
        let taken = self.take_replies(received, shared, now_ns())?;
        self.partial.clear();
        self.partial.extend_from_slice(&received[taken..]);
        Ok(())
    }

    fn take_replies(
        &mut self,
        received: &[u8],
        shared: &mut Shared<'_>,
        now_ns: u64,
    ) -> Result<usize, Error> {
        let (mut taken, mut run) = (0, Run::default());
        while taken < received.len() {
            let rest = &received[taken..];
            let whole = decode::skip(rest).map_err(|error| Error::Protocol(error.to_string()))?;
            let Some(len) = whole else { break };
            taken += len;
            let reply = &rest[..len];
            let Some(request) = self.in_flight.front_mut() else {
                return Err(Error::Unsolicited(reply[..len.min(80)].escape_ascii().to_string()));
            };
            request.replies -= 1;
            let request = *request;
            if request.replies == 0 {
                self.in_flight.pop_front();
            }
            if shared.follows(request, reply) {
                continue;
            }
            shared.judge(request, reply);
            if request.replies == 0 {
                run.extend(request, now_ns, shared.tally);
            }
        }
        run.record(now_ns, shared.tally);
        Ok(taken)
    }

    fn broken(&self, errno: Errno) -> Error {
        Error::Broken { in_flight: self.in_flight.len(), source: errno.into() }
    }
}

/// Replies of one row with one start: a single entry in the histogram.
#[derive(Default)]
struct Run {
    row: u32,
    start_ns: u64,
    count: u64,
}

impl Run {
    #[inline]
    fn extend(&mut self, request: InFlight, now_ns: u64, tally: &mut Tally) {
        if self.row != request.row || self.start_ns != request.start_ns {
            self.record(now_ns, tally);
            *self = Self { row: request.row, start_ns: request.start_ns, count: 0 };
        }
        self.count += 1;
    }

    fn record(&self, now_ns: u64, tally: &mut Tally) {
        if self.count > 0 {
            tally.rows[self.row as usize].latency.record(now_ns.saturating_sub(self.start_ns), self.count);
        }
    }
}

impl Shared<'_> {
    /// Whether the request is to be sent to another node. Of several commands in one request the others
    /// would have been refused with it, or not: that is an error.
    #[inline]
    fn follows(&mut self, request: InFlight, reply: &[u8]) -> bool {
        let Some(cluster) = &mut self.cluster else { return false };
        let is_alone = self.mix.rows[request.row()].template.replies() == 1;
        let follows = is_alone && request.detours < DETOURS_MAX && cluster.follow(request, reply);
        self.tally.moved += u64::from(follows);
        follows
    }

    #[inline]
    fn judge(&mut self, request: InFlight, reply: &[u8]) {
        match reply[0] {
            b'-' | b'!' => self.tally.note_error(request.row(), reply),
            _ if self.mix.rows[request.row()].template.shape() == Shape::ReadsValue => {
                self.judge_value(request, reply);
            }
            _ => {}
        }
    }

    /// The reply to a GET. What is no bulk string is an empty value, which no key has.
    fn judge_value(&mut self, request: InFlight, reply: &[u8]) {
        let template = &self.mix.rows[request.row()].template;
        let found = bulk_body(reply);
        let row = &mut self.tally.rows[request.row()];
        row.misses += u64::from(found.is_none());
        let holds =
            |value: &[u8], generation| value::matches(value, template.data_size(), request.key, generation);
        let holds_either = |value| GENERATIONS.iter().any(|generation| holds(value, *generation));
        let matches = match (self.check, found) {
            (Check::Nothing, _) | (Check::Either, None) => true,
            (Check::Either, Some(value)) => holds_either(value),
            (Check::Last { written, filled }, found) => {
                let is_written = written.contains(request.key);
                let is_known = is_written || *filled;
                match found {
                    Some(value) if is_known => holds(value, GENERATIONS[usize::from(is_written)]),
                    Some(value) => holds_either(value),
                    None => !is_known,
                }
            }
        };
        row.mismatches += u64::from(!matches);
    }
}

/// The bytes of a whole `$` reply; none of a null, empty of any other.
fn bulk_body(reply: &[u8]) -> Option<&[u8]> {
    match reply[0] {
        b'_' => return None,
        b'$' if reply.starts_with(b"$-1\r\n") => return None,
        b'$' => {}
        _ => return Some(b""),
    }
    let header_end = reply.iter().position(|byte| *byte == b'\n')? + 1;
    reply.get(header_end..reply.len() - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_bodies_are_told_from_nulls() {
        assert_eq!(bulk_body(b"$5\r\nhe\nlo\r\n"), Some(&b"he\nlo"[..]));
        assert_eq!(bulk_body(b"$0\r\n\r\n"), Some(&b""[..]));
        assert_eq!(bulk_body(b"$-1\r\n"), None);
        assert_eq!(bulk_body(b"_\r\n"), None);
        assert_eq!(bulk_body(b"+OK\r\n"), Some(&b""[..]));
    }
}
