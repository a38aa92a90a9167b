//! The slow log: commands that ran for longer than `slowlog-log-slower-than`.
//!
//! Every reactor keeps the entries of its own connections; ids are given out by one counter, so that the logs of
//! all merge by id. Passwords are never kept.

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
    /// Nanoseconds; `u64::MAX`: nothing is slow.
    slower_than_ns: u64,
    len_max: usize,
}

impl Default for SlowLog {
    fn default() -> Self {
        Self { entries: VecDeque::new(), slower_than_ns: u64::MAX, len_max: 0 }
    }
}

impl SlowLog {
    /// Takes `slowlog-log-slower-than` (microseconds, negative: never) and `slowlog-max-len` over.
    pub fn configure(&mut self, slower_than_us: i64, len_max: usize) {
        self.slower_than_ns = u64::try_from(slower_than_us).map_or(u64::MAX, |us| us.saturating_mul(1000));
        self.len_max = len_max;
        self.entries.truncate(len_max);
    }

    pub fn threshold_ns(&self) -> u64 {
        self.slower_than_ns
    }

    pub fn is_slow(&self, ns: u64, command: &Command) -> bool {
        ns >= self.slower_than_ns && !command.has(flag::SKIP_SLOWLOG)
    }

    #[cold]
    pub fn push(&mut self, entry: SlowEntry) {
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

/// A request as the log keeps it. What does not fit is counted in words, as Redis does.
pub fn shortened(command: &Command, args: Args<'_>) -> Vec<Vec<u8>> {
    let whole = if args.len() > ARGS_KEPT { ARGS_KEPT - 1 } else { args.len() };
    let shown = |(index, arg)| {
        if command.hides(args, index) { b"(redacted)".to_vec() } else { shortened_arg(arg) }
    };
    let mut kept: Vec<Vec<u8>> = args.iter().take(whole).enumerate().map(shown).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{OwnedArgs, find};

    fn kept(request: &str) -> String {
        let words: Vec<_> = request.split(' ').map(str::as_bytes).collect();
        let row = find(words[0]).unwrap();
        let args = OwnedArgs::new(words.into_iter());
        String::from_utf8(shortened(row, args.as_args()).join(&b' ')).unwrap()
    }

    #[test]
    fn passwords_are_not_kept() {
        assert_eq!(kept("AUTH secret"), "AUTH (redacted)");
        assert_eq!(
            kept("HELLO 3 auth user secret SETNAME a"),
            "HELLO 3 auth (redacted) (redacted) SETNAME a"
        );
        assert_eq!(kept("SET requirepass secret"), "SET requirepass secret");
    }

    #[test]
    fn long_requests_are_cut() {
        let many = format!("MGET{}", " k".repeat(40));
        assert!(kept(&many).ends_with(" k ... (10 more arguments)"));
        assert_eq!(kept(&many).split(' ').filter(|word| *word == "k").count(), 30);
        let long = format!("GET {}", "x".repeat(130));
        assert_eq!(kept(&long), format!("GET {}... (2 more bytes)", "x".repeat(128)));
    }
}
