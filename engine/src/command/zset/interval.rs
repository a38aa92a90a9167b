//! Ranges of a sorted set, as arguments say them: of ranks, of scores, or of names among equal scores. Every one
//! becomes a range of ranks.

use std::ops::Range;

use super::super::number::{integer, lenient_double};
use crate::error::CommandError;
use crate::store::Zset;

const BAD_SCORES: CommandError = CommandError::text("ERR min or max is not a float");
const BAD_NAMES: CommandError = CommandError::text("ERR min or max not valid string range item");

#[derive(Clone, Copy, Debug)]
pub(super) enum Interval<'a> {
    /// First and last; negative ones count from the end.
    Ranks(i64, i64),
    Scores(ScoreBound, ScoreBound),
    Names(NameBound<'a>, NameBound<'a>),
}

/// `1`, or `(1` for what is beyond it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScoreBound {
    score: f64,
    exclusive: bool,
}

/// `-`, `+`, `[name`, or `(name` for what is beyond it.
#[derive(Clone, Copy, Debug)]
pub(super) enum NameBound<'a> {
    Lowest,
    Highest,
    Including(&'a [u8]),
    Excluding(&'a [u8]),
}

impl ScoreBound {
    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        let (exclusive, text) = match arg {
            [b'(', text @ ..] => (true, text),
            text => (false, text),
        };
        let score = lenient_double(text).ok_or(BAD_SCORES)?;
        Ok(Self { score, exclusive })
    }

    /// Whether a range that begins here begins behind a score.
    fn begins_behind(self, other: f64) -> bool {
        if self.exclusive { other <= self.score } else { other < self.score }
    }

    /// Whether a range that ends here ends behind a score.
    fn ends_behind(self, other: f64) -> bool {
        if self.exclusive { other < self.score } else { other <= self.score }
    }
}

impl<'a> NameBound<'a> {
    fn parse(arg: &'a [u8]) -> Result<Self, CommandError> {
        match arg {
            [b'-'] | [b'-', 0, ..] => Ok(Self::Lowest),
            [b'+'] | [b'+', 0, ..] => Ok(Self::Highest),
            [b'[', name @ ..] => Ok(Self::Including(name)),
            [b'(', name @ ..] => Ok(Self::Excluding(name)),
            _ => Err(BAD_NAMES),
        }
    }

    /// Whether a range that begins here begins behind a name.
    fn begins_behind(self, other: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Including(name) => other < name,
            Self::Excluding(name) => other <= name,
        }
    }

    /// Whether a range that ends here ends behind a name.
    fn ends_behind(self, other: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Including(name) => other <= name,
            Self::Excluding(name) => other < name,
        }
    }
}

impl<'a> Interval<'a> {
    pub(super) fn of_ranks(first: &[u8], last: &[u8]) -> Result<Self, CommandError> {
        Ok(Self::Ranks(integer(first)?, integer(last)?))
    }

    pub(super) fn of_scores(min: &[u8], max: &[u8]) -> Result<Self, CommandError> {
        Ok(Self::Scores(ScoreBound::parse(min)?, ScoreBound::parse(max)?))
    }

    pub(super) fn of_names(min: &'a [u8], max: &'a [u8]) -> Result<Self, CommandError> {
        Ok(Self::Names(NameBound::parse(min)?, NameBound::parse(max)?))
    }

    /// The ranks of the members within.
    pub(super) fn ranks_in(self, zset: &Zset) -> Range<usize> {
        let (start, end) = match self {
            Self::Ranks(first, last) => return counted(first, last, zset.len()),
            Self::Scores(min, max) => (
                zset.partition_point(|score, _| min.begins_behind(score)),
                zset.partition_point(|score, _| max.ends_behind(score)),
            ),
            Self::Names(min, max) => (
                zset.partition_point(|_, name| min.begins_behind(name)),
                zset.partition_point(|_, name| max.ends_behind(name)),
            ),
        };
        start..end.max(start)
    }
}

/// From first to last of `len`, both included.
fn counted(first: i64, last: i64, len: usize) -> Range<usize> {
    let from_start = |index: i64| if index < 0 { index.saturating_add(len as i64) } else { index };
    let start = from_start(first).max(0) as usize;
    let end = from_start(last).saturating_add(1).clamp(0, len as i64) as usize;
    if start < end { start..end } else { 0..0 }
}
