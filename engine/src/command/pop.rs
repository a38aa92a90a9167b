//! What LMPOP, ZMPOP and their waiting twins are asked for: so many elements, off one end, of the first of several keys.

use super::Args;
use super::number::integer_within;
use crate::error::CommandError;

const NO_KEYS: CommandError = CommandError::text("ERR numkeys should be greater than 0");
const NO_COUNT: CommandError = CommandError::text("ERR count should be greater than 0");

/// `numkeys key [key ...] end [COUNT count]`, whatever the family calls its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pop<'a, End> {
    args: Args<'a>,
    /// Where the keys begin, and how many there are.
    keys_at: usize,
    keys: usize,
    pub(super) end: End,
    pub(super) count: usize,
}

impl<'a, End> Pop<'a, End> {
    /// The number of keys is the argument `at`; `end_at` reads the end.
    pub(super) fn parse(
        args: Args<'a>,
        at: usize,
        end_at: fn(Args<'_>, usize) -> Result<End, CommandError>,
    ) -> Result<Self, CommandError> {
        let keys = integer_within(args.at(at), 1, &NO_KEYS)?;
        let end_index = keys.saturating_add(at + 1);
        let end = end_at(args, end_index)?;
        let count = count(args, end_index + 1)?;
        Ok(Self { args, keys_at: at + 1, keys, end, count })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, End> {
        self.args.iter_from(self.keys_at).take(self.keys)
    }
}

/// COUNT and its number from `at` on, to the end. A number that is none is told of before what follows it.
fn count(args: Args<'_>, at: usize) -> Result<usize, CommandError> {
    if args.len() == at {
        return Ok(1);
    }
    if !args.is(at, "count") || args.len() == at + 1 {
        return Err(CommandError::Syntax);
    }
    let count = integer_within(args.at(at + 1), 1, &NO_COUNT)?;
    if args.len() == at + 2 { Ok(count) } else { Err(CommandError::Syntax) }
}
