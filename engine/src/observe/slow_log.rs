//! The slow log: commands that ran for longer than `slowlog-log-slower-than`.

use std::collections::VecDeque;

use crate::command::{Args, Command, flag};

/// Arguments of an entry, and bytes of one argument, that are kept; as in Redis.
const ARGS_KEPT: usize = 32;
const ARG_BYTES_KEPT: usize = 128;

/// One slow command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowEntry {
    pub id: u64,
    pub unix_s: u64,
    pub us: u64,
    pub args: Vec<Vec<u8>>,
    pub peer: String,
    pub name: Vec<u8>,
}

/// The newest slow commands of one reactor.
#[derive(Debug)]
pub struct SlowLog {
    entries: VecDeque<SlowEntry>,
    last_id: u64,
    /// Nanoseconds; `u64::MAX`: nothing is slow.
    slower_than_ns: u64,
    len_max: usize,
}

impl Default for SlowLog {
    fn default() -> Self {
        Self { entries: VecDeque::new(), last_id: 0, slower_than_ns: u64::MAX, len_max: 0 }
    }
}

impl SlowLog {
    /// Takes `slowlog-log-slower-than` (microseconds, negative: never) and `slowlog-max-len` over.
    pub fn configure(&mut self, slower_than_us: i64, len_max: usize) {
        self.slower_than_ns = u64::try_from(slower_than_us).map_or(u64::MAX, |us| us.saturating_mul(1000));
        self.len_max = len_max;
        self.entries.truncate(len_max);
    }

    #[inline]
    pub fn is_slow(&self, ns: u64, command: &Command) -> bool {
        ns >= self.slower_than_ns && !command.has(flag::SKIP_SLOWLOG)
    }

    #[cold]
    pub fn push(&mut self, now_ms: u64, ns: u64, args: Args<'_>, peer: &str, name: &[u8]) {
        let entry = SlowEntry {
            id: self.last_id,
            unix_s: now_ms / 1000,
            us: ns / 1000,
            args: shortened(args),
            peer: peer.to_owned(),
            name: name.to_vec(),
        };
        self.last_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(self.len_max);
    }

    /// Newest first.
    pub fn entries(&self) -> impl Iterator<Item = &SlowEntry> {
        self.entries.iter()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

/// What does not fit is counted in words, as Redis does.
fn shortened(args: Args<'_>) -> Vec<Vec<u8>> {
    let whole = if args.len() > ARGS_KEPT { ARGS_KEPT - 1 } else { args.len() };
    let mut kept: Vec<Vec<u8>> = args.iter().take(whole).map(shortened_arg).collect();
    if whole < args.len() {
        kept.push(format!("... ({} more arguments)", args.len() - whole).into_bytes());
    }
    kept
}

fn shortened_arg(arg: &[u8]) -> Vec<u8> {
    if arg.len() <= ARG_BYTES_KEPT {
        return arg.to_vec();
    }
    let mut short = arg[..ARG_BYTES_KEPT].to_vec();
    short.extend_from_slice(format!("... ({} more bytes)", arg.len() - ARG_BYTES_KEPT).as_bytes());
    short
}
