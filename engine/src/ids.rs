//! Newtypes for the numbers that name things. None of them is an index, a count or a size of another kind.

/// A reactor, and the shard and core it carries: `0..reactors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReactorId(pub u16);

impl ReactorId {
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    #[inline]
    pub const fn from_index(index: usize) -> Self {
        Self(index as u16)
    }
}

/// A connection of one reactor. The generation tells a reused slot's connections apart, so that a late reply or
/// completion never reaches a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId {
    pub index: u32,
    pub generation: u32,
}

impl ConnId {
    /// Whoever awaits the reply of what the server does by itself: no connection is this one.
    pub const NOBODY: Self = Self { index: u32::MAX, generation: u32::MAX };

    #[inline]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// Where a reply goes: the place in a connection's reply order that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplyTo {
    pub reactor: ReactorId,
    pub conn: ConnId,
    pub seq: u32,
}

/// A transaction over shards, numbered by one counter for the whole server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId(pub u64);

/// The keys a connection watches for its next EXEC; `number` is unique on its reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchId {
    pub reactor: ReactorId,
    pub number: u64,
}

/// Row of a command (or subcommand) in the command table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u16);

/// A place in the one order of all batches of effects: dense, from 1; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

impl Stamp {
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
