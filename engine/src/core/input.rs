//! Input: bytes of a connection become commands, a group at a time.
//!
//! Commands are run on the bytes of the receive buffer. Only what is left of a half-read command, or of input that
//! may not run yet, is copied to the connection.

use bobbin_proto::{Limits, Span, Step};

use super::Core;
use super::submit::Flow;
use crate::command::{self, Args, Command};
use crate::conn::{Closing, Conn, Hold};
use crate::ids::ConnId;
use crate::limits::{GROUP_COMMANDS_MAX, OUTPUT_WEIGHED_BYTES, QUERY_KEPT_BYTES};
use crate::store::Prefetch;

/// Commands parsed and not yet run.
#[derive(Debug, Default)]
pub(super) struct Group {
    spans: Vec<Span>,
    scratch: Vec<Span>,
    commands: Vec<Parsed>,
}

#[derive(Clone, Copy, Debug)]
struct Parsed {
    /// Where it begins in the input, and where the next one does.
    start: usize,
    end: usize,
    /// Its arguments among the group's spans.
    first: usize,
    count: usize,
    command: Option<&'static Command>,
}

impl Core {
    /// Input: bytes arrived on a connection.
    pub fn receive(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(mut conn) = self.conns.take_out(id) else { return };
        conn.bytes_in += bytes.len() as u64;
        conn.last_active_ms = self.env.now.unix_ms();
        self.observed.counts.net_in += bytes.len() as u64;
        self.observed.counts.reads += 1;
        if conn.query.is_empty() && conn.hold == Hold::None && conn.running.is_none() {
            let consumed = self.run_input(&mut conn, bytes);
            keep_rest(&mut conn, &bytes[consumed..]);
        } else if conn.closing < Closing::AfterFlush {
            reserve(&mut conn.query, bytes.len(), conn.query_wanted);
            conn.query.extend_from_slice(bytes);
            self.run_query(&mut conn);
        }
        self.after_input(conn);
    }

    /// Runs on a connection whose hold is over.
    pub(super) fn resume(&mut self, id: ConnId) {
        let Some(mut conn) = self.conns.take_out(id) else { return };
        conn.settle_subscriptions();
        if conn.running.is_some() {
            self.run_on_held(&mut conn);
        }
        if conn.is_orphan && conn.running.is_none() && !conn.is_subscribing() {
            self.forget_subscriber(&mut conn);
            self.conns.put_back(conn);
            return drop(self.conns.remove(id));
        }
        self.run_query(&mut conn);
        self.after_input(conn);
    }

    pub(super) fn after_input(&mut self, mut conn: Box<Conn>) {
        self.check_query_limit(&mut conn);
        if conn.closing == Closing::AfterInput && matches!(conn.hold, Hold::None | Hold::Paused) {
            conn.close(Closing::AfterFlush);
        }
        self.list(&mut conn);
        self.conns.put_back(conn);
        self.spread_news();
    }

    /// Runs what has been kept, and keeps what is left of it.
    pub(super) fn run_query(&mut self, conn: &mut Conn) {
        if !conn.runs_on() {
            return;
        }
        let mut query = std::mem::take(&mut conn.query);
        let consumed = self.run_input(conn, &query);
        if consumed == query.len() {
            query.clear();
            query.shrink_to(QUERY_KEPT_BYTES);
        } else {
            query.drain(..consumed);
        }
        conn.query = query;
    }

    /// Runs the commands in `input` as far as may be. Returns how much of it is done with.
    fn run_input(&mut self, conn: &mut Conn, input: &[u8]) -> usize {
        let mut group = std::mem::take(&mut self.group);
        let mut done = 0;
        while conn.runs_on() {
            let before = done;
            let last = self.parse_group(conn, input, &mut done, &mut group);
            if group.commands.len() > 1 {
                self.prefetch(conn, input, &group);
            }
            done = self.run_group(conn, input, done, &group);
            if last || done == before {
                break;
            }
        }
        self.group = group;
        done
    }

    /// Parses commands from `done` on; `done` moves behind the last. Returns true when the input is used up.
    fn parse_group(&mut self, conn: &mut Conn, input: &[u8], done: &mut usize, group: &mut Group) -> bool {
        group.spans.clear();
        group.commands.clear();
        let authenticated = conn.authenticated || self.env.config.requirepass.is_empty();
        let limits = Limits {
            bulk_len_max: self.env.config.proto_max_bulk_len as usize,
            request_len_max: self.env.config.client_query_buffer_limit as usize,
            authenticated,
        };
        // What an unauthenticated client may send depends on the commands before it.
        let most = if authenticated { GROUP_COMMANDS_MAX } else { 1 };
        while group.commands.len() < most {
            match conn.parser.next(&input[*done..], &limits, &mut group.scratch) {
                Ok(Step::Command { consumed }) => {
                    group.push(*done, consumed);
                    *done += consumed;
                    group.name_last(input);
                }
                Ok(Step::Inline { consumed }) => {
                    // Its arguments are in the parser, until the next call: a group of its own.
                    if group.commands.is_empty() && self.run_inline(conn, group) == Flow::Done {
                        *done += consumed;
                    }
                    return false;
                }
                Ok(Step::Incomplete { consumed, wanted }) => {
                    *done += consumed;
                    conn.query_wanted = wanted;
                    return true;
                }
                Err(error) => {
                    if group.commands.is_empty() {
                        self.protocol_error(conn, error);
                        *done = input.len();
                    }
                    return group.commands.is_empty();
                }
            }
        }
        false
    }

    /// Has the processor fetch what a group's commands will touch.
    fn prefetch(&self, conn: &Conn, input: &[u8], group: &Group) {
        let db = self.shard.keyspace.db(conn.db as usize);
        let has_large = db.is_of_large_values();
        let mut prefetch = Prefetch::default();
        for parsed in &group.commands {
            let Some(command) = parsed.command else { continue };
            if command.run.on_shard().is_some()
                && let Some(key) = command.only_key()
                && let Some(key) = group.args(parsed, input).get(key)
                && self.owner(key) == self.id
            {
                prefetch.add(db, key, has_large || command.group.is_of_collections());
            }
        }
        prefetch.fetch();
    }

    /// Runs a group. Returns where in the input to go on.
    fn run_group(&mut self, conn: &mut Conn, input: &[u8], end: usize, group: &Group) -> usize {
        let stopped = self.submit_group(conn, input, group);
        self.lap = None;
        self.depart(conn);
        stopped.inspect(|_| conn.parser.reset()).unwrap_or(end)
    }

    /// Submits the commands of a group; if not all may be run now, returns where to go on.
    fn submit_group(&mut self, conn: &mut Conn, input: &[u8], group: &Group) -> Option<usize> {
        for parsed in &group.commands {
            let args = group.args(parsed, input);
            let boarded = self.boarded();
            if boarded > 0 && !self.may_board(conn, parsed.command, args) {
                return Some(parsed.start);
            }
            let flow = self.submit(conn, parsed.command, args);
            if conn.output_len() >= OUTPUT_WEIGHED_BYTES {
                self.weigh(conn);
            }
            // What has been answered at once instead of boarding is behind what has boarded.
            let is_behind = boarded > 0 && self.boarded() == boarded;
            match flow {
                Flow::NotYet => return Some(parsed.start),
                Flow::Done if is_behind || !conn.runs_on() => return Some(parsed.end),
                Flow::Done => {}
            }
        }
        None
    }

    fn run_inline(&mut self, conn: &mut Conn, group: &Group) -> Flow {
        let bytes = conn.parser.inline_args().to_vec();
        let args = Args::new(&bytes, &group.scratch);
        let flow = self.submit(conn, command::find(args.at(0)), args);
        self.lap = None;
        self.depart(conn);
        flow
    }

    fn protocol_error(&mut self, conn: &mut Conn, error: bobbin_proto::ProtocolError) {
        self.observed.counts.protocol_errors += 1;
        let version = conn.version();
        conn.reply(|out| bobbin_proto::Reply::new(out, version).error(error.reply_text()));
        conn.close(Closing::AfterFlush);
    }
}

impl Group {
    fn push(&mut self, start: usize, consumed: usize) {
        let first = self.spans.len();
        self.spans.extend_from_slice(&self.scratch);
        let count = self.scratch.len();
        self.commands.push(Parsed { start, end: start + consumed, first, count, command: None });
    }

    /// Looks up the row of the last command; pipelines repeat themselves, so the one before is tried first.
    #[inline]
    fn name_last(&mut self, input: &[u8]) {
        let Some(last) = self.commands.len().checked_sub(1) else { return };
        let name = self.args(&self.commands[last], input).at(0);
        let before = last.checked_sub(1).and_then(|before| self.commands[before].command);
        self.commands[last].command = match before {
            Some(row) if row.name.as_bytes().eq_ignore_ascii_case(name) => Some(row),
            _ => command::find(name),
        };
    }

    #[inline]
    fn args<'a>(&'a self, parsed: &Parsed, input: &'a [u8]) -> Args<'a> {
        Args::new(&input[parsed.start..], &self.spans[parsed.first..parsed.first + parsed.count])
    }
}

/// Keeps what is left of the input for when the connection may run on, or the rest of a command has come.
fn keep_rest(conn: &mut Conn, rest: &[u8]) {
    if conn.closing < Closing::AfterFlush {
        reserve(&mut conn.query, rest.len(), conn.query_wanted);
        conn.query.extend_from_slice(rest);
    }
}

/// Makes room for `more` bytes, and beyond them for what a half-read command is known to need: at most twice what is
/// there, so that a length declared and never sent costs nothing, and the copying of a long value stays linear.
fn reserve(query: &mut Vec<u8>, more: usize, wanted: usize) {
    let len = query.len() + more;
    if len > query.capacity() {
        query.reserve_exact(len.max(wanted.min(len * 2)) - query.len());
    }
}
