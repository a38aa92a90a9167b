//! One line about a connection: CLIENT LIST and CLIENT INFO. Fields, their order and the flags' letters are those of
//! Redis 7.2; what has no counterpart here (file descriptors of other processes, argument memory: arguments stay in
//! the receive buffer) has Redis's value for "none".

use std::io::Write;

use bobbin_proto::Version;

use super::{Closing, Conn, Endpoints, Hold};
use crate::command;
use crate::mesh::SessionBits;
use crate::pubsub::Topic;

impl Conn {
    /// Appends the line, with its line end.
    pub fn describe(&self, now_ms: u64, out: &mut Vec<u8>) {
        let about = &self.about;
        let seconds_since = |then_ms: u64| now_ms.saturating_sub(then_ms) / 1000;
        field(out, "id", self.client_id);
        field(out, " addr", about.endpoints.peer());
        field(out, " laddr", about.endpoints.local());
        field(out, " fd", about.fd);
        bytes_field(out, " name", &about.name);
        field(out, " age", seconds_since(about.created_ms));
        field(out, " idle", seconds_since(self.last_active_ms));
        field(out, " flags", self.flag_letters());
        field(out, " db", self.db);
        field(out, " sub", self.subscriptions(Topic::Channel));
        field(out, " psub", self.subscriptions(Topic::Pattern));
        field(out, " ssub", self.subscriptions(Topic::ShardChannel));
        field(out, " multi", if self.multi.is_open { self.multi.block.len() as i64 } else { -1 });
        self.describe_memory(out);
        field(out, " events", self.event_letters());
        field(out, " cmd", self.last_command.map_or("NULL", |id| command::row(id).name));
        bytes_field(out, " user", &about.user);
        out.extend_from_slice(b" redir=-1");
        field(out, " resp", if self.version() == Version::Resp3 { 3 } else { 2 });
        bytes_field(out, " lib-name", &about.lib_name);
        bytes_field(out, " lib-ver", &about.lib_version);
        out.push(b'\n');
    }

    fn describe_memory(&self, out: &mut Vec<u8>) {
        field(out, " qbuf", self.query.len());
        field(out, " qbuf-free", self.query.capacity() - self.query.len());
        out.extend_from_slice(b" argv-mem=0");
        field(out, " multi-mem", self.multi.block.memory());
        field(out, " rbs", self.out.capacity());
        field(out, " rbp", self.out.capacity());
        field(out, " obl", self.out.len());
        field(out, " oll", usize::from(self.sending > 0));
        field(out, " omem", self.sending + self.order.aside_len());
        field(out, " tot-mem", self.memory());
    }

    /// Bytes this connection takes, its buffers included.
    pub fn memory(&self) -> usize {
        let about = &self.about;
        let texts = about.name.capacity() + about.lib_name.capacity() + about.lib_version.capacity();
        let buffers = self.query.capacity() + self.out.capacity() + self.sending + self.order.aside_len();
        let buffers = buffers + self.multi.block.memory();
        size_of::<Self>() + size_of_val(&**about) + texts + buffers
    }

    /// What counts towards `maxmemory-clients`: nothing of one that is being closed.
    pub fn claimed(&self) -> usize {
        if self.closing == Closing::Now { 0 } else { self.memory() }
    }

    /// What would be won by cutting it off, as last counted; nothing of one that is to be spared.
    pub fn evictable_bytes(&self) -> usize {
        let is_spared = self.monitor || self.session.has(SessionBits::NO_EVICT);
        if is_spared { 0 } else { self.counted_bytes }
    }

    fn flag_letters(&self) -> String {
        let letters = [
            (self.monitor, 'O'),
            (self.is_subscribed(), 'P'),
            (self.multi.is_open, 'x'),
            (self.hold == Hold::Paused || self.blocked.is_some(), 'b'),
            (self.closing == Closing::AfterFlush, 'c'),
            (self.closing == Closing::Now, 'A'),
            (matches!(self.about.endpoints, Endpoints::Unix { .. }), 'U'),
            (self.session.has(SessionBits::NO_EVICT), 'e'),
            (self.session.has(SessionBits::NO_TOUCH), 'T'),
        ];
        let set: String = letters.iter().filter(|(is_set, _)| *is_set).map(|&(_, letter)| letter).collect();
        if set.is_empty() { "N".to_owned() } else { set }
    }

    fn event_letters(&self) -> &'static str {
        match (self.reading_paused, self.sending > 0) {
            (false, false) => "r",
            (false, true) => "rw",
            (true, true) => "w",
            (true, false) => "",
        }
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: impl std::fmt::Display) {
    write!(out, "{name}={value}").expect("a vector takes all");
}

fn bytes_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    field(out, name, "");
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::Accepted;
    use crate::ids::ConnId;

    fn conn() -> Conn {
        let endpoints = Endpoints::Tcp {
            peer: "[::ffff:10.0.0.1]:7".parse().unwrap(),
            local: "[::1]:6379".parse().unwrap(),
        };
        let id = ConnId { index: 0, generation: 0 };
        Conn::new(id, 42, Accepted { fd: 9, endpoints, is_direct: false }, 10_000, true)
    }

    fn line(conn: &Conn) -> String {
        let mut out = Vec::new();
        conn.describe(12_999, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_stand_in_the_order_of_redis() {
        let line = line(&conn());
        let names: Vec<_> =
            line.split_whitespace().filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
        let order = "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem \
                     rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver";
        assert_eq!(names, order.split_whitespace().collect::<Vec<_>>());
        assert!(
            line.starts_with("id=42 addr=10.0.0.1:7 laddr=[::1]:6379 fd=9 name= age=2 idle=2 flags=N db=0 ")
        );
    }

    #[test]
    fn what_a_connection_is_shows_in_its_flags() {
        let mut conn = conn();
        conn.monitor = true;
        conn.session.set(SessionBits::NO_TOUCH, true);
        assert!(line(&conn).contains(" flags=OT "));
    }
}
