//! Commands and replies as they travel in a batch: flat, one behind the other, nothing allocated per argument.
//!
//! ```text
//! command  ┌────────┬─────────┬─────┬────┬───────┬──────┬──────┬───────────┬───────────┐
//!          │ conn 8 │ seq 4   │ id 2│db 2│flags 2│ argc 4│bytes 4│ argc × len 4│ arguments │
//!          └────────┴─────────┴─────┴────┴───────┴──────┴──────┴───────────┴───────────┘
//! reply    ┌────────┬─────────┬───────┬───────┐
//!          │ conn 8 │ seq 4   │ len 4 │ bytes │
//!          └────────┴─────────┴───────┴───────┘
//! ```
//! Little-endian, unaligned. Both ends are this process; a malformed frame is a bug and panics.

use bobbin_proto::Span;

use crate::command::Args;
use crate::ids::{CommandId, ConnId};

/// Facts of the connection that a shard needs to run its command and write its reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionBits(pub u16);

impl SessionBits {
    pub const RESP3: u16 = 1 << 0;
    pub const NO_TOUCH: u16 = 1 << 1;
    pub const NO_EVICT: u16 = 1 << 2;
    /// Part of a transaction that holds all locks it needs: no lock stands in its way.
    pub const HOLDS_LOCKS: u16 = 1 << 3;
    /// Part of a transaction: no command waits.
    pub const NEVER_WAITS: u16 = 1 << 4;
    /// It came by a reactor's own port, and is treated as by a node of a cluster.
    pub const AS_NODE: u16 = 1 << 5;

    #[inline]
    pub const fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    pub const fn set(&mut self, bit: u16, on: bool) {
        if on {
            self.0 |= bit;
        } else {
            self.0 &= !bit;
        }
    }

    #[inline]
    pub const fn version(self) -> bobbin_proto::Version {
        if self.has(Self::RESP3) { bobbin_proto::Version::Resp3 } else { bobbin_proto::Version::Resp2 }
    }
}

/// The head of a command frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandHead {
    pub conn: ConnId,
    pub seq: u32,
    pub command: CommandId,
    pub db: u16,
    pub session: SessionBits,
}

const CONN: usize = 0;
const SEQ: usize = CONN + 8;
const ID: usize = SEQ + 4;
const DB: usize = ID + 2;
const SESSION: usize = DB + 2;
const ARGC: usize = SESSION + 2;
const BYTES: usize = ARGC + 4;
const COMMAND_HEAD: usize = BYTES + 4;

const REPLY_LEN: usize = SEQ + 4;
const REPLY_HEAD: usize = REPLY_LEN + 4;

/// Appends a command frame.
#[inline]
pub fn push_command(out: &mut Vec<u8>, head: CommandHead, args: Args<'_>) {
    let bytes = args.total_len();
    out.reserve(COMMAND_HEAD + args.len() * 4 + bytes);
    let mut fixed = [0u8; COMMAND_HEAD];
    fixed[CONN..SEQ].copy_from_slice(&head.conn.to_bits().to_le_bytes());
    fixed[SEQ..ID].copy_from_slice(&head.seq.to_le_bytes());
    fixed[ID..DB].copy_from_slice(&head.command.0.to_le_bytes());
    fixed[DB..SESSION].copy_from_slice(&head.db.to_le_bytes());
    fixed[SESSION..ARGC].copy_from_slice(&head.session.0.to_le_bytes());
    fixed[ARGC..BYTES].copy_from_slice(&(args.len() as u32).to_le_bytes());
    fixed[BYTES..].copy_from_slice(&(bytes as u32).to_le_bytes());
    out.extend_from_slice(&fixed);
    for arg in args.iter() {
        out.extend_from_slice(&(arg.len() as u32).to_le_bytes());
    }
    for arg in args.iter() {
        out.extend_from_slice(arg);
    }
}

/// Reads the command frame at the front of `frames`: its head, its arguments' bytes (`spans` are relative to
/// them), and what follows it.
#[inline]
pub fn read_command<'a>(
    frames: &'a [u8],
    spans: &mut Vec<Span>,
) -> Option<(CommandHead, &'a [u8], &'a [u8])> {
    let fixed = frames.first_chunk::<COMMAND_HEAD>()?;
    let head = CommandHead {
        conn: ConnId::from_bits(u64::from_le_bytes(field(fixed, CONN))),
        seq: u32::from_le_bytes(field(fixed, SEQ)),
        command: CommandId(u16::from_le_bytes(field(fixed, ID))),
        db: u16::from_le_bytes(field(fixed, DB)),
        session: SessionBits(u16::from_le_bytes(field(fixed, SESSION))),
    };
    let argc = u32::from_le_bytes(field(fixed, ARGC)) as usize;
    let bytes = u32::from_le_bytes(field(fixed, BYTES)) as usize;
    let (lens, rest) = frames[COMMAND_HEAD..].split_at(argc * 4);
    spans.clear();
    let mut start = 0;
    spans.extend(lens.as_chunks::<4>().0.iter().map(|len| {
        let span = Span { start, len: u32::from_le_bytes(*len) };
        start += span.len;
        span
    }));
    let (arguments, rest) = rest.split_at(bytes);
    Some((head, arguments, rest))
}

/// A reply frame under construction: the reply is written behind its head, then the length is filled in.
#[derive(Debug)]
pub struct ReplyFrame {
    start: usize,
}

impl ReplyFrame {
    #[inline]
    pub fn begin(out: &mut Vec<u8>, conn: ConnId, seq: u32) -> Self {
        let start = out.len();
        out.extend_from_slice(&conn.to_bits().to_le_bytes());
        out.extend_from_slice(&seq.to_le_bytes());
        out.extend_from_slice(&[0; REPLY_HEAD - REPLY_LEN]);
        Self { start }
    }

    /// Takes the frame back: the reply goes another way, or later.
    pub fn take_back(self, out: &mut Vec<u8>) -> Vec<u8> {
        let reply = out.split_off(self.start + REPLY_HEAD);
        out.truncate(self.start);
        reply
    }

    #[inline]
    pub fn finish(self, out: &mut [u8]) {
        let len = (out.len() - self.start - REPLY_HEAD) as u32;
        out[self.start + REPLY_LEN..self.start + REPLY_HEAD].copy_from_slice(&len.to_le_bytes());
    }
}

/// Reads the reply frame at the front of `frames`: whose it is, the reply, and what follows.
#[inline]
pub fn read_reply(frames: &[u8]) -> Option<(ConnId, u32, &[u8], &[u8])> {
    let fixed = frames.first_chunk::<REPLY_HEAD>()?;
    let conn = ConnId::from_bits(u64::from_le_bytes(field(fixed, CONN)));
    let seq = u32::from_le_bytes(field(fixed, SEQ));
    let len = u32::from_le_bytes(field(fixed, REPLY_LEN)) as usize;
    let (reply, rest) = frames[REPLY_HEAD..].split_at(len);
    Some((conn, seq, reply, rest))
}

#[inline]
fn field<const N: usize>(fixed: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&fixed[at..at + N]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::OwnedArgs;

    #[test]
    fn frames_come_back_as_they_went_in() {
        let commands: [&[&[u8]]; 3] = [&[b"GET", b"k"], &[b"SET", b"", b"\r\n\0"], &[b"PING"]];
        let head = |seq| CommandHead {
            conn: ConnId { index: 7, generation: 9 },
            seq,
            command: CommandId(3),
            db: 15,
            session: SessionBits(SessionBits::RESP3),
        };
        let mut out = Vec::new();
        for (seq, command) in commands.iter().enumerate() {
            push_command(&mut out, head(seq as u32), OwnedArgs::new(command.iter().copied()).as_args());
        }
        let (mut rest, mut spans) = (&out[..], Vec::new());
        for (seq, command) in commands.iter().enumerate() {
            let (read, bytes, behind) = read_command(rest, &mut spans).expect("a frame");
            assert_eq!(read, head(seq as u32));
            assert!(Args::new(bytes, &spans).iter().eq(command.iter().copied()));
            rest = behind;
        }
        assert!(read_command(rest, &mut spans).is_none());
    }

    #[test]
    fn reply_frames_carry_their_length() {
        let conn = ConnId { index: 1, generation: 2 };
        let mut out = Vec::new();
        for reply in [&b"+OK\r\n"[..], b""] {
            let frame = ReplyFrame::begin(&mut out, conn, 5);
            out.extend_from_slice(reply);
            frame.finish(&mut out);
        }
        let (_, _, first, rest) = read_reply(&out).expect("a frame");
        assert_eq!(first, b"+OK\r\n");
        let (read, seq, second, rest) = read_reply(rest).expect("a frame");
        assert_eq!((read, seq, second, rest), (conn, 5, &b""[..], &b""[..]));
    }
}
