//! What commands that answer members at random share: ZRANDMEMBER and its kin.
//!
//! A negative count asks for so many draws with repetitions, of which there may be [`RANDOM_MEMBERS_MAX`].

use foldhash::fast::FixedState;

use super::Args;
use super::number::integer;
use crate::collections::Set;
use crate::error::CommandError;
use crate::limits::RANDOM_MEMBERS_MAX;

/// From Redis.
pub(super) const DIFFERS: &str = "More than 4194304 draws with repetitions are refused.";
const _: () = assert!(RANDOM_MEMBERS_MAX == 4_194_304);

const OUT_OF_RANGE: CommandError = CommandError::text("ERR value is out of range");
const COUNT_OUT_OF_RANGE: CommandError = CommandError::text(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    count: i64,
    /// Whether what is beside a member is wanted as well.
    pub(super) with_more: bool,
}

/// What that means for a collection of a certain length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Picks {
    /// So many, each at random.
    Repeating(usize),
    /// Every one once.
    All,
    /// So many different ones, fewer than all.
    Different(usize),
}

impl Draw {
    /// Of `key count [word]`.
    pub(super) fn parse(args: Args<'_>, word: &str) -> Result<Self, CommandError> {
        let Self { count, .. } = Self::of_count(args.at(2))?;
        let with_more = match args.len() {
            3 => false,
            4 if args.is(3, word) => true,
            _ => return Err(CommandError::Syntax),
        };
        let out_of_range = with_more && count.unsigned_abs() > i64::MAX as u64 / 2;
        if out_of_range { Err(OUT_OF_RANGE) } else { Ok(Self { count, with_more }) }
    }

    /// Of members with nothing beside them.
    pub(super) fn of_count(arg: &[u8]) -> Result<Self, CommandError> {
        let count = integer(arg)?;
        if count == i64::MIN { Err(COUNT_OUT_OF_RANGE) } else { Ok(Self { count, with_more: false }) }
    }

    pub(super) fn of(self, len: usize) -> Result<Picks, CommandError> {
        let wanted = usize::try_from(self.count.unsigned_abs()).unwrap_or(usize::MAX);
        match self.count {
            ..0 if wanted > RANDOM_MEMBERS_MAX => Err(OUT_OF_RANGE),
            ..0 => Ok(Picks::Repeating(wanted)),
            _ if wanted >= len => Ok(Picks::All),
            _ => Ok(Picks::Different(wanted)),
        }
    }
}

/// Floyd's choice of `count` out of `len`, in no order: as many draws as members wanted, however many there are.
pub(super) fn different_places(len: usize, count: usize, rng: &mut fastrand::Rng) -> Vec<usize> {
    let mut taken = Set::with_capacity_and_hasher(count, FixedState::default());
    for last in len - count..len {
        let place = rng.usize(0..=last);
        if !taken.insert(place) {
            taken.insert(last);
        }
    }
    taken.into_iter().collect()
}
