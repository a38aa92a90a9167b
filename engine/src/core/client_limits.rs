//! What bounds a client: who is let in, how much it may have unread, and how long it may be silent.

use super::Core;
use crate::config::OutputBufferLimit;
use crate::conn::{Accepted, Closing, Conn, Hold};
use crate::limits::{OUTPUT_PAUSE_BYTES, QUERY_PAUSE_BYTES};

const TOO_MANY: &str = "ERR max number of clients reached";

const PROTECTED: &str = "DENIED Bobbin is running in protected mode because protected mode is enabled and no password \
is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to \
connect from external computers, you may adopt one of the following solutions: 1) Disable protected mode from the \
loopback interface with the command 'CONFIG SET protected-mode no'; make sure that the server is not reachable from \
the internet if you do so. 2) Set 'protected-mode no' in the configuration file, and restart the server. 3) Start the \
server with '--protected-mode no' for a test. 4) Set a password for the default user with 'requirepass'.";

impl Core {
    /// Why a new connection is not let in.
    pub(super) fn refusal(&self, accepted: &Accepted) -> Option<&'static str> {
        let config = &self.env.config;
        if self.env.shared.clients() > config.maxclients as usize {
            return Some(TOO_MANY);
        }
        let open = config.protected_mode && config.requirepass.is_empty();
        (open && !accepted.endpoints.is_local()).then_some(PROTECTED)
    }

    /// `client-query-buffer-limit`: a client with more input than that is cut off, as Redis does, without a word.
    pub(super) fn check_query_limit(&mut self, conn: &mut Conn) {
        if conn.query.len() as u64 > self.env.config.client_query_buffer_limit {
            tracing::warn!(client = conn.client_id, "client reached max query buffer length, closed");
            self.observed.counts.query_limit_disconnections += 1;
            conn.close(Closing::Now);
        }
    }

    /// `client-output-buffer-limit`: a client that does not read its replies is cut off.
    pub(super) fn check_output_limit(&mut self, conn: &mut Conn) {
        if conn.closing == Closing::Now {
            return;
        }
        let limit = self.output_limit(conn);
        let len = conn.output_len() as u64;
        let now_ms = self.env.now.unix_ms();
        let over_soft = limit.soft_bytes > 0 && len > limit.soft_bytes;
        if !over_soft {
            conn.over_soft_since_ms = 0;
        } else if conn.over_soft_since_ms == 0 {
            conn.over_soft_since_ms = now_ms;
        }
        let soft_for_s = if over_soft { now_ms.saturating_sub(conn.over_soft_since_ms) / 1000 } else { 0 };
        if (limit.hard_bytes > 0 && len > limit.hard_bytes) || (over_soft && soft_for_s > limit.soft_seconds)
        {
            tracing::warn!(
                client = conn.client_id,
                bytes = len,
                "client over its output buffer limit, closed"
            );
            self.observed.counts.output_limit_disconnections += 1;
            conn.close(Closing::Now);
        }
    }

    /// Monitors are normal clients, as in Redis. But what they are sent is not theirs to decide: where normal
    /// clients have no limit, subscribers' holds for them.
    fn output_limit(&self, conn: &Conn) -> OutputBufferLimit {
        let limits = &self.env.config.client_output_buffer_limit;
        if conn.is_subscribed() {
            return limits.pubsub;
        }
        let unlimited = limits.normal.hard_bytes == 0 && limits.normal.soft_bytes == 0;
        if conn.monitor && unlimited { limits.pubsub } else { limits.normal }
    }

    /// Stops running a client's commands while it leaves their replies unread, well before its limit cuts it off.
    pub(super) fn weigh(&mut self, conn: &mut Conn) {
        let hard = self.output_limit(conn).hard_bytes as usize;
        let most = if hard > 0 { (hard / 2).min(OUTPUT_PAUSE_BYTES) } else { OUTPUT_PAUSE_BYTES };
        let len = conn.output_len();
        if conn.hold == Hold::None && len > most {
            conn.hold = Hold::Output;
        } else if conn.hold == Hold::Output && len <= most / 2 {
            conn.hold = Hold::None;
            self.resumed.push(conn.id);
        }
    }

    /// Closes clients that were silent for longer than `timeout`, a part of all each time.
    pub(super) fn close_idle(&mut self) {
        let timeout_ms = self.env.config.timeout as u64 * 1000;
        let seats = (self.conns.len() / self.env.config.hz.per_second() as usize).max(SEATS_PER_TICK);
        let now_ms = self.env.now.unix_ms();
        let (walk, next) = self.conns.walk(self.walked, seats);
        let is_idle = |conn: &Conn| {
            let silent_ms = now_ms.saturating_sub(conn.last_active_ms);
            timeout_ms > 0 && silent_ms > timeout_ms && !conn.is_listener() && !conn.waits_for_server()
        };
        let late = walk.filter(|conn| is_idle(conn) || conn.over_soft_since_ms > 0);
        let ids: Vec<_> = late.map(|conn| conn.id).collect();
        self.walked = next;
        for id in ids {
            let Some(mut conn) = self.conns.take_out(id) else { continue };
            if is_idle(&conn) {
                conn.close(Closing::Now);
            }
            self.list(&mut conn);
            self.conns.put_back(conn);
        }
    }
}

/// Connections looked at in one tick, at least.
const SEATS_PER_TICK: usize = 64;

impl Conn {
    /// Whether the socket should not be read for now.
    pub(super) fn wants_pause(&self) -> bool {
        self.hold == Hold::Output || (self.hold != Hold::None && self.query.len() >= QUERY_PAUSE_BYTES)
    }
}
