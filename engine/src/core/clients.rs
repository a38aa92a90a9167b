//! What one client asks for that concerns others: closing them, pausing them, watching them.

use std::sync::Arc;

use super::{Core, Pause};
use crate::conn::{Closing, Hold};
use crate::errand::{AnyErrand, Errand, Ticket};
use crate::error::CommandError;
use crate::ids::{ConnId, ReactorId};
use crate::mesh::Message;

impl Core {
    /// Closes a connection of this reactor. One that is closed at once is counted as a subscriber no more, also while its
    /// socket is still open.
    pub(crate) fn close_client(&mut self, id: ConnId, when: Closing) {
        if let Some(mut conn) = self.conns.take_out(id) {
            conn.close(when);
            if when == Closing::Now && !conn.is_subscribing() && conn.running.is_none() {
                self.forget_subscriber(&mut conn);
            }
            self.list(&mut conn);
            self.conns.put_back(conn);
        }
    }

    /// Pauses this reactor's clients. Of two pauses the longer end and the stricter mode hold, as in Redis.
    pub(crate) fn pause_clients(&mut self, pause: Pause) {
        let before = self.pause.filter(|before| before.until_ms > self.env.now.unix_ms());
        self.pause = Some(before.map_or(pause, |before| Pause {
            until_ms: pause.until_ms.max(before.until_ms),
            writes_only: pause.writes_only && before.writes_only,
        }));
        self.end_pause();
    }

    /// Lets paused connections run on once the time is over; until then, sees to it that the end is not missed.
    pub(super) fn end_pause(&mut self) {
        let Some(pause) = self.pause else { return };
        let left_ms = pause.until_ms.saturating_sub(self.env.now.unix_ms());
        if left_ms == 0 {
            return self.unpause_clients();
        }
        let end_us = self.env.now.mono_us.saturating_add(left_ms.saturating_mul(1000));
        self.timers.tick_us = self.timers.tick_us.min(end_us);
    }

    pub(crate) fn unpause_clients(&mut self) {
        self.pause = None;
        let paused: Vec<_> =
            self.conns.iter().filter(|conn| conn.hold == Hold::Paused).map(|conn| conn.id).collect();
        paused.into_iter().for_each(|id| self.end_hold(id, Hold::Paused));
    }

    /// A connection here no longer runs MONITOR: it is shown nothing from now on, and no reactor sends it anything
    /// more.
    pub(crate) fn forget_monitor(&mut self, conn: ConnId) {
        self.observed.monitors.remove(self.id, conn);
        self.tell_all(ForgetMonitor { reactor: self.id, conn });
    }

    /// Has an errand run on every reactor and does not wait for it.
    fn tell_all(&mut self, errand: impl Errand) {
        self.tell((0..self.env.shared.reactors()).map(ReactorId::from_index), errand);
    }

    /// Has an errand run on some reactors and does not wait for it.
    pub(super) fn tell(&mut self, targets: impl Iterator<Item = ReactorId>, errand: impl Errand) {
        let mut targets = targets.peekable();
        if targets.peek().is_none() {
            return;
        }
        let errand: Arc<dyn AnyErrand> = Arc::new(errand);
        for target in targets {
            let message =
                Message::Errand { from: self.id, ticket: Ticket::NOBODY, errand: Arc::clone(&errand) };
            self.outbox.post(target, message);
        }
    }
}

/// Also goes to the reactor that sends it: the errand that added the connection may still be under way there.
#[derive(Debug)]
struct ForgetMonitor {
    reactor: ReactorId,
    conn: ConnId,
}

impl Errand for ForgetMonitor {
    type Answer = ();

    fn visit(&self, core: &mut Core) {
        core.observed.monitors.remove(self.reactor, self.conn);
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, _: &mut bobbin_proto::Reply<'_>) -> Result<(), CommandError> {
        Ok(())
    }
}
