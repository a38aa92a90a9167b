//! The effects of one loop iteration of one reactor, in bytes; a batch is there whole or not at all.
//!
//! ```text
//! command   argument count · each: length, bytes       the first argument is the command's name
//! database  0 · number + 1                             the commands that follow are in this database
//! time      0 · 0 · Unix milliseconds                  the command that follows is done by this clock
//! ```
//!
//! Counts, lengths and numbers are varints. Every batch begins in database 0. A command without a time is done by a clock
//! that stands at zero.
//!
//! `SET key:000000000001` and 64 bytes make 87 bytes, and 107 in Redis's append-only file.

use super::varint;

/// In place of a count of arguments: a mark follows.
const MARK: u64 = 0;
/// In place of a database's number and one.
const TIME: u64 = 0;

/// A batch being put together. Allocates only to grow, and is used again when it has been cleared.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    database: u32,
}

impl Batch {
    /// An empty one with memory for so many bytes.
    pub fn with_capacity(len: usize) -> Self {
        Self { bytes: Vec::with_capacity(len), database: 0 }
    }

    /// Appends a command.
    ///
    /// # Panics
    /// If there are no arguments: a command has a name.
    #[inline]
    pub fn push<'a>(&mut self, database: u32, args: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.push_at(database, None, args);
    }

    /// Appends a command that is to be done by a clock that shows this.
    ///
    /// # Panics
    /// If there are no arguments: a command has a name.
    #[inline]
    pub fn push_at<'a>(
        &mut self,
        database: u32,
        at_ms: Option<u64>,
        args: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        assert!(args.len() > 0, "a command has a name");
        if database != self.database {
            self.mark_database(database);
        }
        if let Some(at_ms) = at_ms {
            [MARK, TIME, at_ms].into_iter().for_each(|number| varint::put(&mut self.bytes, number));
        }
        varint::put(&mut self.bytes, args.len() as u64);
        for arg in args {
            varint::put(&mut self.bytes, arg.len() as u64);
            self.bytes.extend_from_slice(arg);
        }
    }

    fn mark_database(&mut self, database: u32) {
        varint::put(&mut self.bytes, MARK);
        varint::put(&mut self.bytes, u64::from(database) + 1);
        self.database = database;
    }

    /// Appends all commands of another.
    pub fn append(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        if self.database != 0 {
            self.mark_database(0);
        }
        self.bytes.extend_from_slice(&other.bytes);
        self.database = other.database;
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of memory it holds.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.database = 0;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a batch that is no run of commands")]
pub struct MalformedBatch;

/// The commands of a batch, in order. After a failure there are no more.
#[derive(Clone, Debug)]
pub struct Commands<'a> {
    rest: &'a [u8],
    database: u32,
}

impl<'a> Commands<'a> {
    pub fn of(batch: &'a [u8]) -> Self {
        Self { rest: batch, database: 0 }
    }

    fn take(&mut self) -> Option<Command<'a>> {
        let (mut count, mut at_ms) = (varint::take(&mut self.rest)?, None);
        while count == MARK {
            match varint::take(&mut self.rest)? {
                TIME => at_ms = Some(varint::take(&mut self.rest)?),
                database => self.database = u32::try_from(database - 1).ok()?,
            }
            count = varint::take(&mut self.rest)?;
        }
        let args = self.rest;
        for _ in 0..count {
            varint::take_bytes(&mut self.rest)?;
        }
        let args = Args { rest: &args[..args.len() - self.rest.len()], left: usize::try_from(count).ok()? };
        Some(Command { database: self.database, at_ms, args })
    }
}

impl<'a> Iterator for Commands<'a> {
    type Item = Result<Command<'a>, MalformedBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let command = self.take();
        if command.is_none() {
            self.rest = &[];
        }
        Some(command.ok_or(MalformedBatch))
    }
}

#[derive(Clone, Debug)]
pub struct Command<'a> {
    pub database: u32,
    /// What the clock is to show, if it is not to stand at zero.
    pub at_ms: Option<u64>,
    /// The name first.
    pub args: Args<'a>,
}

/// The arguments of a command.
#[derive(Clone, Debug)]
pub struct Args<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        varint::take_bytes(&mut self.rest)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Args<'_> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (u32, Option<u64>, Vec<Vec<u8>>);

    fn batch_of(commands: &[Owned]) -> Batch {
        let mut batch = Batch::default();
        for (database, at_ms, args) in commands {
            batch.push_at(*database, *at_ms, args.iter().map(Vec::as_slice));
        }
        batch
    }

    fn commands(bytes: &[u8]) -> Result<Vec<Owned>, MalformedBatch> {
        let owned = |command: Command<'_>| {
            (command.database, command.at_ms, command.args.map(<[u8]>::to_vec).collect())
        };
        Commands::of(bytes).map(|command| command.map(owned)).collect()
    }

    proptest! {
        #[test]
        fn commands_come_back(
            given in prop::collection::vec(
                (0..4u32, any::<Option<u64>>(), prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5)),
                0..8,
            ),
            flips in prop::collection::vec((any::<usize>(), any::<u8>()), 0..3),
        ) {
            let mut batch = batch_of(&given);
            prop_assert_eq!(commands(batch.bytes()), Ok(given.clone()));
            let mut twice = batch_of(&given);
            twice.append(&batch);
            prop_assert_eq!(commands(twice.bytes()), Ok([&given[..], &given].concat()));
            let mut damaged = batch.bytes().to_vec();
            for (at, byte) in flips.into_iter().filter(|_| !batch.is_empty()) {
                let at = at % damaged.len();
                damaged[at] = byte;
            }
            // Any result, and an end.
            let _ = commands(&damaged);
            batch.clear();
            prop_assert!(batch.is_empty());
            batch.push(0, [&b"PING"[..]].into_iter());
            prop_assert_eq!(batch.bytes(), b"\x01\x04PING");
        }
    }

    #[test]
    fn what_is_cut_short_or_has_no_name_is_refused() {
        let batch = batch_of(&[(3, Some(300), vec![b"SET".to_vec(), b"k".to_vec(), vec![0; 300]])]);
        for len in 1..batch.bytes().len() {
            assert_eq!(commands(&batch.bytes()[..len]), Err(MalformedBatch), "{len}");
        }
        assert_eq!(commands(b"\x00\x05"), Err(MalformedBatch));
        assert_eq!(commands(b"\xff\xff\xff\xff\xff\x01\x01a"), Err(MalformedBatch));
    }

    /// Beside `*3\r\n$3\r\nSET\r\n$16\r\n…\r\n$64\r\n…\r\n`.
    #[test]
    fn a_record_is_smaller_than_redis_s() {
        let args = [b"SET".to_vec(), b"key:000000000001".to_vec(), vec![b'x'; 64]];
        let redis: usize = "*3\r\n".len()
            + args.iter().map(|arg| format!("${}\r\n\r\n", arg.len()).len() + arg.len()).sum::<usize>();
        let batch = batch_of(&[(0, None, args.to_vec())]);
        assert_eq!((batch.bytes().len(), redis), (87, 107));
    }
}
