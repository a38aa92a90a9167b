//! What a core notes of every command that ran: its call and run time, and, if it was slow, the latency monitor's
//! sample and the slow log's entry.
//!
//! Calls and times are counted where the command ran; the slow log's entry is made by the reactor of the connection,
//! which knows the client.

use super::Core;
use crate::command::{Args, Command, flag};
use crate::conn::{About, Conn};
use crate::ids::{ConnId, ReplyTo};
use crate::mesh::Message;
use crate::observe::{SlowEntry, Work, shortened};

impl Core {
    /// Nanoseconds since the stopwatch showed `start`.
    #[inline]
    pub(super) fn ns_since(&self, start: u64) -> u64 {
        self.env.stopwatch.nanos(start, self.env.stopwatch.read())
    }

    /// Notes a command that ran for a connection here.
    #[inline]
    pub(super) fn observe_run(
        &mut self,
        conn: &Conn,
        row: &'static Command,
        args: Args<'_>,
        start: u64,
        ok: bool,
    ) {
        self.observe_time(conn, row, args, self.ns_since(start), ok);
    }

    /// The same of one whose time has been taken.
    #[inline]
    pub(super) fn observe_time(
        &mut self,
        conn: &Conn,
        row: &'static Command,
        args: Args<'_>,
        ns: u64,
        ok: bool,
    ) {
        self.observed.commands.ran(row.id, ns, ok);
        if ns >= self.observed.notable_ns {
            self.note_latency(row, ns);
            if self.observed.slow_log.is_slow(ns, row) {
                let entry = self.slow_entry(&conn.about, row, ns, args);
                self.observed.slow_log.push(entry);
            }
        }
    }

    /// Notes a command that ran away from its connection, which may be another reactor's.
    #[inline]
    pub(super) fn observe_away(
        &mut self,
        reply_to: ReplyTo,
        row: &'static Command,
        args: Args<'_>,
        ns: u64,
        ok: bool,
    ) {
        self.observed.commands.ran(row.id, ns, ok);
        if ns >= self.observed.notable_ns {
            self.note_latency(row, ns);
            if self.observed.slow_log.is_slow(ns, row) {
                let message = Message::Slow { conn: reply_to.conn, command: row.id, ns, args: args.into() };
                self.outbox.post(reply_to.reactor, message);
            }
        }
    }

    /// Logs a command of a connection here that ran slowly elsewhere.
    pub(super) fn log_slow_away(&mut self, conn: ConnId, row: &'static Command, ns: u64, args: Args<'_>) {
        let Some(about) = self.conns.find(conn).map(|conn| conn.about.clone()) else { return };
        let entry = self.slow_entry(&about, row, ns, args);
        self.observed.slow_log.push(entry);
    }

    /// Notes work of the core's own, begun when the stopwatch showed `start`.
    pub(super) fn note_work(&mut self, work: Work, start: u64) {
        let ns = self.ns_since(start);
        self.observed.latency.note(work, self.env.now.unix_ms(), ns);
    }

    #[cold]
    fn note_latency(&mut self, row: &Command, ns: u64) {
        let work = if row.has(flag::FAST) { Work::FastCommand } else { Work::Command };
        self.observed.latency.note(work, self.env.now.unix_ms(), ns);
    }

    #[cold]
    fn slow_entry(&self, about: &About, row: &Command, ns: u64, args: Args<'_>) -> SlowEntry {
        SlowEntry {
            id: self.env.shared.next_slow_entry(),
            unix_s: self.env.now.unix_ms() / 1000,
            us: ns / 1000,
            args: shortened(row, args),
            peer: about.endpoints.peer(),
            name: about.name.clone(),
        }
    }
}
