//! The commands of one transaction, queued flat: nothing is allocated per command or argument.

use bobbin_proto::Span;

use crate::command::{Args, Command, row};
use crate::ids::CommandId;

/// Commands in the order in which they were queued.
#[derive(Clone, Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
    /// Of all commands' arguments, in `bytes`.
    spans: Vec<Span>,
    commands: Vec<Queued>,
    /// Flags of all commands together.
    flags: u32,
}

#[derive(Clone, Copy, Debug)]
struct Queued {
    command: CommandId,
    /// Where its arguments end among the spans.
    spans_end: u32,
}

/// Capacity that an idle connection's block may hold on to, in bytes of arguments and in arguments.
const BYTES_KEPT: usize = 4096;
const SPANS_KEPT: usize = 64;

impl Block {
    pub fn push(&mut self, row: &'static Command, args: Args<'_>) {
        for arg in args.iter() {
            let start = self.bytes.len() as u32;
            self.bytes.extend_from_slice(arg);
            self.spans.push(Span { start, len: arg.len() as u32 });
        }
        self.commands.push(Queued { command: row.id, spans_end: self.spans.len() as u32 });
        self.flags |= row.flags;
    }

    pub fn len(&self) -> usize {
        self.commands.len()
    }

    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Whether a command in it has one of these flags.
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// A command and its arguments.
    pub fn get(&self, index: usize) -> Option<(&'static Command, Args<'_>)> {
        let queued = self.commands.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.commands[before].spans_end as usize);
        let spans = &self.spans[start..queued.spans_end as usize];
        Some((row(queued.command), Args::new(&self.bytes, spans)))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static Command, Args<'_>)> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Bytes it takes.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
            + self.spans.capacity() * size_of::<Span>()
            + self.commands.capacity() * size_of::<Queued>()
    }

    /// Empties it for reuse. What a large transaction needed is not kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(BYTES_KEPT);
        self.spans.clear();
        self.spans.shrink_to(SPANS_KEPT);
        self.commands.clear();
        self.commands.shrink_to(SPANS_KEPT);
        self.flags = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{OwnedArgs, find, flag};

    #[test]
    fn commands_come_back_as_they_were_queued() {
        let requests: [&[&[u8]]; 3] = [&[b"SET", b"k", b""], &[b"PING"], &[b"mget", b"a", b"\0\r\n"]];
        let mut block = Block::default();
        for round in 0..2 {
            for request in requests {
                let row = find(request[0]).expect("a command");
                block.push(row, OwnedArgs::new(request.iter().copied()).as_args());
            }
            assert_eq!(block.len(), 3);
            assert!(block.has(flag::WRITE) && !block.has(flag::ADMIN));
            for ((row, args), request) in block.iter().zip(requests) {
                assert_eq!(row.name.as_bytes(), request[0].to_ascii_lowercase());
                assert!(args.iter().eq(request.iter().copied()), "round {round}");
            }
            block.clear();
            assert!(block.is_empty() && !block.has(u32::MAX));
        }
    }
}
