//! The options of SET and GETEX: conditions, and what becomes of the expiry.
//!
//! As in Redis an option may be given twice, and of two times with the same word the last holds; two different words
//! on the expiry, or NX with XX, are a syntax error.

use super::Args;
use super::number::integer;
use crate::error::CommandError;

/// Whether a key must exist for SET to go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    /// NX
    Missing,
    /// XX
    Present,
}

impl Condition {
    pub(super) fn allows(self, exists: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Missing => !exists,
            Self::Present => exists,
        }
    }
}

/// How a time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    unit_ms: i64,
    /// From now on, rather than since 1970.
    relative: bool,
}

pub(super) const SECONDS: Clock = Clock { unit_ms: 1000, relative: true };
pub(super) const MILLISECONDS: Clock = Clock { unit_ms: 1, relative: true };

const CLOCKS: [(&str, Clock); 4] = [
    ("EX", SECONDS),
    ("PX", MILLISECONDS),
    ("EXAT", Clock { unit_ms: 1000, relative: false }),
    ("PXAT", Clock { unit_ms: 1, relative: false }),
];

/// What is to become of a key's expiry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lifetime<'a> {
    Unsaid,
    /// KEEPTTL
    Keep,
    /// PERSIST
    Persist,
    /// A time, not yet read.
    Until(Clock, &'a [u8]),
}

impl<'a> Lifetime<'a> {
    /// Takes in one option more; returns the index behind it, or an error where it contradicts an earlier one.
    fn take(&mut self, args: Args<'a>, index: usize) -> Result<usize, CommandError> {
        let (new, next) = if args.is(index, "KEEPTTL") {
            (Self::Keep, index + 1)
        } else if args.is(index, "PERSIST") {
            (Self::Persist, index + 1)
        } else {
            let clock = CLOCKS.iter().find(|(word, _)| args.is(index, word));
            let (&(_, clock), time) = clock.zip(args.get(index + 1)).ok_or(CommandError::Syntax)?;
            (Self::Until(clock, time), index + 2)
        };
        match (*self, new) {
            (Self::Unsaid, _) | (Self::Keep, Self::Keep) | (Self::Persist, Self::Persist) => {}
            (Self::Until(old, _), Self::Until(new, _)) if old == new => {}
            _ => return Err(CommandError::Syntax),
        }
        *self = new;
        Ok(next)
    }
}

/// What follows SET's value.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetOptions<'a> {
    pub(super) condition: Condition,
    pub(super) get: bool,
    pub(super) lifetime: Lifetime<'a>,
}

impl<'a> SetOptions<'a> {
    pub(super) fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self { condition: Condition::Always, get: false, lifetime: Lifetime::Unsaid };
        let mut index = 3;
        while index < args.len() {
            index = options.take(args, index)?;
        }
        match options.lifetime {
            Lifetime::Persist => Err(CommandError::Syntax),
            _ => Ok(options),
        }
    }

    fn take(&mut self, args: Args<'a>, index: usize) -> Result<usize, CommandError> {
        if args.is(index, "NX") {
            self.require(Condition::Missing)?;
        } else if args.is(index, "XX") {
            self.require(Condition::Present)?;
        } else if args.is(index, "GET") {
            self.get = true;
        } else {
            return self.lifetime.take(args, index);
        }
        Ok(index + 1)
    }

    fn require(&mut self, condition: Condition) -> Result<(), CommandError> {
        if self.condition != Condition::Always && self.condition != condition {
            return Err(CommandError::Syntax);
        }
        self.condition = condition;
        Ok(())
    }
}

/// What follows GETEX's key.
#[derive(Clone, Copy, Debug)]
pub(super) struct GetexOptions<'a> {
    pub(super) lifetime: Lifetime<'a>,
}

impl<'a> GetexOptions<'a> {
    pub(super) fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        let mut lifetime = Lifetime::Unsaid;
        let mut index = 2;
        while index < args.len() {
            index = lifetime.take(args, index)?;
        }
        match lifetime {
            Lifetime::Keep => Err(CommandError::Syntax),
            _ => Ok(Self { lifetime }),
        }
    }
}

/// The Unix millisecond that a time stands for; it must be positive and within an i64.
pub(super) fn deadline(
    clock: Clock,
    time: &[u8],
    now_ms: u64,
    command: &'static str,
) -> Result<u64, CommandError> {
    let base = if clock.relative { now_ms as i64 } else { 0 };
    let time = integer(time)?;
    let deadline = time.checked_mul(clock.unit_ms).and_then(|ms| ms.checked_add(base));
    deadline
        .filter(|_| time > 0)
        .and_then(|at| u64::try_from(at).ok())
        .ok_or(CommandError::InvalidExpire(command))
}
