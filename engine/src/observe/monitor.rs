//! MONITOR: connections that are shown every command.

use crate::command::{Args, Command};
use crate::core::Now;
use crate::ids::{ConnId, ReactorId};

/// The connections of all reactors that run MONITOR, as one reactor knows them.
#[derive(Debug, Default)]
pub struct Monitors(Vec<(ReactorId, ConnId)>);

impl Monitors {
    #[inline]
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    pub fn add(&mut self, reactor: ReactorId, conn: ConnId) {
        self.0.push((reactor, conn));
    }

    /// Removes a connection; its reactor's ids tell it from the one that takes its seat.
    pub fn remove(&mut self, reactor: ReactorId, conn: ConnId) {
        self.0.retain(|&monitor| monitor != (reactor, conn));
    }

    /// Reactors that have one, each once.
    pub fn reactors(&self) -> Vec<ReactorId> {
        let mut reactors: Vec<_> = self.0.iter().map(|&(reactor, _)| reactor).collect();
        reactors.sort_unstable();
        reactors.dedup();
        reactors
    }

    /// Those of one reactor.
    pub fn here(&self, reactor: ReactorId) -> Vec<ConnId> {
        self.0.iter().filter(|(on, _)| *on == reactor).map(|&(_, conn)| conn).collect()
    }
}

/// What stands in the place of a secret, in the slow log too.
pub(super) const REDACTED: &[u8] = b"(redacted)";

/// The line that MONITOR shows for a command; secrets are left out.
pub fn monitor_line(now: Now, db: u16, peer: &str, row: &Command, args: Args<'_>) -> Vec<u8> {
    let mut line =
        format!("+{}.{:06} [{db} {peer}]", now.unix_us / 1_000_000, now.unix_us % 1_000_000).into_bytes();
    for (index, arg) in args.iter().enumerate() {
        let arg = if row.hides(args, index) { REDACTED } else { arg };
        line.extend_from_slice(b" \"");
        arg.iter().for_each(|&byte| quote(byte, &mut line));
        line.push(b'"');
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// One byte as Redis quotes it in its logs.
fn quote(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x07 => out.extend_from_slice(b"\\a"),
        0x08 => out.extend_from_slice(b"\\b"),
        b' '..=b'~' => out.push(byte),
        _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
    }
}
