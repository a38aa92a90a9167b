//! Numbers in requests and in values: what Redis takes for one, and its error for the rest.

use super::long_double::LongDouble;
use crate::error::CommandError;
use crate::store::parse_canonical;

/// An integer as every integer argument is read: the one decimal spelling of an i64.
#[inline]
pub(super) fn integer(arg: &[u8]) -> Result<i64, CommandError> {
    parse_canonical(arg).ok_or(CommandError::NotInteger)
}

/// A float as INCRBYFLOAT and its kin read it. Infinities pass: they are refused where they would be stored.
pub(super) fn long_double(arg: &[u8]) -> Result<LongDouble, CommandError> {
    LongDouble::parse(arg).ok_or(CommandError::NotFloat)
}
